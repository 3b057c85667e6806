//! Values of a wrong type, form or size.

use expect_test::expect;

use super::check;
use crate::site::CONNECTION;

#[test]
fn durations_and_sizes() {
    check(
        &(CONNECTION.to_owned()
            + r#"connect_timeout = 10
max_message = "32 Meg"
[connection.heartbeat]
interval = "30"
timeout = "5M"
[store]
max_size = 2
"#),
        expect![[r#"
            watchpost.toml:6:19
              × `connect_timeout` in [[connection]] must be a duration in quotes, such as "30s", and is an integer
               ╭─[watchpost.toml:6:19]
             5 │ token_file = "token"
             6 │ connect_timeout = 10
               ·                   ─┬
               ·                    ╰── an integer
             7 │ max_message = "32 Meg"
               ╰────
              help: write "10s" if you mean seconds
            watchpost.toml:7:15
              × `max_message` in [[connection]] is not a size: `32 Meg`
               ╭─[watchpost.toml:7:15]
             6 │ connect_timeout = 10
             7 │ max_message = "32 Meg"
               ·               ────┬───
               ·                   ╰── here
             8 │ [connection.heartbeat]
               ╰────
              help: expected a number with the unit KiB, MiB, GiB or TiB (or kB, MB, GB, TB, B), such as "2GiB"
            watchpost.toml:9:12
              × `interval` in [connection.heartbeat] is not a duration: `30`
                ╭─[watchpost.toml:9:12]
              8 │ [connection.heartbeat]
              9 │ interval = "30"
                ·            ──┬─
                ·              ╰── here
             10 │ timeout = "5M"
                ╰────
              help: a unit is missing, write "30s" for seconds
            watchpost.toml:10:11
              × `timeout` in [connection.heartbeat] is not a duration: `5M`
                ╭─[watchpost.toml:10:11]
              9 │ interval = "30"
             10 │ timeout = "5M"
                ·           ──┬─
                ·             ╰── here
             11 │ [store]
                ╰────
              help: there is no unit `M`; write "5m" for minutes
            watchpost.toml:12:12
              × `max_size` in [store] must be a size in quotes, such as "64MiB", and is an integer
                ╭─[watchpost.toml:12:12]
             11 │ [store]
             12 │ max_size = 2
                ·            ┬
                ·            ╰── an integer
                ╰────
              help: write "2MiB" or "2B"
        "#]],
    );
}

#[test]
fn numbers_and_booleans() {
    check(
        &(CONNECTION.to_owned()
            + r#"keep_pose = "yes"
[connection.reconnect]
jitter = 20
[store]
recent = 0
group_commit = "64"
keep_max = 1.5
"#),
        expect![[r#"
            watchpost.toml:6:13
              × `keep_pose` in [[connection]] must be `true` or `false`, and is a string
               ╭─[watchpost.toml:6:13]
             5 │ token_file = "token"
             6 │ keep_pose = "yes"
               ·             ──┬──
               ·               ╰── a string
             7 │ [connection.reconnect]
               ╰────
            watchpost.toml:8:10
              × `jitter` in [connection.reconnect] cannot be 20
               ╭─[watchpost.toml:8:10]
             7 │ [connection.reconnect]
             8 │ jitter = 20
               ·          ─┬
               ·           ╰── out of range
             9 │ [store]
               ╰────
              help: expected 0 to 1
            watchpost.toml:10:10
              × `recent` in [store] cannot be 0
                ╭─[watchpost.toml:10:10]
              9 │ [store]
             10 │ recent = 0
                ·          ┬
                ·          ╰── out of range
             11 │ group_commit = "64"
                ╰────
              help: expected 1 to 1000
            watchpost.toml:11:16
              × `group_commit` in [store] must be a whole number, and is a string
                ╭─[watchpost.toml:11:16]
             10 │ recent = 0
             11 │ group_commit = "64"
                ·                ──┬─
                ·                  ╰── a string
             12 │ keep_max = 1.5
                ╰────
              help: write it without quotes
            watchpost.toml:12:12
              × `keep_max` in [store] must be a whole number, and is a number with a fraction
                ╭─[watchpost.toml:12:12]
             11 │ group_commit = "64"
             12 │ keep_max = 1.5
                ·            ─┬─
                ·             ╰── a number with a fraction
                ╰────
        "#]],
    );
}

#[test]
fn words() {
    check(
        &(CONNECTION.to_owned()
            + r#"
[hub]
log_format = "jsn"
[[sink]]
name = "siren"
plugin = "siren"
[[route]]
sinks = ["siren"]
match = { severity = "urgent", kind = ["anomaly", "motion"] }
"#),
        expect![[r#"
            watchpost.toml:8:14
              × `log_format` in [hub] cannot be `jsn`
               ╭─[watchpost.toml:8:14]
             7 │ [hub]
             8 │ log_format = "jsn"
               ·              ──┬──
               ·                ╰── not one of its words
             9 │ [[sink]]
               ╰────
              help: did you mean "json"? It is `text` or `json`
            watchpost.toml:14:22
              × `severity` in [route.match] cannot be `urgent`
                ╭─[watchpost.toml:14:22]
             13 │ sinks = ["siren"]
             14 │ match = { severity = "urgent", kind = ["anomaly", "motion"] }
                ·                      ────┬───
                ·                          ╰── not one of its words
                ╰────
              help: expected `low`, `medium`, `high` or `critical`
            watchpost.toml:14:51
              × `kind` in [route.match] cannot be `motion`
                ╭─[watchpost.toml:14:51]
             13 │ sinks = ["siren"]
             14 │ match = { severity = "urgent", kind = ["anomaly", "motion"] }
                ·                                                   ────┬───
                ·                                                       ╰── not one of its words
                ╰────
              help: expected `anomaly`, `owl_eye`, `notice` or `hub`
        "#]],
    );
}

#[test]
fn names() {
    check(
        r#"[[connection]]
name = "back room"
url = "192.168.1.20:8000"
user_id = "a/b"
token_file = "~/token"
"#,
        expect![[r#"
            watchpost.toml:2:8
              × `name` in [[connection]] contains ' '
               ╭─[watchpost.toml:2:8]
             1 │ [[connection]]
             2 │ name = "back room"
               ·        ─────┬─────
               ·             ╰── here
             3 │ url = "192.168.1.20:8000"
               ╰────
              help: expected letters (a to z), digits, `-`, `_` and `.`, beginning with a letter or digit
            watchpost.toml:3:7
              × `url` in [[connection]] does not begin with http:// or the like
               ╭─[watchpost.toml:3:7]
             2 │ name = "back room"
             3 │ url = "192.168.1.20:8000"
               ·       ─────────┬─────────
               ·                ╰── here
             4 │ user_id = "a/b"
               ╰────
              help: expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`
            watchpost.toml:4:11
              × `user_id` in [[connection]] contains '/'
               ╭─[watchpost.toml:4:11]
             3 │ url = "192.168.1.20:8000"
             4 │ user_id = "a/b"
               ·           ──┬──
               ·             ╰── here
             5 │ token_file = "~/token"
               ╰────
              help: expected the UUID that the backend gives at login
            watchpost.toml:5:1
              × `token_file` in [[connection]] is not expanded: there is no shell here
               ╭─[watchpost.toml:5:1]
             4 │ user_id = "a/b"
             5 │ token_file = "~/token"
               · ─────┬────
               ·      ╰── here
               ╰────
              help: write the whole path, without `~` and `$`
        "#]],
    );
}

#[test]
fn invisible_values() {
    check(
        &(CONNECTION.to_owned()
            + r#"
[[sink]]
name = "x"
plugin = ""
[sink.config]
level = nan
count = 99999999999999999999
"#),
        expect![[r#"
            watchpost.toml:9:10
              × `plugin` in [[sink]] is empty
                ╭─[watchpost.toml:9:10]
              8 │ name = "x"
              9 │ plugin = ""
                ·          ─┬
                ·           ╰── here
             10 │ [sink.config]
                ╰────
              help: expected letters (a to z), digits, `-`, `_` and `.`, beginning with a letter or digit
            watchpost.toml:11:9
              × this number cannot be handed to a plugin
                ╭─[watchpost.toml:11:9]
             10 │ [sink.config]
             11 │ level = nan
                ·         ─┬─
                ·          ╰── here
             12 │ count = 99999999999999999999
                ╰────
              help: expected a finite number, if whole of at most 64 bits
            watchpost.toml:12:9
              × this number cannot be handed to a plugin
                ╭─[watchpost.toml:12:9]
             11 │ level = nan
             12 │ count = 99999999999999999999
                ·         ──────────┬─────────
                ·                   ╰── here
                ╰────
              help: expected a finite number, if whole of at most 64 bits
        "#]],
    );
}
