//! What is put into the store comes out again, in the right order.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::*;
use expect_test::expect;
use watchpost_core::{Actor, AlertId, Camera, DeliveryState, RoutingEvent, RoutingState, UnixMillis};
use watchpost_store::{Acknowledgement, Annotation, Batch, Filter, FrameError, OperatorAct, Receipt, Store};

#[test]
fn an_alert_comes_out_as_it_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let new = with_picture(id(1), 10_000, &["archive", "mail"]);
    store_all(&mut store, vec![new.clone(), arrival(id(2), &[])]);

    let mut reader = store.reader().unwrap();
    let stored = reader.get(id(1)).unwrap().unwrap();
    assert_eq!(stored.alert, new.alert);
    assert_eq!(stored.body, serde_json::to_string(&new.alert).unwrap());
    let frame = stored.frame.unwrap();
    assert_eq!(reader.read_frame(&frame).unwrap(), new.frame.unwrap());
    let mut small = [0; 10];
    assert!(matches!(
        reader.read_frame_into(&frame, &mut small),
        Err(FrameError::WrongSize {
            length: 10_000,
            given: 10
        })
    ));
    let sinks: Vec<_> = stored
        .deliveries
        .iter()
        .map(|d| (d.sink.as_str(), d.state, d.attempts))
        .collect();
    assert_eq!(
        sinks,
        [
            ("archive", DeliveryState::Pending, 0),
            ("mail", DeliveryState::Pending, 0)
        ]
    );
    assert_eq!(reader.get(id(2)).unwrap().unwrap().frame, None);
    assert_eq!(reader.get(id(3)).unwrap(), None);
}

#[test]
fn pictures_larger_than_a_file_and_empty_ones_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let sizes = [0, 1, 4_096, 60_000, 65_536, 65_537, 300_000, 5_000, 65_000];
    let new = (1..).zip(sizes).map(|(n, size)| with_picture(id(n), size, &[]));
    store_all(&mut store, new.collect());
    let mut reader = store.reader().unwrap();
    for (n, size) in (1..).zip(sizes) {
        let frame = reader.get(id(n)).unwrap().unwrap().frame.unwrap();
        assert_eq!(
            reader.read_frame(&frame).unwrap(),
            picture(id(n), size),
            "{size} bytes"
        );
    }
}

#[test]
fn a_repeated_alert_is_acknowledged_and_not_kept_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let from = |n, connection: &str, source: &str| {
        let mut new = with_picture(id(n), 100, &["archive"]);
        new.alert.connection = connection.into();
        new.alert.source_id = Some(source.into());
        new
    };
    let first = arrivals(vec![
        from(1, "shop", "7"),
        from(2, "shop", "7"),
        from(3, "barn", "7"),
    ]);
    let receipts = store.commit(&first, &step).unwrap().receipts;
    assert_eq!(
        receipts,
        [Receipt::Stored, Receipt::Duplicate { of: id(1) }, Receipt::Stored]
    );
    let again = arrivals(vec![
        from(4, "shop", "7"),
        arrival(id(3), &["archive"]),
        arrival(id(5), &[]),
    ]);
    let receipts = store.commit(&again, &step).unwrap().receipts;
    assert_eq!(
        receipts,
        [
            Receipt::Duplicate { of: id(1) },
            Receipt::Duplicate { of: id(3) },
            Receipt::Stored
        ]
    );
    // A batch given again, because the answer to the first time was lost, changes nothing.
    let receipts = store.commit(&first, &step).unwrap().receipts;
    assert!(
        receipts
            .iter()
            .all(|receipt| matches!(receipt, Receipt::Duplicate { .. }))
    );

    let mut reader = store.reader().unwrap();
    assert_eq!(live(&mut reader), [id(5), id(3), id(1)]);
    let counts = reader.counts().unwrap();
    assert_eq!((counts.alerts, counts.frame_bytes), (3, 200));
    assert_eq!(counts.deliveries["archive"][&DeliveryState::Pending], 2);
}

