//! What can be started, and what can be done to others.

use libtest_mimic::Trial;
use watchpost_sinkhost_protocol::sandbox::{Grants, RunAs};

use crate::support::{child, deed, trial};

/// A number that no user has, for tests that run as root.
const UNUSED_USER: u32 = 61_234;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "processes::without_exec_there_are_threads_only",
            without_exec_there_are_threads_only,
        ),
        trial("processes::exec_starts_programs", exec_starts_programs),
        trial("processes::others_are_left_alone", others_are_left_alone),
        trial(
            "processes::system_calls_no_sink_needs_are_refused",
            system_calls_no_sink_needs_are_refused,
        ),
        trial("processes::an_abort_still_kills", an_abort_still_kills),
        trial("processes::privileges_are_gone", privileges_are_gone),
        trial("processes::another_user_takes_root", another_user_takes_root),
        trial("processes::threads_come_later", threads_come_later),
    ]
}

fn exec() -> Grants {
    Grants {
        exec: true,
        ..Grants::default()
    }
}

fn without_exec_there_are_threads_only() {
    assert_eq!(deed(&Grants::default(), "thread"), "ok");
    assert_eq!(deed(&Grants::default(), "fork"), "EPERM");
    assert_eq!(deed(&Grants::default(), "run /bin/true"), "EPERM");
    // The C library asks for clone3 first and must believe that it is too new for this kernel.
    assert_eq!(deed(&Grants::default(), "clone3"), "ENOSYS");
}

fn exec_starts_programs() {
    assert_eq!(deed(&exec(), "thread"), "ok");
    assert_eq!(deed(&exec(), "fork"), "ok");
    assert_eq!(deed(&exec(), "run /bin/true"), "ok: exit status: 0");
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("true");
    std::fs::copy("/bin/true", &program).unwrap();
    let run = format!("run {}", program.display());
    assert_eq!(
        deed(
            &Grants {
                read: vec![program.clone()],
                ..exec()
            },
            &run
        ),
        "ok: exit status: 0"
    );
    // What a plugin can write it cannot run.
    assert_eq!(
        deed(
            &Grants {
                write: vec![program],
                ..exec()
            },
            &run
        ),
        "EACCES"
    );
}

fn others_are_left_alone() {
    let this = std::process::id();
    for grants in [Grants::default(), exec()] {
        assert_eq!(deed(&grants, &format!("signal {this}")), "EPERM");
        assert_eq!(deed(&grants, "signal-self"), "ok");
        assert_eq!(deed(&grants, &format!("limit-other {this}")), "EPERM");
        assert_eq!(deed(&grants, &format!("peek {this}")), "EPERM");
        assert_eq!(deed(&grants, &format!("read /proc/{this}/environ")), "EACCES");
    }
}

fn system_calls_no_sink_needs_are_refused() {
    for grants in [Grants::default(), exec()] {
        for act in [
            "ptrace",
            "mount",
            "namespace",
            "clone-namespace",
            "uring",
            "set-clock",
        ] {
            assert_eq!(deed(&grants, act), "EPERM", "{act}");
        }
    }
    if cfg!(target_arch = "x86_64") {
        assert_eq!(deed(&Grants::default(), "x32"), "ENOSYS");
    }
}

/// The C library aborts by a signal to itself, which must not be taken for one to others.
fn an_abort_still_kills() {
    assert_eq!(child(&Grants::default(), "abort").signal, Some(libc::SIGABRT));
}

fn privileges_are_gone() {
    assert_eq!(deed(&Grants::default(), "status CapEff"), "ok: 0000000000000000");
    assert_eq!(deed(&Grants::default(), "status CapPrm"), "ok: 0000000000000000");
    assert_eq!(deed(&Grants::default(), "status NoNewPrivs"), "ok: 1");
}

fn another_user_takes_root() {
    let user = RunAs {
        uid: UNUSED_USER,
        gid: UNUSED_USER,
        groups: vec![20],
    };
    let grants = Grants {
        user: Some(user),
        ..Grants::default()
    };
    if rustix::process::geteuid().is_root() {
        let id = UNUSED_USER;
        assert_eq!(deed(&grants, "status Uid"), format!("ok: {id} {id} {id} {id}"));
        assert_eq!(deed(&grants, "status Gid"), format!("ok: {id} {id} {id} {id}"));
        assert_eq!(deed(&grants, "status Groups"), "ok: 20");
        assert_eq!(deed(&grants, "status CapEff"), "ok: 0000000000000000");
    } else {
        let report = child(&grants, "nothing").report;
        assert!(report.contains("only a hub that runs as root"), "{report}");
    }
}

fn threads_come_later() {
    assert_eq!(
        child(&Grants::default(), "have-thread").report,
        "the sandbox must be put in force before a second thread starts, and there are 2"
    );
}
