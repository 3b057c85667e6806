//! Reads what `strace` writes (`-f -e raw=!openat,execve`): which system calls were made, and with which of the arguments
//! that a filter looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result};

/// The arguments that decide, by position, with the bits of them that do.
const DECIDING: &[(&str, &[(usize, u64)])] = &[
    ("clone", &[(0, ALL)]),
    ("close_range", &[(2, ALL)]),
    ("fallocate", &[(1, ALL)]),
    ("fcntl", &[(1, ALL)]),
    ("ioctl", &[(1, ALL)]),
    ("kill", &[(0, ALL)]),
    // Shared or private, and whether of a file.
    ("mmap", &[(3, 0x23)]),
    ("personality", &[(0, ALL)]),
    ("prctl", &[(0, ALL)]),
    ("prlimit64", &[(0, ALL), (1, ALL)]),
    ("rt_sigqueueinfo", &[(0, ALL)]),
    ("rt_tgsigqueueinfo", &[(0, ALL)]),
    ("sched_setaffinity", &[(0, ALL)]),
    ("sched_setattr", &[(0, ALL)]),
    ("sched_setparam", &[(0, ALL)]),
    ("sched_setscheduler", &[(0, ALL)]),
    ("sendmmsg", &[(3, ALL)]),
    ("sendmsg", &[(2, ALL)]),
    ("sendto", &[(3, ALL)]),
    ("setpriority", &[(0, ALL), (1, ALL)]),
    ("setrlimit", &[(0, ALL)]),
    ("setsockopt", &[(1, ALL), (2, ALL)]),
    // Without SOCK_NONBLOCK and SOCK_CLOEXEC.
    ("socket", &[(0, ALL), (1, 0xf), (2, ALL)]),
    ("socketpair", &[(0, ALL), (1, 0xf), (2, ALL)]),
    ("tgkill", &[(0, ALL)]),
];
const ALL: u64 = u64::MAX;

/// What a process is started by, and what puts its filter in force.
const STARTED_BY: &str = "execve(";
const FILTERED_BY: &str = "seccomp(0x1,";

/// Who has called what.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// By call, with its arguments as `position=value`.
    calls: BTreeMap<String, BTreeSet<String>>,
}

impl Recorded {
    /// All that a program has called, from its start on.
    pub(crate) fn of_program(&mut self, who: &str, trace: &str) {
        let start = trace.find(STARTED_BY).map_or(0, |at| at + STARTED_BY.len());
        self.add(who, &trace[start..], &threads(trace));
    }

    /// What a plugin, and what it has started, have called behind the filter.
    pub(crate) fn of_plugin(&mut self, trace: &str) -> Result<()> {
        let file = trace.find("libwatchpost_").context("a trace is of no plugin")?;
        let name = trace[file + "libwatchpost_".len()..].split('.').next();
        let filtered = trace.find(FILTERED_BY).context("a plugin had no filter")?;
        self.add(
            name.unwrap_or_default(),
            &trace[filtered + FILTERED_BY.len()..],
            &threads(trace),
        );
        Ok(())
    }

    fn add(&mut self, who: &str, trace: &str, own: &BTreeSet<u64>) {
        for line in trace.lines() {
            let Some(call) = call(line, own) else { continue };
            self.calls.entry(call).or_default().insert(who.to_owned());
        }
    }
}

/// A call a line, then a colon and who has made it.
impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Made by `cargo xtask syscalls` on {}.",
            std::env::consts::ARCH
        )?;
        writeln!(f, "# Call, deciding arguments by position, who made it.")?;
        for (call, who) in &self.calls {
            let who: Vec<&str> = who.iter().map(String::as_str).collect();
            writeln!(f, "{call}: {}", who.join(" "))?;
        }
        Ok(())
    }
}

