//! Properties of the machine over random events: a small model of the store, the child and the clock performs its
//! effects, in any order the real ones could, and holds it to its rules.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::tests::{WINDOW, at, due, policy};
use super::*;

/// Alerts that there are in all.
const ALERTS: u64 = 12;

/// Something the world does next, if it can.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// A new delivery is planned.
    Plan,
    /// A delivery is offered that the store cannot take yet.
    Offer,
    /// The store takes what was offered.
    Store,
    /// The fetch that was asked for reads, and is answered at the next act of this kind.
    Read { fails: bool },
    /// The child's oldest call ends. 0: delivered, 1: refused, 2: to be retried, 3: and the instance has failed.
    End(u8),
    /// The child starts, or does not.
    Start { fails: bool },
    /// The child dies over its oldest call or over nothing in particular.
    Die { blames: bool },
    /// The store records what it was given.
    Record,
    /// The store makes retries due.
    Release,
    /// An operator drops a delivery.
    Drop(u64),
    /// The child is found to hold too much.
    Grow,
    /// A file that it was granted is another.
    Replace,
    /// The hub stops.
    Stop,
    /// Time passes.
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Plan),
        2 => Just(Act::Offer),
        1 => Just(Act::Store),
        6 => prop::bool::weighted(0.1).prop_map(|fails| Act::Read { fails }),
        8 => prop_oneof![3 => Just(0u8), 1 => Just(1), 6 => Just(2), 1 => Just(3)].prop_map(Act::End),
        3 => prop::bool::weighted(0.2).prop_map(|fails| Act::Start { fails }),
        1 => any::<bool>().prop_map(|blames| Act::Die { blames }),
        5 => Just(Act::Record),
        3 => Just(Act::Release),
        1 => (1..=ALERTS).prop_map(Act::Drop),
        1 => Just(Act::Grow),
        1 => Just(Act::Replace),
        4 => (1u64..4_000).prop_map(Act::Wait),
    ]
}

/// The process, as the machine's effects have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Process {
    None,
    Starting,
    Running,
    Ending,
}

/// The world around the machine.
struct World {
    machine: SinkMachine,
    millis: u64,
    planned: u64,
    /// Pending deliveries in the store, with the time they are due at.
    pending: BTreeMap<AlertId, u64>,
    /// Offered, and not in the store.
    unstored: BTreeSet<AlertId>,
    dropped: BTreeSet<AlertId>,
    delivered: BTreeSet<AlertId>,
    process: Process,
    /// The calls that the child has, oldest first; `None` for a probe.
    calls: Vec<(CallId, Option<AlertId>)>,
    cancelled: BTreeSet<CallId>,
    /// The fetch that runs, and what it has read if it has.
    fetch: Option<(u64, usize, BTreeSet<AlertId>)>,
    read: Option<(u64, Vec<AlertId>, Option<u64>)>,
    unrecorded: Vec<DeliveryResult>,
    releasing: bool,
    wake: Option<MonotonicTime>,
    stopping: bool,
    stopped: bool,
}

impl World {
    fn new(probes: bool) -> Self {
        let mut world = Self {
            machine: SinkMachine::new("mail".into(), policy(), at(0).monotonic, 1),
            millis: 0,
            planned: 0,
            pending: BTreeMap::new(),
            unstored: BTreeSet::new(),
            dropped: BTreeSet::new(),
            delivered: BTreeSet::new(),
            process: Process::None,
            calls: Vec::new(),
            cancelled: BTreeSet::new(),
            fetch: None,
            read: None,
            unrecorded: Vec::new(),
            releasing: false,
            wake: None,
            stopping: false,
            stopped: false,
        };
        world.step(SinkEvent::Wake);
        world.started(probes);
        world
    }

    fn started(&mut self, probes: bool) {
        self.process = Process::Running;
        self.step(SinkEvent::Started { probes });
    }

    fn step(&mut self, event: SinkEvent<AlertId>) {
        for effect in self.machine.step(at(self.millis), event) {
            self.perform(effect);
        }
        assert!(
            self.machine.in_flight() <= WINDOW,
            "more in flight than the window"
        );
    }