#[test]
fn what_was_decided_is_stored_with_its_reasons_and_only_for_alerts_that_are_new() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let from = |n, source: &str, sinks: &[&str]| {
        let mut new = arrival(id(n), sinks);
        new.alert.source_id = Some(source.into());
        new
    };
    let batch = arrivals(vec![
        from(1, "1", &["mail", "-siren"]),
        from(2, "2", &["-mail", "-siren"]),
        // The first two again: as other alerts they would have gone elsewhere.
        from(3, "1", &["pager"]),
        from(4, "2", &[]),
    ]);
    let committed = store.commit(&batch, &step).unwrap();
    assert_eq!(committed.sinks.into_iter().collect::<Vec<_>>(), ["mail"]);
    store.commit(&batch, &step).unwrap();
    let check = |store: &Store| {
        let mut reader = store.reader().unwrap();
        let mut shown = String::new();
        for n in 1..=4 {
            for row in reader
                .get(id(n))
                .unwrap()
                .iter()
                .flat_map(|stored| &stored.deliveries)
            {
                shown += &format!("{n} {}: {}\n", row.sink, row.reason.as_ref().unwrap());
            }
            for suppression in reader.suppressions(id(n)).unwrap() {
                let sink = suppression.sink.as_deref().unwrap_or("anywhere");
                shown += &format!("{n} not {sink}: {}\n", suppression.reason);
            }
        }
        shown += &format!("unmatched: {}\n", reader.counts().unwrap().unmatched);
        expect![[r#"
            1 mail: route site takes it
            1 not siren: no route names this sink
            2 not anywhere: no route takes it
            2 not mail: no route names this sink
            2 not siren: no route names this sink
            unmatched: 1
        "#]]
        .assert_eq(&shown);
    };
    check(&store);
    drop(store);
    let mut store = open(dir.path());
    check(&store);
    // It goes on counting where it was.
    store_all(&mut store, vec![arrival(id(5), &[])]);
    assert_eq!(store.reader().unwrap().counts().unwrap().unmatched, 2);
}

#[test]
fn an_alert_is_acknowledged_by_the_first_who_does_and_stays_listed() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store_all(&mut store, (1..=4).map(|n| arrival(id(n), &["!siren"])).collect());
    let mut acknowledge = |n, by, now| {
        let alert = id(n);
        perform(&mut store, OperatorAct::Acknowledge { alert, by }, at(now))
    };
    let button = || Actor::Sink("siren".into());
    assert_eq!(acknowledge(1, button(), 10), 1);
    assert_eq!(acknowledge(1, Actor::Operator, 20), 1, "it does no harm");
    assert_eq!(acknowledge(9, Actor::Operator, 20), 0, "there is none");
    assert!(dismiss(&mut store, id(2), at(30)));
    let mut reader = store.reader().unwrap();
    assert_eq!(live(&mut reader), [id(4), id(3), id(1)]);
    let mut taken = |n| {
        let acknowledged = reader.get(id(n)).unwrap().unwrap().acknowledged;
        acknowledged.map(|Acknowledgement { at, by }| (at, by))
    };
    assert_eq!(taken(1), Some((at(10), Some(button()))));
    assert_eq!(taken(2), Some((at(30), Some(Actor::Operator))));
    assert_eq!(taken(3), None);
    perform(&mut store, OperatorAct::Clear, at(40));
    assert_eq!(taken(1), Some((at(10), Some(button()))));
    assert_eq!(taken(3), Some((at(40), Some(Actor::Operator))));
    // One that comes late has the others acknowledged each by itself.
    store_all(&mut store, vec![arrival(AlertId(id(3).0 + 1), &[])]);
    assert_eq!(taken(4), Some((at(40), Some(Actor::Operator))));
}

