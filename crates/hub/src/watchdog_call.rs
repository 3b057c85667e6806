//! Calls the address of a watchdog, and judges what it answers. No error shows the address, which is a secret.

use std::sync::Arc;
use std::time::Duration;

use awc::Client;
use awc::http::Uri;
use serde::Deserialize;
use watchpost_core::{ConnectFailure, FailureKind, Secret};

use crate::http::{Secured, connector};
use crate::platform::Platform;
use crate::source::visionguard::{Trust, classify_request};

/// What is read of an answer, in bytes. A longer one says nothing that matters.
const MAX_BODY_BYTES: usize = 16 << 10;

/// What is shown of an answer, in characters.
const MAX_SHOWN_CHARS: usize = 100;

/// Calls it. An error says what was wrong and what to do about it.
pub(crate) async fn call(platform: &Arc<dyn Platform>, url: &Secret, within: Duration) -> Result<(), String> {
    let (status, body) = answer(platform, url, within)
        .await
        .map_err(|e| format!("{e}. {}", hint(e.kind)))?;
    judge(status, &body)
}

async fn answer(
    platform: &Arc<dyn Platform>,
    url: &Secret,
    within: Duration,
) -> Result<(u16, Vec<u8>), ConnectFailure> {
    let tls = if url.expose().starts_with("https:") {
        Some(Trust::new(None).config().await?)
    } else {
        None
    };
    let client = Client::builder()
        .connector(connector(platform, tls).timeout(within))
        .wrap(Secured)
        .timeout(within)
        .finish();
    let uri = url.expose().parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or("the watchdog");
    let sent = client.get(url.expose()).force_close().send().await;
    let mut response = sent.map_err(|e| classify_request(&e, host))?;
    // It was called, whatever becomes of its answer.
    let body = response.body().limit(MAX_BODY_BYTES).await.unwrap_or_default();
    Ok((response.status().as_u16(), body.to_vec()))
}

/// Whether the watchdog took the call: some answer 200 to an address that they do not know, and say so in the body.
fn judge(status: u16, body: &[u8]) -> Result<(), String> {
    match (status, refusal(body)) {
        (200..300, None) => Ok(()),
        (404 | 410, _) => Err(format!(
            "HTTP {status}: there is no such check. Check `ping_url`, and whether the check was deleted there."
        )),
        (200..300, Some(why)) => Err(format!(
            "it answers, but does not count the call: {why}. Check `ping_url`, and the check's own page."
        )),
        (_, why) => {
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            Err(format!("HTTP {status}{why}. Look at the watchdog's own page."))
        }
    }
}

/// What a body says of a call that does not count: `{"ok":false,"msg":…}` of Uptime Kuma, `OK (not found)` of
/// Healthchecks.
fn refusal(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        ok: bool,
        #[serde(default)]
        msg: Option<String>,
    }
    let shown = |text: &str| text.trim_end_matches('.').chars().take(MAX_SHOWN_CHARS).collect();
    if let Ok(answer) = serde_json::from_slice::<Answer>(body) {
        return (!answer.ok).then(|| shown(answer.msg.as_deref().unwrap_or("it says that it is not ok")));
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    let note = text.strip_prefix("OK (")?.strip_suffix(')')?;
    Some(shown(note))
}

fn hint(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Dns => "Check the host name in `ping_url` and the DNS of this machine.",
        FailureKind::Refused => "Check the port in `ping_url`, and that the watchdog runs.",
        FailureKind::Tls => "Check the watchdog's certificate.",
        FailureKind::Timeout | FailureKind::Network => {
            "Check that `ping_url` is right, and the way from this machine to it."
        }
        _ => "Check `ping_url`.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_does_not_count_is_told_from_one_that_does() {
        for (status, body, expected) in [
            (200, "OK", "taken"),
            (204, "", "taken"),
            (200, r#"{"ok":true}"#, "taken"),
            (200, "<html>(something else)</html>", "taken"),
            (
                200,
                "OK (not found)\n",
                "it answers, but does not count the call: not found. Check `ping_url`, and the check's own page.",
            ),
            (
                200,
                r#"{"ok":false,"msg":"Monitor not found or not active."}"#,
                "it answers, but does not count the call: Monitor not found or not active. Check `ping_url`, and the check's own page.",
            ),
            (
                404,
                r#"{"ok":false,"msg":"x"}"#,
                "HTTP 404: there is no such check. Check `ping_url`, and whether the check was deleted there.",
            ),
            (503, "busy", "HTTP 503. Look at the watchdog's own page."),
            (
                429,
                r#"{"ok":false}"#,
                "HTTP 429: it says that it is not ok. Look at the watchdog's own page.",
            ),
        ] {
            let judged = judge(status, body.as_bytes());
            assert_eq!(judged.err().as_deref().unwrap_or("taken"), expected);
        }
    }

    #[test]
    fn no_advice_is_about_web_sockets() {
        for kind in [
            FailureKind::Dns,
            FailureKind::Refused,
            FailureKind::Timeout,
            FailureKind::Http(500),
        ] {
            assert!(hint(kind).contains("ping_url") && !hint(kind).contains("WebSocket"));
        }
    }
}