    fn perform(&mut self, effect: SinkEffect<AlertId>) {
        assert!(!self.stopped, "after the end: {effect:?}");
        match effect {
            SinkEffect::Start => {
                assert_eq!(self.process, Process::None);
                self.process = Process::Starting;
            }
            SinkEffect::Fetch {
                fetch, limit, skip, ..
            } => {
                assert!(!self.releasing, "fetches while releasing");
                assert!(!self.stopping, "fetches while stopping");
                assert!((1..=WINDOW).contains(&limit));
                self.fetch = Some((fetch, limit, skip));
                self.read = None;
            }
            SinkEffect::Deliver { call, payload, .. } => {
                let working = self.calls.iter().any(|(_, alert)| *alert == Some(payload));
                assert!(!working, "{payload} is in flight already");
                assert!(!self.unrecorded.iter().any(|result| result.alert == payload));
                assert!(
                    !self.delivered.contains(&payload),
                    "{payload} is delivered already"
                );
                assert!(!self.dropped.contains(&payload), "{payload} was dropped");
                self.calls.push((call, Some(payload)));
            }
            SinkEffect::Probe { call } => {
                assert_eq!(self.machine.state(), SinkState::Down, "probes a sink that works");
                self.calls.push((call, None));
            }
            SinkEffect::Cancel { call } => drop(self.cancelled.insert(call)),
            SinkEffect::Record(results) => self.unrecorded.extend(results),
            SinkEffect::ReleaseRetries => self.releasing = true,
            SinkEffect::EndChild { .. } => {
                assert_eq!(self.process, Process::Running);
                self.process = Process::Ending;
            }
            SinkEffect::WakeAt(time) => self.wake = Some(time),
            SinkEffect::Stopped => self.stopped = true,
            SinkEffect::Acknowledge(_) | SinkEffect::Raise(_) | SinkEffect::Log(_) => {}
        }
    }

    fn notify(&mut self) {
        let dropped = self.dropped.clone();
        self.step(SinkEvent::Notified { stop: dropped });
    }

    fn act(&mut self, act: Act, probes: bool) {
        match act {
            Act::Plan if self.planned < ALERTS => self.plan(),
            Act::Offer if self.planned < ALERTS => {
                self.planned += 1;
                self.unstored.insert(AlertId(self.planned));
                self.step(SinkEvent::FromMemory(due(self.planned, AlertId(self.planned))));
            }
            Act::Store => self.store(),
            Act::Read { fails } => self.read(fails),
            Act::End(how) => self.end(how),
            Act::Start { fails: false } if self.process == Process::Starting => self.started(probes),
            Act::Start { fails: true } if self.process == Process::Starting => {
                self.process = Process::None;
                let why = "no such device".to_owned();
                self.step(SinkEvent::NotStarted { why });
            }
            Act::Die { blames } if matches!(self.process, Process::Running | Process::Ending) => {
                self.die(blames);
            }
            Act::Record => self.record(),
            Act::Release if self.releasing => {
                self.pending.values_mut().for_each(|due| *due = 0);
                self.releasing = false;
                self.step(SinkEvent::Released);
            }
            Act::Drop(alert) if self.pending.contains_key(&AlertId(alert)) => {
                self.pending.remove(&AlertId(alert));
                self.dropped.insert(AlertId(alert));
                self.notify();
            }
            Act::Grow if self.process == Process::Running => self.step(SinkEvent::Memory(2 << 20)),
            Act::Replace if self.process == Process::Running => {
                let file = "/etc/hosts".to_owned();
                self.step(SinkEvent::Replaced { file });
            }
            Act::Stop => {
                self.stopping = true;
                self.step(SinkEvent::Stop);
            }
            Act::Wait(millis) => {
                self.millis += millis;
                if self.wake.is_some_and(|wake| wake <= at(self.millis).monotonic) {
                    self.wake = None;
                    self.step(SinkEvent::Wake);
                }
            }
            _ => {}
        }
    }

    fn plan(&mut self) {
        self.planned += 1;
        self.pending.insert(AlertId(self.planned), 0);
        self.notify();
    }

    /// A fetch sees the store at one time and brings its answer at another.
    fn read(&mut self, fails: bool) {
        if let Some((fetch, alerts, next)) = self.read.take() {
            self.fetch = None;
            return self.fetched(fetch, &alerts, next);
        }
        let Some((fetch, limit, skip)) = &self.fetch else {
            return;
        };
        let (fetch, limit) = (*fetch, *limit);
        if fails {
            self.fetch = None;
            let why = "disk I/O error".to_owned();
            return self.step(SinkEvent::FetchFailed { fetch, why });
        }
        let wanted = || self.pending.iter().filter(|(alert, _)| !skip.contains(alert));
        let due = wanted().filter(|&(_, &due)| due <= self.millis);
        let due: Vec<AlertId> = due.map(|(&alert, _)| alert).take(limit).collect();
        // As the store does it: looked for at the same time, and only where nothing is due.
        let next = wanted().map(|(_, &due)| due).min().filter(|_| due.is_empty());
        self.read = Some((fetch, due, next));
    }