#[test]
fn what_a_route_delays_is_due_at_its_time_also_when_retries_are_released() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let delayed = |state: &RoutingState, event: RoutingEvent<'_>| {
        let mut effects = step(state, event);
        for planned in &mut effects.deliveries {
            planned.due_at = Some(at(5_000));
        }
        effects
    };
    store
        .commit(&arrivals(vec![arrival(id(1), &["mail"])]), &delayed)
        .unwrap();
    store_all(&mut store, vec![arrival(id(2), &["mail"])]);
    let retry = update(id(2), "mail", DeliveryState::Pending, at(9_000));
    let batch = Batch {
        updates: vec![retry],
        release: vec!["mail".into()],
        ..Batch::default()
    };
    store.commit(&batch, &step).unwrap();
    let mut reader = store.reader().unwrap();
    assert_eq!(due(&mut reader, "mail", at(4_999), 9), [id(2)]);
    assert_eq!(due(&mut reader, "mail", at(5_000), 9), [id(1), id(2)]);
    let done = update(id(2), "mail", DeliveryState::Delivered, at(10));
    store.commit(&updates(vec![done]), &step).unwrap();
    assert_eq!(reader.next_due("mail", &|_, _| false).unwrap(), Some(at(5_000)));
    assert_eq!(reader.waiting_since().unwrap()["mail"], at(5_000));
}

#[test]
fn an_alert_is_known_by_its_number_its_source_and_its_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let named = |n, connection: &str, source: Option<&str>, record: Option<&str>| {
        let mut new = arrival(id(n), &[]);
        new.alert.connection = connection.into();
        new.alert.source_id = source.map(str::to_owned);
        new.alert.visionguard.get_or_insert_default().anomaly_id = record.map(str::to_owned);
        new
    };
    store_all(&mut store, vec![named(1, "shop", Some("7"), Some("r-1"))]);
    for (n, connection, source, record, known) in [
        (1, "shop", None, None, true),
        (2, "shop", Some("7"), None, true),
        (2, "barn", Some("7"), None, false),
        (2, "shop", None, Some("r-1"), true),
        (2, "barn", None, Some("r-1"), true),
        (2, "shop", Some("8"), Some("r-2"), false),
    ] {
        let asked = named(n, connection, source, record).alert;
        assert_eq!(
            store.knows(&asked).unwrap(),
            known,
            "{n} {connection} {source:?} {record:?}"
        );
    }
}

#[test]
fn waiting_retries_never_hide_what_is_due() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store_all(&mut store, (1..=6).map(|n| arrival(id(n), &["mail"])).collect());
    let pending = |n, due| update(id(n), "mail", DeliveryState::Pending, due);
    let retries = vec![pending(1, at(500)), pending(2, at(100)), pending(3, at(9_000))];
    store.commit(&updates(retries), &step).unwrap();
    let mut reader = store.reader().unwrap();
    assert_eq!(due(&mut reader, "mail", at(50), 9), [id(4), id(5), id(6)]);
    assert_eq!(due(&mut reader, "mail", at(100), 9), [id(2), id(4), id(5), id(6)]);
    assert_eq!(due(&mut reader, "mail", at(500), 3), [id(1), id(2), id(4)]);
    assert_eq!(due(&mut reader, "siren", at(500), 3), []);

    let skip: BTreeSet<AlertId> = [1, 4, 5, 6].map(id).into();
    let not_skipped = reader
        .due("mail", at(500), 2, &|alert, _| skip.contains(&alert))
        .unwrap();
    assert_eq!(not_skipped.iter().map(|d| d.alert).collect::<Vec<_>>(), [id(2)]);
    assert_eq!(not_skipped[0].attempts, 1);
    assert_eq!(
        reader.next_due("mail", &|_, _| false).unwrap(),
        Some(UnixMillis(0))
    );
    assert_eq!(
        reader
            .next_due("mail", &|alert, _| skip.contains(&alert))
            .unwrap(),
        Some(at(100))
    );
    assert_eq!(
        reader
            .next_due("mail", &|alert, _| (1..=6).any(|number| id(number) == alert))
            .unwrap(),
        None
    );

    // The sink is back: everything is due, in order.
    let release = Batch {
        release: vec!["mail".into()],
        ..Batch::default()
    };
    store.commit(&release, &step).unwrap();
    assert_eq!(due(&mut reader, "mail", at(0), 9), [1, 2, 3, 4, 5, 6].map(id));
}

