//! Keys and tables: unknown, missing, misplaced.

use expect_test::expect;

use super::{after_connection, check, table};
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
              × unknown key `tokn_file` in [[connection]] `main`
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
              help: `log` belongs in [hub]: write it below a line `[hub]`
            watchpost.toml:8:3
              × unknown key `sinks` in the configuration
               ╭─[watchpost.toml:8:3]
             7 │
             8 │ [[sinks]]
               ·   ──┬──
               ·     ╰── not a key here
             9 │ name = "archive"
               ╰────
              help: `sinks` belongs in [[route]] or [[policy.step]]
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
              × [[connection]] `main` lacks `url`
               ╭─[watchpost.toml:1:1]
             1 │ [[connection]]
               · ───────┬──────
               ·        ╰── here
             2 │ name = "main"
               ╰────
              help: expected the address of the backend, such as `http://192.168.1.20:8000`
            watchpost.toml:1:1
              × [[connection]] `main` has neither `token` nor `[connection.login]`
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
              × unknown key `tokn` in [[connection]] `main`
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
              help: write ["/opt/plugins"]
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
              × `retry` in [[sink]] `x` must be a table, and is an integer
                ╭─[watchpost.toml:14:9]
             13 │ plugin = "x"
             14 │ retry = 5
                ·         ┬
                ·         ╰── an integer
                ╰────
              help: write a line `[sink.retry]`, and its keys below it
        "#]],
    );
}

