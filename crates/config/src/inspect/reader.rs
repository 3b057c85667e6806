//! Who reads: the user of this process, and the user that the hub runs as.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A user, by what decides which files it can read.
pub(super) struct Reader {
    name: String,
    uid: u32,
    groups: Vec<u32>,
}

/// The user of this process, for people.
pub(super) fn this_user() -> String {
    name_of(rustix::process::geteuid().as_raw())
}

/// The user that the hub runs as, where this process may do everything and it may not: the owner of its data
/// directory.
pub(super) fn hub_user(data_dir: &Path) -> Option<Reader> {
    let owner = fs::metadata(data_dir).ok()?;
    (rustix::process::geteuid().is_root() && owner.uid() != 0).then(|| Reader::new(owner.uid(), owner.gid()))
}

impl Reader {
    fn new(uid: u32, gid: u32) -> Self {
        let name = name_of(uid);
        let group = fs::read_to_string("/etc/group").unwrap_or_default();
        let member_of = group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (gid, members) = (fields.nth(2)?, fields.next()?);
            members
                .split(',')
                .any(|member| member.trim() == name)
                .then(|| gid.parse().ok())?
        });
        let groups = std::iter::once(gid).chain(member_of).collect();
        Self { name, uid, groups }
    }

    /// Whether the modes of a file and of the folders around it let this user read it.
    pub(super) fn can_read(&self, path: &Path) -> bool {
        let may = |path: &Path, bits: u32| {
            fs::metadata(path).is_ok_and(|file| {
                let shift = if file.uid() == self.uid {
                    6
                } else if self.groups.contains(&file.gid()) {
                    3
                } else {
                    0
                };
                file.mode() >> shift & bits != 0
            })
        };
        may(path, 4)
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

/// The names of all users of this machine.
pub(super) fn users() -> Vec<String> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let names = passwd.lines().filter_map(|line| line.split(':').next());
    names.map(str::to_owned).collect()
}

/// Whether there is a user of this name.
pub(super) fn exists(user: &str) -> bool {
    users().iter().any(|name| name == user)
}

/// The name of a user, or its number.
fn name_of(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("user {uid}"))
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
