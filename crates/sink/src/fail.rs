//! How a sink says no.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::Outcome;

/// Wait before the next try where the operator has to do something first.
const OPERATOR_NEEDED: Duration = Duration::from_secs(30);

/// Why something was not done, and whether it is worth another try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fail {
    outcome: Outcome,
    retry_after: Option<Duration>,
    notes: Vec<(String, String)>,
}

impl Fail {
    /// Not now: try again later. What an `io::Error` turns into.
    pub fn retry(why: impl fmt::Display) -> Self {
        Self::new(Outcome::Retry, "", why)
    }

    /// There is no point in trying again before this long. Counts for [`Fail::retry`] only.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Never, for this alert. The next one may work.
    pub fn permanent(why: impl fmt::Display) -> Self {
        Self::new(Outcome::Permanent, "", why)
    }

    /// The configuration is wrong at this JSON pointer, for instance `/servers/0/port`.
    pub fn bad_config(pointer: &str, why: impl fmt::Display) -> Self {
        Self::new(Outcome::BadConfig, pointer, why)
    }

    /// Not with this configuration: the receiver refuses because of the key at this JSON pointer, for instance `/password`,
    /// or of something that is no key of the plugin (`""`). The alert is kept and tried again once the operator may
    /// have corrected it.
    pub fn misconfigured(pointer: &str, why: impl fmt::Display) -> Self {
        Self::new(Outcome::Retry, pointer, why).after(OPERATOR_NEEDED)
    }

    /// The same as a failure that keeps the alert, for a configuration that is found bad only when it is used.
    #[must_use]
    pub fn kept(mut self) -> Self {
        if self.outcome == Outcome::BadConfig {
            self.outcome = Outcome::Retry;
            self.retry_after = Some(OPERATOR_NEEDED);
        }
        self
    }

    /// This instance is of no use any more: Watchpost drops it and makes another.
    pub fn fatal(why: impl fmt::Display) -> Self {
        Self::new(Outcome::Fatal, "", why)
    }

    /// This sink does not do that.
    pub fn unsupported() -> Self {
        Self {
            outcome: Outcome::Unsupported,
            retry_after: None,
            notes: Vec::new(),
        }
    }

    /// Adds a second thing that is wrong, at a JSON pointer or at none.
    #[must_use]
    pub fn and(mut self, pointer: &str, why: impl fmt::Display) -> Self {
        self.notes.push((pointer.to_owned(), why.to_string()));
        self
    }

    /// Which kind of no it is.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// How long to wait at least.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What is wrong, each with its JSON pointer, which may be empty.
    pub fn notes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.notes
            .iter()
            .map(|(pointer, text)| (pointer.as_str(), text.as_str()))
    }

    fn new(outcome: Outcome, pointer: &str, why: impl fmt::Display) -> Self {
        Self {
            outcome,
            retry_after: None,
            notes: Vec::new(),
        }
        .and(pointer, why)
    }

    pub(crate) fn from_parts(
        outcome: Outcome,
        retry_after: Option<Duration>,
        notes: Vec<(String, String)>,
    ) -> Self {
        Self {
            outcome,
            retry_after,
            notes,
        }
    }
}

impl From<io::Error> for Fail {
    fn from(error: io::Error) -> Self {
        Self::retry(error)
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.outcome {
            Outcome::Ok => "done",
            Outcome::Retry => "try again later",
            Outcome::Permanent => "will never work",
            Outcome::BadConfig => "bad configuration",
            Outcome::Fatal => "the instance has failed",
            Outcome::Unsupported => "not supported",
        })?;
        for (index, (pointer, text)) in self.notes().enumerate() {
            let mark = if index == 0 { ":" } else { ";" };
            let colon = if pointer.is_empty() { "" } else { ": " };
            write!(f, "{mark} {pointer}{colon}{text}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fail {}
