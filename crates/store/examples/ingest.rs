//! Measures how many alerts a second the store takes, and what it writes to disk for them.
//!
//! `cargo run --release -p watchpost-store --example ingest [-- DIR [BATCH KILOBYTES]]`

#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use watchpost_core::{
    Alert, AlertId, AlertKind, Camera, DeliveryState, Details, Effects, Picture, Router, RoutingEvent,
    RoutingState, Target, UnixMillis, VisionGuard,
};
use watchpost_store::{Arrival, Batch, DeliveryUpdate, Retention, Store, StoreOptions, StorePolicy};

type Failure = Box<dyn std::error::Error>;

/// How long each figure is measured.
const SPAN: Duration = Duration::from_secs(3);

/// Alerts of the large store.
const MANY: u64 = 1_000_000;

#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let dir = args
        .next()
        .map_or_else(|| std::env::temp_dir().join("watchpost-ingest"), PathBuf::from);
    let chosen = args
        .map(|number| number.parse())
        .collect::<Result<Vec<u64>, _>>()?;
    let cases = match chosen[..] {
        [0] => vec![],
        [batch, kilobytes] => vec![(batch, kilobytes)],
        _ => vec![(64, 10), (64, 60), (64, 200), (1, 10), (1, 60), (1, 200)],
    };
    for &(batch, kilobytes) in &cases {
        let kilobytes = usize::try_from(kilobytes)?;
        let _ = std::fs::remove_dir_all(&dir);
        // Small enough for the log to be in its steady state soon, where files are overwritten.
        let retention = Retention {
            max_size: Some(1 << 30),
            ..Retention::default()
        };
        let policy = StorePolicy {
            retention,
            ..StorePolicy::default()
        };
        let options = StoreOptions {
            policy,
            ..StoreOptions::new(&dir)
        };
        let (mut store, _) = Store::open(options)?;
        let mut source = Source::new(kilobytes << 10);
        rustix::fs::sync();
        let fresh = measure(&mut store, &mut source, batch, SPAN, false)?;
        let (before, written_before) = (source.next, written()?);
        let steady = measure(&mut store, &mut source, batch, SPAN, true)?;
        let per_alert = (written()? - written_before) / (source.next - before).max(1);
        println!(
            "{kilobytes:>4} KB, batch {batch:>2}: {fresh:>7.0}/s into new files, {steady:>7.0}/s with retention, \
             {per_alert} B written an alert ({:.2} x the picture)",
            per_alert as f64 / (kilobytes << 10) as f64,
        );
    }
    if chosen.len() < 2 {
        growth(&dir)?;
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// The same into an empty store and into one with a million alerts.
#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn growth(dir: &Path) -> Result<(), Failure> {
    let _ = std::fs::remove_dir_all(dir);
    let (mut store, _) = Store::open(StoreOptions::new(dir))?;
    let mut source = Source::new(10 << 10);
    source.bytes = 0;
    while source.next < MANY {
        store.commit(&source.batch(1_000), &to_archive())?;
    }
    source.bytes = 10 << 10;
    let empty_dir = dir.join("empty");
    let mut rates = [Vec::new(), Vec::new()];
    // In turns, for the disk is not the same from one second to the next.
    for round in 0..6 {
        let _ = std::fs::remove_dir_all(&empty_dir);
        let (mut empty_store, _) = Store::open(StoreOptions::new(&empty_dir))?;
        let [empty, full] = &mut rates;
        let mut pair = [(&mut empty_store, empty), (&mut store, full)];
        if round % 2 == 1 {
            pair.reverse();
        }
        for (store, rates) in pair {
            // What was written before must not be paid for by whoever comes next.
            rustix::fs::sync();
            rates.push(measure(store, &mut source, 64, SPAN / 3, false)?);
        }
    }
    let [empty, full] = rates.map(median);
    println!(
        "  10 KB, batch 64: {empty:.0}/s empty, {full:.0}/s with {MANY} alerts ({:.0} %)",
        100.0 * full / empty
    );
    drop(store);
    ask(dir, source.next)
}

