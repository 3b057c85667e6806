//! What a process may use up. Knows the kernel's resource limits and nothing of the plugin.

#![allow(unsafe_code, reason = "rustix leaves signals to others")]

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use watchpost_sinkhost_protocol::sandbox::Grants;

use super::SandboxError;

/// How much likelier than others a plugin is to be killed when the machine runs out of memory: half of the way to
/// certainly (`oom_score_adj`, -1000 to 1000). The hub has 0 or less.
const OOM_SCORE_ADJ: &str = "500";

/// Timers that send signals, and queued signals, that the user may have when this process asks for one. Each timer that goes
/// off costs the kernel's time and not the process's.
const MAX_PENDING: u64 = 256;

/// The main thread's stack, in bytes: what most systems give it. Without a bound it would be memory that does not count.
const MAX_STACK: u64 = 8 << 20;

/// Address space besides `memory` of a process that starts no others, in bytes. What is only looked at is no memory of its
/// own, but the kernel's tables of it are, 4 KiB for each 2 MiB. Allocators and runtimes reserve some gigabytes.
const MAX_RESERVED: u64 = 16 << 30;

/// Sets the limits, both the one in force and the one it could be raised to.
///
/// Memory is bounded by `RLIMIT_DATA`, not `RLIMIT_AS`: the latter counts address space that is merely reserved
/// (64 MiB an allocator's arena, gigabytes for some runtimes) and the pictures mapped from the hub. It has a bound far above
/// for the kernel's sake.
///
/// The mark is the limit on message queues, of which no sandboxed process can make any, and which none can change.
pub(super) fn set(grants: &Grants, mark: Option<u32>) -> Result<(), SandboxError> {
    // A dump of memory may hold passwords and pictures, and fills the disk at every crash.
    limit(Resource::Core, "core dumps", Some(0))?;
    limit(Resource::Msgqueue, "message queues in bytes", mark.map(u64::from))?;
    limit(
        Resource::Sigpending,
        "timers and queued signals",
        Some(MAX_PENDING),
    )?;
    limit(Resource::Data, "memory in bytes", grants.memory_bytes)?;
    limit(Resource::Stack, "its stack in bytes", Some(MAX_STACK))?;
    let address_space = grants.memory_bytes.filter(|_| !grants.exec);
    let address_space = address_space.map(|memory| memory.saturating_add(MAX_RESERVED));
    limit(Resource::As, "address space in bytes", address_space)?;
    limit(Resource::Nofile, "open files", grants.open_files)?;
    if grants.file_bytes.is_some() {
        limit(Resource::Fsize, "a file in bytes", grants.file_bytes)?;
        answer_for_files();
    }
    limit(Resource::Nproc, "tasks of the user", grants.processes)
}

/// Has who writes too much get an error, and not a signal that ends it. Programs that it starts inherit that.
fn answer_for_files() {
    // SAFETY: no memory is passed, and a signal that is ignored interrupts nothing.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Offers this process to the kernel's out-of-memory killer. On refusal, says why.
pub(super) fn die_first() -> Result<(), String> {
    std::fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ)
        .map_err(|error| format!("/proc/self/oom_score_adj: {error}"))
}

/// Lowers one limit; one that is lower already stays.
fn limit(resource: Resource, what: &'static str, value: Option<u64>) -> Result<(), SandboxError> {
    let Some(value) = value else { return Ok(()) };
    let lower = Some(getrlimit(resource).maximum.map_or(value, |hard| hard.min(value)));
    setrlimit(
        resource,
        Rlimit {
            current: lower,
            maximum: lower,
        },
    )
    .map_err(|source| SandboxError::Limit {
        what,
        value,
        source: source.into(),
    })
}
