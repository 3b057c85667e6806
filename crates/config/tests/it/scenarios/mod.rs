//! What rules do, as a specification that is run: sites, what happens on them and when, and what follows from that, each with its
//! reason. The files beside this one are read as they stand: what is done to a site is written there by hand, and what follows is
//! what the routing step says, which `UPDATE_EXPECT=1` writes down again.
//!
//! A line with a time, two spaces and a text is an act; what stands deeper follows from it, or from time that goes by:
//!
//! ```text
//! Fri 22:00     arm away                    an act (see `act.rs` for all of them)
//!                 Yard: arming away         how an area stands from then on
//! Fri 22:01       ! Yard is armed > mail    an internal event, and who gets it
//! Fri 23:10     Gate                        what a camera has seen
//!                 > mail: why               who gets it
//!                 ~ siren 23:10:30: why     who gets it later
//!                 x archive: why            who does not
//!                 - siren, Gate: why        what was to be delivered and is not
//! ```

mod act;
mod hub;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use expect_test::expect_file;

use self::act::Act;
use self::hub::Hub;

/// Where the text of an act begins.
const TEXT_AT: usize = 14;

/// The day on which scenarios begin: a Friday.
const FIRST_DAY: &str = "2026-11-27";

/// Runs all scenarios of a file, and gives it back with what followed.
fn run(text: &str) -> String {
    let sites: BTreeMap<&str, &str> = text.split("\n## ").skip(1).map(site).collect();
    let (mut out, mut lines, mut title) = (String::new(), text.lines(), "");
    while let Some(line) = lines.next() {
        let _ = writeln!(out, "{line}");
        title = line.strip_prefix("## ").unwrap_or(title);
        if line == "```text" {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let _ = writeln!(out, "{}```", scenario(&block, &sites, title));
        }
    }
    out
}

/// The title of a section, and the configuration in it.
fn site(section: &str) -> (&str, &str) {
    let (title, rest) = section.split_once('\n').unwrap();
    let toml = rest
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    (
        title,
        toml.unwrap_or_else(|| panic!("{title} has no configuration")),
    )
}

/// Plays one scenario on the site of this title.
fn scenario(lines: &[&str], sites: &BTreeMap<&str, &str>, site: &str) -> String {
    let mut hub = Hub::new(sites[site], FIRST_DAY);
    for line in lines {
        let is_act = line.len() > TEXT_AT
            && line[TEXT_AT - 2..].starts_with("  ")
            && !line[TEXT_AT..].starts_with(' ')
            && !line.starts_with(' ');
        if !is_act {
            continue;
        }
        let (time, text) = (line[..TEXT_AT].trim(), line[TEXT_AT..].trim_end());
        hub.until(time);
        hub.write(format_args!("{time:<TEXT_AT$}{text}\n"));
        let act = Act::parse(text).unwrap_or_else(|why| panic!("{line}\n{why}"));
        hub.perform(act, sites);
    }
    hub.written()
}

/// Compares a file with itself after it was run.
macro_rules! scenarios {
    ($($test:ident = $file:literal;)*) => { $(
        #[test]
        fn $test() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scenarios").join($file);
            let text = std::fs::read_to_string(path).unwrap();
            expect_file![$file].assert_eq(&run(&text));
        }
    )* };
}

scenarios! {
    routes = "routes.md";
    arming = "arming.md";
    schedules = "schedules.md";
    silences = "silences.md";
    late = "late.md";
    confirmation = "confirmation.md";
    panic = "panic.md";
    swinger = "swinger.md";
    abort = "abort.md";
    test_mode = "test_mode.md";
}
