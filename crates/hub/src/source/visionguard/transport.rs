//! Opens connections to the backend, and says in which of its stages an attempt failed. It never lets the token
//! out: no error made here carries the URL.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_codec::Framed;
use awc::error::{ConnectError, SendRequestError, WsClientError};
use awc::http::StatusCode;
use awc::http::header::{HeaderName, HeaderValue};
use awc::{BoxedSocket, Client};
use tokio::time::timeout;
use watchpost_config::{ConnectionSettings, HeaderSettings};
use watchpost_core::{ConnectFailure, FailureKind, Secret};
use watchpost_dial::trust::explain;
use watchpost_visionguard::Backend;

use super::context::bytes;
use super::frame_limit::LimitedCodec;
use super::tls::Trust;
use crate::http::{Secured, connector};
use crate::platform::Platform;

/// An open WebSocket to the backend.
pub(crate) type WebSocket = Framed<BoxedSocket, LimitedCodec>;

/// The way to one backend: its address, the certificates to trust, the headers to send.
pub(super) struct Transport {
    platform: Arc<dyn Platform>,
    pub(super) backend: Backend,
    trust: Trust,
    headers: Vec<HeaderSettings>,
    pub(super) timeout: Duration,
    max_message: usize,
}

impl Transport {
    pub(super) fn new(platform: Arc<dyn Platform>, backend: Backend, settings: &ConnectionSettings) -> Self {
        Self {
            platform,
            backend,
            trust: Trust::new(settings.ca_file.clone()),
            headers: settings.header.clone(),
            timeout: settings.connect_timeout.into(),
            max_message: bytes(settings.max_message),
        }
    }

    /// One attempt to open the alert socket.
    pub(super) async fn dial(&self, user_id: &str, token: &Secret) -> Result<WebSocket, ConnectFailure> {
        let address = |e| failure(FailureKind::Address, e);
        let url = self.backend.alerts(user_id, token.expose()).map_err(address)?;
        if self.backend.is_secure() {
            self.trust.reload().await?;
        }
        let client = self.client().await?;
        let open = client.ws(url.expose()).max_frame_size(self.max_message).connect();
        match timeout(self.timeout, open).await {
            Ok(Ok((_response, socket))) => {
                Ok(socket.into_map_codec(|codec| LimitedCodec::new(codec, self.max_message)))
            }
            Ok(Err(error)) => Err(classify(&error, &self.backend.host_and_port().0)),
            Err(_) => Err(failure(FailureKind::Timeout, "the server did not answer in time")),
        }
    }

    /// A client with the certificates and headers as they are now.
    pub(super) async fn client(&self) -> Result<Client, ConnectFailure> {
        let tls = if self.backend.is_secure() {
            Some(self.trust.config().await?)
        } else {
            None
        };
        let connector = connector(&self.platform, tls).timeout(self.timeout);
        // A redirection would carry the token to wherever it leads.
        let mut builder = Client::builder()
            .connector(connector)
            .wrap(Secured)
            .disable_timeout()
            .disable_redirects();
        for header in &self.headers {
            let unreadable = |e: &dyn std::fmt::Display| {
                failure(
                    FailureKind::Credentials,
                    format_args!("header {}: {e}", header.name),
                )
            };
            let secret = header.secret.read().map_err(|e| unreadable(&e))?;
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|e| unreadable(&e))?;
            let value = HeaderValue::from_str(secret.expose())
                .map_err(|_| unreadable(&"its value has characters that a header cannot have"))?;
            builder = builder.add_default_header((name, value));
        }
        Ok(builder.finish())
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

pub(crate) fn failure(kind: FailureKind, detail: impl std::fmt::Display) -> ConnectFailure {
    ConnectFailure {
        kind,
        detail: detail.to_string(),
    }
}

fn classify(error: &WsClientError, host: &str) -> ConnectFailure {
    match error {
        WsClientError::InvalidResponseStatus(status) => {
            let kind = match *status {
                StatusCode::UNAUTHORIZED => FailureKind::Unauthorized,
                StatusCode::FORBIDDEN => FailureKind::Forbidden,
                other if other.is_redirection() => FailureKind::Redirected,
                other => FailureKind::NoWebSocket(other.as_u16()),
            };
            failure(kind, "the server refused the WebSocket")
        }
        WsClientError::SendRequest(error) => classify_request(error, host),
        other => failure(
            FailureKind::NoWebSocket(101),
            format_args!("not a WebSocket handshake: {other}"),
        ),
    }
}

pub(crate) fn classify_request(error: &SendRequestError, host: &str) -> ConnectFailure {
    match error {
        SendRequestError::Connect(ConnectError::Resolver(e)) => failure(FailureKind::Dns, e),
        SendRequestError::Connect(ConnectError::NoRecords) => {
            failure(FailureKind::Dns, "the name has no address")
        }
        SendRequestError::Connect(ConnectError::Timeout) | SendRequestError::Timeout => {
            failure(FailureKind::Timeout, "the server did not answer in time")
        }
        SendRequestError::Connect(ConnectError::Io(e)) | SendRequestError::Send(e) => classify_io(e, host),
        SendRequestError::Connect(ConnectError::Disconnected) => failure(
            FailureKind::Network,
            "the server closed the connection before it answered",
        ),
        SendRequestError::Response(e) => {
            failure(FailureKind::Network, format_args!("unreadable answer: {e}"))
        }
        other => failure(FailureKind::Network, other),
    }
}

fn classify_io(error: &io::Error, host: &str) -> ConnectFailure {
    if let Some(error) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return failure(FailureKind::Tls, explain(error, host).words);
    }
    let kind = match error.kind() {
        io::ErrorKind::ConnectionRefused => FailureKind::Refused,
        io::ErrorKind::TimedOut => FailureKind::Timeout,
        _ => FailureKind::Network,
    };
    failure(kind, error)
}
