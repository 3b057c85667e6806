//! Whatever is done to it in whatever order, the store behaves like a few lists in memory.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use proptest::prelude::*;
use watchpost_core::{Actor, AlertId, DeliveryState, UnixMillis};
use watchpost_store::{Batch, Filter, OperatorAct, Reader, Receipt, Retention, Store, StoredAlert};

const SINKS: [&str; 3] = ["archive", "mail", "siren"];
const KEEP_MAX: u64 = 25;

#[derive(Clone, Debug)]
enum Step {
    Commit {
        new: Vec<New>,
        ended: Vec<(prop::sample::Index, DeliveryState, i64)>,
        release: Option<usize>,
    },
    Acknowledge(prop::sample::Index),
    Dismiss(prop::sample::Index),
    Clear,
    Retain,
    Reopen,
}

#[derive(Clone, Debug)]
struct New {
    /// How much later than the newest its id is; negative for one that was born earlier.
    after: i64,
    source: Option<u8>,
    picture: Option<usize>,
    /// Bits of [`SINKS`].
    sinks: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let new = (
        prop_oneof![4 => 1..50_i64, 1 => -20..0_i64],
        prop::option::weighted(0.3, 0..20_u8),
        prop::option::of(0..40_000_usize),
        0..8_u8,
    )
        .prop_map(|(after, source, picture, sinks)| New {
            after,
            source,
            picture,
            sinks,
        });
    let state = prop_oneof![
        Just(DeliveryState::Delivered),
        Just(DeliveryState::Pending),
        Just(DeliveryState::Dead),
        Just(DeliveryState::Expired),
    ];
    let ended = (any::<prop::sample::Index>(), state, 0..2_000_i64);
    let commit = (
        prop::collection::vec(new, 0..8),
        prop::collection::vec(ended, 0..12),
        prop::option::weighted(0.2, 0..3_usize),
    )
        .prop_map(|(new, ended, release)| Step::Commit { new, ended, release });
    let step = prop_oneof![
        8 => commit,
        1 => any::<prop::sample::Index>().prop_map(Step::Acknowledge),
        1 => any::<prop::sample::Index>().prop_map(Step::Dismiss),
        1 => Just(Step::Clear),
        2 => Just(Step::Retain),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

#[derive(Clone, Debug)]
struct Kept {
    source: Option<u8>,
    picture: Option<usize>,
    acknowledged: bool,
    dismissed: bool,
    /// State and due time by sink.
    deliveries: BTreeMap<&'static str, (DeliveryState, i64)>,
}

#[derive(Default)]
struct Model {
    alerts: BTreeMap<AlertId, Kept>,
    newest: i64,
    unmatched: u64,
}

impl Model {
    fn arrive(&mut self, id: AlertId, new: &New) -> Receipt {
        let of_source = |kept: &&AlertId| new.source.is_some() && self.alerts[*kept].source == new.source;
        if let Some(&of) = self.alerts.keys().find(of_source) {
            return Receipt::Duplicate { of };
        }
        if self.alerts.contains_key(&id) {
            return Receipt::Duplicate { of: id };
        }
        let deliveries = sinks(new.sinks)
            .into_iter()
            .map(|sink| (sink, (DeliveryState::Pending, 0)))
            .collect();
        self.unmatched += u64::from(new.sinks == 0);
        let (source, picture) = (new.source, new.picture);
        self.alerts.insert(
            id,
            Kept {
                source,
                picture,
                acknowledged: false,
                dismissed: false,
                deliveries,
            },
        );
        Receipt::Stored
    }

    fn end(&mut self, (alert, sink): (AlertId, &'static str), state: DeliveryState, due_at: i64) {
        let delivery = self
            .alerts
            .get_mut(&alert)
            .and_then(|kept| kept.deliveries.get_mut(sink));
        if let Some(delivery) = delivery.filter(|(state, _)| *state == DeliveryState::Pending) {
            *delivery = (state, due_at);
        }
    }

    fn release(&mut self, sink: &str) {
        for delivery in self
            .alerts
            .values_mut()
            .filter_map(|kept| kept.deliveries.get_mut(sink))
        {
            delivery.1 = 0;
        }
    }

    /// A person takes alerts, whose sirens then fall silent.
    fn take(&mut self, dismissed: bool, which: impl Fn(AlertId) -> bool) {
        for (_, kept) in self.alerts.iter_mut().filter(|(id, _)| which(**id)) {
            kept.acknowledged = true;
            kept.dismissed |= dismissed;
            let siren = kept.deliveries.get_mut("siren");
            if let Some(siren) = siren.filter(|(state, _)| *state == DeliveryState::Pending) {
                *siren = (DeliveryState::Dropped, 0);
            }
        }
    }

    fn retain(&mut self) {
        let mut excess = (self.alerts.len() as u64).saturating_sub(KEEP_MAX);
        self.alerts.retain(|_, kept| {
            let pending = kept
                .deliveries
                .values()
                .any(|(state, _)| *state == DeliveryState::Pending);
            let stays = excess == 0 || pending;
            excess -= u64::from(!stays);
            stays
        });
    }

    /// Alerts due at a sink, in the order of their ids.
    fn due(&self, sink: &str, now: UnixMillis) -> Vec<AlertId> {
        let is_due = |kept: &Kept| {
            kept.deliveries
                .get(sink)
                .is_some_and(|&(state, due)| state == DeliveryState::Pending && due <= now.0)
        };
        self.alerts
            .iter()
            .filter(|(_, kept)| is_due(kept))
            .map(|(&id, _)| id)
            .collect()
    }

    fn deliveries(&self) -> Vec<(AlertId, &'static str)> {
        self.alerts
            .iter()
            .flat_map(|(&id, kept)| kept.deliveries.keys().map(move |&sink| (id, sink)))
            .collect()
    }
}

fn sinks(bits: u8) -> Vec<&'static str> {
    (0..3)
        .filter(|bit| bits & (1 << bit) != 0)
        .map(|bit| SINKS[bit])
        .collect()
}

/// The same for the routing step: an acknowledgement cancels what goes to the siren.
fn words(bits: u8) -> Vec<String> {
    let word = |sink| match (sinks(bits).contains(&sink), sink) {
        (false, _) => format!("-{sink}"),
        (true, "siren") => "!siren".to_owned(),
        (true, _) => sink.to_owned(),
    };
    SINKS.into_iter().map(word).collect()
}

fn apply(step: &Step, model: &mut Model, store: &mut Store) {
    match step {
        Step::Commit { new, ended, release } => commit(new, ended, *release, model, store),
        Step::Dismiss(index) => {
            let ids: Vec<AlertId> = model.alerts.keys().copied().collect();
            if !ids.is_empty() {
                let id = *index.get(&ids);
                assert!(dismiss(store, id, at(0)));
                model.take(true, |taken| taken == id);
            }
        }
        Step::Acknowledge(index) => {
            let ids: Vec<AlertId> = model.alerts.keys().copied().collect();
            if !ids.is_empty() {
                let (alert, by) = (*index.get(&ids), Actor::Operator);
                assert_eq!(perform(store, OperatorAct::Acknowledge { alert, by }, at(0)), 1);
                model.take(false, |taken| taken == alert);
            }
        }
        Step::Clear => {
            perform(store, OperatorAct::Clear, at(0));
            model.take(true, |_| true);
        }
        Step::Retain => {
            assert!(!store.retain(at(0)).unwrap().more);
            model.retain();
        }
        Step::Reopen => unreachable!("done by the caller"),
    }
}

fn commit(
    new: &[New],
    ended: &[(prop::sample::Index, DeliveryState, i64)],
    release: Option<usize>,
    model: &mut Model,
    store: &mut Store,
) {
    let mut batch = Batch::default();
    let mut expected = Vec::new();
    for new in new {
        let time = (model.newest + new.after).max(1);
        let id = id(time.unsigned_abs());
        model.newest = model.newest.max(time);
        let words = words(new.sinks);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut arrival = match new.picture {
            Some(bytes) => with_picture(id, bytes, &words),
            None => arrival(id, &words),
        };
        arrival.alert.source_id = new.source.map(|source| source.to_string());
        batch.arrivals.push(arrival);
        expected.push(model.arrive(id, new));
    }
    let deliveries = model.deliveries();
    for (index, state, wait) in ended.iter().filter(|_| !deliveries.is_empty()) {
        let (alert, sink) = *index.get(&deliveries);
        batch.updates.push(update(alert, sink, *state, at(*wait)));
        model.end((alert, sink), *state, at(*wait).0);
    }
    if let Some(sink) = release.map(|n| SINKS[n]) {
        batch.release.push(sink.into());
        model.release(sink);
    }
    assert_eq!(store.commit(&batch, &step).unwrap().receipts, expected);
}

/// Each sink has a delivery or a suppression, never both, and each says why.
fn told_of_each_sink(reader: &mut Reader, stored: &StoredAlert) {
    let suppressions = reader.suppressions(stored.alert.id).unwrap();
    let suppressed = suppressions.iter().filter_map(|told| told.sink.as_deref());
    let delivered = stored.deliveries.iter().map(|row| row.sink.as_str());
    let mut told: Vec<&str> = suppressed.chain(delivered).collect();
    told.sort_unstable();
    assert_eq!(told, SINKS);
    let unmatched = suppressions.iter().any(|told| told.sink.is_none());
    assert_eq!(unmatched, stored.deliveries.is_empty());
    assert!(suppressions.iter().all(|told| !told.reason.delivers()));
    let reasons = stored.deliveries.iter().map(|row| row.reason.as_ref());
    assert!(
        reasons
            .into_iter()
            .all(|reason| reason.is_some_and(|reason| reason.delivers()))
    );
}

fn compare(model: &Model, store: &Store) {
    let mut reader = store.reader().unwrap();
    let all = reader
        .list(&Filter {
            limit: 1_000,
            ..Filter::default()
        })
        .unwrap();
    let ids: Vec<AlertId> = all.iter().map(|stored| stored.alert.id).collect();
    assert_eq!(ids, model.alerts.keys().rev().copied().collect::<Vec<_>>());
    let mut counts: BTreeMap<(String, DeliveryState), u64> = BTreeMap::new();
    let mut bytes = 0;
    for stored in &all {
        let kept = &model.alerts[&stored.alert.id];
        assert_eq!(stored.dismissed, kept.dismissed);
        assert_eq!(stored.acknowledged.is_some(), kept.acknowledged);
        told_of_each_sink(&mut reader, stored);
        let frame = stored.frame.map(|frame| reader.read_frame(&frame).unwrap());
        assert_eq!(frame, kept.picture.map(|bytes| picture(stored.alert.id, bytes)));
        bytes += kept.picture.unwrap_or(0) as u64;
        let states: BTreeMap<&str, DeliveryState> = stored
            .deliveries
            .iter()
            .map(|d| (d.sink.as_str(), d.state))
            .collect();
        assert_eq!(
            states,
            kept.deliveries
                .iter()
                .map(|(&sink, &(state, _))| (sink, state))
                .collect()
        );
        for (sink, state) in states {
            *counts.entry((sink.into(), state)).or_default() += 1;
        }
    }
    let live = model
        .alerts
        .iter()
        .rev()
        .filter(|(_, kept)| !kept.dismissed)
        .map(|(&id, _)| id);
    assert_eq!(common::live(&mut reader), live.collect::<Vec<_>>());
    let found = reader.counts().unwrap();
    assert_eq!(found.unmatched, model.unmatched);
    assert_eq!((found.alerts, found.frame_bytes), (all.len() as u64, bytes));
    let found = found.deliveries.into_iter().flat_map(|(sink, states)| {
        states
            .into_iter()
            .map(move |(state, n)| ((sink.clone(), state), n))
    });
    assert_eq!(found.filter(|(_, n)| *n > 0).collect::<BTreeMap<_, _>>(), counts);
    for sink in SINKS {
        for now in [at(0), at(1_000), at(5_000)] {
            let due = model.due(sink, now);
            assert_eq!(common::due(&mut reader, sink, now, 1_000), due);
            let skip: BTreeSet<AlertId> = due.iter().copied().take(2).collect();
            let rest = reader
                .due(sink, now, 1_000, &|alert, _| skip.contains(&alert))
                .unwrap();
            assert_eq!(
                rest.iter().map(|d| d.alert).collect::<Vec<_>>(),
                due.get(2..).unwrap_or_default()
            );
        }
        let waiting = model.alerts.values().filter_map(|kept| kept.deliveries.get(sink));
        let next = waiting
            .filter(|(state, _)| *state == DeliveryState::Pending)
            .map(|&(_, due)| UnixMillis(due))
            .min();
        assert_eq!(reader.next_due(sink, &|_, _| false).unwrap(), next);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_behaves_like_lists_in_memory(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let limits = Retention { keep_max: Some(KEEP_MAX), ..Retention::default() };
        let open = || Store::open(keeping(dir.path(), limits)).unwrap();
        let mut model = Model::default();
        let mut store = Some(open().0);
        for step in &steps {
            if let Step::Reopen = step {
                drop(store.take());
                let (reopened, report) = open();
                assert_eq!(report.last_id, model.alerts.keys().last().copied());
                assert_eq!(report.summary(), None);
                store = Some(reopened);
            } else {
                apply(step, &mut model, store.as_mut().unwrap());
            }
            compare(&model, store.as_ref().unwrap());
        }
    }
}
