//! The bookkeeping: what an honest child does, what no child may do, and what is due when.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::clock;

const SECOND: Duration = Duration::from_secs(1);
const FLUSH: u64 = FIRST_OWN_CALL + 1;

/// A child that runs, with these calls dispatched.
fn with(ids: std::ops::Range<u64>) -> (Calls<u64>, Instant) {
    let now = clock::now();
    let mut calls = Calls::starting(now, SECOND);
    calls.started(now, true);
    for id in ids {
        calls.push(Call::new(id, SECOND, 1, CallKind::Deliver), id);
    }
    while calls.dispatch(now).is_some() {}
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
    calls.done(&[0], Outcome::Ok, now).unwrap();
    assert_eq!(calls.dispatch(now), Some(WINDOW as u64));
    assert_eq!(calls.dispatch(now), None);
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
    assert_eq!(calls.done(&[0], Outcome::Ok, now).unwrap(), Some(0));
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
    calls.done(&[0, 1, 2], Outcome::Ok, now).unwrap();
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
    assert!(calls.done(&[7], Outcome::Ok, now).is_err());
    assert!(calls.begun(FLUSH, now).is_err(), "there is nothing to flush");
}

#[test]
fn nothing_but_a_delivery_can_be_acknowledged() {
    let (mut calls, now) = with(0..1);
    calls.begun(0, now).unwrap();
    calls.begun(FLUSH, now).unwrap();
    assert_eq!(calls.acknowledged(FLUSH), Err(Violation::UnknownCall(FLUSH)));
    let mut calls = Calls::<u64>::starting(now, SECOND);
    assert!(calls.acknowledged(FIRST_OWN_CALL).is_err(), "its start");
}

#[test]
fn only_a_waiting_call_can_be_dropped() {
    let (mut calls, _) = with(0..(WINDOW as u64 + 1));
    assert!(calls.cancel_waiting(WINDOW as u64));
    assert!(!calls.cancel_waiting(WINDOW as u64));
    assert!(!calls.cancel_waiting(0));
}

#[test]
fn calls_begin_in_turn() {
    let (mut calls, now) = with(0..3);
    assert_eq!(calls.begun(1, now), Err(Violation::OutOfTurn(1)));
    calls.begun(0, now).unwrap();
    assert_eq!(
        calls.begun(0, now),
        Err(Violation::UnknownCall(0)),
        "it has begun"
    );
    // Cancelled ones come back by themselves.
    assert!(calls.cancel_dispatched(1));
    calls.begun(2, now).unwrap();
    calls.done(&[1], Outcome::Retry { after: None }, now).unwrap();
}

#[test]
fn what_did_not_begin_ends_only_when_cancelled() {
    let (mut calls, now) = with(0..2);
    let retry = Outcome::Retry { after: None };
    assert!(calls.done(&[0], retry, now).is_err());
    assert!(calls.cancel_dispatched(0));
    assert!(calls.done(&[0], Outcome::Ok, now).is_err(), "it was not done");
    calls.done(&[0], retry, now).unwrap();
    assert!(!calls.cancel_dispatched(0), "it is over");
}

#[test]
fn a_plugin_without_flush_ends_each_call_before_the_next() {
    let (mut calls, now) = with(0..2);
    calls.flushes = false;
    calls.begun(0, now).unwrap();
    assert_eq!(calls.begun(1, now), Err(Violation::OutOfTurn(1)));
    assert_eq!(calls.begun(FLUSH, now), Err(Violation::OutOfTurn(FLUSH)));
}

#[test]
fn a_flush_ends_what_waited_for_it_and_nothing_else() {
    let (mut calls, now) = with(0..3);
    calls.begun(0, now).unwrap();
    calls.begun(1, now).unwrap();
    assert!(
        calls.done(&[0], Outcome::Ok, now).is_err(),
        "it waits for the flush"
    );
    assert!(calls.begun(FLUSH + 1, now).is_err(), "it is not the next flush");
    calls.begun(FLUSH, now).unwrap();
    assert!(calls.begun(2, now).is_err(), "the flush is not over");
    for ids in [&[0][..], &[1, 0], &[0, 1, 2], &[FLUSH], &[]] {
        assert!(calls.done(ids, Outcome::Ok, now).is_err(), "{ids:?}");
    }
    calls.done(&[0, 1], Outcome::Ok, now).unwrap();
    calls.begun(2, now).unwrap();
}

