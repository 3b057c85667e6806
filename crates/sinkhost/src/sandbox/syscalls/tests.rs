//! The filter, run in an interpreter: that of both architectures on any machine.

mod arm64;
mod recorded;

use std::collections::BTreeSet;

use seccompiler::{TargetArch, sock_filter};
use watchpost_sinkhost_protocol::sandbox::{Grants, Ports, RunAs};

use super::{Circumstances, allowed, filter, numbers};

const ARCHITECTURES: [TargetArch; 2] = [TargetArch::x86_64, TargetArch::aarch64];
const OWN: u64 = 4711;
const OTHER: u64 = 4712;
/// `fcntl`: which signal an owner gets.
const F_SETSIG: libc::c_int = 10;

/// What a call comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Done,
    NotPermitted,
    Unknown,
    Killed,
}
use Answer::{Done, NotPermitted, Unknown};

/// What the kernel shows a filter: `struct seccomp_data` of `linux/seccomp.h`.
fn seccomp_data(arch: TargetArch, number: i64, arguments: [u64; 6]) -> Vec<u32> {
    // AUDIT_ARCH_* of linux/audit.h
    let audit = match arch {
        TargetArch::x86_64 => 0xc000_003e,
        _ => 0xc000_00b7,
    };
    let mut words = vec![number as u32, audit, 0, 0];
    words.extend(
        arguments
            .iter()
            .flat_map(|argument| [*argument as u32, (*argument >> 32) as u32]),
    );
    words
}

/// Runs a classic BPF program, of the instructions that filters are made of.
fn run(program: &[sock_filter], data: &[u32]) -> u32 {
    let (mut at, mut accumulator) = (0, 0_u32);
    loop {
        let step = &program[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { step.jt } else { step.jf });
        match u32::from(step.code) {
            0x20 => accumulator = data[step.k as usize / 4],
            0x05 => at += step.k as usize,
            0x15 => at += jump(accumulator == step.k),
            0x25 => at += jump(accumulator > step.k),
            0x35 => at += jump(accumulator >= step.k),
            0x45 => at += jump(accumulator & step.k != 0),
            0x54 => accumulator &= step.k,
            0x06 => return step.k,
            code => panic!("no filter should need instruction {code:#x}"),
        }
    }
}

/// What the filter answers.
fn ask(filter: &[sock_filter], data: &[u32]) -> Answer {
    const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    match run(filter, data) {
        libc::SECCOMP_RET_ALLOW => Done,
        EPERM => NotPermitted,
        ENOSYS => Unknown,
        libc::SECCOMP_RET_KILL_PROCESS => Answer::Killed,
        answer => panic!("no filter should answer {answer:#x}"),
    }
}

fn here() -> Circumstances {
    Circumstances {
        pid: OWN,
        root: false,
        devices: false,
    }
}

/// What a call comes to, the same on every architecture that has it.
#[track_caller]
fn check_in(here: &Circumstances, grants: &Grants, name: &str, arguments: &[u64], expected: Answer) {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    for arch in ARCHITECTURES {
        let Some(number) = numbers::number(name, arch) else {
            continue;
        };
        let filter = filter(grants, here, arch).unwrap();
        let answer = ask(&filter, &seccomp_data(arch, number, all));
        assert_eq!(answer, expected, "{name}{arguments:?} on {arch:?}");
    }
}

#[track_caller]
fn check(grants: &Grants, name: &str, arguments: &[u64], expected: Answer) {
    check_in(&here(), grants, name, arguments, expected);
}

fn network() -> Grants {
    Grants {
        connect_tcp: Ports::Only(vec![443]),
        ..Grants::default()
    }
}

fn exec() -> Grants {
    Grants {
        exec: true,
        ..Grants::default()
    }
}

fn own_user() -> Grants {
    Grants {
        user: Some(RunAs {
            uid: 900,
            gid: 900,
            groups: Vec::new(),
        }),
        ..Grants::default()
    }
}

/// All that the filter names, whatever is granted.
fn named() -> BTreeSet<&'static str> {
    let lists = [
        allowed::ALWAYS,
        allowed::SOCKETS,
        allowed::LISTENING,
        allowed::PROGRAMS,
        allowed::ATTRIBUTES,
        allowed::AS_IF_UNKNOWN,
    ];
    let looked_at = super::arguments::rules(&Grants::default(), &here()).unwrap();
    let names = lists.into_iter().flatten().copied();
    names.chain(looked_at.into_keys()).collect()
}

