//! Whom a sink runs as.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use watchpost_config::{Accounts, SandboxSettings, SinkUser, missing_privileges};
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
                "`user` in its [sink.sandbox] takes a hub that runs as root: this one lacks {}; have its service hand them over, as \"Whose user\" in docs/security.md shows, or remove `user`",
                missing.join(", ")
            ));
        }
        let accounts = Accounts::read()?;
        let mut run_as = match user {
            SinkUser::Named(user) => of_machine(user, &accounts)?,
            SinkUser::Dynamic => {
                let id = self.id_of_its_own(sink, state_dir, &accounts)?;
                RunAs {
                    uid: id,
                    gid: id,
                    groups: Vec::new(),
                }
            }
        };
        for name in &settings.groups {
            run_as.groups.push(group_id(name, &accounts)?);
        }
        Ok(Some(run_as))
    }

    fn id_of_its_own(&self, sink: &str, state_dir: &Path, accounts: &Accounts) -> Result<u32, String> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let user = match taken.take() {
            Some(user) => user,
            None => DynamicUsers::default().take(sink, dynamic_owner(state_dir), accounts)?,
        };
        Ok(taken.insert(user).id())
    }
}

/// The user of this name or number, with all its groups.
fn of_machine(user: &str, accounts: &Accounts) -> Result<RunAs, String> {
    let Some(account) = accounts.user(user) else {
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
    Ok(RunAs {
        uid: account.uid,
        gid: account.gid,
        groups: accounts.groups_of(&account.name).collect(),
    })
}

/// The number of the group of this name or number.
fn group_id(name: &str, accounts: &Accounts) -> Result<u32, String> {
    let found = accounts.group(name).or_else(|| name.parse().ok());
    found.ok_or_else(|| {
        format!("there is no group `{name}`, which `groups` in its [sink.sandbox] names; create it, or correct the name")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nsiren:x:990:980::/:/bin/false\n";
    const GROUP: &str = "root:x:0:\ngpio:x:997:pi,siren\ndialout:x:20:siren\nsirens:x:5:sirena\n";

    fn accounts() -> Accounts {
        Accounts::parse(PASSWD, GROUP)
    }

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let siren = RunAs {
            uid: 990,
            gid: 980,
            groups: vec![997, 20],
        };
        assert_eq!(of_machine("siren", &accounts()), Ok(siren.clone()));
        assert_eq!(of_machine("990", &accounts()), Ok(siren));
        assert!(of_machine("nobody", &accounts()).is_err());
        let unknown = of_machine("4000", &accounts()).map(|user| (user.uid, user.gid, user.groups));
        assert_eq!(unknown, Ok((4000, 4000, Vec::new())));
    }

    #[test]
    fn groups_are_found_by_name_and_by_number() {
        assert_eq!(group_id("dialout", &accounts()), Ok(20));
        assert_eq!(group_id("4000", &accounts()), Ok(4000));
        let said = group_id("gpoi", &accounts()).unwrap_err();
        assert!(said.starts_with("there is no group `gpoi`"), "{said}");
    }
}
