//! Values of a wrong type, form or size.

use expect_test::expect;

use super::{after_connection, check, table};
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
              × `connect_timeout` in [[connection]] `main` must be a duration in quotes, such as "30s", and is an integer
               ╭─[watchpost.toml:6:19]
             5 │ token_file = "token"
             6 │ connect_timeout = 10
               ·                   ─┬
               ·                    ╰── an integer
             7 │ max_message = "32 Meg"
               ╰────
              help: write "10s" if you mean seconds
            watchpost.toml:7:15
              × `max_message` in [[connection]] `main` is not a size: `32 Meg`
               ╭─[watchpost.toml:7:15]
             6 │ connect_timeout = 10
             7 │ max_message = "32 Meg"
               ·               ────┬───
               ·                   ╰── here
             8 │ [connection.heartbeat]
               ╰────
              help: expected a number with the unit KiB, MiB, GiB or TiB (or kB, MB, GB, TB, B), such as "2GiB"
            watchpost.toml:9:12
              × `interval` in [connection.heartbeat] of `main` is not a duration: `30`
                ╭─[watchpost.toml:9:12]
              8 │ [connection.heartbeat]
              9 │ interval = "30"
                ·            ──┬─
                ·              ╰── here
             10 │ timeout = "5M"
                ╰────
              help: a unit is missing, write "30s" for seconds
            watchpost.toml:10:11
              × `timeout` in [connection.heartbeat] of `main` is not a duration: `5M`
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
              × `keep_pose` in [[connection]] `main` must be `true` or `false`, and is a string
               ╭─[watchpost.toml:6:13]
             5 │ token_file = "token"
             6 │ keep_pose = "yes"
               ·             ──┬──
               ·               ╰── a string
             7 │ [connection.reconnect]
               ╰────
              help: write `true`
            watchpost.toml:8:10
              × `jitter` in [connection.reconnect] of `main` cannot be 20
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
              help: expected `anomaly`, `owl_eye`, `notice`, `hub`, `panic` or `tamper`
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
              × `name` in [[connection]] `back room` contains ' '
               ╭─[watchpost.toml:2:8]
             1 │ [[connection]]
             2 │ name = "back room"
               ·        ─────┬─────
               ·             ╰── here
             3 │ url = "192.168.1.20:8000"
               ╰────
              help: expected letters (a to z), digits, `-`, `_` and `.`, beginning with a letter or digit
            watchpost.toml:3:7
              × `url` in [[connection]] `back room` does not begin with http:// or the like
               ╭─[watchpost.toml:3:7]
             2 │ name = "back room"
             3 │ url = "192.168.1.20:8000"
               ·       ─────────┬─────────
               ·                ╰── here
             4 │ user_id = "a/b"
               ╰────
              help: expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`
            watchpost.toml:4:11
              × `user_id` in [[connection]] `back room` contains '/'
               ╭─[watchpost.toml:4:11]
             3 │ url = "192.168.1.20:8000"
             4 │ user_id = "a/b"
               ·           ──┬──
               ·             ╰── here
             5 │ token_file = "~/token"
               ╰────
              help: expected the UUID that the backend gives at login
            watchpost.toml:5:1
              × `token_file` in [[connection]] `back room` is not expanded: there is no shell here
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
              × `plugin` in [[sink]] `x` is empty
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

#[test]
fn values_of_another_type() {
    after_connection(
        &[
            "write_back = \"yes\"\n",
            "write_back = 1\n",
            "write_back = \"true\"\n",
            "max_message = 10000000\n",
            "name2 = 5\n",
            "[store]\nrecent = 99999999999999999999\n",
            "[store]\nrecent = -1\n",
            "[store]\nrecent = 50.0\n",
            "[store]\nkeep_max = 99999999999999999999\n",
            "[store]\nkeep_for = true\n",
            "[hub]\nlog = 5\n",
            "[hub]\nlog = [\"info\"]\n",
            "[hub]\nplugin_dirs = \"/a, /b\"\n",
            "[hub]\ndata_dir = 2026-01-01\n",
            "[[sink]]\nname = \"a\"\nplugin = \"x\"\n[sink.sandbox]\nconnect = \"587\"\nlisten = 8080\n",
            "[[sink]]\nname = \"a\"\nplugin = \"x\"\n[sink.sandbox]\nconnect = [\"587\", 70000]\n",
            "[[sink]]\nname = 5\nplugin = \"x\"\n",
            "[[sink]]\nname = \"a\"\nplugin = [\"x\"]\n",
            "[[sink]]\nname = \"a\"\nplugin = \"x\"\nin_flight = 0\n",
        ],
        expect![[r#"
            > write_back = "yes"
            watchpost.toml:6:14: `write_back` in [[connection]] `main` must be `true` or `false`, and is a string
              | "yes" | a string
              write `true`
            > write_back = 1
            watchpost.toml:6:14: `write_back` in [[connection]] `main` must be `true` or `false`, and is an integer
              | 1 | an integer
              write `true`
            > write_back = "true"
            watchpost.toml:6:14: `write_back` in [[connection]] `main` must be `true` or `false`, and is a string
              | "true" | a string
              write it without quotes
            > max_message = 10000000
            watchpost.toml:6:15: `max_message` in [[connection]] `main` must be a size in quotes, such as "64MiB", and is an integer
              | 10000000 | an integer
              write "10000000B"
            > name2 = 5
            watchpost.toml:6:1: unknown key `name2` in [[connection]] `main`
              | name2 | not a key here
              did you mean `name`?
            > [store]
            > recent = 99999999999999999999
            watchpost.toml:7:10: `recent` in [store] cannot be 99999999999999999999
              | 99999999999999999999 | out of range
              expected 1 to 1000
            > [store]
            > recent = -1
            watchpost.toml:7:10: `recent` in [store] cannot be -1
              | -1 | out of range
              expected 1 to 1000
            > [store]
            > recent = 50.0
            watchpost.toml:7:10: `recent` in [store] must be a whole number, and is a number with a fraction
              | 50.0 | a number with a fraction
              write 50
            > [store]
            > keep_max = 99999999999999999999
            watchpost.toml:7:12: `keep_max` in [store] cannot be 99999999999999999999
              | 99999999999999999999 | out of range
              expected at most 9223372036854775807
            > [store]
            > keep_for = true
            watchpost.toml:7:12: `keep_for` in [store] must be a duration in quotes, such as "30s", and is a boolean
              | true | a boolean
            > [hub]
            > log = 5
            watchpost.toml:7:7: `log` in [hub] must be a string in quotes, and is an integer
              | 5 | an integer
            > [hub]
            > log = ["info"]
            watchpost.toml:7:7: `log` in [hub] must be a string in quotes, and is an array
              | ["info"] | an array
              write it without `[ ]`: there is only one
            > [hub]
            > plugin_dirs = "/a, /b"
            watchpost.toml:7:15: `plugin_dirs` in [hub] must be an array, such as ["a", "b"], and is a string
              | "/a, /b" | a string
              write ["/a", "/b"]
            > [hub]
            > data_dir = 2026-01-01
            watchpost.toml:7:12: `data_dir` in [hub] must be a path in quotes, and is a date or time
              | 2026-01-01 | a date or time
            > [[sink]]
            > name = "a"
            > plugin = "x"
            > [sink.sandbox]
            > connect = "587"
            > listen = 8080
            watchpost.toml:10:11: `connect` in [sink.sandbox] of `a` must be an array of numbers, such as [587], or "any", and is a string
              | "587" | a string
              write [587]
            watchpost.toml:11:10: `listen` in [sink.sandbox] of `a` must be an array of numbers, such as [587], or "any", and is an integer
              | 8080 | an integer
              write [8080]
            > [[sink]]
            > name = "a"
            > plugin = "x"
            > [sink.sandbox]
            > connect = ["587", 70000]
            watchpost.toml:10:12: `connect` in [sink.sandbox] of `a` must be a whole number, and is a string
              | "587" | a string
              write it without quotes
            watchpost.toml:10:19: `connect` in [sink.sandbox] of `a` cannot be 70000
              | 70000 | out of range
              expected 1 to 65535
            > [[sink]]
            > name = 5
            > plugin = "x"
            watchpost.toml:7:8: `name` in [[sink]] must be a name in quotes, and is an integer
              | 5 | an integer
              write "5"
            > [[sink]]
            > name = "a"
            > plugin = ["x"]
            watchpost.toml:8:10: `plugin` in [[sink]] `a` must be the name of a plugin in quotes, such as "archive", and is an array
              | ["x"] | an array
              write it without `[ ]`: there is only one
            > [[sink]]
            > name = "a"
            > plugin = "x"
            > in_flight = 0
            watchpost.toml:9:13: `in_flight` in [[sink]] `a` cannot be 0
              | 0 | out of range
              expected 1 to 1024
        "#]],
    );
}

#[test]
fn values_that_cannot_be() {
    after_connection(
        &[
            "[hub]\nlog = \"verbose\"\n",
            "[hub]\nlog = \"info,watchpost_hb=debug\"\n",
            "[hub]\nlog = \"info;debug\"\n",
            "[hub]\nlog = \"\"\n",
            "[hub]\ndata_dir = \"/proc/watchpost\"\n",
            "[hub]\ndata_dir = \"/\"\n",
            "[hub]\ndata_dir = \"/sys/watchpost\"\n",
            "[hub]\ndata_dir = \"~/data\"\n",
            "[hub]\ndata_dir = 'C:\\data'\n",
            "[hub]\ndata_dir = \"/srv/a \"\n",
            "[hub]\ndata_dir = \"/srv/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n",
            "[watchdog]\nping_url = \"hc-ping.com/s3cret\"\n",
            "[watchdog]\nping_url = \"https:/hc-ping.com/s3cret\"\n",
            "[[sink]]\nname = \"a\"\nplugin = \"x\"\nretry = { give_up_after = \"0s\" }\n",
            "[[sink]]\nname = \"a\"\nplugin = \"x\"\nretry = { initial = \"10s\", give_up_after = \"5s\" }\n",
            "[[connection.header]]\nname = \"Host\"\nsecret = \"s3cret\"\n",
            "[[connection.header]]\nname = \"X Key\"\nsecret = \"s3cret\"\n",
            "max_message = \"1KiB\"\n",
            "[connection.backfill]\nshop_ids = [\"\"]\n",
            "[[sink]]\nname = \"a\"\nplugin = \"x\"\n[[route]]\nsinks = [\"a\", \"a\"]\n",
            "[[connection]]\nname = \"b\"\nurl = \"ws://192.168.1.20:8000/\"\nuser_id = \"550e8400-e29b-41d4-a716-446655440000\"\ntoken_file = \"t\"\n",
        ],
        expect![[r#"
            > [hub]
            > log = "verbose"
            watchpost.toml:7:7: `log` in [hub] has no level `verbose`
              | "verbose" | here
              did you mean `debug`? expected error, warn, info, debug, trace or off, also for one part, as in `info,watchpost_hub=debug`
            > [hub]
            > log = "info,watchpost_hb=debug"
            watchpost.toml:7:7: `log` in [hub] names a part `watchpost_hb` that the program does not have
              | "info,watchpost_hb=debug" | here
              did you mean `watchpost_hub`?
            > [hub]
            > log = "info;debug"
            watchpost.toml:7:7: `log` in [hub] has no level `info;debug`
              | "info;debug" | here
              expected error, warn, info, debug, trace or off, also for one part, as in `info,watchpost_hub=debug`
            > [hub]
            > log = ""
            watchpost.toml:7:7: `log` in [hub] is empty
              | "" | here
              expected a level, such as `info`; `off` for no log at all
            > [hub]
            > data_dir = "/proc/watchpost"
            watchpost.toml:7:12: `data_dir` in [hub] is in /proc, where nothing is kept
              | "/proc/watchpost" | here
              expected a folder on a disk, such as "/var/lib/watchpost"
            > [hub]
            > data_dir = "/"
            watchpost.toml:7:12: `data_dir` in [hub] is the root of the file system
              | "/" | here
              expected a folder on a disk, such as "/var/lib/watchpost"
            > [hub]
            > data_dir = "/sys/watchpost"
            watchpost.toml:7:12: `data_dir` in [hub] is in /sys, where nothing is kept
              | "/sys/watchpost" | here
              expected a folder on a disk, such as "/var/lib/watchpost"
            > [hub]
            > data_dir = "~/data"
            watchpost.toml:7:12: `data_dir` in [hub] is not expanded: there is no shell here
              | "~/data" | here
              write the whole path, without `~` and `$`
            > [hub]
            > data_dir = 'C:\data'
            watchpost.toml:7:12: `data_dir` in [hub] is a path of Windows
              | 'C:\data' | here
              expected a path of this machine, such as `/srv/alerts`
            > [hub]
            > data_dir = "/srv/a "
            watchpost.toml:7:12: `data_dir` in [hub] begins or ends with a space
              | "/srv/a " | here
              remove it
            > [hub]
            > data_dir = "/srv/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            watchpost.toml:7:12: `data_dir` in [hub] is too long: 117 bytes
              | "/srv/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" | here
              expected at most 94: the control socket in it needs a short path
            > [watchdog]
            > ping_url = "hc-ping.com/s3cret"
            watchpost.toml:7:12: `ping_url` in [watchdog] does not begin with http:// or the like
              | *** | here
              expected the whole address, such as `https://hc-ping.com/…`
            > [watchdog]
            > ping_url = "https:/hc-ping.com/s3cret"
            watchpost.toml:7:12: `ping_url` in [watchdog] has not `://` after `https`
              | *** | here
              expected the whole address, such as `https://hc-ping.com/…`
            > [[sink]]
            > name = "a"
            > plugin = "x"
            > retry = { give_up_after = "0s" }
            watchpost.toml:9:27: `give_up_after` in [sink.retry] of `a` (0s) must not be shorter than `initial` (1s)
              | "0s" | here
              raise `give_up_after` or lower `initial`
            > [[sink]]
            > name = "a"
            > plugin = "x"
            > retry = { initial = "10s", give_up_after = "5s" }
            watchpost.toml:9:44: `give_up_after` in [sink.retry] of `a` (5s) must not be shorter than `initial` (10s)
              | "5s" | here
              raise `give_up_after` or lower `initial`
            > [[connection.header]]
            > name = "Host"
            > secret = "s3cret"
            watchpost.toml:7:8: `name` in [[connection.header]] of `main` cannot be `Host`
              | "Host" | here
              the hub sets this header itself
            > [[connection.header]]
            > name = "X Key"
            > secret = "s3cret"
            watchpost.toml:7:8: `name` in [[connection.header]] of `main` cannot be `X Key`: that is no name of an HTTP header
              | "X Key" | here
              expected letters, digits and `-`, such as `X-Api-Key`
            > max_message = "1KiB"
            watchpost.toml:6:15: `max_message` in [[connection]] `main` cannot be 1KiB
              | "1KiB" | here
              expected 64KiB or more: every larger message closes the connection
            > [connection.backfill]
            > shop_ids = [""]
            watchpost.toml:7:13: `shop_ids` in [connection.backfill] of `main` is empty
              | "" | here
              write something, or leave the key out
            > [[sink]]
            > name = "a"
            > plugin = "x"
            > [[route]]
            > sinks = ["a", "a"]
            watchpost.toml:10:15: `a` is named twice here
              | "a" | again
              remove one of the two
            > [[connection]]
            > name = "b"
            > url = "ws://192.168.1.20:8000/"
            > user_id = "550e8400-e29b-41d4-a716-446655440000"
            > token_file = "t"
            watchpost.toml:9:11: `user_id` in [[connection]] `b` is the account of [[connection]] `main` too, at the same backend
              | "550e8400-e29b-41d4-a716-446655440000" | here
              remove one of the two: the backend sends the alerts of an account to one client only, the last that connected
        "#]],
    );
}

