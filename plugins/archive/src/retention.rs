//! Removes the oldest of what was filed, by age and by size, on a thread of its own so that no delivery waits.
//!
//! It removes only what the archive wrote: files in a day's directory, named as the archive names them, that
//! belong to a document which holds the very id in its name, and the file that documents of a day are appended to.
//! Anything else belongs to others and stays, and so does a directory that is not empty.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use time::{Date, OffsetDateTime};
use watchpost_sink::{Host, Level};

use crate::config::Config;
use crate::daily::{FILE_NAME, document_id, ids_of_day};
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
                format_args!("removed {removed} old entries from the archive"),
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

/// What is filed in the directory of one day.
#[derive(Debug, Default)]
struct Day {
    /// By the files' common name, oldest first.
    alerts: BTreeMap<String, Filed>,
    /// The file that documents were appended to, if there is one.
    daily: Option<DailyFile>,
}

/// A file with the documents of a day.
#[derive(Debug)]
struct DailyFile {
    path: PathBuf,
    bytes: u64,
    /// When the last document was appended.
    modified: SystemTime,
}

/// The files of one alert.
#[derive(Debug)]
struct Filed {
    files: Vec<PathBuf>,
    /// Its own document; there is none where documents are appended to a file of the day.
    document: Option<PathBuf>,
    bytes: u64,
    /// When the last of its files was written.
    modified: SystemTime,
}

/// Looks once. Returns how many entries were removed: the files of an alert, or the documents of a day.
pub(crate) fn clean(config: &Config, now: SystemTime) -> io::Result<u64> {
    let mut days = days(&config.dir)?;
    let mut removed = 0;
    if let Some(limit) = config.keep_for.and_then(|age| now.checked_sub(age)) {
        let last = OffsetDateTime::from(limit).date();
        for (_, path) in days.iter().take_while(|(date, _)| **date <= last) {
            removed += clean_day(path, |entry| entry.modified() < limit)?;
        }
    }
    let Some(max_size) = config.max_size else {
        return Ok(removed);
    };
    let mut total: u64 = 0;
    for path in days.values() {
        total += Day::read(path)?.bytes();
    }
    while total > max_size {
        let Some((_, path)) = days.pop_first() else { break };
        // The newest day's documents may be being appended to.
        let is_newest = days.is_empty();
        removed += clean_day(&path, |entry| {
            let in_use = is_newest && matches!(entry, Entry::Documents(_));
            let remove = total > max_size && !in_use;
            if remove {
                total = total.saturating_sub(entry.bytes());
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
fn clean_day(day: &Path, mut unwanted: impl FnMut(&Entry<'_>) -> bool) -> io::Result<u64> {
    let mut removed = 0;
    let Day { alerts, daily } = Day::read(day)?;
    let documents = match &daily {
        Some(_) => ids_of_day(day)?,
        None => HashSet::new(),
    };
    for (stem, filed) in &alerts {
        if !filed.is_ours(stem, &documents) || !unwanted(&Entry::Alert(filed)) {
            continue;
        }
        // The document last: while it is there, what belongs to it is still known to be ours.
        for path in filed.files.iter().chain(&filed.document) {
            fs::remove_file(path)?;
        }
        removed += 1;
    }
    if let Some(daily) = daily
        && unwanted(&Entry::Documents(&daily))
    {
        fs::remove_file(&daily.path)?;
        removed += 1;
    }
    for dir in day.ancestors().take(3) {
        if fs::remove_dir(dir).is_err() {
            break;
        }
    }
    Ok(removed)
}

/// What is removed at once.
enum Entry<'a> {
    /// An alert's files.
    Alert(&'a Filed),
    /// The documents of a day.
    Documents(&'a DailyFile),
}

impl Entry<'_> {
    fn bytes(&self) -> u64 {
        match self {
            Self::Alert(filed) => filed.bytes,
            Self::Documents(daily) => daily.bytes,
        }
    }

    fn modified(&self) -> SystemTime {
        match self {
            Self::Alert(filed) => filed.modified,
            Self::Documents(daily) => daily.modified,
        }
    }
}

impl Day {
    fn read(day: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        for entry in fs::read_dir(day)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let data = match entry.metadata() {
                Ok(data) if data.is_file() => data,
                Ok(_) => continue,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            let (bytes, modified) = (data.len(), data.modified()?);
            if name == FILE_NAME {
                let path = entry.path();
                found.daily = Some(DailyFile {
                    path,
                    bytes,
                    modified,
                });
                continue;
            }
            let Some(stem) = stem_of(&name).filter(|stem| id_of(stem).is_some()) else {
                continue;
            };
            let filed = found.alerts.entry(stem.to_owned()).or_insert_with(|| Filed {
                files: Vec::new(),
                document: None,
                bytes: 0,
                modified,
            });
            filed.bytes += bytes;
            filed.modified = filed.modified.max(modified);
            if name.ends_with(".json") {
                filed.document = Some(entry.path());
            } else {
                filed.files.push(entry.path());
            }
        }
        Ok(found)
    }

    fn bytes(&self) -> u64 {
        let of_alerts: u64 = self.alerts.values().map(|filed| filed.bytes).sum();
        of_alerts + self.daily.as_ref().map_or(0, |daily| daily.bytes)
    }
}

impl Filed {
    /// Whether there is a document of the alert that the name says: its own, or one among those of the day.
    fn is_ours(&self, stem: &str, of_day: &HashSet<String>) -> bool {
        let Some(id) = id_of(stem) else { return false };
        match &self.document {
            Some(path) => {
                let held = fs::read(path).ok().and_then(|text| document_id(&text));
                held.as_deref() == Some(id)
            }
            None => of_day.contains(id),
        }
    }
}
