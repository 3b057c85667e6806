//! The GPIO sink: switches a siren or a relay on for a while, and above all off again.
//!
//! The line is off from the moment it is requested, and whatever ends a sounding switches it off: its end, a cancel, a
//! button, an error, a panic, the end of the instance. A second thread switches it off when the first does not, and
//! when nothing can be switched any more the process ends, which gives the line back to the kernel.

mod button;
mod config;
mod input;
mod key_switch;
mod line;
mod pattern;
mod send;
mod siren;
mod sounded;
mod watchdog;

use std::sync::Arc;

use watchpost_sink::{Alert, Call, Description, Fail, Host, Level, Needs, Sink, export_sink};

use crate::button::Button;
use crate::config::Config;
use crate::key_switch::KeySwitch;
use crate::line::Line;
use crate::siren::Siren;
use crate::sounded::SoundedLog;
use crate::watchdog::Watchdog;

/// One siren. Its fields end in this order: the watchdog lets go of the line before the line is released.
struct Gpio {
    watchdog: Watchdog,
    button: Option<Button>,
    _key_switch: Option<KeySwitch>,
    line: Arc<Line>,
    siren: Siren,
    sounded: SoundedLog,
    config: Config,
    host: Host,
}

impl Sink for Gpio {
    type Config = Config;

    const PROBES: bool = true;

    fn check(config: &Config) -> Result<(), Fail> {
        config.check()
    }

    fn create(config: Config, host: &Host) -> Result<Self, Fail> {
        let chip = line::find_chip(&config.chip)?;
        let line = Arc::new(Line::request(&chip, &config)?);
        let button = config.button.as_ref();
        let (log, memory_log) = (host.clone(), host.clone());
        let forgetful = move |error: &std::io::Error| {
            let line = format_args!("it cannot be written down that the siren has sounded: {error}");
            memory_log.log(Level::Warn, line);
        };
        Ok(Self {
            watchdog: Watchdog::start(line.clone(), move |report| log.log(Level::Error, report))?,
            button: button
                .map(|button| Button::watch(&chip, button, host))
                .transpose()?,
            _key_switch: config
                .key_switch
                .as_ref()
                .map(|key| KeySwitch::watch(&chip, key, host))
                .transpose()?,
            line,
            siren: Siren::new(config.pattern.total(), config.max_on),
            sounded: SoundedLog::load(host.state_dir(), forgetful)?,
            config,
            host: host.clone(),
        })
    }

    fn deliver(&mut self, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
        send::deliver(self, alert, call)
    }

    fn probe(&mut self, _call: &Call<'_>) -> Result<(), Fail> {
        self.line.read().map(drop)
    }

    fn description() -> Description {
        let example = serde_json::json!({
            "chip": "/dev/gpiochip0",
            "line": 17,
            "pattern": "on 10s",
        });
        let needs = Needs {
            devices: vec!["config.chip".to_owned()],
            acknowledge: vec!["config.button".to_owned()],
            arm: vec!["config.key_switch".to_owned()],
            ..Needs::default()
        };
        Description::default().example(example).needs(needs)
    }
}

export_sink!(Gpio, id: "gpio", name: "GPIO", summary: "Switches a siren or a relay on a GPIO line for every alert.");

#[cfg(test)]
mod tests;