#[test]
fn a_delivery_ends_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let expiring = arrival(id(1), &["siren@60000", "mail"]);
    // An outcome may come in the same batch as its alert.
    let mut batch = arrivals(vec![expiring]);
    batch.updates = vec![update(id(1), "mail", DeliveryState::Dead, at(5))];
    store.commit(&batch, &step).unwrap();
    let mut reader = store.reader().unwrap();
    let due = reader.due("siren", at(70_000), 9, &|_, _| false).unwrap();
    assert_eq!(
        due[0].expires_at,
        Some(at(60_000)),
        "whoever asks is told that it is too late"
    );

    let late = vec![
        update(id(1), "siren", DeliveryState::Expired, at(70_000)),
        update(id(1), "siren", DeliveryState::Delivered, at(70_001)),
        update(id(1), "mail", DeliveryState::Pending, at(70_002)),
        update(id(9), "mail", DeliveryState::Delivered, at(70_002)),
        update(id(1), "nobody", DeliveryState::Delivered, at(70_002)),
    ];
    store.commit(&updates(late), &step).unwrap();
    let shown: Vec<String> = reader
        .get(id(1))
        .unwrap()
        .unwrap()
        .deliveries
        .iter()
        .map(|d| format!("{d:?}\n"))
        .collect();
    expect![[r#"
        DeliveryRow { sink: "siren", state: Expired, attempts: 1, due_at: None, expires_at: Some(UnixMillis(1795396650000)), finished_at: Some(UnixMillis(1795396660000)), error: Some("451 busy"), reason: Some(Matched { route: "site" }), cancel_on_acknowledge: false }
        DeliveryRow { sink: "mail", state: Dead, attempts: 1, due_at: None, expires_at: None, finished_at: Some(UnixMillis(1795396590005)), error: Some("451 busy"), reason: Some(Matched { route: "site" }), cancel_on_acknowledge: false }
    "#]]
    .assert_eq(&shown.concat());
    expect![[r#"{"mail": {Pending: 0, Delivered: 0, Dead: 1, Expired: 0, Dropped: 0}, "siren": {Pending: 0, Delivered: 0, Dead: 0, Expired: 1, Dropped: 0}}"#]]
        .assert_eq(&format!("{:?}", reader.counts().unwrap().deliveries));
}

#[test]
fn the_live_list_loses_what_is_dismissed_or_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store_all(&mut store, (1..=4).map(|n| arrival(id(n * 10), &[])).collect());
    let mut reader = store.reader().unwrap();
    assert!(dismiss(&mut store, id(30), at(50)));
    assert!(!dismiss(&mut store, id(31), at(50)));
    assert_eq!(live(&mut reader), [id(40), id(20), id(10)]);
    assert_eq!(reader.live(2).unwrap().len(), 2);

    perform(&mut store, OperatorAct::Clear, at(60));
    assert_eq!(live(&mut reader), []);
    // Born before the list was cleared, but stored after: nobody has seen it yet.
    store_all(&mut store, vec![arrival(id(15), &[]), arrival(id(50), &[])]);
    assert_eq!(live(&mut reader), [id(50), id(15)]);
    let all = reader
        .list(&Filter {
            limit: 9,
            ..Filter::default()
        })
        .unwrap();
    let shown: Vec<_> = all
        .iter()
        .map(|stored| (stored.alert.id, stored.dismissed))
        .collect();
    let expected = [
        (50, false),
        (40, true),
        (30, true),
        (20, true),
        (15, false),
        (10, true),
    ];
    assert_eq!(shown, expected.map(|(n, dismissed)| (id(n), dismissed)));
    drop(store);
    assert_eq!(live(&mut open(dir.path()).reader().unwrap()), [id(50), id(15)]);
}

#[test]
fn lists_come_in_pages_and_by_stream() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let new = (1..=9).map(|n| {
        let mut new = arrival(id(n), &[]);
        new.alert.camera = Some(Camera::unnamed(if n % 2 == 0 { "even" } else { "odd" }));
        new.alert.connection = if n < 5 { "shop" } else { "barn" }.into();
        new
    });
    store_all(&mut store, new.collect());
    let mut reader = store.reader().unwrap();
    let mut list = |limit, before: Option<u64>, stream: Option<&str>, connection: Option<&str>| -> Vec<u64> {
        let filter = Filter {
            limit,
            before: before.map(id),
            stream: stream.map(Into::into),
            connection: connection.map(Into::into),
        };
        let listed = reader.list(&filter).unwrap();
        listed
            .iter()
            .map(|stored| stored.alert.id.0 / 1_000 - id(0).0 / 1_000)
            .collect()
    };
    assert_eq!(list(3, None, None, None), [9, 8, 7]);
    assert_eq!(list(3, Some(7), None, None), [6, 5, 4]);
    assert_eq!(list(3, Some(7), Some("odd"), None), [5, 3, 1]);
    assert_eq!(list(9, None, Some("even"), Some("barn")), [8, 6]);
    assert_eq!(list(9, None, None, Some("nowhere")), [0; 0]);
}

#[test]
fn a_damaged_picture_is_told_and_its_alert_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store_all(
        &mut store,
        vec![with_picture(id(1), 5_000, &[]), with_picture(id(2), 5_000, &[])],
    );
    let file = dir.path().join("frames/00000001.seg");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[6_000] ^= 1;
    std::fs::write(&file, bytes).unwrap();

    let mut reader = store.reader().unwrap();
    let mut frame = |n| {
        let stored = reader.get(id(n)).unwrap().unwrap();
        reader.read_frame(&stored.frame.unwrap())
    };
    assert!(frame(1).is_ok());
    expect!["the picture is damaged: 5000 bytes at 5000 of frames/00000001.seg have checksum 7233b632 and not 47d03aa9. The disk may be failing."]
        .assert_eq(&frame(2).unwrap_err().to_string());
    std::fs::remove_file(&file).unwrap();
    let mut reader = store.reader().unwrap();
    let frame = reader.get(id(1)).unwrap().unwrap().frame.unwrap();
    expect!["the picture is gone: frames/00000001.seg does not exist. Retention may just have removed it; else another program deleted the file."]
        .assert_eq(&reader.read_frame(&frame).unwrap_err().to_string());
}

