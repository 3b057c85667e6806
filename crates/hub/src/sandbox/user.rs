//! Whom a sink runs as. Users and groups of this machine are looked up in `/etc/passwd` and `/etc/group`; those of a
//! directory service are not known here, and their numbers can be given.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use watchpost_config::{SandboxSettings, SinkUser, missing_privileges};
use watchpost_sinkhost_client::sandbox::RunAs;

use super::dynamic::{DynamicUser, DynamicUsers, dynamic_owner};

/// What a sink keeps from one child to the next of whom it runs as: an id that was taken for it. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserOfSink(Arc<Mutex<Option<DynamicUser>>>);

impl UserOfSink {
    /// Whom the sink's next child is to run as; `None` for the hub's own user. It blocks.
    ///
    /// # Errors
    /// When the hub cannot start a process of another user, or there is no such user or group.
    pub(crate) fn find(
        &self,
        sink: &str,
        settings: &SandboxSettings,
        state_dir: &Path,
    ) -> Result<Option<RunAs>, String> {
        let Some(user) = &settings.user else {
            return Ok(None);
        };
        let missing = missing_privileges();
        if !missing.is_empty() {
            return Err(format!(
                "`user` in its [sink.sandbox] takes a hub that runs as root: this one lacks {}; remove `user`, or see \"Whose user\" in docs/security.md",
                missing.join(", ")
            ));
        }
        let read =
            |path: &str| fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"));
        let (passwd, group) = (read("/etc/passwd")?, read("/etc/group")?);
        let mut run_as = match user {
            SinkUser::Named(user) => of_machine(user, &passwd, &group)?,
            SinkUser::Dynamic => {
                let id = self.id_of_its_own(sink, state_dir)?;
                RunAs {
                    uid: id,
                    gid: id,
                    groups: Vec::new(),
                }
            }
        };
        for name in &settings.groups {
            run_as.groups.push(group_id(name, &group)?);
        }
        Ok(Some(run_as))
    }

    fn id_of_its_own(&self, sink: &str, state_dir: &Path) -> Result<u32, String> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let user = match taken.take() {
            Some(user) => user,
            None => DynamicUsers::default().take(sink, dynamic_owner(state_dir))?,
        };
        Ok(taken.insert(user).id())
    }
}

/// The user of this name or number, with all its groups: see passwd(5) and group(5).
fn of_machine(user: &str, passwd: &str, group: &str) -> Result<RunAs, String> {
    let of_user = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, uid, gid) = (fields.next()?, fields.nth(1)?, fields.next()?);
        (name == user || uid == user).then_some((name, uid.parse().ok()?, gid.parse().ok()?))
    });
    let Some((name, uid, gid)) = of_user else {
        // A number needs no entry; its group is taken to have the same.
        let number = user.parse().map_err(|_| {
            format!("there is no user `{user}`, which `user` in its [sink.sandbox] names; create it, or correct the name")
        })?;
        return Ok(RunAs {
            uid: number,
            gid: number,
            groups: Vec::new(),
        });
    };
    let group_of = |line: &str| -> Option<u32> {
        let mut fields = line.split(':');
        let (gid, members) = (fields.nth(2)?, fields.next()?);
        let is_member = members.split(',').any(|member| member.trim() == name);
        is_member.then(|| gid.parse().ok())?
    };
    Ok(RunAs {
        uid,
        gid,
        groups: group.lines().filter_map(group_of).collect(),
    })
}

/// The number of the group of this name or number.
fn group_id(name: &str, group: &str) -> Result<u32, String> {
    let named = |line: &str| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    };
    let found = group.lines().find_map(named).or_else(|| name.parse().ok());
    found.ok_or_else(|| {
        format!("there is no group `{name}`, which `groups` in its [sink.sandbox] names; create it, or correct the name")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nsiren:x:990:980::/:/bin/false\n";
    const GROUP: &str = "root:x:0:\ngpio:x:997:pi,siren\ndialout:x:20:siren\nsirens:x:5:sirena\n";

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let siren = RunAs {
            uid: 990,
            gid: 980,
            groups: vec![997, 20],
        };
        assert_eq!(of_machine("siren", PASSWD, GROUP), Ok(siren.clone()));
        assert_eq!(of_machine("990", PASSWD, GROUP), Ok(siren));
        assert!(of_machine("nobody", PASSWD, GROUP).is_err());
        let unknown = of_machine("4000", PASSWD, GROUP).map(|user| (user.uid, user.gid, user.groups));
        assert_eq!(unknown, Ok((4000, 4000, Vec::new())));
    }

    #[test]
    fn groups_are_found_by_name_and_by_number() {
        assert_eq!(group_id("dialout", GROUP), Ok(20));
        assert_eq!(group_id("4000", GROUP), Ok(4000));
        let said = group_id("gpoi", GROUP).unwrap_err();
        assert!(said.starts_with("there is no group `gpoi`"), "{said}");
    }
}
