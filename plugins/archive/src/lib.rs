//! Files every alert as a picture and a JSON document below a directory.
//!
//! `{dir}/{yyyy}/{mm}/{dd}/{time}-{stream}-{id}.jpg` and `.json` beside it, all in UTC. A file that exists under
//! such a name is complete, also after a power cut; and an alert counts as delivered only when its files are on
//! the disk. The plugin knows nothing of alerts beyond the plugin contract and the key `stream_id`.

mod config;
mod document;
mod name;
mod retention;
mod send;
mod sweeper;

use std::path::PathBuf;

use serde_json::json;
use watchpost_sink::{Alert, Call, Description, Fail, Host, Needs, Sink, export_sink};

use config::Config;
use retention::Limits;
use send::{Batch, Incoming};
use sweeper::Sweeper;

/// The sink.
pub struct Archive {
    dir: PathBuf,
    batch: Batch,
    /// `None`: everything is kept for ever.
    sweeper: Option<Sweeper>,
}

impl Sink for Archive {
    type Config = Config;
    const FLUSHES: bool = true;
    const PROBES: bool = true;

    fn check(config: &Config) -> Result<(), Fail> {
        config.check()
    }

    fn create(config: Config, host: &Host) -> Result<Self, Fail> {
        send::make_directory(&config.dir)?;
        let incoming = Incoming::open(&config.dir, host.instance())?;
        let limits = Limits {
            keep_for: config.keep_for.map(|span| span.0),
            max_bytes: config.max_size.map(|size| size.0),
        };
        let sweeper = if limits.keep_everything() {
            None
        } else {
            Some(Sweeper::start(config.dir.clone(), limits, host.clone())?)
        };
        Ok(Self {
            batch: Batch::new(config.dir.clone(), incoming),
            dir: config.dir,
            sweeper,
        })
    }

    fn deliver(&mut self, alert: &Alert<'_>, _call: &Call<'_>) -> Result<(), Fail> {
        let stem = name::stem(alert.unix_ms(), stream(alert), alert.id());
        let day = name::day(alert.unix_ms());
        let mut written = 0;
        let mut pictures = Vec::new();
        for (index, frame) in alert.frames().iter().enumerate() {
            let file = name::picture(&stem, index, frame.mime());
            self.batch.write(&day, &file, frame.bytes())?;
            written += frame.bytes().len() as u64;
            pictures.push(file);
        }
        // Last, and so renamed last: its presence says that the pictures are there.
        let document = document::document(alert, &pictures);
        self.batch
            .write(&day, &format!("{stem}.json"), document.as_bytes())?;
        if let Some(sweeper) = &self.sweeper {
            sweeper.written(written + document.len() as u64);
        }
        Ok(())
    }

    fn flush(&mut self, _call: &Call<'_>) -> Result<(), Fail> {
        self.batch.commit()
    }

    fn probe(&mut self, _call: &Call<'_>) -> Result<(), Fail> {
        self.batch.probe().map_err(|fail| {
            fail.and(
                "",
                format_args!("nothing can be archived in {}", self.dir.display()),
            )
        })
    }

    fn description() -> Description {
        let needs = Needs {
            write: vec!["config.dir".into()],
            ..Needs::default()
        };
        let example = json!({ "dir": "/var/lib/watchpost/archive", "keep_for": "90d", "max_size": "20GiB" });
        Description::default().example(example).needs(needs)
    }
}

/// The camera's stream, as the alert's document calls it.
fn stream<'a>(alert: &'a Alert<'_>) -> &'a str {
    alert
        .json()
        .get("stream_id")
        .and_then(|stream| stream.as_str())
        .unwrap_or_default()
}

export_sink!(Archive, id: "archive", name: "Archive", summary: "Files every alert as a picture and a JSON document.");

#[cfg(test)]
mod tests;
