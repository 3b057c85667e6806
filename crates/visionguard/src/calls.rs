//! What can be asked of the backend over HTTP: each question with its address and body, and how its answer is read. It
//! sends nothing, and knows no client.

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use url::Url;
use watchpost_core::{ConnectFailure, FailureKind, Secret};

use crate::rest::{
    Anomaly, AnomalyChange, AnomalyPage, Connection, ErrorBody, LoginRequest, Shop, TokenResponse, User,
};
use crate::{AddressError, Backend};

/// A question, whose answer is a `T`.
pub struct Call<T> {
    /// How it is asked.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// What goes with it, as JSON. It may hold a password.
    pub body: Option<Vec<u8>>,
    read: fn(Reply<'_>) -> Result<T, ConnectFailure>,
}

/// How a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the methods of HTTP")]
pub enum Method {
    Get,
    Post,
    Patch,
}

/// What came back.
#[derive(Clone, Copy, Debug)]
struct Reply<'a> {
    status: u16,
    body: &'a [u8],
}

/// What the backend says of a token whose user does not exist any more.
const USER_GONE: &str = "User not found";

impl<T> Call<T> {
    /// Reads the answer.
    ///
    /// # Errors
    /// When the backend refuses, or answers something else than what was asked for.
    pub fn read(&self, status: u16, body: &[u8]) -> Result<T, ConnectFailure> {
        if let Some(failure) = foreign(status, body) {
            return Err(failure);
        }
        (self.read)(Reply { status, body })
    }

