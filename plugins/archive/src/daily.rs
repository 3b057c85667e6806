//! One file a day to which documents are appended, a line each (JSON Lines): one sync a batch instead of one a document.
//!
//! A line counts once it is synced. What a crash or a full disk left of a line is cut off before the next one is
//! written, and a document that is there already is not appended again.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The file's name in its day's directory.
pub(crate) const FILE_NAME: &str = "alerts.jsonl";

/// Days whose newest alert is remembered. One is written to at a time, two around midnight, more in a backlog.
const MAX_REMEMBERED: usize = 8;

/// How much is read at a time when the end of the last whole line is looked for.
const BLOCK: u64 = 4 << 10;

/// A document to be appended.
#[derive(Debug)]
struct Document {
    id: String,
    line: String,
}

/// The files of the days, as far as they are written to.
#[derive(Debug, Default)]
pub(crate) struct DailyFiles {
    /// What is not appended yet, by its day's directory.
    staged: BTreeMap<PathBuf, Vec<Document>>,
    /// The newest alert in a day's file. Ids grow, so a document with a greater one cannot be there yet.
    newest: BTreeMap<PathBuf, u64>,
}

impl DailyFiles {
    /// Has a document appended to its day's file with the next [`Self::commit`].
    pub(crate) fn stage(&mut self, day: PathBuf, id: &str, document: &str) {
        // A line break within JSON stands between two tokens, never in a string.
        let mut line = document.replace(['\n', '\r'], " ");
        line.push('\n');
        let id = id.to_owned();
        self.staged.entry(day).or_default().push(Document { id, line });
    }

    /// Days that something is staged for.
    pub(crate) fn days(&self) -> impl Iterator<Item = &Path> {
        self.staged.keys().map(PathBuf::as_path)
    }

    /// Forgets what is staged.
    pub(crate) fn discard(&mut self) {
        self.staged.clear();
    }

    /// Appends what is staged, durably, and returns how many bytes. The directories of the days are there; whether a file
    /// is new in its directory is durable only once that was synced.
    pub(crate) fn commit(&mut self) -> io::Result<u64> {
        let mut written = 0;
        for (day, documents) in std::mem::take(&mut self.staged) {
            written += self.append(&day, &documents)?;
        }
        Ok(written)
    }

    fn append(&mut self, day: &Path, documents: &[Document]) -> io::Result<u64> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(day.join(FILE_NAME))?;
        let whole = cut_to_whole_lines(&mut file)?;
        let mut newest = match self.newest.get(day) {
            Some(newest) if whole > 0 => *newest,
            _ => ids(&mut file)?
                .filter_map(|id| id.parse().ok())
                .max()
                .unwrap_or(0),
        };
        let mut lines = String::new();
        for document in documents {
            let number = document.id.parse().unwrap_or(0);
            if number > newest || !holds(&mut file, &document.id)? {
                lines.push_str(&document.line);
            }
            newest = newest.max(number);
        }
        let written = file.write_all(lines.as_bytes()).and_then(|()| file.sync_data());
        if let Err(e) = written {
            // What stands there of it would otherwise be whole lines that were never synced.
            let _ = file.set_len(whole);
            return Err(e);
        }
        self.newest.insert(day.to_owned(), newest);
        while self.newest.len() > MAX_REMEMBERED {
            self.newest.pop_first();
        }
        Ok(lines.len() as u64)
    }
}

/// Cuts off what follows the last line break, and returns what is left, in bytes.
fn cut_to_whole_lines(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        file.take(end - start).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(end)
}

/// Whether a file has this alert's document.
fn holds(file: &mut File, id: &str) -> io::Result<bool> {
    Ok(ids(file)?.any(|found| found == id))
}

/// The ids of the alerts in a day's file, in its order. Lines that are no documents are passed over.
pub(crate) fn ids(file: &mut File) -> io::Result<impl Iterator<Item = String>> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    Ok(std::iter::from_fn(move || {
        loop {
            line.clear();
            // A file that cannot be read to its end is found by whoever writes to it.
            if reader.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
                return None;
            }
            if let Some(id) = document_id(&line) {
                return Some(id);
            }
        }
    }))
}

/// The alerts in the file of a day, if there is one.
pub(crate) fn ids_of_day(day: &Path) -> io::Result<HashSet<String>> {
    match File::open(day.join(FILE_NAME)) {
        Ok(mut file) => Ok(ids(&mut file)?.collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(HashSet::new()),
        Err(e) => Err(e),
    }
}

/// The alert's id that a document holds, if it is one.
pub(crate) fn document_id(json: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Document {
        id: serde_json::Value,
    }
    let document: Document = serde_json::from_slice(json).ok()?;
    match document.id {
        serde_json::Value::String(id) => Some(id),
        serde_json::Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn append(files: &mut DailyFiles, day: &Path, ids: &[u64]) -> u64 {
        for id in ids {
            files.stage(day.to_owned(), &id.to_string(), &format!("{{\n\"id\":\"{id}\"}}"));
        }
        files.commit().unwrap()
    }

    fn found(day: &Path) -> Vec<String> {
        ids(&mut File::open(day.join(FILE_NAME)).unwrap())
            .unwrap()
            .collect()
    }

    #[test]
    fn each_document_is_one_line_and_there_once() {
        let day = TempDir::new().unwrap();
        let mut files = DailyFiles::default();
        append(&mut files, day.path(), &[5, 6]);
        assert_eq!(append(&mut files, day.path(), &[5, 6]), 0, "within one process");
        // An older one that was not there is appended, whatever else was.
        append(&mut DailyFiles::default(), day.path(), &[6, 4, 7]);
        assert_eq!(found(day.path()), ["5", "6", "4", "7"]);
        let text = fs::read_to_string(day.path().join(FILE_NAME)).unwrap();
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn half_a_line_is_cut_off_and_foreign_lines_stay() {
        let day = TempDir::new().unwrap();
        let path = day.path().join(FILE_NAME);
        let half = format!("{{\"id\":\"2\",\"text\":\"{}", "x".repeat(10_000));
        fs::write(&path, format!("# mine\n{{\"id\":\"1\"}}\n{half}")).unwrap();
        append(&mut DailyFiles::default(), day.path(), &[2]);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "# mine\n{\"id\":\"1\"}\n{ \"id\":\"2\"}\n");
        fs::write(&path, "no line break at all").unwrap();
        append(&mut DailyFiles::default(), day.path(), &[3]);
        assert_eq!(found(day.path()), ["3"]);
    }

    #[test]
    fn what_was_discarded_is_not_appended() {
        let day = TempDir::new().unwrap();
        let mut files = DailyFiles::default();
        files.stage(day.path().to_owned(), "1", "{\"id\":\"1\"}");
        files.discard();
        append(&mut files, day.path(), &[2]);
        assert_eq!(found(day.path()), ["2"]);
    }
}