/// The threads that a trace is of, which its lines begin with.
fn threads(trace: &str) -> BTreeSet<u64> {
    let first = |line: &str| line.split(' ').next()?.parse().ok();
    trace.lines().filter_map(first).collect()
}

/// The call that a line is of, if it is the beginning of one.
fn call(line: &str, own: &BTreeSet<u64>) -> Option<String> {
    let (_, line) = line.split_once(' ')?;
    let (name, rest) = line.trim_start().split_once('(')?;
    let is_name = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    if name.is_empty() || !is_name(name) {
        return None;
    }
    let mut text = name.to_owned();
    if let Some((_, deciding)) = DECIDING.iter().find(|(known, _)| *known == name) {
        let arguments = rest.split([')', '<']).next().unwrap_or_default();
        let arguments: Vec<u64> = arguments.split(',').map(|word| number(word.trim())).collect();
        for (position, bits) in *deciding {
            let value = arguments.get(*position).copied().unwrap_or_default() & 0xffff_ffff & bits;
            text += &format!(" {position}={}", shown(name, value, own));
        }
    }
    Some(text)
}

/// Numbers of processes are not the same twice, nor are those of their groups, which are negative.
fn shown(name: &str, value: u64, own: &BTreeSet<u64>) -> String {
    let is_process = !["socket", "ioctl"].contains(&name) && value > 100;
    let group = u32::try_from(value).unwrap_or_default().wrapping_neg();
    if is_process && own.contains(&value) {
        "own".to_owned()
    } else if is_process && own.contains(&u64::from(group)) {
        "own-group".to_owned()
    } else {
        format!("{value:#x}")
    }
}

fn number(word: &str) -> u64 {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).unwrap_or_default(),
        None => word.parse().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_stands_behind_the_filter_is_recorded_with_what_decides() {
        let mut recorded = Recorded::default();
        recorded
            .of_plugin(
                "411 execve(\"/bin/host\", [\"host\"], 0x7ffc /* 5 vars */) = 0\n\
                 411 bind(0x3, 0x7ffd, 0x10) = 0\n\
                 411 seccomp(0x1, 0, 0x7ff7) = 0\n\
                 411 openat(AT_FDCWD, \"/lib/libwatchpost_mail.so\", O_RDONLY) = 3\n\
                 411 clone(0x3d0f00, 0x7f, 0x7e, 0x7d, 0x7c <unfinished ...>\n\
                 412 tgkill(0x19b, 0x19c, 0x6) = 0\n\
                 411 <... clone resumed>) = 412\n\
                 412 socket(0x2, 0x80001, 0x6 <unfinished ...>\n\
                 412 mmap(0, 0x2000, 0x3, 0x20022, 0xffffffff, 0) = 0x7fa3\n\
                 411 kill(0, 0xf) = -1 EPERM (Operation not permitted)\n\
                 411 kill(0xfffffe65, 0xf) = 0\n\
                 412 +++ exited with 0 +++\n",
            )
            .unwrap();
        recorded.of_program(
            "go",
            "7 execve(\"x\") = 0\n7 close(0x3) = 0\n7 openat(AT_FDCWD, \"x\") = 3\n",
        );
        let text = recorded.to_string();
        let calls: Vec<&str> = text.lines().skip(2).collect();
        expect![[r#"
            clone 0=0x3d0f00: mail
            close: go
            kill 0=0x0: mail
            kill 0=own-group: mail
            mmap 3=0x22: mail
            openat: go mail
            socket 0=0x2 1=0x1 2=0x6: mail
            tgkill 0=own: mail"#]]
        .assert_eq(&calls.join("\n"));
    }

    #[test]
    fn a_trace_of_no_plugin_is_refused() {
        assert!(
            Recorded::default()
                .of_plugin("1 seccomp(0x1, 0, 0) = 0\n")
                .is_err()
        );
        assert!(
            Recorded::default()
                .of_plugin("1 open(libwatchpost_x.so)\n")
                .is_err()
        );
    }
}
