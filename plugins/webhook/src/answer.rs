//! What a server said, and what it means for a message.
//!
//! It knows nothing of requests.

use std::time::SystemTime;

use serde_json::Value;
use watchpost_sink::Fail;
use watchpost_sink::http::{self as meaning, Class};
use watchpost_sink::picture::Refused;

use crate::credentials::Credentials;
use crate::head::Head;

/// How much of an answer is shown, in characters.
const SHOWN_CHARS: usize = 200;

/// What a server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// All of its body, which may repeat secrets.
    pub(crate) text: String,
    /// Its beginning, to be shown.
    said: String,
    retry_after: Option<String>,
    location: Option<String>,
    /// The key that holds the credentials, as a JSON pointer.
    credentials_key: &'static str,
}

impl Answer {
    /// An answer with this head and body.
    pub(crate) fn new(head: Head, text: String, credentials: &Credentials) -> Self {
        let hidden = credentials.hide(&text);
        let shown = hidden.chars().map(|c| if c.is_control() { ' ' } else { c });
        Self {
            status: head.status,
            said: shown.take(SHOWN_CHARS).collect(),
            text,
            retry_after: head.retry_after,
            location: head.location,
            credentials_key: credentials.key(),
        }
    }

    /// Where a redirect leads to.
    pub(crate) fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Whether it says that all is done.
    pub(crate) fn judge(&self) -> Result<(), Fail> {
        let answer = meaning::Answer {
            status: self.status,
            retry_after: self.retry_after.as_deref(),
            said: &self.said,
        };
        answer.judge(self.credentials_key, SystemTime::now())
    }

    /// The same for a message with pictures, which may be what is refused.
    pub(crate) fn accept(&self) -> Result<(), Refused> {
        self.judge().map_err(|fail| match meaning::class(self.status) {
            Class::TooLarge => Refused::TooLarge(fail),
            Class::Refused => Refused::Unwanted(fail),
            _ => Refused::Otherwise(fail),
        })
    }

    /// A failure that passes, not before what the server says.
    pub(crate) fn later(&self, why: String) -> Fail {
        let fail = Fail::retry(why);
        let asked = self.retry_after.as_deref();
        match asked.and_then(|text| meaning::wait(text, SystemTime::now())) {
            Some(wait) => fail.after(wait),
            None => fail,
        }
    }

    /// The beginning of what it says, without secrets.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    /// A failure for which the credentials are to blame.
    pub(crate) fn credentials_refused(&self, why: &str) -> Fail {
        Fail::misconfigured(self.credentials_key, why)
    }

    /// Whether the server is there, whatever it says of a question that it may not know.
    pub(crate) fn reachable(&self) -> Result<(), Fail> {
        match meaning::class(self.status) {
            Class::Passing if self.status != 501 => self.judge(),
            _ => Ok(()),
        }
    }

    /// What it says, as JSON. `Null` if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}
