//! Asks at the backend's REST interface. What is asked and what the answers mean is `watchpost_visionguard`'s to say.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use actix_http::ws::{Frame, Message};
use awc::ClientRequest;
use awc::error::PayloadError;
use awc::http::Method;
use awc::http::header::{self, HeaderMap};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::time::timeout;
use watchpost_config::ConnectionSettings;
use watchpost_core::{ConnectFailure, FailureKind, MonotonicTime, Secret, UnixMillis};
use watchpost_visionguard as wire;
use watchpost_visionguard::calls::{self, Call};
use watchpost_visionguard::rest::{Anomaly, AnomalyPage, Connection, Shop, TokenResponse, User};
use watchpost_visionguard::{AddressError, Backend, ParseOptions, Parser, outgoing};

use crate::clock::Clock;
use crate::platform::{Machine, Platform};

use super::context::bytes;
use super::transport::{Transport, WebSocket, classify_request, failure};

/// Longest answer that is not a picture, in bytes: 500 anomalies with long notes.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// What is shown of the address that a redirection leads to, in characters.
const MAX_LOCATION_CHARS: usize = 200;

/// How much longer than a connect a whole answer may take: the backend is busy with pictures at times.
const ANSWER_FACTOR: u32 = 3;

/// What can be asked of one backend. It holds no token: each question brings its own.
#[derive(Debug)]
pub struct Api {
    transport: Transport,
    answer_within: Duration,
    max_picture: usize,
}

/// An answer, and the time that the backend gave it at by its own clock.
#[derive(Clone, Debug)]
pub struct Answered<T> {
    /// What was asked for.
    pub value: T,
    /// The header `Date`, which has whole seconds.
    pub server_time: Option<UnixMillis>,
    /// How long the answer was, in bytes.
    pub bytes: usize,
}

/// To which socket the backend sends a user's alerts.
#[derive(Clone, Debug, PartialEq)]
pub enum Slot {
    /// To this socket.
    Held(Connection),
    /// To none.
    Free,
    /// This backend cannot tell.
    Unknowable,
}

impl Api {
    /// The backend of a connection, over this machine's network.
    pub fn new(backend: Backend, settings: &ConnectionSettings) -> Self {
        Self::on(Arc::new(Machine), backend, settings)
    }

    /// The backend of a connection, over the network of a platform.
    pub(super) fn on(platform: Arc<dyn Platform>, backend: Backend, settings: &ConnectionSettings) -> Self {
        let transport = Transport::new(platform, backend, settings);
        Self {
            answer_within: transport.timeout * ANSWER_FACTOR,
            transport,
            max_picture: bytes(settings.max_picture),
        }
    }

    /// Opens the alert socket.
    pub(super) async fn dial(&self, user_id: &str, token: &Secret) -> Result<WebSocket, ConnectFailure> {
        self.transport.dial(user_id, token).await
    }

    /// Opens the alert socket, asks for a sign of life, and closes it. Returns how long the answer took. It takes the
    /// alerts from whoever has them, and has that one forgotten: not for a backend that a hub is connected to.
    ///
    /// # Errors
    /// When it does not open, or no answer comes.
    pub async fn round_trip(&self, user_id: &str, token: &Secret) -> Result<Duration, ConnectFailure> {
        let mut socket = self.dial(user_id, token).await?;
        let broken = |e: &dyn std::fmt::Display| {
            failure(FailureKind::Network, format_args!("the connection broke: {e}"))
        };
        let clock = Clock::start();
        let ping = Message::Text(outgoing::ping(clock.utc()).into());
        socket.send(ping).await.map_err(|e| broken(&e))?;
        let mut parser = Parser::new(ParseOptions::default());
        let answered = async {
            while let Some(frame) = socket.next().await {
                let Frame::Text(text) = frame.map_err(|e| broken(&e))? else {
                    continue;
                };
                if let Ok(wire::Message::Pong { .. }) = parser.parse(&text) {
                    return Ok(clock.now().since(MonotonicTime::default()));
                }
            }
            Err(broken(&"the server closed it"))
        };
        let outcome = match timeout(self.answer_within, answered).await {
            Ok(outcome) => outcome,
            Err(_) => Err(failure(FailureKind::Timeout, "a ping was not answered in time")),
        };
        // A farewell spares the server the search for us; nothing depends on it.
        let _ = socket.send(Message::Close(None)).await;
        outcome
    }

