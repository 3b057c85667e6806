//! The calls of one child: which wait, which are dispatched, which one is with the plugin, and until when.
//!
//! Pure bookkeeping: it is given what happens and when, and answers what to do. It knows no socket and no clock.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use watchpost_sinkhost_protocol::limits::{CANCEL_GRACE, WINDOW, WINDOW_FRAMES};
use watchpost_sinkhost_protocol::{FIRST_OWN_CALL, Outcome};

/// The bookkeeping.
#[derive(Debug)]
pub(crate) struct Calls<R> {
    /// Accepted, not dispatched.
    waiting: VecDeque<(Call, R)>,
    /// Dispatched, not begun.
    dispatched: VecDeque<Call>,
    dispatched_frames: usize,
    /// With the plugin at this moment.
    running: Option<Running>,
    /// Delivered, waiting for the flush.
    awaiting_flush: Vec<Call>,
}

/// What is known of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Its number.
    pub(crate) id: u64,
    /// What the plugin has for it.
    pub(crate) timeout: Duration,
    /// How many pictures go with it.
    pub(crate) frames: usize,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    call: Call,
    deadline: Instant,
    cancelled: bool,
}

/// What to do about a call that has missed its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeadlineAction {
    /// Ask it to return.
    Cancel(u64),
    /// It was asked and has not.
    Kill,
}

/// The child reported on a call that it does not have.
#[derive(Debug)]
pub(crate) struct UnknownCall(pub(crate) u64);

impl<R> Calls<R> {
    /// Begins with the start of the child, which counts as a call of its own with this deadline.
    pub(crate) fn starting(now: Instant, timeout: Duration) -> Self {
        let call = Call {
            id: FIRST_OWN_CALL,
            timeout,
            frames: 0,
        };
        Self {
            waiting: VecDeque::new(),
            dispatched: VecDeque::new(),
            dispatched_frames: 0,
            running: Some(Running {
                call,
                deadline: now + timeout,
                cancelled: false,
            }),
            awaiting_flush: Vec::new(),
        }
    }

    /// The start is over.
    pub(crate) fn started(&mut self) {
        self.running = None;
    }

    /// Takes a call with the request that goes to the child for it.
    pub(crate) fn push(&mut self, call: Call, request: R) {
        self.waiting.push_back((call, request));
    }

    /// The next request to send, if the child has room for it. It counts as dispatched.
    pub(crate) fn dispatch(&mut self) -> Option<R> {
        let (next, _) = self.waiting.front()?;
        let frames = self.dispatched_frames + next.frames;
        if self.in_child() >= WINDOW || frames > WINDOW_FRAMES {
            return None;
        }
        let (call, request) = self.waiting.pop_front()?;
        self.dispatched_frames = frames;
        self.dispatched.push_back(call);
        Some(request)
    }

    /// The child begins a call: one dispatched, or a flush.
    pub(crate) fn begun(&mut self, id: u64, now: Instant) -> Result<(), UnknownCall> {
        let call = if id > FIRST_OWN_CALL {
            // A flush may take as long as the longest timeout among its deliveries.
            let flushed = self
                .running
                .iter()
                .map(|running| &running.call)
                .chain(&self.awaiting_flush);
            let timeout = flushed.map(|call| call.timeout).max().ok_or(UnknownCall(id))?;
            Call {
                id,
                timeout,
                frames: 0,
            }
        } else {
            self.take_dispatched(id).ok_or(UnknownCall(id))?
        };
        let running = Running {
            call,
            deadline: now + call.timeout,
            cancelled: false,
        };
        if let Some(before) = self.running.replace(running) {
            self.awaiting_flush.push(before.call);
        }
        Ok(())
    }

