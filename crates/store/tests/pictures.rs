//! Pictures that come after their alerts.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use watchpost_core::{
    AlertId, AlertKind, DeliveryState, Digest, Effects, HoldCause, Picture, RoutingEvent, RoutingState,
    UnixMillis,
};
use watchpost_store::{
    Arrival, Batch, Committed, PictureOutcome, PictureResult, Receipt, Retention, Store, StoreOptions,
};

use common::{arrival, arrivals, at, due, id, keeping, open, options, picture, step, update, updates};

/// The routing step of these tests: deliveries wait 10 s for a picture that is being fetched.
fn waiting(state: &RoutingState, event: RoutingEvent<'_>) -> Effects {
    let mut effects = step(state, event);
    if let RoutingEvent::Alert(alert) = event
        && alert.picture.is_pending()
    {
        for planned in &mut effects.deliveries {
            planned.picture_by = Some(alert.received_at + std::time::Duration::from_secs(10));
        }
    }
    effects
}

fn pending(alert: AlertId) -> Arrival {
    let mut arrival = arrival(alert, &["mail"]);
    arrival.alert.picture = Picture::Pending {
        from: format!("/frames/{alert}.jpg"),
    };
    arrival
}

fn came(alert: AlertId, bytes: usize) -> PictureResult {
    PictureResult {
        alert,
        outcome: PictureOutcome::Fetched {
            picture: jpeg(bytes),
            frame: picture(alert, bytes),
        },
    }
}

fn jpeg(bytes: usize) -> Picture {
    Picture::Jpeg {
        bytes: u32::try_from(bytes).unwrap(),
        width: 640,
        height: 480,
    }
}

fn commit(store: &mut Store, pictures: Vec<PictureResult>) -> Committed {
    let batch = Batch {
        pictures,
        ..Batch::default()
    };
    store.commit(&batch, &waiting).unwrap()
}

/// What is still to be fetched at this time: alert and attempts.
fn wanted(store: &Store, now: UnixMillis) -> Vec<(AlertId, u32)> {
    let due = store.reader().unwrap().pictures_due("shop", now, 10).unwrap();
    due.iter().map(|due| (due.alert, due.attempts)).collect()
}

#[test]
fn a_picture_that_comes_is_with_its_alert_and_what_waited_for_it_is_due() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store
        .commit(&arrivals(vec![pending(id(0)), pending(id(1))]), &waiting)
        .unwrap();
    let mut reader = store.reader().unwrap();
    assert_eq!(due(&mut reader, "mail", at(9_999), 10), []);
    assert_eq!(reader.pictures_missing().unwrap()["shop"], 2);

    let committed = commit(&mut store, vec![came(id(1), 9_000)]);
    assert!(committed.sinks.contains("mail"), "it is woken");
    assert_eq!(due(&mut reader, "mail", at(1), 10), [id(1)]);
    let stored = reader.get(id(1)).unwrap().unwrap();
    assert_eq!(stored.alert.picture, jpeg(9_000));
    assert_eq!(
        reader.read_frame(&stored.frame.unwrap()).unwrap(),
        picture(id(1), 9_000)
    );
    let counts = reader.counts().unwrap();
    assert_eq!((counts.alerts, counts.frame_bytes), (2, 9_000));
    // The other one waits no longer than it wants to.
    assert_eq!(due(&mut reader, "mail", at(10_000), 10), [id(0), id(1)]);
    // It comes once.
    let again = commit(&mut store, vec![came(id(1), 500)]);
    assert!(again.sinks.is_empty());
    assert_eq!(reader.get(id(1)).unwrap().unwrap().alert.picture, jpeg(9_000));
}