    fn fetched(&mut self, fetch: u64, alerts: &[AlertId], next: Option<u64>) {
        // As the sink's owner does it: what has to stop is not handed on.
        let startable = alerts.iter().filter(|alert| !self.dropped.contains(alert));
        let fetched = Fetched {
            due: startable.map(|&alert| due(alert.0, alert)).collect(),
            expired: Vec::new(),
            next_due: next.map(|due| UnixMillis(i64::try_from(due).unwrap())),
            more: !alerts.is_empty(),
        };
        self.step(SinkEvent::Fetched(fetch, fetched));
    }

    fn end(&mut self, how: u8) {
        let alive = matches!(self.process, Process::Running | Process::Ending);
        if !alive || self.calls.is_empty() {
            return;
        }
        let (call, alert) = self.calls.remove(0);
        let note = "said so".to_owned();
        let outcome = match how {
            0 => Outcome::Delivered,
            1 => Outcome::Refused { note },
            _ => Outcome::Retry { note, after: None },
        };
        let before = self.unrecorded.len();
        self.step(SinkEvent::Ended {
            call,
            outcome,
            instance_failed: how == 3,
        });
        let recorded: Vec<_> = self.unrecorded[before..]
            .iter()
            .map(|result| result.alert)
            .collect();
        let expected = alert.filter(|_| !self.cancelled.contains(&call));
        assert_eq!(recorded, expected.into_iter().collect::<Vec<_>>());
    }

    fn die(&mut self, blames: bool) {
        let wanted = self.process == Process::Ending;
        self.process = Process::None;
        let calls = std::mem::take(&mut self.calls);
        let before = self.unrecorded.len();
        self.step(SinkEvent::Exited(ChildExit {
            how: "was killed by SIGSEGV".into(),
            crashed: !wanted,
            blamed: calls.first().filter(|_| blames && !wanted).map(|(call, _)| *call),
            unfinished: calls.len(),
        }));
        if wanted {
            assert_eq!(
                self.unrecorded.len(),
                before,
                "what only waited in it counts nowhere"
            );
        }
    }

    fn store(&mut self) {
        let offered = std::mem::take(&mut self.unstored);
        self.pending.extend(offered.into_iter().map(|alert| (alert, 0)));
        self.notify();
    }

    fn record(&mut self) {
        // In the order in which they came: what was offered before its outcome.
        self.store();
        let results = std::mem::take(&mut self.unrecorded);
        let alerts = results.iter().map(|result| result.alert).collect();
        for result in results {
            if !self.pending.contains_key(&result.alert) {
                continue;
            }
            if result.state == DeliveryState::Pending {
                let due = u64::try_from(result.due_at.0).unwrap();
                self.pending.insert(result.alert, due);
                continue;
            }
            self.pending.remove(&result.alert);
            if result.state == DeliveryState::Delivered {
                self.delivered.insert(result.alert);
            }
        }
        self.step(SinkEvent::Recorded(alerts));
    }

    /// Lets a world in which everything works go on until nothing happens any more.
    fn rest(&mut self, probes: bool) {
        for _ in 0..2_000 {
            for act in [
                Act::Start { fails: false },
                Act::Store,
                Act::Read { fails: false },
                Act::End(0),
                Act::Record,
                Act::Release,
            ] {
                self.act(act, probes);
            }
            if self.process == Process::Ending {
                self.act(Act::Die { blames: false }, probes);
            }
            self.act(Act::Wait(1_000), probes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_keeps_its_rules_and_comes_to_rest(
        acts in prop::collection::vec(act(), 0..300),
        probes in any::<bool>(),
    ) {
        let mut world = World::new(probes);
        for act in acts {
            world.act(act, probes);
        }
        world.rest(probes);
        if world.machine.state() == SinkState::Down && !probes {
            // All that it could have tried was dropped. The next delivery shows that it works.
            world.plan();
            world.rest(probes);
        }
        prop_assert_eq!(world.machine.in_flight(), 0);
        prop_assert!(world.pending.is_empty(), "left in the queue: {:?}", world.pending);
        prop_assert_eq!(world.machine.state(), SinkState::Running);
    }

    #[test]
    fn it_always_stops(
        before in prop::collection::vec(act(), 0..80),
        after in prop::collection::vec(act(), 0..20),
        probes in any::<bool>(),
    ) {
        let mut world = World::new(probes);
        for act in before.into_iter().chain([Act::Stop]).chain(after) {
            world.act(act, probes);
        }
        world.rest(probes);
        prop_assert!(world.stopped);
        prop_assert_eq!(world.machine.state(), SinkState::Stopped);
    }
}