    /// The child reports the end of these calls. Says which of them had missed its deadline.
    pub(crate) fn done(&mut self, ids: &[u64]) -> Result<Option<u64>, UnknownCall> {
        let mut late = None;
        for &id in ids {
            if let Some(running) = self.running.take_if(|running| running.call.id == id) {
                late = running.cancelled.then_some(id);
            } else if let Some(index) = self.awaiting_flush.iter().position(|call| call.id == id) {
                self.awaiting_flush.remove(index);
            } else if self.take_dispatched(id).is_none() {
                return Err(UnknownCall(id));
            }
        }
        // A flush has no `Done` of its own: it is over with the last delivery it was for.
        if self.awaiting_flush.is_empty() {
            self.running.take_if(|running| running.call.id > FIRST_OWN_CALL);
        }
        Ok(late)
    }

    /// Drops a call that was not dispatched. `false`: it was, or is over.
    pub(crate) fn cancel_waiting(&mut self, id: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(call, _)| call.id != id);
        self.waiting.len() < before
    }

    /// When to ask [`Self::check_deadline`] again.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.running.map(|running| running.deadline)
    }

    /// What to do now about the call that is running.
    pub(crate) fn check_deadline(&mut self, now: Instant) -> Option<DeadlineAction> {
        let running = self.running.as_mut().filter(|running| now >= running.deadline)?;
        if running.cancelled {
            return Some(DeadlineAction::Kill);
        }
        running.cancelled = true;
        running.deadline = now + CANCEL_GRACE;
        Some(DeadlineAction::Cancel(running.call.id))
    }

    /// The call that is running, to be cancelled because the child shall stop.
    pub(crate) fn running_id(&self) -> Option<u64> {
        self.running.map(|running| running.call.id)
    }

    /// What is left of a child that is gone.
    pub(crate) fn close(self, timed_out: bool) -> Closed {
        let running = self
            .running
            .map(|running| running.call.id)
            .filter(|id| *id != FIRST_OWN_CALL);
        let flushing = running.is_some_and(|id| id > FIRST_OWN_CALL);
        let mut overdue: Vec<u64> = Vec::new();
        let mut unfinished: Vec<u64> = self.awaiting_flush.iter().map(|call| call.id).collect();
        // A crash within a flush may be the fault of any delivery in it.
        let blamed = match running {
            Some(_) if flushing => (unfinished.len() == 1).then(|| unfinished[0]),
            id => id,
        };
        if timed_out && flushing {
            overdue.append(&mut unfinished);
        }
        match running.filter(|_| !flushing) {
            Some(id) if timed_out => overdue.push(id),
            id => unfinished.extend(id),
        }
        unfinished.extend(self.dispatched.iter().map(|call| call.id));
        unfinished.extend(self.waiting.iter().map(|(call, _)| call.id));
        Closed {
            timed_out: overdue,
            blamed,
            unfinished,
        }
    }

    fn in_child(&self) -> usize {
        self.dispatched.len() + self.awaiting_flush.len() + usize::from(self.running.is_some())
    }

    fn take_dispatched(&mut self, id: u64) -> Option<Call> {
        let index = self.dispatched.iter().position(|call| call.id == id)?;
        let call = self.dispatched.remove(index)?;
        self.dispatched_frames -= call.frames;
        Some(call)
    }
}

/// What is left when a child is gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// Calls that are over because they missed their deadline.
    pub(crate) timed_out: Vec<u64>,
    /// The one call the plugin was working on.
    pub(crate) blamed: Option<u64>,
    /// Calls that have no outcome, oldest first.
    pub(crate) unfinished: Vec<u64>,
}

