//! What the status of an HTTP answer means for a delivery.

use std::time::{Duration, SystemTime};

use crate::Fail;

/// Longest wait that a server can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// An answer, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status, such as 200.
    pub status: u16,
    /// The value of its header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// The beginning of its body, for the note.
    pub said: &'a str,
}

/// What a status says of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It is done.
    Done,
    /// It may be done later.
    Passing,
    /// The credentials are refused, whatever is sent with them.
    Credentials,
    /// The address is wrong, whatever is sent there.
    Address,
    /// It is too large.
    TooLarge,
    /// It is refused for what it says.
    Refused,
}

/// What a status says of the request: 2xx is done, whatever follows it.
pub fn class(status: u16) -> Class {
    match status {
        200..=299 => Class::Done,
        401 | 403 | 407 | 511 => Class::Credentials,
        408 | 425 | 429 | 500..=599 => Class::Passing,
        // A redirect that is not followed leads elsewhere.
        300..=399 | 404 | 405 | 410 | 421 | 426 | 451 => Class::Address,
        413 => Class::TooLarge,
        _ => Class::Refused,
    }
}

impl Answer<'_> {
    /// Judges it. What is about the configuration and not about the alert keeps the alert and names the key: `/url`, or
    /// `credentials`, the JSON pointer of the key that holds them.
    ///
    /// # Errors
    /// When it is not done.
    pub fn judge(&self, credentials: &str, now: SystemTime) -> Result<(), Fail> {
        let status = self.status;
        let said = self.said.trim();
        let colon = if said.is_empty() { "" } else { ": " };
        let why = format!("the server answered {status}{colon}{said}");
        Err(match class(status) {
            Class::Done => return Ok(()),
            Class::Passing => match self.retry_after.and_then(|text| wait(text, now)) {
                Some(wait) => Fail::retry(why).after(wait),
                None => Fail::retry(why),
            },
            Class::Credentials => Fail::misconfigured(credentials, why),
            Class::Address => Fail::misconfigured("/url", format_args!("{why}; correct the address")),
            Class::TooLarge | Class::Refused => Fail::permanent(why),
        })
    }
}

/// Reads a `Retry-After` (RFC 9110, section 10.2.3): seconds or a date.
pub fn wait(text: &str, now: SystemTime) -> Option<Duration> {
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

    fn judged(status: u16, retry_after: Option<&str>) -> Result<(), Fail> {
        let answer = Answer {
            status,
            retry_after,
            said: " busy\n",
        };
        answer.judge("/token", UNIX_EPOCH)
    }

    #[test]
    fn statuses_fall_into_classes() {
        for (status, outcome, key) in [
            (301, Outcome::Retry, "/url"),
            (400, Outcome::Permanent, ""),
            (401, Outcome::Retry, "/token"),
            (403, Outcome::Retry, "/token"),
            (404, Outcome::Retry, "/url"),
            (408, Outcome::Retry, ""),
            (413, Outcome::Permanent, ""),
            (422, Outcome::Permanent, ""),
            (425, Outcome::Retry, ""),
            (429, Outcome::Retry, ""),
            (500, Outcome::Retry, ""),
            (503, Outcome::Retry, ""),
        ] {
            let fail = judged(status, None).unwrap_err();
            assert_eq!(fail.outcome(), outcome, "{status}");
            assert_eq!(fail.notes().next().unwrap().0, key, "{status}");
        }
        assert_eq!(
            [200, 204, 299].map(|status| judged(status, None)),
            [Ok(()), Ok(()), Ok(())]
        );
    }

    #[test]
    fn a_server_may_say_how_long_to_wait() {
        let asked = |text| {
            let fail = judged(503, Some(text)).unwrap_err();
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
