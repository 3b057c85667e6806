//! The pictures of the alert in flight, as files. Knows nothing of programs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use watchpost_sink::Frame;

/// What may follow the dot of a file's name, in bytes.
const MAX_ENDING_BYTES: usize = 8;

/// The directory of the pictures, which is empty between two alerts.
#[derive(Debug)]
pub(crate) struct Pictures {
    dir: PathBuf,
}

/// The files of one alert, removed with this.
#[derive(Debug)]
pub(crate) struct Files {
    paths: Vec<PathBuf>,
}

impl Pictures {
    /// Makes the directory, and removes what a run that was killed has left there.
    pub(crate) fn new(home: &Path) -> io::Result<Self> {
        let dir = home.join("pictures");
        if let Err(error) = fs::remove_dir_all(&dir)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    /// Writes the pictures. Not synced: they are needed for as long as the program runs.
    pub(crate) fn write(&self, frames: &[Frame<'_>]) -> io::Result<Files> {
        let mut files = Files { paths: Vec::new() };
        for (index, frame) in frames.iter().enumerate() {
            let path = self.dir.join(format!("{}.{}", index + 1, ending(frame.name())));
            files.paths.push(path.clone());
            fs::write(path, frame.bytes())?;
        }
        Ok(files)
    }
}

impl Files {
    /// Where they are.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for path in &self.paths {
            // The program may have moved it away.
            let _ = fs::remove_file(path);
        }
    }
}

/// What follows the last dot of the name, if that is harmless.
fn ending(name: &str) -> &str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let harmless = ending.chars().all(|c| c.is_ascii_alphanumeric());
    if !ending.is_empty() && ending.len() <= MAX_ENDING_BYTES && harmless {
        ending
    } else {
        "bin"
    }
}
