//! Deliveries can be listed by what they are, made again and dropped; the counts and the queue follow.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::*;
use watchpost_core::{
    Actor, AlertId, DeliveryState, Effects, Router, RoutingEvent, RoutingState, SilenceCommand, SilenceId,
    SilenceMatch, SilenceRefused, UnixMillis,
};
use watchpost_store::{Arrival, Batch, MAX_CHANGED_ROWS, OperatorAct, Reader, Selection, Store};

const LATER: UnixMillis = UnixMillis(START_MS + 3_600_000);

/// Four alerts for two sinks. At `mail`, number 1 is delivered, 2 is dead, 3 has expired, 4 waits for a retry.
fn filled(store: &mut Store) {
    let sinks = ["mail", "archive"];
    store_all(store, (1..=4).map(|n| arrival(id(n), &sinks)).collect());
    store
        .commit(
            &updates(vec![
                update(id(1), "mail", DeliveryState::Delivered, at(10)),
                update(id(2), "mail", DeliveryState::Dead, at(10)),
                update(id(3), "mail", DeliveryState::Expired, at(10)),
                update(id(4), "mail", DeliveryState::Pending, LATER),
            ]),
            &step,
        )
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
fn what_waits_longest_is_known_for_each_sink_that_something_waits_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    filled(&mut store);
    let mut reader = store.reader().unwrap();
    let waiting = BTreeMap::from([("archive".to_owned(), at(1)), ("mail".to_owned(), at(4))]);
    assert_eq!(reader.waiting_since().unwrap(), waiting);
    let delivered = (1..=4).map(|n| update(id(n), "archive", DeliveryState::Delivered, at(20)));
    store.commit(&updates(delivered.collect()), &step).unwrap();
    let waiting = BTreeMap::from([("mail".to_owned(), at(4))]);
    assert_eq!(reader.waiting_since().unwrap(), waiting);
}

#[test]
fn what_is_not_delivered_can_be_made_due_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    filled(&mut store);
    let mut reader = store.reader().unwrap();
    assert_eq!(due(&mut reader, "mail", at(20), 10), []);
    assert_eq!(
        perform(
            &mut store,
            OperatorAct::Retry(of("mail", &[DeliveryState::Dead])),
            at(20)
        ),
        1
    );
    assert_eq!(due(&mut reader, "mail", at(20), 10), [id(2)]);
    assert_eq!(
        perform(&mut store, OperatorAct::Retry(of("mail", &[])), at(20)),
        2,
        "3 and 4; 2 is due already"
    );
    assert_eq!(due(&mut reader, "mail", at(20), 10), [id(2), id(3), id(4)]);
    assert_eq!(
        perform(&mut store, OperatorAct::Retry(Selection::default()), at(20)),
        0
    );
    let expected = BTreeMap::from([
        (DeliveryState::Pending, 3),
        (DeliveryState::Delivered, 1),
        (DeliveryState::Dead, 0),
        (DeliveryState::Expired, 0),
        (DeliveryState::Dropped, 0),
    ]);
    assert_eq!(counts(&mut reader, "mail"), expected);
    // They end like any other.
    let done = (2..=4)
        .map(|n| update(id(n), "mail", DeliveryState::Delivered, at(30)))
        .collect();
    store.commit(&updates(done), &step).unwrap();
    assert_eq!(counts(&mut reader, "mail")[&DeliveryState::Delivered], 4);
}

#[test]
fn what_is_pending_can_be_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    filled(&mut store);
    let mut reader = store.reader().unwrap();
    let everything = Selection::default();
    let drop_all = || OperatorAct::Drop(everything.clone());
    assert_eq!(perform(&mut store, drop_all(), at(50)), 5);
    assert_eq!(perform(&mut store, drop_all(), at(50)), 0);
    for sink in ["mail", "archive"] {
        assert_eq!(due(&mut reader, sink, LATER, 10), []);
        assert_eq!(counts(&mut reader, sink)[&DeliveryState::Pending], 0);
    }
    let row = &reader.deliveries(&of("archive", &[]), 1).unwrap()[0].row;
    assert_eq!(
        (row.state, row.finished_at),
        (DeliveryState::Dropped, Some(at(50)))
    );
    assert_eq!(row.error.as_deref(), Some("dropped by the operator"));
    assert_eq!(
        counts(&mut reader, "mail")[&DeliveryState::Delivered],
        1,
        "what is done stays done"
    );
}

/// An alert for a siren, whose delivery an acknowledgement cancels, and for the mail, whose delivery it does not.
fn for_siren_and_mail(n: u64) -> Arrival {
    arrival(id(n), &["!siren", "mail"])
}

