//! Mistakes in fragments and in the environment, files that cannot be read, and what plugins find.

use expect_test::expect;

use crate::site::{CONNECTION, Site};

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
          × unknown key `plugn` in [[sink]] `mail`
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
          × both `token` and `token_file` are given in [[connection]] `main`
           ╭─[watchpost.toml:5:1]
         4 │ user_id = "550e8400-e29b-41d4-a716-446655440000"
         5 │ token_file = "token"
           · ─────┬────
           ·      ╰── and this
           ╰────
          help: leave `token_file` out, or `token` (environment variable WATCHPOST__CONNECTION__0__TOKEN)
        environment variable WATCHPOST__CONNECTION__0__HEARTBEAT__TIMEOUT
          × environment variable `WATCHPOST__CONNECTION__0__HEARTBEAT__TIMEOUT`: `timeout` in [connection.heartbeat] of `main` is not a duration: `60`
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
        watchpost.toml:2:8
          × `ÿ` here is not in UTF-8: the file seems to be in Latin-1 or Windows-1252
           ╭─[watchpost.toml:2:8]
         1 │ [hub]
         2 │ log = "ÿ"
           ·        ┬
           ·        ╰── here
           ╰────
          help: save it as UTF-8, or convert it: `iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW`
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
        loaded.sink_config_error(0, "/retention/keep/1", "1 is not of type \"string\""),
        loaded.sink_config_error(0, "/password", "\"s3cret\" is shorter than 8"),
        loaded.sink_config_error(0, "", "\"from\" is a required property"),
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
          × `keep` in [sink.config.retention] of `mail`: 1 is not of type "string"
            ╭─[watchpost.toml:14:47]
         13 │ password = ***
         14 │ retention = { max_size = "2Gib", keep = ["a", 1] }
            ·                                               ┬
            ·                                               ╰── here
            ╰────
        watchpost.toml:13:12
          × `password` in [sink.config] of `mail`: "***" is shorter than 8
            ╭─[watchpost.toml:13:12]
         12 │ host = 25
         13 │ password = ***
            ·            ─┬─
            ·             ╰── here
         14 │ retention = { max_size = "2Gib", keep = ["a", 1] }
            ╰────
        watchpost.toml:11:1
          × [sink.config] of `mail`: "from" is a required property
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

#[test]
fn variables_with_too_few_underscores() {
    let site = Site::new(CONNECTION)
        .variable("WATCHPOST__HUB_LOG", "debug")
        .variable("WATCHPOST__HUB__DATA__DIR", "/srv");
    expect![[r#"
            environment variable WATCHPOST__HUB__DATA__DIR: environment variable `WATCHPOST__HUB__DATA__DIR`: its keys are not separated by two underscores
              write WATCHPOST__HUB__DATA_DIR
            environment variable WATCHPOST__HUB_LOG: environment variable `WATCHPOST__HUB_LOG`: its keys are not separated by two underscores
              write WATCHPOST__HUB__LOG
    "#]].assert_eq(&site.brief_errors());
    let site = Site::new(CONNECTION)
        .file("token", "x")
        .file("conf.d/10-more.conf", "")
        .file("conf.d/20-more.TOML", "")
        .file("conf.d/README", "")
        .with_data()
        .variable("WATCHPOST_HUB_LOG", "debug")
        .variable("WATCHPOST_STORE_RECENT", "5")
        .variable("WATCHPOST_SEED", "5");
    let found = site.inspected();
    let found: Vec<_> = found
        .into_iter()
        .filter(|finding| !finding.to_string().contains("every user"))
        .collect();
    expect![[r#"
            environment variable WATCHPOST_HUB_LOG sets nothing: keys are separated by two underscores
              write WATCHPOST__HUB__LOG
            environment variable WATCHPOST_STORE_RECENT sets nothing: keys are separated by two underscores
              write WATCHPOST__STORE__RECENT
            warning: conf.d/10-more.conf is not read: its name does not end in .toml
              call it conf.d/10-more.toml, or move it elsewhere
            warning: conf.d/20-more.TOML is not read: its name does not end in .toml
              call it conf.d/20-more.toml, or move it elsewhere
    "#]]
    .assert_eq(&site.brief(&found));
}