#[test]
fn an_alert_is_acknowledged_once_and_while_its_call_runs() {
    let (mut calls, now) = with(0..2);
    assert_eq!(calls.acknowledged(0), Err(Violation::UnknownCall(0)));
    calls.begun(0, now).unwrap();
    calls.acknowledged(0).unwrap();
    assert_eq!(calls.acknowledged(0), Err(Violation::AcknowledgedTwice(0)));
    assert_eq!(calls.acknowledged(1), Err(Violation::UnknownCall(1)));
    calls.begun(1, now).unwrap();
    assert_eq!(
        calls.acknowledged(0),
        Err(Violation::UnknownCall(0)),
        "it waits for the flush"
    );
}

#[test]
fn a_child_that_begins_nothing_is_found_whatever_the_timeout() {
    let (mut calls, now) = with(0..2);
    assert_eq!(calls.next_deadline(), Some(now + BEGIN_TIMEOUT));
    assert_eq!(
        calls.check_deadline(now + BEGIN_TIMEOUT),
        Some(DeadlineAction::NotBegun(0))
    );
    // What it ends gives it time for the next.
    let later = now + BEGIN_TIMEOUT / 2;
    calls.begun(0, later).unwrap();
    calls.begun(1, later).unwrap();
    calls.begun(FLUSH, later).unwrap();
    calls.done(&[0, 1], Outcome::Ok, later).unwrap();
    assert_eq!(calls.next_deadline(), None);
    calls.push(Call::new(2, SECOND, 0, CallKind::Deliver), 2);
    calls.dispatch(later).unwrap();
    assert_eq!(calls.next_deadline(), Some(later + BEGIN_TIMEOUT));
    calls.stop();
    assert_eq!(calls.next_deadline(), None);
}

/// By beginning one call after the other a child gains no more than three timeouts.
#[test]
fn a_run_without_end_is_cut() {
    let (mut calls, start) = with(0..60);
    let mut now = start;
    let cut = (0..60).find(|id| {
        calls.begun(*id, now).unwrap();
        now += SECOND * 9 / 10;
        calls.check_deadline(now) == Some(DeadlineAction::Kill)
    });
    assert!(cut.is_some());
    assert!(now - start <= (SECOND + CANCEL_GRACE) * 3 + SECOND);
}

/// A child that does all as it should, at its own pace.
#[derive(Debug, Default)]
struct Honest {
    inbox: VecDeque<ToHonest>,
    queue: VecDeque<u64>,
    current: Option<u64>,
    run: Vec<u64>,
    flushes: u64,
    says: VecDeque<Says>,
}

#[derive(Debug)]
enum ToHonest {
    Deliver(u64),
    Cancel(u64),
}

#[derive(Debug)]
enum Says {
    Begun(u64),
    Done(Vec<u64>, Outcome),
}

impl Honest {
    fn receive(&mut self) {
        match self.inbox.pop_front() {
            Some(ToHonest::Deliver(id)) => self.queue.push_back(id),
            Some(ToHonest::Cancel(id)) => {
                if let Some(index) = self.queue.iter().position(|queued| *queued == id) {
                    self.queue.remove(index);
                    self.says
                        .push_back(Says::Done(vec![id], Outcome::Retry { after: None }));
                }
            }
            None => {}
        }
    }

    fn begin(&mut self) {
        if self.current.is_none() && self.run.len() < FLUSH_CALLS {
            self.current = self.queue.pop_front();
            self.says.extend(self.current.map(Says::Begun));
        }
    }

    fn end(&mut self, ok: bool, flushing_plugin: bool) {
        let Some(id) = self.current.take() else { return };
        if ok && flushing_plugin {
            self.run.push(id);
        } else {
            let outcome = if ok { Outcome::Ok } else { Outcome::Permanent };
            self.says.push_back(Says::Done(vec![id], outcome));
        }
    }

    fn flush(&mut self) {
        if self.current.is_none() && !self.run.is_empty() {
            self.flushes += 1;
            self.says.push_back(Says::Begun(FIRST_OWN_CALL + self.flushes));
            let run = std::mem::take(&mut self.run);
            self.says.push_back(Says::Done(run, Outcome::Ok));
        }
    }
}

