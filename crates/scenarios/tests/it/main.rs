//! The tables of scenarios, played on the routing step.

#![allow(
    clippy::unwrap_used,
    reason = "tests; clippy.toml allows it in test functions only, not in their helpers"
)]

mod hub;

use std::fs;
use std::path::Path;

use expect_test::expect_file;
use watchpost_scenarios::{Line, Scenario, Table};

use self::hub::Hub;

/// Plays one scenario on the site of its section. Returns its lines with what followed.
fn play(scenario: &Scenario<'_>) -> String {
    play_on(scenario.sites[scenario.site], scenario)
}

fn play_on(site: &str, scenario: &Scenario<'_>) -> String {
    let mut hub = Hub::new(site);
    for (time, line) in scenario.lines() {
        let (Some(time), Line::Act(act, text)) = (time, line) else {
            continue;
        };
        hub.write(time, text);
        hub.perform(act, &scenario.sites);
    }
    hub.written()
}

/// Compares a file with itself after it was run.
fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tables").join(name);
    expect_file![path].assert_eq(&Table::read(name).rewritten(|scenario| play(&scenario)));
}

/// The section with what all wishes of the page for installers have in common.
const COMMON: &str = "The site";

/// What the page for installers shows is so.
#[test]
fn each_wish_of_the_page_for_installers_is_fulfilled() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    let page = Table::of(fs::read_to_string(&path).unwrap());
    let played = page.rewritten(|scenario| {
        let (common, own) = (scenario.sites[COMMON], scenario.sites[scenario.site]);
        let own = if scenario.site == COMMON { "" } else { own };
        play_on(&format!("{common}\n{own}"), &scenario)
    });
    expect_file![path].assert_eq(&played);
}

macro_rules! tables {
    ($($test:ident = $file:literal;)*) => {
        $(
            #[test]
            fn $test() {
                check($file);
            }
        )*

        #[test]
        fn every_table_is_played() {
            let mut played = vec![$($file),*];
            played.sort_unstable();
            assert_eq!(Table::names(), played);
        }
    };
}

tables! {
    routes = "routes.md";
    arming = "arming.md";
    schedules = "schedules.md";
    silences = "silences.md";
    late = "late.md";
    grouping = "grouping.md";
    rate_limit = "rate_limit.md";
    confirmation = "confirmation.md";
    panic = "panic.md";
    tamper = "tamper.md";
    inhibition = "inhibition.md";
    repeats = "repeats.md";
    swinger = "swinger.md";
    abort = "abort.md";
    test_mode = "test_mode.md";
    escalation = "escalation.md";
}
