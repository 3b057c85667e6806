//! Who reads: the user of this process, and the user that the hub runs as.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::accounts::Accounts;
use crate::settings::SinkUser;

/// Owner of nothing: the kernel has no such user.
const NO_OWNER: u32 = u32::MAX;

/// A user, by what decides which files it can read.
pub(super) struct Reader {
    name: String,
    uid: u32,
    groups: Vec<u32>,
}

/// The user of this process, for people.
pub(super) fn this_user() -> String {
    name_of(&accounts(), rustix::process::geteuid().as_raw())
}

/// The user that the hub runs as, where this process may do everything and it may not: the owner of its data
/// directory.
pub(super) fn hub_user(data_dir: &Path) -> Option<Reader> {
    let owner = fs::metadata(data_dir).ok()?;
    let may_everything = rustix::process::geteuid().is_root();
    (may_everything && owner.uid() != 0).then(|| Reader::new(&accounts(), owner.uid(), owner.gid()))
}

/// The first folder on the way into the hub's own that is closed to this user. The hub opens its own, unless that is open in
/// part.
pub(super) fn closed_to(reader: &Reader, data_dir: &Path) -> Option<PathBuf> {
    let mode = fs::metadata(data_dir).map(|about| about.mode());
    let opens_itself = mode.is_ok_and(|mode| mode & 0o077 == 0);
    let there = data_dir.ancestors().skip(usize::from(opens_itself));
    let mut there: Vec<&Path> = there.filter(|folder| folder.is_dir()).collect();
    there.reverse();
    let closed = there.into_iter().find(|folder| !reader.may(folder, 1));
    closed.map(Path::to_owned)
}

impl Reader {
    fn new(accounts: &Accounts, uid: u32, gid: u32) -> Self {
        let name = name_of(accounts, uid);
        let groups = std::iter::once(gid).chain(accounts.groups_of(&name)).collect();
        Self { name, uid, groups }
    }

    /// Whom a sink runs as that has this `user`, in these groups too.
    pub(super) fn of_sink(accounts: &Accounts, user: &SinkUser, groups: Vec<u32>) -> Option<Self> {
        let SinkUser::Named(user) = user else {
            let (name, uid) = ("a user of its own".to_owned(), NO_OWNER);
            return Some(Self { name, uid, groups });
        };
        let ids = accounts.user(user).map(|user| (user.uid, user.gid));
        let (uid, gid) = ids.or_else(|| user.parse().ok().map(|id| (id, id)))?;
        let mut reader = Self::new(accounts, uid, gid);
        reader.groups.extend(groups);
        Some(reader)
    }

    /// Whether the modes of a file and of the folders around it let this user read it.
    pub(super) fn can_read(&self, path: &Path) -> bool {
        self.may(path, 4)
    }

    /// The same for these bits of its mode. All is allowed to root.
    pub(super) fn may(&self, path: &Path, bits: u32) -> bool {
        let may = |path: &Path, bits: u32| {
            fs::metadata(path).is_ok_and(|file| {
                let shift = if file.uid() == self.uid {
                    6
                } else if self.groups.contains(&file.gid()) {
                    3
                } else {
                    0
                };
                file.mode() >> shift & bits == bits
            })
        };
        may(path, bits)
            && path
                .ancestors()
                .skip(1)
                .filter(|folder| folder.is_absolute())
                .all(|folder| may(folder, 1))
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Those of this machine. Where they cannot be read there are none to go by.
pub(super) fn accounts() -> Accounts {
    Accounts::read().unwrap_or_default()
}

/// The name of a user, or its number.
fn name_of(accounts: &Accounts, uid: u32) -> String {
    let user = accounts.user_of(uid);
    user.map_or_else(|| format!("user {uid}"), |user| user.name.clone())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn modes_decide() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let file = dir.path().join("secret");
        fs::write(&file, "x").unwrap();
        let own = fs::metadata(&file).unwrap();
        let reader = |uid: u32, groups: Vec<u32>| Reader {
            name: "x".to_owned(),
            uid,
            groups,
        };
        for (mode, owner, member, other) in [
            (0o600, true, false, false),
            (0o640, true, true, false),
            (0o044, false, true, true),
        ] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(reader(own.uid(), vec![]).can_read(&file), owner, "{mode:o}");
            assert_eq!(
                reader(4_000_000, vec![own.gid()]).can_read(&file),
                member,
                "{mode:o}"
            );
            assert_eq!(reader(4_000_000, vec![]).can_read(&file), other, "{mode:o}");
        }
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!reader(4_000_000, vec![]).can_read(&file));
    }
}
