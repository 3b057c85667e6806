//! Which sockets can be had and where they lead.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use libtest_mimic::Trial;
use watchpost_sinkhost_protocol::sandbox::{Grants, Ports};

use crate::support::{deed, ports, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "network::without_a_grant_there_is_none",
            without_a_grant_there_is_none,
        ),
        trial(
            "network::a_granted_port_can_be_reached_and_no_other",
            a_granted_port_can_be_reached_and_no_other,
        ),
        trial("network::any_port_is_any_port", any_port_is_any_port),
        trial(
            "network::a_closed_port_is_in_no_grant",
            a_closed_port_is_in_no_grant,
        ),
        trial(
            "network::listening_is_a_grant_of_its_own",
            listening_is_a_grant_of_its_own,
        ),
        trial("network::names_resolve", names_resolve),
        trial(
            "network::local_sockets_are_a_grant_of_their_own",
            local_sockets_are_a_grant_of_their_own,
        ),
    ]
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn without_a_grant_there_is_none() {
    let (_listener, port) = listener();
    for act in [
        &format!("connect {port}"),
        &format!("connect6 {port}"),
        "listen 0",
        "udp",
        "packet-socket",
    ] {
        assert_eq!(deed(&Grants::default(), act), "EPERM", "{act}");
    }
}

fn a_granted_port_can_be_reached_and_no_other() {
    let ((_one, granted), (_two, other)) = (listener(), listener());
    let grants = Grants {
        connect_tcp: ports(&[granted]),
        ..Grants::default()
    };
    assert_eq!(deed(&grants, &format!("connect {granted}")), "ok");
    assert_eq!(deed(&grants, &format!("connect {other}")), "EACCES");
    assert_eq!(deed(&grants, "listen 0"), "EACCES");
    // For names. The price is said in the documentation.
    assert_eq!(deed(&grants, "udp"), "ok");
    assert_eq!(deed(&grants, "packet-socket"), "EPERM");
}

fn a_closed_port_is_in_no_grant() {
    let ((_one, open), (_two, closed)) = (listener(), listener());
    for granted in [Ports::Any, ports(&[open, closed])] {
        let grants = Grants {
            connect_tcp: granted.clone(),
            bind_tcp: granted,
            closed_tcp: vec![closed],
            ..Grants::default()
        };
        assert_eq!(deed(&grants, &format!("connect {open}")), "ok");
        assert_eq!(deed(&grants, &format!("connect {closed}")), "EACCES");
        assert_eq!(deed(&grants, &format!("listen {closed}")), "EACCES");
    }
}

fn any_port_is_any_port() {
    let (_listener, port) = listener();
    let grants = Grants {
        connect_tcp: Ports::Any,
        ..Grants::default()
    };
    assert_eq!(deed(&grants, &format!("connect {port}")), "ok");
    assert_eq!(deed(&grants, "listen 0"), "EACCES");
}

fn listening_is_a_grant_of_its_own() {
    let (listener, port) = listener();
    drop(listener);
    let grants = Grants {
        bind_tcp: ports(&[port]),
        ..Grants::default()
    };
    assert_eq!(deed(&grants, &format!("listen {port}")), "ok");
    assert_eq!(deed(&grants, "listen 0"), "EACCES");
    assert_eq!(deed(&grants, &format!("connect {port}")), "EACCES");
}

fn names_resolve() {
    let grants = Grants {
        connect_tcp: ports(&[443]),
        ..Grants::default()
    };
    assert_eq!(deed(&grants, "resolve localhost"), "ok: loopback");
}

fn local_sockets_are_a_grant_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let name = format!("watchpost-sandbox-test-{}", std::process::id());
    let _hidden = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let (path, hidden) = (format!("unix {}", path.display()), format!("abstract {name}"));

    let without = Grants {
        write: vec![dir.path().into()],
        ..Grants::default()
    };
    assert_eq!(deed(&without, &path), "EPERM");
    assert_eq!(deed(&without, &hidden), "EPERM");
    assert_eq!(deed(&without, "pair"), "ok");
    let with = Grants {
        unix_sockets: true,
        ..without
    };
    assert_eq!(deed(&with, &path), "ok");
    // An abstract socket has no path that a grant could name.
    assert_eq!(deed(&with, &hidden), "EPERM");
    assert_eq!(deed(&with, "udp"), "EPERM");
}
