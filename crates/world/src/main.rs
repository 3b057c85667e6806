//! The hub in a simulated world: one thread, virtual time, one seed. The hub is the product's own, with its actors, its
//! HTTP and WebSocket clients and its store; the world is what it stands on ([`process::Ground`]) and who it talks to.
//!
//! `WATCHPOST_WORLD_SEEDS=0..1000` says which seeds are played; a run can be continued with the next ones.
//! `WATCHPOST_WORLD_STORY=17` prints the story of one, `WATCHPOST_SCENARIO=TITLE` that of a scenario of the rules' tables.
//! `WATCHPOST_RULES_SEEDS` are those of the days on which people arm and disarm while the hub is killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets an error has failed"
)]
#![allow(missing_docs, unreachable_pub, reason = "nothing outside uses it")]

mod acts;
mod backend;
mod disk;
mod net;
mod oracle;
mod play;
mod process;
mod run;
mod shrink;
mod sinks;
mod story;
mod table;
mod watch;

use std::env;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use watchpost_world::scenario;

use crate::play::play;
use crate::scenario::Scenario;

/// Seeds that are played unless it is said which.
const DEFAULT_SEEDS: Range<u64> = 0..8;

/// Findings after which a run is over.
const MAX_FAILURES: usize = 3;

fn crate_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The seeds that an environment variable names.
fn wanted_seeds(variable: &str, otherwise: Range<u64>) -> Range<u64> {
    let Ok(text) = env::var(variable) else {
        return otherwise;
    };
    let parsed = text
        .split_once("..")
        .and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parsed.unwrap_or_else(|| panic!("{variable} is FROM..TO, and not {text}"))
}

/// Prints what failed, the shortest scenario that does, and its story.
fn report(scenario: &Scenario) -> String {
    let shortest = shrink::shrink(scenario);
    let shown = play(&shortest, true);
    let place = crate_dir().join("../../target/world");
    fs::create_dir_all(&place).unwrap();
    let file = place.join(format!("{}.json", scenario.seed));
    fs::write(&file, serde_json::to_string_pretty(&shortest).unwrap()).unwrap();
    fs::write(file.with_extension("story"), shown.story.join("\n")).unwrap();
    let end = shown.story.len().saturating_sub(60);
    format!(
        "seed {}: {:#?}\n{} acts of {} are enough: {}\nthe end of their story:\n{}\n",
        scenario.seed,
        shown.findings,
        shortest.acts().count(),
        scenario.acts().count(),
        file.display(),
        shown.story[end..].join("\n"),
    )
}

/// Every seed that was found once is played for ever.
#[test]
fn kept_seeds_stay_without_a_finding() {
    let mut failures = Vec::new();
    let mut files: Vec<_> = fs::read_dir(crate_dir().join("seeds")).unwrap().collect();
    files.sort_by_key(|entry| entry.as_ref().unwrap().path());
    for entry in files {
        let path = entry.unwrap().path();
        let scenario: Scenario = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let run = play(&scenario, false);
        if !run.findings.is_empty() {
            failures.push(format!("{}: {:#?}", path.display(), run.findings));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn nothing_is_lost_or_doubled_in_any_weather() {
    let seeds = wanted_seeds("WATCHPOST_WORLD_SEEDS", DEFAULT_SEEDS);
    let next = AtomicU64::new(seeds.start);
    let (failures, lasted) = (
        Mutex::new(Vec::new()),
        Mutex::new((Duration::ZERO, 0, 0, Duration::ZERO)),
    );
    thread::scope(|scope| {
        // Each plays one seed at a time, and takes the next one when it has.
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds.end || failures.lock().unwrap().len() >= MAX_FAILURES {
                        return;
                    }
                    let scenario = Scenario::new(seed);
                    let run = play(&scenario, false);
                    if !run.findings.is_empty() {
                        println!("seed {seed}: {}", run.findings.join("; "));
                        failures.lock().unwrap().push(scenario.clone());
                    }
                    let mut lasted = lasted.lock().unwrap();
                    lasted.0 += run.lasted;
                    lasted.1 += run.alerts;
                    lasted.2 += scenario.acts().filter(|act| !act.is_alert()).count();
                    lasted.3 = lasted.3.max(run.recovered_in);
                }
            });
        }
    });
    let (time, alerts, faults, recovered_in) = *lasted.lock().unwrap();
    println!(
        "{:.1} hours, {alerts} alerts, {faults} faults, all well again within {} s",
        time.as_secs_f64() / 3_600.0,
        recovered_in.as_secs(),
    );
    let failures = failures.into_inner().unwrap();
    let reports: Vec<_> = failures.iter().map(report).collect();
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}

#[test]
fn a_seed_has_one_story() {
    let seed = env::var("WATCHPOST_WORLD_STORY")
        .ok()
        .and_then(|text| text.parse().ok());
    let scenario = Scenario::new(seed.unwrap_or(7));
    let (first, second) = (play(&scenario, true), play(&scenario, true));
    if seed.is_some() {
        println!("{}", first.story.join("\n"));
    }
    for (number, (first, second)) in first.story.iter().zip(&second.story).enumerate() {
        assert_eq!(first, second, "line {number} of the story");
    }
    assert_eq!(first.story.len(), second.story.len());
    assert!(
        first.alerts >= 100 && first.lasted >= Duration::from_secs(2_700),
        "it is about an hour"
    );
}
