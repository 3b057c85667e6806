//! Which notification belongs to which alert. The backend sends one after each alert, with what the alert lacks: the
//! number of its record. They share the stream and the person, and come in order.

use std::collections::VecDeque;
use std::time::Duration;

use crate::{AlertId, MonotonicTime};

/// Alerts that may wait for their notification; of more, the oldest are forgotten.
const MAX_WAITING_ALERTS: usize = 4_096;

/// A notification comes within this, or is lost: what is uncertain because of it is so no longer.
const NOTIFIED_WITHIN: Duration = Duration::from_secs(60);

/// The alerts of one connection that wait for their notification.
#[derive(Debug, Default)]
pub struct Correlator {
    waiting: VecDeque<Waiting>,
}

/// A notification that is to come.
#[derive(Debug)]
struct Waiting {
    /// Of this alert; `None` where it is uncertain of which, or the alert was dropped.
    alert: Option<AlertId>,
    stream_id: String,
    person_id: i64,
    since: MonotonicTime,
}

/// Which alert a notification belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correlation {
    /// This one.
    With(AlertId),
    /// One of several, or of none that is known: the backend's list tells.
    Unclear,
}

impl Correlator {
    /// An alert came; `None` for one that was dropped, whose notification comes all the same.
    pub fn alert(&mut self, now: MonotonicTime, alert: Option<AlertId>, stream_id: &str, person_id: i64) {
        if self.waiting.len() == MAX_WAITING_ALERTS {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting {
            alert,
            stream_id: stream_id.to_owned(),
            person_id,
            since: now,
        });
    }

    /// A notification came. With two to come, one is missing or late, and it is not certain which. The other one may still
    /// come, and then does not belong to an alert that has come meanwhile.
    pub fn notification(&mut self, now: MonotonicTime, stream_id: &str, person_id: i64) -> Correlation {
        self.waiting
            .retain(|waiting| waiting.alert.is_some() || now.since(waiting.since) < NOTIFIED_WITHIN);
        let fits = |waiting: &Waiting| waiting.stream_id == stream_id && waiting.person_id == person_id;
        let Some(oldest) = self.waiting.iter().position(fits) else {
            return Correlation::Unclear;
        };
        let known = self.waiting.remove(oldest).and_then(|waiting| waiting.alert);
        let mut is_certain = true;
        for other in self.waiting.iter_mut().filter(|waiting| fits(waiting)) {
            (other.alert, is_certain) = (None, false);
        }
        match known.filter(|_| is_certain) {
            Some(alert) => Correlation::With(alert),
            None => Correlation::Unclear,
        }
    }

    /// How many alerts wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The socket is gone: what it had not sent does not come any more.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::since_origin(Duration::from_secs(seconds))
    }

    /// Plays alerts, which have a number, and notifications at their seconds; returns what the notifications belong to.
    fn correlated(events: &[(u64, Option<u64>, &str, i64)]) -> Vec<Correlation> {
        let mut correlator = Correlator::default();
        let mut found = Vec::new();
        for &(second, alert, stream, person) in events {
            match alert {
                Some(0) => correlator.alert(at(second), None, stream, person),
                Some(id) => correlator.alert(at(second), Some(AlertId(id)), stream, person),
                None => found.push(correlator.notification(at(second), stream, person)),
            }
        }
        found
    }

    #[test]
    fn only_what_is_certain_is_paired() {
        let found = correlated(&[
            (0, Some(1), "door", 1),
            (0, Some(2), "door", 2),
            (0, Some(3), "yard", 1),
            (1, None, "door", 2),
            (1, None, "yard", 1),
            // Its alert never came.
            (1, None, "yard", 1),
            // One of 1 and 4 has none.
            (2, Some(4), "door", 1),
            (2, None, "door", 1),
            // It may be that of 4, or of 5.
            (3, Some(5), "door", 1),
            (3, None, "door", 1),
            // None of those is to come any more.
            (64, Some(6), "door", 1),
            (64, None, "door", 1),
        ]);
        let with = |id| Correlation::With(AlertId(id));
        let unclear = Correlation::Unclear;
        assert_eq!(found, [with(2), with(3), unclear, unclear, unclear, with(6)]);
    }

    #[test]
    fn notifications_that_come_after_the_next_alert_name_no_wrong_one() {
        let found = correlated(&[
            (0, Some(1), "door", 1),
            (1, Some(2), "door", 1),
            (1, None, "door", 1),
            (2, Some(3), "door", 1),
            (2, None, "door", 1),
            (3, None, "door", 1),
        ]);
        assert_eq!(found, [Correlation::Unclear; 3]);
    }

    #[test]
    fn that_of_an_alert_that_was_dropped_names_no_other() {
        let found = correlated(&[
            (0, Some(0), "door", 1),
            (1, Some(2), "door", 1),
            (1, None, "door", 1),
            (1, None, "door", 1),
        ]);
        assert_eq!(found, [Correlation::Unclear; 2]);
    }

    #[test]
    fn it_forgets_rather_than_grows() {
        let mut correlator = Correlator::default();
        for id in 0..=4_096 {
            correlator.alert(at(0), Some(AlertId(id)), &id.to_string(), 0);
        }
        assert_eq!(correlator.notification(at(0), "0", 0), Correlation::Unclear);
        assert_eq!(
            correlator.notification(at(0), "1", 0),
            Correlation::With(AlertId(1))
        );
    }
}
