//! The backend's addresses. It connects to none of them.

use std::fmt;

use url::Url;

/// A VisionGuard backend, by the address the site's configuration gives: `http`, `https`, `ws` or `wss`,
/// with a path in front when a proxy puts it there.
#[derive(Clone, PartialEq, Eq)]
pub struct Backend {
    /// With scheme `http` or `https`, without query, fragment and credentials.
    base: Url,
}

/// The alert socket's address with the token in it. Shown, it has `***` in the token's place.
#[derive(Clone, PartialEq, Eq)]
pub struct AlertUrl {
    url: Url,
}

/// Why a text is no address of a backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It does not parse.
    #[error("not an address: {problem}; expected something like `http://192.168.1.20:8000`")]
    NotUrl {
        /// What the parser said.
        problem: String,
    },
    /// It has another scheme, or none.
    #[error("the address must begin with http://, https://, ws:// or wss://, not with `{scheme}:`")]
    Scheme {
        /// What it has.
        scheme: String,
    },
    /// It has credentials, a query or a fragment.
    #[error("the address must not contain {what}: leave it out, the token is set apart")]
    Extra {
        /// What it has, without its content.
        what: &'static str,
    },
    /// It already has the path that is added to it.
    #[error("the address must not end in `/ws/alerts`: the path is added to it")]
    PathIncluded,
    /// The user id cannot stand in a path.
    #[error(
        "the user id `{user_id}` cannot stand in an address: expected the UUID that the login reply shows"
    )]
    UserId {
        /// What was given.
        user_id: String,
    },
}

impl Backend {
    /// Reads the address.
    ///
    /// # Errors
    /// When it is no address, or has parts that do not belong to one.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let mut base = Url::parse(text.trim()).map_err(|e| AddressError::NotUrl {
            problem: e.to_string(),
        })?;
        let scheme = match base.scheme() {
            "http" | "ws" => "http",
            "https" | "wss" => "https",
            other => {
                return Err(AddressError::Scheme {
                    scheme: other.to_owned(),
                });
            }
        };
        // Between schemes of the web this cannot fail; were it to, the address would keep its own.
        let _ = base.set_scheme(scheme);
        let extra = [
            (
                !base.username().is_empty() || base.password().is_some(),
                "a user name or password",
            ),
            (base.query().is_some(), "a query (`?…`)"),
            (base.fragment().is_some(), "a fragment (`#…`)"),
        ];
        if let Some((_, what)) = extra.into_iter().find(|(found, _)| *found) {
            return Err(AddressError::Extra { what });
        }
        if base.path().trim_end_matches('/').ends_with("/ws/alerts") {
            return Err(AddressError::PathIncluded);
        }
        Ok(Self { base })
    }

    /// `{base}/ws/alerts/{user_id}?token={token}` with scheme `ws` or `wss`, percent-encoded. The backend
    /// reads the token nowhere else.
    ///
    /// # Errors
    /// When the user id cannot stand in a path.
    pub fn alerts(&self, user_id: &str, token: &str) -> Result<AlertUrl, AddressError> {
        let mut url = self.with_user(&["ws", "alerts"], user_id)?;
        let _ = url.set_scheme(if self.is_secure() { "wss" } else { "ws" });
        url.query_pairs_mut().append_pair("token", token);
        Ok(AlertUrl { url })
    }

    /// `POST` here logs in.
    pub fn login(&self) -> Url {
        self.at(&["auth", "login"])
    }

    /// Says whose a token is.
    pub fn me(&self) -> Url {
        self.at(&["auth", "me"])
    }

    /// Answers 200 while the backend runs, even without its database.
    pub fn health(&self) -> Url {
        self.at(&["health"])
    }

    /// Lists the shops of the user.
    pub fn shops(&self) -> Url {
        self.at(&["shops"])
    }

    /// Lists all sockets. It tells a backend that knows no socket of a user from one that cannot tell.
    pub fn connections(&self) -> Url {
        self.at(&["ws", "connections"])
    }

    /// One anomaly, for `GET` and `PATCH`.
    pub fn anomaly(&self, id: &str) -> Url {
        self.at(&["api", "anomalies", id])
    }

    /// Counts a shop's anomalies.
    pub fn summary(&self, shop_id: &str) -> Url {
        let mut url = self.at(&["api", "anomalies", "stats", "summary"]);
        url.query_pairs_mut().append_pair("shop_id", shop_id);
        url
    }

    /// The picture behind an anomaly's `image_url`, which is a path on the backend. `None` for anything else: the
    /// token goes to no other host.
    pub fn picture(&self, image_url: &str) -> Option<Url> {
        let path = image_url
            .strip_prefix('/')
            .filter(|path| !path.starts_with('/'))?;
        let segments: Vec<&str> = path.split('/').collect();
        let odd =
            |segment: &&str| matches!(*segment, "" | "." | "..") || segment.contains(['?', '#', '%', '\\']);
        (!segments.iter().any(odd)).then(|| self.at(&segments))
    }

    /// Says whether the backend counts this user's socket as open.
    ///
    /// # Errors
    /// When the user id cannot stand in a path.
    pub fn connection(&self, user_id: &str) -> Result<Url, AddressError> {
        self.with_user(&["ws", "connections"], user_id)
    }

    /// A page of anomalies, newest first. `limit` may be 1 to 500. Without a shop the backend lists those of
    /// every owner.
    pub fn anomalies(&self, shop_id: Option<&str>, limit: u16, offset: u64) -> Url {
        let mut url = self.at(&["api", "anomalies"]);
        let mut query = url.query_pairs_mut();
        if let Some(shop_id) = shop_id {
            query.append_pair("shop_id", shop_id);
        }
        query
            .append_pair("limit", &limit.to_string())
            .append_pair("offset", &offset.to_string());
        drop(query);
        url
    }

    /// The host, as a name or an address, and the port.
    pub fn host_and_port(&self) -> (String, u16) {
        let host = self.base.host_str().unwrap_or_default();
        // An IPv6 address stands in brackets.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        (host, self.base.port_or_known_default().unwrap_or_default())
    }

    /// Whether it is spoken to over TLS.
    pub fn is_secure(&self) -> bool {
        self.base.scheme() == "https"
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn with_user(&self, path: &[&str], user_id: &str) -> Result<Url, AddressError> {
        if matches!(user_id, "" | "." | "..") {
            return Err(AddressError::UserId {
                user_id: user_id.to_owned(),
            });
        }
        Ok(self.at(&[path, &[user_id]].concat()))
    }
}

