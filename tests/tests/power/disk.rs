//! A disk that forgets: what `shim.c` keeps of a directory, and what is left of it after a power cut. Of hubs and alerts it
//! knows nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use watchpost_testkit::workspace_root;

/// The least that a disk writes at once, in bytes.
const BLOCK_BYTES: usize = 4_096;

/// A directory whose unsynced writes can be lost.
pub(crate) struct Disk {
    dir: PathBuf,
    shadow: PathBuf,
    shim: PathBuf,
}

/// What is left of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsynced {
    /// Nothing.
    Lost,
    /// Some blocks of it, and some names.
    Torn,
}

impl Disk {
    /// Watches `dir`, with an image of it in `place`. What is in it now counts as synced.
    pub(crate) fn new(dir: &Path, place: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let shim = place.join("shim.so");
        let source = workspace_root().join("tests/tests/power/shim.c");
        let output = Command::new("cc")
            .args([
                "-O1",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-Wno-format-truncation",
                "-shared",
                "-fPIC",
                "-o",
            ])
            .args([&shim, &source])
            .output()
            .context("cc does not start; install a C compiler")?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let disk = Self {
            dir: dir.canonicalize()?,
            shadow: place.join("shadow"),
            shim,
        };
        disk.take_image()?;
        Ok(disk)
    }

    /// The environment that a process needs for its syncs to be seen.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.display().to_string();
        vec![
            ("LD_PRELOAD".to_owned(), text(&self.shim)),
            ("POWER_DIR".to_owned(), text(&self.dir)),
            ("POWER_SHADOW".to_owned(), text(&self.shadow)),
        ]
    }

    /// The process ends by itself after so many more steps, of which a sync has two: that it is on the disk, and that this is
    /// known. Until the next cut.
    pub(crate) fn light_fuse(&self, steps: usize) -> Result<()> {
        Ok(fs::write(self.shadow.join("fuse"), vec![b'.'; steps])?)
    }

    /// Cuts the power: the directory is as the disk has it. Nobody may have files of it open.
    pub(crate) fn cut(&self, unsynced: Unsynced, dice: &mut Rng) -> Result<()> {
        let left = self.dir.with_extension("left");
        fs::create_dir(&left)?;
        self.restore(Path::new(""), &left, unsynced, dice)?;
        fs::remove_dir_all(&self.dir)?;
        fs::rename(&left, &self.dir)?;
        fs::remove_dir_all(&self.shadow)?;
        self.take_image()
    }

    fn restore(&self, relative: &Path, to: &Path, unsynced: Unsynced, dice: &mut Rng) -> Result<()> {
        let live_dir = self.dir.join(relative);
        let mut names = self.synced_names(relative)?;
        if unsynced == Unsynced::Torn && dice.bool() {
            names.extend(live_names(&live_dir)?);
        }
        // Where a live file is found by its number, whatever it is called now.
        let live: BTreeMap<u64, PathBuf> = live_names(&live_dir)?
            .into_iter()
            .map(|(name, (inode, _))| (inode, live_dir.join(name)))
            .collect();
        for (name, (inode, is_dir)) in names {
            let place = to.join(&name);
            if is_dir {
                fs::create_dir(&place)?;
                self.restore(&relative.join(&name), &place, unsynced, dice)?;
                continue;
            }
            let synced = fs::read(self.shadow.join("i").join(inode.to_string())).unwrap_or_default();
            let content = match (unsynced, live.get(&inode)) {
                (Unsynced::Torn, Some(path)) => torn(synced, &fs::read(path)?, dice),
                _ => synced,
            };
            fs::write(&place, content)?;
        }
        Ok(())
    }

    /// Names by the last sync of the directory: the file's number and whether it is a directory.
    fn synced_names(&self, relative: &Path) -> Result<BTreeMap<String, (u64, bool)>> {
        let file = format!("%{}", relative.display().to_string().replace('/', "%"));
        let text = fs::read_to_string(self.shadow.join("d").join(file)).unwrap_or_default();
        let mut names = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.splitn(3, ' ');
            let (Some(inode), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            if name != "." && name != ".." {
                names.insert(name.to_owned(), (inode.parse()?, kind == "d"));
            }
        }
        Ok(names)
    }

    /// Everything there is counts as synced.
    fn take_image(&self) -> Result<()> {
        for kind in ["i", "d"] {
            fs::create_dir_all(self.shadow.join(kind))?;
        }
        self.image_of(Path::new(""))
    }

    fn image_of(&self, relative: &Path) -> Result<()> {
        let dir = self.dir.join(relative);
        let mut list = String::new();
        for (name, (inode, is_dir)) in live_names(&dir)? {
            let kind = if is_dir { 'd' } else { 'f' };
            list += &format!("{inode} {kind} {name}\n");
            if is_dir {
                self.image_of(&relative.join(&name))?;
            } else {
                fs::copy(dir.join(&name), self.shadow.join("i").join(inode.to_string()))?;
            }
        }
        let file = format!("%{}", relative.display().to_string().replace('/', "%"));
        Ok(fs::write(self.shadow.join("d").join(file), list)?)
    }
}

fn live_names(dir: &Path) -> Result<BTreeMap<String, (u64, bool)>> {
    let mut names = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_file() || kind.is_dir() {
            let name = entry
                .file_name()
                .into_string()
                .ok()
                .context("a name that is no text")?;
            names.insert(name, (entry.metadata()?.ino(), kind.is_dir()));
        }
    }
    Ok(names)
}

/// Of what differs, some blocks as they were synced and some as they were written last.
fn torn(mut synced: Vec<u8>, live: &[u8], dice: &mut Rng) -> Vec<u8> {
    if dice.bool() {
        synced.resize(live.len(), 0);
    }
    for (synced, live) in synced.chunks_mut(BLOCK_BYTES).zip(live.chunks(BLOCK_BYTES)) {
        if dice.bool() {
            let both = synced.len().min(live.len());
            synced[..both].copy_from_slice(&live[..both]);
        }
    }
    synced
}
