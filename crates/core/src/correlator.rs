//! Which notification belongs to which alert. The backend sends one after each alert, with what the alert lacks: the
//! number of its record. They share the stream and the person, and come in order.

use std::collections::VecDeque;

use crate::AlertId;

/// Alerts that may wait for their notification; of more, the oldest are forgotten.
const MAX_WAITING_ALERTS: usize = 4_096;

/// The alerts of one connection that wait for their notification.
#[derive(Debug, Default)]
pub struct Correlator {
    waiting: VecDeque<(AlertId, String, i64)>,
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
    /// An alert came.
    pub fn alert(&mut self, id: AlertId, stream_id: &str, person_id: i64) {
        if self.waiting.len() == MAX_WAITING_ALERTS {
            self.waiting.pop_front();
        }
        self.waiting.push_back((id, stream_id.to_owned(), person_id));
    }

    /// A notification came. With two alerts waiting, one notification is missing or late, and it is not certain which.
    pub fn notification(&mut self, stream_id: &str, person_id: i64) -> Correlation {
        let fits = |(_, stream, person): &(AlertId, String, i64)| stream == stream_id && *person == person_id;
        let mut fitting = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, waiting)| fits(waiting));
        match (fitting.next(), fitting.next()) {
            (Some((at, &(id, ..))), None) => {
                self.waiting.remove(at);
                Correlation::With(id)
            }
            _ => {
                self.waiting.retain(|waiting| !fits(waiting));
                Correlation::Unclear
            }
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

    #[test]
    fn only_what_is_certain_is_paired() {
        let mut pairing = Correlator::default();
        pairing.alert(AlertId(1), "door", 1);
        pairing.alert(AlertId(2), "door", 2);
        pairing.alert(AlertId(3), "yard", 1);
        assert_eq!(pairing.notification("door", 2), Correlation::With(AlertId(2)));
        assert_eq!(pairing.notification("yard", 1), Correlation::With(AlertId(3)));
        assert_eq!(
            pairing.notification("yard", 1),
            Correlation::Unclear,
            "its alert never came"
        );
        pairing.alert(AlertId(4), "door", 1);
        assert_eq!(
            pairing.notification("door", 1),
            Correlation::Unclear,
            "one of 1 and 4 has none"
        );
        pairing.alert(AlertId(5), "door", 1);
        assert_eq!(pairing.notification("door", 1), Correlation::With(AlertId(5)));
    }

    #[test]
    fn it_forgets_rather_than_grows() {
        let mut pairing = Correlator::default();
        for id in 0..=4_096 {
            pairing.alert(AlertId(id), &id.to_string(), 0);
        }
        assert_eq!(pairing.notification("0", 0), Correlation::Unclear);
        assert_eq!(pairing.notification("1", 0), Correlation::With(AlertId(1)));
    }
}