impl AlertUrl {
    /// The address with its token, for the one place that connects.
    pub fn expose(&self) -> &str {
        self.url.as_str()
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backend({self})")
    }
}

impl fmt::Display for AlertUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.url.clone();
        shown.set_query(Some("token=***"));
        shown.fmt(f)
    }
}

impl fmt::Debug for AlertUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlertUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alerts(base: &str, user_id: &str, token: &str) -> AlertUrl {
        Backend::parse(base).unwrap().alerts(user_id, token).unwrap()
    }

    #[test]
    fn the_alert_socket_follows_the_base() {
        for (base, expected) in [
            ("http://10.0.0.2:8000", "ws://10.0.0.2:8000/ws/alerts/u-1?token=t"),
            ("https://vg.example/", "wss://vg.example/ws/alerts/u-1?token=t"),
            (
                "ws://vg.example:80/a/b",
                "ws://vg.example/a/b/ws/alerts/u-1?token=t",
            ),
            (
                " wss://vg.example:8443/a/ ",
                "wss://vg.example:8443/a/ws/alerts/u-1?token=t",
            ),
            ("http://[::1]:8000", "ws://[::1]:8000/ws/alerts/u-1?token=t"),
        ] {
            assert_eq!(alerts(base, "u-1", "t").expose(), expected);
        }
    }

    #[test]
    fn user_and_token_are_encoded_and_the_token_is_never_shown() {
        let url = alerts("http://h", "../a b?c#d/e", "s3cr&t=+ %ü");
        assert_eq!(
            url.expose(),
            "ws://h/ws/alerts/..%2Fa%20b%3Fc%23d%2Fe?token=s3cr%26t%3D%2B+%25%C3%BC"
        );
        assert_eq!(
            url.to_string(),
            "ws://h/ws/alerts/..%2Fa%20b%3Fc%23d%2Fe?token=***"
        );
        assert_eq!(format!("{url:?}"), format!("AlertUrl({url})"));
    }

    #[test]
    fn host_and_port_are_told_apart() {
        for (base, host, port) in [
            ("http://10.0.0.2:8000", "10.0.0.2", 8000),
            ("wss://vg.example/a", "vg.example", 443),
            ("ws://[::1]", "::1", 80),
        ] {
            let backend = Backend::parse(base).unwrap();
            assert_eq!(backend.host_and_port(), (host.to_owned(), port));
        }
    }

    #[test]
    fn rest_addresses_follow_the_base() {
        let backend = Backend::parse("wss://h/p/").unwrap();
        assert_eq!(backend.login().as_str(), "https://h/p/auth/login");
        assert_eq!(
            backend.connection("u").unwrap().as_str(),
            "https://h/p/ws/connections/u"
        );
        assert_eq!(
            backend.anomalies(Some("s"), 50, 100).as_str(),
            "https://h/p/api/anomalies?shop_id=s&limit=50&offset=100"
        );
        assert_eq!(
            backend
                .picture("/api/anomalies/frames/s/1.jpg")
                .map(String::from)
                .as_deref(),
            Some("https://h/p/api/anomalies/frames/s/1.jpg")
        );
        for elsewhere in ["https://evil/x", "//evil/x", "/../x", "/a?b", "/a//b", "x"] {
            assert_eq!(backend.picture(elsewhere), None, "{elsewhere}");
        }
        assert_eq!(
            backend.anomalies(None, 1, 0).as_str(),
            "https://h/p/api/anomalies?limit=1&offset=0"
        );
    }

    #[test]
    fn what_is_no_base_is_refused_with_the_reason() {
        let error = |text: &str| Backend::parse(text).unwrap_err().to_string();
        assert_eq!(
            error("10.0.0.2:8000"),
            "not an address: relative URL without a base; expected something like `http://192.168.1.20:8000`"
        );
        assert_eq!(
            error("localhost:8000"),
            "the address must begin with http://, https://, ws:// or wss://, not with `localhost:`"
        );
        assert_eq!(
            error("http://a:pw@h"),
            "the address must not contain a user name or password: leave it out, the token is set apart"
        );
        assert!(error("http://h?token=x").contains("a query"));
        assert!(error("http://h#x").contains("a fragment"));
        assert!(error("ws://h/ws/alerts/").contains("must not end in `/ws/alerts`"));
        assert!(error("http://").starts_with("not an address: "));
        assert!(Backend::parse("http://h").unwrap().alerts("..", "t").is_err());
    }
}
