//! The disk of the hub's machine: the real store, in a directory in memory, that can be full, and from which the hub can be
//! torn at any point of a transaction. What was not synced then may be lost.
//!
//! That the store syncs what it says it has synced is proven elsewhere, with a real process on a disk that forgets.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::time::Instant;
use watchpost_core::{Alert, RoutingState, UnixMillis};
use watchpost_hub::Storage;
use watchpost_store::{
    Batch, Committed, OpenReport, OperatorAct, Performed, RetentionReport, RoutingStep, Store, StoreError,
    StorePolicy,
};

use crate::scenario::Point;

/// What waited for a full disk is written within this.
const WRITES_WITHIN: Duration = Duration::from_secs(60);

/// The disk. Clones are the same one.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<State>>);

struct State {
    place: TempDir,
    /// Number of the directory in use.
    number: u32,
    full_until: Instant,
    /// From when until when it was to be full.
    filled: Vec<(Instant, Instant)>,
    /// What is cut at the next commit, and whether what is not synced is lost.
    cut: Option<(Point, bool)>,
    /// How long each file was when it was last synced.
    synced: BTreeMap<PathBuf, u64>,
    /// Called when the process ends within a commit.
    die: Arc<dyn Fn() + Send + Sync>,
    died: Arc<Notify>,
}

impl Disk {
    /// An empty one. `die` cuts the hub off from everything.
    pub fn new(die: Arc<dyn Fn() + Send + Sync>) -> io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let builder = tempfile::Builder::new();
        let place = match memory.is_dir() {
            true => builder.tempdir_in(memory)?,
            false => builder.tempdir()?,
        };
        let disk = Self(Arc::new(Mutex::new(State {
            place,
            number: 0,
            full_until: Instant::now(),
            filled: Vec::new(),
            cut: None,
            synced: BTreeMap::new(),
            die,
            died: Arc::default(),
        })));
        fs::create_dir(disk.dir())?;
        Ok(disk)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory in use.
    pub fn dir(&self) -> PathBuf {
        let state = self.state();
        state.place.path().join(state.number.to_string())
    }

    pub fn fill_until(&self, at: Instant) {
        let mut state = self.state();
        state.full_until = at;
        state.filled.push((Instant::now(), at));
    }

    /// Whether it was full then, or just before.
    pub fn was_full(&self, at: Instant) -> bool {
        let state = self.state();
        let mut filled = state.filled.iter();
        filled.any(|(from, until)| *from <= at && at <= *until + WRITES_WITHIN)
    }

    pub fn is_full(&self) -> bool {
        self.state().full_until > Instant::now()
    }

    /// Has the hub's process end at the next commit.
    pub fn cut_at(&self, point: Point, loses_unsynced: bool) {
        self.state().cut = Some((point, loses_unsynced));
    }

    /// Nothing is cut at the next commit.
    pub fn forget_cut(&self) {
        self.state().cut = None;
    }

    /// Waits until that has happened.
    pub async fn died(&self) {
        let died = Arc::clone(&self.state().died);
        died.notified().await;
    }

    /// The directory as the next process finds it becomes the one in use. The one before stays until [`Self::tidy`].
    pub fn cut(&self, loses_unsynced: bool) -> io::Result<()> {
        let from = self.dir();
        let mut state = self.state();
        state.number += 1;
        state.cut = None;
        let to = state.place.path().join(state.number.to_string());
        copy(&from, &to, Path::new(""), loses_unsynced.then_some(&state.synced))
    }

