//! Skips interim answers (1xx, RFC 9110 section 15.2) before the one to a WebSocket's handshake: proxies may send them, and
//! the client takes the first answer for the last. It does so for other requests too, whose connection it has to itself: such
//! an answer ends them.

use std::future::Future;
use std::pin::Pin;

use actix_service::Service;
use awc::error::{ConnectError, SendRequestError};
use awc::http::StatusCode;
use awc::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use awc::middleware::Transform;
use awc::{ConnectRequest, ConnectResponse};
use futures_util::StreamExt as _;

/// Interim answers to one request; a server that sends more of them does not mean to answer.
const MAX_INTERIM: usize = 16;

/// The middleware.
#[derive(Debug)]
pub(super) struct SkipInterim;

/// A client's service that skips them.
#[derive(Debug)]
pub(super) struct Skipping<S> {
    service: S,
}

impl<S> Transform<S, ConnectRequest> for SkipInterim
where
    S: Service<ConnectRequest, Response = ConnectResponse, Error = SendRequestError, Future: 'static>,
{
    type Transform = Skipping<S>;

    fn new_transform(self, service: S) -> Self::Transform {
        Skipping { service }
    }
}

impl<S> Service<ConnectRequest> for Skipping<S>
where
    S: Service<ConnectRequest, Response = ConnectResponse, Error = SendRequestError, Future: 'static>,
{
    type Response = ConnectResponse;
    type Error = SendRequestError;
    type Future = Pin<Box<dyn Future<Output = Result<ConnectResponse, SendRequestError>>>>;

    actix_service::forward_ready!(service);

    fn call(&self, request: ConnectRequest) -> Self::Future {
        let answering = self.service.call(request);
        Box::pin(async move {
            let (mut head, mut framed) = match answering.await? {
                ConnectResponse::Tunnel(head, framed) => (head, framed),
                other => return Ok(other),
            };
            for _ in 0..MAX_INTERIM {
                if !is_interim(head.status) {
                    break;
                }
                // It has no body, and one that says that it has would be taken for the next answer.
                if [CONTENT_LENGTH, TRANSFER_ENCODING]
                    .iter()
                    .any(|name| head.headers.contains_key(name))
                {
                    return Err(ConnectError::Disconnected.into());
                }
                head = framed.next().await.ok_or(ConnectError::Disconnected)??;
            }
            Ok(ConnectResponse::Tunnel(head, framed))
        })
    }
}

/// The one to a handshake that succeeds is of the same hundred.
fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}
