//! Writing files so that a name is either absent or stands for the whole file, and doing so in batches.
//!
//! Each file is written to a temporary name first. A commit waits for the data of all files of the batch, then
//! renames them in the order they were written, then waits for the directories. A crash at any point leaves
//! whole files under final names and stumps in [`Incoming`] only, which is emptied at the next start.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{Advice, fadvise};
use watchpost_sink::Fail;

use crate::name;

/// Files whose data is waited for at the same time: the file system then shares one commit among them.
const SYNC_THREADS: usize = 8;

/// Makes a directory whose parent exists.
pub(crate) fn make_directory(dir: &Path) -> Result<(), Fail> {
    match fs::create_dir(dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = dir.parent().unwrap_or(dir).display();
            Err(Fail::retry(format_args!(
                "{} cannot be made: there is no {parent}; is the disk mounted?",
                dir.display()
            )))
        }
        Err(error) => Err(explain(&error, "cannot make", dir)),
    }
}

/// The directory for files that are not complete: `{dir}/.watchpost-{instance}`.
#[derive(Debug)]
pub(crate) struct Incoming {
    dir: PathBuf,
    count: u64,
}

impl Incoming {
    /// Opens it, and clears away what an earlier run has left.
    pub(crate) fn open(archive: &Path, instance: &str) -> Result<Self, Fail> {
        let dir = archive.join(format!(".watchpost-{}", name::part(instance)));
        make_directory(&dir)?;
        let listing = fs::read_dir(&dir).map_err(|error| explain(&error, "cannot read", &dir))?;
        for entry in listing.flatten() {
            // What cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
        Ok(Self { dir, count: 0 })
    }

    fn next(&mut self) -> PathBuf {
        self.count += 1;
        self.dir.join(format!("{}.part", self.count))
    }
}

/// Files that are written and not yet committed.
#[derive(Debug)]
pub(crate) struct Batch {
    archive: PathBuf,
    incoming: Incoming,
    files: Vec<Pending>,
    /// Directories to be synced, those below before those above.
    touched: BTreeSet<PathBuf>,
    /// The day whose directories were made and synced by this process last.
    made: Option<PathBuf>,
}

#[derive(Debug)]
struct Pending {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl Batch {
    pub(crate) fn new(archive: PathBuf, incoming: Incoming) -> Self {
        Self {
            archive,
            incoming,
            files: Vec::new(),
            touched: BTreeSet::new(),
            made: None,
        }
    }

    /// Writes a file that will be `{archive}/{day}/{name}`. On an error the whole alert comes again, and what it
    /// had written before then counts as a part of that.
    pub(crate) fn write(&mut self, day: &Path, name: &str, bytes: &[u8]) -> Result<(), Fail> {
        self.prepare(day)?;
        let path = self.archive.join(day).join(name);
        let temporary = self.incoming.next();
        let written = File::create_new(&temporary).and_then(|mut file| file.write_all(bytes).map(|()| file));
        match written {
            Ok(file) => {
                // Starts writing to the disk now, and gives back memory that nobody will read again. A hint only.
                let _ = fadvise(&file, 0, None, Advice::DontNeed);
                self.files.push(Pending {
                    file,
                    temporary,
                    path,
                });
                Ok(())
            }
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                Err(explain(&error, "cannot write", &path))
            }
        }
    }

    /// Puts all files on the disk under their names. On an error none of the batch counts.
    pub(crate) fn commit(&mut self) -> Result<(), Fail> {
        let files = std::mem::take(&mut self.files);
        let committed = sync_all(&files).and_then(|()| self.publish(&files));
        if committed.is_err() {
            for pending in &files {
                // Those renamed already are whole files, and the next attempt replaces them.
                let _ = fs::remove_file(&pending.temporary);
            }
            self.made = None;
        }
        committed
    }

    /// Tries whether a file can be written.
    pub(crate) fn probe(&mut self) -> Result<(), Fail> {
        let path = self.incoming.next();
        let tried = File::create_new(&path)
            .and_then(|mut file| file.write_all(b"probe").and_then(|()| file.sync_all()));
        let _ = fs::remove_file(&path);
        tried.map_err(|error| explain(&error, "cannot write", &path))
    }

