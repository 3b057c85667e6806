//! What can be used up, and what is inherited.

use std::os::unix::fs::MetadataExt as _;

use libtest_mimic::Trial;
use watchpost_sinkhost_protocol::sandbox::{Grants, RunAs};

use crate::support::{child, deed, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("limits::memory_is_refused", memory_is_refused),
        trial("limits::room_runs_out", room_runs_out),
        trial(
            "limits::pictures_do_not_count_as_memory",
            pictures_do_not_count_as_memory,
        ),
        trial("limits::open_files_run_out", open_files_run_out),
        trial("limits::a_file_grows_no_further", a_file_grows_no_further),
        trial("limits::tasks_run_out", tasks_run_out),
        trial("limits::timers_run_out", timers_run_out),
        trial("limits::nothing_is_dumped", nothing_is_dumped),
        trial("limits::a_limit_cannot_be_raised", a_limit_cannot_be_raised),
        trial(
            "limits::without_limits_there_are_none_but_core",
            without_limits_there_are_none_but_core,
        ),
        trial(
            "limits::the_plugin_dies_before_the_hub",
            the_plugin_dies_before_the_hub,
        ),
        trial("limits::nothing_is_inherited", nothing_is_inherited),
        trial("limits::stdin_is_empty", stdin_is_empty),
    ]
}

const MIB: u64 = 1 << 20;

fn small() -> Grants {
    Grants {
        memory_bytes: Some(64 * MIB),
        ..Grants::default()
    }
}

fn memory_is_refused() {
    assert_eq!(deed(&small(), &format!("allocate {}", 32 * MIB)), "ok");
    assert_eq!(deed(&small(), &format!("allocate {}", 128 * MIB)), "ENOMEM");
    // What most programs do about it.
    assert_eq!(
        child(&small(), &format!("insist-on {}", 128 * MIB)).signal,
        Some(libc::SIGABRT)
    );
}

/// What is reserved and not written to takes no memory, but for the kernel's tables of it.
fn room_runs_out() {
    let reserve = |grants: &Grants, mib: u64| deed(grants, &format!("reserve-room {}", mib * MIB));
    assert_eq!(reserve(&small(), 8 << 10), "ok");
    assert_eq!(reserve(&small(), 17 << 10), "ENOMEM");
    let starts_programs = Grants {
        exec: true,
        ..small()
    };
    assert_eq!(reserve(&starts_programs, 17 << 10), "ok");
    for grants in [small(), starts_programs] {
        let stack = deed(&grants, &format!("limit-of {}", libc::RLIMIT_STACK));
        assert_eq!(stack, format!("ok: {0} of {0}", 8 * MIB));
    }
}

fn pictures_do_not_count_as_memory() {
    let dir = tempfile::tempdir().unwrap();
    let granted = Grants {
        write: vec![dir.path().into()],
        ..small()
    };
    let picture = dir.path().join("picture");
    assert_eq!(
        deed(
            &granted,
            &format!("map-shared {} {}", picture.display(), 1024 * MIB)
        ),
        "ok"
    );
}

fn open_files_run_out() {
    let grants = Grants {
        open_files: Some(32),
        ..Grants::default()
    };
    assert_eq!(deed(&grants, "open-many"), "ok: 29 and then EMFILE");
}

/// It is an error to who writes, and not its end.
fn a_file_grows_no_further() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let granted = Grants {
        write: vec![dir.path().into()],
        file_bytes: Some(MIB),
        ..Grants::default()
    };
    let write = |bytes: u64| deed(&granted, &format!("write-much {} {bytes}", file.display()));
    assert_eq!(write(MIB), "ok");
    assert_eq!(write(MIB + 1), "File too large (os error 27)");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), MIB);
    // Nor does it take up more than it is long.
    let reserve =
        |mode: i32, bytes: u64| deed(&granted, &format!("reserve {} {mode} {bytes}", file.display()));
    assert_eq!(reserve(0, MIB), "ok");
    assert_eq!(reserve(0, MIB + 1), "File too large (os error 27)");
    assert_eq!(reserve(libc::FALLOC_FL_KEEP_SIZE, 64 * MIB), "EPERM");
    assert_eq!(std::fs::metadata(&file).unwrap().blocks() * 512, MIB);
}

fn tasks_run_out() {
    // Root is not bound, so be someone else.
    let user = rustix::process::geteuid().is_root().then_some(RunAs {
        uid: 61_235,
        gid: 61_235,
        groups: Vec::new(),
    });
    let one = Grants {
        exec: true,
        processes: Some(1),
        user,
        ..Grants::default()
    };
    assert_eq!(deed(&one, "fork"), "EAGAIN");
    assert_eq!(deed(&one, "thread"), "EAGAIN");
}

fn timers_run_out() {
    let limit = format!("limit-of {}", libc::RLIMIT_SIGPENDING);
    assert_eq!(deed(&Grants::default(), &limit), "ok: 256 of 256");
}

fn nothing_is_dumped() {
    assert_eq!(
        deed(&Grants::default(), &format!("limit-of {}", libc::RLIMIT_CORE)),
        "ok: 0 of 0"
    );
}

fn a_limit_cannot_be_raised() {
    assert_eq!(
        deed(
            &Grants::default(),
            &format!("raise-limit {}", libc::RLIMIT_NOFILE)
        ),
        "EPERM"
    );
}

fn without_limits_there_are_none_but_core() {
    let grants = Grants {
        memory_bytes: None,
        open_files: None,
        ..Grants::default()
    };
    assert_eq!(deed(&grants, &format!("allocate {}", 512 * MIB)), "ok");
    assert_eq!(
        deed(&grants, &format!("limit-of {}", libc::RLIMIT_CORE)),
        "ok: 0 of 0"
    );
}

fn the_plugin_dies_before_the_hub() {
    assert_eq!(deed(&Grants::default(), "status oom_score_adj"), "ok: 500");
}

fn nothing_is_inherited() {
    assert_eq!(
        deed(&Grants::default(), "descriptors /etc/hosts"),
        "ok: [0, 1, 2]"
    );
}

fn stdin_is_empty() {
    assert_eq!(deed(&Grants::default(), "stdin"), "ok: 0 bytes");
}
