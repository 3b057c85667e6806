//! The exec sink: runs a program for every alert, one at a time.
//!
//! It knows nothing of what the program does; the exit code says what becomes of the alert.

mod config;
mod output;
mod pictures;
mod run;
mod send;

use std::path::PathBuf;

use watchpost_sink::{Alert, Call, Description, Fail, Host, Needs, Sink, export_sink};

use crate::config::Config;
use crate::pictures::Pictures;

/// One program.
struct Exec {
    config: Config,
    host: Host,
    pictures: Pictures,
    home: PathBuf,
}

impl Sink for Exec {
    type Config = Config;

    const PROBES: bool = true;

    fn check(config: &Config) -> Result<(), Fail> {
        config.check()
    }

    fn create(config: Config, host: &Host) -> Result<Self, Fail> {
        let home = host.state_dir().to_path_buf();
        Ok(Self {
            pictures: Pictures::new(&home)?,
            config,
            host: host.clone(),
            home,
        })
    }

    fn deliver(&mut self, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
        send::deliver(self, alert, call)
    }

    fn probe(&mut self, _call: &Call<'_>) -> Result<(), Fail> {
        send::look_for(&self.config.command[0])
    }

    fn description() -> Description {
        let example = serde_json::json!({
            "command": ["/usr/local/bin/on-alert", "--picture", "{picture}"],
        });
        let needs = Needs {
            read: vec!["config.directory".to_owned()],
            exec: vec!["config.command.0".to_owned()],
            ..Needs::default()
        };
        Description::default().example(example).needs(needs)
    }
}

export_sink!(Exec, id: "exec", name: "Exec", summary: "Runs a program for every alert.");

#[cfg(test)]
mod tests;