#[test]
fn addresses_and_accounts() {
    let connection = |url: &str, login: &str| {
        format!(
            "[[connection]]\nname = \"main\"\nurl = \"{url}\"\nlogin = {{ email = \"{login}\", password_file = \"p\" }}\n"
        )
    };
    let cases = [
        connection("http:/host", "a@b.example"),
        connection("192.168.1.20:8000", "a@b.example"),
        connection("http://user:s3cret@host", "a@b.example"),
        connection("http://host:0", "a@b.example"),
        connection("http://192.168.1:8000", "a@b.example"),
        connection("http://host:8000", "hub"),
        connection("http://host:8000", "Hub <hub@example.com>"),
        connection("http://host:8000", "a@b") + &connection("http://host:8000", "A@B").replace("main", "two"),
    ];
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    table(
        &cases,
        expect![[r#"
            > [[connection]]
            > name = "main"
            > url = "http:/host"
            > login = { email = "a@b.example", password_file = "p" }
            watchpost.toml:3:7: `url` in [[connection]] `main` has not `://` after `http`
              | "http:/host" | here
              write `http://host`
            > [[connection]]
            > name = "main"
            > url = "192.168.1.20:8000"
            > login = { email = "a@b.example", password_file = "p" }
            watchpost.toml:3:7: `url` in [[connection]] `main` does not begin with http:// or the like
              | "192.168.1.20:8000" | here
              expected http://, https://, ws:// or wss://, a host, and a port if it is not the usual one, such as `http://192.168.1.20:8000`
            > [[connection]]
            > name = "main"
            > url = "http://user:s3cret@host"
            > login = { email = "a@b.example", password_file = "p" }
            watchpost.toml:3:7: `url` in [[connection]] `main` contains a user name or a password
              | "http://***        @host" | here
              leave them out: an account is given in [connection.login], with `email` and `password_file`
            > [[connection]]
            > name = "main"
            > url = "http://host:0"
            > login = { email = "a@b.example", password_file = "p" }
            watchpost.toml:3:7: `url` in [[connection]] `main` has the port 0, to which nothing can connect
              | "http://host:0" | here
              expected 1 to 65535
            > [[connection]]
            > name = "main"
            > url = "http://192.168.1:8000"
            > login = { email = "a@b.example", password_file = "p" }
            watchpost.toml:3:7: `url` in [[connection]] `main` has the incomplete address 192.168.1
              | "http://192.168.1:8000" | here
              expected four numbers, such as 192.168.1.20, or a name
            > [[connection]]
            > name = "main"
            > url = "http://host:8000"
            > login = { email = "hub", password_file = "p" }
            watchpost.toml:4:19: `email` in [connection.login] of `main` has no `@`
              | "hub" | here
              expected an address such as `hub@example.com`
            > [[connection]]
            > name = "main"
            > url = "http://host:8000"
            > login = { email = "Hub <hub@example.com>", password_file = "p" }
            watchpost.toml:4:19: `email` in [connection.login] of `main` contains ' '
              | "Hub <hub@example.com>" | here
              expected an address such as `hub@example.com`
            > [[connection]]
            > name = "main"
            > url = "http://host:8000"
            > login = { email = "a@b", password_file = "p" }
            > [[connection]]
            > name = "two"
            > url = "http://host:8000"
            > login = { email = "A@B", password_file = "p" }
            watchpost.toml:8:19: `email` in [connection.login] of `two` is the account of [[connection]] `main` too, at the same backend
              | "A@B" | here
              remove one of the two: the backend sends the alerts of an account to one client only, the last that connected
        "#]],
    );
}
