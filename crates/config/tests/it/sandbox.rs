//! `[sink.sandbox]`: what it can say, and what is said when it says it wrong.

use std::path::PathBuf;

use expect_test::expect;
use watchpost_config::{ByteSize, Ports, SinkUser};

use crate::site::{CONNECTION, Site};

fn site(sandbox: &str) -> Site {
    let sink = "[[sink]]\nname = \"mail\"\nplugin = \"mail\"\n[sink.sandbox]\n";
    Site::new(&format!("{CONNECTION}{sink}{sandbox}"))
}

#[test]
fn grants_are_read() {
    let loaded = site(
        "read = [\"/etc/mail\"]\nconnect = [587, 8883]\nlisten = \"any\"\nmemory = \"64MiB\"\nuser = \"mail\"\ngroups = [\"gpio\"]\n",
    )
    .loaded();
    let sandbox = &loaded.settings.sink[0].sandbox;
    assert_eq!(sandbox.read, [PathBuf::from("/etc/mail")]);
    assert_eq!(sandbox.connect, Ports::Only(vec![587, 8883]));
    assert_eq!(sandbox.listen, Ports::ANY);
    assert_eq!(sandbox.memory, ByteSize(64 << 20));
    assert_eq!(sandbox.user, Some(SinkUser::Named("mail".to_owned())));
    assert_eq!(sandbox.groups, ["gpio"]);
    let dynamic = site("user = \"dynamic\"\n").loaded();
    assert_eq!(dynamic.settings.sink[0].sandbox.user, Some(SinkUser::Dynamic));
    assert!(!sandbox.exec && !sandbox.unix_sockets && !sandbox.acknowledge && !sandbox.require);
}

#[test]
fn without_a_word_nothing_is_granted() {
    let loaded = site("").loaded();
    let sandbox = &loaded.settings.sink[0].sandbox;
    assert!(sandbox.read.is_empty() && sandbox.write.is_empty());
    assert_eq!(
        (&sandbox.connect, &sandbox.listen),
        (&Ports::default(), &Ports::default())
    );
}

#[test]
fn wrong_grants_have_their_place() {
    let errors = site(
        "read = [\"mail.pem\"]\nconnect = [0, 587]\nlisten = \"all\"\nwrite = \"/srv\"\nopen_files = 3\nexce = true\n",
    )
    .errors();
    expect![[r#"
        watchpost.toml:10:9
          × `read` in [sink.sandbox] of `mail` is relative
            ╭─[watchpost.toml:10:9]
          9 │ [sink.sandbox]
         10 │ read = ["mail.pem"]
            ·         ─────┬────
            ·              ╰── here
         11 │ connect = [0, 587]
            ╰────
          help: write the whole path, from `/` on: what is granted must be plain to see
        watchpost.toml:11:12
          × `connect` in [sink.sandbox] of `mail` cannot be 0
            ╭─[watchpost.toml:11:12]
         10 │ read = ["mail.pem"]
         11 │ connect = [0, 587]
            ·            ┬
            ·            ╰── out of range
         12 │ listen = "all"
            ╰────
          help: expected 1 to 65535
        watchpost.toml:12:10
          × `listen` in [sink.sandbox] of `mail` must be an array of numbers, such as [587], or "any", and is a string
            ╭─[watchpost.toml:12:10]
         11 │ connect = [0, 587]
         12 │ listen = "all"
            ·          ──┬──
            ·            ╰── a string
         13 │ write = "/srv"
            ╰────
        watchpost.toml:13:9
          × `write` in [sink.sandbox] of `mail` must be an array, such as ["a", "b"], and is a string
            ╭─[watchpost.toml:13:9]
         12 │ listen = "all"
         13 │ write = "/srv"
            ·         ───┬──
            ·            ╰── a string
         14 │ open_files = 3
            ╰────
          help: write ["/srv"]
        watchpost.toml:14:14
          × `open_files` in [sink.sandbox] of `mail` cannot be 3
            ╭─[watchpost.toml:14:14]
         13 │ write = "/srv"
         14 │ open_files = 3
            ·              ┬
            ·              ╰── out of range
         15 │ exce = true
            ╰────
          help: expected 64 to 65536
        watchpost.toml:15:1
          × unknown key `exce` in [sink.sandbox] of `mail`
            ╭─[watchpost.toml:15:1]
         14 │ open_files = 3
         15 │ exce = true
            · ──┬─
            ·   ╰── not a key here
            ╰────
          help: did you mean `exec`?
    "#]]
    .assert_eq(&errors);
}

#[test]
fn the_port_of_the_hub_is_no_grant() {
    let sinks = "[[sink]]\nname = \"hook\"\nplugin = \"webhook\"\n[sink.sandbox]\nconnect = [443, 8787]\nlisten = \"any\"\n";
    let yard = "[[connection]]\nname = \"yard\"\nkind = \"inbound\"\ntoken = \"0123456789abcdef\"\n";
    expect![[r#"
        watchpost.toml:9:11
          × `connect` in [sink.sandbox] of `hook` names 8787, the hub's own port, which no sink may use
            ╭─[watchpost.toml:9:11]
          8 │ [sink.sandbox]
          9 │ connect = [443, 8787]
            ·           ─────┬─────
            ·                ╰── here
         10 │ listen = "any"
            ╰────
          help: take it out; if it is meant for another machine, give `listen` in [web] another port
    "#]]
    .assert_eq(&Site::new(&format!("{yard}{sinks}")).errors());
    // Where nothing is served it is a port as any other.
    let loaded = Site::new(&format!("{CONNECTION}{sinks}")).loaded();
    assert_eq!(loaded.settings.own_port(), None);
}

#[test]
fn too_little_memory_is_refused() {
    expect![[r#"
        watchpost.toml:10:10
          × `memory` in [sink.sandbox] of `mail` cannot be 1MiB
            ╭─[watchpost.toml:10:10]
          9 │ [sink.sandbox]
         10 │ memory = "1MiB"
            ·          ───┬──
            ·             ╰── here
            ╰────
          help: expected 16MiB or more: the plugin's process needs some to start
    "#]]
    .assert_eq(&site("memory = \"1MiB\"\n").errors());
}

#[test]
fn groups_are_those_of_a_user() {
    let errors = site("groups = [\"gpio\"]\n").errors();
    expect![[r#"
        watchpost.toml:10:10
          × `groups` in [sink.sandbox] of `mail` is given without `user`
            ╭─[watchpost.toml:10:10]
          9 │ [sink.sandbox]
         10 │ groups = ["gpio"]
            ·          ────┬───
            ·              ╰── here
            ╰────
          help: they are groups of a user that the sink runs as: add `user = "dynamic"`, or leave them out
    "#]]
    .assert_eq(&errors);
}
