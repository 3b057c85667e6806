//! The machine as tables: what each event leads to.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::{BackoffPolicy, Now};

pub(super) const WINDOW: usize = 4;

pub(super) fn policy() -> SinkPolicy {
    let backoff = |initial, max| BackoffPolicy {
        initial: Duration::from_secs(initial),
        max: Duration::from_secs(max),
        jitter: 0.0,
    };
    SinkPolicy {
        in_flight: WINDOW,
        in_flight_bytes: 1_000,
        recycle_over: 1 << 20,
        leave_grace: Duration::from_secs(2),
        finish_grace: Duration::from_secs(30),
        retry: RetryPolicy {
            backoff: backoff(1, 300),
            give_up_after: None,
        },
        crashes: CrashPolicy {
            restarts: backoff(1, 60),
            crashes: 5,
            window: Duration::from_secs(300),
            poison_threshold: 3,
        },
        dead_letter_interval: Duration::from_secs(600),
    }
}

pub(super) fn at(millis: u64) -> Now {
    Now {
        monotonic: MonotonicTime::since_origin(Duration::from_millis(millis)),
        unix: UnixMillis(i64::try_from(millis).unwrap()),
    }
}

pub(super) fn due<J>(alert: u64, payload: J) -> DueDelivery<J> {
    DueDelivery {
        alert: AlertId(alert),
        kind: AlertKind::Anomaly,
        age: Duration::ZERO,
        attempts: 0,
        cancel_on_acknowledge: false,
        frame_bytes: 10,
        payload,
    }
}

fn fetched(alerts: impl IntoIterator<Item = u64>) -> Fetched<()> {
    Fetched {
        due: alerts.into_iter().map(|alert| due(alert, ())).collect(),
        expired: Vec::new(),
        next_due: None,
        more: false,
    }
}

fn retry() -> Outcome {
    Outcome::Retry {
        note: "451 busy".into(),
        after: None,
    }
}

fn exit(blamed: Option<CallId>, unfinished: usize) -> SinkEvent<()> {
    SinkEvent::Exited(ChildExit {
        how: "was killed by SIGSEGV".into(),
        crashed: true,
        blamed,
        unfinished,
    })
}

/// A machine and the time.
struct Bench {
    machine: SinkMachine,
    millis: u64,
}

impl Bench {
    /// One whose child is to be started.
    fn new() -> Self {
        let now = at(0).monotonic;
        Self {
            machine: SinkMachine::new("mail".into(), policy(), now, 0),
            millis: 0,
        }
    }

    /// One that serves, and has asked for the first deliveries.
    fn serving(probes: bool) -> Self {
        let mut bench = Self::new();
        assert_eq!(bench.step(SinkEvent::Wake), [SinkEffect::Start]);
        bench.step(SinkEvent::Started { probes });
        bench
    }

    /// One that has these deliveries in flight, under the calls 1, 2 and so on.
    fn delivering(alerts: impl IntoIterator<Item = u64>) -> Self {
        let mut bench = Self::serving(false);
        bench.step(SinkEvent::Fetched(1, fetched(alerts)));
        bench
    }

    /// One with the breaker open until 1 s, and nothing in flight.
    fn down(probes: bool) -> Self {
        let mut bench = Self::serving(probes);
        bench.step(SinkEvent::Fetched(1, fetched(1..=3)));
        (1..=3).for_each(|call| drop(bench.end(call, retry())));
        bench.step(SinkEvent::Recorded((1..=3).map(AlertId).collect()));
        assert_eq!(bench.machine.state(), SinkState::Down);
        bench
    }

    fn step(&mut self, event: SinkEvent<()>) -> Vec<SinkEffect<()>> {
        self.machine.step(at(self.millis), event)
    }

    fn end(&mut self, call: CallId, outcome: Outcome) -> Vec<SinkEffect<()>> {
        self.step(SinkEvent::Ended {
            call,
            outcome,
            instance_failed: false,
        })
    }

    /// Lets time pass up to then.
    fn wake(&mut self, millis: u64) -> Vec<SinkEffect<()>> {
        self.millis = millis;
        self.step(SinkEvent::Wake)
    }
}

/// The effects without what is only said.
fn acts(effects: Vec<SinkEffect<()>>) -> Vec<SinkEffect<()>> {
    let silent = |effect: &SinkEffect<()>| !matches!(effect, SinkEffect::Log(_) | SinkEffect::WakeAt(_));
    effects.into_iter().filter(silent).collect()
}

fn end_within(seconds: u64) -> SinkEffect<()> {
    let within = Duration::from_secs(seconds);
    SinkEffect::EndChild { within }
}

