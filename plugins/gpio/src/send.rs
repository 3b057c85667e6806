//! From an alert to the siren, and what becomes of the alert.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use watchpost_sink::{Alert, Call, Fail, Level};

use crate::Gpio;
use crate::config::Config;
use crate::siren::Sounding;

/// How often is looked whether to stop.
const LOOK: Duration = Duration::from_millis(20);

/// What is left of the call's time for all that is not the siren.
const RESERVE: Duration = Duration::from_secs(1);

/// After the longest time that it may be on, the watchdog waits so long for it to be switched off as it should be.
const MERCY: Duration = Duration::from_millis(500);

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

/// Sounds for an alert, until its time is over or somebody has seen to it.
pub(crate) fn deliver(sink: &mut Gpio, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
    let age = age(alert, SystemTime::now());
    if let Some(why) = silence(&sink.config, alert, age) {
        sink.host.log(
            Level::Info,
            format_args!("silent for alert {}: {why}", alert.id()),
        );
        return Ok(());
    }
    if sink.remembered.contains(alert.id()) {
        let line = format_args!("silent for alert {}: it has sounded for it already", alert.id());
        sink.host.log(Level::Info, line);
        return Ok(());
    }
    let now = Instant::now();
    let received = now.checked_sub(age).unwrap_or(now);
    let Some(sounding) = sink.siren.plan(received, now) else {
        if sink.siren.is_silenced() {
            call.acknowledge();
        }
        return Ok(());
    };
    let until = match call.remaining().map(|left| now + left.saturating_sub(RESERVE)) {
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
        call.acknowledge();
    }
    sink.siren.ended(sounding, Instant::now(), silenced);
    Ok(())
}

/// Why the siren stays silent for an alert.
fn silence(config: &Config, alert: &Alert<'_>, age: Duration) -> Option<String> {
    if alert.json()["kind"] == "hub" {
        return Some("the hub speaks of itself".to_owned());
    }
    if config.silent_drill && alert.json()["drill"] == true {
        return Some("it is a drill".to_owned());
    }
    (age > config.max_age).then(|| {
        let age = humantime::format_duration(Duration::from_secs(age.as_secs()));
        format!("it is {age} old")
    })
}

/// How long ago it happened. What came late counts from when it happened, not from when it was heard of.
fn age(alert: &Alert<'_>, now: SystemTime) -> Duration {
    let document = alert.json();
    let happened = if document["late"] == true {
        let text = document["occurred_at"].as_str().unwrap_or_default();
        // Late, and nobody knows by how much: too old.
        humantime::parse_rfc3339_weak(text).unwrap_or(SystemTime::UNIX_EPOCH)
    } else {
        alert.time()
    };
    now.duration_since(happened).unwrap_or_default()
}

fn sound(
    sink: &mut Gpio,
    id: &str,
    sounding: Sounding,
    cancelled: impl Fn() -> bool,
) -> Result<Ending, Fail> {
    let presses = || sink.button.as_ref().map_or(0, |button| button.presses());
    let (begun, before) = (Instant::now(), presses());
    let deadline = sounding.began + sink.config.max_on + MERCY;
    let on = sink.watchdog.guard(&*sink.line, deadline);
    loop {
        let elapsed = begun.elapsed();
        let left = sounding.until.saturating_duration_since(begun + elapsed);
        if left.is_zero() {
            return Ok(Ending::Over);
        } else if cancelled() {
            // What it has sounded for is remembered.
            return if sink.remembered.contains(id) {
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
        if !sink.remembered.contains(id)
            && let Err(error) = sink.remembered.add(id)
        {
            let line = format_args!("it cannot be remembered that it has sounded for alert {id}: {error}");
            sink.host.log(Level::Warn, line);
        }
        thread::sleep(LOOK.min(left).min(change.saturating_sub(elapsed)));
    }
}
