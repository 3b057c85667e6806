//! The sink as the host calls it, on real directories.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use watchpost_sink::Outcome;
use watchpost_sink::testing::{Bench, TestAlert, TestFrame, alert};

use crate::Archive;
use crate::retention::{Limits, sweep};

/// 1 January 2026, the time of the test alerts.
const NEW_YEAR: u64 = 1_767_225_600_000;
const DAY: Duration = Duration::from_secs(86_400);

fn archive(dir: &Path) -> Bench<Archive> {
    Bench::create(&json!({ "dir": dir }).to_string(), "/nonexistent").unwrap()
}

fn with_picture(id: &str, bytes: &[u8]) -> TestAlert {
    let mut alert = alert(id);
    let (mime, name) = ("image/jpeg".into(), "frame.jpg".into());
    alert.frames = vec![TestFrame {
        mime,
        name,
        bytes: bytes.to_vec(),
        width: 4,
        height: 3,
    }];
    alert
}

/// Every file below, with its content.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => dirs.push(entry.path()),
                false => {
                    let path = entry.path();
                    let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, fs::read(path).unwrap());
                }
            }
        }
    }
    found
}

fn names(dir: &Path) -> Vec<String> {
    files(dir).into_keys().collect()
}

#[test]
fn an_alert_becomes_a_picture_and_a_document() {
    let dir = TempDir::new().unwrap();
    let mut archive = archive(dir.path());
    archive.deliver(&with_picture("17", b"picture")).unwrap();
    assert!(
        !names(dir.path()).iter().any(|name| name.starts_with("2026")),
        "not before the flush"
    );
    archive.flush().unwrap();

    let files = files(dir.path());
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        [
            "2026/01/01/000000.000-gate-17.jpg",
            "2026/01/01/000000.000-gate-17.json"
        ]
    );
    assert_eq!(files["2026/01/01/000000.000-gate-17.jpg"], b"picture");
    let document: Value = serde_json::from_slice(&files["2026/01/01/000000.000-gate-17.json"]).unwrap();
    assert_eq!(document["stream_id"], "gate");
    let archived = json!({ "by": "watchpost-archive", "pictures": ["000000.000-gate-17.jpg"] });
    assert_eq!(document["archived"], archived);
}

