//! Why a process could not be sandboxed. Every text says what to do about it.

use std::io;
use std::path::PathBuf;

use watchpost_sinkhost_protocol::sandbox::{Gap, join_gaps};

/// What kept the sandbox from being put in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The process has threads already.
    #[error("the sandbox must be put in force before a second thread starts, and there are {threads}")]
    Threads {
        /// How many.
        threads: usize,
    },
    /// A granted path cannot be opened.
    #[error(
        "the sandbox grants `{}` under `{list}`, which cannot be reached: {source}; create it, plug it in, or take it \
         out of `{list}`{}",
        path.display(),
        hint(source)
    )]
    Path {
        /// The path.
        path: PathBuf,
        /// The list it stands in: `read` or `write`.
        list: &'static str,
        /// The system's words.
        source: io::Error,
    },
    /// A limit cannot be set.
    #[error("cannot limit {what} to {value}: {source}")]
    Limit {
        /// What was to be limited.
        what: &'static str,
        /// To how much.
        value: u64,
        /// The system's words.
        source: io::Error,
    },
    /// Privileges cannot be dropped.
    #[error("cannot {what}: {source}; only a hub that runs as root can run a sink as another user")]
    Privileges {
        /// What was tried.
        what: String,
        /// The system's words.
        source: io::Error,
    },
    /// The kernel has Landlock and refuses the rules.
    #[error("the kernel refuses the file and port rules: {0}")]
    Rules(#[from] landlock::RulesetError),
    /// The filter of system calls cannot be built.
    #[error("the filter of system calls cannot be built: {0}")]
    Filter(#[from] seccompiler::BackendError),
    /// The whole sandbox is required and this machine has only a part.
    #[error(
        "the sandbox lacks {}; update the kernel, or take back `require` (or `require_sandbox`) to run without",
        join_gaps(gaps)
    )]
    Incomplete {
        /// What is missing.
        gaps: Vec<Gap>,
    },
}

/// A link is followed only where the plugin cannot have put it.
fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ELOOP) => "; a link within a directory that is granted under `write` is not followed",
        _ => "",
    }
}