#[test]
fn what_becomes_known_of_an_alert_also_decides_whether_it_was_late() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let mut told = arrival(id(3), &[]);
    told.alert.occurred_at = Some(at(3));
    store_all(&mut store, vec![arrival(id(1), &[]), arrival(id(2), &[]), told]);
    let annotation = |n: u64, occurred_at| Annotation {
        alert: id(n),
        anomaly_id: format!("record-{n}"),
        shop_id: Some("s-1".into()),
        occurred_at: Some(occurred_at),
    };
    let annotations = vec![
        annotation(1, at(-119_000)),
        annotation(2, at(-121_000)),
        annotation(3, at(-500_000)),
    ];
    store
        .commit(
            &Batch {
                annotations,
                late_after: Some(Duration::from_secs(120)),
                ..Batch::default()
            },
            &step,
        )
        .unwrap();
    let mut reader = store.reader().unwrap();
    for (n, late, occurred_at) in [
        (1, false, at(-119_000)),
        (2, true, at(-121_000)),
        (3, false, at(3)),
    ] {
        let alert = reader.get(id(n)).unwrap().unwrap().alert;
        assert_eq!((alert.late, alert.occurred_at), (late, Some(occurred_at)), "{n}");
        assert_eq!(alert.anomaly_id(), Some(format!("record-{n}").as_str()));
    }
}

