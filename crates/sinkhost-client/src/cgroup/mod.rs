//! Cgroups: the kernel's way to limit and to end all processes of a child together, wherever they have gone.
//!
//! A service manager hands a part of the machine's tree over to a service (`Delegate=yes` of systemd). A cgroup with limits
//! for its children cannot have processes itself, so the hub moves into one of its own:
//!
//! ```text
//! watchpost.service
//! ├─ hub            the hub, with its weight
//! └─ sinks          the children together, with a lower one
//!    ├─ 4711-mail   a child and all that it starts, with its limits
//!    └─ 4712-siren
//! ```
//!
//! A child is moved into its cgroup before it is sent the name of its plugin, so that nothing foreign runs outside of it.
//! That takes no code between `fork` and `exec`, as `clone3` with a cgroup would, and what the child's own program has
//! taken up by then is little.
//!
//! Where nothing is handed over, or a controller is missing, each process of a child is limited by itself, memory is
//! measured, and processes are found by their mark.

mod claim;
mod group;
mod limits;
mod place;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claim::Claimed;
pub(crate) use group::Group;
use limits::Controller;
pub use limits::MAX_TASKS;

/// A file of a cgroup that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
struct Failed {
    path: PathBuf,
    source: io::Error,
}

/// By which cgroups this process can limit its children. Clones are the same.
#[derive(Clone, Debug)]
pub struct Cgroups(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What is there, or why nothing is.
    claimed: Result<Claimed, String>,
    /// Those of children of which a process did not die.
    left_behind: Mutex<Vec<PathBuf>>,
}

impl Cgroups {
    /// Looks what the service manager has handed to this process, and moves it into a cgroup of its own there. To be called
    /// once, before the first child starts.
    #[must_use]
    pub fn claim() -> Self {
        Self::new(claim::claim())
    }

    /// No cgroup, for this reason.
    #[must_use]
    pub fn none(why: &str) -> Self {
        Self::new(Err(why.to_owned()))
    }

    /// What no cgroup limits, each with the reason, to go behind "no cgroup limits".
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        match &self.0.claimed {
            Ok(claimed) => claimed.lacking.iter().map(ToString::to_string).collect(),
            Err(why) => vec![format!("what a sink's processes take up together ({why})")],
        }
    }

    /// Makes the cgroup of a child; `None` where there are none.
    pub(crate) fn group(
        &self,
        instance: &str,
        number: u32,
        memory: Option<u64>,
    ) -> Result<Option<Group>, String> {
        let Ok(claimed) = &self.0.claimed else {
            return Ok(None);
        };
        self.remove_left_behind();
        let path = claimed.children.join(limits::name(instance, number));
        Group::make(path, &claimed.controllers, memory, self.clone())
            .map(Some)
            .map_err(|error| error.to_string())
    }

    /// Why the memory or the number of all processes of a child together is limited by nothing, if that is so.
    pub(crate) fn unlimited(&self) -> Option<String> {
        let claimed = match &self.0.claimed {
            Ok(claimed) => claimed,
            Err(why) => return Some(why.clone()),
        };
        let needed = [Controller::Memory, Controller::Tasks];
        let lacking = claimed
            .lacking
            .iter()
            .filter(|lack| needed.contains(&lack.controller));
        let lacking: Vec<String> = lacking.map(ToString::to_string).collect();
        (!lacking.is_empty()).then(|| lacking.join("; "))
    }

    fn new(claimed: Result<Claimed, String>) -> Self {
        Self(Arc::new(Inner {
            claimed,
            left_behind: Mutex::default(),
        }))
    }

    /// Takes note of a cgroup that still has a process.
    fn leave_behind(&self, path: PathBuf) {
        self.left_behind().push(path);
    }

    fn remove_left_behind(&self) {
        self.left_behind().retain(|path| fs::remove_dir(path).is_err());
    }

    fn left_behind(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.0.left_behind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Result<String, Failed> {
    fs::read_to_string(path).map_err(|source| failed(path, source))
}

/// Writes to a file that the kernel has put there.
fn write(path: &Path, text: &str) -> Result<(), Failed> {
    let file = fs::OpenOptions::new().write(true).open(path);
    file.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()))
        .map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: io::Error) -> Failed {
    Failed {
        path: path.to_owned(),
        source,
    }
}
