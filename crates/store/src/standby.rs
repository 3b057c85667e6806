//! A copy of what is armed and silenced, in a small file beside the database: what protects a site must not be lost with the
//! database that it is stored in. It is read only for a database that knows nothing of that.
//!
//! It is written after the commit that changes it, and before anyone hears of that. A hub that ends in between mends it at its
//! next start, as the database counts.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use tracing::{info, warn};
use watchpost_core::RoutingState;

use crate::paths::{StorePaths, sync_dir};

/// Largest file that is read and written, in bytes. All areas and silences that there may be take a part of that.
const MAX_BYTES: usize = 4 << 20;

/// What is known of the file.
#[derive(Debug, Default)]
pub(crate) struct Standby {
    /// The outline of what it holds, which is nothing where there is none.
    outline: RoutingState,
    /// It could not be written last time, which has been reported.
    failing: bool,
}

impl Standby {
    /// A file that holds this.
    pub(crate) fn holding(kept: &RoutingState) -> Self {
        Self {
            outline: kept.outline(),
            failing: false,
        }
    }

    /// Has the file hold what is armed and silenced in a state that is committed. That it cannot be written is no reason to
    /// fail, as the database has it. It is removed then: a site had better not know what was armed than be wrong about it.
    pub(crate) fn keep(&mut self, paths: &StorePaths, state: &RoutingState) {
        let outline = state.outline();
        if outline == self.outline {
            return;
        }
        let path = paths.standby();
        match write(paths, &state.to_keep()) {
            Ok(()) => {
                if self.failing {
                    info!("what is armed and silenced is kept in {} again", path.display());
                }
                (self.outline, self.failing) = (outline, false);
            }
            Err(why) => {
                for stale in [&path, &paths.standby_draft()] {
                    let _ = fs::remove_file(stale);
                }
                self.outline = RoutingState::default();
                if !std::mem::replace(&mut self.failing, true) {
                    warn!(
                        "what is armed and silenced is only in the database, as {} cannot be written: {why}",
                        path.display()
                    );
                }
            }
        }
    }
}

/// What the file holds; `None` where there is none.
pub(crate) fn read(paths: &StorePaths) -> io::Result<Option<RoutingState>> {
    let path = paths.standby();
    let size = match fs::metadata(&path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?.len(),
    };
    if size > MAX_BYTES as u64 {
        return Err(too_large());
    }
    Ok(Some(serde_json::from_slice(&fs::read(&path)?)?))
}

/// Replaces the file as a whole: it is on the disk before it has its name.
fn write(paths: &StorePaths, kept: &RoutingState) -> io::Result<()> {
    let (path, draft) = (paths.standby(), paths.standby_draft());
    let text = serde_json::to_vec(kept)?;
    if text.len() > MAX_BYTES {
        return Err(too_large());
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&draft, &path)?;
    sync_dir(&paths.dir).map_err(io::Error::other)
}

fn too_large() -> io::Error {
    io::Error::other(format!("it has more than {MAX_BYTES} bytes"))
}
