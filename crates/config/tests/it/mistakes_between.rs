//! Mistakes between values, between files and in the environment, and what is shown of them.

use expect_test::{Expect, expect};

use crate::site::{CONNECTION, Site};

fn check(main: &str, expected: Expect) {
    let shown = Site::new(main).errors();
    assert!(
        !shown.contains("s3cret") && !shown.contains("123454321"),
        "a secret is shown:\n{shown}"
    );
    expected.assert_eq(&shown);
}

#[test]
fn two_sinks_of_one_name() {
    check(
        &(CONNECTION.to_owned()
            + r#"
[[sink]]
name = "archive"
plugin = "archive"

[[sink]]
name = "archive"
plugin = "mail"
"#),
        expect![[r#"
            watchpost.toml:12:8
              × there are two sinks of the name `archive`
                ╭─[watchpost.toml:12:8]
              7 │ [[sink]]
              8 │ name = "archive"
                ·        ────┬────
                ·            ╰── first here
              9 │ plugin = "archive"
             10 │
             11 │ [[sink]]
             12 │ name = "archive"
                ·        ────┬────
                ·            ╰── again here
             13 │ plugin = "mail"
                ╰────
              help: give each its own name; the first is at watchpost.toml:8:8
        "#]],
    );
}

#[test]
fn routes_to_what_is_not_there() {
    check(
        &(CONNECTION.to_owned()
            + r#"
[[sink]]
name = "archive"
plugin = "archive"

[[route]]
sinks = ["archiv", "siren"]
match = { connection = "mian" }

[[route]]
sinks = []
"#),
        expect![[r#"
            watchpost.toml:12:10
              × there is no sink `archiv`
                ╭─[watchpost.toml:12:10]
             11 │ [[route]]
             12 │ sinks = ["archiv", "siren"]
                ·          ────┬───
                ·              ╰── no `[[sink]]` has this name
             13 │ match = { connection = "mian" }
                ╰────
              help: did you mean "archive"?
            watchpost.toml:12:20
              × there is no sink `siren`
                ╭─[watchpost.toml:12:20]
             11 │ [[route]]
             12 │ sinks = ["archiv", "siren"]
                ·                    ───┬───
                ·                       ╰── no `[[sink]]` has this name
             13 │ match = { connection = "mian" }
                ╰────
              help: these are there: archive
            watchpost.toml:13:24
              × there is no connection `mian`
                ╭─[watchpost.toml:13:24]
             12 │ sinks = ["archiv", "siren"]
             13 │ match = { connection = "mian" }
                ·                        ───┬──
                ·                           ╰── no `[[connection]]` has this name
             14 │
                ╰────
              help: did you mean "main"?
            watchpost.toml:16:9
              × this route feeds no sink
                ╭─[watchpost.toml:16:9]
             15 │ [[route]]
             16 │ sinks = []
                ·         ─┬
                ·          ╰── empty
                ╰────
              help: name a sink, or remove the route
        "#]],
    );
}

#[test]
fn errors_of_all_kinds_come_together() {
    check(
        r#"[[connection]]
name = "main"
url = "http://h"
user_id = "u"
tokn_file = "token"

[[sink]]
name = "archive"
plugin = "archive"
timeout = "30"

[[route]]
sinks = "archve"
"#,
        expect![[r#"
            watchpost.toml:5:1
              × unknown key `tokn_file` in [[connection]]
               ╭─[watchpost.toml:5:1]
             4 │ user_id = "u"
             5 │ tokn_file = "token"
               · ────┬────
               ·     ╰── not a key here
             6 │
               ╰────
              help: did you mean `token_file`?
            watchpost.toml:10:11
              × `timeout` in [[sink]] is not a duration: `30`
                ╭─[watchpost.toml:10:11]
              9 │ plugin = "archive"
             10 │ timeout = "30"
                ·           ──┬─
                ·             ╰── here
             11 │
                ╰────
              help: a unit is missing, write "30s" for seconds
            watchpost.toml:13:9
              × there is no sink `archve`
                ╭─[watchpost.toml:13:9]
             12 │ [[route]]
             13 │ sinks = "archve"
                ·         ────┬───
                ·             ╰── no `[[sink]]` has this name
                ╰────
              help: did you mean "archive"?
        "#]],
    );
}

#[test]
fn waits_that_shrink() {
    check(
        &(CONNECTION.to_owned()
            + r#"connect_timeout = "0s"
heartbeat = { interval = "60s" }
reconnect = { initial = "1m" }

[[sink]]
name = "x"
plugin = "x"
timeout = "0ms"
retry = { initial = "10m" }
"#),
        expect![[r#"
            watchpost.toml:6:19
              × `connect_timeout` cannot be zero
               ╭─[watchpost.toml:6:19]
             5 │ token_file = "token"
             6 │ connect_timeout = "0s"
               ·                   ──┬─
               ·                     ╰── here
             7 │ heartbeat = { interval = "60s" }
               ╰────
              help: expected some time, such as "1s"
            watchpost.toml:7:13
              × `timeout` (1m) must be longer than `interval` (1m)
               ╭─[watchpost.toml:7:13]
             6 │ connect_timeout = "0s"
             7 │ heartbeat = { interval = "60s" }
               ·             ──────────┬─────────
               ·                       ╰── here
             8 │ reconnect = { initial = "1m" }
               ╰────
              help: the answer to a ping needs time to come: twice the interval is good
            watchpost.toml:8:13
              × `max` (30s) must not be shorter than `initial` (1m)
               ╭─[watchpost.toml:8:13]
             7 │ heartbeat = { interval = "60s" }
             8 │ reconnect = { initial = "1m" }
               ·             ─────────┬────────
               ·                      ╰── here
             9 │
               ╰────
              help: raise `max` or lower `initial`
            watchpost.toml:13:11
              × `timeout` cannot be zero
                ╭─[watchpost.toml:13:11]
             12 │ plugin = "x"
             13 │ timeout = "0ms"
                ·           ──┬──
                ·             ╰── here
             14 │ retry = { initial = "10m" }
                ╰────
              help: expected some time, such as "1s"
            watchpost.toml:14:9
              × `max` (5m) must not be shorter than `initial` (10m)
                ╭─[watchpost.toml:14:9]
             13 │ timeout = "0ms"
             14 │ retry = { initial = "10m" }
                ·         ─────────┬─────────
                ·                  ╰── here
                ╰────
              help: raise `max` or lower `initial`
        "#]],
    );
}

#[test]
fn sizes_that_do_not_fit() {
    check(
        &(CONNECTION.to_owned()
            + r#"max_message = "8MiB"
intake_buffer = "4MiB"

[store]
max_size = "64MiB"

"#),
        expect![[r#"
            watchpost.toml:7:17
              × `intake_buffer` (4MiB) must not be less than `max_message` (8MiB)
               ╭─[watchpost.toml:7:17]
             6 │ max_message = "8MiB"
             7 │ intake_buffer = "4MiB"
               ·                 ───┬──
               ·                    ╰── here
             8 │
               ╰────
              help: one message of the largest size must fit
            watchpost.toml:10:12
              × `max_size` leaves no room for two files of `segment_size`
                ╭─[watchpost.toml:10:12]
              9 │ [store]
             10 │ max_size = "64MiB"
                ·            ───┬───
                ·               ╰── here
             11 │
                ╰────
              help: expected at least 128MiB
        "#]],
    );
}

#[test]
fn segments_of_no_use() {
    check(
        &(CONNECTION.to_owned()
            + r#"
[store]
segment_size = "1KiB"
"#),
        expect![[r#"
            watchpost.toml:8:16
              × `segment_size` cannot be 1KiB
               ╭─[watchpost.toml:8:16]
             7 │ [store]
             8 │ segment_size = "1KiB"
               ·                ───┬──
               ·                   ╰── here
               ╰────
              help: expected 1MiB to 4GiB
        "#]],
    );
}

#[test]
fn an_error_in_a_fragment_names_the_fragment() {
    let site = Site::new(CONNECTION)
        .file(
            "conf.d/20-mail.toml",
            "[[sink]]\nname = \"mail\"\nplugin = \"mail\"\n",
        )
        .file(
            "conf.d/30-more.toml",
            "\n[[sink]]\nname = \"mail\"\nplugn = \"mail\"\n",
        );
    expect![[r#"
        conf.d/30-more.toml:3:8
          × there are two sinks of the name `mail`
           ╭─[conf.d/30-more.toml:3:8]
         2 │ [[sink]]
         3 │ name = "mail"
           ·        ───┬──
           ·           ╰── again here
         4 │ plugn = "mail"
           ╰────
          help: give each its own name; the first is at conf.d/20-mail.toml:2:8
        conf.d/30-more.toml:4:1
          × unknown key `plugn` in [[sink]]
           ╭─[conf.d/30-more.toml:4:1]
         3 │ name = "mail"
         4 │ plugn = "mail"
           · ──┬──
           ·   ╰── not a key here
           ╰────
          help: did you mean `plugin`?
    "#]]
    .assert_eq(&site.errors());
}

#[test]
fn an_error_in_a_variable_names_the_variable() {
    let site = Site::new(CONNECTION)
        .variable("WATCHPOST__HUB__LOGG", "debug")
        .variable("WATCHPOST__CONNECTION__0__HEARTBEAT__TIMEOUT", "60")
        .variable("WATCHPOST__CONNECTION__0__TOKEN", "s3cret")
        .variable("WATCHPOST__SINK__3__TIMEOUT", "1s")
        .variable("WATCHPOST__STORE__RECENT", "many");
    let shown = site.errors();
    assert!(!shown.contains("s3cret"));
    expect![[r#"
        watchpost.toml:5:1
          × both `token` and `token_file` are given in [[connection]]
           ╭─[watchpost.toml:5:1]
         4 │ user_id = "550e8400-e29b-41d4-a716-446655440000"
         5 │ token_file = "token"
           · ─────┬────
           ·      ╰── and this
           ╰────
          help: leave `token_file` out, or `token` (environment variable WATCHPOST__CONNECTION__0__TOKEN)
        environment variable WATCHPOST__CONNECTION__0__HEARTBEAT__TIMEOUT
          × environment variable `WATCHPOST__CONNECTION__0__HEARTBEAT__TIMEOUT`: `timeout` in [connection.heartbeat] is not a duration: `60`
          help: a unit is missing, write "60s" for seconds
        environment variable WATCHPOST__HUB__LOGG
          × environment variable `WATCHPOST__HUB__LOGG`: unknown key `logg` in [hub]
          help: did you mean `log`?
        environment variable WATCHPOST__SINK__3__TIMEOUT
          × environment variable `WATCHPOST__SINK__3__TIMEOUT`: there is no element 3 there
          help: elements are counted from 0, and there is none yet: begin with 0
        environment variable WATCHPOST__STORE__RECENT
          × environment variable `WATCHPOST__STORE__RECENT`: `recent` in [store] must be a whole number, and is a string
    "#]].assert_eq(&shown);
}

#[test]
fn files_that_cannot_be_read() {
    let site = Site::new("");
    std::fs::remove_file(site.path("watchpost.toml")).unwrap();
    expect![[r#"
        nowhere
          × cannot read watchpost.toml: No such file or directory (os error 2)
          help: write one, or name another with `--config FILE`
    "#]]
    .assert_eq(&site.errors());
    std::fs::write(site.path("watchpost.toml"), b"[hub]\nlog = \"\xff\"\n").unwrap();
    expect![[r#"
        nowhere
          × cannot read watchpost.toml: line 2 is not UTF-8 text
          help: expected a text file in TOML
    "#]]
    .assert_eq(&site.errors());
    std::fs::write(site.path("watchpost.toml"), vec![b' '; (1 << 20) + 1]).unwrap();
    expect![[r#"
        nowhere
          × cannot read watchpost.toml: it has 1048577 bytes, expected at most 1048576
          help: expected a text file in TOML
    "#]]
    .assert_eq(&site.errors());
}

#[test]
fn errors_fit_in_a_line_of_a_log() {
    let errors = Site::new("[hub]\nlgo = 1\n").load().unwrap_err();
    let lines: Vec<String> = errors.errors().iter().map(|e| e.line()).collect();
    assert_eq!(errors.to_string(), "2 errors in the configuration");
    assert!(
        lines[1].ends_with("/watchpost.toml:2:1: unknown key `lgo` in [hub]"),
        "{}",
        lines[0]
    );
}

#[test]
fn what_plugins_find_wrong_has_its_place_and_hides_passwords() {
    let main = CONNECTION.to_owned()
        + r#"
[[sink]]
name = "mail"
plugin = "mail"

[sink.config]
host = 25
password = "s3cret"
retention = { max_size = "2Gib", keep = ["a", 1] }
"#;
    let site = Site::new(&main);
    let loaded = site.loaded();
    let errors = [
        loaded.sink_config_error(0, "/retention/keep/1", "1 is not of type \"string\"", None),
        loaded.sink_config_error(
            0,
            "/password",
            "\"s3cret\" is shorter than 8",
            Some("not s3cret".to_owned()),
        ),
        loaded.sink_config_error(0, "", "\"from\" is a required property", None),
        loaded.error_at(
            "/sink/0/timeout",
            "too short for this plugin",
            Some("at least 1m".to_owned()),
        ),
    ];
    let shown = site.show_all(&errors);
    assert!(!shown.contains("s3cret"));
    expect![[r#"
        watchpost.toml:14:47
          × 1 is not of type "string"
            ╭─[watchpost.toml:14:47]
         13 │ password = ***
         14 │ retention = { max_size = "2Gib", keep = ["a", 1] }
            ·                                               ┬
            ·                                               ╰── here
            ╰────
        watchpost.toml:13:12
          × "***" is shorter than 8
            ╭─[watchpost.toml:13:12]
         12 │ host = 25
         13 │ password = ***
            ·            ─┬─
            ·             ╰── here
         14 │ retention = { max_size = "2Gib", keep = ["a", 1] }
            ╰────
          help: not ***
        watchpost.toml:11:1
          × "from" is a required property
            ╭─[watchpost.toml:11:1]
         10 │
         11 │ [sink.config]
            · ──────┬──────
            ·       ╰── here
         12 │ host = 25
            ╰────
        watchpost.toml:7:1
          × too short for this plugin
           ╭─[watchpost.toml:7:1]
         6 │
         7 │ [[sink]]
           · ────┬───
           ·     ╰── here
         8 │ name = "mail"
           ╰────
          help: at least 1m
    "#]]
    .assert_eq(&shown);
    let place = loaded.locate("/sink/0/config/host").to_string();
    assert!(place.ends_with("watchpost.toml:12:8"), "{place}");
}

#[test]
fn no_slip_of_the_finger_panics_or_shows_a_secret() {
    let right = CONNECTION.replace("token_file = \"token\"", "token = \"s3cret\"")
        + "[[sink]]\nname = \"é\"\nplugin = \"x\"\n[sink.config]\npassword = \"s3cret\"\n";
    for (i, c) in right.char_indices() {
        let mut wrong = right.clone();
        wrong.remove(i);
        let shown = Site::new(&wrong).errors();
        assert!(!shown.contains("s3cret"), "without {c:?} at {i}:\n{shown}");
        // The sink's name is wrong to begin with.
        assert_ne!(shown, "no error", "without {c:?} at {i}");
    }
}