/// What counts as the outcome of a call that was cancelled at its deadline: done is done, all else has timed out.
pub(crate) fn after_deadline(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Ok => Outcome::Ok,
        _ => Outcome::TimedOut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const FLUSH: u64 = FIRST_OWN_CALL + 1;

    /// A child that runs, with these calls dispatched.
    fn with(ids: std::ops::Range<u64>) -> (Calls<u64>, Instant) {
        let now = Instant::now();
        let mut calls = Calls::starting(now, SECOND);
        calls.started();
        for id in ids {
            calls.push(
                Call {
                    id,
                    timeout: SECOND,
                    frames: 1,
                },
                id,
            );
        }
        while calls.dispatch().is_some() {}
        (calls, now)
    }

    #[test]
    fn the_window_bounds_what_is_dispatched() {
        let (mut calls, now) = with(0..200);
        assert_eq!(
            (calls.dispatched.len(), calls.waiting.len()),
            (WINDOW, 200 - WINDOW)
        );
        calls.begun(0, now).unwrap();
        calls.done(&[0]).unwrap();
        assert_eq!(calls.dispatch(), Some(WINDOW as u64));
        assert_eq!(calls.dispatch(), None);
    }

    #[test]
    fn an_overdue_call_is_cancelled_and_then_its_child_killed() {
        let (mut calls, now) = with(0..2);
        calls.begun(0, now).unwrap();
        assert_eq!(calls.check_deadline(now + SECOND / 2), None);
        assert_eq!(
            calls.check_deadline(now + SECOND),
            Some(DeadlineAction::Cancel(0))
        );
        assert_eq!(calls.check_deadline(now + SECOND), None);
        assert_eq!(
            calls.check_deadline(now + SECOND + CANCEL_GRACE),
            Some(DeadlineAction::Kill)
        );
        assert_eq!(
            calls.close(true),
            Closed {
                timed_out: vec![0],
                blamed: Some(0),
                unfinished: vec![1]
            }
        );
    }

    #[test]
    fn a_call_that_returns_after_its_cancel_has_timed_out() {
        let (mut calls, now) = with(0..1);
        calls.begun(0, now).unwrap();
        calls.check_deadline(now + SECOND);
        assert_eq!(calls.done(&[0]).unwrap(), Some(0));
        assert_eq!(calls.next_deadline(), None);
    }

    #[test]
    fn every_delivery_of_a_flush_has_its_own_time_and_the_flush_too() {
        let (mut calls, now) = with(0..3);
        for id in 0..3 {
            calls.begun(id, now + SECOND * id as u32).unwrap();
            assert_eq!(calls.check_deadline(now + SECOND * id as u32 + SECOND / 2), None);
        }
        calls.begun(FLUSH, now + SECOND * 3).unwrap();
        assert_eq!(calls.next_deadline(), Some(now + SECOND * 4));
        calls.done(&[0, 1, 2]).unwrap();
        assert_eq!(calls.next_deadline(), None);
        assert_eq!(
            calls.close(false),
            Closed {
                timed_out: vec![],
                blamed: None,
                unfinished: vec![]
            }
        );
    }

    #[test]
    fn a_crash_in_a_flush_blames_a_delivery_only_if_it_was_alone() {
        for (count, blamed) in [(1, Some(0)), (2, None)] {
            let (mut calls, now) = with(0..count);
            (0..count).for_each(|id| calls.begun(id, now).unwrap());
            calls.begun(FLUSH, now).unwrap();
            assert_eq!(
                calls.close(false),
                Closed {
                    timed_out: vec![],
                    blamed,
                    unfinished: (0..count).collect()
                }
            );
        }
    }

    #[test]
    fn a_flush_that_hangs_times_out_all_its_deliveries() {
        let (mut calls, now) = with(0..3);
        calls.begun(0, now).unwrap();
        calls.begun(1, now).unwrap();
        calls.begun(FLUSH, now).unwrap();
        assert_eq!(
            calls.close(true),
            Closed {
                timed_out: vec![0, 1],
                blamed: None,
                unfinished: vec![2]
            }
        );
    }

    #[test]
    fn what_was_never_dispatched_cannot_begin_or_end() {
        let (mut calls, now) = with(0..1);
        assert!(calls.begun(7, now).is_err());
        assert!(calls.done(&[7]).is_err());
        assert!(calls.begun(FLUSH, now).is_err(), "there is nothing to flush");
    }

    #[test]
    fn only_a_waiting_call_can_be_dropped() {
        let (mut calls, _) = with(0..(WINDOW as u64 + 1));
        assert!(calls.cancel_waiting(WINDOW as u64));
        assert!(!calls.cancel_waiting(WINDOW as u64));
        assert!(!calls.cancel_waiting(0));
    }
}
