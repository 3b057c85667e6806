//! A full disk loses nothing that was confirmed, and the same store goes on when there is room again.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::*;
use watchpost_core::{AlertId, DeliveryState};
use watchpost_store::{Arrival, Store, StoreError};

/// Set for the process that fills its disk, which is then the second test's part.
const CHILD_DIR: &str = "WATCHPOST_STORE_FULL_DIR";

/// Size of the small disk, as `mount` and `ulimit` want it.
const DISK: &str = "size=6m";
const LARGEST_FILE_BLOCKS: &str = "2048";

/// A file that takes room until it is removed.
const BALLAST_BYTES: usize = 2 << 20;

/// A disk of its own where we may mount one, in a mount namespace that ends with the process.
#[test]
fn a_full_disk_is_survived() {
    if let Some(dir) = env::var_os(CHILD_DIR) {
        let dir = Path::new(&dir);
        fs::write(dir.join("ballast"), vec![1; BALLAST_BYTES]).unwrap();
        fill(&dir.join("store"), || {
            fs::remove_file(dir.join("ballast")).unwrap()
        });
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o {DISK} none '{}' && exec \"$0\" \"$@\"",
        dir.path().display()
    );
    let namespace = if rustix::process::geteuid().is_root() {
        "-m"
    } else {
        "-mr"
    };
    let may_mount = Command::new("unshare")
        .args([
            namespace,
            "sh",
            "-c",
            &format!("mount -t tmpfs -o {DISK} none '{}'", dir.path().display()),
        ])
        .output()
        .is_ok_and(|output| output.status.success());
    let outcome = if may_mount {
        Command::new("unshare")
            .args([namespace, "sh", "-c", &script])
            .arg(env::current_exe().unwrap())
            .args(["--exact", "a_full_disk_is_survived"])
            .env(CHILD_DIR, dir.path())
            .output()
            .unwrap()
    } else {
        limited(dir.path(), "a_full_disk_is_survived_by_a_limited_process")
    };
    assert!(
        outcome.status.success(),
        "{}",
        String::from_utf8_lossy(&outcome.stdout)
    );
}

/// The same with a limit on the size of files, which needs no rights at all: the write-ahead log can grow
/// no further.
#[test]
fn a_full_disk_is_survived_by_a_limited_process() {
    if let Some(dir) = env::var_os(CHILD_DIR) {
        let relieve = || {
            let unlimited = rustix::process::Rlimit {
                current: None,
                maximum: None,
            };
            rustix::process::setrlimit(rustix::process::Resource::Fsize, unlimited).unwrap();
        };
        return fill(Path::new(&dir), relieve);
    }
    let dir = tempfile::tempdir().unwrap();
    let outcome = limited(dir.path(), "a_full_disk_is_survived_by_a_limited_process");
    assert!(
        outcome.status.success(),
        "{}",
        String::from_utf8_lossy(&outcome.stdout)
    );
}

fn limited(dir: &Path, test: &str) -> std::process::Output {
    let script = format!("trap '' XFSZ; ulimit -S -f {LARGEST_FILE_BLOCKS}; exec \"$0\" \"$@\"");
    Command::new("sh")
        .args(["-c", &script])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test])
        .env(CHILD_DIR, dir)
        .output()
        .unwrap()
}

/// Stores alerts until it fails, makes room, and goes on.
fn fill(dir: &Path, relieve: impl FnOnce()) {
    let mut store = open(dir);
    let mut count = 0;
    let (refused, error) = loop {
        let batch = arrivals(batch(count));
        match store.commit(&batch, &step) {
            Ok(_) => count += 1,
            Err(error) => break (batch, error),
        }
        assert!(count < 10_000, "the disk does not fill up");
    };
    assert!(count > 2, "there was room for something: {error}");
    assert!(
        matches!(error, StoreError::Full { .. } | StoreError::Database { .. }),
        "{error}"
    );
    // It is refused as long as it is full; reading goes on, and nothing of the failed batch is there.
    store.commit(&refused, &step).unwrap_err();
    let mut reader = store.reader().unwrap();
    check(&mut reader, count);
    assert_eq!(reader.get(refused.arrivals[0].alert.id).unwrap(), None);

    relieve();
    store.commit(&refused, &step).unwrap();
    let delivered = update(
        refused.arrivals[0].alert.id,
        "mail",
        DeliveryState::Delivered,
        at(0),
    );
    store.commit(&updates(vec![delivered]), &step).unwrap();
    check(&mut reader, count + 1);
    drop((reader, store));
    let (store, report) = Store::open(options(dir)).unwrap();
    assert_eq!((report.quarantined, report.missing_files), (None, 0));
    check(&mut store.reader().unwrap(), count + 1);
}

fn batch(number: u64) -> Vec<Arrival> {
    (0..3)
        .map(|n| {
            let mut new = with_picture(alert(number, n), 20_000, &["mail"]);
            // A long document, so that the database grows as fast as the frame log.
            new.alert.text = "x".repeat(10_000);
            new
        })
        .collect()
}

fn alert(batch: u64, n: u64) -> AlertId {
    id(batch * 3 + n + 1)
}

fn check(reader: &mut watchpost_store::Reader, batches: u64) {
    for alert in (0..batches).flat_map(|batch| (0..3).map(move |n| alert(batch, n))) {
        let stored = reader
            .get(alert)
            .unwrap()
            .unwrap_or_else(|| panic!("alert {alert} is lost"));
        assert_eq!(
            reader.read_frame(&stored.frame.unwrap()).unwrap(),
            picture(alert, 20_000)
        );
    }
    assert_eq!(reader.counts().unwrap().alerts, batches * 3);
}
