//! The alerts that have switched the siren on, kept in a file: what comes again after a crash or a power cut does not.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// As many are remembered. What is older comes again only when it is too old to sound.
const MAX_REMEMBERED: usize = 256;

/// Ids of alerts, the newest last.
#[derive(Debug)]
pub(crate) struct Remembered {
    path: PathBuf,
    ids: VecDeque<String>,
}

impl Remembered {
    /// A file that cannot be read counts as empty: a siren that sounds once more is better than one that does not.
    pub(crate) fn load(state_dir: &Path) -> Self {
        let path = state_dir.join("sounded");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let ids = text.lines().map(str::to_owned).collect();
        Self { path, ids }
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.ids.iter().any(|known| known == id)
    }

    /// Remembers one, on disk too when this returns.
    pub(crate) fn add(&mut self, id: &str) -> io::Result<()> {
        self.ids.push_back(id.to_owned());
        while self.ids.len() > MAX_REMEMBERED {
            self.ids.pop_front();
        }
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        for id in &self.ids {
            writeln!(file, "{id}")?;
        }
        file.sync_data()?;
        fs::rename(&new, &self.path)
    }
}
