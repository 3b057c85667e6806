//! System calls, by seccomp: an allowlist, made into a filter and put in force.
//!
//! A call that is known and not allowed answers `EPERM`, so that a plugin that tries it learns what happened. A call
//! newer than this program, and `clone3`, whose arguments no filter can see, answer `ENOSYS`, so that a library takes
//! its older way. Which calls are allowed stands in [`allowed`], with which arguments in [`arguments`].

mod allowed;
mod arguments;
mod numbers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompFilter, SeccompRule, TargetArch, apply_filter,
    sock_filter,
};
use watchpost_sinkhost_protocol::sandbox::Grants;

use super::SandboxError;

/// What the filter has to know besides the grants.
#[derive(Clone, Copy, Debug)]
struct Circumstances {
    /// Number of this process.
    pid: u64,
    /// Whether this process is root's.
    root: bool,
    /// Whether a device is granted.
    devices: bool,
}

/// Puts the filter in force. The inner error says why this machine has none.
pub(super) fn restrict(grants: &Grants) -> Result<Result<(), String>, SandboxError> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok(Err(format!("no filter is known for {}", std::env::consts::ARCH)));
    };
    if numbers::ranges(arch).is_empty() {
        return Ok(Err(format!("no filter is known for {}", std::env::consts::ARCH)));
    }
    let here = Circumstances {
        pid: std::process::id().into(),
        root: rustix::process::geteuid().is_root(),
        devices: grants.write.iter().any(|path| is_device(path)),
    };
    Ok(match apply_filter(&filter(grants, &here, arch)?) {
        Ok(()) => Ok(()),
        Err(Error::Prctl(error) | Error::Seccomp(error)) => {
            Err(format!("the kernel takes no filter of system calls: {error}"))
        }
        Err(error) => Err(error.to_string()),
    })
}

/// A directory of devices counts as one, such as `/dev/snd`.
fn is_device(path: &Path) -> bool {
    path.starts_with("/dev")
        || std::fs::metadata(path).is_ok_and(|meta| {
            let kind = meta.file_type();
            kind.is_char_device() || kind.is_block_device()
        })
}

/// The whole filter: first what is unknown, then what is not permitted.
fn filter(grants: &Grants, here: &Circumstances, arch: TargetArch) -> Result<BpfProgram, BackendError> {
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let rules = permitted(grants, here, arch)?;
    let known: BpfProgram = SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch)?.try_into()?;
    let mut filter = unknown(arch);
    filter.extend(known);
    Ok(filter)
}

/// The calls these grants allow, by number, with the rules of which one must match, none for "always".
fn permitted(
    grants: &Grants,
    here: &Circumstances,
    arch: TargetArch,
) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut lists = vec![allowed::ALWAYS];
    if grants.network() || grants.unix_sockets {
        lists.push(allowed::SOCKETS);
    }
    if !grants.bind_tcp.is_none() || grants.unix_sockets {
        lists.push(allowed::LISTENING);
    }
    if grants.exec {
        lists.push(allowed::PROGRAMS);
    }
    if grants.user.is_some() || (grants.exec && !here.root) {
        lists.push(allowed::ATTRIBUTES);
    }
    let always = lists.into_iter().flatten().map(|name| (*name, Vec::new()));
    // A rule without any condition set would allow everything: a call that no rule lets pass is left out.
    let looked_at = arguments::rules(grants, here)?
        .into_iter()
        .filter(|(_, rules)| !rules.is_empty());
    let by_number = |(name, rules)| numbers::number(name, arch).map(|number| (number, rules));
    Ok(looked_at.chain(always).filter_map(by_number).collect())
}

/// Answers `ENOSYS` to every number that stands in no table or is hidden, and goes on with the others. Made by hand: the
/// library's filters have one answer each, and none can be added once the last one holds.
///
/// Among those numbers is, on x86-64, a second one for each call (the x32 ABI). The i386 numbers are not: the rest of
/// the filter ends a process that uses another architecture.
fn unknown(arch: TargetArch) -> BpfProgram {
    let code = |code: u32| u16::try_from(code).unwrap_or_default();
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let bound = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    let unknown = step(
        code(libc::BPF_RET | libc::BPF_K),
        0,
        0,
        libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned(),
    );
    let (equals, at_least) = (
        code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K),
        code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K),
    );
    // The number is the first field of what a filter sees.
    let mut filter = vec![step(code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), 0, 0, 0)];
    for name in allowed::AS_IF_UNKNOWN {
        if let Some(number) = numbers::number(name, arch) {
            filter.extend([step(equals, 0, 1, bound(number)), unknown.clone()]);
        }
    }
    let ranges = numbers::ranges(arch);
    for (index, (first, last)) in ranges.iter().enumerate() {
        // What follows in this loop, and the answer behind it.
        let rest = 4 * (ranges.len() - 1 - index) + 1;
        filter.extend([
            // Below the range: unknown. Within: to the end of this part. Above: the next range.
            step(at_least, 1, 0, bound(*first)),
            unknown.clone(),
            step(at_least, 1, 0, bound(last + 1)),
            step(
                code(libc::BPF_JMP | libc::BPF_JA),
                0,
                0,
                u32::try_from(rest).unwrap_or(u32::MAX),
            ),
        ]);
    }
    filter.push(unknown);
    filter
}