proptest! {
    #[test]
    fn an_honest_child_violates_nothing(flushes: bool, steps in proptest::collection::vec((0_u8..9, any::<u8>()), 0..400)) {
        let now = clock::now();
        let mut calls = Calls::starting(now, SECOND);
        calls.started(now, flushes);
        let (mut child, mut next, mut open) = (Honest::default(), 0_u64, BTreeSet::new());
        for (step, choice) in steps {
            match step {
                0 | 1 => {
                    calls.push(Call::new(next, SECOND, 1, CallKind::Deliver), next);
                    open.insert(next);
                    next += 1;
                }
                2 => child.inbox.extend(calls.dispatch(now).map(ToHonest::Deliver)),
                3 => {
                    let Some(id) = open.iter().nth(usize::from(choice) % open.len().max(1)).copied() else { continue };
                    if calls.cancel_waiting(id) {
                        open.remove(&id);
                    } else if calls.cancel_dispatched(id) {
                        child.inbox.push_back(ToHonest::Cancel(id));
                    }
                }
                4 => child.receive(),
                5 => child.begin(),
                6 => child.end(choice % 4 != 0, flushes),
                7 => child.flush(),
                _ => match child.says.pop_front() {
                    Some(Says::Begun(id)) => prop_assert_eq!(calls.begun(id, now), Ok(())),
                    Some(Says::Done(ids, outcome)) => {
                        prop_assert_eq!(calls.done(&ids, outcome, now), Ok(None));
                        for id in ids {
                            prop_assert!(open.remove(&id));
                        }
                    }
                    None => {}
                },
            }
            let in_child = calls.in_child() > 0;
            prop_assert!(!in_child || calls.next_deadline().is_some(), "nothing bounds what the child has");
        }
        let closed = calls.close(false);
        prop_assert_eq!(closed.unfinished.iter().copied().collect::<BTreeSet<_>>(), open);
    }

    #[test]
    fn a_lying_child_ends_each_call_at_most_once(
        flushes: bool,
        steps in proptest::collection::vec((0_u8..4, 0_u64..6, any::<bool>()), 0..60),
    ) {
        let (mut calls, now) = with(0..4);
        calls.flushes = flushes;
        let mut over = BTreeSet::new();
        for (step, id, own) in steps {
            let id = if own { FIRST_OWN_CALL + id } else { id };
            let ids: Vec<u64> = (0..id.min(4)).collect();
            let ended = match step {
                0 => {
                    let _ = calls.begun(id, now);
                    continue;
                }
                1 => calls.done(&[id], Outcome::Ok, now).map(|_| vec![id]),
                2 => calls.done(&ids, Outcome::Ok, now).map(|_| ids),
                _ => {
                    let _ = calls.acknowledged(id);
                    continue;
                }
            };
            for id in ended.unwrap_or_default() {
                prop_assert!(over.insert(id), "{} ended twice", id);
            }
        }
    }

    #[test]
    fn nothing_that_a_child_says_gains_it_time(
        flushes: bool,
        says in proptest::collection::vec((0_u8..8, 0_u64..24, 0_u64..2_500), 0..60),
    ) {
        const CALLS: u64 = 20;
        let (mut calls, mut now) = with(0..CALLS);
        calls.flushes = flushes;
        // When what is not over yet began, or could have begun.
        let (mut since, mut next) = (now, 0);
        let bound = BEGIN_TIMEOUT.max((SECOND + CANCEL_GRACE) * 3);
        for (what, id, pause) in says {
            let then = now + Duration::from_millis(pause);
            if !outlives_deadlines(&mut calls, &mut now, then)? {
                return Ok(());
            }
            prop_assert!(calls.in_child() == 0 || now - since <= bound, "{:?}", now - since);
            let began = what <= 4;
            let believed = match what {
                0..=4 => calls.begun(next, now),
                5 => calls.done(&[next.saturating_sub(1)], Outcome::Ok, now).map(drop),
                6 => calls.begun(FLUSH + id, now),
                _ => calls.acknowledged(id),
            };
            if believed.is_err() {
                // Its end.
                return Ok(());
            }
            next += u64::from(began);
            if what == 5 || (began && calls.awaiting_flush.is_empty()) {
                since = now;
            }
        }
        let long_after = since + bound + SECOND;
        let lives = outlives_deadlines(&mut calls, &mut now, long_after)?;
        prop_assert!(!lives || calls.in_child() == 0, "it has calls and no end");
    }
}

/// Does what is due until then, as the driver does. Whether the child lives.
fn outlives_deadlines(
    calls: &mut Calls<u64>,
    now: &mut Instant,
    then: Instant,
) -> Result<bool, TestCaseError> {
    while let Some(due) = calls.next_deadline().filter(|due| *due <= then) {
        *now = due.max(*now);
        match calls.check_deadline(*now) {
            Some(DeadlineAction::Kill | DeadlineAction::NotBegun(_)) => return Ok(false),
            Some(DeadlineAction::Cancel(_)) => {}
            None => prop_assert!(false, "nothing is done about what is due"),
        }
    }
    *now = then.max(*now);
    Ok(true)
}
