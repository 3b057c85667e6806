//! A server that speaks enough of HTTP and WebSocket to be let in, and then does as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha1::{Digest as _, Sha1};
use watchpost_testkit::{Authority, PATIENCE};

/// What both sides of a handshake know (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// With its query.
    pub(crate) path: String,
    /// The whole head, as it came.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// What is done with a request.
pub(crate) enum Answer {
    /// This status and body of JSON.
    Json(u16, String),
    /// The handshake of an alert socket, then this.
    Socket(fn(TcpStream)),
    /// These heads first.
    After(&'static str, Box<Answer>),
}

/// A running server. It ends with the test.
pub(crate) struct Server {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers each request as `answer` says.
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Result<Self> {
        Self::listen(None, answer)
    }

    /// The same over TLS, with a certificate of this authority for `localhost`. No more goes over its alert sockets.
    pub(crate) fn start_tls(
        authority: &Authority,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        let chain = CertificateDer::pem_file_iter(authority.certificate())?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(authority.key())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Self::listen(Some(Arc::new(config)), answer)
    }

    fn listen(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let host = if tls.is_some() { "localhost" } else { "127.0.0.1" };
        let url = format!("{scheme}://{host}:{}", listener.local_addr()?.port());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer, tls) = (Arc::clone(&seen), Arc::clone(&answer), tls.clone());
                // A client that breaks off is none of its business.
                thread::spawn(move || accept(stream, tls, &seen, &*answer).ok());
            }
        });
        Ok(Self { url, requests })
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// All requests so far, in the order in which they came.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn accept(
    mut stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    seen: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Answer + Send + Sync),
) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let Some(tls) = tls else {
        if let Some(go) = serve(&mut stream, seen, answer)? {
            go(stream);
        }
        return Ok(());
    };
    let mut stream = StreamOwned::new(ServerConnection::new(tls)?, stream);
    if serve(&mut stream, seen, answer)?.is_some() {
        std::io::copy(&mut stream, &mut std::io::sink())?;
    }
    stream.conn.send_close_notify();
    Ok(stream.flush()?)
}

/// Answers one request, and says what is done then with an alert socket.
fn serve(
    stream: &mut (impl Read + Write),
    seen: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Answer + Send + Sync),
) -> Result<Option<fn(TcpStream)>> {
    let request = read(&mut BufReader::new(&mut *stream))?;
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request.clone());
    let mut answer = answer(&request);
    while let Answer::After(heads, next) = answer {
        stream.write_all(heads.as_bytes())?;
        stream.flush()?;
        answer = *next;
    }
    match answer {
        Answer::After(..) => {}
        Answer::Json(status, body) => write!(
            stream,
            "HTTP/1.1 {status} Told\r\nDate: Mon, 23 Nov 2026 01:16:30 GMT\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )?,
        Answer::Socket(go) => {
            let key = header(&request.head, "sec-websocket-key").context("a key")?;
            let accept = base64_simd::STANDARD.encode_to_string(Sha1::digest(format!("{key}{GUID}")));
            write!(
                stream,
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )?;
            return Ok(Some(go));
        }
    }
    Ok(None)
}

fn read(reader: &mut impl BufRead) -> Result<Request> {
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 && !head.ends_with("\r\n\r\n") {}
    let length = header(&head, "content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Request {
        path: head.split(' ').nth(1).unwrap_or_default().to_owned(),
        head,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .next()
}

/// A frame of a server with this first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(length as u8),
        Ok(length) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// Reads until the other side ends the connection, or for as long as a test may last.
pub(crate) fn drain(mut stream: TcpStream) {
    // It is closed by then, or the test has failed.
    let _ = stream.set_read_timeout(Some(Duration::from_secs(600)));
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}
