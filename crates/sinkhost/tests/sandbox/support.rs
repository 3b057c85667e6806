//! The tests' side: starting children and reading what they say.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};
use watchpost_sinkhost_protocol::sandbox::{Grants, Ports};

use crate::child::{DEED, GRANTS, KERNEL_LACKS};

/// What a child has said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    /// The sandbox's own line: the report or the error.
    pub(crate) report: String,
    /// What came of the deed: `ok`, `ok: …`, or the name of an error.
    pub(crate) deed: String,
    /// Of a child that was killed.
    pub(crate) signal: Option<i32>,
}

/// Has a child do a deed behind these grants.
pub(crate) fn child(grants: &Grants, deed: &str) -> Said {
    on_kernel_without("", grants, deed)
}

/// The same on a kernel that has not got the named system calls, separated by commas.
pub(crate) fn on_kernel_without(calls: &str, grants: &Grants, deed: &str) -> Said {
    let output = Command::new(std::env::current_exe().expect("this program has a path"))
        .env(DEED, deed)
        .env(
            GRANTS,
            serde_json::to_string(grants).expect("grants are plain data"),
        )
        .env(KERNEL_LACKS, calls)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .expect("this program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines().map(str::to_owned);
    Said {
        report: lines.next().unwrap_or_default(),
        deed: lines.next().unwrap_or_default(),
        signal: output.status.signal(),
    }
}

/// What came of a deed.
pub(crate) fn deed(grants: &Grants, deed: &str) -> String {
    child(grants, deed).deed
}

/// What a sink gets without a `[sink.sandbox]`, with this directory as its own.
pub(crate) fn grants(state_dir: impl Into<PathBuf>) -> Grants {
    Grants {
        write: vec![state_dir.into()],
        ..Grants::default()
    }
}

pub(crate) fn ports(ports: &[u16]) -> Ports {
    Ports::Only(ports.to_vec())
}

pub(crate) fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok::<(), Failed>(())
    })
}
