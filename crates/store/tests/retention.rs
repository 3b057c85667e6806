//! The store stays within its limits without losing what is still to be delivered.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::time::Duration;

use common::*;
use watchpost_core::{AlertId, ClockStep, ClockSteps, DeliveryState, UnixMillis};
use watchpost_store::{Batch, Held, Retention, RetentionReport, Store, StorePolicy};

/// Calls retention until it has nothing more to do, and sums it up.
fn retain(store: &mut Store, now: UnixMillis) -> RetentionReport {
    let mut sum = RetentionReport::default();
    loop {
        let report = store.retain(now).unwrap();
        sum.alerts += report.alerts;
        sum.frame_bytes += report.frame_bytes;
        sum.undelivered += report.undelivered;
        sum.held = report.held;
        if !report.more {
            return sum;
        }
    }
}

fn delivered(n: u64) -> watchpost_store::DeliveryUpdate {
    update(id(n), "mail", DeliveryState::Delivered, at(0))
}

#[test]
fn by_count_the_oldest_go_first_and_what_is_pending_stays() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Retention {
        keep_max: Some(3),
        ..Retention::default()
    };
    let (mut store, _) = Store::open(keeping(dir.path(), limits)).unwrap();
    store_all(
        &mut store,
        (1..=6).map(|n| with_picture(id(n), 100, &["mail"])).collect(),
    );
    store
        .commit(&updates(vec![delivered(2), delivered(4), delivered(6)]), &step)
        .unwrap();

    let report = retain(&mut store, at(9));
    let held = Held {
        alerts: 3,
        sinks: vec!["mail".into()],
    };
    assert_eq!(
        (report.alerts, report.frame_bytes, report.held),
        (3, 300, Some(held))
    );
    let mut reader = store.reader().unwrap();
    assert_eq!(live(&mut reader), [5, 3, 1].map(id));
    let counts = reader.counts().unwrap();
    assert_eq!((counts.alerts, counts.frame_bytes), (3, 300));
    let states: Vec<u64> = counts.deliveries["mail"].values().copied().collect();
    assert_eq!(states, [3, 0, 0, 0, 0]);
    assert_eq!(due(&mut reader, "mail", at(9), 9), [1, 3, 5].map(id));
    assert_eq!(retain(&mut store, at(9)), RetentionReport::default());
}

#[test]
fn what_waits_for_a_sink_that_is_gone_keeps_an_alert_until_retention_only() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Retention {
        keep_max: Some(2),
        ..Retention::default()
    };
    let (mut store, _) = Store::open(keeping(dir.path(), limits)).unwrap();
    store_all(
        &mut store,
        vec![
            arrival(id(1), &["mail", "siren"]),
            arrival(id(2), &["siren"]),
            arrival(id(3), &["siren"]),
        ],
    );
    let with_sinks = |sinks: &[&str]| StorePolicy {
        retention: limits,
        sinks: Some(sinks.iter().map(|&sink| sink.to_owned()).collect()),
        ..StorePolicy::default()
    };
    store.set_policy(with_sinks(&["mail", "siren"]));
    assert_eq!(retain(&mut store, at(9)).alerts, 0);
    // The siren is gone: what waits for it alone may go, as far as it is beyond the limits.
    store.set_policy(with_sinks(&["mail"]));
    let report = retain(&mut store, at(9));
    let held = report.held.unwrap();
    assert_eq!((report.alerts, report.undelivered), (1, 1));
    assert_eq!(
        (held.alerts, held.sinks.as_slice()),
        (1, ["mail".to_owned()].as_slice())
    );
    let mut reader = store.reader().unwrap();
    assert_eq!(due(&mut reader, "siren", at(9), 9), [1, 3].map(id));
    let counts = reader.counts().unwrap();
    assert_eq!(counts.deliveries["siren"][&DeliveryState::Pending], 2);
}

