//! `POST /api/v1/alerts`: programs hand alerts over. The answer, 202 with the alert's id, comes when it is on disk.
//!
//! Who asks is known by its Bearer token, which is a connection's. What may be in memory is bounded for each
//! connection before a byte of the request is read.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_multipart::Multipart;
use actix_web::dev::Server;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{self, Bytes, BytesMut};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::{info, warn};
use watchpost_core::AlertId;
use watchpost_hub::HubHandle;
use watchpost_hub::inbound::{InboundHandle, PostError, Posted};

use crate::Problem;

/// A request must be whole by then.
const MAX_REQUEST_TIME: Duration = Duration::from_secs(30);

/// The head of a request must have come by then.
const MAX_HEAD_TIME: Duration = Duration::from_secs(5);

/// Clients that may be connected at once.
const MAX_CLIENTS: usize = 256;

/// Parts that a multipart request may have.
const MAX_PARTS: usize = 8;

/// Longest `Idempotency-Key`, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// When a client may try again that was refused because too much is in flight, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;

/// What may be in memory is counted in this many bytes.
const BUDGET_UNIT_BYTES: u64 = 1_024;

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("[web] listen = \"{address}\": {source}. Is another program listening there?")]
pub struct ListenError {
    address: SocketAddr,
    source: io::Error,
}

/// Serves the hub's inbound connections at `address` until the returned server is stopped.
///
/// # Errors
/// When the address cannot be listened on.
pub fn serve_inbound(hub: &HubHandle, address: SocketAddr) -> Result<Server, ListenError> {
    let doors: Vec<Door> = hub.inbound().iter().cloned().map(Door::new).collect();
    let doors = web::Data::new(doors);
    let app = move || {
        App::new()
            .app_data(web::Data::clone(&doors))
            .route("/api/v1/alerts", web::post().to(post))
            .default_service(web::to(|| async {
                Err::<HttpResponse, _>(Problem::not_found("there is no such route: POST /api/v1/alerts"))
            }))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .max_connections(MAX_CLIENTS)
        .client_request_timeout(MAX_HEAD_TIME)
        .disable_signals()
        .bind(address)
        .map_err(|source| ListenError { address, source })?;
    for address in server.addrs() {
        info!(%address, "listening for posted alerts");
    }
    Ok(server.run())
}

/// One inbound connection, and what its requests may take up in memory.
struct Door {
    handle: InboundHandle,
    budget: Arc<Semaphore>,
}

impl Door {
    fn new(handle: InboundHandle) -> Self {
        let bytes = handle.max_in_flight().max(handle.max_message());
        let units = usize::try_from(bytes.div_ceil(BUDGET_UNIT_BYTES)).unwrap_or(usize::MAX);
        Self {
            budget: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))),
            handle,
        }
    }

    /// Sets memory aside for so many bytes more.
    fn reserve(&self, held: &mut Option<OwnedSemaphorePermit>, bytes: u64) -> Result<(), Problem> {
        let units = u32::try_from(bytes.div_ceil(BUDGET_UNIT_BYTES)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.budget)
            .try_acquire_many_owned(units)
            .map_err(|_| busy(PostError::Busy))?;
        match held {
            Some(held) => held.merge(permit),
            None => *held = Some(permit),
        }
        Ok(())
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
    doors: web::Data<Vec<Door>>,
) -> Result<HttpResponse, Problem> {
    let door = authorized(request.headers(), &doors)?;
    let key = key(request.headers())?;
    // Held until the answer is given: the budget is of what is in memory.
    let mut held = None;
    let body = match timeout(MAX_REQUEST_TIME, read(&request, payload, door, &mut held)).await {
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
    match door.handle.post(posted).await {
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
fn authorized<'a>(headers: &HeaderMap, doors: &'a [Door]) -> Result<&'a Door, Problem> {
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
    for door in doors {
        match door.handle.admits(token) {
            Ok(true) => found = found.or(Some(door)),
            Ok(false) => {}
            Err(e) => warn!(connection = door.handle.name(), "no alert can be posted: {e}"),
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
    door: &Door,
    held: &mut Option<OwnedSemaphorePermit>,
) -> Result<Bytes, Problem> {
    let limit = door.handle.max_message();
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
    door.reserve(held, reserved)?;
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| Problem::bad_request(format_args!("the request broke off: {e}")))?;
        let size = (body.len() + chunk.len()) as u64;
        if size > limit {
            return Err(too_large());
        }
        if size > reserved {
            door.reserve(held, size - reserved)?;
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
