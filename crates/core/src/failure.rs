//! Why a link ends, or never begins, and what the user can do about it.

use std::fmt;
use std::time::Duration;

use crate::SubscriptionLoss;

/// Why the hub closes a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The hub stops (WebSocket code 1000).
    Stopping,
    /// Nothing was heard for this long (1001).
    Silent(Duration),
    /// A message was larger than this limit in bytes (1009).
    TooLarge {
        /// The limit it went over, in bytes.
        limit: u64,
    },
    /// The other side broke the WebSocket protocol (1002).
    Protocol,
    /// The backend sends the alerts elsewhere (1000).
    SubscriptionLost(SubscriptionLoss),
    /// The login is another user's by now: the backend sends nothing to the one that the link was opened as (1000).
    AnotherUser,
}

impl CloseReason {
    /// The code that goes into the close frame (RFC 6455, section 7.4.1).
    pub fn code(self) -> u16 {
        match self {
            Self::Stopping | Self::SubscriptionLost(_) | Self::AnotherUser => 1000,
            Self::Silent(_) => 1001,
            Self::Protocol => 1002,
            Self::TooLarge { .. } => 1009,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopping => f.write_str("the hub stops"),
            Self::Silent(time) => {
                write!(
                    f,
                    "nothing was heard for {:.1} s, not even a pong",
                    time.as_secs_f64()
                )
            }
            Self::TooLarge { limit } => write!(f, "a message was larger than max_message = {limit} bytes"),
            Self::Protocol => f.write_str("the server broke the WebSocket protocol"),
            Self::SubscriptionLost(why) => why.fmt(f),
            Self::AnotherUser => {
                f.write_str("the account has another user id than when it was opened: it was made again")
            }
        }
    }
}

/// An attempt to open the link, or a request beside it, that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectFailure {
    /// Which kind, for the hint.
    pub kind: FailureKind,
    /// What exactly, without the token.
    pub detail: String,
}

/// Where an attempt failed, which decides what the user should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The token could not be read.
    Credentials,
    /// The configured address cannot be used.
    Address,
    /// The host name does not resolve.
    Dns,
    /// Nothing listens at the port.
    Refused,
    /// The host cannot be reached, or the connection broke while it was made.
    Network,
    /// The certificate or the TLS handshake.
    Tls,
    /// No answer in time.
    Timeout,
    /// HTTP 401: the token was not accepted.
    Unauthorized,
    /// The login was refused: the e-mail address or the password is wrong.
    Login,
    /// The token has expired.
    Expired,
    /// The token is another user's than `user_id`.
    WrongUser,
    /// The user of the token does not exist any more.
    UserGone,
    /// The backend is not to be found at this path.
    WrongPath,
    /// HTTP 403, with which VisionGuard answers a wrong path, user or token alike.
    Forbidden,
    /// HTTP redirects elsewhere, which would carry the token along.
    Redirected,
    /// An answer that is not the backend's, such as the page of a proxy before it.
    Foreign(u16),
    /// The account sees no shop.
    NoShop,
    /// Any other answer than a WebSocket, where one was asked for.
    NoWebSocket(u16),
    /// Any other answer than what was asked for.
    Http(u16),
}

impl FailureKind {
    /// Whether the backend answered and rejected the credentials: the operator has to act.
    pub fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::Unauthorized
                | Self::Forbidden
                | Self::Login
                | Self::Expired
                | Self::WrongUser
                | Self::UserGone
        )
    }

    /// Whether the token will not be accepted again: a login may give a better one.
    pub fn ends_session(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Expired | Self::UserGone)
    }

    /// What the user can do about it, as one sentence.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Credentials => "Make the token readable for the hub's user.",
            Self::Address => "Correct `url` or `user_id`.",
            Self::Dns => "Check the host name in `url` and the DNS of this machine.",
            Self::Refused => "Check the port in `url` and that the backend runs.",
            Self::Network => "Check cable, route and firewall between this machine and the backend.",
            Self::Tls => "Check the backend's certificate; set `ca_file` for a private authority.",
            Self::Timeout => "Check that the address in `url` is right and that no firewall drops packets.",
            Self::Unauthorized => {
                "The token was refused: get a new one from this very backend, or use `[connection.login]`."
            }
            Self::Login => "Correct `email` and the password in `[connection.login]`; capital letters count.",
            Self::Expired => "Get a new token, or use `[connection.login]`, which does it by itself.",
            Self::WrongUser => "Set `user_id` to the user that the token belongs to.",
            Self::UserGone => "Make the user again in the backend, or use another one.",
            Self::WrongPath => {
                "Correct the path in `url`: the part before `/ws/alerts`, for instance behind a proxy."
            }
            Self::Forbidden => {
                "Check that `token` is not expired and that `user_id` and the path in `url` are exactly right."
            }
            Self::Redirected => {
                "Write the address that it leads to into `url`: redirections are not followed."
            }
            Self::NoWebSocket(_) => {
                "Check that `url` points to the backend and that a proxy before it passes WebSockets."
            }
            Self::Foreign(_) => {
                "Something answers in the backend's place, such as a proxy or a login page before it: see that it lets the hub through, and that the backend runs."
            }
            Self::NoShop => {
                "Give the account a shop in the backend, or log in as the user who opens the cameras' streams."
            }
            Self::Http(404 | 405) => "Check the path in `url`, for instance behind a proxy.",
            Self::Http(400 | 422) => "Check what is configured for this connection, such as `shop_ids`.",
            Self::Http(500..=599) => {
                "The backend has trouble of its own: look at its log, and whether its database runs."
            }
            Self::Http(_) => "Check that `url` points to the backend.",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials => f.write_str("no token"),
            Self::Address => f.write_str("unusable address"),
            Self::Dns => f.write_str("name not found"),
            Self::Refused => f.write_str("connection refused"),
            Self::Network => f.write_str("network error"),
            Self::Tls => f.write_str("TLS verification failed"),
            Self::Timeout => f.write_str("timed out"),
            Self::Unauthorized => f.write_str("HTTP 401 Unauthorized"),
            Self::Login => f.write_str("credentials rejected"),
            Self::Expired => f.write_str("the token has expired"),
            Self::WrongUser => f.write_str("the token is another user's"),
            Self::UserGone => f.write_str("the user is gone"),
            Self::WrongPath => f.write_str("not found at this path"),
            Self::Forbidden => f.write_str("HTTP 403 Forbidden"),
            Self::Redirected => f.write_str("redirected"),
            Self::Foreign(status) => write!(f, "HTTP {status}, and not from the backend"),
            Self::NoShop => f.write_str("no shop"),
            Self::NoWebSocket(status) | Self::Http(status) => write!(f, "HTTP {status}"),
        }
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}
