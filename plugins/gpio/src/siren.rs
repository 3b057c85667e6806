//! How long the siren sounds, and for what: pure, the time is given.

use std::time::{Duration, Instant};

/// What it has sounded for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Siren {
    /// What one alert is worth.
    total: Duration,
    /// The longest without a pause.
    max_on: Duration,
    last: Option<Run>,
}

/// Soundings that follow one another without a pause.
#[derive(Clone, Copy, Debug)]
struct Run {
    began: Instant,
    ended: Instant,
    /// Somebody has seen to all that was received before its end.
    silenced: bool,
}

/// A sounding that is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sounding {
    /// When the run began of which this is a part.
    pub(crate) began: Instant,
    pub(crate) until: Instant,
}

impl Siren {
    pub(crate) fn new(total: Duration, max_on: Duration) -> Self {
        Self {
            total,
            max_on,
            last: None,
        }
    }

    /// Whether and how long to sound for an alert. One that was received while it sounded extends the sounding, as if
    /// it had begun then: alerts do not stack up. `None` when it has sounded for it already.
    pub(crate) fn plan(&self, received: Instant, now: Instant) -> Option<Sounding> {
        let Some(run) = self.last.filter(|_| self.was_on(received)) else {
            return Some(Sounding {
                began: now,
                until: now + self.total.min(self.max_on),
            });
        };
        let until = (received + self.total).min(run.began + self.max_on);
        (!run.silenced && until > now).then_some(Sounding {
            began: run.began,
            until,
        })
    }

    /// Whether it sounded at this time, or has since.
    pub(crate) fn was_on(&self, at: Instant) -> bool {
        self.last.is_some_and(|run| at <= run.ended)
    }

    /// Whether the last sounding was silenced at the button.
    pub(crate) fn is_silenced(&self) -> bool {
        self.last.is_some_and(|run| run.silenced)
    }

    /// A sounding has ended.
    pub(crate) fn ended(&mut self, sounding: Sounding, now: Instant, silenced: bool) {
        self.last = Some(Run {
            began: sounding.began,
            ended: now,
            silenced,
        });
    }
}
