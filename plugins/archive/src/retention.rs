//! Removes the oldest of what was filed, by age and by size, on a thread of its own so that no delivery waits.
//!
//! It removes only what the archive wrote: files in a day's directory, named as the archive names them, that
//! belong to a document which holds the very id in its name. Anything else belongs to others and stays, and so
//! does a directory that is not empty.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use time::{Date, OffsetDateTime};
use watchpost_sink::{Host, Level};

use crate::config::Config;
use crate::name::{date_of, id_of};

/// How often it looks when nothing hurries it.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// A share of `max_size` that may be filed before it looks again.
const SLACK_SHARE: u64 = 64;

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    filed: mpsc::Sender<u64>,
}

impl Keeper {
    /// Starts the thread; `None` if everything is kept for ever.
    pub(crate) fn start(config: &Config, host: &Host) -> io::Result<Option<Self>> {
        if config.keep_for.is_none() && config.max_size.is_none() {
            return Ok(None);
        }
        let (filed, news) = mpsc::channel();
        let (config, host) = (config.clone(), host.clone());
        thread::Builder::new()
            .name("retention".into())
            .spawn(move || run(&config, &host, &news))?;
        Ok(Some(Self { filed }))
    }

    /// Tells how much has been filed since the start, in bytes.
    pub(crate) fn filed(&self, bytes: u64) {
        // The thread outlives this sender.
        let _ = self.filed.send(bytes);
    }
}

fn run(config: &Config, host: &Host, news: &mpsc::Receiver<u64>) {
    let slack = config.max_size.map_or(u64::MAX, |size| size / SLACK_SHARE);
    let mut looked_at = 0;
    loop {
        match clean(config, SystemTime::now()) {
            Ok(0) => {}
            Ok(removed) => host.log(
                Level::Info,
                format_args!("removed {removed} old alerts from the archive"),
            ),
            Err(e) => host.log(
                Level::Warn,
                format_args!("retention of {}: {e}", config.dir.display()),
            ),
        }
        loop {
            match news.recv_timeout(LOOK_INTERVAL) {
                Ok(filed) if filed - looked_at > slack => {
                    looked_at = filed;
                    break;
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// The files of one alert.
#[derive(Debug, Default)]
struct Filed {
    files: Vec<PathBuf>,
    document: Option<PathBuf>,
    bytes: u64,
}

/// Looks once. Returns how many alerts were removed.
pub(crate) fn clean(config: &Config, now: SystemTime) -> io::Result<u64> {
    let mut days = days(&config.dir)?;
    let mut removed = 0;
    if let Some(limit) = config.keep_for.and_then(|age| now.checked_sub(age)) {
        let limit = OffsetDateTime::from(limit);
        for (_, path) in days.iter().take_while(|(date, _)| **date <= limit.date()) {
            removed += clean_day(path, |filed| filed.modified_before(limit))?;
        }
    }
    let Some(max_size) = config.max_size else {
        return Ok(removed);
    };
    let mut sizes = Vec::new();
    for path in days.values() {
        sizes.push(filed_in(path)?.values().map(|filed| filed.bytes).sum::<u64>());
    }
    let mut total: u64 = sizes.iter().sum();
    while total > max_size {
        let Some((_, path)) = days.pop_first() else { break };
        removed += clean_day(&path, |filed| {
            let remove = total > max_size;
            if remove {
                total = total.saturating_sub(filed.bytes);
            }
            remove
        })?;
    }
    Ok(removed)
}

/// Directories of days, oldest first.
fn days(dir: &Path) -> io::Result<BTreeMap<Date, PathBuf>> {
    let mut days = BTreeMap::new();
    for (year, path) in subdirectories(dir)? {
        for (month, path) in subdirectories(&path)? {
            for (day, path) in subdirectories(&path)? {
                if let Some(date) = date_of(&year, &month, &day) {
                    days.insert(date, path);
                }
            }
        }
    }
    Ok(days)
}

/// Directories whose names are numbers. Links are not followed: they lead out of the archive.
fn subdirectories(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.bytes().all(|b| b.is_ascii_digit()) && entry.file_type()?.is_dir() {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

/// What is filed in a day's directory, by the files' common name, oldest first.
fn filed_in(day: &Path) -> io::Result<BTreeMap<String, Filed>> {
    let mut filed: BTreeMap<String, Filed> = BTreeMap::new();
    for entry in fs::read_dir(day)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let Some(stem) = stem_of(&name).filter(|stem| id_of(stem).is_some()) else {
            continue;
        };
        let data = match entry.metadata() {
            Ok(data) if data.is_file() => data,
            Ok(_) => continue,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        let group = filed.entry(stem.to_owned()).or_default();
        group.bytes += data.len();
        if name.ends_with(".json") {
            group.document = Some(entry.path());
        } else {
            group.files.push(entry.path());
        }
    }
    Ok(filed)
}

/// `x` of `x.jpg`, `x.2.jpg` and `x.json`.
fn stem_of(name: &str) -> Option<&str> {
    let (stem, ending) = name.rsplit_once('.')?;
    if !matches!(ending, "json" | "jpg" | "png" | "webp" | "bin") {
        return None;
    }
    match stem.rsplit_once('.') {
        Some((shorter, number)) if number.len() == 1 && id_of(shorter).is_some() => Some(shorter),
        _ => Some(stem),
    }
}

/// Removes what `unwanted` says, oldest first, if it is ours; then the day's directory and those above it, as
/// far as they are empty.
fn clean_day(day: &Path, mut unwanted: impl FnMut(&Filed) -> bool) -> io::Result<u64> {
    let mut removed = 0;
    for (stem, filed) in filed_in(day)? {
        if !filed.is_ours(&stem) || !unwanted(&filed) {
            continue;
        }
        // The document last: while it is there, what belongs to it is still known to be ours.
        for path in filed.files.iter().chain(&filed.document) {
            fs::remove_file(path)?;
        }
        removed += 1;
    }
    for dir in day.ancestors().take(3) {
        if fs::remove_dir(dir).is_err() {
            break;
        }
    }
    Ok(removed)
}

impl Filed {
    /// Whether the document says that it is the one that its name says.
    fn is_ours(&self, stem: &str) -> bool {
        #[derive(Deserialize)]
        struct Document {
            id: serde_json::Value,
        }
        let text = self.document.as_ref().and_then(|path| fs::read(path).ok());
        let document: Option<Document> = text.and_then(|text| serde_json::from_slice(&text).ok());
        document.is_some_and(|document| match document.id {
            serde_json::Value::String(id) => Some(id.as_str()) == id_of(stem),
            serde_json::Value::Number(id) => Some(id.to_string().as_str()) == id_of(stem),
            _ => false,
        })
    }

    fn modified_before(&self, limit: OffsetDateTime) -> bool {
        let modified = self
            .document
            .as_ref()
            .and_then(|path| fs::metadata(path).ok()?.modified().ok());
        modified.is_some_and(|modified| OffsetDateTime::from(modified) < limit)
    }
}
