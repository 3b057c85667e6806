//! Users without an entry in any file: an id of its own for each sink that wants one, as systemd's `DynamicUser=` has it
//! for services.
//!
//! An id is taken by locking a file that is named like it, in the directory in which systemd locks those that it takes: so
//! no service, no other sink and no other hub of this machine has it at the same time. It is locked until the sink's last
//! child is gone, and the kernel takes the lock back from a hub that is killed.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::ops::RangeInclusive;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use watchpost_config::Accounts;

/// The ids that systemd takes for this, and which no distribution gives to any user: see "Users, Groups, UIDs and GIDs on
/// systemd Systems". A container that maps 65,536 ids has them too.
const IDS: RangeInclusive<u32> = 61_184..=65_519;

/// Where they are locked, by systemd too.
const LOCKS: &str = "/run/systemd/dynamic-uid";

/// How often a lock is asked for whose file is removed meanwhile, by the one who had it.
const MAX_LOCK_TRIES: usize = 16;

/// Where ids are taken.
#[derive(Clone, Debug)]
pub(crate) struct DynamicUsers {
    locks: PathBuf,
}

/// An id that is taken, as long as this lives.
#[derive(Debug)]
pub(crate) struct DynamicUser {
    id: u32,
    /// Locked.
    file: File,
    path: PathBuf,
}

impl Default for DynamicUsers {
    fn default() -> Self {
        Self { locks: LOCKS.into() }
    }
}

impl DynamicUsers {
    /// Takes an id for the sink of this name: where it can be the one that `owner` says, which its files have already, and none
    /// that an account of the machine has. It blocks.
    ///
    /// # Errors
    /// When none is free, or they cannot be locked.
    pub(crate) fn take(
        &self,
        name: &str,
        owner: Option<u32>,
        accounts: &Accounts,
    ) -> Result<DynamicUser, String> {
        let no_lock = |error: io::Error| {
            let locks = self.locks.display();
            format!("cannot take a user id of its own, for which {locks} is needed: {error}")
        };
        let mut make = fs::DirBuilder::new();
        make.recursive(true)
            .mode(0o755)
            .create(&self.locks)
            .map_err(no_lock)?;
        let known: HashSet<u32> = accounts.ids().collect();
        for id in candidates(name, owner).filter(|id| !known.contains(id)) {
            let Some(mut user) = self.lock(id).map_err(no_lock)? else {
                continue;
            };
            // Only now: what is not locked may begin to be used. What a sink of a killed hub has left is found here.
            if !ids_of_processes().contains(&id) {
                // For who looks there, and for systemd, which gives such an id this name.
                writeln!(user.file, "watchpost-{name}").map_err(no_lock)?;
                return Ok(user);
            }
        }
        Err(format!(
            "all user ids from {} to {} are taken, of which one is wanted for `user = \"dynamic\"`; give it another `user`",
            IDS.start(),
            IDS.end()
        ))
    }

    /// Locks an id; `None` when it is locked.
    fn lock(&self, id: u32) -> io::Result<Option<DynamicUser>> {
        let path = self.locks.join(id.to_string());
        for _ in 0..MAX_LOCK_TRIES {
            let mut options = OpenOptions::new();
            let flags = (OFlags::NOFOLLOW | OFlags::NOCTTY).bits().cast_signed();
            options.write(true).create(true).truncate(false).mode(0o600);
            let file = options.custom_flags(flags).open(&path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            // One that was removed before it was locked is looked at by no one else.
            if file.metadata()?.nlink() > 0 {
                file.set_len(0)?;
                return Ok(Some(DynamicUser { id, file, path }));
            }
        }
        Ok(None)
    }
}

impl DynamicUser {
    /// The number, of the user and of its group.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }
}

impl Drop for DynamicUser {
    fn drop(&mut self) {
        // While it is still locked. What cannot be removed is a file that locks nothing.
        let _ = fs::remove_file(&self.path);
    }
}

/// The owner of a directory, if it can be the id of a dynamic user.
pub(crate) fn dynamic_owner(dir: &Path) -> Option<u32> {
    let owner = fs::symlink_metadata(dir).ok()?.uid();
    IDS.contains(&owner).then_some(owner)
}

/// All ids in the order in which they are tried: the one that the sink had, then from a place that depends on its name, so
/// that two sinks seldom ask for the same, and what one has left somewhere seldom is another's later.
fn candidates(name: &str, owner: Option<u32>) -> impl Iterator<Item = u32> {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let count = IDS.end() - IDS.start() + 1;
    let first = u32::try_from(hasher.finish() % u64::from(count)).unwrap_or(0);
    let in_turn = (0..count).map(move |step| IDS.start() + (first + step) % count);
    owner.into_iter().chain(in_turn)
}

/// The ids of users and groups that some process has in this moment.
fn ids_of_processes() -> HashSet<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbered = processes.filter(|entry| {
        let name = entry.file_name();
        name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
    });
    // One that has ended meanwhile has none.
    let statuses = numbered.filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok());
    statuses.flat_map(|status| ids_of(&status)).collect()
}

