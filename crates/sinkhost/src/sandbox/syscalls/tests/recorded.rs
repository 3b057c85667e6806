//! The filter held against what was recorded: `cargo xtask syscalls` has plugins and the libraries of other languages do
//! their work, and writes down what they call. Each call that the filter allows is in that record, or here with the reason.

use std::collections::BTreeMap;

use super::*;

const RECORDED: &str = include_str!("../recorded.txt");

/// Calls that are made and refused, and how whoever makes them goes on.
const REFUSED: &[(&str, &str)] = &[
    ("clone3", "the C library starts its threads by `clone` then"),
    (
        "fchmod",
        "std::filesystem::copy_file of C++ fails; a stream copies as well, and changes no mode",
    ),
    (
        "prctl",
        "PR_GET_AUXV, which kernels before 6.4 do not have either",
    ),
    (
        "socket",
        "of the C library's resolver, to a local daemon that keeps names; it goes on without",
    ),
];

/// Calls that are allowed and were not seen, and why they are allowed all the same.
const UNSEEN: &[(&str, &[&str])] = &[
    (
        "older or newer names of calls that were seen, which other versions of a library make",
        &[
            "accept",
            "creat",
            "epoll_create",
            "epoll_pwait2",
            "eventfd",
            "faccessat",
            "faccessat2",
            "futex_requeue",
            "futex_wait",
            "futex_waitv",
            "futex_wake",
            "getdents",
            "lstat",
            "openat2",
            "pipe",
            "preadv2",
            "pwritev2",
            "recvmmsg",
            "renameat2",
            "select",
            "signalfd",
            "stat",
            "time",
            "utime",
            "utimes",
            "futimesat",
            "dup3",
            "pselect6",
            "fork",
            "vfork",
            "clock_getres",
            "setrlimit",
            "mkdirat",
            "linkat",
            "symlinkat",
            "readlinkat",
        ],
    ),
    (
        "files of its own, in every way that changes no attribute",
        &[
            "copy_file_range",
            "fallocate",
            "fchdir",
            "flock",
            "fstatfs",
            "ftruncate",
            "preadv",
            "pwrite64",
            "pwritev",
            "readahead",
            "readv",
            "splice",
            "sync_file_range",
            "tee",
            "umask",
            "cachestat",
            "dup",
        ],
    ),
    (
        "attributes of files that it may read",
        &[
            "fgetxattr",
            "flistxattr",
            "getxattr",
            "lgetxattr",
            "listxattr",
            "llistxattr",
        ],
    ),
    (
        "timers and signals of its own, which event loops wait for",
        &[
            "alarm",
            "getitimer",
            "pause",
            "setitimer",
            "signalfd4",
            "timer_create",
            "timer_delete",
            "timer_getoverrun",
            "timer_gettime",
            "timer_settime",
            "timerfd_create",
            "timerfd_gettime",
            "timerfd_settime",
            "rt_sigpending",
            "rt_sigqueueinfo",
            "rt_sigsuspend",
            "rt_sigtimedwait",
            "rt_tgsigqueueinfo",
            "restart_syscall",
        ],
    ),
    (
        "its own memory, without more of it",
        &[
            "get_mempolicy",
            "membarrier",
            "mincore",
            "mlock",
            "mlock2",
            "mseal",
            "msync",
            "munlock",
            "pkey_alloc",
            "pkey_free",
            "pkey_mprotect",
        ],
    ),
    (
        "its own threads, which runtimes place and count",
        &[
            "get_robust_list",
            "getcpu",
            "getpriority",
            "sched_get_priority_max",
            "sched_get_priority_min",
            "sched_getattr",
            "sched_getparam",
            "sched_getscheduler",
            "sched_rr_get_interval",
            "sched_setaffinity",
            "sched_setattr",
            "sched_setparam",
            "sched_setscheduler",
            "setpriority",
            "personality",
        ],
    ),
    (
        "who and where it is, which tells nothing of others",
        &[
            "capget",
            "getegid",
            "geteuid",
            "getgid",
            "getgroups",
            "getpgid",
            "getpgrp",
            "getresgid",
            "getresuid",
            "getrusage",
            "getsid",
            "sysinfo",
            "times",
            "gettimeofday",
            "clock_gettime",
        ],
    ),
    ("sockets that were granted, or pairs of its own", &["shutdown"]),
    (
        "programs that it may start, with `exec`: what shells and interpreters do with them",
        &[
            "close_range",
            "execveat",
            "pidfd_send_signal",
            "setsid",
            "tkill",
            "waitid",
        ],
    ),
    (
        "with `exec` or a user of its own: attributes of what it owns",
        &[
            "chmod",
            "fchmodat",
            "fremovexattr",
            "fsetxattr",
            "lremovexattr",
            "lsetxattr",
            "removexattr",
            "setxattr",
            "utimensat",
        ],
    ),
];