#[test]
fn the_cameras_of_the_newest_alerts_are_listed_with_what_is_known_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let of = |n, camera: Option<Camera>, location: Option<&str>| {
        let mut new = arrival(id(n), &[]);
        new.alert.camera = camera;
        let fields = new.alert.visionguard.as_mut().unwrap();
        fields.location = location.map(str::to_owned);
        new
    };
    let named = Camera {
        name: Some("Gate".into()),
        ..Camera::unnamed("gate")
    };
    store_all(
        &mut store,
        vec![
            of(1, Some(Camera::unnamed("old")), None),
            of(2, Some(Camera::unnamed("gate")), Some("By the road")),
            of(3, Some(Camera::unnamed("door")), None),
            of(4, Some(named.clone()), None),
            of(5, None, None),
        ],
    );
    let seen = store.reader().unwrap().cameras(4).unwrap();
    let cameras: Vec<_> = seen.iter().map(|seen| (&seen.camera, seen.alerts)).collect();
    assert_eq!(cameras, [(&named, 2), (&Camera::unnamed("door"), 1)]);
    assert_eq!(
        (seen[0].newest, seen[0].location.as_deref()),
        (id(4), Some("By the road"))
    );
    assert_eq!(seen[0].connection, "shop");
}

#[test]
fn an_alert_that_two_connections_see_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let of = |n, connection: &str, record: Option<&str>, frame| {
        let mut new = arrival(id(n), &["archive"]);
        new.alert.connection = connection.into();
        let fields = new.alert.visionguard.as_mut().unwrap();
        fields.anomaly_id = record.map(str::to_owned);
        fields.frame_number = frame;
        new
    };
    let batch = arrivals(vec![
        of(1, "owner", Some("record-1"), Some(30)),
        of(2, "manager", Some("record-1"), Some(30)),
        of(3, "owner", Some("after:shop:1"), None),
        of(4, "manager", Some("after:shop:1"), None),
        of(5, "owner", None, Some(60)),
        of(6, "owner", None, None),
    ]);
    let receipts = store.commit(&batch, &step).unwrap().receipts;
    let duplicate = Receipt::Duplicate { of: id(1) };
    assert_eq!(receipts[1], duplicate, "the same record");
    assert_eq!(
        receipts[3],
        Receipt::Duplicate { of: id(3) },
        "the same place of the list"
    );
    for new in [2, 4, 5] {
        assert_eq!(receipts[new], Receipt::Stored, "{receipts:?}");
    }
    let again = arrivals(vec![of(7, "manager", Some("record-1"), Some(30))]);
    assert_eq!(store.commit(&again, &step).unwrap().receipts, [duplicate]);

    let mut reader = store.reader().unwrap();
    assert_eq!(reader.of_anomaly("record-1").unwrap(), Some(id(1)));
    assert_eq!(reader.of_anomaly("after:shop:1").unwrap(), Some(id(3)));
    // What the other one heard live may be the alert of a row that this one lists, if all of it is known, or if the backend
    // cannot show it.
    let seen = |reader: &mut watchpost_store::Reader, connection: &str| -> Vec<AlertId> {
        let unmatched = reader.unmatched(connection, at(0), at(1_000), at(1_000)).unwrap();
        unmatched.into_iter().map(|alert| alert.alert).collect()
    };
    assert_eq!(seen(&mut reader, "manager"), [id(5)]);
    assert_eq!(seen(&mut reader, "owner"), [id(5), id(6)]);
}
