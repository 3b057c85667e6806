//! What an HTTP answer means for a delivery.

use std::time::{Duration, SystemTime};

use crate::Fail;

/// Longest wait that a server can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// Judges the status of an answer: 2xx is done; 408, 425, 429 and 5xx are worth another try, not before what
/// `Retry-After` says; everything else will never work. `said` is the beginning of the answer's body, for the note.
///
/// # Errors
/// When it is not done.
pub fn judge(status: u16, retry_after: Option<&str>, said: &str, now: SystemTime) -> Result<(), Fail> {
    if (200..300).contains(&status) {
        return Ok(());
    }
    let said = said.trim();
    let colon = if said.is_empty() { "" } else { ": " };
    let why = format!("the server answered {status}{colon}{said}");
    let passing = matches!(status, 408 | 425 | 429 | 500..=599);
    if !passing {
        return Err(Fail::permanent(why));
    }
    let fail = Fail::retry(why);
    Err(match retry_after.and_then(|text| wait(text, now)) {
        Some(wait) => fail.after(wait),
        None => fail,
    })
}

/// Reads a `Retry-After` (RFC 9110, section 10.2.3): seconds or a date.
fn wait(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text)
            .ok()?
            .duration_since(now)
            .unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::Outcome;

    #[test]
    fn statuses_fall_into_three_classes() {
        for (status, outcome) in [
            (200, None),
            (204, None),
            (301, Some(Outcome::Permanent)),
            (400, Some(Outcome::Permanent)),
            (401, Some(Outcome::Permanent)),
            (404, Some(Outcome::Permanent)),
            (408, Some(Outcome::Retry)),
            (425, Some(Outcome::Retry)),
            (429, Some(Outcome::Retry)),
            (500, Some(Outcome::Retry)),
            (503, Some(Outcome::Retry)),
        ] {
            let judged = judge(status, None, "", UNIX_EPOCH).err();
            assert_eq!(judged.map(|fail| fail.outcome()), outcome, "{status}");
        }
    }

    #[test]
    fn a_server_may_say_how_long_to_wait() {
        let asked = |text| {
            let fail = judge(503, Some(text), " busy\n", UNIX_EPOCH).unwrap_err();
            assert!(
                fail.to_string().ends_with("the server answered 503: busy"),
                "{fail}"
            );
            fail.retry_after()
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            asked("Thu, 01 Jan 1970 00:01:00 GMT"),
            Some(Duration::from_secs(60))
        );
        assert_eq!(asked("99999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(asked("soon"), None);
    }
}
