//! A store whose process is killed at any instant holds everything that it had confirmed.
//!
//! (What a power cut does to data that was not synced is another matter: that needs a disk that forgets.)
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use common::*;
use watchpost_core::{AlertId, DeliveryState};
use watchpost_store::{Batch, Filter, Store};

/// Set for the process that writes until it is killed.
const CHILD_DIR: &str = "WATCHPOST_STORE_CRASH_DIR";

const KILLS: u64 = 24;

#[test]
fn killed_at_any_instant_it_keeps_what_it_confirmed() {
    if let Some(dir) = env::var_os(CHILD_DIR) {
        write_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut confirmed = Confirmed::default();
    for kill in 0..KILLS {
        run_and_kill(dir.path(), kill, &mut confirmed);
        check(dir.path(), &confirmed);
    }
    assert!(
        confirmed.alerts.len() > 100 && !confirmed.delivered.is_empty(),
        "the child did its work"
    );
}

/// What the killed processes said was on disk.
#[derive(Default)]
struct Confirmed {
    /// Sizes of the pictures.
    alerts: BTreeMap<AlertId, usize>,
    delivered: BTreeSet<AlertId>,
}

/// Commits batches of all sizes and says after each what is now on disk.
fn write_until_killed(dir: &Path) -> ! {
    let (mut store, report) = Store::open(options(dir)).unwrap();
    let mut next = report.last_id.map_or(id(0), |last| AlertId(last.0 + 1)).0;
    let mut out = std::io::stdout();
    let mut undelivered = Vec::new();
    loop {
        let count = next % 7 + 1;
        let new = (next..next + count).map(|n| with_picture(AlertId(n), size(AlertId(n)), &["mail"]));
        let batch = Batch {
            arrivals: new.collect(),
            updates: undelivered
                .drain(..)
                .map(|alert| update(alert, "mail", DeliveryState::Delivered, at(0)))
                .collect(),
            ..Batch::default()
        };
        store.commit(&batch, &step).unwrap();
        let mut told = String::new();
        for arrival in &batch.arrivals {
            told += &format!("stored {}\n", arrival.alert.id);
            undelivered.extend((arrival.alert.id.0 % 3 == 0).then_some(arrival.alert.id));
        }
        for update in &batch.updates {
            told += &format!("delivered {}\n", update.alert);
        }
        out.write_all(told.as_bytes()).unwrap();
        out.flush().unwrap();
        next += count;
    }
}

fn size(alert: AlertId) -> usize {
    usize::try_from(alert.0 % 30_000).unwrap()
}

fn run_and_kill(dir: &Path, kill: u64, confirmed: &mut Confirmed) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "killed_at_any_instant_it_keeps_what_it_confirmed",
            "--nocapture",
        ])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The number of lines differs each time, and where within a commit it is then is up to the machine.
    for line in lines
        .by_ref()
        .take(usize::try_from(kill * kill % 97 + 10).unwrap())
    {
        note(&line.unwrap(), confirmed);
    }
    child.kill().unwrap();
    // What was said before the end counts too.
    for line in lines {
        note(&line.unwrap(), confirmed);
    }
    assert!(!child.wait().unwrap().success());
}

fn note(line: &str, confirmed: &mut Confirmed) {
    let Some((word, alert)) = line.split_once(' ') else {
        return;
    };
    let Ok(alert) = alert.parse::<AlertId>() else {
        return;
    };
    match word {
        "stored" => drop(confirmed.alerts.insert(alert, size(alert))),
        "delivered" => drop(confirmed.delivered.insert(alert)),
        _ => {}
    }
}

fn check(dir: &Path, confirmed: &Confirmed) {
    let (store, report) = Store::open(options(dir)).unwrap();
    assert_eq!((report.quarantined, report.missing_files), (None, 0));
    let mut reader = store.reader().unwrap();
    for (&alert, &size) in &confirmed.alerts {
        let stored = reader
            .get(alert)
            .unwrap()
            .unwrap_or_else(|| panic!("alert {alert} is lost"));
        assert_eq!(
            reader.read_frame(&stored.frame.unwrap()).unwrap(),
            picture(alert, size)
        );
        if confirmed.delivered.contains(&alert) {
            assert_eq!(stored.deliveries[0].state, DeliveryState::Delivered);
        }
    }
    // Beyond that there is at most the last batch of each process, whole; and the counts are right.
    let all = reader
        .list(&Filter {
            limit: u32::MAX,
            ..Filter::default()
        })
        .unwrap();
    let counts = reader.counts().unwrap();
    assert_eq!(counts.alerts, all.len() as u64);
    let pending: Vec<AlertId> = all
        .iter()
        .rev()
        .filter(|stored| stored.deliveries[0].state == DeliveryState::Pending)
        .map(|stored| stored.alert.id)
        .collect();
    assert_eq!(due(&mut reader, "mail", at(0), usize::MAX), pending);
    assert_eq!(report.pending, pending.len() as u64);
    assert!(all.len() - confirmed.alerts.len() <= 7 * KILLS as usize);
}