#[test]
fn an_alert_without_a_picture_says_why() {
    let dir = TempDir::new().unwrap();
    let mut archive = archive(dir.path());
    for (id, json, why) in [
        ("1", r#"{"id":1}"#, "the alert came without a picture"),
        (
            "2",
            r#"{"id":2,"picture":{"missing":"it is no JPEG"}}"#,
            "it is no JPEG",
        ),
        (
            "3",
            r#"{"id":3,"picture":{"jpeg":{"bytes":9}}}"#,
            "the alert has a picture, but it could not be read from the store",
        ),
        ("4", "no json", "the alert came without a picture"),
    ] {
        let mut alert = alert(id);
        alert.json = json.into();
        archive.deliver(&alert).unwrap();
        archive.flush().unwrap();
        let files = files(dir.path());
        let document: Value =
            serde_json::from_slice(&files[&format!("2026/01/01/000000.000-unknown-{id}.json")]).unwrap();
        assert_eq!(document["archived"]["why_no_picture"], why);
    }
}

#[test]
fn the_same_alert_again_leaves_one_file() {
    let dir = TempDir::new().unwrap();
    let mut archive = archive(dir.path());
    for _ in 0..3 {
        archive.deliver(&with_picture("1", b"picture")).unwrap();
        archive.deliver(&with_picture("1", b"picture")).unwrap();
        archive.flush().unwrap();
    }
    assert_eq!(names(dir.path()).len(), 2);
}

#[test]
fn a_stream_cannot_lead_out_of_the_directory() {
    let outer = TempDir::new().unwrap();
    let dir = outer.path().join("archive");
    let mut archive = archive(&dir);
    let mut alert = with_picture("1", b"picture");
    alert.json = r#"{"stream_id":"../../../../etc/x"}"#.into();
    archive.deliver(&alert).unwrap();
    archive.flush().unwrap();
    assert_eq!(
        names(outer.path()),
        names(&dir)
            .iter()
            .map(|name| format!("archive/{name}"))
            .collect::<Vec<_>>()
    );
    assert!(
        names(&dir)[0].contains("-____________etc_x-1."),
        "{:?}",
        names(&dir)
    );
}

#[test]
fn a_batch_of_many_days_arrives_whole() {
    let dir = TempDir::new().unwrap();
    let mut archive = archive(dir.path());
    for index in 0..64_u64 {
        let mut alert = with_picture(&index.to_string(), &[index as u8; 5000]);
        alert.unix_ms = NEW_YEAR + index * 13 * 3_600_000;
        archive.deliver(&alert).unwrap();
    }
    archive.flush().unwrap();
    let files = files(dir.path());
    assert_eq!(files.len(), 128);
    for (name, content) in files.iter().filter(|(name, _)| name.ends_with(".jpg")) {
        let index: u8 = name
            .rsplit_once('-')
            .unwrap()
            .1
            .strip_suffix(".jpg")
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(*content, [index; 5000], "{name}");
    }
}

#[test]
fn stumps_of_an_earlier_run_are_cleared_away() {
    let dir = TempDir::new().unwrap();
    let mut first = archive(dir.path());
    first.deliver(&with_picture("1", b"picture")).unwrap();
    assert_eq!(names(dir.path()).len(), 2, "both are temporary");
    // As after a crash: the first is still there and never flushes.
    let _second = archive(dir.path());
    assert_eq!(names(dir.path()), Vec::<String>::new());
    // What was lost under way is a reason to try again, not to claim success.
    assert_eq!(first.flush().unwrap_err().outcome(), Outcome::Retry);
}

#[test]
fn a_directory_whose_parent_is_missing_is_not_made() {
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("mnt/archive");
    let fail = Bench::<Archive>::create(&json!({ "dir": missing }).to_string(), "/nonexistent").unwrap_err();
    assert_eq!(fail.outcome(), Outcome::Retry);
    assert!(fail.to_string().ends_with("mnt; is the disk mounted?"), "{fail}");
}

#[test]
fn a_probe_writes_and_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let mut archive = archive(dir.path());
    archive.probe().unwrap();
    assert_eq!(names(dir.path()), Vec::<String>::new());
    fs::remove_dir_all(dir.path()).unwrap();
    assert_eq!(archive.probe().unwrap_err().outcome(), Outcome::Retry);
}

