//! However the files were left, opening the store either works or says what to do.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::*;
use expect_test::expect;
use watchpost_store::{Acknowledgement, OpenKind, OpenReport, Reader, Store, StoreError, StoreOptions};

fn reopen(dir: &Path) -> (Store, OpenReport) {
    Store::open(options(dir)).unwrap()
}

fn refusal(dir: &Path) -> String {
    let error = Store::open(options(dir)).unwrap_err();
    error.to_string().replace(&dir.display().to_string(), "DIR")
}

/// A closed store with three alerts.
fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store_all(
        &mut store,
        (1..=3).map(|n| with_picture(id(n), 30_000, &["mail"])).collect(),
    );
    dir
}

#[test]
fn a_store_is_created_closed_and_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, report) = reopen(dir.path());
    assert_eq!(
        (report.kind, report.last_id, report.summary()),
        (OpenKind::Created, None, None)
    );
    drop(store);
    let dir = filled();
    let (mut store, report) = reopen(dir.path());
    assert_eq!((report.kind, report.summary()), (OpenKind::Clean, None));
    assert_eq!((report.last_id, report.pending), (Some(id(3)), 3));
    // It goes on behind the last picture.
    store_all(&mut store, vec![with_picture(id(4), 30_000, &[])]);
    let mut reader = store.reader().unwrap();
    for n in 1..=4 {
        let frame = reader.get(id(n)).unwrap().unwrap().frame.unwrap();
        assert_eq!(reader.read_frame(&frame).unwrap(), picture(id(n), 30_000));
    }
}

#[test]
fn a_reader_that_is_left_open_makes_no_unclean_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let mut reader = store.reader().unwrap();
    store_all(&mut store, vec![with_picture(id(1), 3_000, &["mail"])]);
    assert_eq!(live(&mut reader), [id(1)]);
    drop(store);
    assert_eq!(reopen(dir.path()).1.kind, OpenKind::Clean);
    drop(reader);
}

#[test]
fn two_hubs_cannot_share_a_directory() {
    let dir = filled();
    let store = open(dir.path());
    let message = refusal(dir.path()).replace(&std::process::id().to_string(), "PID");
    expect!["DIR is in use by process PID. Stop that process, or give each hub a data directory of its own."]
        .assert_eq(&message);
    drop(store);
    open(dir.path());
}

/// Opens a store whose database is unreadable, and sees that nothing of it was lost.
fn is_quarantined(dir: &Path, why: &str) {
    let damaged = fs::read(dir.join("watchpost.db")).unwrap();
    let (mut store, report) = reopen(dir);
    let aside = report.quarantined.clone().unwrap();
    assert!(aside.why.contains(why), "{}", aside.why);
    assert!(
        report
            .summary()
            .unwrap()
            .contains(&aside.path.display().to_string())
    );
    assert_eq!(fs::read(&aside.path).unwrap(), damaged);
    let mark = aside
        .path
        .to_str()
        .unwrap()
        .split_once("watchpost.db.")
        .unwrap()
        .1
        .to_owned();
    assert!(mark.starts_with("corrupt-2"), "{mark}");
    assert_eq!(
        names_in(&dir.join(format!("frames.{mark}"))),
        ["00000001.seg", "00000002.seg"]
    );
    // The new one works, and the next start finds it good.
    store_all(&mut store, vec![with_picture(id(9), 1_000, &[])]);
    drop(store);
    let (store, report) = reopen(dir);
    assert_eq!((report.quarantined, report.last_id), (None, Some(id(9))));
    drop(store);
}

#[test]
fn what_is_no_database_is_quarantined() {
    let dir = filled();
    fs::write(dir.path().join("watchpost.db"), vec![b'x'; 10_000]).unwrap();
    is_quarantined(dir.path(), "file is not a database");
}

#[test]
fn a_database_that_lost_its_end_is_quarantined() {
    let dir = filled();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(dir.path().join("watchpost.db"))
        .unwrap();
    file.set_len(8_192).unwrap();
    is_quarantined(dir.path(), "malformed");
}

#[test]
fn damage_met_while_running_is_found_by_the_next_start() {
    let dir = filled();
    let path = dir.path().join("watchpost.db");
    // The pages of the alerts are destroyed; nothing that is read at the start is.
    let body = fs::read(&path).unwrap();
    let title = b"Anomaly at front-door";
    let hit = body
        .windows(title.len())
        .position(|window| window == title)
        .unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0xff; 64], (hit / 4_096 * 4_096) as u64)
        .unwrap();
    let mut reader = Reader::open(dir.path()).unwrap();
    let error = reader.live(50).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    drop(reader);
    is_quarantined(dir.path(), "damaged");
    assert!(names_in(dir.path()).iter().any(|name| name.ends_with(".why")));
}

#[test]
fn a_store_in_use_can_be_opened_again_and_quarantined() {
    let dir = filled();
    let mut store = open(dir.path());
    let mut outdated = store.reader().unwrap();
    let report = store.reopen().unwrap();
    assert_eq!(
        (report.quarantined, report.last_id),
        (None, Some(id(3))),
        "it is sound"
    );
    let why = StoreError::Corrupt {
        path: dir.path().join("watchpost.db"),
        what: "it makes no sense".into(),
    };
    let report = store.recreate(&why).unwrap();
    assert!(
        report
            .quarantined
            .is_some_and(|aside| aside.why.contains("it makes no sense"))
    );
    assert_eq!(report.last_id, None);
    // Under its new name the old one is as it was, and closing what reads it does the new one no harm.
    store_all(&mut store, vec![with_picture(id(4), 30_000, &["mail"])]);
    assert_eq!(live(&mut outdated), [id(3), id(2), id(1)]);
    drop(outdated);
    let mut reader = store.reader().unwrap();
    assert_eq!(live(&mut reader), [id(4)]);
    assert!(Store::open(options(dir.path())).is_err(), "the lock was kept");
    drop((store, reader));
    assert_eq!(live(&mut open(dir.path()).reader().unwrap()), [id(4)]);
}

