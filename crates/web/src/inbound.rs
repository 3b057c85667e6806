//! `POST /api/v1/alerts`: programs hand alerts over. The answer, 202 with the alert's id, comes when it is on disk.
//!
//! Who asks is known by its Bearer token, which is a connection's. What may be in memory is bounded for each
//! connection before a byte of the request is read.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_multipart::Multipart;
use actix_web::dev::{Server, ServerHandle};
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{self, Bytes, BytesMut};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use watchpost_core::AlertId;
use watchpost_hub::HubHandle;
use watchpost_hub::inbound::{InboundHandle, PostError, Posted, Reservation};

use crate::Problem;

/// A request must be whole by then.
const MAX_REQUEST_TIME: Duration = Duration::from_secs(30);

/// The head of a request must have come by then.
const MAX_HEAD_TIME: Duration = Duration::from_secs(5);

/// How often, and with which pause between, the own port is asked for at another address: what listens there leaves it within
/// moments, whatever its clients do.
const MOVE_ATTEMPTS: u32 = 200;
/// See [`MOVE_ATTEMPTS`].
const MOVE_PAUSE: Duration = Duration::from_millis(10);

/// Clients that may be connected at once.
const MAX_CLIENTS: usize = 256;

/// Parts that a multipart request may have.
const MAX_PARTS: usize = 8;

/// Longest `Idempotency-Key`, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// When a client may try again that was refused because too much is in flight, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("[web] listen = \"{address}\": {source}. Is another program listening there?")]
pub struct ListenError {
    address: SocketAddr,
    source: io::Error,
}

/// The server of the hub's inbound connections. It listens while there are some.
pub struct InboundServer {
    hub: HubHandle,
    running: Option<Listening>,
}

/// A server that listens.
struct Listening {
    /// As it is configured.
    address: SocketAddr,
    /// Where that is.
    bound: SocketAddr,
    handle: ServerHandle,
}

/// A server that is to listen.
struct Bound {
    /// As it is configured.
    address: SocketAddr,
    /// Where that is: another port where the configured one is 0.
    bound: SocketAddr,
    server: Server,
}

/// What an [`InboundServer`] is to do with another configuration. It is there already: what could fail has not.
pub struct Prepared(Step);

enum Step {
    Keep,
    Close,
    Open(Box<Bound>),
    /// The port is our own, at another address: it is not free before the server there has ended.
    Move(SocketAddr),
}

impl InboundServer {
    /// Listens nowhere yet.
    pub fn new(hub: HubHandle) -> Self {
        Self { hub, running: None }
    }

