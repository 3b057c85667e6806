//! Asks the backend what a refused handshake means.

use watchpost_core::{ConnectFailure, Secret, UnixMillis};
use watchpost_visionguard::explain_refusal;

use super::api::Api;

/// Asks the backend whose the token is, and tells from the answer why the alert socket was refused with 403.
/// `now` is this machine's time, for a server that does not tell its own.
pub async fn diagnose(
    api: &Api,
    user_id: &str,
    token: &Secret,
    now: UnixMillis,
    refusal: ConnectFailure,
) -> ConnectFailure {
    let me = api.me(token).await.map(|me| me.value);
    explain_refusal(me, user_id, token, now, refusal)
}
