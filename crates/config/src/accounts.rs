//! The users and groups of this machine, as `/etc/passwd` and `/etc/group` have them: see passwd(5) and group(5). Those of a
//! directory service are not known here; their numbers can be given.

use std::fs;

/// All that have an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: Vec<Account>,
    groups: Vec<Group>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What people call it.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// The number of its first group.
    pub gid: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl Accounts {
    /// Those of this machine. It blocks.
    ///
    /// # Errors
    /// When one of the files cannot be read: which, and why.
    pub fn read() -> Result<Self, String> {
        let read =
            |path: &str| fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"));
        Ok(Self::parse(&read("/etc/passwd")?, &read("/etc/group")?))
    }

    /// Those in files of this content. Lines that cannot be read are left out, as the C library does.
    #[must_use]
    pub fn parse(passwd: &str, group: &str) -> Self {
        Self {
            users: passwd.lines().filter_map(user).collect(),
            groups: group.lines().filter_map(a_group).collect(),
        }
    }

    /// The user of this name or number.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&Account> {
        let by_name = self.users.iter().find(|user| user.name == name);
        by_name.or_else(|| self.user_of(name.parse().ok()?))
    }

    /// The user of this number.
    #[must_use]
    pub fn user_of(&self, uid: u32) -> Option<&Account> {
        self.users.iter().find(|user| user.uid == uid)
    }

    /// The number of the group of this name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<u32> {
        let group = self.groups.iter().find(|group| group.name == name);
        group.map(|group| group.gid)
    }

    /// The groups that this user is in besides its first.
    pub fn groups_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = u32> + 'a {
        let is_in = move |group: &&Group| group.members.iter().any(|member| member == user);
        self.groups.iter().filter(is_in).map(|group| group.gid)
    }

    /// The names of all users.
    pub fn user_names(&self) -> impl Iterator<Item = &str> {
        self.users.iter().map(|user| user.name.as_str())
    }

    /// The names of all groups.
    pub fn group_names(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }

    /// The numbers of all users and groups.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        let users = self.users.iter().map(|user| user.uid);
        users.chain(self.groups.iter().map(|group| group.gid))
    }
}

fn user(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    Some(Account {
        name: fields.next()?.to_owned(),
        uid: fields.nth(1)?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
    })
}

fn a_group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    Some(Group {
        name: fields.next()?.to_owned(),
        gid: fields.nth(1)?.parse().ok()?,
        members: fields
            .next()
            .unwrap_or_default()
            .split(',')
            .map(|member| member.trim().to_owned())
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\n# x\n+::::::\nsiren:x:990:980::/:/bin/false\n7:x:8:9::/:\n";
    const GROUP: &str = "root:x:0:\ngpio:x:997:pi, siren\ndialout:x:20:siren\nsirens:x:5:sirena\nshort:x:6\n";

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let accounts = Accounts::parse(PASSWD, GROUP);
        let siren = accounts.user("siren").unwrap();
        assert_eq!((siren.uid, siren.gid), (990, 980));
        assert_eq!(accounts.user("990"), Some(siren));
        assert_eq!(accounts.user_of(990), Some(siren));
        assert_eq!(accounts.user("7").unwrap().uid, 8, "a name comes before a number");
        for unknown in ["nobody", "4000", "", "+"] {
            assert_eq!(accounts.user(unknown), None, "{unknown}");
        }
        assert_eq!(
            accounts.user_names().collect::<Vec<_>>(),
            ["root", "siren", "7"],
            "what is no user is left out"
        );
    }

    #[test]
    fn groups_are_found_by_name_and_by_member() {
        let accounts = Accounts::parse(PASSWD, GROUP);
        assert_eq!(accounts.groups_of("siren").collect::<Vec<_>>(), [997, 20]);
        assert_eq!(accounts.groups_of("root").count(), 0);
        assert_eq!(accounts.group("dialout"), Some(20));
        assert_eq!(accounts.group("gpoi"), None);
        let names: Vec<_> = accounts.group_names().collect();
        assert_eq!(names, ["root", "gpio", "dialout", "sirens", "short"]);
        let ids: Vec<_> = accounts.ids().collect();
        assert_eq!(ids, [0, 990, 8, 0, 997, 20, 5, 6]);
    }
}
