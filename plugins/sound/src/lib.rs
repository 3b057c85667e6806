//! The sound sink: sounds a file or a built-in alarm tone for every alert.
//!
//! It owns no device between two sounds, so one that was unplugged is found again, and others may use it too.

mod config;
mod device;
mod file;
mod send;
mod source;
mod tone;

use watchpost_sink::{Alert, Call, Description, Fail, Host, Needs, Sink, export_sink};

use crate::config::Config;
use crate::send::Heard;

/// One loudspeaker.
struct Sound {
    config: Config,
    host: Host,
    heard: Option<Heard>,
}

impl Sink for Sound {
    type Config = Config;

    const PROBES: bool = true;

    fn check(config: &Config) -> Result<(), Fail> {
        config.check()
    }

    fn create(config: Config, host: &Host) -> Result<Self, Fail> {
        Ok(Self {
            config,
            host: host.clone(),
            heard: None,
        })
    }

    fn deliver(&mut self, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
        send::deliver(self, alert, call)
    }

    fn probe(&mut self, _call: &Call<'_>) -> Result<(), Fail> {
        send::probe(&self.config)
    }

    fn description() -> Description {
        let example = serde_json::json!({
            "tone": "siren",
            "max_duration": "10s",
            "severity": { "low": { "tone": "beep", "repeat": 1, "volume": 0.3 } },
        });
        let files =
            ["low", "medium", "high", "critical"].map(|level| format!("config.severity.{level}.file"));
        let needs = Needs {
            read: [
                vec!["/usr/share/alsa".to_owned(), "config.file".to_owned()],
                files.into(),
            ]
            .concat(),
            devices: vec!["/dev/snd".to_owned()],
            ..Needs::default()
        };
        Description::default().example(example).needs(needs)
    }
}

export_sink!(Sound, id: "sound", name: "Sound", summary: "Sounds a file or an alarm tone for every alert.");

#[cfg(test)]
mod tests;