/// A line of the record.
struct Line<'a> {
    name: &'a str,
    arguments: Vec<u64>,
    who: Vec<&'a str>,
}

fn recorded() -> impl Iterator<Item = Line<'static>> {
    let lines = RECORDED.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let (call, who) = line.split_once(": ").expect("a call and who made it");
        let mut words = call.split(' ');
        let name = words.next().unwrap_or_default();
        let mut arguments = vec![0; 6];
        for word in words {
            let (position, value) = word.split_once('=').expect("a position and a value");
            let position: usize = position.parse().unwrap();
            arguments[position] = match value {
                "own" => OWN,
                "own-group" => OWN.wrapping_neg(),
                value => u64::from_str_radix(value.trim_start_matches("0x"), 16).unwrap(),
            };
        }
        Line {
            name,
            arguments,
            who: who.split(' ').collect(),
        }
    })
}

/// What each was granted when it was recorded, or has to be.
fn granted(who: &str) -> (Grants, Circumstances) {
    match who {
        "archive" | "sound" | "c++" => (Grants::default(), here()),
        "email" | "mqtt" | "webhook" | "resolver" => (network(), here()),
        "go" => {
            let server = Grants {
                bind_tcp: Ports::Any,
                ..network()
            };
            (server, here())
        }
        "exec" => (exec(), here()),
        "gpio" => {
            let devices = Circumstances {
                devices: true,
                ..here()
            };
            (Grants::default(), devices)
        }
        other => panic!("{other} was granted what?"),
    }
}

/// All that sinks may call, whatever they are granted.
fn allowed_names() -> BTreeSet<&'static str> {
    named()
        .into_iter()
        .filter(|name| !allowed::AS_IF_UNKNOWN.contains(name))
        .collect()
}

#[test]
fn what_was_recorded_is_allowed_or_refused_for_a_reason() {
    let mut refused: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut used = BTreeSet::new();
    for line in recorded() {
        let number = numbers::number(line.name, TargetArch::x86_64)
            .unwrap_or_else(|| panic!("{} is in no table", line.name));
        let arguments: [u64; 6] = line.arguments.clone().try_into().unwrap();
        for who in &line.who {
            let (grants, here) = granted(who);
            let filter = filter(&grants, &here, TargetArch::x86_64).unwrap();
            match ask(&filter, &seccomp_data(TargetArch::x86_64, number, arguments)) {
                Done => {
                    used.insert(line.name);
                }
                _ => {
                    refused.entry(line.name).or_default().insert(who);
                }
            }
        }
    }
    println!("used and allowed: {}", words(&used));
    for (name, who) in &refused {
        let reason = REFUSED.iter().find(|(known, _)| known == name);
        let reason = reason.map_or("NO REASON", |(_, reason)| reason);
        println!("used and refused: {name} by {}: {reason}", words(who));
    }
    let expected: BTreeSet<&str> = REFUSED.iter().map(|(name, _)| *name).collect();
    let refused: BTreeSet<&str> = refused.into_keys().collect();
    assert_eq!(refused, expected);
}

#[test]
fn what_is_allowed_was_recorded_or_has_a_reason() {
    let seen: BTreeSet<&str> = recorded().map(|line| line.name).collect();
    let unseen: BTreeSet<&str> = allowed_names().difference(&seen).copied().collect();
    for (reason, names) in UNSEEN {
        println!("allowed and not seen: {}: {reason}", names.join(" "));
    }
    let explained: BTreeSet<&str> = UNSEEN.iter().flat_map(|(_, names)| *names).copied().collect();
    let without: BTreeSet<&str> = unseen.difference(&explained).copied().collect();
    assert!(
        without.is_empty(),
        "allowed without a reason: {}",
        words(&without)
    );
    let beyond: BTreeSet<&str> = explained.difference(&unseen).copied().collect();
    assert!(beyond.is_empty(), "seen, or not allowed: {}", words(&beyond));
}

fn words(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(" ")
}