#[test]
fn every_name_is_one_of_a_call() {
    let known: BTreeSet<&str> = numbers::names().collect();
    for name in named() {
        assert!(known.contains(name), "{name}");
    }
}

/// Both columns of the table against the numbers the C library's crate has for the machine this runs on.
#[test]
fn numbers_are_those_of_this_machine() {
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    for (name, number) in [
        ("read", libc::SYS_read),
        ("ioctl", libc::SYS_ioctl),
        ("socket", libc::SYS_socket),
        ("clone", libc::SYS_clone),
        ("execve", libc::SYS_execve),
        ("fchmodat", libc::SYS_fchmodat),
        ("prctl", libc::SYS_prctl),
        ("prlimit64", libc::SYS_prlimit64),
        ("seccomp", libc::SYS_seccomp),
        ("clone3", libc::SYS_clone3),
        ("mseal", libc::SYS_mseal),
    ] {
        assert_eq!(numbers::number(name, arch), Some(number), "{name}");
    }
}

#[test]
fn a_newer_call_is_unknown_and_another_architecture_ends_the_process() {
    for arch in ARCHITECTURES {
        let filter = filter(&exec(), &here(), arch).unwrap();
        for number in [463, 500, 1000, 0x4000_0000, 0x4000_0001, -1] {
            assert_eq!(
                ask(&filter, &seccomp_data(arch, number, [0; 6])),
                Unknown,
                "{number}"
            );
        }
        let other = match arch {
            TargetArch::x86_64 => TargetArch::aarch64,
            _ => TargetArch::x86_64,
        };
        assert_eq!(ask(&filter, &seccomp_data(other, 1, [0; 6])), Answer::Killed);
    }
    for name in ["clone3", "fchmodat2", "statmount", "landlock_create_ruleset"] {
        check(&Grants::default(), name, &[], Unknown);
    }
}

#[test]
fn what_changes_files_others_or_the_machine_is_refused() {
    for name in [
        "chmod",
        "fchmod",
        "fchmodat",
        "chown",
        "fchown",
        "lchown",
        "fchownat",
        "utime",
        "utimes",
        "futimesat",
        "utimensat",
        "setxattr",
        "lsetxattr",
        "fsetxattr",
        "removexattr",
        "setpgid",
        "setsid",
        "shmget",
        "shmat",
        "semget",
        "semop",
        "msgget",
        "msgsnd",
        "mq_open",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "pidfd_open",
        "pidfd_getfd",
        "pidfd_send_signal",
        "tkill",
        "kcmp",
        "perf_event_open",
        "bpf",
        "userfaultfd",
        "add_key",
        "keyctl",
        "io_uring_setup",
        "io_setup",
        "mount",
        "umount2",
        "pivot_root",
        "chroot",
        "unshare",
        "setns",
        "open_by_handle_at",
        "name_to_handle_at",
        "fanotify_init",
        "inotify_init1",
        "inotify_add_watch",
        "reboot",
        "kexec_load",
        "init_module",
        "swapon",
        "clock_settime",
        "settimeofday",
        "adjtimex",
        "sethostname",
        "syslog",
        "acct",
        "quotactl",
        "ioprio_set",
        "execve",
        "execveat",
        "fork",
        "vfork",
        "memfd_create",
        "memfd_secret",
        "mknod",
        "mknodat",
        "mlockall",
        "mbind",
        "migrate_pages",
        "move_pages",
        "setuid",
        "setgid",
        "setresuid",
        "setgroups",
        "capset",
        "seccomp",
        "sync",
        "syncfs",
        "vmsplice",
        "vhangup",
        "personality",
        "connect",
        "bind",
        "listen",
        "accept4",
    ] {
        check(&Grants::default(), name, &[], NotPermitted);
    }
}

#[test]
fn what_every_program_needs_is_allowed() {
    for name in [
        "read",
        "openat",
        "mprotect",
        "futex",
        "epoll_wait",
        "getrandom",
        "exit_group",
        "renameat2",
        "statx",
    ] {
        for grants in [Grants::default(), network(), exec(), own_user()] {
            check(&grants, name, &[1, 2, 3, 4, 5, 6], Done);
        }
    }
}

