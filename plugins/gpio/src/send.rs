//! From an alert to the siren, and what becomes of the alert.

use std::thread;
use std::time::{Duration, Instant, SystemTime, SystemTimeError};

use watchpost_sink::units::TimeSpan;
use watchpost_sink::{Alert, Call, Fail, Level};

use crate::Gpio;
use crate::config::Config;
use crate::siren::Sounding;

/// How often is looked whether to stop.
const LOOK: Duration = Duration::from_millis(20);

/// What is left of the call's time for all that is not the siren.
const RESERVE: Duration = Duration::from_secs(1);

/// After the end of a sounding the watchdog waits so long for it to be switched off as it should be: less than
/// [`RESERVE`], so that it acts before the process is killed for taking too long.
const WATCHDOG_SLACK: Duration = Duration::from_millis(700);

/// Why a sounding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Its time was over.
    Over,
    /// The button was pressed.
    Silenced,
    /// The hub asked for it.
    Cancelled,
}

/// Sounds for an alert, until its time is over or it is acknowledged.
pub(crate) fn deliver(sink: &mut Gpio, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
    let happened = happened(alert);
    let now = Instant::now();
    let age = SystemTime::now().duration_since(happened);
    // Of what came while it sounded, however long ago, the siren knows by itself whether it is still worth something.
    let received = age
        .as_ref()
        .ok()
        .and_then(|age| now.checked_sub(*age))
        .unwrap_or(now);
    let old = if sink.siren.was_on(received) {
        None
    } else {
        too_old(&age, sink.config.max_age)
    };
    let known = || {
        let known = sink.sounded.contains(alert.id());
        known.then(|| "it has sounded for it already".to_owned())
    };
    if let Some(why) = silence(&sink.config, alert).or(old).or_else(known) {
        let line = format_args!("silent for alert {}: {why}", alert.id());
        sink.host.log(Level::Info, line);
        return Ok(());
    }
    let Some(sounding) = sink.siren.plan(received, now) else {
        if sink.siren.is_silenced() {
            acknowledge(sink, call);
        }
        return Ok(());
    };
    let until = match call.remaining().map(|left| now + left.saturating_sub(RESERVE)) {
        Some(end) if end <= now => {
            return Err(Fail::retry(
                "there is no time left to sound; raise the sink's timeout",
            ));
        }
        Some(end) if end < sounding.until => {
            let why =
                "the siren is cut short: the sink's timeout has to be two seconds longer than its pattern";
            sink.host.log(Level::Warn, why);
            end
        }
        _ => sounding.until,
    };
    let sounding = Sounding { until, ..sounding };
    let ending = sound(sink, alert.id(), sounding, || call.cancelled())?;
    let silenced = ending == Ending::Silenced;
    if silenced {
        acknowledge(sink, call);
    }
    sink.siren.ended(sounding, Instant::now(), silenced);
    Ok(())
}

/// Reports that a person has pressed the button.
fn acknowledge(sink: &Gpio, call: &Call<'_>) {
    if !call.acknowledge() {
        let hint = "the button silences the siren only: to acknowledge the alert takes `acknowledge = true` in its [sink.sandbox]";
        sink.host.log(Level::Warn, hint);
    }
}

/// Why the siren stays silent for such an alert.
fn silence(config: &Config, alert: &Alert<'_>) -> Option<String> {
    if alert.json()["kind"] == "hub" {
        return Some("the hub speaks of itself".to_owned());
    }
    (config.silent_drill && alert.json()["drill"] == true).then(|| "it is a drill".to_owned())
}

/// Whether it happened too long ago. What seems to be of the future is from before the clock was set back, which for a
/// machine without a clock of its own is every start.
pub(crate) fn too_old(age: &Result<Duration, SystemTimeError>, max_age: Duration) -> Option<String> {
    let (age, words) = match age {
        Ok(age) => (*age, "old"),
        Err(early) => (early.duration(), "in the future; is the clock right?"),
    };
    (age > max_age).then(|| {
        let age = TimeSpan::from_secs(age.as_secs());
        format!("it is {age} {words}")
    })
}

/// When it counts from: what came late from when it happened, all else from when it was received.
pub(crate) fn happened(alert: &Alert<'_>) -> SystemTime {
    let document = alert.json();
    if document["late"] == true {
        let text = document["occurred_at"].as_str().unwrap_or_default();
        // Late, and it is not known by how much: too old.
        humantime::parse_rfc3339_weak(text).unwrap_or(SystemTime::UNIX_EPOCH)
    } else {
        alert.received()
    }
}

fn sound(
    sink: &mut Gpio,
    id: &str,
    sounding: Sounding,
    cancelled: impl Fn() -> bool,
) -> Result<Ending, Fail> {
    let presses = || sink.button.as_ref().map_or(0, |button| button.presses());
    let (begun, before) = (Instant::now(), presses());
    let deadline = sounding.until + WATCHDOG_SLACK;
    let on = sink.watchdog.guard(&*sink.line, deadline);
    loop {
        let elapsed = begun.elapsed();
        let left = sounding.until.saturating_duration_since(begun + elapsed);
        if left.is_zero() {
            return Ok(Ending::Over);
        } else if cancelled() {
            // What it has sounded for is remembered.
            return if sink.sounded.contains(id) {
                Ok(Ending::Cancelled)
            } else {
                Err(Fail::retry("it was stopped before it sounded"))
            };
        } else if presses() != before {
            return Ok(Ending::Silenced);
        }
        let (wanted, change) = sink.config.pattern.at(elapsed);
        // Also when nothing changes: what something else has switched does not stay so.
        on.set(wanted)?;
        if !sink.sounded.contains(id) {
            sink.sounded.add(id);
        }
        thread::sleep(LOOK.min(left).min(change.saturating_sub(elapsed)));
    }
}
