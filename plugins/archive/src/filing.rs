//! Puts files into the archive so that a file under its final name is complete, whatever happens.
//!
//! Each file is first written to the directory `.incoming`. A commit syncs all of them, renames them to their
//! places and syncs the directories they are in. Their writing is begun for all before the first is waited for, and
//! several are waited for at a time, so that the file system writes its journal once for many.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{Advice, fadvise};

use crate::config::Documents;
use crate::daily::DailyFiles;
use crate::name::Place;

/// Where files grow until they are complete. The dot keeps it out of listings.
const INCOMING: &str = ".incoming";

/// Files that are synced at a time: each wait is mostly for the disk, which serves several waits with one flush.
const SYNCS_AT_A_TIME: usize = 8;

/// Files that are worth a thread to sync them.
const LEAST_SHARE: usize = 4;

/// What goes into one file beside the document.
pub(crate) struct Attachment<'a> {
    /// Media type, which decides the ending.
    pub(crate) mime: &'a str,
    pub(crate) bytes: &'a [u8],
}

/// The archive's directory, and the files on their way into it.
#[derive(Debug)]
pub(crate) struct Filing {
    dir: PathBuf,
    incoming: PathBuf,
    staged: Vec<Staged>,
    /// Where documents are appended to; `None` where each is a file.
    daily: Option<DailyFiles>,
    /// Directories made since the last commit, whose parents must be synced.
    made: BTreeSet<PathBuf>,
    /// Bytes put into place since the beginning.
    filed_bytes: u64,
}

/// A file that is written and not yet in its place.
#[derive(Debug)]
struct Staged {
    file: File,
    bytes: u64,
    from: PathBuf,
    to: PathBuf,
}

impl Filing {
    /// Opens the archive in `dir`, and removes what an interrupted run left in `.incoming`: it was never filed,
    /// and comes again.
    pub(crate) fn open(dir: &Path, documents: Documents) -> io::Result<Self> {
        let incoming = dir.join(INCOMING);
        fs::create_dir_all(&incoming)?;
        for entry in fs::read_dir(&incoming)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "part") {
                fs::remove_file(path)?;
            }
        }
        sync_dir(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            incoming,
            staged: Vec::new(),
            daily: matches!(documents, Documents::Daily).then(DailyFiles::default),
            made: BTreeSet::new(),
            filed_bytes: 0,
        })
    }

    /// Writes the files of one alert: attachments first and the document last, so that a document in its place
    /// vouches for what belongs to it.
    pub(crate) fn stage(
        &mut self,
        place: &Place,
        id: &str,
        document: &str,
        attachments: &[Attachment<'_>],
    ) -> io::Result<()> {
        let before = self.staged.len();
        let outcome = self.stage_all(place, id, document, attachments);
        if outcome.is_err() {
            for half in self.staged.drain(before..) {
                let _ = fs::remove_file(half.from);
            }
        }
        outcome
    }

    fn stage_all(
        &mut self,
        place: &Place,
        id: &str,
        document: &str,
        attachments: &[Attachment<'_>],
    ) -> io::Result<()> {
        for (number, attachment) in attachments.iter().enumerate() {
            let ending = ending(attachment.mime);
            let name = match number {
                0 => format!("{}.{ending}", place.stem),
                _ => format!("{}.{}.{ending}", place.stem, number + 1),
            };
            self.write(place, &name, &[attachment.bytes])?;
        }
        if let Some(daily) = &mut self.daily {
            daily.stage(self.dir.join(&place.day), id, document);
            return Ok(());
        }
        self.write(
            place,
            &format!("{}.json", place.stem),
            &[document.as_bytes(), b"\n"],
        )
    }

    fn write(&mut self, place: &Place, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let from = self.incoming.join(format!("{name}.part"));
        let mut file = File::create(&from)?;
        let mut staged = Staged {
            file: file.try_clone()?,
            bytes: 0,
            from,
            to: self.dir.join(&place.day).join(name),
        };
        for part in parts {
            if let Err(e) = file.write_all(part) {
                let _ = fs::remove_file(&staged.from);
                return Err(e);
            }
            staged.bytes += part.len() as u64;
        }
        self.staged.push(staged);
        Ok(())
    }

    /// Puts everything staged into its place, durably. After an error nothing stays staged: what is in its
    /// place already is complete, and the rest is removed.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        let staged = std::mem::take(&mut self.staged);
        let outcome = self.put_in_place(&staged);
        if outcome.is_err() {
            for file in &staged {
                let _ = fs::remove_file(&file.from);
            }
            self.daily.iter_mut().for_each(DailyFiles::discard);
        }
        outcome
    }

    fn put_in_place(&mut self, staged: &[Staged]) -> io::Result<()> {
        for file in staged {
            // Asks the kernel to begin writing all of them, so that the first sync writes the journal for all. It is a
            // hint: failing costs time only.
            let _ = fadvise(&file.file, 0, None, Advice::DontNeed);
        }
        sync_files(staged)?;
        let of_files = staged.iter().map(|file| file.to.parent().unwrap_or(&self.dir));
        let of_documents = self.daily.iter().flat_map(DailyFiles::days);
        let days: BTreeSet<_> = of_files.chain(of_documents).map(Path::to_owned).collect();
        for day in &days {
            make_dirs(&self.dir, day, &mut self.made)?;
        }
        for file in staged {
            fs::rename(&file.from, &file.to)?;
            self.filed_bytes += file.bytes;
        }
        // After the pictures: a document in its place vouches for what belongs to it.
        if let Some(daily) = &mut self.daily {
            self.filed_bytes += daily.commit()?;
        }
        for dir in days.iter().chain(&self.made) {
            sync_dir(dir)?;
        }
        self.made.clear();
        Ok(())
    }

    /// Whether a file can be made and synced here.
    pub(crate) fn probe(&self) -> io::Result<()> {
        let path = self.incoming.join("probe.part");
        let outcome = File::create(&path).and_then(|mut file| {
            file.write_all(b"probe")?;
            file.sync_all()
        });
        fs::remove_file(&path)?;
        outcome
    }

    /// Bytes put into place since the beginning.
    pub(crate) fn filed_bytes(&self) -> u64 {
        self.filed_bytes
    }
}

/// Makes `dir` and what lies between it and `root`, and notes the parents of what was made.
fn make_dirs(root: &Path, dir: &Path, parents: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let parent = dir.parent().unwrap_or(root);
    match fs::create_dir(dir) {
        Ok(()) => {
            parents.insert(parent.to_owned());
            Ok(())
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound && dir != root => {
            make_dirs(root, parent, parents)?;
            make_dirs(root, dir, parents)
        }
        Err(e) => Err(e),
    }
}

/// Syncs the files, several at a time. Where no thread can be made the calling one does its share.
fn sync_files(staged: &[Staged]) -> io::Result<()> {
    let sync = |share: &[Staged]| share.iter().try_for_each(|file| file.file.sync_data());
    let share = staged.len().div_ceil(SYNCS_AT_A_TIME).max(LEAST_SHARE);
    let (own, rest) = staged.split_at(share.min(staged.len()));
    thread::scope(|scope| {
        let (mut waiting, mut left) = (Vec::new(), Vec::new());
        for share in rest.chunks(share) {
            match thread::Builder::new().spawn_scoped(scope, move || sync(share)) {
                Ok(thread) => waiting.push(thread),
                Err(_) => left.push(share),
            }
        }
        let here = std::iter::once(own).chain(left).try_for_each(sync);
        let there = waiting
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        there.fold(here, io::Result::and)
    })
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn ending(mime: &str) -> &'static str {
    match mime {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        _ => "bin",
    }
}