#[test]
fn a_full_disk_is_a_retry_and_leaves_no_stump() {
    let dir = TempDir::new().unwrap();
    let mount = |arguments: &[&str]| {
        let status = Command::new("mount").args(arguments).arg(dir.path()).output();
        status.is_ok_and(|output| output.status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=256k", "tmpfs"]) {
        // What the error turns into is tested without a disk, in `send`.
        eprintln!("not tried on a full disk: only root can mount one");
        return;
    }
    let mut archive = archive(dir.path());
    let full = (0..100).find_map(|id| {
        let result = archive.deliver(&with_picture(&id.to_string(), &[1; 50_000]));
        result.and_then(|()| archive.flush()).err()
    });
    let stumps = files(dir.path())
        .into_keys()
        .filter(|name| !name.starts_with("2026"))
        .count();
    let whole = files(dir.path())
        .into_iter()
        .filter(|(name, _)| name.ends_with(".jpg"));
    let whole = whole.filter(|(_, content)| content.len() == 50_000).count();
    // Room is made by the operator, and the archive goes on.
    fs::remove_dir_all(dir.path().join("2026")).unwrap();
    archive.deliver(&with_picture("after", &[1; 50_000])).unwrap();
    let after = archive.flush();
    drop(archive);
    let unmounted = Command::new("umount").arg(dir.path()).status().unwrap().success();

    let full = full.expect("a disk of 256 KiB is full after 5 MB");
    assert_eq!(full.outcome(), Outcome::Retry);
    assert!(full.to_string().contains("the disk is full: make room"), "{full}");
    assert_eq!((stumps, whole > 0, after, unmounted), (0, true, Ok(()), true));
}

/// An archive of ten days with one alert of 1000 bytes each, among files of other people.
fn with_foreign_files(dir: &Path) -> Vec<String> {
    let mut archive = archive(dir);
    for day in 0..10 {
        let mut alert = with_picture(&day.to_string(), &[0; 1000]);
        alert.unix_ms = NEW_YEAR + day * DAY.as_millis() as u64;
        archive.deliver(&alert).unwrap();
    }
    archive.flush().unwrap();
    let foreign = [
        ("2026/01/01/holiday.jpg", &b"mine"[..]),
        (
            "2026/01/01/000000.000-gate-99.jpg",
            b"looks like it, but has no document",
        ),
        (
            "2026/01/02/120000.000-gate-98.json",
            br#"{"archived":{"by":"somebody else","pictures":["holiday.jpg"]}}"#,
        ),
        (
            "2026/01/02/notes.json",
            br#"{"archived":{"by":"watchpost-archive","pictures":[]}}"#,
        ),
        (
            "2026/01/03/120000.000-gate-97.json",
            br#"{"archived":{"by":"watchpost-archive","pictures":["../01/holiday.jpg"]}}"#,
        ),
        (
            "2026/02/31/120000.000-gate-96.json",
            br#"{"archived":{"by":"watchpost-archive","pictures":[]}}"#,
        ),
        ("thesis.txt", b"mine too"),
    ];
    for (name, content) in foreign {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    // The one that names a stranger's picture is its own author's fault, but the picture must survive.
    foreign
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .filter(|name| !name.contains("gate-97"))
        .collect()
}

fn all_there(dir: &Path, foreign: &[String]) {
    let names = names(dir);
    let lost: Vec<_> = foreign.iter().filter(|name| !names.contains(name)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn what_is_too_old_goes_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let foreign = with_foreign_files(dir.path());
    let limits = Limits {
        keep_for: Some(DAY * 3),
        max_bytes: None,
    };
    let now = NEW_YEAR + DAY.as_millis() as u64 * 10;
    let swept = sweep(dir.path(), limits, now, &|| false);
    assert_eq!(
        swept.alerts, 8,
        "seven of the archive, and the one that claims to be"
    );
    all_there(dir.path(), &foreign);
    let left = names(dir.path())
        .into_iter()
        .filter(|name| !foreign.contains(name))
        .count();
    assert_eq!(left, 3 * 2);
    assert!(!dir.path().join("2026/01/04").exists(), "an empty directory goes");
    assert!(
        dir.path().join("2026/01/01").exists(),
        "one with a stranger's file stays"
    );
    assert_eq!(sweep(dir.path(), limits, now, &|| false).alerts, 0);
}

#[test]
fn what_is_too_much_goes_oldest_first_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let foreign = with_foreign_files(dir.path());
    let limits = Limits {
        keep_for: None,
        max_bytes: Some(5_000),
    };
    let swept = sweep(dir.path(), limits, NEW_YEAR, &|| false);
    assert!(swept.alerts > 4 && swept.left <= 5_000, "{swept:?}");
    all_there(dir.path(), &foreign);
    assert!(!names(dir.path()).contains(&"2026/01/01/000000.000-gate-0.jpg".into()));
    assert!(names(dir.path()).contains(&"2026/01/10/000000.000-gate-9.jpg".into()));
}

#[test]
fn a_sweep_that_is_stopped_removes_nothing_more() {
    let dir = TempDir::new().unwrap();
    with_foreign_files(dir.path());
    let limits = Limits {
        keep_for: Some(DAY),
        max_bytes: Some(1),
    };
    let before = names(dir.path());
    let swept = sweep(dir.path(), limits, NEW_YEAR * 2, &|| true);
    assert_eq!((swept.alerts, swept.bytes), (0, 0));
    assert_eq!(names(dir.path()), before);
}

#[test]
fn retention_runs_beside_the_deliveries() {
    let dir = TempDir::new().unwrap();
    let config = json!({ "dir": dir.path(), "max_size": "1MiB" }).to_string();
    let mut archive = Bench::<Archive>::create(&config, "/nonexistent").unwrap();
    for id in 0..40 {
        archive
            .deliver(&with_picture(&format!("{id:03}"), &[0; 50_000]))
            .unwrap();
        archive.flush().unwrap();
    }
    // Twice as much was written as may stay; the thread has removed the rest by the time it has looked.
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    let size = || files(dir.path()).values().map(Vec::len).sum::<usize>();
    while size() > 1 << 20 {
        assert!(std::time::Instant::now() < patience, "{} bytes are left", size());
        std::thread::yield_now();
    }
    assert!(names(dir.path()).contains(&"2026/01/01/000000.000-gate-039.jpg".into()));
}
