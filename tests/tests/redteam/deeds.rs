//! What a sink with some grants must have been answered. Knows the deeds by their names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, ensure};
use watchpost_testkit::workspace_root;

/// Answers that refuse: not permitted, not granted, unknown to the kernel; between directories of different rights; nothing
/// there on this machine.
const REFUSALS: [&str; 5] = ["EPERM", "EACCES", "ENOSYS", "EXDEV", "absent"];

/// What a grant opens: deeds that may be done then, for they harm nobody else or are what is granted.
const OPENED: &[(&str, &[&str])] = &[
    (
        "exec",
        &[
            "start_process",
            "start_by_clone",
            "run_program",
            "become_program",
            "become_open_program",
            // To hold another process is not to signal it.
            "hold_hub",
            // Of programs all tasks are measured.
            "own_open_files",
            "thread_with_own_files",
            "shared_memory",
        ],
    ),
    ("connect", &[]),
    ("listen", &["listen_anywhere"]),
    ("any", &["listen_anywhere", "bind_some_port"]),
    ("unix_sockets", &["send_datagram"]),
    // It owns nothing but what the sink has made.
    ("user", &["chmod_open_file", "touch_open_file", "fsetxattr_own"]),
];

/// Deeds that are not held once programs may be started without a user of one's own, which the documents say.
const ATTRIBUTES: &[&str] = &[
    "chmod_config",
    "chmod_data",
    "chmod_data_away",
    "chmod_by_newer_call",
    "set_user_bit",
    "chmod_open_file",
    "touch_victim",
    "touch_open_file",
    "utime_victim",
    "utimes_victim",
    "futimesat_victim",
    "setxattr_victim",
    "lsetxattr_victim",
    "fsetxattr_own",
    "removexattr_victim",
];

/// Deeds that are granted with any port, on what is put up to see that nobody reaches it.
const PORTS: &[&str] = &[
    "connect_port",
    "connect_fast",
    "connect_over_six",
    "bind_other_port",
];

/// What a sink with these grants is not to try.
pub(crate) fn spared(grants: &[&str]) -> &'static [&'static str] {
    if grants.contains(&"exec") {
        ATTRIBUTES
    } else if grants.contains(&"any") {
        PORTS
    } else {
        &[]
    }
}

/// Every deed was tried, but for those spared, and none was done that is not granted.
pub(crate) fn check(report: &BTreeMap<String, String>, grants: &[&str]) -> Result<()> {
    let spared = spared(grants);
    let tried: BTreeSet<&str> = report.keys().map(String::as_str).collect();
    let documented = documented()?;
    let expected: BTreeSet<&str> = documented
        .iter()
        .map(String::as_str)
        .filter(|deed| !spared.contains(deed))
        .collect();
    let missing: Vec<_> = expected.symmetric_difference(&tried).collect();
    ensure!(
        missing.is_empty(),
        "tried or said in docs/security.md to be tried, and not both: {missing:?}"
    );
    let opened = |deed: &str| {
        OPENED
            .iter()
            .any(|(grant, deeds)| grants.contains(grant) && deeds.contains(&deed))
    };
    let done: Vec<_> = report
        .iter()
        .filter(|(deed, answer)| !REFUSALS.contains(&answer.as_str()) && !opened(deed))
        .collect();
    ensure!(done.is_empty(), "not held: {done:?}");
    Ok(())
}

/// The deeds that the page on security lists.
fn documented() -> Result<Vec<String>> {
    let page = fs::read_to_string(workspace_root().join("docs/security.md"))?;
    let (_, listed) = page
        .split_once("## What was tried")
        .context("the page lists what was tried")?;
    let lists = listed
        .lines()
        .skip_while(|line| !line.starts_with("- "))
        .take_while(|line| !line.is_empty());
    let lists = lists.collect::<Vec<_>>().join(" ");
    let words = lists.split('`').skip(1).step_by(2);
    Ok(words.map(str::to_owned).collect())
}