#[test]
fn an_acknowledgement_cancels_what_was_planned_to_be_cancelled_and_not_where_it_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store_all(&mut store, (1..=2).map(for_siren_and_mail).collect());
    let mut reader = store.reader().unwrap();
    assert!(dismiss(&mut store, id(1), at(50)));
    let acknowledged_at_the_siren = OperatorAct::Acknowledge {
        alert: id(2),
        by: Actor::Sink("siren".into()),
    };
    perform(&mut store, acknowledged_at_the_siren, at(50));
    assert_eq!(due(&mut reader, "siren", at(60), 9), [id(2)]);
    assert_eq!(due(&mut reader, "mail", at(60), 9), [id(1), id(2)]);
    let row = &reader
        .deliveries(&of("siren", &[DeliveryState::Dropped]), 9)
        .unwrap()[0]
        .row;
    assert_eq!(
        row.error.as_deref(),
        Some("its alert was dismissed by the operator")
    );
}

#[test]
fn clearing_cancels_a_bounded_number_at_a_time_and_nothing_newer() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let many = MAX_CHANGED_ROWS + 1;
    store_all(&mut store, (1..=many).map(for_siren_and_mail).collect());
    let first = store.perform(&OperatorAct::Clear, at(50), &step).unwrap();
    let rest = first.rest.unwrap();
    // One that comes before the rest is done.
    store_all(&mut store, vec![for_siren_and_mail(many + 1)]);
    assert_eq!(store.perform(&rest, at(60), &step).unwrap().rest, None);
    let mut reader = store.reader().unwrap();
    assert_eq!(due(&mut reader, "siren", at(70), 9), [id(many + 1)]);
    assert_eq!(counts(&mut reader, "mail")[&DeliveryState::Pending], many + 1);
}

#[test]
fn a_selection_means_the_same_in_memory_and_in_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    filled(&mut store);
    let mut reader = store.reader().unwrap();
    let everything = reader.deliveries(&Selection::default(), 100).unwrap();
    for selection in [
        of("mail", &[]),
        of("mail", &[DeliveryState::Dead, DeliveryState::Pending]),
        Selection {
            alert: Some(id(2)),
            ..Selection::default()
        },
        Selection {
            since: Some(at(2)),
            until: Some(at(4)),
            ..Selection::default()
        },
    ] {
        let expected: Vec<_> = everything
            .iter()
            .filter(|found| selection.matches(found.alert, &found.row.sink, found.row.state))
            .cloned()
            .collect();
        assert_eq!(reader.deliveries(&selection, 100).unwrap(), expected);
    }
}

/// What the real step says of silences; alerts go where [`step`] sends them.
fn silencing(state: &RoutingState, event: RoutingEvent<'_>) -> Effects {
    match event {
        RoutingEvent::Alert(_) => step(state, event),
        other => Router::default().step(at(0), state, other),
    }
}

#[test]
fn a_silence_that_begins_drops_what_waits_and_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    filled(&mut store);
    let begin = |sink: &str| {
        OperatorAct::Silence(SilenceCommand::Begin {
            matches: Box::new(SilenceMatch {
                connection: vec!["sh*".into()],
                sink: vec![sink.into()],
                ..SilenceMatch::default()
            }),
            lasts: Duration::from_secs(60),
            why: "painters".into(),
            by: Actor::Operator,
        })
    };
    let performed = store.perform(&begin("mail"), at(20), &silencing).unwrap();
    assert_eq!((performed.changed, performed.refused), (1, None));
    let mut reader = store.reader().unwrap();
    // Number 4 waited for a retry at mail; what waits for the archive is not concerned.
    let dropped = reader
        .deliveries(&of("mail", &[DeliveryState::Dropped]), 10)
        .unwrap();
    let dropped: Vec<_> = dropped
        .iter()
        .map(|one| (one.alert, one.row.error.as_deref()))
        .collect();
    assert_eq!(dropped, [(id(4), Some("silence 1 holds it back: painters"))]);
    assert_eq!(counts(&mut reader, "archive")[&DeliveryState::Pending], 4);
    let held = |reader: &mut Reader| {
        let silences = reader.routing_state().unwrap().silences;
        let active = silences.active().iter();
        active
            .map(|one| (one.id.0, one.held.clone().map(|held| held.ids)))
            .collect::<Vec<_>>()
    };
    assert_eq!(held(&mut reader), [(1, Some(vec![id(4)]))]);
    drop((reader, store));
    let mut store = open(dir.path());
    let performed = store.perform(&begin("nowhere"), at(21), &silencing).unwrap();
    assert_eq!(performed.refused, None);
    let mut reader = store.reader().unwrap();
    assert_eq!(held(&mut reader), [(1, Some(vec![id(4)])), (2, None)]);
    // A refusal changes nothing.
    let unknown = SilenceCommand::End {
        id: SilenceId(7),
        by: Actor::Operator,
    };
    let performed = store
        .perform(&OperatorAct::Silence(unknown), at(22), &silencing)
        .unwrap();
    assert_eq!(
        performed.refused,
        Some(SilenceRefused::Unknown(SilenceId(7)).into())
    );
    assert_eq!(held(&mut reader).len(), 2);
    // What is due is done with the commit that says so.
    let batch = Batch {
        due: Some(at(3_600_000)),
        ..Batch::default()
    };
    let over =
        |state: &RoutingState, event: RoutingEvent<'_>| Router::default().step(at(3_600_000), state, event);
    store.commit(&batch, &over).unwrap();
    assert_eq!(held(&mut reader), []);
}