    /// Prepares to listen at this address, or nowhere. Dropped, it changes nothing.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn prepare(&self, address: Option<SocketAddr>) -> Result<Prepared, ListenError> {
        let Some(address) = address else {
            return Ok(Prepared(Step::Close));
        };
        if self
            .running
            .as_ref()
            .is_some_and(|running| running.address == address)
        {
            return Ok(Prepared(Step::Keep));
        }
        let port = self.running.as_ref().map(|running| running.bound.port());
        match self.bind(address) {
            Ok(server) => Ok(Prepared(Step::Open(Box::new(server)))),
            Err(error) if error.source.kind() == io::ErrorKind::AddrInUse && port == Some(address.port()) => {
                Ok(Prepared(Step::Move(address)))
            }
            Err(error) => Err(error),
        }
    }

    /// Does what was prepared. Requests that are being served are finished beside it, within 30 seconds: no client
    /// keeps others from the new address.
    ///
    /// # Errors
    /// When another program has our own port at the new address. It listens where it did before, then.
    pub async fn switch(&mut self, Prepared(step): Prepared) -> Result<(), ListenError> {
        match step {
            Step::Keep => {}
            Step::Close => self.close(),
            Step::Open(server) => {
                self.close();
                self.listen(*server);
            }
            Step::Move(address) => {
                let before = self.running.as_ref().map(|running| running.address);
                self.close();
                match (self.bind_when_free(address).await, before) {
                    (Ok(server), _) => self.listen(server),
                    (Err(error), None) => return Err(error),
                    (Err(error), Some(before)) => {
                        let server = self.bind_when_free(before).await?;
                        self.listen(server);
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    fn listen(&mut self, server: Bound) {
        let Bound {
            address,
            bound,
            server,
        } = server;
        info!(address = %bound, "listening for posted alerts");
        let handle = server.handle();
        actix_web::rt::spawn(server);
        self.running = Some(Listening {
            address,
            bound,
            handle,
        });
    }

    /// Has it take no more clients. Those that it has are served beside everything else.
    fn close(&mut self) {
        if let Some(running) = self.running.take() {
            actix_web::rt::spawn(running.handle.stop(true));
        }
    }

    /// Listens at an address that our own server is about to leave.
    async fn bind_when_free(&self, address: SocketAddr) -> Result<Bound, ListenError> {
        for _ in 1..MOVE_ATTEMPTS {
            match self.bind(address) {
                Err(error) if error.source.kind() == io::ErrorKind::AddrInUse => sleep(MOVE_PAUSE).await,
                bound => return bound,
            }
        }
        self.bind(address)
    }

    fn bind(&self, address: SocketAddr) -> Result<Bound, ListenError> {
        let hub = web::Data::new(self.hub.clone());
        let app = move || {
            App::new()
                .app_data(web::Data::clone(&hub))
                .route("/api/v1/alerts", web::post().to(post))
                .default_service(web::to(|| async {
                    Err::<HttpResponse, _>(Problem::not_found("there is no such route: POST /api/v1/alerts"))
                }))
        };
        let server = HttpServer::new(app)
            .workers(1)
            .max_connections(MAX_CLIENTS)
            .client_request_timeout(MAX_HEAD_TIME)
            .shutdown_timeout(MAX_REQUEST_TIME.as_secs())
            .disable_signals()
            .bind(address)
            .map_err(|source| ListenError { address, source })?;
        Ok(Bound {
            address,
            bound: server.addrs().first().copied().unwrap_or(address),
            server: server.run(),
        })
    }
}

#[derive(Serialize)]
struct Answer {
    id: AlertId,
    duplicate: bool,
}

async fn post(
    request: HttpRequest,
    payload: web::Payload,
    hub: web::Data<HubHandle>,
) -> Result<HttpResponse, Problem> {
    let connection = authorized(request.headers(), hub.inbound())?;
    let key = key(request.headers())?;
    // Held until the answer is given: the budget is of what is in memory.
    let mut held = Reservation::default();
    let reading = read(&request, payload, &connection, &mut held);
    let body = match timeout(MAX_REQUEST_TIME, reading).await {
        Ok(body) => body?,
        Err(_) => {
            return Err(Problem::new(
                408,
                "Request timeout",
                "the request was not whole in time",
            ));
        }
    };
    let posted = Posted {
        key,
        ..contents(request.headers(), body).await?
    };
    match connection.post(posted).await {
        Ok(accepted) => Ok(HttpResponse::Accepted().json(Answer {
            id: accepted.id,
            duplicate: accepted.duplicate,
        })),
        Err(PostError::Invalid { pointer, problem }) => {
            Err(Problem::new(422, "Not an alert", problem).at(pointer))
        }
        Err(e) => Err(busy(e)),
    }
}

/// The connection whose token the request brings.
fn authorized(headers: &HeaderMap, connections: Vec<InboundHandle>) -> Result<InboundHandle, Problem> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let unauthorized = || {
        Problem::new(
            401,
            "Unauthorized",
            "expected `Authorization: Bearer` with a connection's token",
        )
    };
    let token = token.ok_or_else(unauthorized)?.trim();
    let mut found = None;
    for connection in connections {
        match connection.admits(token) {
            Ok(true) => found = found.or(Some(connection)),
            Ok(false) => {}
            Err(e) => warn!(connection = connection.name(), "no alert can be posted: {e}"),
        }
    }
    found.ok_or_else(unauthorized)
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("Idempotency-Key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= MAX_KEY_BYTES => Ok(Some(key.to_owned())),
        _ => Err(Problem::bad_request(format_args!(
            "`Idempotency-Key` must be 1 to {MAX_KEY_BYTES} characters of ASCII"
        ))),
    }
}

/// The whole body, as far as it is allowed and there is room for it.
async fn read(
    request: &HttpRequest,
    mut payload: web::Payload,
    connection: &InboundHandle,
    held: &mut Reservation,
) -> Result<Bytes, Problem> {
    let limit = connection.max_message();
    let too_large = || {
        let detail = format!("the request is larger than max_message = {limit} bytes");
        Problem::new(413, "Content too large", detail)
    };
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let mut reserved = announced.unwrap_or(0);
    if reserved > limit {
        return Err(too_large());
    }
    connection.reserve(held, reserved).map_err(busy)?;
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| Problem::bad_request(format_args!("the request broke off: {e}")))?;
        let size = (body.len() + chunk.len()) as u64;
        if size > limit {
            return Err(too_large());
        }
        if size > reserved {
            connection.reserve(held, size - reserved).map_err(busy)?;
            reserved = size;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Takes the document and the picture out of a body.
async fn contents(headers: &HeaderMap, body: Bytes) -> Result<Posted, Problem> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match kind.as_str() {
        "application/json" => Ok(Posted {
            document: body.to_vec(),
            ..Posted::default()
        }),
        "multipart/form-data" | "multipart/mixed" | "multipart/related" => parts(headers, body).await,
        _ => Err(Problem::new(
            415,
            "Unsupported media type",
            "expected `application/json`, or `multipart/form-data` with a JSON and a JPEG part",
        )),
    }
}

async fn parts(headers: &HeaderMap, body: Bytes) -> Result<Posted, Problem> {
    let broken = |e: actix_multipart::MultipartError| {
        Problem::bad_request(format_args!("the multipart body cannot be read: {e}"))
    };
    let mut parts = Multipart::new(headers, stream::iter([Ok(body)]));
    let mut posted = Posted::default();
    let mut count = 0;
    while let Some(mut part) = parts.try_next().await.map_err(broken)? {
        count += 1;
        if count > MAX_PARTS {
            return Err(Problem::bad_request(format_args!("more than {MAX_PARTS} parts")));
        }
        let kind = part.content_type().map(ToString::to_string).unwrap_or_default();
        let name = part.name().unwrap_or_default().to_owned();
        let mut content = Vec::new();
        while let Some(chunk) = part.try_next().await.map_err(broken)? {
            content.extend_from_slice(&chunk);
        }
        match (kind.as_str(), name.as_str()) {
            ("image/jpeg", _) | (_, "picture" | "frame") => posted.picture = Some(content),
            ("application/json", _) | (_, "alert") => posted.document = content,
            (kind, _) => {
                let detail = format!("a part is `{kind}`: expected application/json and image/jpeg");
                return Err(Problem::new(415, "Unsupported media type", detail));
            }
        }
    }
    Ok(posted)
}

fn busy(error: PostError) -> Problem {
    let (status, title) = match error {
        PostError::Busy => (429, "Too many requests"),
        _ => (503, "Unavailable"),
    };
    Problem::new(status, title, error).retry_after(RETRY_AFTER_SECONDS)
}