#[test]
fn signals_and_limits_reach_this_process_only() {
    for name in ["kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"] {
        check(&Grants::default(), name, &[OWN], Done);
        // Its group, everybody, the hub.
        for target in [0, u64::MAX, OTHER] {
            check(&Grants::default(), name, &[target], NotPermitted);
        }
        check(&exec(), name, &[OTHER], Done);
    }
    for grants in [Grants::default(), exec()] {
        check(&grants, "prlimit64", &[0, 7], Done);
        check(&grants, "prlimit64", &[OTHER, 7], NotPermitted);
        // The mark can be read and not be changed.
        check(&grants, "prlimit64", &[0, 12, 0], Done);
        check(&grants, "prlimit64", &[0, 12, 1 << 40], NotPermitted);
        check(&grants, "prlimit64", &[OWN, 12, 0x1000], NotPermitted);
        check(&grants, "setrlimit", &[12], NotPermitted);
        check(&grants, "setrlimit", &[7], Done);
        for name in [
            "sched_setaffinity",
            "sched_setscheduler",
            "sched_setattr",
            "sched_setparam",
        ] {
            check(&grants, name, &[0], Done);
            check(&grants, name, &[OTHER], NotPermitted);
        }
        check(&grants, "setpriority", &[0, 0, 19], Done);
        // A group, a user.
        check(&grants, "setpriority", &[1, 0, 19], NotPermitted);
        check(&grants, "setpriority", &[2, 0, 19], NotPermitted);
        check(&grants, "setpriority", &[0, OTHER, 19], NotPermitted);
        check(&grants, "personality", &[0xffff_ffff], Done);
        check(&grants, "personality", &[0x0004_0000], NotPermitted);
    }
}

#[test]
fn commands_of_fcntl_prctl_and_ioctl_are_listed() {
    for grants in [Grants::default(), exec(), network()] {
        for (command, answer) in [
            (libc::F_SETFD, Done),
            (libc::F_OFD_SETLK, Done),
            // By which the host itself looks at the memory it is sent.
            (libc::F_GET_SEALS, Done),
            (libc::F_SETOWN, NotPermitted),
            (15, NotPermitted), // F_SETOWN_EX
            (F_SETSIG, NotPermitted),
            (libc::F_SETLEASE, NotPermitted),
            (libc::F_NOTIFY, NotPermitted),
        ] {
            check(&grants, "fcntl", &[3, command as u64], answer);
        }
        for (option, answer) in [
            (libc::PR_SET_NAME, Done),
            (libc::PR_SET_PTRACER, NotPermitted),
            (libc::PR_SET_CHILD_SUBREAPER, NotPermitted),
            (libc::PR_SET_SECCOMP, NotPermitted),
            (libc::PR_SET_MM, NotPermitted),
        ] {
            check(&grants, "prctl", &[option as u64], answer);
        }
        // A program may be made to end with whoever started it, and nobody may be made to outlive the hub.
        for (signal, answer) in [
            (libc::SIGKILL, Done),
            (0, NotPermitted),
            (libc::SIGUSR1, NotPermitted),
        ] {
            let arguments = [libc::PR_SET_PDEATHSIG as u64, signal as u64];
            check(&grants, "prctl", &arguments, answer);
        }
        for (request, answer) in [
            (0x5413, Done),                            // TIOCGWINSZ
            (0x5412, NotPermitted),                    // TIOCSTI
            (0x8901, NotPermitted),                    // FIOSETOWN
            (0x8902, NotPermitted),                    // SIOCSPGRP
            (0x4008_6602, NotPermitted),               // FS_IOC_SETFLAGS
            (0x4008_6685, NotPermitted),               // FS_IOC_ENABLE_VERITY
            (0x401c_5820, NotPermitted),               // FS_IOC_FSSETXATTR
            (0xc010_b407 & 0xffff_ffff, NotPermitted), // GPIO without a device
        ] {
            check(&grants, "ioctl", &[3, request], answer);
        }
    }
    check(&network(), "ioctl", &[3, 0x8933], Done);
    check(&network(), "ioctl", &[3, 0x8914], NotPermitted); // SIOCSIFFLAGS
    let devices = Circumstances {
        devices: true,
        ..here()
    };
    for (request, answer) in [
        (0xc250_b407, Done),         // GPIO_V2_GET_LINE_IOCTL
        (0xc25c_4111, Done),         // SNDRV_PCM_IOCTL_HW_PARAMS
        (0x5402, Done),              // TCSETS
        (0x5412, NotPermitted),      // TIOCSTI
        (0x540e, NotPermitted),      // TIOCSCTTY
        (0x541c, NotPermitted),      // TIOCLINUX
        (0x4008_6602, NotPermitted), // FS_IOC_SETFLAGS
    ] {
        check_in(&devices, &Grants::default(), "ioctl", &[3, request], answer);
    }
}

