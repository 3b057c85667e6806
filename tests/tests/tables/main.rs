//! The tables of scenarios, played on the real processes: the hub with its store on the disk, the children of its sinks, a
//! simulated backend, and people who say what they want by the command line; power that is lost is a SIGKILL. What sinks got and
//! what `watchpost explain` says must be what the tables say.
//!
//! Time goes by when all of these processes are at rest, and no sooner: however busy a machine is, what is done in no time on the
//! site is done before the next second of it. An hour takes some seconds.
//!
//! `WATCHPOST_SCENARIOS=all` plays all of them, `WATCHPOST_SCENARIO` the one of this title.

mod clock;
mod hub;
mod person;
mod post;
mod rest;
mod site;
mod stage;
mod steered;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use watchpost_scenarios::{Facts, NOT_PLAYED, Scenario, Table};
use watchpost_testkit::{artefacts, hostile_plugin};

/// Of so many scenarios of a file that do not last for days one is played, where it is not said that all are.
const ONE_OF: usize = 4;

/// Shown with a failure, and always with `--nocapture`.
#[allow(clippy::print_stderr, reason = "figures belong into the test's output")]
fn say(line: &str) {
    eprintln!("{line}");
}

/// How what was seen differs from the table.
fn differences(scenario: &Scenario<'_>) -> (Vec<String>, Duration) {
    match stage::play(scenario) {
        Ok(played) => (
            Facts::expected(scenario).differences(&played.facts),
            played.lasted,
        ),
        Err(error) => (vec![format!("{error:#}")], Duration::ZERO),
    }
}

/// Those that are wanted now.
fn chosen<'a>(tables: &'a [Table]) -> Vec<Scenario<'a>> {
    let title = std::env::var("WATCHPOST_SCENARIO").ok();
    let all = std::env::var("WATCHPOST_SCENARIOS").is_ok_and(|which| which == "all");
    let is_played = |scenario: &Scenario<'_>| {
        !NOT_PLAYED.iter().any(|(title, _)| *title == scenario.title)
            && (all || title.is_some() || is_of_one_day(scenario))
    };
    let of_table = |table: &'a Table| {
        let scenarios = table.scenarios().into_iter();
        let scenarios = scenarios.filter(is_played).enumerate();
        let chosen = scenarios.filter(|(at, scenario)| match &title {
            Some(title) => scenario.title == title,
            None => all || at % ONE_OF == 0,
        });
        chosen.map(|(_, scenario)| scenario).collect::<Vec<_>>()
    };
    tables.iter().flat_map(of_table).collect()
}

fn is_of_one_day(scenario: &Scenario<'_>) -> bool {
    let times = scenario.lines().filter_map(|(time, _)| time);
    let mut days = times.filter_map(|time| time.split(' ').next());
    let first = days.next();
    days.all(|day| Some(day) == first)
}

#[test]
fn the_real_processes_do_what_the_tables_of_scenarios_say() -> Result<()> {
    // Not while a scenario waits for it.
    let _ = (artefacts()?, hostile_plugin("recorder")?);
    let tables: Vec<Table> = Table::names().iter().map(|name| Table::read(name)).collect();
    let scenarios = chosen(&tables);
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let lasted = Mutex::new(Duration::ZERO);
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let begun = Instant::now();
                    let (differences, time) = differences(scenario);
                    let wrong = differences.len();
                    say(&format!(
                        "{:6.1?}  {wrong} wrong  {}",
                        begun.elapsed(),
                        scenario.title
                    ));
                    *lasted.lock().unwrap_or_else(PoisonError::into_inner) += time;
                    if !differences.is_empty() {
                        let text = format!("{}: {}", scenario.site, scenario.title);
                        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                        failures.push(format!("{text}\n  {}", differences.join("\n  ")));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    let lasted = lasted.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (count, took) = (scenarios.len(), begun.elapsed());
    let faster = lasted.as_secs_f64() / took.as_secs_f64();
    say(&format!(
        "{count} scenarios in {took:.0?}, {faster:.0} times as fast as they would take"
    ));
    ensure!(
        failures.is_empty(),
        "{} fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
    Ok(())
}

#[test]
fn what_is_not_played_is_there_and_is_said() -> Result<()> {
    let tables: Vec<Table> = Table::names().iter().map(|name| Table::read(name)).collect();
    let scenarios: Vec<Scenario<'_>> = tables.iter().flat_map(Table::scenarios).collect();
    for (title, why) in NOT_PLAYED {
        let exists = scenarios.iter().any(|scenario| scenario.title == *title);
        ensure!(exists, "there is no scenario {title} any more");
        say(&format!("not played: {title}: {why}"));
    }
    say(&format!(
        "{} of {} are not played",
        NOT_PLAYED.len(),
        scenarios.len()
    ));
    Ok(())
}
