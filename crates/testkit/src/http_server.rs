//! An HTTP server on a free port of the loopback interface, which answers as the test says and records what it was
//! asked.
//!
//! It refuses to know what the requests mean.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::Authority;

/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The largest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 256 << 20;

/// Headers that a request may have.
const MAX_HEADERS: usize = 64;

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, such as `POST`.
    pub method: String,
    /// Path and query, such as `/hook?wait=true`.
    pub target: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A part of a `multipart/form-data` body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPart {
    /// The name of the field.
    pub name: String,
    /// The name of the file, if it is one.
    pub file: Option<String>,
    /// What it says of its type.
    pub mime: Option<String>,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// What to answer.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    manner: Manner,
}

/// How an answer is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// As it should be, and the connection stays open.
    #[default]
    Proper,
    /// Not at all, and the connection stays open.
    Silent,
    /// Not at all, and the connection is closed.
    Closed,
    /// Half of its bytes, and then this side of the connection is closed.
    Half,
}

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
    /// Connections under way, by a number of their own.
    open: Vec<(u64, TcpStream)>,
    stopped: bool,
}

impl HttpRequest {
    /// The value of a header; its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("the body is no JSON")
    }

    /// The parts of a `multipart/form-data` body, read to the letter of RFC 2046.
    pub fn parts(&self) -> Result<Vec<HttpPart>> {
        let kind = self.header("content-type").context("no media type")?;
        let boundary = kind
            .strip_prefix("multipart/form-data; boundary=")
            .context("not multipart")?;
        let mark = format!("\r\n--{boundary}").into_bytes();
        // So that the first boundary looks like the others.
        let body = [b"\r\n", self.body.as_slice()].concat();
        let mut rest = after(&body, &mark).context("no first boundary")?;
        let mut parts = Vec::new();
        while !rest.starts_with(b"--") {
            let inside = rest
                .strip_prefix(b"\r\n")
                .context("a boundary that does not end its line")?;
            let end = find(inside, &mark).context("a part without end")?;
            parts.push(part(&inside[..end])?);
            rest = &inside[end + mark.len()..];
        }
        ensure!(rest == b"--\r\n", "something follows the last boundary");
        Ok(parts)
    }
}

impl HttpAnswer {
    /// An answer without headers and body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            manner: Manner::Proper,
        }
    }

    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same, given otherwise.
    #[must_use]
    pub fn manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }
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

    /// Goes away as a crash would: nobody listens, and every connection is cut. What was recorded stays.
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
                    // A client that goes away is none of the server's business.
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
        match answer.manner {
            Manner::Proper => {
                stream.get_mut().write_all(&bytes)?;
                stream.get_mut().flush()?;
            }
            Manner::Silent => {
                // Ends when the client gives up or the server stops.
                io::copy(&mut stream, &mut io::sink())?;
                break;
            }
            Manner::Closed => break,
            Manner::Half => {
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

fn written(answer: &HttpAnswer) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} As told\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if answer.status != 204 {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), &answer.body].concat()
}

/// One request. `None`: the client has closed the connection.
fn read(stream: &mut impl Read) -> Result<Option<HttpRequest>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            ensure!(head.is_empty(), "the client left in the middle of a head");
            return Ok(None);
        }
        head.push(byte[0]);
        ensure!(head.len() <= MAX_HEAD_BYTES, "the head is too long");
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    ensure!(parsed.parse(&head)?.is_complete(), "half a head");
    let mut request = HttpRequest {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value).into_owned();
        request.headers.push((header.name.to_ascii_lowercase(), value));
    }
    ensure!(
        request.header("transfer-encoding").is_none(),
        "a body without a length"
    );
    let length = request
        .header("content-length")
        .map_or(Ok(0), str::parse::<usize>)?;
    ensure!(length <= MAX_BODY_BYTES, "the body is too large");
    request.body = vec![0; length];
    stream.read_exact(&mut request.body)?;
    Ok(Some(request))
}

fn part(bytes: &[u8]) -> Result<HttpPart> {
    let end = find(bytes, b"\r\n\r\n").context("a part without a head")?;
    let head = std::str::from_utf8(&bytes[..end])?;
    let value = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let disposition = value("Content-Disposition").context("a part without a disposition")?;
    let quoted = |key: &str| {
        let (_, rest) = disposition.split_once(&format!("; {key}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    Ok(HttpPart {
        name: quoted("name").context("a part without a name")?,
        file: quoted("filename"),
        mime: value("Content-Type").map(str::to_owned),
        bytes: bytes[end + 4..].to_vec(),
    })
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

fn after<'a>(bytes: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    find(bytes, part).map(|at| &bytes[at + part.len()..])
}
