//! From an alert to its sound, and what becomes of the alert.

use std::time::{Duration, SystemTime};

use watchpost_sink::{Alert, Call, Fail, Level, Severity};

use crate::Sound;
use crate::config::Config;
use crate::device::{Ending, Output};
use crate::source::Source;
use crate::tone;

/// What is left of the call's time for all that is not the sound.
const RESERVE: Duration = Duration::from_secs(1);

/// A sound that was stopped after so long was noticed; the alert does not come again.
const NOTICED: Duration = Duration::from_secs(1);

/// The last sound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    until: SystemTime,
    severity: Severity,
}

/// Sounds for an alert, unless a sound for one as severe has ended since it was received: whoever heard that looks,
/// and sees both. Otherwise a hundred alerts at once would sound for a quarter of an hour.
pub(crate) fn deliver(sink: &mut Sound, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
    let severity = alert.severity();
    if let Some(heard) = sink.heard
        && heard.severity >= severity
        && alert.received() <= heard.until
    {
        return Ok(());
    }
    let limit = call
        .remaining()
        .map_or(Duration::MAX, |left| left.saturating_sub(RESERVE));
    if limit.is_zero() {
        return Err(Fail::retry(
            "there is no time left to sound; raise the sink's timeout",
        ));
    }
    let programme = sink.config.programme(severity);
    if programme.max_duration > limit {
        let why = "the sound is cut short: the sink's timeout has to be two seconds longer than max_duration";
        sink.host.log(Level::Warn, why);
    }
    let mut source = Source::new(programme, limit).map_err(Fail::retry)?;
    let output = Output::open(&sink.config.device).map_err(Fail::retry)?;
    let ending = output.play(&mut source, || call.cancelled());
    let enough = match ending.map_err(Fail::retry)? {
        Ending::Whole => true,
        Ending::Stopped(after) => after >= NOTICED,
    };
    if !enough {
        return Err(Fail::retry("it was stopped before anybody could have noticed"));
    }
    sink.heard = Some(Heard {
        until: SystemTime::now(),
        severity,
    });
    Ok(())
}

/// Whether the output could be opened and takes a tone.
pub(crate) fn probe(config: &Config) -> Result<(), Fail> {
    let output = Output::open(&config.device).map_err(Fail::retry)?;
    output.set(tone::RATE).map_err(Fail::retry)
}
