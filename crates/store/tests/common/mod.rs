//! What the tests of the store have in common: how to make alerts and read them back.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::Path;

use watchpost_core::{
    Actor, Alert, AlertId, AlertKind, Camera, DeliveryState, Details, Effects, Picture, PlannedDelivery,
    RouteReason, Router, RoutingEvent, RoutingState, Suppression, UnixMillis, VisionGuard,
};
use watchpost_store::{
    Arrival, Batch, DeliveryUpdate, OperatorAct, Reader, Receipt, Retention, Store, StoreOptions, StorePolicy,
};

/// Time of the first alert of a test, in milliseconds since 1970.
pub(crate) const START_MS: i64 = 1_795_396_590_000;

/// A store with small files, so that tests get to the end of one.
pub(crate) fn options(dir: &Path) -> StoreOptions {
    StoreOptions {
        segment_size: 64 << 10,
        ..StoreOptions::new(dir)
    }
}

pub(crate) fn keeping(dir: &Path, retention: Retention) -> StoreOptions {
    StoreOptions {
        policy: StorePolicy {
            retention,
            ..StorePolicy::default()
        },
        ..options(dir)
    }
}

pub(crate) fn open(dir: &Path) -> Store {
    Store::open(options(dir)).unwrap().0
}

/// The id of the alert that comes `n` milliseconds after the start.
pub(crate) fn id(n: u64) -> AlertId {
    AlertId((u64::try_from(START_MS).unwrap() + n) * 1_000)
}

pub(crate) fn at(n: i64) -> UnixMillis {
    UnixMillis(START_MS + n)
}

/// The routing step of these tests: an alert's site names the sinks that it goes to, and marks those with `!` whose
/// deliveries an acknowledgement cancels, those with `-` that do not get it, and those with `@` that expire so many
/// milliseconds after the start.
pub(crate) fn step(state: &RoutingState, event: RoutingEvent<'_>) -> Effects {
    let RoutingEvent::Alert(alert) = event else {
        return Router::default().step(at(0), state, event);
    };
    let mut effects = Effects::default();
    let words = alert.site.iter().flat_map(|site| site.split(' '));
    for word in words.filter(|word| !word.is_empty()) {
        let name = word.trim_start_matches(['!', '-']);
        let (name, expires) = name.split_once('@').unwrap_or((name, ""));
        let sink = name.to_owned();
        if word.starts_with('-') {
            let (sink, reason) = (Some(sink), RouteReason::NotNamed);
            effects.suppressions.push(Suppression { sink, reason });
            continue;
        }
        effects.deliveries.push(PlannedDelivery {
            sink,
            due_at: None,
            picture_by: None,
            expires_at: expires.parse().ok().map(at),
            cancel_on_acknowledge: word.starts_with('!'),
            reason: RouteReason::Matched { route: "site".into() },
        });
    }
    if effects.deliveries.is_empty() {
        effects.suppressions.push(Suppression {
            sink: None,
            reason: RouteReason::Unmatched,
        });
        effects.state = Some(RoutingState {
            unmatched: state.unmatched + 1,
            ..state.clone()
        });
    }
    effects
}

/// An alert for these sinks, without a picture.
pub(crate) fn arrival(id: AlertId, sinks: &[&str]) -> Arrival {
    let received_at = UnixMillis(i64::try_from(id.0 / 1_000).unwrap());
    let alert = Alert {
        site: Some(sinks.join(" ")),
        camera: Some(Camera::unnamed("front-door")),
        title: "Anomaly at front-door".into(),
        text: "Person 1, score -1.23".into(),
        details: Details {
            score: Some(-1.23),
            ..Details::default()
        },
        visionguard: Some(VisionGuard {
            person_id: 1,
            ..VisionGuard::default()
        }),
        ..Alert::new(id, AlertKind::Anomaly, "shop", received_at)
    };
    Arrival { alert, frame: None }
}

/// The same with a picture of that many bytes, which are [`picture`].
pub(crate) fn with_picture(id: AlertId, bytes: usize, sinks: &[&str]) -> Arrival {
    let mut arrival = arrival(id, sinks);
    arrival.alert.picture = Picture::Jpeg {
        bytes: u32::try_from(bytes).unwrap(),
        width: 640,
        height: 480,
    };
    arrival.frame = Some(picture(id, bytes));
    arrival
}

/// Bytes that belong to this alert and to no other.
pub(crate) fn picture(id: AlertId, bytes: usize) -> Vec<u8> {
    let mut state = id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

pub(crate) fn arrivals(arrivals: Vec<Arrival>) -> Batch {
    Batch {
        arrivals,
        ..Batch::default()
    }
}

pub(crate) fn update(alert: AlertId, sink: &str, state: DeliveryState, due_at: UnixMillis) -> DeliveryUpdate {
    DeliveryUpdate {
        alert,
        sink: sink.into(),
        state,
        attempts: 1,
        due_at,
        error: (state != DeliveryState::Delivered).then(|| "451 busy".into()),
    }
}

pub(crate) fn updates(updates: Vec<DeliveryUpdate>) -> Batch {
    Batch {
        updates,
        ..Batch::default()
    }
}

/// Performs what an operator wants, with all that is left of it; returns how many rows were changed.
pub(crate) fn perform(store: &mut Store, act: OperatorAct, now: UnixMillis) -> u64 {
    let (mut changed, mut next) = (0, Some(act));
    while let Some(act) = next {
        let performed = store.perform(&act, now, &step).unwrap();
        changed += performed.changed;
        next = performed.rest;
    }
    changed
}

/// Takes an alert off the live list; whether there was one.
pub(crate) fn dismiss(store: &mut Store, alert: AlertId, now: UnixMillis) -> bool {
    let by = Actor::Operator;
    perform(store, OperatorAct::Dismiss { alert, by }, now) == 1
}

/// Commits alerts of which none is a duplicate.
pub(crate) fn store_all(store: &mut Store, new: Vec<Arrival>) {
    let receipts = store.commit(&arrivals(new), &step).unwrap().receipts;
    assert!(receipts.iter().all(|receipt| *receipt == Receipt::Stored));
}

pub(crate) fn due(reader: &mut Reader, sink: &str, now: UnixMillis, limit: usize) -> Vec<AlertId> {
    let due = reader.due(sink, now, limit, &|_, _| false).unwrap();
    due.iter().map(|due| due.alert).collect()
}

pub(crate) fn live(reader: &mut Reader) -> Vec<AlertId> {
    reader
        .live(1_000)
        .unwrap()
        .iter()
        .map(|stored| stored.alert.id)
        .collect()
}

/// Names in a directory, sorted.
pub(crate) fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
