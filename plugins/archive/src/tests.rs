//! The sink on the bench, with real files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use watchpost_sink::Outcome;
use watchpost_sink::testing::{Bench, TestAlert, TestFrame, alert};

use crate::config::Documents;
use crate::retention::clean;
use crate::{Archive, Config};

const DAY: u64 = 86_400_000;

fn bench(dir: &Path) -> Bench<Archive> {
    let config = serde_json::json!({ "dir": dir }).to_string();
    Bench::create(&config, dir.join("state")).unwrap()
}

fn daily_bench(dir: &Path) -> Bench<Archive> {
    let config = serde_json::json!({ "dir": dir, "documents": "daily" }).to_string();
    Bench::create(&config, dir.join("state")).unwrap()
}

fn with_picture(id: &str, stream: &str, bytes: &[u8]) -> TestAlert {
    let frame = TestFrame {
        mime: "image/jpeg".into(),
        name: "a.jpg".into(),
        bytes: bytes.into(),
        width: 4,
        height: 3,
    };
    TestAlert {
        json: serde_json::json!({ "id": id, "camera": { "id": stream } }).to_string(),
        frames: vec![frame],
        ..alert(id)
    }
}

/// Every file below `dir` with its content, but for the state directory.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn file(bench: &mut Bench<Archive>, alert: &TestAlert) {
    bench.deliver(alert).unwrap();
    bench.flush().unwrap();
}

#[test]
fn picture_and_document_are_filed_byte_for_byte() {
    let dir = TempDir::new().unwrap();
    let alert = with_picture("7", "gate", b"\xff\xd8 not text \xff\xd9");
    file(&mut bench(dir.path()), &alert);
    let files = files(dir.path());
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "2026/01/01/00-00-00.000-gate-7.jpg",
            "2026/01/01/00-00-00.000-gate-7.json"
        ]
    );
    assert_eq!(files[names[0]], alert.frames[0].bytes);
    assert_eq!(files[names[1]], format!("{}\n", alert.json).into_bytes());
}

#[test]
fn nothing_is_in_its_place_before_the_flush_and_nothing_else_is_left_after_it() {
    let dir = TempDir::new().unwrap();
    let mut bench = bench(dir.path());
    for id in ["1", "2", "3"] {
        bench.deliver(&with_picture(id, "gate", b"jpeg")).unwrap();
    }
    assert!(
        files(dir.path())
            .keys()
            .all(|name| name.starts_with(".incoming/"))
    );
    bench.flush().unwrap();
    assert_eq!(files(dir.path()).len(), 6);
    assert!(files(dir.path()).keys().all(|name| name.starts_with("2026/")));
}

#[test]
fn a_redelivery_leaves_one_file() {
    let dir = TempDir::new().unwrap();
    let mut first = bench(dir.path());
    file(&mut first, &with_picture("7", "gate", b"jpeg"));
    let once = files(dir.path());
    file(&mut first, &with_picture("7", "gate", b"jpeg"));
    drop(first);
    file(&mut bench(dir.path()), &with_picture("7", "gate", b"jpeg"));
    assert_eq!(files(dir.path()), once);
}

#[test]
fn documents_of_a_day_are_lines_of_one_file() {
    let dir = TempDir::new().unwrap();
    let mut first = daily_bench(dir.path());
    for id in ["7", "8"] {
        first.deliver(&with_picture(id, "gate", b"jpeg")).unwrap();
    }
    assert!(
        files(dir.path())
            .keys()
            .all(|name| name.starts_with(".incoming/")),
        "nothing before the flush"
    );
    first.flush().unwrap();
    let tomorrow = TestAlert {
        unix_ms: alert("9").unix_ms + DAY,
        ..alert("9")
    };
    file(&mut first, &tomorrow);
    drop(first);
    // Delivered again to the next process.
    file(&mut daily_bench(dir.path()), &with_picture("8", "gate", b"jpeg"));
    let files = files(dir.path());
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        [
            "2026/01/01/00-00-00.000-gate-7.jpg",
            "2026/01/01/00-00-00.000-gate-8.jpg",
            "2026/01/01/alerts.jsonl",
            "2026/01/02/alerts.jsonl",
        ]
    );
    let lines = ["7", "8"].map(|id| with_picture(id, "gate", b"jpeg").json + "\n");
    assert_eq!(files["2026/01/01/alerts.jsonl"], lines.concat().into_bytes());
}

