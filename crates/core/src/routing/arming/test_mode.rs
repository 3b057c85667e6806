//! Test mode: while cameras of an area are tried, what they see is recorded, and neither sounds nor is sent. It ends by itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Area, AreaNews};
use crate::UnixMillis;
use crate::routing::Actor;

/// Longest time that it lasts.
pub const MAX_TEST: Duration = Duration::from_secs(8 * 3_600);

/// Shortest time that it lasts.
const SHORTEST_TEST: Duration = Duration::from_secs(60);

/// That an area is in test mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestMode {
    /// Since when.
    pub since: UnixMillis,
    /// When it ends by itself.
    pub until: UnixMillis,
    /// Who has begun it.
    pub by: Actor,
    /// Alerts of the area since.
    pub count: u64,
}

impl TestMode {
    /// Whether it may last so long.
    pub(super) fn may_last(lasts: Duration) -> bool {
        (SHORTEST_TEST..=MAX_TEST).contains(&lasts)
    }

    /// Begins it, or has it last so long from now on where it has begun. Returns what is to be said.
    pub(super) fn begin(area: &mut Area, now: UnixMillis, lasts: Duration, by: &Actor) -> AreaNews {
        let until = now + lasts;
        match &mut area.test {
            Some(test) => test.until = until,
            None => {
                area.test = Some(Self {
                    since: now,
                    until,
                    by: by.clone(),
                    count: 0,
                });
            }
        }
        AreaNews::TestBegun {
            by: by.clone(),
            seconds: lasts.as_secs(),
        }
    }

    /// Ends it, by a person or by itself. Returns what is to be said, if there is one.
    pub(super) fn end(area: &mut Area, by: Option<&Actor>) -> Option<AreaNews> {
        let Self { count, .. } = area.test.take()?;
        let by = by.cloned();
        Some(AreaNews::TestOver { by, count })
    }

    /// The clock is behind its beginning: its time begins again.
    pub(super) fn rebase(&mut self, now: UnixMillis) {
        if now < self.since {
            let lasts = self.since.until(self.until).min(MAX_TEST);
            (self.since, self.until) = (now, now + lasts);
        }
    }

    /// The clock was set by so much.
    pub(super) fn shift(&mut self, millis: i64) {
        for at in [&mut self.since, &mut self.until] {
            at.0 = at.0.saturating_add(millis);
        }
    }
}