#[test]
fn sockets_are_of_the_granted_kinds() {
    const CLOEXEC: u64 = 0o2_000_000;
    // family, type, protocol: without a grant, with the network, with local sockets
    for (socket, none, network_answer, local) in [
        ([2, 1 | CLOEXEC, 0], NotPermitted, Done, NotPermitted),
        ([10, 1, 6], NotPermitted, Done, NotPermitted),
        ([2, 2, 17], NotPermitted, Done, NotPermitted),
        ([16, 3 | CLOEXEC, 0], NotPermitted, Done, NotPermitted),
        ([1, 1, 0], NotPermitted, NotPermitted, Done),
        ([1, 5, 0], NotPermitted, NotPermitted, Done),
        ([2, 1, 262], NotPermitted, NotPermitted, NotPermitted), // MPTCP
        ([2, 1, 132], NotPermitted, NotPermitted, NotPermitted), // SCTP
        ([2, 5, 132], NotPermitted, NotPermitted, NotPermitted),
        ([2, 6, 33], NotPermitted, NotPermitted, NotPermitted), // DCCP
        ([2, 2, 136], NotPermitted, NotPermitted, NotPermitted), // UDP-Lite
        ([2, 2, 1], NotPermitted, NotPermitted, NotPermitted),  // ping
        ([2, 3, 255], NotPermitted, NotPermitted, NotPermitted), // raw
        ([16, 3, 15], NotPermitted, NotPermitted, NotPermitted), // uevents
        ([17, 3, 0], NotPermitted, NotPermitted, NotPermitted), // packets
        ([38, 5, 0], NotPermitted, NotPermitted, NotPermitted), // the kernel's ciphers
        ([40, 1, 0], NotPermitted, NotPermitted, NotPermitted), // virtual machines
        ([43, 1, 0], NotPermitted, NotPermitted, NotPermitted), // SMC
    ] {
        let unix = Grants {
            unix_sockets: true,
            ..Grants::default()
        };
        check(&Grants::default(), "socket", &socket, none);
        check(&network(), "socket", &socket, network_answer);
        check(&unix, "socket", &socket, local);
        check(&exec(), "socket", &socket, none);
    }
    let unix = Grants {
        unix_sockets: true,
        ..Grants::default()
    };
    for (kind, without) in [(1, Done), (5, Done), (2, NotPermitted), (3, NotPermitted)] {
        for grants in [Grants::default(), network(), exec(), own_user()] {
            check(&grants, "socketpair", &[1, kind | CLOEXEC, 0], without);
        }
    }
    check(&unix, "socketpair", &[1, 2, 0], Done);
    check(&Grants::default(), "socketpair", &[30, 1, 0], NotPermitted);
}

