//! Deliveries can be listed by what they are, made again and given up; the counts and the queue follow.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::collections::BTreeMap;

use common::*;
use watchpost_core::{AlertId, DeliveryState, UnixMillis};
use watchpost_store::{Reader, Selection, Store};

const LATER: UnixMillis = UnixMillis(START_MS + 3_600_000);

/// Four alerts for two sinks. At `mail`, number 1 is delivered, 2 is dead, 3 has expired, 4 waits for a retry.
fn filled(store: &mut Store) {
    let sinks = ["mail", "archive"];
    store_all(store, (1..=4).map(|n| arrival(id(n), &sinks)).collect());
    store
        .commit(&updates(vec![
            update(id(1), "mail", DeliveryState::Delivered, at(10)),
            update(id(2), "mail", DeliveryState::Dead, at(10)),
            update(id(3), "mail", DeliveryState::Expired, at(10)),
            update(id(4), "mail", DeliveryState::Pending, LATER),
        ]))
        .unwrap();
}

fn of(sink: &str, states: &[DeliveryState]) -> Selection {
    Selection {
        sink: Some(sink.into()),
        states: states.into(),
        ..Selection::default()
    }
}

fn listed(reader: &mut Reader, selection: &Selection) -> Vec<(AlertId, String, DeliveryState)> {
    let found = reader.deliveries(selection, 100).unwrap();
    found
        .into_iter()
        .map(|found| (found.alert, found.row.sink, found.row.state))
        .collect()
}

fn counts(reader: &mut Reader, sink: &str) -> BTreeMap<DeliveryState, u64> {
    reader.counts().unwrap().deliveries.remove(sink).unwrap()
}

#[test]
fn lists_are_of_what_was_asked_for_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    filled(&mut store);
    let mut reader = store.reader().unwrap();
    assert_eq!(reader.deliveries(&Selection::default(), 100).unwrap().len(), 8);
    let alerts = |reader: &mut Reader, selection| {
        listed(reader, &selection)
            .into_iter()
            .map(|(alert, ..)| alert)
            .collect::<Vec<_>>()
    };
    assert_eq!(alerts(&mut reader, of("mail", &[])), [id(4), id(3), id(2), id(1)]);
    let dead_or_expired = of("mail", &[DeliveryState::Dead, DeliveryState::Expired]);
    assert_eq!(alerts(&mut reader, dead_or_expired), [id(3), id(2)]);
    let within = Selection {
        since: Some(at(2)),
        until: Some(at(4)),
        ..of("archive", &[])
    };
    assert_eq!(alerts(&mut reader, within), [id(3), id(2)]);
    let one = Selection {
        alert: Some(id(2)),
        ..Selection::default()
    };
    let found = reader.deliveries(&one, 100).unwrap();
    assert_eq!(found[0].row.sink, "archive");
    assert_eq!(found[1].row.error.as_deref(), Some("451 busy"));
    assert_eq!(reader.deliveries(&Selection::default(), 3).unwrap().len(), 3);
    assert!(listed(&mut reader, &of("nobody", &[])).is_empty());
}

#[test]
fn what_is_not_delivered_can_be_made_due_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    filled(&mut store);
    let mut reader = store.reader().unwrap();
    assert_eq!(due(&mut reader, "mail", at(20), 10), []);
    assert_eq!(
        store
            .retry_deliveries(&of("mail", &[DeliveryState::Dead]))
            .unwrap(),
        1
    );
    assert_eq!(due(&mut reader, "mail", at(20), 10), [id(2)]);
    assert_eq!(
        store.retry_deliveries(&of("mail", &[])).unwrap(),
        2,
        "3 and 4; 2 is due already"
    );
    assert_eq!(due(&mut reader, "mail", at(20), 10), [id(2), id(3), id(4)]);
    assert_eq!(store.retry_deliveries(&Selection::default()).unwrap(), 0);
    let expected = BTreeMap::from([
        (DeliveryState::Pending, 3),
        (DeliveryState::Delivered, 1),
        (DeliveryState::Dead, 0),
        (DeliveryState::Expired, 0),
    ]);
    assert_eq!(counts(&mut reader, "mail"), expected);
    // They end like any other.
    let done = (2..=4)
        .map(|n| update(id(n), "mail", DeliveryState::Delivered, at(30)))
        .collect();
    store.commit(&updates(done)).unwrap();
    assert_eq!(counts(&mut reader, "mail")[&DeliveryState::Delivered], 4);
}

#[test]
fn what_is_pending_can_be_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    filled(&mut store);
    let mut reader = store.reader().unwrap();
    let everything = Selection::default();
    assert_eq!(
        store
            .drop_deliveries(&everything, "dropped by hand", at(50))
            .unwrap(),
        5
    );
    assert_eq!(
        store
            .drop_deliveries(&everything, "dropped by hand", at(50))
            .unwrap(),
        0
    );
    for sink in ["mail", "archive"] {
        assert_eq!(due(&mut reader, sink, LATER, 10), []);
        assert_eq!(counts(&mut reader, sink)[&DeliveryState::Pending], 0);
    }
    let row = &reader.deliveries(&of("archive", &[]), 1).unwrap()[0].row;
    assert_eq!((row.state, row.finished_at), (DeliveryState::Dead, Some(at(50))));
    assert_eq!(row.error.as_deref(), Some("dropped by hand"));
    assert_eq!(
        counts(&mut reader, "mail")[&DeliveryState::Delivered],
        1,
        "what is done stays done"
    );
}