#[test]
fn by_age_it_works_in_steps_of_bounded_size() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Retention {
        keep_for: Some(Duration::from_secs(1)),
        ..Retention::default()
    };
    let (mut store, _) = Store::open(keeping(dir.path(), limits)).unwrap();
    store_all(&mut store, (0..2_000).map(|n| arrival(id(n), &[])).collect());
    assert_eq!(
        retain(&mut store, at(1_000)).alerts,
        0,
        "exactly a second old is not too old"
    );
    let first = store.retain(at(2_500)).unwrap();
    assert_eq!((first.alerts, first.more), (500, true));
    assert_eq!(retain(&mut store, at(2_500)).alerts, 1_000);
    let mut reader = store.reader().unwrap();
    assert_eq!(live(&mut reader).last(), Some(&id(1_500)));
}

#[test]
fn by_size_whole_files_are_freed_and_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let max_size = 2 << 20;
    let limits = Retention {
        max_size: Some(max_size),
        ..Retention::default()
    };
    let (mut store, _) = Store::open(keeping(dir.path(), limits)).unwrap();
    for n in 0..400 {
        store_all(&mut store, vec![with_picture(id(n), 20_000, &[])]);
        retain(&mut store, at(0));
        let frames: u64 = std::fs::read_dir(dir.path().join("frames"))
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum();
        let database = std::fs::metadata(dir.path().join("watchpost.db")).unwrap().len();
        // One file more: the commit comes before retention, and a second spare may wait to be used.
        assert!(
            frames + database <= max_size + 2 * 65_536,
            "{frames} + {database} with {n} alerts"
        );
    }
    let names = names_in(&dir.path().join("frames"));
    let last: u64 = names
        .last()
        .unwrap()
        .strip_suffix(".seg")
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        last > 100 && names.len() < 40,
        "{last} files begun, of which remain {}",
        names.len()
    );
    let mut reader = store.reader().unwrap();
    let stored = reader.live(1_000).unwrap();
    assert!(stored.len() > 50, "{} alerts left", stored.len());
    for stored in stored {
        let bytes = reader.read_frame(&stored.frame.unwrap()).unwrap();
        assert_eq!(bytes, picture(stored.alert.id, 20_000));
    }
}

#[test]
fn a_backlog_that_must_stay_is_not_walked_through_all_the_time() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Retention {
        keep_max: Some(1),
        ..Retention::default()
    };
    let (mut store, _) = Store::open(keeping(dir.path(), limits)).unwrap();
    store_all(
        &mut store,
        (0..1_200).map(|n| arrival(id(n), &["mail"])).collect(),
    );
    let held = retain(&mut store, at(0)).held.unwrap();
    assert_eq!(
        (held.alerts, held.sinks.as_slice()),
        (1_200, &["mail".to_owned()][..])
    );
    store
        .commit(&updates((0..1_200).map(delivered).collect()), &step)
        .unwrap();
    assert_eq!(retain(&mut store, at(59_999)).alerts, 0, "it rests");
    assert_eq!(retain(&mut store, at(60_000)).alerts, 1_199);
}

#[test]
fn a_reader_of_a_picture_that_goes_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Retention {
        keep_max: Some(1),
        ..Retention::default()
    };
    let (mut store, _) = Store::open(keeping(dir.path(), limits)).unwrap();
    let mut reader = store.reader().unwrap();
    store_all(&mut store, vec![with_picture(id(1), 50_000, &[])]);
    let frame = reader.get(id(1)).unwrap().unwrap().frame.unwrap();
    reader.read_frame(&frame).unwrap();
    // Its file is freed, then taken over and overwritten under the reader's open hand.
    for n in 2..=4 {
        store_all(&mut store, vec![with_picture(id(n), 50_000, &[])]);
        retain(&mut store, at(0));
    }
    let error = reader.read_frame(&frame).unwrap_err();
    assert!(
        matches!(error, watchpost_store::FrameError::Missing { .. }),
        "{error}"
    );
    let frame = reader.get(id(4)).unwrap().unwrap().frame.unwrap();
    assert_eq!(reader.read_frame(&frame).unwrap(), picture(id(4), 50_000));
}

