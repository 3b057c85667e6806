//! The archive sink: files every alert as a picture and a JSON document below a directory.
//!
//! It knows nothing of backends and other sinks. What an alert says is copied as it is.

mod config;
mod daily;
mod filing;
mod name;
mod retention;

use std::io;
use std::path::Path;

use watchpost_sink::{Alert, Call, Description, Fail, Grant, Host, Needs, Sink, export_sink};

use crate::config::Config;
use crate::filing::{Attachment, Filing};
use crate::name::Place;
use crate::retention::Keeper;

/// One archive directory.
struct Archive {
    config: Config,
    filing: Filing,
    keeper: Option<Keeper>,
}

impl Sink for Archive {
    type Config = Config;

    const FLUSHES: bool = true;
    const PROBES: bool = true;

    fn check(config: &Config) -> Result<(), Fail> {
        if config.dir.is_absolute() {
            return Ok(());
        }
        let shown = config.dir.display();
        Err(Fail::bad_config(
            "/dir",
            format_args!("`{shown}` is relative; write the whole path, such as /srv/alerts"),
        ))
    }

    fn create(config: Config, host: &Host) -> Result<Self, Fail> {
        let filing = Filing::open(&config.dir, config.documents).map_err(|e| explain(&config.dir, &e))?;
        let keeper = Keeper::start(&config, host).map_err(|e| Fail::retry(format_args!("no thread: {e}")))?;
        Ok(Self {
            config,
            filing,
            keeper,
        })
    }

    fn deliver(&mut self, alert: &Alert<'_>, _: &Call<'_>) -> Result<(), Fail> {
        let camera = alert.camera().unwrap_or_default();
        // When it happened may become known between two tries, and the place must not change.
        let place = Place::of(alert.received(), camera, alert.id());
        let attachments: Vec<_> = alert
            .frames()
            .iter()
            .map(|frame| Attachment {
                mime: frame.mime(),
                bytes: frame.bytes(),
            })
            .collect();
        let staged = self
            .filing
            .stage(&place, alert.id(), alert.json_text(), &attachments);
        staged.map_err(|e| explain(&self.config.dir, &e))
    }

    fn flush(&mut self, _: &Call<'_>) -> Result<(), Fail> {
        self.filing.commit().map_err(|e| explain(&self.config.dir, &e))?;
        if let Some(keeper) = &self.keeper {
            keeper.filed(self.filing.filed_bytes());
        }
        Ok(())
    }

    fn probe(&mut self, _: &Call<'_>) -> Result<(), Fail> {
        self.filing.probe().map_err(|e| explain(&self.config.dir, &e))
    }

    fn description() -> Description {
        let example = serde_json::json!({ "dir": "/var/lib/watchpost/archive", "keep_for": "30d", "max_size": "20GiB" });
        let needs = Needs {
            write: vec!["config.dir".to_owned()],
            ..Needs::default()
        };
        Description::default().example(example).needs(needs)
    }
}

/// Every failure here may pass: space is freed, the disk mounted again, the rights corrected. So each is
/// worth a retry, and says what to do.
fn explain(dir: &Path, error: &io::Error) -> Fail {
    let shown = dir.display();
    if Grant::Write.is_missing(dir, error) {
        return Fail::misconfigured("", Grant::Write.explain(dir, error));
    }
    Fail::retry(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!(
                "the disk that holds {shown} is full ({error}); free some space, or set keep_for or max_size"
            )
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("{shown} is on a read-only file system ({error}); mount it writable")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "the user that Watchpost runs as may not write below {shown} ({error}); change its permissions"
            )
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            format!("{shown} or something below it is a file where a directory is needed ({error})")
        }
        _ => format!("cannot file below {shown}: {error}"),
    })
}

export_sink!(Archive, id: "archive", name: "Archive", summary: "Files every alert as a picture and a JSON document.");

#[cfg(test)]
mod tests;