#[test]
fn a_day_whose_file_cannot_be_appended_to_is_a_retry_and_leaves_no_half_of_it() {
    let dir = TempDir::new().unwrap();
    let mut bench = daily_bench(dir.path());
    fs::create_dir_all(dir.path().join("2026/01/01/alerts.jsonl")).unwrap();
    bench.deliver(&with_picture("7", "gate", b"jpeg")).unwrap();
    assert_eq!(bench.flush().unwrap_err().outcome(), Outcome::Retry);
    fs::remove_dir(dir.path().join("2026/01/01/alerts.jsonl")).unwrap();
    file(&mut bench, &with_picture("8", "gate", b"jpeg"));
    let written = &files(dir.path())["2026/01/01/alerts.jsonl"];
    assert_eq!(
        written,
        &(with_picture("8", "gate", b"jpeg").json + "\n").into_bytes()
    );
}

#[test]
fn a_hostile_stream_stays_inside() {
    let outside = TempDir::new().unwrap();
    let dir = outside.path().join("archive");
    file(&mut bench(&dir), &with_picture("7", "../../../../etc/x", b"jpeg"));
    assert!(
        files(outside.path())
            .keys()
            .all(|name| name.starts_with("archive/2026/01/01/"))
    );
    assert_eq!(files(&dir).len(), 2);
}

#[test]
fn an_alert_without_picture_is_a_document() {
    let dir = TempDir::new().unwrap();
    file(&mut bench(dir.path()), &alert("7"));
    assert_eq!(
        files(dir.path()).keys().collect::<Vec<_>>(),
        ["2026/01/01/00-00-00.000-gate-7.json"]
    );
}

#[test]
fn what_an_interrupted_run_left_is_removed() {
    let dir = TempDir::new().unwrap();
    bench(dir.path())
        .deliver(&with_picture("7", "gate", b"jpeg"))
        .unwrap();
    assert_eq!(files(dir.path()).len(), 2);
    drop(bench(dir.path()));
    assert_eq!(files(dir.path()).len(), 0);
}

#[test]
fn a_file_in_the_way_is_a_retry_that_says_so_and_the_next_try_works() {
    let dir = TempDir::new().unwrap();
    let mut bench = bench(dir.path());
    fs::write(dir.path().join("2026"), "in the way").unwrap();
    bench.deliver(&with_picture("7", "gate", b"jpeg")).unwrap();
    let fail = bench.flush().unwrap_err();
    assert_eq!(fail.outcome(), Outcome::Retry);
    assert!(
        format!("{fail:?}").contains("is a file where a directory is needed"),
        "{fail:?}"
    );
    fs::remove_file(dir.path().join("2026")).unwrap();
    file(&mut bench, &with_picture("7", "gate", b"jpeg"));
    assert_eq!(files(dir.path()).len(), 2);
}

#[test]
fn a_full_disk_is_a_retry_that_says_so() {
    let full = std::io::Error::from_raw_os_error(28);
    let fail = crate::explain(Path::new("/srv/alerts"), &full);
    assert_eq!(fail.outcome(), Outcome::Retry);
    let text = format!("{fail:?}");
    assert!(
        text.contains("the disk that holds /srv/alerts is full") && text.contains("free some space"),
        "{text}"
    );
}

