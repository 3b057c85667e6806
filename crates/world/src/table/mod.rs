//! The tables of scenarios, played on the whole hub: its actors, its store on SQLite, its backend over the wire, and sinks, in
//! virtual time. What sinks get and what `watchpost explain` says must be what the tables say, which are compared with the routing
//! step alone elsewhere.

mod around;
mod laws;
mod played;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use watchpost_scenarios::{Facts, NOT_PLAYED, Scenario, Table};

use self::played::Pace;
use crate::play::in_virtual_time;
use crate::story::Story;

/// Plays it. Returns how what was seen differs from the table, and its story if that is wanted.
fn differences(scenario: &Scenario<'_>, wanted: bool) -> (Vec<String>, Vec<String>) {
    let ((seen, story), panics) = in_virtual_time(wanted, async |story: Story| {
        let played = stage::play(scenario, story.clone(), Pace::Settled).await;
        (played.facts, story.lines())
    });
    let mut differences = Facts::expected(scenario).differences(&seen);
    if panics > 0 {
        differences.push("the hub has panicked".to_owned());
    }
    (differences, story)
}

#[test]
fn the_whole_hub_does_what_the_tables_of_scenarios_say() {
    let only = std::env::var("WATCHPOST_SCENARIO").ok();
    let tables: Vec<Table> = Table::names().iter().map(|name| Table::read(name)).collect();
    let scenarios: Vec<Scenario<'_>> = tables.iter().flat_map(Table::scenarios).collect();
    for (title, _) in NOT_PLAYED {
        let exists = scenarios.iter().any(|scenario| scenario.title == *title);
        assert!(exists, "there is no scenario {title} any more");
    }
    let is_wanted = |scenario: &&Scenario<'_>| match &only {
        Some(title) => scenario.title == title,
        None => !NOT_PLAYED.iter().any(|(title, _)| *title == scenario.title),
    };
    let scenarios: Vec<_> = scenarios.iter().filter(is_wanted).collect();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let played = catch_unwind(AssertUnwindSafe(|| differences(scenario, only.is_some())));
                    let (differences, story) = played.unwrap_or_else(|_| {
                        let why = "it came to an end that the table does not know".to_owned();
                        (vec![why], Vec::new())
                    });
                    story.iter().for_each(|line| println!("{line}"));
                    if !differences.is_empty() {
                        let text = format!("{}: {}", scenario.site, scenario.title);
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("{text}\n  {}", differences.join("\n  ")));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    println!("{} scenarios played", scenarios.len());
    assert!(
        failures.is_empty(),
        "{} fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
