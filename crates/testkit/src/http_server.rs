//! An HTTP server on a free port of the loopback interface, which answers as the test says and records what it was
//! asked.
//!
//! It refuses to know what the requests mean.

mod message;

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

pub use self::message::{Behavior, HttpAnswer, HttpPart, HttpRequest};
use self::message::{read, written};
use crate::Authority;

/// A running server. Dropping it ends it.
pub struct HttpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    tls: Option<Arc<ServerConfig>>,
    listening: Option<JoinHandle<()>>,
}

type Script = Box<dyn FnMut(&HttpRequest) -> HttpAnswer + Send>;

/// What the threads of a server share.
struct Shared {
    state: Mutex<State>,
}

struct State {
    script: Script,
    next: VecDeque<HttpAnswer>,
    requests: Vec<HttpRequest>,
    /// Open connections, by a number of their own.
    open: Vec<(u64, TcpStream)>,
    stopped: bool,
}

impl HttpServer {
    /// Starts a server that answers 200 to everything.
    pub fn start() -> Result<Self> {
        Self::launch(None)
    }

    /// The same with a certificate of `authority`. With `clients`, only for who shows one of that authority.
    pub fn start_tls(authority: &Authority, clients: Option<&Authority>) -> Result<Self> {
        let chain: Vec<_> =
            CertificateDer::pem_file_iter(authority.certificate())?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(authority.key())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = match clients {
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_file(clients.ca())?)?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        Self::launch(Some(Arc::new(builder.with_single_cert(chain, key)?)))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address for a client, such as `http://127.0.0.1:40123` or `https://localhost:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        match self.tls {
            Some(_) => format!("https://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    /// Answers every request by this from now on.
    pub fn script(&self, script: impl FnMut(&HttpRequest) -> HttpAnswer + Send + 'static) {
        self.shared.lock().script = Box::new(script);
    }

    /// Answers the next request that has no answer yet by this.
    pub fn answer(&self, answer: HttpAnswer) {
        self.shared.lock().next.push_back(answer);
    }

    /// Every request since the start or the last [`Self::take`], oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<HttpRequest> {
        self.shared.lock().requests.clone()
    }

    /// The same, and forgets them.
    #[must_use]
    pub fn take(&self) -> Vec<HttpRequest> {
        std::mem::take(&mut self.shared.lock().requests)
    }

    /// Ends as a crash would: the port is closed, and every connection is cut. What was recorded stays.
    pub fn stop(&mut self) {
        self.shared.lock().stopped = true;
        // The listener waits for a connection, so it gets one.
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
        if let Some(listening) = self.listening.take() {
            drop(listening.join());
        }
        for (_, open) in self.shared.lock().open.drain(..) {
            drop(open.shutdown(Shutdown::Both));
        }
    }

    /// Comes back at the same address.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        let listener =
            TcpListener::bind(self.address).with_context(|| format!("{} is taken", self.address))?;
        self.listen(listener);
        Ok(())
    }

    fn launch(tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
        let state = State {
            script: Box::new(|_| HttpAnswer::status(200)),
            next: VecDeque::new(),
            requests: Vec::new(),
            open: Vec::new(),
            stopped: false,
        };
        let shared = Shared {
            state: Mutex::new(state),
        };
        let mut server = Self {
            address: listener.local_addr()?,
            shared: Arc::new(shared),
            tls,
            listening: None,
        };
        server.listen(listener);
        Ok(server)
    }

    fn listen(&mut self, listener: TcpListener) {
        self.shared.lock().stopped = false;
        let (shared, tls) = (self.shared.clone(), self.tls.clone());
        self.listening = Some(std::thread::spawn(move || {
            for (number, stream) in (0..).zip(listener.incoming()) {
                let mut state = shared.lock();
                if state.stopped {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let Ok(known) = stream.try_clone() else { continue };
                state.open.push((number, known));
                drop(state);
                let (shared, tls) = (shared.clone(), tls.clone());
                std::thread::spawn(move || {
                    // A client that disconnects is none of the server's business.
                    drop(serve(&shared, tls, stream));
                    shared.lock().open.retain(|(open, _)| *open != number);
                });
            }
        }));
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request, and says what to answer. A server that has stopped records nothing.
    fn answer(&self, request: HttpRequest) -> Option<HttpAnswer> {
        let mut state = self.lock();
        if state.stopped {
            return None;
        }
        let answer = match state.next.pop_front() {
            Some(answer) => answer,
            None => (state.script)(&request),
        };
        state.requests.push(request);
        Some(answer)
    }
}

fn serve(shared: &Shared, tls: Option<Arc<ServerConfig>>, stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        Some(config) => {
            let session = ServerConnection::new(config)?;
            converse(shared, &stream, StreamOwned::new(session, stream.try_clone()?))
        }
        None => converse(shared, &stream, stream.try_clone()?),
    }
}

/// Reads requests and answers them until either side has enough.
fn converse<S: Read + Write>(shared: &Shared, socket: &TcpStream, stream: S) -> Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream)? {
        let Some(answer) = shared.answer(request) else {
            break;
        };
        let bytes = written(&answer);
        match answer.behavior {
            Behavior::Proper => {
                stream.get_mut().write_all(&bytes)?;
                stream.get_mut().flush()?;
            }
            Behavior::Silent => {
                // Ends when the client times out or the server stops.
                io::copy(&mut stream, &mut io::sink())?;
                break;
            }
            Behavior::Held => {
                stream.get_mut().write_all(&bytes)?;
                stream.get_mut().flush()?;
                io::copy(&mut stream, &mut io::sink())?;
                break;
            }
            Behavior::Ended => {
                stream.get_mut().write_all(&bytes)?;
                stream.get_mut().flush()?;
                break;
            }
            Behavior::Closed => break,
            Behavior::Half => {
                stream.get_mut().write_all(&bytes[..bytes.len() / 2])?;
                stream.get_mut().flush()?;
                socket.shutdown(Shutdown::Write)?;
                io::copy(&mut stream, &mut io::sink())?;
                break;
            }
        }
    }
    socket
        .shutdown(Shutdown::Both)
        .context("the connection was closed already")
}
