//! Keys and tables: unknown, missing, misplaced.

use expect_test::expect;

use super::check;
use crate::site::CONNECTION;

#[test]
fn unknown_key_in_a_connection() {
    check(
        r#"[[connection]]
name = "main"
url = "http://192.168.1.20:8000"
user_id = "u1"
tokn_file = "token"
"#,
        expect![[r#"
            watchpost.toml:5:1
              × unknown key `tokn_file` in [[connection]]
               ╭─[watchpost.toml:5:1]
             4 │ user_id = "u1"
             5 │ tokn_file = "token"
               · ────┬────
               ·     ╰── not a key here
               ╰────
              help: did you mean `token_file`?
        "#]],
    );
}

#[test]
fn unknown_table() {
    check(
        &(CONNECTION.to_owned()
            + r#"
[web]
listen = "127.0.0.1:8787"
"#),
        expect!["no error"],
    );
}

#[test]
fn plural_table_and_key_of_another_table() {
    check(
        &format!(
            "{}{CONNECTION}{}",
            r#"log = "debug"
"#,
            r#"
[[sinks]]
name = "archive"
plugin = "archive"
"#
        ),
        expect![[r#"
            watchpost.toml:1:1
              × unknown key `log` in the configuration
               ╭─[watchpost.toml:1:1]
             1 │ log = "debug"
               · ─┬─
               ·  ╰── not a key here
             2 │ [[connection]]
               ╰────
              help: `log` belongs in [hub]
            watchpost.toml:8:3
              × unknown key `sinks` in the configuration
               ╭─[watchpost.toml:8:3]
             7 │
             8 │ [[sinks]]
               ·   ──┬──
               ·     ╰── not a key here
             9 │ name = "archive"
               ╰────
              help: did you mean `sink`?
        "#]],
    );
}

#[test]
fn single_brackets() {
    check(
        r#"[connection]
name = "main"
url = "http://h"
user_id = "u"
token = "s3cret"
"#,
        expect![[r#"
            watchpost.toml:1:1
              × `connection` in the configuration must be a list of tables, and is a table
               ╭─[watchpost.toml:1:1]
             1 │ [connection]
               · ──────┬─────
               ·       ╰── a table
             2 │ name = "main"
               ╰────
              help: write `[[connection]]` and not `[connection]`: there can be several
        "#]],
    );
}

#[test]
fn missing_keys() {
    check(
        r#"[[connection]]
name = "main"
"#,
        expect![[r#"
            watchpost.toml:1:1
              × [[connection]] lacks `url`
               ╭─[watchpost.toml:1:1]
             1 │ [[connection]]
               · ───────┬──────
               ·        ╰── here
             2 │ name = "main"
               ╰────
              help: expected the address of the backend, such as `http://192.168.1.20:8000`
            watchpost.toml:1:1
              × neither `token` nor `[connection.login]` is given
               ╭─[watchpost.toml:1:1]
             1 │ [[connection]]
               · ───────┬──────
               ·        ╰── here
             2 │ name = "main"
               ╰────
              help: write `token_file` (or `token`, `token_env`), or `[connection.login]` with `email` and `password_file`
        "#]],
    );
}

#[test]
fn nothing_at_all() {
    check(
        r#""#,
        expect![[r#"
            watchpost.toml:1:1
              × the configuration lacks `[[connection]]`
               ╭─[watchpost.toml:1:1]
               ╰────
              help: `[[connection]]`: A backend to listen to; at least one
        "#]],
    );
}

#[test]
fn mistyped_secret_key() {
    check(
        r#"[[connection]]
name = "main"
url = "http://h"
tokn = "s3cret"
user_id = "u"
"#,
        expect![[r#"
            watchpost.toml:4:1
              × unknown key `tokn` in [[connection]]
               ╭─[watchpost.toml:4:1]
             3 │ url = "http://h"
             4 │ tokn = ***
               · ──┬─
               ·   ╰── not a key here
             5 │ user_id = "u"
               ╰────
              help: did you mean `token`?
        "#]],
    );
}

#[test]
fn arrays_and_tables() {
    check(
        &(CONNECTION.to_owned()
            + r#"
[hub]
plugin_dirs = "/opt/plugins"
[[store]]
recent = 1
[[sink]]
name = "x"
plugin = "x"
retry = 5
"#),
        expect![[r#"
            watchpost.toml:8:15
              × `plugin_dirs` in [hub] must be an array, such as ["a", "b"], and is a string
               ╭─[watchpost.toml:8:15]
             7 │ [hub]
             8 │ plugin_dirs = "/opt/plugins"
               ·               ───────┬──────
               ·                      ╰── a string
             9 │ [[store]]
               ╰────
            watchpost.toml:9:1
              × `store` in the configuration must be a table, and is an array
                ╭─[watchpost.toml:9:1]
              8 │ plugin_dirs = "/opt/plugins"
              9 │ [[store]]
                · ────┬────
                ·     ╰── an array
             10 │ recent = 1
                ╰────
              help: write `[store]`, once: there is only one
            watchpost.toml:14:9
              × `retry` in [[sink]] must be a table, and is an integer
                ╭─[watchpost.toml:14:9]
             13 │ plugin = "x"
             14 │ retry = 5
                ·         ┬
                ·         ╰── an integer
                ╰────
        "#]],
    );
}