    fn publish(&mut self, files: &[Pending]) -> Result<(), Fail> {
        for Pending { temporary, path, .. } in files {
            let renamed = fs::rename(temporary, path).or_else(|error| {
                // Retention may have removed the empty directory of a day long past.
                if error.kind() != io::ErrorKind::NotFound {
                    return Err(error);
                }
                let dir = path.parent().unwrap_or(path);
                fs::create_dir_all(dir)?;
                self.touched.extend(within(&self.archive, dir));
                fs::rename(temporary, path)
            });
            renamed.map_err(|error| explain(&error, "cannot make", path))?;
        }
        for dir in std::mem::take(&mut self.touched).into_iter().rev() {
            let synced = File::open(&dir).and_then(|dir| dir.sync_all());
            synced.map_err(|error| explain(&error, "cannot sync", &dir))?;
        }
        Ok(())
    }

    /// Makes the directories of a day.
    fn prepare(&mut self, day: &Path) -> Result<(), Fail> {
        let dir = self.archive.join(day);
        if self.made.as_deref() != Some(day) {
            fs::create_dir_all(&dir).map_err(|error| explain(&error, "cannot make", &dir))?;
            // Who made them, and whether that was synced, is not known: so all are.
            self.touched.extend(within(&self.archive, &dir));
            self.made = Some(day.to_owned());
        }
        self.touched.insert(dir);
        Ok(())
    }
}

/// A directory and those above it, up to the archive's own and the one that this stands in.
fn within(archive: &Path, dir: &Path) -> Vec<PathBuf> {
    let top = archive.parent().unwrap_or(archive);
    dir.ancestors()
        .take_while(|dir| dir.starts_with(top))
        .map(Path::to_owned)
        .collect()
}

/// Waits until the data of all files is on the disk.
fn sync_all(files: &[Pending]) -> Result<(), Fail> {
    let sync = |files: &[Pending]| {
        files.iter().try_for_each(|pending| {
            pending
                .file
                .sync_data()
                .map_err(|error| explain(&error, "cannot write", &pending.path))
        })
    };
    let share = files.len().div_ceil(SYNC_THREADS).max(2);
    let (own, others) = files.split_at(share.min(files.len()));
    thread::scope(|scope| {
        let others: Vec<_> = others
            .chunks(share)
            .map(|files| scope.spawn(move || sync(files)))
            .collect();
        let own = sync(own);
        others.into_iter().fold(own, |result, other| {
            let other = other
                .join()
                .unwrap_or_else(|_| Err(Fail::fatal("a thread that syncs files panicked")));
            result.and(other)
        })
    })
}

/// What went wrong and what to do about it. All of it may be better later.
fn explain(error: &io::Error, what: &str, path: &Path) -> Fail {
    let cure = match error.kind() {
        io::ErrorKind::StorageFull => "; the disk is full: make room, or set `max_size` lower",
        io::ErrorKind::QuotaExceeded => "; the quota is used up: make room, or set `max_size` lower",
        io::ErrorKind::ReadOnlyFilesystem => {
            "; the file system is mounted read-only, perhaps after an error of the disk"
        }
        io::ErrorKind::PermissionDenied => "; the user that runs Watchpost must be allowed to write there",
        _ => "",
    };
    Fail::retry(format_args!("{what} {}: {error}{cure}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_disk_is_a_retry_with_its_cure() {
        for (errno, cure) in [
            (rustix::io::Errno::NOSPC, "the disk is full: make room"),
            (rustix::io::Errno::DQUOT, "the quota is used up"),
            (rustix::io::Errno::ROFS, "mounted read-only"),
            (rustix::io::Errno::ACCESS, "the user that runs Watchpost"),
        ] {
            let fail = explain(&errno.into(), "cannot write", Path::new("/a/b.jpg"));
            assert_eq!(fail.outcome(), watchpost_sink::Outcome::Retry);
            let text = fail.to_string();
            assert!(
                text.contains("cannot write /a/b.jpg: ") && text.contains(cure),
                "{text}"
            );
        }
    }
}