fn fetch(fetch: u64, limit: usize, skip: impl IntoIterator<Item = u64>) -> SinkEffect<()> {
    let skip: BTreeSet<_> = skip.into_iter().map(AlertId).collect();
    SinkEffect::Fetch {
        fetch,
        limit,
        max_bytes: 1_000 - 10 * u64::try_from(skip.len()).unwrap(),
        skip,
    }
}

#[test]
fn what_is_due_is_fetched_and_delivered_up_to_the_window() {
    let mut bench = Bench::new();
    assert_eq!(bench.step(SinkEvent::Wake), [SinkEffect::Start]);
    let started = bench.step(SinkEvent::Started { probes: true });
    assert_eq!(started, [fetch(1, WINDOW, [])]);
    let effects = bench.step(SinkEvent::Fetched(1, fetched(1..=5)));
    let delivered = effects.iter().filter(|e| matches!(e, SinkEffect::Deliver { .. }));
    assert_eq!(
        delivered.count(),
        WINDOW,
        "the fifth stays in the queue: {effects:?}"
    );
    let ended = acts(bench.end(1, Outcome::Delivered));
    let [
        SinkEffect::Record(recorded),
        SinkEffect::Fetch { limit: 1, skip, .. },
    ] = &ended[..]
    else {
        panic!("{ended:?}");
    };
    assert_eq!(recorded[0].state, DeliveryState::Delivered);
    assert_eq!(skip.len(), 4, "three in flight and one unrecorded");
}

#[test]
fn an_empty_queue_is_read_again_when_something_is_due_or_new() {
    let mut bench = Bench::serving(false);
    let none = Fetched {
        next_due: Some(UnixMillis(5_000)),
        ..fetched([])
    };
    let wake = SinkEffect::WakeAt(at(5_000).monotonic);
    assert_eq!(bench.step(SinkEvent::Fetched(1, none)), [wake]);
    assert_eq!(bench.wake(4_999), [SinkEffect::WakeAt(at(5_000).monotonic)]);
    let stop = BTreeSet::new();
    assert_eq!(bench.step(SinkEvent::Notified { stop }), [fetch(2, WINDOW, [])]);
}

#[test]
fn what_comes_while_a_fetch_runs_is_fetched_after_it() {
    let mut bench = Bench::serving(false);
    let stop = BTreeSet::new();
    assert_eq!(bench.step(SinkEvent::Notified { stop }), []);
    assert_eq!(
        bench.step(SinkEvent::Fetched(1, fetched([]))),
        [fetch(2, WINDOW, [])]
    );
}

#[test]
fn a_store_that_cannot_be_read_is_read_again_after_a_second() {
    let mut bench = Bench::serving(false);
    let why = "disk I/O error".to_owned();
    bench.step(SinkEvent::FetchFailed { fetch: 1, why });
    assert_eq!(
        bench.machine.last_error(),
        Some("cannot read the store: disk I/O error")
    );
    assert_eq!(bench.wake(999), [SinkEffect::WakeAt(at(1_000).monotonic)]);
    assert_eq!(bench.wake(1_000), [fetch(2, WINDOW, [])]);
}

#[test]
fn a_cancelled_delivery_is_not_recorded_however_it_ends() {
    for outcome in [Outcome::Delivered, retry()] {
        let mut bench = Bench::delivering([7]);
        let stop = || BTreeSet::from([AlertId(7)]);
        let effects = acts(bench.step(SinkEvent::Notified { stop: stop() }));
        assert!(effects.contains(&SinkEffect::Cancel { call: 1 }), "{effects:?}");
        let again = acts(bench.step(SinkEvent::Notified { stop: stop() }));
        assert!(!again.contains(&SinkEffect::Cancel { call: 1 }), "{again:?}");
        let ended = acts(bench.end(1, outcome));
        assert!(!ended.iter().any(|effect| matches!(effect, SinkEffect::Record(_))));
        assert_eq!(bench.machine.in_flight(), 0);
    }
}

#[test]
fn a_sink_that_is_down_is_probed_by_its_plugin_before_a_delivery_is_tried() {
    let mut bench = Bench::down(true);
    assert_eq!(acts(bench.wake(999)), []);
    assert_eq!(acts(bench.wake(1_000)), [SinkEffect::Probe { call: 4 }]);
    assert_eq!(acts(bench.end(4, retry())), [], "it waits twice as long");
    assert_eq!(acts(bench.wake(2_999)), []);
    assert_eq!(bench.machine.next_try(at(2_999)), Some(UnixMillis(3_000)));
    assert_eq!(acts(bench.wake(3_000)), [SinkEffect::Probe { call: 5 }]);
    assert_eq!(bench.machine.next_try(at(3_000)), None, "it is being tried");
    assert_eq!(bench.machine.down_since(), Some(UnixMillis(0)));
    assert_eq!(acts(bench.end(5, Outcome::Delivered)), [fetch(2, 1, [])]);
    assert_eq!(
        bench.machine.state(),
        SinkState::Down,
        "only a delivery proves it"
    );
}

