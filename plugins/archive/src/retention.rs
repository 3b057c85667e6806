//! Which alerts have to go, and removing them. Knows no clock and no thread.
//!
//! The archive's own files are told from others by what they say: a document with a name of the archive's
//! pattern, in a directory `yyyy/mm/dd`, that names the archive as its author. With it go the pictures it lists.
//! Nothing else is ever touched; a directory goes only when it is empty.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::{Date, Month};

use crate::{document, name};

/// A document larger than this is none of the archive's.
const MAX_DOCUMENT_BYTES: u64 = 64 << 20;
/// How far below its limit the archive is brought: so not every new alert has to remove an old one.
const SLACK: u64 = 20;

/// What may stay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) keep_for: Option<Duration>,
    pub(crate) max_bytes: Option<u64>,
}

impl Limits {
    pub(crate) fn keep_everything(&self) -> bool {
        self.keep_for.is_none() && self.max_bytes.is_none()
    }
}

/// What a sweep has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Alerts removed.
    pub(crate) alerts: u64,
    /// Bytes they took.
    pub(crate) bytes: u64,
    /// Bytes of what stays.
    pub(crate) left: u64,
}

/// One alert's files in a day's directory.
#[derive(Debug, Default)]
struct Filed {
    bytes: u64,
}

/// Removes what has to go. `stop` is asked between alerts.
pub(crate) fn sweep(archive: &Path, limits: Limits, now_unix_ms: u64, stop: &dyn Fn() -> bool) -> Swept {
    let mut swept = Swept::default();
    let cutoff = limits
        .keep_for
        .map(|keep_for| now_unix_ms.saturating_sub(u64::try_from(keep_for.as_millis()).unwrap_or(u64::MAX)));
    // Oldest first, by day and by stem within it.
    let mut kept: Vec<(PathBuf, BTreeMap<String, Filed>)> = Vec::new();
    for (begins, dir) in days(archive) {
        let mut filed = list(&dir);
        filed.retain(|stem, alert| {
            let when = begins + name::ms_of_day(stem).unwrap_or(0);
            !(cutoff.is_some_and(|cutoff| when < cutoff) && !stop() && remove(&dir, stem, alert, &mut swept))
        });
        swept.left += filed.values().map(|alert| alert.bytes).sum::<u64>();
        tidy(archive, &dir);
        kept.push((dir, filed));
    }
    let Some(max_bytes) = limits.max_bytes.filter(|max_bytes| swept.left > *max_bytes) else {
        return swept;
    };
    let target = max_bytes - max_bytes / SLACK;
    for (dir, filed) in kept {
        for (stem, alert) in filed {
            if swept.left <= target || stop() {
                return swept;
            }
            // What turns out not to be ours does not count against us.
            remove(&dir, &stem, &alert, &mut swept);
            swept.left -= alert.bytes;
        }
        tidy(archive, &dir);
    }
    swept
}

/// The directories of days, oldest first, each with its beginning in milliseconds since 1970.
fn days(archive: &Path) -> Vec<(u64, PathBuf)> {
    let mut days = Vec::new();
    for (year, dir) in numbered(archive, 4) {
        for (month, dir) in numbered(&dir, 2) {
            for (day, dir) in numbered(&dir, 2) {
                if let Some(begins) = beginning(year, month, day) {
                    days.push((begins, dir));
                }
            }
        }
    }
    days.sort();
    days
}

fn beginning(year: u16, month: u16, day: u16) -> Option<u64> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(year.into(), month, u8::try_from(day).ok()?).ok()?;
    u64::try_from(date.midnight().assume_utc().unix_timestamp())
        .ok()
        .map(|seconds| seconds * 1000)
}

/// Directories whose names are numbers of this many digits. Links are not followed: what they lead to is not
/// the archive's.
fn numbered(dir: &Path, digits: usize) -> Vec<(u16, PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let numbered = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let number =
            (name.len() == digits && name.bytes().all(|byte| byte.is_ascii_digit())).then(|| name.parse())?;
        entry
            .file_type()
            .ok()?
            .is_dir()
            .then_some((number.ok()?, entry.path()))
    });
    numbered.collect()
}

/// The alerts of a day with their size, as far as names tell.
fn list(dir: &Path) -> BTreeMap<String, Filed> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: BTreeMap<String, u64> = BTreeMap::new();
    for entry in entries {
        let (Ok(name), Ok(about)) = (entry.file_name().into_string(), entry.metadata()) else {
            continue;
        };
        if about.is_file() {
            files.insert(name, about.len());
        }
    }
    let stems = files
        .keys()
        .filter_map(|name| name::stem_of_document(name))
        .map(str::to_owned);
    let size = |stem: String| {
        let own = files
            .range(stem.clone()..)
            .take_while(|(name, _)| name.starts_with(&stem));
        let bytes = own
            .filter(|(name, _)| name::belongs_to(name, &stem))
            .map(|(_, bytes)| bytes)
            .sum();
        (stem, Filed { bytes })
    };
    stems.map(size).collect()
}

/// Removes an alert's files if they are the archive's own. `false`: they are not, or cannot be removed.
fn remove(dir: &Path, stem: &str, alert: &Filed, swept: &mut Swept) -> bool {
    let path = dir.join(format!("{stem}.json"));
    let small =
        fs::symlink_metadata(&path).is_ok_and(|about| about.is_file() && about.len() <= MAX_DOCUMENT_BYTES);
    let Some(pictures) = small
        .then(|| fs::read(&path).ok())
        .flatten()
        .and_then(|text| document::pictures_of(&text))
    else {
        return false;
    };
    for picture in pictures.iter().filter(|picture| name::belongs_to(picture, stem)) {
        // Somebody may have taken it already.
        let _ = fs::remove_file(dir.join(picture));
    }
    // Last, for without it nobody knows whose the pictures are.
    let removed = fs::remove_file(&path).is_ok();
    if removed {
        swept.alerts += 1;
        swept.bytes += alert.bytes;
    }
    removed
}

/// Removes a day's directory, and its month's and year's, if they are empty.
fn tidy(archive: &Path, day: &Path) {
    for dir in day.ancestors().take_while(|dir| *dir != archive) {
        if fs::remove_dir(dir).is_err() {
            return;
        }
    }
}
