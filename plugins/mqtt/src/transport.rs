//! The bytes below the protocol: the first address of the broker that answers, encrypted where the site wants it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use watchpost_sink::net::{self, Cause, Unreachable, Wait};

use crate::wire::Dial;

/// How long the network may take to reach the broker.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection, encrypted or not.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Duplex>>> + Send>>;

/// What makes a connection each time it is called. Its errors hold an [`Unreachable`].
pub(crate) fn connector(dial: &Dial) -> impl Fn() -> Connecting + Send + Sync + 'static {
    let (host, port, tls) = (dial.host.clone(), dial.port, dial.tls.clone());
    move || Box::pin(connect(host.clone(), port, tls.clone()))
}

async fn connect(host: String, port: u16, tls: Option<Arc<ClientConfig>>) -> io::Result<Box<dyn Duplex>> {
    let name = host.clone();
    let reached = spawn_blocking(move || net::connect(&name, port, &Wait::of(CONNECT_TIMEOUT))).await;
    let socket = reached?.map_err(io::Error::other)?;
    socket.set_nonblocking(true)?;
    let socket = TcpStream::from_std(socket)?;
    let Some(config) = tls else {
        return Ok(Box::new(socket));
    };
    let name = net::server_name(&host).map_err(io::Error::other)?;
    match TlsConnector::from(config).connect(name, socket).await {
        Ok(encrypted) => Ok(Box::new(encrypted)),
        Err(error) => Err(io::Error::other(match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Unreachable::new(
                Cause::NotTls,
                "the broker closed the connection at its beginning; it may not speak TLS at this port",
            ),
            _ => Unreachable::from_io(&error, &host, port),
        })),
    }
}
