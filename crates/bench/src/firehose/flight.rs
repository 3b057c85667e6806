//! What is in flight: which slots are free, which wait for their acknowledgement, and how long each took.
//!
//! Pure bookkeeping; it opens no socket and reads no clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The bookkeeping of one run.
#[derive(Debug)]
pub(super) struct Flight {
    free: VecDeque<usize>,
    sent_at: Vec<Option<Instant>>,
    window: Option<(Instant, Instant)>,
    sent: u64,
    acknowledged: u64,
    unmatched: u64,
    abandoned: u64,
    in_window: u64,
    latencies: Vec<Duration>,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Alerts sent.
    pub(crate) sent: u64,
    /// Alerts acknowledged.
    pub(crate) acknowledged: u64,
    /// Acknowledgements of alerts that were not in flight: a fault of the measured side, unless the load was an open loop.
    pub(crate) unmatched: u64,
    /// Acknowledgements that arrived while the measurement ran.
    pub(crate) in_window: u64,
    /// From the first byte sent to the acknowledgement, for alerts sent while the measurement ran.
    pub(crate) latencies: Vec<Duration>,
}

impl Flight {
    /// All slots are free, and nothing is measured yet.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            free: (0..slots).collect(),
            sent_at: vec![None; slots],
            window: None,
            sent: 0,
            acknowledged: 0,
            unmatched: 0,
            abandoned: 0,
            in_window: 0,
            latencies: Vec::new(),
        }
    }

    /// Measures between these two moments.
    pub(super) fn measure(&mut self, from: Instant, to: Instant) {
        self.window = Some((from, to));
    }

    /// A slot to send with, the one longest free.
    pub(super) fn take(&mut self) -> Option<usize> {
        self.free.pop_front()
    }

    /// A slot to send with, whatever it waits for: the acknowledgement of what it held then has no owner.
    pub(super) fn take_or_abandon(&mut self) -> Option<usize> {
        self.free.pop_front().or_else(|| {
            let oldest = usize::try_from(self.sent)
                .unwrap_or(0)
                .checked_rem(self.sent_at.len())?;
            if self.sent_at.get_mut(oldest)?.take().is_some() {
                self.abandoned += 1;
            }
            Some(oldest)
        })
    }

    /// The slot's message goes out now.
    pub(super) fn sent(&mut self, slot: usize, now: Instant) {
        if let Some(at) = self.sent_at.get_mut(slot) {
            *at = Some(now);
            self.sent += 1;
        }
    }

    /// The slot's message was acknowledged now.
    pub(super) fn acknowledged(&mut self, slot: usize, now: Instant) {
        let Some(sent_at) = self.sent_at.get_mut(slot).and_then(Option::take) else {
            self.unmatched += 1;
            return;
        };
        self.free.push_back(slot);
        self.acknowledged += 1;
        let inside = |moment| self.window.is_some_and(|(from, to)| (from..to).contains(&moment));
        if inside(now) {
            self.in_window += 1;
        }
        if inside(sent_at) {
            self.latencies.push(now.duration_since(sent_at));
        }
    }

    /// How many alerts wait for their acknowledgement.
    pub(super) fn in_flight(&self) -> u64 {
        self.sent - self.acknowledged - self.abandoned
    }

    /// The end result; the bookkeeping restarts from zero.
    pub(super) fn finish(&mut self) -> Tally {
        let slots = self.sent_at.len();
        let flight = std::mem::replace(self, Self::new(slots));
        Tally {
            sent: flight.sent,
            acknowledged: flight.acknowledged,
            unmatched: flight.unmatched,
            in_window: flight.in_window,
            latencies: flight.latencies,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_are_matched_measured_and_free_their_slot() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut flight = Flight::new(2);
        flight.measure(at(10), at(20));
        for (slot, ms) in [(0, 5), (1, 12)] {
            assert_eq!(flight.take(), Some(slot));
            flight.sent(slot, at(ms));
        }
        assert_eq!((flight.take(), flight.in_flight()), (None, 2));
        flight.acknowledged(1, at(15));
        flight.acknowledged(1, at(16));
        flight.acknowledged(0, at(25));
        flight.acknowledged(9, at(26));
        let tally = flight.finish();
        assert_eq!((tally.sent, tally.acknowledged, tally.unmatched), (2, 2, 2));
        // One arrived in the window, and one was sent in it.
        assert_eq!(
            (tally.in_window, tally.latencies),
            (1, vec![Duration::from_millis(3)])
        );
        assert_eq!((flight.take(), flight.in_flight()), (Some(0), 0));
    }

    #[test]
    fn an_open_loop_sender_never_waits_for_a_slot() {
        let now = Instant::now();
        let mut flight = Flight::new(2);
        for slot in [0, 1, 0, 1, 0] {
            assert_eq!(flight.take_or_abandon(), Some(slot));
            flight.sent(slot, now);
        }
        assert_eq!(flight.in_flight(), 2);
        for slot in [0, 1, 0, 1, 0] {
            flight.acknowledged(slot, now);
        }
        let tally = flight.finish();
        assert_eq!((tally.sent, tally.acknowledged + tally.unmatched), (5, 5));
        assert_eq!(Flight::new(0).take_or_abandon(), None);
    }
}
