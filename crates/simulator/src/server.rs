//! The listener and the HTTP server: up, down and up again on the same port.
//! It knows nothing of what is served.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::from_fn, web};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::sync::{mpsc, oneshot};

use crate::{
    CloseMode, Error, Tls,
    backend::Backend,
    handle::{Handle, Switch},
    rest,
    tcp::Tcp,
};

/// Time an idle HTTP connection stays open, as with the real server.
const IDLE_TIME: Duration = Duration::from_secs(5);
/// Most seconds that sockets get to say goodbye when the server goes down with close frames.
const GOODBYE_SECONDS: u64 = 2;
/// Connections that the system holds until they are taken.
const BACKLOG: u32 = 128;

/// Serves until it is stopped.
pub(crate) async fn run(
    listen: SocketAddr,
    tls: Option<rustls::ServerConfig>,
    handle: Handle,
    mut switches: mpsc::Receiver<Switch>,
    ready: oneshot::Sender<Result<SocketAddr, Error>>,
) {
    let mut listener = Listener {
        addr: listen,
        tls,
        handle,
        server: None,
        restart_at: None,
    };
    let opened = listener.open();
    let up = opened.is_ok();
    if ready.send(opened.map(|()| listener.addr)).is_err() || !up {
        return listener.close(CloseMode::Eof).await;
    }
    loop {
        let switch = tokio::select! {
            switch = switches.recv() => switch,
            () = until(listener.restart_at) => {
                if let Err(error) = listener.open() {
                    tracing::error!(%error, "cannot come up again");
                }
                continue;
            }
        };
        match switch {
            Some(Switch::Down(how, restart_after, done)) => {
                listener.close(how).await;
                listener.restart_at = restart_after.map(|after| tokio::time::Instant::now() + after);
                let _ = done.send(Ok(()));
            }
            Some(Switch::Up(done)) => {
                let _ = done.send(listener.open());
            }
            Some(Switch::Stop(done)) => {
                listener.close(CloseMode::Eof).await;
                if let Some(done) = done {
                    let _ = done.send(());
                }
                return;
            }
            None => return listener.close(CloseMode::Eof).await,
        }
    }
}

async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The server and what is needed to open it again.
struct Listener {
    addr: SocketAddr,
    tls: Option<rustls::ServerConfig>,
    handle: Handle,
    server: Option<ServerHandle>,
    restart_at: Option<tokio::time::Instant>,
}

impl Listener {
    fn open(&mut self) -> Result<(), Error> {
        self.restart_at = None;
        if self.server.is_some() {
            return Ok(());
        }
        let address = self.addr;
        let refuse = |source| Error::Listen { address, source };
        let socket = TcpListener::bind(address).map_err(refuse)?;
        // Port 0 becomes the port taken, so that it is the same one after a pause.
        self.addr = socket.local_addr().map_err(refuse)?;
        let (handle, backend) = (self.handle.clone(), self.handle.backend().clone());
        let on_connect = backend.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::from(backend.clone()))
                .app_data(web::Data::new(handle.clone()))
                .wrap(from_fn(rest::gate))
                .configure(rest::routes)
        })
        .on_connect(move |connection, data| remember(&on_connect, connection, data))
        .workers(1)
        .backlog(BACKLOG)
        .keep_alive(IDLE_TIME)
        // The real server ends its side at once and does not wait.
        .client_disconnect_timeout(Duration::ZERO)
        .shutdown_timeout(GOODBYE_SECONDS)
        .disable_signals();
        let server = match self.tls.clone() {
            Some(config) => server.listen_rustls_0_23(socket, config),
            None => server.listen(socket),
        };
        let server = server.map_err(Error::Start)?.run();
        self.server = Some(server.handle());
        actix_rt::spawn(server);
        Ok(())
    }

    async fn close(&mut self, how: CloseMode) {
        self.restart_at = None;
        let Some(server) = self.server.take() else { return };
        self.handle.backend().end_sockets(how);
        server.stop(how == CloseMode::Close).await;
        self.handle.backend().drop_sockets();
    }
}

/// Keeps a handle on the connection beside it, for as long as it lives.
fn remember(backend: &Backend, connection: &dyn std::any::Any, data: &mut actix_web::dev::Extensions) {
    backend.state().ledger.stats.tcp_connections += 1;
    match Tcp::of(connection) {
        Ok(Some(tcp)) => {
            data.insert(Arc::new(tcp));
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "a connection that cannot be ended from outside"),
    }
}

/// The server's side of TLS.
pub(crate) fn tls_config(tls: &Tls) -> Result<rustls::ServerConfig, Error> {
    let refuse = |reason: String| Error::Tls { reason };
    let chain = CertificateDer::pem_slice_iter(tls.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| refuse(format!("certificate: {e}")))?;
    let key =
        PrivateKeyDer::from_pem_slice(tls.key_pem.as_bytes()).map_err(|e| refuse(format!("key: {e}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|e| refuse(e.to_string()))
}