#[test]
fn a_sink_that_is_down_and_cannot_be_probed_gets_one_delivery() {
    let mut bench = Bench::down(false);
    assert_eq!(acts(bench.wake(1_000)), [fetch(2, 1, [])]);
}

#[test]
fn when_a_sink_works_again_retries_are_released_before_anything_is_fetched() {
    let mut bench = Bench::down(false);
    bench.wake(1_000);
    bench.step(SinkEvent::Fetched(2, fetched([1])));
    let ended = acts(bench.end(4, Outcome::Delivered));
    assert!(ended.contains(&SinkEffect::ReleaseRetries), "{ended:?}");
    let stop = BTreeSet::new();
    assert_eq!(acts(bench.step(SinkEvent::Notified { stop })), []);
    assert_eq!(acts(bench.step(SinkEvent::Recorded(vec![AlertId(1)]))), []);
    assert_eq!(acts(bench.step(SinkEvent::Released)), [fetch(3, WINDOW, [])]);
    assert_eq!(
        (bench.machine.down_since(), bench.machine.next_try(at(1_000))),
        (None, None)
    );
}

#[test]
fn what_a_fetch_brings_while_retries_are_released_is_left_in_the_queue() {
    let mut bench = Bench::serving(false);
    bench.step(SinkEvent::Fetched(
        1,
        Fetched {
            more: true,
            ..fetched(1..=3)
        },
    ));
    // The window has room for one more, which is being fetched when the breaker opens and closes.
    (1..=2).for_each(|call| drop(bench.end(call, retry())));
    bench.step(SinkEvent::Fetched(
        2,
        Fetched {
            more: true,
            ..fetched([4])
        },
    ));
    bench.end(3, retry());
    assert!(
        bench
            .end(4, Outcome::Delivered)
            .contains(&SinkEffect::ReleaseRetries)
    );
    assert_eq!(bench.step(SinkEvent::Fetched(3, fetched([5]))), []);
    assert_eq!(bench.machine.in_flight(), 0);
}

#[test]
fn after_a_crash_that_could_be_the_fault_of_several_they_are_made_one_at_a_time() {
    let mut bench = Bench::delivering([1, 2]);
    assert_eq!(acts(bench.step(exit(None, 2))), []);
    assert_eq!(bench.wake(1_000), [SinkEffect::Start]);
    let started = bench.step(SinkEvent::Started { probes: false });
    assert_eq!(started, [fetch(2, 1, [])]);
}

#[test]
fn the_third_crash_over_an_alert_dead_letters_it_and_is_reported() {
    let mut bench = Bench::delivering([7]);
    for call in 1..=3 {
        let crashed = acts(bench.step(exit(Some(call), 1)));
        let SinkEffect::Record(results) = &crashed[0] else {
            panic!("{crashed:?}")
        };
        let dead = call == 3;
        assert_eq!(results[0].state == DeliveryState::Dead, dead);
        assert_eq!(crashed.len() == 2, dead, "with an event: {crashed:?}");
        bench.step(SinkEvent::Recorded(vec![AlertId(7)]));
        bench.wake(call * 10_000);
        bench.step(SinkEvent::Started { probes: false });
        bench.step(SinkEvent::Fetched(call + 1, fetched([7])));
    }
}

#[test]
fn a_child_without_access_to_a_replaced_file_is_recycled_and_what_failed_is_tried_at_once() {
    let mut bench = Bench::down(false);
    let file = "/etc/hosts".to_owned();
    let replaced = acts(bench.step(SinkEvent::Replaced { file: file.clone() }));
    assert_eq!(replaced, [end_within(2)], "nothing is in flight");
    assert_eq!(acts(bench.step(SinkEvent::Replaced { file })), [], "once");
    let ended = SinkEvent::Exited(ChildExit {
        how: "ended as it was asked to".into(),
        crashed: false,
        blamed: None,
        unfinished: 0,
    });
    assert_eq!(
        acts(bench.step(ended)),
        [SinkEffect::ReleaseRetries, SinkEffect::Start]
    );
    assert_eq!(bench.machine.crash_count(), 0);
    bench.step(SinkEvent::Started { probes: false });
    let fetch = acts(bench.step(SinkEvent::Released));
    assert!(
        matches!(fetch[..], [SinkEffect::Fetch { limit: 1, .. }]),
        "one, and at once: {fetch:?}"
    );
}