#[test]
fn keys_of_another_table() {
    after_connection(
        &[
            "email = \"hub@example.com\"\npassword_file = \"p\"\n",
            "interval = \"5s\"\n",
            "watch = false\n",
            "[[route]]\nsinks = []\nseverity = \"high\"\n",
            "[[sink]]\nname = \"a\"\nplugin = \"x\"\ngive_up_after = \"5m\"\n",
            "[[sink]]\nname = \"a\"\nplugin = \"x\"\nconnect = [587]\n",
            "[[sink]]\nname = \"a\"\nplugin = \"x\"\n[sink.retry]\nmax_age = \"5m\"\n",
            "[[sink]]\nname = \"a\"\nplugin = \"x\"\n[sink.sandbox]\ntimeout = \"5s\"\n",
            "[[sink]]\nname = \"a\"\nplugin = \"x\"\ndir = \"/srv\"\n",
            "[[sink]]\nname = \"a\"\nplugin = \"x\"\nretry = { initial = \"1s\", timeout = \"5s\" }\n",
            "[login]\nemail = \"a@b\"\n",
            "[retry]\nmax = \"5m\"\n",
            "[sandbox]\nexec = true\n",
            "[hub]\nkeep_for = \"7d\"\n",
            "[store]\ndata_dir = \"/srv\"\n",
            "[hub]\nlog_level = \"info\"\n",
            "[hub]\nLog = \"info\"\n",
            "[store]\nretention = \"7d\"\n",
            "[[sink]]\nname = \"a\"\ntype = \"x\"\n",
            "[[route]]\nsink = \"a\"\n",
            "[[route]]\nsinks = []\nmatch = { camera = \"x\" }\n",
            "[[route]]\nsinks = []\nmatch = { level = \"high\" }\n",
            "[[routes]]\nsinks = []\n",
            "[logging]\nlevel = \"info\"\n",
        ],
        expect![[r#"
            > email = "hub@example.com"
            > password_file = "p"
            watchpost.toml:6:1: unknown key `email` in [[connection]] `main`
              | email | not a key here
              `email` belongs in [connection.login]: write it below a line `[connection.login]`
            watchpost.toml:7:1: unknown key `password_file` in [[connection]] `main`
              | password_file | not a key here
              `password_file` belongs in [connection.login]: write it below a line `[connection.login]`
            > interval = "5s"
            watchpost.toml:6:1: unknown key `interval` in [[connection]] `main`
              | interval | not a key here
              `interval` belongs in [connection.backfill], [connection.heartbeat] or [connection.slot]
            > watch = false
            watchpost.toml:6:1: unknown key `watch` in [[connection]] `main`
              | watch | not a key here
              `watch` belongs in [connection.slot]: write it below a line `[connection.slot]`
            > [[route]]
            > sinks = []
            > severity = "high"
            watchpost.toml:7:9: this route feeds no sink
              | [] | empty
              name a sink or a `policy`, or remove the route
            watchpost.toml:8:1: unknown key `severity` in [[route]]
              | severity | not a key here
              `severity` belongs in [route.match]: write it below a line `[route.match]`
            > [[sink]]
            > name = "a"
            > plugin = "x"
            > give_up_after = "5m"
            watchpost.toml:9:1: unknown key `give_up_after` in [[sink]] `a`
              | give_up_after | not a key here
              `give_up_after` belongs in [sink.retry]: write it below a line `[sink.retry]`
            > [[sink]]
            > name = "a"
            > plugin = "x"
            > connect = [587]
            watchpost.toml:9:1: unknown key `connect` in [[sink]] `a`
              | connect | not a key here
              `connect` belongs in [sink.sandbox]: write it below a line `[sink.sandbox]`
            > [[sink]]
            > name = "a"
            > plugin = "x"
            > [sink.retry]
            > max_age = "5m"
            watchpost.toml:10:1: unknown key `max_age` in [sink.retry] of `a`
              | max_age | not a key here
              `max_age` belongs in [[sink]]: write it above the line `[sink.retry]`
            > [[sink]]
            > name = "a"
            > plugin = "x"
            > [sink.sandbox]
            > timeout = "5s"
            watchpost.toml:10:1: unknown key `timeout` in [sink.sandbox] of `a`
              | timeout | not a key here
              `timeout` belongs in [[sink]]: write it above the line `[sink.sandbox]`
            > [[sink]]
            > name = "a"
            > plugin = "x"
            > dir = "/srv"
            watchpost.toml:9:1: unknown key `dir` in [[sink]] `a`
              | dir | not a key here
              its keys are `cancel_on_acknowledge`, `config`, `events`, `in_flight`, `late`, `max_age`, `name`, `only_armed`, `plugin`, `rate_limit`, `recycle_over`, `remote`, `retry`, `sandbox`, `timeout`, `wait_picture` and `when_full`; a setting of the plugin belongs in [sink.config]
            > [[sink]]
            > name = "a"
            > plugin = "x"
            > retry = { initial = "1s", timeout = "5s" }
            watchpost.toml:9:27: unknown key `timeout` in [sink.retry] of `a`
              | timeout | not a key here
              `timeout` belongs in [[sink]]: write it above the line `[sink.retry]`
            > [login]
            > email = "a@b"
            watchpost.toml:6:2: unknown table `login` in the configuration
              | login | not a table here
              write `[connection.login]` for it
            > [retry]
            > max = "5m"
            watchpost.toml:6:2: unknown table `retry` in the configuration
              | retry | not a table here
              write `[sink.retry]` for it
            > [sandbox]
            > exec = true
            watchpost.toml:6:2: unknown table `sandbox` in the configuration
              | sandbox | not a table here
              write `[sink.sandbox]` for it
            > [hub]
            > keep_for = "7d"
            watchpost.toml:7:1: unknown key `keep_for` in [hub]
              | keep_for | not a key here
              `keep_for` belongs in [store]
            > [store]
            > data_dir = "/srv"
            watchpost.toml:7:1: unknown key `data_dir` in [store]
              | data_dir | not a key here
              `data_dir` belongs in [hub]
            > [hub]
            > log_level = "info"
            watchpost.toml:7:1: unknown key `log_level` in [hub]
              | log_level | not a key here
              did you mean `log`?
            > [hub]
            > Log = "info"
            watchpost.toml:7:1: unknown key `Log` in [hub]
              | Log | not a key here
              did you mean `log`?
            > [store]
            > retention = "7d"
            watchpost.toml:7:1: unknown key `retention` in [store]
              | retention | not a key here
              did you mean `keep_for`?
            > [[sink]]
            > name = "a"
            > type = "x"
            watchpost.toml:8:1: unknown key `type` in [[sink]] `a`
              | type | not a key here
              did you mean `plugin`?
            > [[route]]
            > sink = "a"
            watchpost.toml:6:1: this route feeds no sink
              | [[route]] | empty
              name a sink or a `policy`, or remove the route
            watchpost.toml:7:1: unknown key `sink` in [[route]]
              | sink | not a key here
              did you mean `sinks`?
            > [[route]]
            > sinks = []
            > match = { camera = "x" }
            watchpost.toml:7:9: this route feeds no sink
              | [] | empty
              name a sink or a `policy`, or remove the route
            watchpost.toml:8:20: there is no camera `x`
              | "x" | no `[[camera]]` has this name
              add a `[[camera]]` of this name
            > [[route]]
            > sinks = []
            > match = { level = "high" }
            watchpost.toml:7:9: this route feeds no sink
              | [] | empty
              name a sink or a `policy`, or remove the route
            watchpost.toml:8:11: unknown key `level` in [route.match]
              | level | not a key here
              did you mean `severity`?
            > [[routes]]
            > sinks = []
            watchpost.toml:6:3: unknown key `routes` in the configuration
              | routes | not a key here
              did you mean `route`?
            > [logging]
            > level = "info"
            watchpost.toml:6:2: unknown table `logging` in the configuration
              | logging | not a table here
              its tables are `area`, `camera`, `connection`, `expect`, `hub`, `inhibit`, `person`, `policy`, `route`, `schedule`, `sink`, `store`, `visionguard`, `watchdog` and `web`
        "#]],
    );
}

#[test]
fn keys_before_their_tables_and_without_them() {
    table(
        &[
            "url = \"http://h\"\nname = \"main\"\n",
            "data_dir = \"/srv\"\n[[connection]]\nname = \"a\"\nhost = \"h\"\n",
            "[sink.config]\ndir = \"/srv\"\n",
            "connection = \"http://h\"\n",
            "[[connection]]\nname = \"a\"\nurl = \"http://h\"\n[connection.login]\nusername = \"a@b\"\npassword_file = \"p\"\n",
            "[[connection]]\nname = \"a\"\nurl = \"http://h\"\n[[connection.login]]\nemail = \"a@b\"\n",
            "[[connection]]\nname = \"a\"\nurl = \"http://h\"\nlogin = \"a@b\"\n",
        ],
        expect![[r#"
            > url = "http://h"
            > name = "main"
            watchpost.toml:1:1: the configuration lacks `[[connection]]`
              | u | in here
              `[[connection]]`: A backend to listen to; at least one
            watchpost.toml:1:1: unknown key `url` in the configuration
              | url | not a key here
              `url` belongs in [[connection]]: write it below a line `[[connection]]`
            watchpost.toml:2:1: unknown key `name` in the configuration
              | name | not a key here
              `name` belongs in [[area]], [[camera]] or [[connection]]
            > data_dir = "/srv"
            > [[connection]]
            > name = "a"
            > host = "h"
            watchpost.toml:1:1: unknown key `data_dir` in the configuration
              | data_dir | not a key here
              `data_dir` belongs in [hub]: write it below a line `[hub]`
            watchpost.toml:4:1: unknown key `host` in [[connection]] `a`
              | host | not a key here
              did you mean `url`?
            > [sink.config]
            > dir = "/srv"
            watchpost.toml:1:1: the configuration lacks `[[connection]]`
              | [ | in here
              `[[connection]]`: A backend to listen to; at least one
            watchpost.toml:1:2: `sink` in the configuration must be a list of tables, and is a table
              | sink | a table
              write `[[sink]]` with its keys first, and `[sink.config]` behind it
            > connection = "http://h"
            watchpost.toml:1:14: `connection` in the configuration must be a list of tables, and is a string
              | "http://h" | a string
              write a line `[[connection]]`, and its keys below it
            > [[connection]]
            > name = "a"
            > url = "http://h"
            > [connection.login]
            > username = "a@b"
            > password_file = "p"
            watchpost.toml:5:1: unknown key `username` in [connection.login] of `a`
              | username | not a key here
              did you mean `email`?
            > [[connection]]
            > name = "a"
            > url = "http://h"
            > [[connection.login]]
            > email = "a@b"
            watchpost.toml:4:1: `login` in [[connection]] `a` must be a table, and is an array
              | [[connection.login]] | an array
              write `[connection.login]`, once: there is only one
            > [[connection]]
            > name = "a"
            > url = "http://h"
            > login = "a@b"
            watchpost.toml:4:9: `login` in [[connection]] `a` must be a table, and is a string
              | "a@b" | a string
              write a line `[connection.login]`, and its keys below it
        "#]],
    );
}
