//! Waiting for a condition, with a deadline and the last thing seen when it passes.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a condition may take that is expected at once. Generous, as test machines are slow and busy; a test that
/// passes never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Pause between two looks: short against a test, long against the cost of a look.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Calls `probe` until it returns `Ok` and hands on what it found.
///
/// `probe` answers `Err` with the state it sees instead, in words; when `deadline` has passed, the error holds `what`
/// and the last of these states. The last look begins after the deadline.
///
/// ```
/// # use watchpost_testkit::{PATIENCE, eventually};
/// # fn main() -> anyhow::Result<()> {
/// let mut looks = 0;
/// let seen = eventually("the third look", PATIENCE, || {
///     looks += 1;
///     if looks == 3 { Ok(looks) } else { Err(format!("{looks} looks")) }
/// })?;
/// assert_eq!(seen, 3);
/// # Ok(())
/// # }
/// ```
pub fn eventually<T, S: Display>(
    what: &str,
    deadline: Duration,
    mut probe: impl FnMut() -> Result<T, S>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        // Read before the probe, so that the last look begins after the deadline.
        let late = started.elapsed() >= deadline;
        match probe() {
            Ok(found) => return Ok(found),
            Err(state) if late => {
                bail!("{what}: not within {deadline:?}; last seen: {state}")
            }
            Err(_) => std::thread::sleep(POLL_INTERVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_deadline_shows_the_last_state() {
        let mut looks = 0;
        let outcome: Result<()> = eventually("the impossible", Duration::ZERO, || {
            looks += 1;
            Err(format!("look {looks}"))
        });
        let message = outcome.unwrap_err().to_string();
        assert_eq!(message, "the impossible: not within 0ns; last seen: look 1");
    }

    #[test]
    fn the_last_look_begins_after_the_deadline() {
        let deadline = Duration::from_millis(20);
        let started = Instant::now();
        let mut last_look = Duration::ZERO;
        let outcome: Result<()> = eventually("never", deadline, || {
            last_look = started.elapsed();
            Err("not yet")
        });
        assert!(outcome.is_err());
        assert!(last_look >= deadline, "gave up at {last_look:?}");
    }
}