#[test]
fn a_child_that_grew_too_large_is_recycled_between_two_deliveries() {
    let mut bench = Bench::delivering([1]);
    assert_eq!(acts(bench.step(SinkEvent::Memory(2 << 20))), []);
    let stop = BTreeSet::new();
    assert_eq!(
        acts(bench.step(SinkEvent::Notified { stop })),
        [],
        "nothing new is begun"
    );
    let ended = acts(bench.end(1, Outcome::Delivered));
    assert_eq!(ended.last(), Some(&end_within(2)));
    let wanted = SinkEvent::Exited(ChildExit {
        how: "ended as it was asked to".into(),
        crashed: false,
        blamed: None,
        unfinished: 0,
    });
    assert_eq!(bench.step(wanted), [SinkEffect::Start]);
    assert_eq!(bench.machine.crash_count(), 0);
}

#[test]
fn stopping_takes_back_what_is_not_begun_and_waits_for_the_call_that_is_and_its_record() {
    let mut bench = Bench::delivering([1, 2, 3]);
    assert_eq!(bench.machine.ends_by(at(0)), None);
    assert_eq!(bench.step(SinkEvent::Stop), [end_within(32)], "at once");
    assert_eq!(bench.machine.state(), SinkState::Stopping);
    assert_eq!(bench.machine.ends_by(at(1_000)), Some(UnixMillis(32_000)));
    let ended = bench.end(1, Outcome::Delivered);
    let [SinkEffect::Record(recorded)] = &ended[..] else {
        panic!("the call that was begun, and nothing else: {ended:?}");
    };
    assert_eq!((recorded[0].alert, recorded.len()), (AlertId(1), 1));
    assert_eq!(bench.step(exit(None, 2)), [], "the others are due as they were");
    let recorded = bench.step(SinkEvent::Recorded(vec![AlertId(1)]));
    assert_eq!(recorded, [SinkEffect::Stopped]);
    assert_eq!(bench.step(SinkEvent::Wake), []);
    assert_eq!(bench.machine.state(), SinkState::Stopped);
}

#[test]
fn what_a_plugin_that_is_to_end_works_on_can_be_cancelled_and_counts_as_tried_when_it_is_killed() {
    let mut bench = Bench::delivering([1, 2]);
    bench.step(SinkEvent::Stop);
    let stop = BTreeSet::from([AlertId(1)]);
    let cancelled = acts(bench.step(SinkEvent::Notified { stop }));
    assert_eq!(cancelled, [SinkEffect::Cancel { call: 1 }]);
    bench.end(1, retry());
    let killed = acts(bench.step(exit(Some(2), 1)));
    let [SinkEffect::Record(recorded)] = &killed[..] else {
        panic!("{killed:?}");
    };
    let recorded = (recorded[0].alert, recorded[0].state, recorded[0].attempts);
    assert_eq!(recorded, (AlertId(2), DeliveryState::Pending, 1));
}

#[test]
fn a_child_that_ends_already_is_waited_for() {
    let mut bench = Bench::serving(false);
    bench.step(SinkEvent::Fetched(1, fetched([])));
    assert_eq!(acts(bench.step(SinkEvent::Memory(2 << 20))), [end_within(2)]);
    assert_eq!(bench.step(SinkEvent::Stop), []);
    assert_eq!(bench.machine.ends_by(at(0)), Some(UnixMillis(2_000)));
    assert_eq!(bench.step(exit(None, 0)), [SinkEffect::Stopped]);
}

#[test]
fn a_call_that_the_child_does_not_take_is_not_counted_and_tried_later() {
    let mut bench = Bench::delivering([1]);
    let effects = acts(bench.step(SinkEvent::NotQueued { call: 1, never: None }));
    assert_eq!(effects, []);
    assert_eq!(bench.wake(1_000), [fetch(2, WINDOW, [])]);
    bench.step(SinkEvent::Fetched(2, fetched([1])));
    let never = Some("an alert has at most 64 pictures, not 65".to_owned());
    let effects = acts(bench.step(SinkEvent::NotQueued { call: 2, never }));
    let SinkEffect::Record(results) = &effects[0] else {
        panic!("{effects:?}")
    };
    assert_eq!(results[0].state, DeliveryState::Dead);
}
