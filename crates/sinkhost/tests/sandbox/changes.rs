//! What a sandboxed process may change beyond its own files: attributes, other processes, what outlives it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use libtest_mimic::Trial;
use watchpost_sinkhost_protocol::sandbox::{Grants, Ports, RunAs};

use crate::support::{deed, grants, ports, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("changes::attributes_of_files_stay", attributes_of_files_stay),
        trial(
            "changes::a_user_of_its_own_may_chmod_its_own",
            a_user_of_its_own_may_chmod_its_own,
        ),
        trial(
            "changes::other_processes_are_left_alone",
            other_processes_are_left_alone,
        ),
        trial(
            "changes::nothing_outlives_the_process",
            nothing_outlives_the_process,
        ),
        trial(
            "changes::no_way_around_the_rules_for_ports",
            no_way_around_the_rules_for_ports,
        ),
        trial("changes::what_is_newer_is_unknown", what_is_newer_is_unknown),
        trial("changes::programs_do_their_work", programs_do_their_work),
    ]
}

fn attributes_of_files_stay() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let before = fs::metadata(&file).unwrap();
    let granted = Grants {
        connect_tcp: Ports::Any,
        unix_sockets: true,
        ..grants(dir.path())
    };
    for act in [
        "chmod",
        "fchmod",
        "chown",
        "touch",
        "set-attribute",
        "set-flags",
        "lease",
        "watch",
    ] {
        let said = deed(&granted, &format!("{act} {}", file.display()));
        assert_eq!(said, "EPERM", "{act}");
    }
    let after = fs::metadata(&file).unwrap();
    assert_eq!(before.permissions().mode(), after.permissions().mode());
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
}

fn a_user_of_its_own_may_chmod_its_own() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (own, foreign) = (dir.path().join("own"), dir.path().join("foreign"));
    for file in [&own, &foreign] {
        fs::write(file, "x").unwrap();
    }
    let user = 61_236;
    std::os::unix::fs::chown(&own, Some(user), Some(user)).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let granted = Grants {
        user: Some(RunAs {
            uid: user,
            gid: user,
            groups: Vec::new(),
        }),
        ..grants(dir.path())
    };
    assert_eq!(deed(&granted, &format!("chmod {}", own.display())), "ok");
    assert_eq!(deed(&granted, &format!("chmod {}", foreign.display())), "EPERM");
}

fn other_processes_are_left_alone() {
    let this = std::process::id();
    for granted in [Grants::default(), exec()] {
        for act in ["nice", "idle", "pin", "io-idle"] {
            assert_eq!(deed(&granted, &format!("{act} {this}")), "EPERM", "{act}");
        }
        for act in [&format!("own-by {this}"), "signal-by 9", "nice-all"] {
            assert_eq!(deed(&granted, act), "EPERM", "{act}");
        }
    }
    let group = rustix::process::getpgrp().as_raw_pid();
    assert_eq!(deed(&Grants::default(), &format!("join-group {group}")), "EPERM");
    assert_eq!(deed(&Grants::default(), "new-session"), "EPERM");
}

fn nothing_outlives_the_process() {
    for granted in [Grants::default(), exec()] {
        for act in [
            "shared-segment",
            "message-queue",
            "semaphores",
            "posix-queue",
            "memfd",
        ] {
            assert_eq!(deed(&granted, act), "EPERM", "{act}");
        }
    }
    assert_eq!(deed(&Grants::default(), "share-memory"), "EPERM");
    assert_eq!(deed(&exec(), "share-memory"), "ok");
}

fn no_way_around_the_rules_for_ports() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let granted = Grants {
        connect_tcp: ports(&[443]),
        ..Grants::default()
    };
    for act in [
        &format!("connect {port}"),
        &format!("fast-open {port}"),
        "mptcp",
        "listen-unbound",
    ] {
        assert!(
            ["EPERM", "EACCES"].contains(&deed(&granted, act).as_str()),
            "{act}"
        );
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "a connection came through");
}

fn what_is_newer_is_unknown() {
    assert_eq!(deed(&Grants::default(), "newer-call"), "ENOSYS");
    assert_eq!(deed(&Grants::default(), "clone3"), "ENOSYS");
}

fn exec() -> Grants {
    Grants {
        exec: true,
        ..Grants::default()
    }
}

/// Shells and interpreters under the wider filter. What is not installed is not tried.
fn programs_do_their_work() {
    let dir = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let granted = Grants {
        connect_tcp: ports(&[port]),
        memory_bytes: None,
        ..Grants {
            exec: true,
            ..grants(dir.path())
        }
    };
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut peer in listener.incoming().flatten() {
            let _ = peer.read(&mut [0; 1024]);
            let _ = peer.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        }
    });
    let at = dir.path().display();
    for (program, script) in [
        ("bash", format!("cd {at}; (echo a; sleep 0) | cat > f && wait && setsid true && kill -0 $$ && cat f")),
        (
            "python3",
            "python3 -c 'import subprocess,threading,tempfile,socket,json; t=threading.Thread(target=print); \
             t.start(); t.join(); subprocess.run([\"true\"],check=True,start_new_session=True); print(\"a\")'"
                .to_owned(),
        ),
        ("curl", format!("curl -s -o {at}/body http://127.0.0.1:{port}/ && echo a")),
        (
            "ffmpeg",
            format!("ffmpeg -v error -f lavfi -i testsrc=duration=1:size=64x64:rate=5 -y {at}/v.mp4 && echo a"),
        ),
    ] {
        if std::path::Path::new("/usr/bin").join(program).exists() {
            assert_eq!(deed(&granted, &format!("script {script}")), "ok: 0 a", "{program}");
        }
    }
}