    fn get(url: Url, read: fn(Reply<'_>) -> Result<T, ConnectFailure>) -> Self {
        Self {
            method: Method::Get,
            url,
            body: None,
            read,
        }
    }

    fn send(
        method: Method,
        url: Url,
        body: &impl Serialize,
        read: fn(Reply<'_>) -> Result<T, ConnectFailure>,
    ) -> Self {
        Self {
            method,
            url,
            // Texts always encode.
            body: Some(serde_json::to_vec(body).unwrap_or_default()),
            read,
        }
    }
}

/// Logs in. A refusal is of the kind [`FailureKind::Login`].
pub fn login(backend: &Backend, email: &str, password: &Secret) -> Call<TokenResponse> {
    let body = LoginRequest {
        email: email.to_owned(),
        password: password.clone(),
    };
    Call::send(Method::Post, backend.login(), &body, |reply| match reply.status {
        // 422 is how the backend says that a text is no e-mail address.
        401 | 422 => Err(failure(FailureKind::Login, ErrorBody::parse(reply.body))),
        _ => reply.json(),
    })
}

/// Whose a token is.
pub fn me(backend: &Backend) -> Call<User> {
    Call::get(backend.me(), |reply| reply.json())
}

/// Whether the backend runs. Its word for how well is not looked at: it says `degraded` for want of a film.
pub fn health(backend: &Backend) -> Call<()> {
    Call::get(backend.health(), |reply| reply.anything())
}

/// The socket to which the backend sends the alerts of this user; `None` is what it also says where it has no such
/// route, which [`tells_sockets`] tells apart.
///
/// # Errors
/// When the user id cannot stand in a path.
pub fn socket_of(backend: &Backend, user_id: &str) -> Result<Call<Option<Connection>>, AddressError> {
    let url = backend.connection(user_id)?;
    Ok(Call::get(url, |reply| match reply.status {
        404 => Ok(None),
        _ => reply.json().map(Some),
    }))
}

/// Whether the backend can tell at all to which sockets it sends alerts.
pub fn tells_sockets(backend: &Backend) -> Call<bool> {
    Call::get(backend.connections(), |reply| match reply.status {
        404 | 405 => Ok(false),
        _ => Ok(reply.json::<Value>()?.get("connections").is_some()),
    })
}

/// The user's shops.
pub fn shops(backend: &Backend) -> Call<Vec<Shop>> {
    Call::get(backend.shops(), |reply| reply.json())
}

/// A page of a shop's anomalies, newest first; `limit` may be 1 to 500. What [`cannot_be_shown`] says of a failure counts.
pub fn anomalies(backend: &Backend, shop_id: &str, limit: u16, offset: u64) -> Call<AnomalyPage> {
    Call::get(backend.anomalies(Some(shop_id), limit, offset), |reply| {
        reply.json()
    })
}

/// Counts a shop's anomalies, which the backend can do whatever their scores as long as its database works.
pub fn summary(backend: &Backend, shop_id: &str) -> Call<()> {
    Call::get(backend.summary(shop_id), |reply| reply.anything())
}

/// One anomaly.
pub fn anomaly(backend: &Backend, id: &str) -> Call<Anomaly> {
    Call::get(backend.anomaly(id), |reply| reply.json())
}

/// Marks an anomaly as acknowledged. HTTP 500 may mean that it took effect all the same: the backend cannot show a row
/// with an infinite score, not even the one that it has just changed.
pub fn acknowledge(backend: &Backend, id: &str) -> Call<()> {
    Call::send(
        Method::Patch,
        backend.anomaly(id),
        &AnomalyChange::ACKNOWLEDGED,
        |reply| reply.ok(),
    )
}

/// The picture behind an anomaly's `image_url`: the body of the answer, as it is.
///
/// # Errors
/// When that is no path on the backend: the token goes to no other host.
pub fn picture(backend: &Backend, image_url: &str) -> Result<Call<()>, ConnectFailure> {
    let url = backend.picture(image_url).ok_or_else(|| {
        failure(
            FailureKind::Address,
            format_args!("`{image_url}` is no path of a picture on the backend"),
        )
    })?;
    Ok(Call::get(url, |reply| reply.ok()))
}

/// Whether a failure may mean that a row among those asked for has an infinite score, which the backend cannot write as
/// JSON. Without its database it answers the same to everything; [`summary`] tells the two apart.
pub fn cannot_be_shown(failure: &ConnectFailure) -> bool {
    failure.kind == FailureKind::Http(500)
}

/// The failure that it is when something before the backend has answered, such as a proxy or a login page: the backend speaks
/// JSON, gives pictures, and has no page. Nothing of the answer is shown, as it may repeat what was asked.
pub fn foreign(status: u16, body: &[u8]) -> Option<ConnectFailure> {
    let body = body.trim_ascii_start();
    let is_foreign = match status {
        // Where it leads says more.
        300..=399 => false,
        // A proxy that knows no such backend, or does not reach it, has words of its own.
        404 | 502..=504 => !body.is_empty() && serde_json::from_slice::<IgnoredAny>(body).is_err(),
        _ => body.starts_with(b"<"),
    };
    is_foreign.then(|| failure(FailureKind::Foreign(status), "the answer is a page or a text"))
}

impl Reply<'_> {
    fn ok(self) -> Result<(), ConnectFailure> {
        if (200..300).contains(&self.status) {
            return Ok(());
        }
        let body = ErrorBody::parse(self.body);
        let kind = match self.status {
            401 if body.says(USER_GONE) => FailureKind::UserGone,
            401 => FailureKind::Unauthorized,
            403 => FailureKind::Forbidden,
            other => FailureKind::Http(other),
        };
        Err(failure(kind, body))
    }

    fn json<T: DeserializeOwned>(self) -> Result<T, ConnectFailure> {
        self.ok()?;
        serde_json::from_slice(self.body).map_err(|e| {
            failure(
                FailureKind::Http(self.status),
                format_args!("the answer is not what VisionGuard says: {e}"),
            )
        })
    }

    /// Any JSON.
    fn anything(self) -> Result<(), ConnectFailure> {
        self.json::<IgnoredAny>().map(drop)
    }
}

pub(crate) fn failure(kind: FailureKind, detail: impl std::fmt::Display) -> ConnectFailure {
    ConnectFailure {
        kind,
        detail: detail.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NGINX: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body></html>";
    const OWN: &str = r#"{"error":"Not Found","message":"The requested endpoint does not exist"}"#;

    fn kind<T>(read: Result<T, ConnectFailure>) -> Option<FailureKind> {
        read.err().map(|failure| failure.kind)
    }

    #[test]
    fn what_something_else_says_in_the_backends_place_is_no_word_of_the_backends() {
        let backend = Backend::parse("http://127.0.0.1:9").unwrap();
        let picture = picture(&backend, "/api/anomalies/frames/s/a.jpg").unwrap();
        let login = login(&backend, "o@example.com", &Secret::new("p"));
        let list = anomalies(&backend, "s", 5, 0);
        let change = acknowledge(&backend, "a");
        let foreign = |status| Some(FailureKind::Foreign(status));
        // The page of a portal, and a proxy without its backend: gone, or refused, is what the backend alone can say.
        for status in [200, 401, 403, 404, 500, 502, 503] {
            let page = NGINX.as_bytes();
            assert_eq!(kind(picture.read(status, page)), foreign(status));
            assert_eq!(kind(login.read(status, page)), foreign(status));
            assert_eq!(kind(list.read(status, page)), foreign(status));
            assert_eq!(kind(change.read(status, page)), foreign(status));
        }
        assert_eq!(kind(list.read(404, b"404 page not found\n")), foreign(404));
        assert_eq!(kind(list.read(503, b"no available server")), foreign(503));
        // These are the backend's own, or say nothing.
        for (status, body) in [(404, OWN), (404, ""), (500, "Internal Server Error"), (503, "{}")] {
            let expected = Some(FailureKind::Http(status));
            assert_eq!(
                kind(picture.read(status, body.as_bytes())),
                expected,
                "{status} {body}"
            );
        }
        assert_eq!(kind(picture.read(200, b"\xff\xd8\xff")), None);
        let said = list.read(502, NGINX.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            said,
            "HTTP 502, and not from the backend: the answer is a page or a text"
        );
    }

    #[test]
    fn whose_the_alerts_are_is_not_known_from_a_proxys_page() {
        let backend = Backend::parse("http://127.0.0.1:9").unwrap();
        let socket = socket_of(&backend, "u").unwrap();
        assert_eq!(socket.read(404, OWN.as_bytes()).unwrap(), None);
        assert_eq!(
            kind(socket.read(404, NGINX.as_bytes())),
            Some(FailureKind::Foreign(404))
        );
        let tells = tells_sockets(&backend);
        assert!(!tells.read(404, OWN.as_bytes()).unwrap());
        assert_eq!(
            kind(tells.read(404, NGINX.as_bytes())),
            Some(FailureKind::Foreign(404))
        );
    }
}