#[test]
fn nothing_is_sent_or_listened_past_the_rules_for_ports() {
    const FASTOPEN: u64 = 0x2000_0000;
    const NOSIGNAL: u64 = 0x4000;
    for (name, flags) in [("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)] {
        let mut arguments = [0; 6];
        arguments[flags] = NOSIGNAL;
        check(&network(), name, &arguments, Done);
        for refused in [FASTOPEN, libc::MSG_OOB as u64] {
            arguments[flags] = NOSIGNAL | refused;
            check(&network(), name, &arguments, NotPermitted);
        }
    }
    check(&network(), "connect", &[], Done);
    check(&network(), "bind", &[], Done);
    check(&network(), "listen", &[], NotPermitted);
    let server = Grants {
        bind_tcp: Ports::Only(vec![8080]),
        ..Grants::default()
    };
    check(&server, "listen", &[], Done);
}

#[test]
fn threads_are_not_processes_and_namespaces_are_neither() {
    let own_files = (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND) as u64;
    let thread = own_files | libc::CLONE_FILES as u64;
    let process = libc::SIGCHLD as u64;
    check(&Grants::default(), "clone", &[thread], Done);
    // What it has open is measured in one place.
    check(&Grants::default(), "clone", &[own_files], NotPermitted);
    check(&Grants::default(), "close_range", &[3, 4, 0], Done);
    check(&Grants::default(), "close_range", &[3, 4, 2], NotPermitted);
    check(&exec(), "close_range", &[3, 4, 2], Done);
    check(&Grants::default(), "clone", &[process], NotPermitted);
    check(&exec(), "clone", &[process], Done);
    for flag in [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWNET,
        libc::CLONE_PARENT,
        libc::CLONE_PTRACE,
    ] {
        for grants in [Grants::default(), exec()] {
            check(&grants, "clone", &[process | flag as u64], NotPermitted);
            check(&grants, "clone", &[thread | flag as u64], NotPermitted);
        }
    }
}

#[test]
fn memory_that_no_limit_counts_is_refused() {
    let flags = |flags: i32| [0, 4096, 3, flags as u64];
    for allowed in [
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
        libc::MAP_PRIVATE,
        libc::MAP_SHARED,
    ] {
        check(&Grants::default(), "mmap", &flags(allowed), Done);
    }
    // What counts as a stack and not as memory, of everybody.
    for grants in [Grants::default(), exec(), own_user()] {
        let downwards = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_GROWSDOWN;
        check(&grants, "mmap", &flags(downwards), NotPermitted);
        check(&grants, "mremap", &[0x1000, 0x1000, 0x2000, 1], NotPermitted);
        check(&grants, "map_shadow_stack", &[0, 0x1000, 0], Unknown);
    }
    for refused in [libc::MAP_SHARED, libc::MAP_SHARED_VALIDATE] {
        check(
            &Grants::default(),
            "mmap",
            &flags(refused | libc::MAP_ANONYMOUS),
            NotPermitted,
        );
        check(&exec(), "mmap", &flags(refused | libc::MAP_ANONYMOUS), Done);
    }
}

/// No file is larger than it may be, and no socket wider than it is by itself.
#[test]
fn room_that_no_limit_counts_is_refused() {
    for grants in [Grants::default(), exec(), network()] {
        for (mode, answer) in [
            (0, Done),
            (3, Done), // FALLOC_FL_PUNCH_HOLE, FALLOC_FL_KEEP_SIZE
            (1, NotPermitted),
            (0x10, NotPermitted), // FALLOC_FL_ZERO_RANGE
            (0x11, NotPermitted),
            (0x20, NotPermitted), // FALLOC_FL_INSERT_RANGE
        ] {
            check(&grants, "fallocate", &[3, mode], answer);
        }
        for (level, option, answer) in [
            (libc::SOL_SOCKET, libc::SO_REUSEADDR, Done),
            (libc::SOL_SOCKET, libc::SO_KEEPALIVE, Done),
            (libc::IPPROTO_TCP, libc::TCP_NODELAY, Done),
            // The same number, of another level.
            (libc::IPPROTO_TCP, libc::SO_SNDBUF, Done),
            (libc::SOL_SOCKET, libc::SO_SNDBUF, NotPermitted),
            (libc::SOL_SOCKET, libc::SO_RCVBUF, NotPermitted),
            // Whoever closes it last would wait.
            (libc::SOL_SOCKET, libc::SO_LINGER, NotPermitted),
            (libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, NotPermitted),
            (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, NotPermitted),
        ] {
            check(&grants, "setsockopt", &[3, level as u64, option as u64], answer);
        }
    }
}

#[test]
fn attributes_are_for_those_who_own_only_what_is_theirs() {
    for name in allowed::ATTRIBUTES
        .iter()
        .filter(|name| !allowed::AS_IF_UNKNOWN.contains(name))
    {
        check(&Grants::default(), name, &[], NotPermitted);
        check(&network(), name, &[], NotPermitted);
        check(&own_user(), name, &[], Done);
        check(&exec(), name, &[], Done);
        let root = Circumstances { root: true, ..here() };
        check_in(&root, &exec(), name, &[], NotPermitted);
    }
    for name in ["setsid", "setpgid", "execve", "fork", "pidfd_open"] {
        check(&exec(), name, &[], Done);
        check(&own_user(), name, &[], NotPermitted);
    }
}
