//! Where measurements take place: binaries, directories on a real disk, pictures made once, and how much time there is.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::firehose::{Load, Pace, WINDOW};
use crate::payload::PictureText;
use crate::{disk, stopwatch};

/// The directory within a scratch directory that an archive sink fills.
pub(crate) const ARCHIVE: &str = "archive";

/// One KB as pictures are measured here, in bytes.
const KB: usize = 1_000;

/// The pictures that may be in flight at once, in bytes of JPEG: below the hub's default intake buffer of 32 MiB, so
/// that it is never made to drop what it is then blamed for.
const WINDOW_BYTES: usize = 24 << 20;

/// How much time the measurements may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// How often each side of a comparison is measured.
    pub(crate) rounds: usize,
    /// How many alerts are archived in one run.
    pub(crate) archived: u64,
    /// How long a flood runs before it counts.
    pub(crate) warm_up: Duration,
    /// How long a flood counts.
    pub(crate) flood: Duration,
    /// How long an even load for latencies counts.
    pub(crate) paced: Duration,
    /// How long an even load for processor time counts.
    pub(crate) cpu: Duration,
    /// How often the start is measured.
    pub(crate) starts: usize,
    /// How many rows the full store has.
    pub(crate) rows: u64,
}

impl Effort {
    /// Under two minutes in all.
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        archived: 3_000,
        warm_up: Duration::from_millis(300),
        flood: Duration::from_millis(1_500),
        paced: Duration::from_secs(5),
        cpu: Duration::from_secs(8),
        starts: 5,
        rows: 100_000,
    };

    /// As long as the figures need to be steady on a noisy machine.
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        archived: 20_000,
        warm_up: Duration::from_secs(1),
        flood: Duration::from_secs(4),
        paced: Duration::from_secs(30),
        cpu: Duration::from_secs(30),
        starts: 15,
        rows: 1_000_000,
    };

    /// A flood whose window suits the picture.
    pub(crate) fn flood_of(&self, picture: &PictureText) -> Load {
        let window = (WINDOW_BYTES / picture.bytes).clamp(1, WINDOW);
        Load {
            pace: Pace::Flood,
            window,
            warm_up: self.warm_up,
            most: u64::MAX,
            measure: self.flood,
        }
    }

    /// An even load.
    pub(crate) fn paced_at(&self, per_second: f64, measure: Duration) -> Load {
        let warm_up = Duration::from_secs(1);
        Load {
            pace: Pace::PerSecond(per_second),
            window: WINDOW,
            warm_up,
            most: u64::MAX,
            measure,
        }
    }
}

/// An empty directory for one process. It is gone when this is dropped, but for an archive that was filled in it: that
/// stays until all measurements are over. For five minutes after a file was deleted ext4 looks at its old inode whenever
/// a file is made nearby, and the thousands of one run would so cost the next run a millisecond for each of its own.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: TempDir,
    attic: PathBuf,
}

impl Scratch {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(name) = self.path().file_name() {
            // There is no archive in most, and what cannot be kept is deleted.
            let _ = fs::rename(self.path().join(ARCHIVE), self.attic.join(name));
        }
    }
}

/// The place and its equipment.
#[derive(Debug)]
pub(crate) struct Lab {
    /// How much time there is.
    pub(crate) effort: Effort,
    dir: TempDir,
    bin_dir: PathBuf,
    pictures: HashMap<usize, Rc<PictureText>>,
}

impl Lab {
    /// Sets up below `dir`; the hub, its helper and its plugins are taken from `bin_dir`.
    pub(crate) fn new(dir: &Path, bin_dir: &Path, effort: Effort) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        disk::ensure_real(dir)?;
        let dir = tempfile::Builder::new().prefix("run-").tempdir_in(dir)?;
        disk::spread_directories(dir.path());
        fs::create_dir(dir.path().join("attic"))?;
        Ok(Self {
            effort,
            dir,
            bin_dir: bin_dir.to_owned(),
            pictures: HashMap::new(),
        })
    }

    /// The directory everything of this run is in.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// An empty directory of its own for one process. Earlier writes are settled first.
    pub(crate) fn scratch(&self) -> Result<Scratch> {
        disk::settle();
        Ok(Scratch {
            dir: tempfile::tempdir_in(self.dir.path())?,
            attic: self.attic(),
        })
    }

    fn attic(&self) -> PathBuf {
        self.dir.path().join("attic")
    }

    /// A program or plugin that was built for this run.
    pub(crate) fn built(&self, name: &str) -> Result<PathBuf> {
        let path = self.bin_dir.join(name);
        ensure!(
            path.exists(),
            "{} is missing: start the measurements with `cargo xtask bench`, which builds it",
            path.display()
        );
        Ok(path)
    }

    /// Where the plugins of the product are.
    pub(crate) fn plugin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// The stopwatch plugin.
    pub(crate) fn stopwatch(&self) -> Result<PathBuf> {
        stopwatch::build(self.dir.path())
    }

    /// A picture of so many KB.
    pub(crate) fn picture(&mut self, kb: usize) -> Result<Rc<PictureText>> {
        if let Some(picture) = self.pictures.get(&kb) {
            return Ok(Rc::clone(picture));
        }
        let picture = Rc::new(PictureText::of_size(kb * KB)?);
        self.pictures.insert(kb, Rc::clone(&picture));
        Ok(picture)
    }
}