/// The ids of one process: see proc_pid_status(5). One that only waits to be reaped has no use for them.
fn ids_of(status: &str) -> Vec<u32> {
    if status.lines().any(|line| line.starts_with("State:\tZ")) {
        return Vec::new();
    }
    let fields = ["Uid:", "Gid:", "Groups:"];
    let lines = status.lines().filter_map(|line| {
        let ids = fields.iter().find_map(|field| line.strip_prefix(field))?;
        Some(ids.split_ascii_whitespace().filter_map(|id| id.parse().ok()))
    });
    lines.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts::read().unwrap()
    }

    fn users(dir: &Path) -> DynamicUsers {
        DynamicUsers {
            locks: dir.join("systemd/dynamic-uid"),
        }
    }

    #[test]
    fn no_two_have_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (users(dir.path()), users(dir.path()));
        let mail = one.take("mail", None, &accounts()).unwrap();
        assert!(IDS.contains(&mail.id()));
        let siren = one.take("siren", None, &accounts()).unwrap();
        assert_ne!(mail.id(), siren.id());
        // Of another hub, which would have the same if it could.
        let same = other.take("mail", Some(mail.id()), &accounts()).unwrap();
        assert!(![mail.id(), siren.id()].contains(&same.id()));
        let path = one.locks.join(mail.id().to_string());
        assert_eq!(fs::read_to_string(&path).unwrap(), "watchpost-mail\n");
        let id = mail.id();
        drop(mail);
        assert!(!path.exists());
        assert_eq!(
            one.take("mail", None, &accounts()).unwrap().id(),
            id,
            "it is free again"
        );
    }

    #[test]
    fn who_had_one_gets_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let users = users(dir.path());
        let had = *IDS.end();
        assert_eq!(users.take("mail", Some(had), &accounts()).unwrap().id(), had);
        // Left by a hub that was killed: the file is there and not locked.
        fs::write(users.locks.join(had.to_string()), "watchpost-a-longer-name\n").unwrap();
        let mail = users.take("mail", Some(had), &accounts()).unwrap();
        assert_eq!(mail.id(), had);
        assert_eq!(fs::read_to_string(&mail.path).unwrap(), "watchpost-mail\n");
    }

    #[test]
    fn a_link_in_place_of_a_lock_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let users = users(dir.path());
        fs::create_dir_all(&users.locks).unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "kept").unwrap();
        std::os::unix::fs::symlink(&victim, users.locks.join(IDS.end().to_string())).unwrap();
        assert!(users.take("mail", Some(*IDS.end()), &accounts()).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
    }

    #[test]
    fn every_id_is_tried_once_beginning_at_ones_own() {
        let all: Vec<u32> = candidates("mail", None).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        assert_eq!(all.len(), IDS.count());
        assert_ne!(candidates("siren", None).next(), Some(all[0]));
        assert_eq!(candidates("mail", Some(7)).next(), Some(7));
    }

    #[test]
    fn the_ids_of_a_process_are_those_that_its_status_names() {
        let status =
            "Name:\twatchpost\nUid:\t0\t61300\t0\t0\nGid:\t5\t5\t5\t5\nGroups:\t20 61301 \nVmPeak:\t99 kB\n";
        assert_eq!(ids_of(status), [0, 61_300, 0, 0, 5, 5, 5, 5, 20, 61_301]);
        assert!(ids_of(&format!("State:\tZ (zombie)\n{status}")).is_empty());
        assert!(ids_of_processes().contains(&rustix::process::geteuid().as_raw()));
    }
}
