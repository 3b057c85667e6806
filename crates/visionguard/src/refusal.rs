//! What a refused alert socket means. The backend answers 403 to everything: a wrong path, user or token.

use watchpost_core::{ConnectFailure, FailureKind, Secret, UnixMillis};

use crate::Claims;
use crate::calls::failure;
use crate::rest::User;

/// Tells from the answer to [`calls::me`](crate::calls::me) why the alert socket was refused with 403. `now` is the time
/// that the token's end is compared with. Where the answer tells nothing, the refusal stays what it was.
pub fn explain_refusal(
    me: Result<User, ConnectFailure>,
    user_id: &str,
    token: &Secret,
    now: UnixMillis,
    refusal: ConnectFailure,
) -> ConnectFailure {
    let unknown = match me {
        Ok(me) if me.id == user_id => {
            return failure(
                FailureKind::WrongPath,
                "HTTP 403, although the token and the user are right: so the address of the WebSocket is not, or a proxy refuses it",
            );
        }
        Ok(me) => {
            return failure(
                FailureKind::WrongUser,
                format_args!("the token belongs to user {}, and `user_id` is {user_id}", me.id),
            );
        }
        Err(e) => e,
    };
    match unknown.kind {
        FailureKind::UserGone => failure(
            FailureKind::UserGone,
            format_args!("the backend has no user {user_id} any more"),
        ),
        FailureKind::Unauthorized => match expired_at(token).filter(|at| *at <= now) {
            Some(at) => failure(FailureKind::Expired, format_args!("it did at {at}")),
            None => failure(FailureKind::Unauthorized, unknown.detail),
        },
        FailureKind::Http(404) => failure(
            FailureKind::WrongPath,
            "the backend answers 404 to `/auth/me` below the same address",
        ),
        _ => refusal,
    }
}

fn expired_at(token: &Secret) -> Option<UnixMillis> {
    let expiry = Claims::peek(token.expose()).ok()?.exp?;
    Some(UnixMillis(expiry.saturating_mul(1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backend, calls};

    /// Claims `{"exp":1000}`.
    const TOKEN: &str = "h.eyJleHAiOjEwMDB9.s";

    /// The explanation where `/auth/me` answers so.
    fn explained(status: u16, body: &str, now_s: i64) -> String {
        let backend = Backend::parse("http://127.0.0.1:9").unwrap();
        let me = calls::me(&backend).read(status, body.as_bytes());
        let refusal = failure(FailureKind::Forbidden, "the server refused the WebSocket");
        explain_refusal(me, "u-1", &Secret::new(TOKEN), UnixMillis(now_s * 1_000), refusal).to_string()
    }

    #[test]
    fn each_cause_of_a_403_has_its_own_words() {
        let refused = r#"{"detail":"Invalid or expired token"}"#;
        for (status, body, now_s, expected) in [
            (
                200,
                r#"{"id":"u-1"}"#,
                0,
                "not found at this path: HTTP 403, although the token",
            ),
            (
                200,
                r#"{"id":"u-2"}"#,
                0,
                "the token is another user's: the token belongs to user u-2",
            ),
            (
                401,
                refused,
                1_001,
                "the token has expired: it did at 1970-01-01T00:16:40",
            ),
            (
                401,
                refused,
                999,
                "HTTP 401 Unauthorized: Invalid or expired token",
            ),
            (
                401,
                r#"{"detail":"User not found"}"#,
                2_000,
                "the user is gone: the backend has no user u-1",
            ),
            (404, "", 0, "not found at this path: the backend answers 404"),
            (502, "", 0, "HTTP 403 Forbidden: the server refused"),
        ] {
            let text = explained(status, body, now_s);
            assert!(text.starts_with(expected), "{text}");
        }
    }
}
