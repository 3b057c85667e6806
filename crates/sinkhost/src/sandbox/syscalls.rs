//! System calls, by seccomp: how the filter is built and put in force. Knows what the grants mean for a call's
//! arguments; which calls are refused outright stands in `tables`.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};
use watchpost_sinkhost_protocol::sandbox::Grants;

use super::{SandboxError, tables};

/// By system call: the rules of which one must match, none for "always".
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Puts the filters in force. The inner error says why this machine has none.
pub(super) fn restrict(grants: &Grants) -> Result<Result<(), String>, SandboxError> {
    let Some(arch) = tables::ARCH else {
        return Ok(Err(format!("no filter is known for {}", std::env::consts::ARCH)));
    };
    for program in programs(grants, arch)? {
        match apply_filter(&program) {
            Ok(()) => {}
            Err(Error::Prctl(error) | Error::Seccomp(error)) => {
                return Ok(Err(format!(
                    "the kernel takes no filter of system calls: {error}"
                )));
            }
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    Ok(Ok(()))
}

/// The filters. They are all asked at every call, and the strictest answer counts.
fn programs(grants: &Grants, arch: TargetArch) -> Result<Vec<BpfProgram>, BackendError> {
    let mut programs = tables::other_numbering();
    // clone3 has its flags in memory, where no filter can see them. The C library knows kernels without it.
    let unknown = tables::UNKNOWN.iter().map(|call| (*call, Vec::new())).collect();
    programs.push(program(unknown, libc::ENOSYS, arch)?);
    programs.push(program(refused(grants)?, libc::EPERM, arch)?);
    Ok(programs)
}

fn program(rules: Rules, errno: i32, arch: TargetArch) -> Result<BpfProgram, BackendError> {
    let answer = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, answer, arch)?.try_into()
}

fn refused(grants: &Grants) -> Result<Rules, BackendError> {
    let mut rules: Rules = tables::REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, none_of(0, &families(grants))?);
    rules.insert(libc::SYS_clone, clones(grants)?);
    let own = u64::from(std::process::id());
    // Limits of another process of this user, the hub for one.
    rules.insert(libc::SYS_prlimit64, none_of(0, &[0, own])?);
    if !grants.exec {
        rules.extend(tables::STARTING_PROGRAMS.iter().map(|call| (*call, Vec::new())));
        // Landlock does the same from Linux 6.12 on, for this process and those it starts.
        rules.extend(tables::SIGNALLING_ANY.iter().map(|call| (*call, Vec::new())));
        for call in tables::SIGNALLING {
            rules.insert(*call, none_of(0, &[own])?);
        }
    }
    Ok(rules)
}

/// Families of sockets that may be opened. A pair of connected sockets is another call and always free.
fn families(grants: &Grants) -> Vec<u64> {
    let mut families = Vec::new();
    if grants.unix_sockets {
        families.push(libc::AF_UNIX);
    }
    if grants.network() {
        // Netlink is how the C library asks for this machine's addresses when it looks up a name.
        families.extend([libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]);
    }
    families
        .into_iter()
        .map(|family| u64::from(family.unsigned_abs()))
        .collect()
}

/// Which uses of `clone` are refused: namespaces always; new processes, as opposed to threads, without `exec`.
fn clones(grants: &Grants) -> Result<Vec<SeccompRule>, BackendError> {
    let mut rules = Vec::new();
    for flag in tables::NAMESPACES {
        let flag = u64::from(flag.unsigned_abs());
        rules.push(SeccompRule::new(vec![condition(
            0,
            SeccompCmpOp::MaskedEq(flag),
            flag,
        )?])?);
    }
    if !grants.exec {
        let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
        rules.push(SeccompRule::new(vec![condition(
            0,
            SeccompCmpOp::MaskedEq(thread),
            0,
        )?])?);
    }
    Ok(rules)
}

/// Matches when the argument is none of these numbers; always, if there are none.
fn none_of(argument: u8, numbers: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    let conditions = numbers
        .iter()
        .map(|number| condition(argument, SeccompCmpOp::Ne, *number));
    let conditions: Vec<_> = conditions.collect::<Result<_, _>>()?;
    Ok(if conditions.is_empty() {
        Vec::new()
    } else {
        vec![SeccompRule::new(conditions)?]
    })
}

/// On 32 bits: families, process numbers and flags are ints, and the rest of the register may hold anything.
fn condition(argument: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value)
}