    /// Logs in.
    ///
    /// # Errors
    /// [`FailureKind::Login`] when the e-mail address or the password is wrong.
    pub async fn login(&self, email: &str, password: &Secret) -> Result<TokenResponse, ConnectFailure> {
        let call = calls::login(self.backend(), email, password);
        let answer = self.send(&call, None, MAX_ANSWER_BYTES).await?;
        answer.read(&call, &[password])
    }

    /// Whose a token is.
    ///
    /// # Errors
    /// [`FailureKind::Unauthorized`] when the backend does not accept it, [`FailureKind::UserGone`] when its user does
    /// not exist any more.
    pub async fn me(&self, token: &Secret) -> Result<Answered<User>, ConnectFailure> {
        self.ask(calls::me(self.backend()), Some(token)).await
    }

    /// Whether the backend runs.
    ///
    /// # Errors
    /// When it does not answer 200 with JSON.
    pub async fn health(&self) -> Result<(), ConnectFailure> {
        self.value(calls::health(self.backend()), None).await
    }

    /// To whom the backend sends the alerts of this user.
    ///
    /// # Errors
    /// When it does not say.
    pub async fn slot(&self, user_id: &str) -> Result<Slot, ConnectFailure> {
        let socket = calls::socket_of(self.backend(), user_id).map_err(address)?;
        if let Some(socket) = self.value(socket, None).await? {
            return Ok(Slot::Held(socket));
        }
        let tells = self.value(calls::tells_sockets(self.backend()), None).await?;
        Ok(if tells { Slot::Free } else { Slot::Unknowable })
    }

    /// The user's shops.
    ///
    /// # Errors
    /// When the backend does not answer with a list.
    pub async fn shops(&self, token: &Secret) -> Result<Answered<Vec<Shop>>, ConnectFailure> {
        self.ask(calls::shops(self.backend()), Some(token)).await
    }

    /// A page of a shop's anomalies, newest first; `limit` may be 1 to 500.
    ///
    /// # Errors
    /// When the backend does not answer with a page: [`calls::cannot_be_shown`] says whether a row may be the reason.
    pub async fn anomalies(
        &self,
        token: &Secret,
        shop_id: &str,
        limit: u16,
        offset: u64,
    ) -> Result<Answered<AnomalyPage>, ConnectFailure> {
        self.ask(
            calls::anomalies(self.backend(), shop_id, limit, offset),
            Some(token),
        )
        .await
    }

    /// Whether the backend's database works.
    ///
    /// # Errors
    /// When it does not.
    pub async fn can_count(&self, token: &Secret, shop_id: &str) -> Result<(), ConnectFailure> {
        self.value(calls::summary(self.backend(), shop_id), Some(token))
            .await
    }

    /// One anomaly.
    ///
    /// # Errors
    /// When there is none, or it cannot be shown.
    pub async fn anomaly(&self, token: &Secret, id: &str) -> Result<Anomaly, ConnectFailure> {
        self.value(calls::anomaly(self.backend(), id), Some(token)).await
    }

    /// The picture behind an anomaly's `image_url`.
    ///
    /// # Errors
    /// When there is none there, or it is larger than `max_picture`.
    pub async fn picture(&self, token: &Secret, image_url: &str) -> Result<Bytes, ConnectFailure> {
        let call = calls::picture(self.backend(), image_url)?;
        let answer = self.send(&call, Some(token), self.max_picture).await?;
        answer.read(&call, &[token])?;
        Ok(answer.body)
    }

    /// Marks an anomaly as acknowledged.
    ///
    /// # Errors
    /// When the backend refuses. HTTP 500 may mean that it took effect all the same.
    pub async fn acknowledge(&self, token: &Secret, id: &str) -> Result<(), ConnectFailure> {
        self.value(calls::acknowledge(self.backend(), id), Some(token))
            .await
    }

    fn backend(&self) -> &Backend {
        &self.transport.backend
    }

    async fn value<T>(&self, call: Call<T>, token: Option<&Secret>) -> Result<T, ConnectFailure> {
        self.ask(call, token).await.map(|answered| answered.value)
    }

    async fn ask<T>(&self, call: Call<T>, token: Option<&Secret>) -> Result<Answered<T>, ConnectFailure> {
        let answer = self.send(&call, token, MAX_ANSWER_BYTES).await?;
        Ok(Answered {
            value: answer.read(&call, token.as_slice())?,
            bytes: answer.body.len(),
            server_time: answer.server_time,
        })
    }

