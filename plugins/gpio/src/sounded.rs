//! The alerts that have switched the siren on, kept in a file: what comes again after a crash or a power cut does not.
//!
//! A thread of its own writes the file, so that a disk that hangs never keeps the siren from being switched off.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

/// As many are remembered. What is older comes again only when it is too old to sound.
const MAX_REMEMBERED: usize = 256;

/// Ids of alerts, the newest last. Dropping it waits until all of them are on disk.
#[derive(Debug)]
pub(crate) struct SoundedLog {
    ids: VecDeque<String>,
    writer: Option<Sender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl SoundedLog {
    /// A file that cannot be read counts as empty: a siren that sounds once more is better than one that does not.
    /// `report` is called when the file cannot be written.
    pub(crate) fn load(state_dir: &Path, report: impl Fn(&io::Error) + Send + 'static) -> io::Result<Self> {
        let path = state_dir.join("sounded");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let (writer, texts) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("siren memory".to_owned())
            .spawn(move || write(&path, &texts, report))?;
        Ok(Self {
            ids: text.lines().map(str::to_owned).collect(),
            writer: Some(writer),
            thread: Some(thread),
        })
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.ids.iter().any(|known| known == id)
    }

    /// Remembers one, on disk too as soon as that can be.
    pub(crate) fn add(&mut self, id: &str) {
        self.ids.push_back(id.to_owned());
        while self.ids.len() > MAX_REMEMBERED {
            self.ids.pop_front();
        }
        if let Some(writer) = &self.writer {
            let text = self.ids.iter().flat_map(|id| [id, "\n"]).collect();
            // Fails only when the thread has panicked, which std has reported.
            let _ = writer.send(text);
        }
    }
}

impl Drop for SoundedLog {
    fn drop(&mut self) {
        self.writer = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(path: &Path, texts: &Receiver<String>, report: impl Fn(&io::Error)) {
    while let Ok(text) = texts.recv() {
        let newest = texts.try_iter().last().unwrap_or(text);
        if let Err(error) = replace(path, &newest) {
            report(&error);
        }
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    fs::rename(&new, path)
}
