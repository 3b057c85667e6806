//! The backend's REST interface.

use std::time::Duration;

use actix_http::ws::{Frame, Message};
use awc::ClientRequest;
use awc::http::header::{self, HeaderMap};
use awc::http::{Method, StatusCode};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::time::timeout;
use watchpost_config::ConnectionSettings;
use watchpost_core::{ConnectFailure, FailureKind, MonotonicTime, Secret, UnixMillis};
use watchpost_visionguard as wire;
use watchpost_visionguard::rest::{
    Anomaly, AnomalyChange, AnomalyPage, Connection, ErrorBody, LoginRequest, Shop, TokenResponse, User,
};
use watchpost_visionguard::{AddressError, Backend, ParseOptions, Parser, outgoing};

use crate::clock::Clock;

use super::context::bytes;
use super::transport::{Transport, WebSocket, classify_request, failure};

/// Longest answer that is not a picture, in bytes: 500 anomalies with long notes.
const MAX_ANSWER_BYTES: usize = 8 << 20;

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
    /// The backend of a connection.
    pub fn new(backend: Backend, settings: &ConnectionSettings) -> Self {
        let transport = Transport::new(backend, settings);
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
        let body = LoginRequest {
            email: email.to_owned(),
            password: password.clone(),
        };
        let answer = self
            .send(Method::POST, self.backend().login().as_str(), None, Some(&body))
            .await?;
        match answer.status {
            // 422 is how the backend says that a text is no e-mail address.
            StatusCode::UNAUTHORIZED | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(failure(FailureKind::Login, ErrorBody::parse(&answer.body)))
            }
            _ => Ok(answer.json()?.value),
        }
    }

    /// Whose a token is.
    ///
    /// # Errors
    /// [`FailureKind::Unauthorized`] when the backend does not accept it.
    pub async fn me(&self, token: &Secret) -> Result<Answered<User>, ConnectFailure> {
        self.get(self.backend().me().as_str(), Some(token)).await
    }

    /// Whether the backend runs; what it says of itself.
    ///
    /// # Errors
    /// When it does not answer 200 with JSON.
    pub async fn health(&self) -> Result<Answered<serde_json::Value>, ConnectFailure> {
        self.get(self.backend().health().as_str(), None).await
    }

    /// To whom the backend sends the alerts of this user.
    ///
    /// # Errors
    /// When it does not say.
    pub async fn slot(&self, user_id: &str) -> Result<Slot, ConnectFailure> {
        let url = self.backend().connection(user_id).map_err(address)?;
        match self.get(url.as_str(), None).await {
            Ok(held) => Ok(Slot::Held(held.value)),
            // The backend says the same of a route that it does not have.
            Err(e) if e.kind == FailureKind::Http(404) => {
                let list = self.backend().connections();
                match self.get::<serde_json::Value>(list.as_str(), None).await {
                    Ok(list) if list.value.get("connections").is_some() => Ok(Slot::Free),
                    Ok(_) => Ok(Slot::Unknowable),
                    Err(e) if matches!(e.kind, FailureKind::Http(404 | 405)) => Ok(Slot::Unknowable),
                    Err(e) => Err(e),
                }
            }
            Err(e) => Err(e),
        }
    }

    /// The user's shops.
    ///
    /// # Errors
    /// When the backend does not answer with a list.
    pub async fn shops(&self, token: &Secret) -> Result<Vec<Shop>, ConnectFailure> {
        let shops = self.get(self.backend().shops().as_str(), Some(token)).await?;
        Ok(shops.value)
    }

    /// A page of a shop's anomalies, newest first; `limit` may be 1 to 500.
    ///
    /// # Errors
    /// When the backend does not answer with a page; HTTP 500 when a row on it has an infinite score.
    pub async fn anomalies(
        &self,
        token: &Secret,
        shop_id: &str,
        limit: u16,
        offset: u64,
    ) -> Result<Answered<AnomalyPage>, ConnectFailure> {
        let url = self.backend().anomalies(Some(shop_id), limit, offset);
        self.get(url.as_str(), Some(token)).await
    }

    /// Whether the backend's database works, by counting a shop's anomalies, which it can do whatever their scores.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn can_count(&self, token: &Secret, shop_id: &str) -> Result<(), ConnectFailure> {
        let url = self.backend().summary(shop_id);
        self.get::<serde_json::Value>(url.as_str(), Some(token))
            .await
            .map(drop)
    }

    /// One anomaly.
    ///
    /// # Errors
    /// When there is none, or HTTP 500 when its score is infinite.
    pub async fn anomaly(&self, token: &Secret, id: &str) -> Result<Anomaly, ConnectFailure> {
        let anomaly = self.get(self.backend().anomaly(id).as_str(), Some(token)).await?;
        Ok(anomaly.value)
    }

    /// The picture behind an anomaly's `image_url`.
    ///
    /// # Errors
    /// When there is none there, or it is larger than `max_picture`.
    pub async fn picture(&self, token: &Secret, image_url: &str) -> Result<Bytes, ConnectFailure> {
        let url = self.backend().picture(image_url).ok_or_else(|| {
            failure(
                FailureKind::Address,
                format_args!("`{image_url}` is no path of a picture on the backend"),
            )
        })?;
        let request = self.request(Method::GET, url.as_str(), Some(token)).await?;
        let answer = self.exchange(request, Vec::new(), self.max_picture).await?;
        answer.ok().map(|answer| answer.body)
    }

    /// Marks an anomaly as acknowledged.
    ///
    /// # Errors
    /// When the backend refuses. HTTP 500 may mean that it took effect all the same.
    pub async fn acknowledge(&self, token: &Secret, id: &str) -> Result<(), ConnectFailure> {
        let url = self.backend().anomaly(id);
        let answer = self
            .send(
                Method::PATCH,
                url.as_str(),
                Some(token),
                Some(&AnomalyChange::ACKNOWLEDGED),
            )
            .await?;
        answer.ok().map(drop)
    }

    fn backend(&self) -> &Backend {
        &self.transport.backend
    }

    async fn get<T: DeserializeOwned>(
        &self,
        url: &str,
        token: Option<&Secret>,
    ) -> Result<Answered<T>, ConnectFailure> {
        self.send(Method::GET, url, token, None::<&()>).await?.json()
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        token: Option<&Secret>,
        body: Option<&impl Serialize>,
    ) -> Result<Answer, ConnectFailure> {
        let mut request = self.request(method, url, token).await?;
        let body = match body {
            None => Vec::new(),
            Some(body) => {
                request = request.insert_header((header::CONTENT_TYPE, "application/json"));
                serde_json::to_vec(body).map_err(|e| failure(FailureKind::Address, e))?
            }
        };
        self.exchange(request, body, MAX_ANSWER_BYTES).await
    }

    async fn request(
        &self,
        method: Method,
        url: &str,
        token: Option<&Secret>,
    ) -> Result<ClientRequest, ConnectFailure> {
        // The backend closes idle connections after 5 s, and some without saying so: none is used twice.
        let client = self.transport.client().await?;
        let request = client.request(method, url).force_close();
        Ok(match token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        })
    }

    async fn exchange(
        &self,
        request: ClientRequest,
        body: Vec<u8>,
        max_bytes: usize,
    ) -> Result<Answer, ConnectFailure> {
        let exchange = async {
            let mut response = request
                .no_decompress()
                .send_body(body)
                .await
                .map_err(|e| classify_request(&e))?;
            let body = response.body().limit(max_bytes).await.map_err(|e| {
                failure(
                    FailureKind::Network,
                    format_args!("the answer could not be read: {e}"),
                )
            })?;
            Ok(Answer {
                status: response.status(),
                server_time: date(response.headers()),
                body,
            })
        };
        match timeout(self.answer_within, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(failure(FailureKind::Timeout, "the server did not answer in time")),
        }
    }
}

/// What came back.
struct Answer {
    status: StatusCode,
    server_time: Option<UnixMillis>,
    body: Bytes,
}

impl Answer {
    fn ok(self) -> Result<Self, ConnectFailure> {
        if self.status.is_success() {
            return Ok(self);
        }
        let kind = match self.status {
            StatusCode::UNAUTHORIZED => FailureKind::Unauthorized,
            StatusCode::FORBIDDEN => FailureKind::Forbidden,
            other => FailureKind::Http(other.as_u16()),
        };
        Err(failure(kind, ErrorBody::parse(&self.body)))
    }

    fn json<T: DeserializeOwned>(self) -> Result<Answered<T>, ConnectFailure> {
        let answer = self.ok()?;
        let value = serde_json::from_slice(&answer.body).map_err(|e| {
            failure(
                FailureKind::Http(answer.status.as_u16()),
                format_args!("the answer is not what VisionGuard says: {e}"),
            )
        })?;
        Ok(Answered {
            value,
            server_time: answer.server_time,
        })
    }
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