    async fn send<T>(
        &self,
        call: &Call<T>,
        token: Option<&Secret>,
        max_bytes: usize,
    ) -> Result<Answer, ConnectFailure> {
        let method = match call.method {
            calls::Method::Get => Method::GET,
            calls::Method::Post => Method::POST,
            calls::Method::Patch => Method::PATCH,
        };
        // The backend closes idle connections after 5 s, and some without saying so: none is used twice.
        let client = self.transport.client().await?;
        let mut request = client.request(method, call.url.as_str()).force_close();
        if let Some(token) = token {
            request = request.bearer_auth(token.expose());
        }
        if call.body.is_some() {
            request = request.insert_header((header::CONTENT_TYPE, "application/json"));
        }
        let body = call.body.clone().unwrap_or_default();
        let host = self.backend().host_and_port().0;
        match timeout(self.answer_within, exchange(request, body, max_bytes, &host)).await {
            Ok(answer) => answer,
            Err(_) => Err(failure(FailureKind::Timeout, "the server did not answer in time")),
        }
    }
}

/// What came back.
struct Answer {
    status: u16,
    /// Where a redirection leads.
    location: Option<String>,
    server_time: Option<UnixMillis>,
    body: Bytes,
}

impl Answer {
    /// Says where a redirection leads, without its query.
    fn redirected(&self) -> ConnectFailure {
        let location = self
            .location
            .as_deref()
            .unwrap_or("an address that it does not say");
        let target = location.split(['?', '#']).next().unwrap_or(location);
        let target: String = target.chars().take(MAX_LOCATION_CHARS).collect();
        failure(
            FailureKind::Redirected,
            format_args!("HTTP {} leads to {target}", self.status),
        )
    }

    /// Reads it. Whatever went wrong, none of these secrets is in the words for it: refusals repeat requests.
    fn read<T>(&self, call: &Call<T>, secrets: &[&Secret]) -> Result<T, ConnectFailure> {
        if let Some(failure) = calls::foreign(self.status, &self.body) {
            return Err(failure);
        }
        let body = match self.status {
            200..300 => Cow::Borrowed(&self.body[..]),
            _ => Cow::Owned(wire::without_secrets(&self.body, secrets)),
        };
        let read = match self.status {
            300..400 => Err(self.redirected()),
            _ => call.read(self.status, &body),
        };
        read.map_err(|failure| {
            let hide = |detail: String, secret: &&Secret| wire::hidden(&detail, secret);
            ConnectFailure {
                detail: secrets.iter().fold(failure.detail, hide),
                ..failure
            }
        })
    }
}

async fn exchange(
    request: ClientRequest,
    body: Vec<u8>,
    max_bytes: usize,
    host: &str,
) -> Result<Answer, ConnectFailure> {
    let mut response = request
        .no_decompress()
        .send_body(body)
        .await
        .map_err(|e| classify_request(&e, host))?;
    let status = response.status().as_u16();
    let body = response.body().limit(max_bytes).await.map_err(|e| match e {
        PayloadError::Overflow => failure(
            FailureKind::Http(status),
            format_args!("the answer is larger than {max_bytes} bytes"),
        ),
        e => failure(
            FailureKind::Network,
            format_args!("the answer could not be read: {e}"),
        ),
    })?;
    Ok(Answer {
        status,
        location: text(response.headers(), header::LOCATION),
        server_time: date(response.headers()),
        body,
    })
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The header `Date` (RFC 9110, section 6.6.1).
fn date(headers: &HeaderMap) -> Option<UnixMillis> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    // The form is that of mails, but for the name of the zone.
    let text = text.replace("GMT", "+0000");
    OffsetDateTime::parse(&text, &Rfc2822).ok().map(UnixMillis::from)
}

fn address(error: AddressError) -> ConnectFailure {
    failure(FailureKind::Address, error)
}

#[cfg(test)]
mod tests {
    use awc::http::header::HeaderValue;

    use super::*;

    #[test]
    fn the_servers_clock_is_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(
            header::DATE,
            HeaderValue::from_static("Mon, 23 Nov 2026 01:16:30 GMT"),
        );
        assert_eq!(date(&headers).unwrap().to_string(), "2026-11-23T01:16:30.000Z");
    }
}