#[test]
fn what_is_still_to_be_fetched_survives_a_restart_and_keeps_its_turn() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let batch = arrivals(vec![pending(id(0)), pending(id(1)), pending(id(2))]);
    store.commit(&batch, &waiting).unwrap();
    let outcome = |alert, outcome| PictureResult { alert, outcome };
    let committed = commit(
        &mut store,
        vec![
            outcome(id(0), PictureOutcome::Later(at(60_000))),
            outcome(id(1), PictureOutcome::Gone("HTTP 404".into())),
        ],
    );
    assert_eq!(committed.sinks.len(), 1, "nothing more is waited for");
    drop(store);
    let store = open(dir.path());
    assert_eq!(wanted(&store, at(59_999)), [(id(2), 0)]);
    assert_eq!(wanted(&store, at(60_000)), [(id(2), 0), (id(0), 1)]);
    let mut reader = store.reader().unwrap();
    assert_eq!(due(&mut reader, "mail", at(0), 10), [id(1)]);
    let gone = reader.get(id(1)).unwrap().unwrap().alert.picture;
    assert_eq!(gone, Picture::Missing("HTTP 404".into()));
    assert_eq!(reader.next_picture("shop").unwrap(), Some(UnixMillis(0)));
    assert_eq!(reader.next_picture("yard").unwrap(), None);
}

#[test]
fn a_delivery_that_was_tried_without_its_picture_keeps_the_time_of_its_retry() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.commit(&arrivals(vec![pending(id(0))]), &waiting).unwrap();
    let failed = update(id(0), "mail", DeliveryState::Pending, at(99_000));
    store.commit(&updates(vec![failed]), &waiting).unwrap();
    commit(&mut store, vec![came(id(0), 100)]);
    let mut reader = store.reader().unwrap();
    assert_eq!(due(&mut reader, "mail", at(98_999), 10), []);
    assert_eq!(due(&mut reader, "mail", at(99_000), 10), [id(0)]);
}

#[test]
fn the_same_alert_that_comes_live_brings_the_picture() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let mut listed = pending(id(0));
    listed.alert.source_id = Some("a".into());
    store.commit(&arrivals(vec![listed]), &waiting).unwrap();
    let mut live = common::with_picture(id(5), 700, &["mail"]);
    live.alert.source_id = Some("a".into());
    let committed = store.commit(&arrivals(vec![live]), &waiting).unwrap();
    assert_eq!(committed.receipts, [Receipt::Duplicate { of: id(0) }]);
    let mut reader = store.reader().unwrap();
    assert_eq!(reader.get(id(0)).unwrap().unwrap().alert.picture, jpeg(700));
    assert_eq!(due(&mut reader, "mail", at(0), 10), [id(0)]);
    assert_eq!(wanted(&store, at(0)), []);
}

#[test]
fn retention_counts_a_late_picture_where_it_lies_and_forgets_what_it_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let keep = Retention {
        keep_max: Some(1),
        ..Retention::default()
    };
    let open = |options: StoreOptions| Store::open(options).unwrap().0;
    let mut store = open(options(dir.path()));
    let batch = arrivals(vec![pending(id(0)), pending(id(1)), pending(id(2))]);
    store.commit(&batch, &step).unwrap();
    commit(&mut store, vec![came(id(0), 40_000)]);
    let done = |n| update(id(n), "mail", DeliveryState::Delivered, at(1));
    store.commit(&updates(vec![done(0), done(1)]), &step).unwrap();
    drop(store);
    let mut store = open(keeping(dir.path(), keep));
    assert_eq!(store.retain(at(1_000)).unwrap().alerts, 2);
    let counts = store.reader().unwrap().counts().unwrap();
    assert_eq!((counts.alerts, counts.frame_bytes), (1, 0));
    assert_eq!(wanted(&store, at(1_000)), [(id(2), 0)]);
}

#[test]
fn the_picture_of_a_message_about_many_is_asked_for_before_theirs_and_by_the_connection_that_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let many = vec![pending(id(0)), pending(id(1)), pending(id(2))];
    store.commit(&arrivals(many), &waiting).unwrap();
    let mut message = arrival(id(3), &["mail"]);
    message.frame = None;
    message.alert.connection = "hub".to_owned();
    message.alert.kind = AlertKind::Digest;
    message.alert.digest = Some(Digest {
        count: 3,
        from: at(0),
        to: at(2),
        ids: vec![id(0), id(1), id(2)],
        worst: id(1),
        sink: "mail".to_owned(),
        cause: HoldCause::Late,
    });
    store.commit(&arrivals(vec![message]), &waiting).unwrap();
    assert_eq!(wanted(&store, at(1))[0], (id(3), 0));
    commit(&mut store, vec![came(id(3), 9_000)]);
    let stored = store.reader().unwrap().get(id(3)).unwrap().unwrap();
    assert_eq!(stored.alert.picture, jpeg(9_000));
}