#[test]
fn pictures_without_a_database_are_quarantined() {
    let dir = filled();
    fs::remove_file(dir.path().join("watchpost.db")).unwrap();
    let (_store, report) = reopen(dir.path());
    let aside = report.quarantined.unwrap();
    assert!(
        aside.path.to_str().unwrap().contains("frames.orphaned-2"),
        "{aside:?}"
    );
    assert_eq!(names_in(&aside.path).len(), 2);
}

#[test]
fn lost_files_of_the_frame_log_are_told() {
    let dir = filled();
    fs::remove_file(dir.path().join("frames/00000002.seg")).unwrap();
    let (mut store, report) = reopen(dir.path());
    assert_eq!(report.missing_files, 1);
    expect!["1 files with pictures have disappeared from the frame log; their alerts are still there."]
        .assert_eq(&report.summary().unwrap());
    store_all(&mut store, vec![with_picture(id(4), 1_000, &[])]);
    let mut reader = store.reader().unwrap();
    let frame = reader.get(id(4)).unwrap().unwrap().frame.unwrap();
    assert_eq!(reader.read_frame(&frame).unwrap(), picture(id(4), 1_000));
}

#[test]
fn other_databases_are_left_alone() {
    let dir = filled();
    let path = dir.path().join("watchpost.db");
    let change = |sql: &str| {
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(sql)
            .unwrap()
    };
    change("PRAGMA user_version = 9");
    expect!["DIR/watchpost.db has schema 9, and this release knows schemas up to 3. Run the newer release that wrote it, or restore a backup."]
        .assert_eq(&refusal(dir.path()));
    change("PRAGMA user_version = 1; PRAGMA application_id = 17");
    expect!["DIR/watchpost.db is a database of another program (application id 0x11). Move it away or choose another data directory."]
        .assert_eq(&refusal(dir.path()));
    assert!(!names_in(dir.path()).iter().any(|name| name.contains("corrupt")));
}

#[test]
fn what_cannot_be_written_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("watchpost.db")).unwrap();
    let message = refusal(dir.path());
    assert!(
        message.starts_with("cannot open DIR/watchpost.db: Is a directory"),
        "{message}"
    );
    // Root may write everywhere, so the directory is one where nobody can.
    let error = Store::open(StoreOptions::new("/proc/self/watchpost")).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("/proc/self/watchpost"), "{message}");
}

#[test]
fn a_database_of_schema_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1");
    fs::create_dir(dir.path().join("frames")).unwrap();
    for name in ["watchpost.db", "frames/00000001.seg"] {
        fs::copy(fixture.join(name), dir.path().join(name)).unwrap();
    }
    let mut options = options(dir.path());
    options.cancel_on_acknowledge = vec!["mail".into(), "siren".into()];
    let (store, report) = Store::open(options).unwrap();
    let brought = Some("The store was brought from schema 1 to 3.".to_owned());
    assert_eq!((report.schema_from, report.summary()), (1, brought));
    let mut reader = store.reader().unwrap();
    let mut shown = String::new();
    for stored in reader.live(50).unwrap() {
        let bytes = stored.frame.map(|frame| reader.read_frame(&frame).unwrap());
        if let Some(bytes) = &bytes {
            assert_eq!(bytes, &picture(stored.alert.id, bytes.len()));
        }
        let states: Vec<_> = stored
            .deliveries
            .iter()
            .map(|d| {
                assert_eq!(d.reason, None, "it was not written down then");
                let cancelled = if d.cancel_on_acknowledge {
                    " (cancelled)"
                } else {
                    ""
                };
                format!("{} {}{cancelled}", d.sink, d.state)
            })
            .collect();
        let alert = &stored.alert;
        let person = alert.visionguard.as_ref().map(|fields| fields.person_id);
        shown += &format!(
            "{} {} {person:?} {} {:?} {states:?}\n",
            alert.id,
            alert.camera_id(),
            alert.via,
            bytes.map(|bytes| bytes.len())
        );
    }
    expect![[r#"
        1795396590004000 front-door Some(1) live None []
        1795396590003000 front-door Some(1) live Some(700) ["archive pending", "mail pending (cancelled)"]
        1795396590001000 front-door Some(1) live Some(500) ["archive delivered", "mail dead (cancelled)"]
    "#]]
    .assert_eq(&shown);
    assert_eq!(due(&mut reader, "archive", at(0), 9), [id(2), id(3)]);
    // It was dismissed, by whom nobody knows.
    let Acknowledgement { at, by } = reader.get(id(2)).unwrap().unwrap().acknowledged.unwrap();
    assert_eq!((at, by), (common::at(30), None));
    assert_eq!(reader.suppressions(id(2)).unwrap(), []);
    assert_eq!(reader.counts().unwrap().unmatched, 0);
}