    /// Removes the directories that are not in use.
    pub fn tidy(&self) -> io::Result<()> {
        let dir = self.dir();
        for entry in fs::read_dir(self.state().place.path())? {
            let path = entry?.path();
            if path != dir {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(())
    }

    /// The store in front of which this disk stands.
    pub fn storage(&self, store: Store) -> Box<dyn Storage> {
        self.note_synced();
        Box::new(Watched {
            store,
            disk: self.clone(),
        })
    }

    /// All files are synced as they are now.
    fn note_synced(&self) {
        let dir = self.dir();
        let mut synced = BTreeMap::new();
        for name in ["watchpost.db-wal", "watchpost.db"] {
            if let Ok(file) = fs::metadata(dir.join(name)) {
                synced.insert(PathBuf::from(name), file.len());
            }
        }
        for entry in fs::read_dir(dir.join("frames")).into_iter().flatten().flatten() {
            if let Ok(file) = entry.metadata() {
                synced.insert(Path::new("frames").join(entry.file_name()), file.len());
            }
        }
        self.state().synced = synced;
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.is_full() {
            true => Err(StoreError::Full {
                doing: "store alerts in",
                path: PathBuf::from("watchpost.db"),
            }),
            false => Ok(()),
        }
    }

    /// Whether the process is to end at this point. It has, when this returns true.
    fn ends(&self, at: Point) -> bool {
        let cut = self.state().cut;
        let Some((point, loses_unsynced)) = cut.filter(|(point, _)| *point == at) else {
            return false;
        };
        let (die, died) = {
            let mut state = self.state();
            state.cut = None;
            (Arc::clone(&state.die), Arc::clone(&state.died))
        };
        die();
        let copied = self.cut(loses_unsynced);
        assert!(copied.is_ok(), "cut {point:?}: {copied:?}");
        died.notify_one();
        true
    }
}

fn copy(from: &Path, to: &Path, relative: &Path, synced: Option<&BTreeMap<PathBuf, u64>>) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, relative) = (entry.file_name(), relative.join(entry.file_name()));
        let place = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &place, &relative, synced)?;
            continue;
        }
        // What SQLite and the lock keep there ends with the process.
        if name == "store.lock" || name == "watchpost.db-shm" {
            continue;
        }
        let watched = relative.starts_with("frames") || name == "watchpost.db-wal";
        let synced = synced.filter(|_| watched);
        match synced.map(|synced| synced.get(&relative)) {
            Some(None) => {}
            Some(Some(length)) => {
                fs::copy(entry.path(), &place)?;
                let file = fs::OpenOptions::new().write(true).open(&place)?;
                if file.metadata()?.len() > *length {
                    file.set_len(*length)?;
                }
            }
            None => drop(fs::copy(entry.path(), &place)?),
        }
    }
    Ok(())
}

/// The real store on this disk.
struct Watched {
    store: Store,
    disk: Disk,
}

impl Storage for Watched {
    fn commit(&mut self, batch: &Batch, step: RoutingStep<'_>) -> Result<Committed, StoreError> {
        self.disk.check()?;
        self.disk.ends(Point::Before);
        let disk = &self.disk;
        let watched = |state: &RoutingState, event: watchpost_core::RoutingEvent<'_>| {
            disk.ends(Point::Within);
            step(state, event)
        };
        let committed = self.store.commit(batch, &watched)?;
        self.disk.note_synced();
        self.disk.ends(Point::After);
        Ok(committed)
    }

    fn perform(
        &mut self,
        act: &OperatorAct,
        now: UnixMillis,
        step: RoutingStep<'_>,
    ) -> Result<Performed, StoreError> {
        self.disk.check()?;
        let performed = self.store.perform(act, now, step)?;
        self.disk.note_synced();
        Ok(performed)
    }

    fn knows(&self, alert: &Alert) -> Result<bool, StoreError> {
        self.store.knows(alert)
    }

    fn routing_state(&self) -> &RoutingState {
        self.store.routing_state()
    }

    fn retain(&mut self, now: UnixMillis) -> Result<RetentionReport, StoreError> {
        self.disk.check()?;
        let report = self.store.retain(now)?;
        self.disk.note_synced();
        Ok(report)
    }

    fn set_policy(&mut self, policy: StorePolicy) {
        self.store.set_policy(policy);
    }

    fn reopen(&mut self) -> Result<OpenReport, StoreError> {
        self.store.reopen()
    }

    fn recreate(&mut self, corruption: &StoreError) -> Result<OpenReport, StoreError> {
        self.store.recreate(corruption)
    }
}