#[test]
fn a_relative_directory_is_refused_with_its_place() {
    let fail = Bench::<Archive>::check(r#"{"dir":"alerts"}"#).unwrap_err();
    assert_eq!(fail.outcome(), Outcome::BadConfig);
    assert_eq!(fail.notes().next().unwrap().0, "/dir");
}

/// Ten alerts, one a day, each with a picture of 1,000 bytes; and things that are not ours among them.
fn ten_days(dir: &Path, mut bench: Bench<Archive>) -> BTreeMap<String, Vec<u8>> {
    for day in 0..10 {
        let unix_ms = alert("x").unix_ms + day * DAY;
        file(
            &mut bench,
            &TestAlert {
                unix_ms,
                ..with_picture(&day.to_string(), "gate", &[0; 1_000])
            },
        );
    }
    let foreign = [
        "2026/01/01/holiday.jpg",
        "2026/01/02/00-00-00.000-gate-99.jpg",
        "2026/01/03/00-00-00.000-gate-98.json",
        "notes.txt",
        "2026/01/readme.json",
    ];
    for name in foreign {
        fs::write(dir.join(name), r#"{"id":"1"}"#).unwrap();
    }
    files(dir)
        .into_iter()
        .filter(|(name, _)| foreign.contains(&name.as_str()))
        .collect()
}

fn config(dir: &Path, keep_for: Option<Duration>, max_size: Option<u64>) -> Config {
    Config {
        dir: dir.to_owned(),
        documents: Documents::default(),
        keep_for,
        max_size,
    }
}

#[test]
fn the_oldest_go_when_it_grows_too_large_and_foreign_files_stay() {
    let dir = TempDir::new().unwrap();
    let foreign = ten_days(dir.path(), bench(dir.path()));
    let removed = clean(&config(dir.path(), None, Some(4_500)), SystemTime::now()).unwrap();
    assert_eq!(removed, 6);
    let left = files(dir.path());
    assert!(
        foreign
            .iter()
            .all(|(name, content)| left.get(name) == Some(content)),
        "{:?}",
        left.keys()
    );
    let ours = left.keys().filter(|name| !foreign.contains_key(*name)).count();
    assert_eq!(ours, 8, "four alerts of two files");
    assert!(left.contains_key("2026/01/10/00-00-00.000-gate-9.jpg"));
    assert!(!dir.path().join("2026/01/04").exists(), "an empty day goes too");
}

#[test]
fn what_is_too_old_goes_and_foreign_files_stay() {
    let dir = TempDir::new().unwrap();
    let foreign = ten_days(dir.path(), bench(dir.path()));
    let keep = config(dir.path(), Some(Duration::from_secs(3_600)), None);
    assert_eq!(clean(&keep, SystemTime::now()).unwrap(), 0, "filed just now");
    let later = SystemTime::now() + Duration::from_secs(7_200);
    assert_eq!(clean(&keep, later).unwrap(), 10);
    assert_eq!(files(dir.path()), foreign);
}

#[test]
fn days_of_one_file_go_as_well_and_foreign_files_stay() {
    let dir = TempDir::new().unwrap();
    let foreign = ten_days(dir.path(), daily_bench(dir.path()));
    let sized = config(dir.path(), None, Some(3_300));
    clean(&sized, SystemTime::now()).unwrap();
    let ours = |files: BTreeMap<String, Vec<u8>>| {
        let ours = files.into_keys().filter(|name| !foreign.contains_key(name));
        ours.collect::<Vec<_>>()
    };
    assert_eq!(
        ours(files(dir.path())),
        [
            "2026/01/07/alerts.jsonl",
            "2026/01/08/00-00-00.000-gate-7.jpg",
            "2026/01/08/alerts.jsonl",
            "2026/01/09/00-00-00.000-gate-8.jpg",
            "2026/01/09/alerts.jsonl",
            "2026/01/10/00-00-00.000-gate-9.jpg",
            "2026/01/10/alerts.jsonl",
        ]
    );
    let keep = config(dir.path(), Some(Duration::from_secs(3_600)), None);
    clean(&keep, SystemTime::now() + Duration::from_secs(7_200)).unwrap();
    assert_eq!(files(dir.path()), foreign);
}

#[test]
fn it_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let config = serde_json::json!({ "dir": dir.path().join("files") });
    let findings = watchpost_sink::testing::conformance::<Archive>(&config, dir.path());
    assert_eq!(findings, [""; 0]);
}
