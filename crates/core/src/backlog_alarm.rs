//! When a sink that does not get rid of its deliveries is worth an event, whatever the reason.

use std::time::Duration;

use crate::{HubEvent, UnixMillis};

/// Watches since when the oldest delivery of one sink waits.
#[derive(Debug)]
pub struct BacklogAlarm {
    sink: String,
    /// When it was first seen to have waited too long.
    seen: Option<UnixMillis>,
    /// Since when it waits, while that is reported.
    raised: Option<UnixMillis>,
}

/// So long it must have been seen to wait before that is reported: after a start, or when the operator has old
/// deliveries made again, a sink that works needs a moment.
const CONFIRM: Duration = Duration::from_secs(30);

impl BacklogAlarm {
    /// For the sink of this name.
    pub fn new(sink: String) -> Self {
        Self {
            sink,
            seen: None,
            raised: None,
        }
    }

    /// Takes since when the oldest delivery that is due has waited, if one does, and why the last one failed. Returns the
    /// event that is to be raised: once when it has waited for longer than `grace`, and once when that is over, which is
    /// not before the oldest has waited for less than half of the grace.
    pub fn check(
        &mut self,
        now: UnixMillis,
        grace: Duration,
        oldest: Option<UnixMillis>,
        why: Option<&str>,
    ) -> Option<HubEvent> {
        let waits_for = |grace: Duration| oldest.filter(|&since| since + grace <= now);
        let sink = || self.sink.clone();
        match self.raised {
            None => {
                let Some(since) = waits_for(grace) else {
                    self.seen = None;
                    return None;
                };
                if *self.seen.get_or_insert(now) + CONFIRM > now {
                    return None;
                }
                self.raised = Some(since);
                Some(HubEvent::SinkOverdue {
                    sink: sink(),
                    seconds: seconds(since, now),
                    why: why.map(str::to_owned),
                })
            }
            Some(since) if waits_for(grace / 2).is_none() => {
                (self.raised, self.seen) = (None, None);
                Some(HubEvent::SinkCaughtUp {
                    sink: sink(),
                    seconds: seconds(since, now),
                })
            }
            Some(_) => None,
        }
    }
}

fn seconds(since: UnixMillis, now: UnixMillis) -> u64 {
    u64::try_from(now.0.saturating_sub(since.0) / 1_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_raised_once_and_cleared_once() {
        let mut alarm = BacklogAlarm::new("mail".into());
        let grace = Duration::from_secs(300);
        let mut check = |now: i64, oldest: Option<i64>| {
            let oldest = oldest.map(|seconds| UnixMillis(seconds * 1_000));
            alarm.check(UnixMillis(now * 1_000), grace, oldest, Some("no route to host"))
        };
        assert_eq!(check(1_000, None), None);
        assert_eq!(check(1_299, Some(1_000)), None);
        let overdue = HubEvent::SinkOverdue {
            sink: "mail".into(),
            seconds: 330,
            why: Some("no route to host".into()),
        };
        assert_eq!(check(1_300, Some(1_000)), None, "it may just have been started");
        assert_eq!(check(1_310, None), None, "it had");
        assert_eq!(check(1_300, Some(1_000)), None);
        assert_eq!(check(1_329, Some(1_000)), None);
        assert_eq!(check(1_330, Some(1_000)), Some(overdue));
        assert_eq!(check(2_000, Some(1_000)), None, "it is known");
        assert_eq!(check(2_000, Some(1_850)), None, "it has not caught up");
        let caught_up = HubEvent::SinkCaughtUp {
            sink: "mail".into(),
            seconds: 1_000,
        };
        assert_eq!(check(2_000, Some(1_851)), Some(caught_up));
        assert_eq!(check(2_000, None), None);
    }
}