#[test]
fn a_file_emptied_while_it_is_written_to_is_freed_later() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Retention {
        keep_max: Some(0),
        ..Retention::default()
    };
    let (mut store, _) = Store::open(keeping(dir.path(), limits)).unwrap();
    for n in 0..12 {
        store_all(&mut store, vec![with_picture(id(n), 50_000, &[])]);
        retain(&mut store, at(0));
    }
    let names = names_in(&dir.path().join("frames"));
    assert!(names.len() <= 3, "one that is written to, two spares: {names:?}");
}

#[test]
fn a_clock_that_is_set_forward_makes_no_alert_old() {
    const DAY: i64 = 24 * 3_600_000;
    let dir = tempfile::tempdir().unwrap();
    let limits = Retention {
        keep_for: Some(Duration::from_secs(7 * 24 * 3_600)),
        ..Retention::default()
    };
    let (mut store, _) = Store::open(keeping(dir.path(), limits)).unwrap();
    store_all(
        &mut store,
        vec![arrival(id(1), &["mail"]), arrival(id(2), &["mail"])],
    );
    store.commit(&updates(vec![delivered(1)]), &step).unwrap();
    store
        .commit(
            &updates(vec![update(id(2), "mail", DeliveryState::Pending, at(60_000))]),
            &step,
        )
        .unwrap();
    let set = Batch {
        clock_step: Some(ClockStep {
            millis: 14 * DAY,
            at: at(3_000),
        }),
        ..Batch::default()
    };
    // Once more does no harm.
    store.commit(&set, &step).unwrap();
    store.commit(&set, &step).unwrap();

    let now = at(14 * DAY + 3_000);
    let mut reader = store.reader().unwrap();
    assert_eq!(due(&mut reader, "mail", now, 9), []);
    let next = reader.next_due("mail", &|_, _| false).unwrap();
    assert_eq!(
        next,
        Some(at(14 * DAY + 60_000)),
        "the retry waits no longer and no shorter"
    );
    let steps = reader.clock_steps().unwrap();
    assert_eq!(steps.moved(id(1), at(0)), at(14 * DAY));
    assert_eq!(retain(&mut store, now).alerts, 0);
    // Seven days that passed make it old.
    assert_eq!(retain(&mut store, at(21 * DAY - 1_000)).alerts, 0);
    assert_eq!(retain(&mut store, at(21 * DAY + 1_000)).alerts, 1);
    store
        .commit(
            &updates(vec![update(id(2), "mail", DeliveryState::Delivered, at(0))]),
            &step,
        )
        .unwrap();
    assert_eq!(retain(&mut store, at(21 * DAY + 1_000)).alerts, 1);
    store_all(
        &mut store,
        vec![arrival(AlertId(id(1).0 + 15 * 86_400_000_000), &[])],
    );
    retain(&mut store, at(21 * DAY + 1_000));
    let steps = store.reader().unwrap().clock_steps().unwrap();
    assert_eq!(
        steps,
        ClockSteps::default(),
        "forgotten with the alerts before it"
    );
}

#[test]
fn a_clock_that_is_set_back_holds_no_retry_up() {
    const DAY: i64 = 24 * 3_600_000;
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store_all(&mut store, vec![arrival(id(1), &["mail"])]);
    store
        .commit(
            &updates(vec![update(id(1), "mail", DeliveryState::Pending, at(60_000))]),
            &step,
        )
        .unwrap();
    store
        .commit(
            &Batch {
                clock_step: Some(ClockStep {
                    millis: -14 * DAY,
                    at: at(3_000),
                }),
                ..Batch::default()
            },
            &step,
        )
        .unwrap();
    let mut reader = store.reader().unwrap();
    let next = reader.next_due("mail", &|_, _| false).unwrap();
    assert_eq!(next, Some(at(60_000 - 14 * DAY)));
    assert_eq!(due(&mut reader, "mail", at(60_000 - 14 * DAY), 9), [id(1)]);
}
