//! Alerts that come a second time, in either order and over two connections.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use watchpost_core::{Alert, UnixMillis, Via};
use watchpost_store::{Arrival, Receipt, Store};

use common::{arrival, arrivals, at, id, open, step};

const DAY_MS: u64 = 24 * 3_600_000;

/// The alert of video frame 30 as it comes after so many milliseconds.
fn seen(n: u64, connection: &str, record: Option<&str>) -> Arrival {
    let mut arrival = arrival(id(n), &["mail"]);
    let alert: &mut Alert = &mut arrival.alert;
    alert.connection = connection.to_owned();
    alert.via = if record.is_some() { Via::List } else { Via::Live };
    let fields = alert.visionguard.as_mut().unwrap();
    (fields.frame_number, fields.start_frame) = (Some(30), Some(1));
    fields.anomaly_id = record.map(str::to_owned);
    arrival
}

fn receipt(store: &mut Store, arrival: Arrival) -> Receipt {
    store.commit(&arrivals(vec![arrival]), &step).unwrap().receipts[0]
}

#[test]
fn late_then_live_and_live_then_late_are_one_alert_also_after_a_restart() {
    for records in [[None, Some("r-1")], [Some("r-1"), None]] {
        for connections in [["shop", "shop"], ["shop", "yard"]] {
            let dir = tempfile::tempdir().unwrap();
            let first = receipt(&mut open(dir.path()), seen(0, connections[0], records[0]));
            assert_eq!(first, Receipt::Stored);
            let mut store = open(dir.path());
            let second = receipt(&mut store, seen(60_000, connections[1], records[1]));
            assert_eq!(
                second,
                Receipt::Duplicate { of: id(0) },
                "{records:?} {connections:?}"
            );
            let mut reader = store.reader().unwrap();
            let kept = reader.get(id(0)).unwrap().unwrap().alert;
            assert_eq!(kept.anomaly_id(), Some("r-1"), "it learns its record");
            assert_eq!(reader.of_anomaly("r-1").unwrap(), Some(id(0)));
            let also: &[&str] = if connections[0] == connections[1] {
                &[]
            } else {
                &["yard"]
            };
            assert_eq!(kept.also_over, also);
        }
    }
}

#[test]
fn two_that_come_live_over_two_connections_are_one_also_in_one_batch() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let batch = arrivals(vec![
        seen(0, "shop", None),
        seen(1, "yard", None),
        seen(2, "shop", None),
    ]);
    let receipts = store.commit(&batch, &step).unwrap().receipts;
    // What comes twice in the same way was sent twice.
    assert_eq!(
        receipts,
        [Receipt::Stored, Receipt::Duplicate { of: id(0) }, Receipt::Stored]
    );
    let kept = store.reader().unwrap().get(id(0)).unwrap().unwrap().alert;
    assert_eq!(kept.also_over, ["yard"]);
}

#[test]
fn no_alert_is_taken_for_two_records_and_none_for_one_of_yesterday() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let batch = arrivals(vec![
        seen(0, "shop", None),
        seen(1, "shop", Some("r-1")),
        seen(2, "shop", Some("r-2")),
    ]);
    let receipts = store.commit(&batch, &step).unwrap().receipts;
    assert_eq!(
        receipts,
        [Receipt::Stored, Receipt::Duplicate { of: id(0) }, Receipt::Stored]
    );
    let yesterday = receipt(&mut store, seen(DAY_MS + 10, "yard", None));
    assert_eq!(yesterday, Receipt::Stored);
}

#[test]
fn what_is_remembered_for_it_is_bounded_by_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    receipt(&mut store, seen(0, "shop", None));
    let day = i64::try_from(DAY_MS).unwrap();
    store.retain(at(day - 1)).unwrap();
    let count = || -> i64 {
        let db = rusqlite::Connection::open(dir.path().join("watchpost.db")).unwrap();
        db.query_row("SELECT count(*) FROM sighting", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(count(), 1);
    store.retain(UnixMillis(at(day).0 + 1)).unwrap();
    assert_eq!(count(), 0);
}
