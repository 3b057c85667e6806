//! Hours of the simulated world, sixty times as fast, with the real processes: the hub, the simulated backend, a line between
//! them that breaks, and servers that its sinks deliver to. At each quiet point what the backend recorded is one alert each with
//! its picture, delivered and not twice without a reason, and what the status says is so.
//!
//! `WATCHPOST_LONG_RUN_MINUTES` goes on with further seeds for so long, `WATCHPOST_SEED` says which is the first.

mod acts;
#[path = "../env_params/mod.rs"]
mod env_params;
mod oracle;
mod services;
mod stage;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use watchpost_world::scenario::Scenario;

use self::env_params::{from_environment, say};
use self::stage::Stage;

/// The seed that is played unless it is said which.
const DEFAULT_SEED: u64 = 3;

/// Spells of a seed that are played where no time is set: each is 14 s of faults, and what it takes to recover.
const DEFAULT_SPELLS: usize = 2;

/// Plays the first spells of a seed.
fn play(seed: u64, spells: usize) -> Result<()> {
    let scenario = Scenario::new(seed);
    let begun = Instant::now();
    let mut stage = Stage::new(&scenario)?;
    for (number, spell) in scenario.spells.iter().take(spells).enumerate() {
        stage
            .play(spell)
            .and_then(|()| stage.recover())
            .with_context(|| {
                format!(
                    "spell {number} of seed {seed}, {:?}:\n{}",
                    scenario.setup,
                    stage.story()
                )
            })?;
    }
    say(&format!(
        "seed {seed}: {} in {:.0?}",
        stage.figures()?,
        begun.elapsed()
    ));
    Ok(())
}

#[test]
fn hours_of_the_worlds_weather_lose_nothing_and_double_nothing() -> Result<()> {
    let first = from_environment("WATCHPOST_SEED")?.unwrap_or(DEFAULT_SEED);
    let Some(minutes) = from_environment("WATCHPOST_LONG_RUN_MINUTES")? else {
        return play(first, DEFAULT_SPELLS);
    };
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut seeds = first..;
    while Instant::now() < end {
        play(seeds.next().context("a seed")?, usize::MAX)?;
    }
    Ok(())
}
