//! Tests that cannot run here, or not now.
//!
//! A test returns early when `cargo xtask test` has found that something is lacking that it needs; xtask counts it as
//! skipped, with the reason. Without xtask nothing is known to be lacking, and such a test fails with what it misses.

use std::fs::OpenOptions;
use std::io::Write as _;

/// What `cargo xtask test` could not install or make: `name=why`, one a line.
const LACKING: &str = "WATCHPOST_LACKING";
/// The file in which a test notes that it was skipped.
const SKIPPED: &str = "WATCHPOST_SKIPPED";

/// What not every machine has. The names are those of `crates/xtask/src/needs.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// ALSA's headers and library.
    Alsa,
    /// A library that moves the clock of one process.
    Faketime,
    /// The virtual machine with GPIO lines.
    GpioMachine,
    /// An MQTT broker and its clients.
    Mosquitto,
    /// A reverse proxy.
    Nginx,
    /// Python with the servers of the tests.
    Python,
    /// systemd-nspawn, and root.
    Systemd,
}

impl Need {
    fn name(self) -> &'static str {
        match self {
            Self::Alsa => "alsa",
            Self::Faketime => "faketime",
            Self::GpioMachine => "gpio-machine",
            Self::Mosquitto => "mosquitto",
            Self::Nginx => "nginx",
            Self::Python => "python",
            Self::Systemd => "systemd",
        }
    }
}

/// Whether the calling test has to return at once because one of these is lacking; it is noted as skipped then.
#[must_use]
pub fn skip_without(needs: &[Need]) -> bool {
    let lacking = std::env::var(LACKING).unwrap_or_default();
    let why = needs.iter().find_map(|need| why(&lacking, *need));
    why.is_some_and(|why| note(&why))
}

/// The calling test has to return at once for this reason, which is about this machine; it is noted as skipped.
#[must_use]
pub fn skip_because(why: &str) -> bool {
    note(why)
}

pub(crate) fn is_lacking(need: Need) -> bool {
    why(&std::env::var(LACKING).unwrap_or_default(), need).is_some()
}

fn why(lacking: &str, need: Need) -> Option<String> {
    let mut lines = lacking.lines().filter_map(|line| line.split_once('='));
    let (name, why) = lines.find(|(name, _)| *name == need.name())?;
    Some(format!("it needs {name}: {why}"))
}

/// Notes that the test of this thread is skipped. Without anyone to count it, it is said aloud.
#[allow(clippy::print_stderr, reason = "a test that is skipped must not look passed")]
fn note(why: &str) -> bool {
    let thread = std::thread::current();
    let line = format!("{}: {why}\n", thread.name().unwrap_or("a test"));
    let noted = std::env::var_os(SKIPPED)
        .and_then(|file| OpenOptions::new().append(true).open(file).ok())
        .is_some_and(|mut file| file.write_all(line.as_bytes()).is_ok());
    if !noted {
        eprint!("skipped: {line}");
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_skipped_for_what_it_needs_and_nothing_else() {
        let lacking = "nginx=it is not installed\nsystemd=it takes root";
        assert_eq!(why(lacking, Need::Mosquitto), None);
        assert_eq!(
            why(lacking, Need::Systemd).as_deref(),
            Some("it needs systemd: it takes root")
        );
    }
}
