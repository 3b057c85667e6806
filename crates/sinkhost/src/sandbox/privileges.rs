//! Who a process is and may become. Knows users by number only.

#![allow(
    unsafe_code,
    reason = "user and group numbers are unchecked integers to rustix"
)]

use rustix::io::Errno;
use rustix::process::{Gid, Signal, Uid, set_parent_process_death_signal};
use rustix::thread::{
    CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};
use watchpost_sinkhost_protocol::sandbox::RunAs;

use super::SandboxError;

/// Becomes `user`, gives up every capability, and bars the way to new ones.
///
/// Without capabilities a child of a hub that runs as root is still the owner of root's files, but is bound by
/// permissions, cannot raise its limits, make devices or open raw sockets.
pub(super) fn drop(user: Option<&RunAs>) -> Result<(), SandboxError> {
    if let Some(user) = user {
        become_user(user)?;
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    set_capabilities(None, sets).map_err(refused("give up capabilities"))?;
    set_no_new_privs(true).map_err(refused("set no_new_privs"))
}

/// Has the kernel kill this process when the thread that started it ends, however that comes about: a hub that is killed
/// cannot end its children. To be called last, for the kernel forgets it when privileges change.
pub(super) fn end_with_parent() -> Result<(), SandboxError> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(refused("have this process end with its parent"))
}

/// These calls change one thread only; the caller has made sure that there is but one.
fn become_user(user: &RunAs) -> Result<(), SandboxError> {
    // The kernel takes the highest number for "leave it as it is", which would leave root.
    if user.uid == u32::MAX || user.gid == u32::MAX {
        let number = "user or group number 4294967295 is none";
        return Err(SandboxError::Privileges {
            what: number.into(),
            source: Errno::INVAL.into(),
        });
    }
    let groups: Vec<Gid> = user.groups.iter().map(|group| gid(*group)).collect();
    let (user_id, group_id) = (uid(user.uid), gid(user.gid));
    // The user last: it takes privileges to change groups.
    set_thread_groups(&groups).map_err(refused("set the groups"))?;
    set_thread_res_gid(group_id, group_id, group_id)
        .map_err(refused(&format!("run as group {}", user.gid)))?;
    set_thread_res_uid(user_id, user_id, user_id).map_err(refused(&format!("run as user {}", user.uid)))
}

fn uid(number: u32) -> Uid {
    Uid::from_raw(number)
}

fn gid(number: u32) -> Gid {
    Gid::from_raw(number)
}

fn refused(what: &str) -> impl FnOnce(Errno) -> SandboxError {
    let what = what.to_owned();
    move |source| SandboxError::Privileges {
        what,
        source: source.into(),
    }
}
