//! What a refused handshake means. The backend answers 403 to everything: a wrong path, user or token.

use watchpost_core::{ConnectFailure, FailureKind, Secret, UnixMillis};
use watchpost_visionguard::Claims;
use watchpost_visionguard::rest::User;

use super::api::{Answered, Api};
use super::transport::failure;

/// Asks the backend whose the token is, and tells from the answer why the alert socket was refused with 403.
/// `now` is this machine's time, for a server that does not tell its own.
pub async fn diagnose(
    api: &Api,
    user_id: &str,
    token: &Secret,
    now: UnixMillis,
    refusal: ConnectFailure,
) -> ConnectFailure {
    explain(api.me(token).await, user_id, token, now, refusal)
}

fn explain(
    me: Result<Answered<User>, ConnectFailure>,
    user_id: &str,
    token: &Secret,
    now: UnixMillis,
    refusal: ConnectFailure,
) -> ConnectFailure {
    let unknown = match me {
        Ok(me) if me.value.id == user_id => {
            return failure(
                FailureKind::WrongPath,
                "HTTP 403, although the token and the user are right: so the address of the WebSocket is not, or a proxy refuses it",
            );
        }
        Ok(me) => {
            return failure(
                FailureKind::WrongUser,
                format_args!(
                    "the token belongs to user {}, and `user_id` is {user_id}",
                    me.value.id
                ),
            );
        }
        Err(e) => e,
    };
    match unknown.kind {
        FailureKind::Unauthorized if unknown.detail.contains("User not found") => failure(
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

    /// Claims `{"exp":1000}`.
    const TOKEN: &str = "h.eyJleHAiOjEwMDB9.s";

    fn explained(me: Result<&str, (FailureKind, &str)>, now_s: i64) -> String {
        let me = match me {
            Ok(id) => Ok(Answered {
                value: User {
                    id: id.to_owned(),
                    name: String::new(),
                    email: String::new(),
                    role: String::new(),
                },
                server_time: None,
            }),
            Err((kind, detail)) => Err(failure(kind, detail)),
        };
        let refusal = failure(FailureKind::Forbidden, "the server refused the WebSocket");
        explain(me, "u-1", &Secret::new(TOKEN), UnixMillis(now_s * 1_000), refusal).to_string()
    }

    #[test]
    fn each_cause_of_a_403_has_its_own_words() {
        let refused = Err((FailureKind::Unauthorized, "Invalid or expired token"));
        for (me, now_s, expected) in [
            (
                Ok("u-1"),
                0,
                "not found at this path: HTTP 403, although the token",
            ),
            (
                Ok("u-2"),
                0,
                "the token is another user's: the token belongs to user u-2",
            ),
            (
                refused,
                1_001,
                "the token has expired: it did at 1970-01-01T00:16:40",
            ),
            (refused, 999, "HTTP 401 Unauthorized: Invalid or expired token"),
            (
                Err((FailureKind::Unauthorized, "User not found")),
                0,
                "the user is gone: the backend has no user u-1",
            ),
            (
                Err((FailureKind::Http(404), "")),
                0,
                "not found at this path: the backend answers 404",
            ),
            (
                Err((FailureKind::Timeout, "")),
                0,
                "HTTP 403 Forbidden: the server refused",
            ),
        ] {
            let text = explained(me, now_s);
            assert!(text.starts_with(expected), "{text}");
        }
    }
}