/// Opens the large store again and times what a hub asks of it.
#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn ask(dir: &Path, alerts: u64) -> Result<(), Failure> {
    let start = Instant::now();
    let (store, report) = Store::open(StoreOptions::new(dir))?;
    println!(
        "opened with {alerts} alerts in {:?}: {:?}",
        start.elapsed(),
        report.kind
    );
    let mut reader = store.reader()?;
    let now = UnixMillis(i64::MAX);
    for (name, question) in [
        (
            "live(50)",
            (|r, _| r.live(50).map(|l| l.len())) as fn(&mut watchpost_store::Reader, _) -> _,
        ),
        ("due(64)", |r, now| {
            r.due("archive", now, 64, &|_, _| false).map(|l| l.len())
        }),
        ("next_due", |r, _| {
            r.next_due("archive", &|_, _| false)
                .map(|l| usize::from(l.is_some()))
        }),
        ("counts", |r, _| {
            r.counts().map(|c| usize::try_from(c.alerts).unwrap_or(0))
        }),
    ] {
        question(&mut reader, now)?;
        let start = Instant::now();
        let found = question(&mut reader, now)?;
        println!("{name}: {found} in {:?}", start.elapsed());
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    println!(
        "{}",
        status
            .lines()
            .filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    Ok(())
}

/// Alerts a second. With `steady` their deliveries are settled with the next batch, and retention runs.
fn measure(
    store: &mut Store,
    source: &mut Source,
    batch: u64,
    span: Duration,
    steady: bool,
) -> Result<f64, Failure> {
    let (start, first, step) = (Instant::now(), source.next, to_archive());
    let mut updates = Vec::new();
    while start.elapsed() < span {
        let mut batch = source.batch(batch);
        batch.updates = std::mem::take(&mut updates);
        store.commit(&batch, &step)?;
        updates = batch.arrivals.iter().map(delivered).collect();
        if steady {
            store.retain(UnixMillis(0))?;
        }
    }
    let batch = Batch {
        updates,
        ..Batch::default()
    };
    store.commit(&batch, &step)?;
    Ok((source.next - first) as f64 / start.elapsed().as_secs_f64())
}

/// Sends every alert to the archive.
fn to_archive() -> impl Fn(&RoutingState, RoutingEvent<'_>) -> Effects {
    let target = Target {
        name: "archive".to_owned(),
        ..Target::default()
    };
    let router = Router::new(vec![target], Vec::new());
    move |state, event| router.step(UnixMillis(0), state, event)
}

fn delivered(arrival: &Arrival) -> DeliveryUpdate {
    DeliveryUpdate {
        alert: arrival.alert.id,
        sink: "archive".to_owned(),
        state: DeliveryState::Delivered,
        attempts: 1,
        due_at: arrival.alert.received_at,
        error: None,
    }
}

/// Makes alerts.
struct Source {
    next: u64,
    bytes: usize,
    /// Pictures are taken from here at different places, so that no two in a row are the same.
    noise: Vec<u8>,
}

impl Source {
    fn new(bytes: usize) -> Self {
        let noise = (0..bytes as u64 + 1_000)
            .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
            .collect();
        Self {
            next: 0,
            bytes,
            noise,
        }
    }

    fn batch(&mut self, alerts: u64) -> Batch {
        Batch {
            arrivals: (0..alerts).map(|_| self.arrival()).collect(),
            ..Batch::default()
        }
    }

    fn arrival(&mut self) -> Arrival {
        self.next += 1;
        let from = (self.next % 1_000) as usize;
        let frame = (self.bytes > 0).then(|| self.noise[from..from + self.bytes].to_vec());
        let id = 1_795_396_590_521_000 + self.next * 50;
        Arrival {
            alert: Alert {
                camera: Some(Camera::unnamed(format!(
                    "4f6c1c1e-0b1e-4a55-9d3c-8a4b0a7c00{:02}",
                    self.next % 8
                ))),
                title: "Anomaly at front-door".into(),
                text: "Person 1, score -1.23, classified as Abnormal with confidence Low".into(),
                details: Details {
                    score: Some(-1.23),
                    ..Details::default()
                },
                picture: match self.bytes {
                    0 => Picture::Missing("the message had no picture".into()),
                    bytes => Picture::Jpeg {
                        bytes: bytes as u32,
                        width: 640,
                        height: 480,
                    },
                },
                visionguard: Some(VisionGuard {
                    person_id: 1,
                    ..VisionGuard::default()
                }),
                ..Alert::new(
                    AlertId(id),
                    AlertKind::Anomaly,
                    "shop",
                    UnixMillis((id / 1_000) as i64),
                )
            },
            frame,
        }
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Bytes this process has sent to disk, as the kernel accounts them: it counts a large page of its cache as
/// a whole when a part of it is written, so files that are written again look up to a third dearer than the
/// disk sees.
fn written() -> Result<u64, Failure> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "))
        .ok_or("no write_bytes")?;
    Ok(line.parse()?)
}
