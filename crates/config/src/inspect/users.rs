//! Whom sinks run as: whether this machine has the user and its groups, whether the hub can start a process of it, and
//! whether it can reach what the sink is granted.

use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::Inspection;
use super::reader::{self, Reader};
use crate::accounts::Accounts;
use crate::nearest::nearest;
use crate::privileges::missing_privileges;
use crate::settings::{SandboxSettings, SinkUser};

/// What an installer reads on.
const PAGE: &str = "\"Whose user\" in docs/security.md";

/// Looks at every sink that has a user.
pub(super) fn users(inspection: &mut Inspection<'_>) {
    let accounts = reader::accounts();
    for i in 0..inspection.loaded.settings.sink.len() {
        let sandbox = inspection.loaded.settings.sink[i].sandbox.clone();
        let Some(user) = &sandbox.user else { continue };
        let at = format!("/sink/{i}/sandbox");
        let before = inspection.found.len();
        check_user(inspection, &accounts, &format!("{at}/user"), user);
        check_groups(inspection, &accounts, &at, &sandbox.groups);
        if inspection.found.len() == before && geteuid().is_root() {
            check_reach(inspection, &accounts, &at, user, &sandbox);
        }
    }
}

fn check_user(inspection: &mut Inspection<'_>, accounts: &Accounts, pointer: &str, user: &SinkUser) {
    if let SinkUser::Named(name) = user
        && name.parse::<u32>().is_err()
        && accounts.user(name).is_none()
    {
        let help = near(name, accounts.user_names()).unwrap_or_else(|| {
            "create the user, or give the number of one that /etc/passwd does not have".to_owned()
        });
        return inspection.error(pointer, format!("is `{name}`, and there is no such user"), help);
    }
    let missing = missing_privileges();
    if !missing.is_empty() {
        let lacks = missing.join(", ");
        let problem = format!("takes a hub that runs as root, and this user lacks {lacks}");
        let help = format!(
            "if the hub's service hands them over, as {PAGE} shows, or runs it as root, run this check as root; otherwise remove `user`"
        );
        inspection.error(pointer, problem, help);
    } else if let Some(hub) = reader::hub_user(&inspection.loaded.settings.hub.data_dir) {
        let problem = format!(
            "takes a hub that runs as root, and `data_dir` is of {hub}, whom the hub seems to run as"
        );
        let help = format!(
            "see that its service hands over what that takes, as {PAGE} shows, have the hub run as root, or remove `user`"
        );
        inspection.warning(pointer, problem, help);
    }
}

fn check_groups(inspection: &mut Inspection<'_>, accounts: &Accounts, at: &str, groups: &[String]) {
    for (i, name) in groups.iter().enumerate() {
        if name.parse::<u32>().is_ok() || accounts.group(name).is_some() {
            continue;
        }
        let help = near(name, accounts.group_names()).unwrap_or_else(|| {
            "create the group, or give the number of one that /etc/group does not have".to_owned()
        });
        let problem = format!("names `{name}`, and there is no such group");
        inspection.error(&format!("{at}/groups/{i}"), problem, help);
    }
}

/// What is granted and not in the sink's reach, for modes bind it besides. What is below the hub's own directory is
/// the hub's to open.
fn check_reach(
    inspection: &mut Inspection<'_>,
    accounts: &Accounts,
    at: &str,
    user: &SinkUser,
    sandbox: &SandboxSettings,
) {
    let groups = sandbox.groups.iter();
    let groups = groups.filter_map(|name| accounts.group(name).or_else(|| name.parse().ok()));
    let Some(reader) = Reader::of_sink(accounts, user, groups.collect()) else {
        return;
    };
    let data_dir = inspection.loaded.settings.hub.data_dir.clone();
    if let Some(closed) = reader::closed_to(&reader, &data_dir) {
        let problem = format!(
            "is {reader}, who cannot pass through {}, where its own files are",
            closed.display()
        );
        let help = format!(
            "run `chmod o+x {}`: that shows nothing of what is in there",
            closed.display()
        );
        inspection.error(&format!("{at}/user"), problem, help);
    }
    let others = |path: &&PathBuf| path.exists() && !path.starts_with(&data_dir);
    for (list, paths, bits, verb) in [
        ("read", &sandbox.read, 4, "read"),
        ("write", &sandbox.write, 6, "write"),
    ] {
        for (i, path) in paths.iter().enumerate().filter(|(_, path)| others(path)) {
            if !reader.may(path, bits) {
                let problem = format!("names {}, which {reader} cannot {verb}", path.display());
                inspection.error(&format!("{at}/{list}/{i}"), problem, remedy(path, list));
            }
        }
    }
}

fn remedy(path: &Path, list: &str) -> String {
    let (shown, mode) = (path.display(), if list == "read" { "g+r" } else { "g+rw" });
    format!(
        "give it to a group that `groups` in its [sink.sandbox] names (`chgrp GROUP {shown}`, `chmod {mode} {shown}`), and let that through the folders above"
    )
}

fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean \"{near}\"?"))
}
