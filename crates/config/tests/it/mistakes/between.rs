//! Values that contradict each other.

use expect_test::expect;

use super::{after_connection, check};
use crate::site::CONNECTION;

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
fn areas_without_cameras_and_cameras_of_two_areas() {
    let cameras = "[[camera]]\nname = \"Gate\"\nmatch = { stream = \"a\" }\n[[camera]]\nname = \"Till\"\narea = \"Shop\"\nmatch = { stream = \"b\" }\n";
    let cases = [
        "[[area]]\nname = \"Shop\"\ncamera = \"Gate\"\n[[area]]\nname = \"Yard\"\ncamera = \"G*\"\n",
        "[[area]]\nname = \"Yard\"\ncamera = \"Till\"\n[[area]]\nname = \"Shop\"\n",
        "[[area]]\nname = \"Yard\"\n",
        "[[area]]\nname = \"Yard\"\ncamera = \"Gaet\"\n",
        "[[area]]\nname = \"Yard\"\ncamera = \"Gate\"\ndelayed = \"Till\"\ntrigger_time = \"0s\"\nmodes = []\n",
        "[[area]]\nname = \"Yard\"\ncamera = \"Gate\"\nmodes = \"vacation\"\n",
        // This is right.
        "[[area]]\nname = \"Shop\"\ncamera = \"Gate\"\nmodes = \"night\"\ndelayed = \"*\"\n",
    ];
    let cases = cases.map(|areas| format!("{cameras}{areas}"));
    after_connection(
        &cases.each_ref().map(String::as_str),
        expect![[r#"
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[camera]]
        > name = "Till"
        > area = "Shop"
        > match = { stream = "b" }
        > [[area]]
        > name = "Shop"
        > camera = "Gate"
        > [[area]]
        > name = "Yard"
        > camera = "G*"
        watchpost.toml:18:10: `camera` in [[area]] `Yard` has camera `Gate`, which belongs to area `Shop` already
          | "G*" | here
          a camera belongs to one area: name it in one of them
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[camera]]
        > name = "Till"
        > area = "Shop"
        > match = { stream = "b" }
        > [[area]]
        > name = "Yard"
        > camera = "Till"
        > [[area]]
        > name = "Shop"
        watchpost.toml:16:1: `camera` in [[area]] `Shop` has camera `Till`, which belongs to area `Yard` already
          | [[area]] | here
          a camera belongs to one area: name it in one of them
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[camera]]
        > name = "Till"
        > area = "Shop"
        > match = { stream = "b" }
        > [[area]]
        > name = "Yard"
        watchpost.toml:13:1: [[area]] `Yard` has no camera, so there is nothing to arm
          | [[area]] | here
          give it a `camera`, or a [[camera]] this `area`
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[camera]]
        > name = "Till"
        > area = "Shop"
        > match = { stream = "b" }
        > [[area]]
        > name = "Yard"
        > camera = "Gaet"
        watchpost.toml:15:10: there is no camera `Gaet`
          | "Gaet" | no `[[camera]]` has this name
          did you mean "Gate"?
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[camera]]
        > name = "Till"
        > area = "Shop"
        > match = { stream = "b" }
        > [[area]]
        > name = "Yard"
        > camera = "Gate"
        > delayed = "Till"
        > trigger_time = "0s"
        > modes = []
        watchpost.toml:16:11: `delayed` in [[area]] `Yard` names camera `Till`, which does not belong to the area
          | "Till" | here
          name it in `camera` too
        watchpost.toml:17:16: `trigger_time` in [[area]] `Yard` cannot be zero
          | "0s" | here
          expected some time, such as "1s"
        watchpost.toml:18:9: `modes` in [[area]] `Yard` is empty, so it is never armed
          | [] | here
          name `home`, `away` or `night`, or leave the key out for all three
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[camera]]
        > name = "Till"
        > area = "Shop"
        > match = { stream = "b" }
        > [[area]]
        > name = "Yard"
        > camera = "Gate"
        > modes = "vacation"
        watchpost.toml:16:9: `modes` in [[area]] `Yard` cannot be `vacation`
          | "vacation" | not one of its words
          expected `home`, `away` or `night`
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[camera]]
        > name = "Till"
        > area = "Shop"
        > match = { stream = "b" }
        > [[area]]
        > name = "Shop"
        > camera = "Gate"
        > modes = "night"
        > delayed = "*"
        NO ERROR
    "#]],
    );
}

#[test]
fn inhibitions_by_halves_of_other_words_and_of_what_is_not_there() {
    let expect = "[[expect]]\nname = \"Gate\"\nevery = \"24h\"\nmatch = { camera = \"Gate\" }\n";
    let camera = "[[camera]]\nname = \"Gate\"\nmatch = { stream = \"a\" }\n";
    let inhibit = |source: &str, target: &str, equal: &str| {
        format!(
            "{camera}{expect}[[inhibit]]\nsource_match = {source}\ntarget_match = {target}\nequal = {equal}\n"
        )
    };
    let lost = "{ status = \"link_lost\" }";
    let quiet = "{ status = \"quiet\" }";
    let cases = [
        inhibit("{ status = [] }", quiet, "\"connection\""),
        inhibit(lost, "{ status = [] }", "\"connection\""),
        inhibit(lost, quiet, "[]"),
        inhibit("{ status = \"link_back\" }", quiet, "\"connection\""),
        inhibit(lost, "{ status = \"link_lost\" }", "\"connection\""),
        inhibit(lost, "{ kind = \"tamper\" }", "\"connection\""),
        inhibit(lost, quiet, "\"shop\""),
        inhibit(
            "{ status = \"link_lost\", connection = \"mian\" }",
            quiet,
            "\"connection\"",
        ),
        inhibit("{ status = \"quiet\", expect = \"Gaet\" }", quiet, "\"area\""),
        inhibit(
            "{ status = \"link_lost\", area = \"Yard\" }",
            quiet,
            "\"connection\"",
        ),
        inhibit("\"link_lost\"", quiet, "\"connection\""),
        "[[inhibit]]\nsource_match = { status = \"link_lost\" }\n".to_owned(),
        // These are right.
        inhibit(lost, quiet, "\"connection\""),
        inhibit(
            "{ status = \"quiet\", expect = \"G*\" }",
            quiet,
            "[\"camera\", \"area\"]",
        ),
    ];
    after_connection(
        &cases.each_ref().map(String::as_str),
        expect![[r#"
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[expect]]
        > name = "Gate"
        > every = "24h"
        > match = { camera = "Gate" }
        > [[inhibit]]
        > source_match = { status = [] }
        > target_match = { status = "quiet" }
        > equal = "connection"
        watchpost.toml:14:27: `status` in [inhibit.source_match] is empty
          | [] | here
          expected such as "link_lost", or remove the [[inhibit]]
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[expect]]
        > name = "Gate"
        > every = "24h"
        > match = { camera = "Gate" }
        > [[inhibit]]
        > source_match = { status = "link_lost" }
        > target_match = { status = [] }
        > equal = "connection"
        watchpost.toml:15:27: `status` in [inhibit.target_match] is empty
          | [] | here
          expected such as "quiet", or remove the [[inhibit]]
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[expect]]
        > name = "Gate"
        > every = "24h"
        > match = { camera = "Gate" }
        > [[inhibit]]
        > source_match = { status = "link_lost" }
        > target_match = { status = "quiet" }
        > equal = []
        watchpost.toml:16:9: `equal` in [[inhibit]] is empty
          | [] | here
          expected such as "connection", or remove the [[inhibit]]
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[expect]]
        > name = "Gate"
        > every = "24h"
        > match = { camera = "Gate" }
        > [[inhibit]]
        > source_match = { status = "link_back" }
        > target_match = { status = "quiet" }
        > equal = "connection"
        watchpost.toml:14:27: `status` in [inhibit.source_match] cannot be `link_back`
          | "link_back" | not one of its words
          expected `link_lost` or `quiet`
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[expect]]
        > name = "Gate"
        > every = "24h"
        > match = { camera = "Gate" }
        > [[inhibit]]
        > source_match = { status = "link_lost" }
        > target_match = { status = "link_lost" }
        > equal = "connection"
        watchpost.toml:15:27: `status` in [inhibit.target_match] cannot be `link_lost`
          | "link_lost" | not one of its words
          expected `quiet` or `login_refused`
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[expect]]
        > name = "Gate"
        > every = "24h"
        > match = { camera = "Gate" }
        > [[inhibit]]
        > source_match = { status = "link_lost" }
        > target_match = { kind = "tamper" }
        > equal = "connection"
        watchpost.toml:15:16: [inhibit.target_match] lacks `status`
          | { kind = "tamper" } | in here
          `status`: The word for the event, or several: `quiet` or `login_refused`
        watchpost.toml:15:18: unknown key `kind` in [inhibit.target_match]
          | kind | not a key here
          `kind` belongs in [[connection]], [expect.match] or [route.match]
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[expect]]
        > name = "Gate"
        > every = "24h"
        > match = { camera = "Gate" }
        > [[inhibit]]
        > source_match = { status = "link_lost" }
        > target_match = { status = "quiet" }
        > equal = "shop"
        watchpost.toml:16:9: `equal` in [[inhibit]] cannot be `shop`
          | "shop" | not one of its words
          expected `connection`, `camera` or `area`
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[expect]]
        > name = "Gate"
        > every = "24h"
        > match = { camera = "Gate" }
        > [[inhibit]]
        > source_match = { status = "link_lost", connection = "mian" }
        > target_match = { status = "quiet" }
        > equal = "connection"
        watchpost.toml:14:53: there is no connection `mian`
          | "mian" | no `[[connection]]` has this name
          did you mean "main"?
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[expect]]
        > name = "Gate"
        > every = "24h"
        > match = { camera = "Gate" }
        > [[inhibit]]
        > source_match = { status = "quiet", expect = "Gaet" }
        > target_match = { status = "quiet" }
        > equal = "area"
        watchpost.toml:14:45: there is no expect `Gaet`
          | "Gaet" | no `[[expect]]` has this name
          did you mean "Gate"?
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[expect]]
        > name = "Gate"
        > every = "24h"
        > match = { camera = "Gate" }
        > [[inhibit]]
        > source_match = { status = "link_lost", area = "Yard" }
        > target_match = { status = "quiet" }
        > equal = "connection"
        watchpost.toml:14:47: there is no area `Yard`
          | "Yard" | no `[[camera]]` watches it
          give a [[camera]] this `area`
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[expect]]
        > name = "Gate"
        > every = "24h"
        > match = { camera = "Gate" }
        > [[inhibit]]
        > source_match = "link_lost"
        > target_match = { status = "quiet" }
        > equal = "connection"
        watchpost.toml:14:16: `source_match` in [[inhibit]] must be a table, and is a string
          | "link_lost" | a string
          write a line `[inhibit.source_match]`, and its keys below it
        > [[inhibit]]
        > source_match = { status = "link_lost" }
        watchpost.toml:6:1: [[inhibit]] lacks `equal` and `target_match`
          | [[inhibit]] | in here
          `equal`: What both must have in common: `connection`, `camera` or `area`, or several
          `target_match`: The events that are not sent while it holds: `{ status = "quiet" }` or `{ status = "login_refused" }`
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[expect]]
        > name = "Gate"
        > every = "24h"
        > match = { camera = "Gate" }
        > [[inhibit]]
        > source_match = { status = "link_lost" }
        > target_match = { status = "quiet" }
        > equal = "connection"
        NO ERROR
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[expect]]
        > name = "Gate"
        > every = "24h"
        > match = { camera = "Gate" }
        > [[inhibit]]
        > source_match = { status = "quiet", expect = "G*" }
        > target_match = { status = "quiet" }
        > equal = ["camera", "area"]
        NO ERROR
    "#]],
    );
}

#[test]
fn what_is_repeated_goes_on() {
    let sink = "[[sink]]\nname = \"mail\"\nplugin = \"email\"\n";
    let route = |lines: &str| format!("{sink}[[route]]\nsinks = \"mail\"\n{lines}\n");
    let cases = [
        route("repeat_interval = \"4h\""),
        route("repeat_interval = \"4h\"\nmatch = { kind = \"anomaly\" }"),
        route("repeat_interval = \"4h\"\nmatch = { kind = \"hub\", status = \"disk_low\" }"),
        route("repeat_interval = \"30s\"\nmatch = { kind = \"hub\" }"),
        // These are right.
        route("repeat_interval = \"4h\"\nmatch = { kind = [\"anomaly\", \"hub\"] }"),
        route("repeat_interval = \"4h\"\nmatch = { kind = \"hub\", status = [\"disk_low\", \"quiet\"] }"),
    ];
    after_connection(
        &cases.each_ref().map(String::as_str),
        expect![[r#"
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[route]]
        > sinks = "mail"
        > repeat_interval = "4h"
        watchpost.toml:11:19: `repeat_interval` in [[route]] repeats nothing: only that a connection is lost or that something is quiet goes on
          | "4h" | here
          add `match = { kind = "hub", status = ["link_lost", "quiet"] }` to the route, or remove it
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[route]]
        > sinks = "mail"
        > repeat_interval = "4h"
        > match = { kind = "anomaly" }
        watchpost.toml:11:19: `repeat_interval` in [[route]] repeats nothing: only that a connection is lost or that something is quiet goes on
          | "4h" | here
          add `match = { kind = "hub", status = ["link_lost", "quiet"] }` to the route, or remove it
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[route]]
        > sinks = "mail"
        > repeat_interval = "4h"
        > match = { kind = "hub", status = "disk_low" }
        watchpost.toml:11:19: `repeat_interval` in [[route]] repeats nothing: only that a connection is lost or that something is quiet goes on
          | "4h" | here
          add `match = { kind = "hub", status = ["link_lost", "quiet"] }` to the route, or remove it
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[route]]
        > sinks = "mail"
        > repeat_interval = "30s"
        > match = { kind = "hub" }
        watchpost.toml:11:19: `repeat_interval` in [[route]] (30s) is shorter than a minute
          | "30s" | here
          expected such as "4h"
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[route]]
        > sinks = "mail"
        > repeat_interval = "4h"
        > match = { kind = ["anomaly", "hub"] }
        NO ERROR
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[route]]
        > sinks = "mail"
        > repeat_interval = "4h"
        > match = { kind = "hub", status = ["disk_low", "quiet"] }
        NO ERROR
    "#]],
    );
}

#[test]
fn rate_limits_that_are_no_rates_or_for_no_messages() {
    let sink = |plugin: &str, limit: &str| {
        format!("[[sink]]\nname = \"sms\"\nplugin = \"{plugin}\"\nrate_limit = {limit}\n")
    };
    let cases = [
        sink("exec", "20"),
        sink("exec", "\"20\""),
        sink("exec", "\"20/h\""),
        sink("exec", "\"20 per hour\""),
        sink("exec", "\"0 per 1h\""),
        sink("exec", "\"20 per 60\""),
        sink("exec", "\"5000 per 1h\""),
        sink("exec", "\"20 per 2d\""),
        sink("gpio", "\"20 per 1h\""),
        sink("archive", "\"20 per 1h\""),
        // This is right.
        sink("email", "\"20 per 1h 30m\""),
    ];
    after_connection(
        &cases.each_ref().map(String::as_str),
        expect![[r#"
        > [[sink]]
        > name = "sms"
        > plugin = "exec"
        > rate_limit = 20
        watchpost.toml:9:14: `rate_limit` in [[sink]] `sms` must be a number and a duration in quotes, such as "20 per 1h", and is an integer
          | 20 | an integer
          write "20 per 1h" if you mean in an hour
        > [[sink]]
        > name = "sms"
        > plugin = "exec"
        > rate_limit = "20"
        watchpost.toml:9:14: `rate_limit` in [[sink]] `sms` is not a rate: `20`
          | "20" | here
          expected a number and a duration, such as "20 per 1h"
        > [[sink]]
        > name = "sms"
        > plugin = "exec"
        > rate_limit = "20/h"
        watchpost.toml:9:14: `rate_limit` in [[sink]] `sms` is not a rate: `20/h`
          | "20/h" | here
          write "20 per 1h"
        > [[sink]]
        > name = "sms"
        > plugin = "exec"
        > rate_limit = "20 per hour"
        watchpost.toml:9:14: `rate_limit` in [[sink]] `sms` is not a rate: `20 per hour`
          | "20 per hour" | here
          write "20 per 1h"
        > [[sink]]
        > name = "sms"
        > plugin = "exec"
        > rate_limit = "0 per 1h"
        watchpost.toml:9:14: `rate_limit` in [[sink]] `sms` is not a rate: `0 per 1h`
          | "0 per 1h" | here
          expected one at least, such as "1 per 1h"
        > [[sink]]
        > name = "sms"
        > plugin = "exec"
        > rate_limit = "20 per 60"
        watchpost.toml:9:14: `rate_limit` in [[sink]] `sms` is not a rate: `20 per 60`
          | "20 per 60" | here
          a unit is missing, write "60s" for seconds
        > [[sink]]
        > name = "sms"
        > plugin = "exec"
        > rate_limit = "5000 per 1h"
        watchpost.toml:9:14: `rate_limit` in [[sink]] `sms` allows 5000 messages, of which each is remembered for 1h
          | "5000 per 1h" | here
          expected 200 at most: take a shorter time, such as "100 per 10m", or remove it
        > [[sink]]
        > name = "sms"
        > plugin = "exec"
        > rate_limit = "20 per 2d"
        watchpost.toml:9:14: `rate_limit` in [[sink]] `sms` counts for 2d, which is longer than a day
          | "20 per 2d" | here
          expected such as "20 per 1h": what is held for longer is no news
        > [[sink]]
        > name = "sms"
        > plugin = "gpio"
        > rate_limit = "20 per 1h"
        watchpost.toml:9:14: `rate_limit` in [[sink]] `sms` holds nothing back: what makes noise sounds for each alert, and an archive keeps each
          | "20 per 1h" | here
          remove it, or set it for a sink that gets messages
        > [[sink]]
        > name = "sms"
        > plugin = "archive"
        > rate_limit = "20 per 1h"
        watchpost.toml:9:14: `rate_limit` in [[sink]] `sms` holds nothing back: what makes noise sounds for each alert, and an archive keeps each
          | "20 per 1h" | here
          remove it, or set it for a sink that gets messages
        > [[sink]]
        > name = "sms"
        > plugin = "email"
        > rate_limit = "20 per 1h 30m"
        NO ERROR
    "#]],
    );
}

#[test]
fn groups_that_are_said_twice_by_halves_or_for_no_one() {
    let sinks =
        "[[sink]]\nname = \"mail\"\nplugin = \"email\"\n[[sink]]\nname = \"siren\"\nplugin = \"gpio\"\n";
    let cases = [
        "[[route]]\nsinks = \"mail\"\ncooldown = \"5m\"\ngroup_interval = \"5m\"\n",
        "[[route]]\nsinks = \"mail\"\ngroup_wait = \"30s\"\n",
        "[[route]]\nsinks = \"mail\"\ngroup_by = [\"camera\", \"colour\"]\n",
        "[[route]]\nsinks = \"mail\"\ncooldown = \"0s\"\n",
        "[[route]]\nsinks = \"mail\"\ncooldown = \"2d\"\n",
        "[[route]]\nsinks = \"mail\"\ncooldown = \"5m\"\ndelay = \"1m\"\n",
        "[[route]]\nsinks = \"siren\"\ngroup_by = \"camera\"\n",
        "[[route]]\nsinks = \"mail\"\ncooldown = \"5m\"\nmatch = { kind = \"hub\" }\n",
        // These are right.
        "[[route]]\nsinks = [\"mail\", \"siren\"]\ncooldown = \"5m\"\ngroup_by = \"area\"\n",
        "[[route]]\nsinks = \"mail\"\ngroup_by = []\ngroup_wait = \"0s\"\n",
    ];
    let cases = cases.map(|routes| format!("{sinks}{routes}"));
    after_connection(
        &cases.each_ref().map(String::as_str),
        expect![[r#"
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[route]]
        > sinks = "mail"
        > cooldown = "5m"
        > group_interval = "5m"
        watchpost.toml:15:18: `group_interval` in [[route]] stands beside `cooldown`, which says the same in one word
          | "5m" | here
          keep `cooldown`, which sends the first at once, or `group_wait` and `group_interval`
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[route]]
        > sinks = "mail"
        > group_wait = "30s"
        watchpost.toml:14:14: `group_wait` in [[route]] says how groups are sent, and nothing says what makes a group
          | "30s" | here
          add such as `group_by = "camera"`, or remove it
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[route]]
        > sinks = "mail"
        > group_by = ["camera", "colour"]
        watchpost.toml:14:23: `group_by` in [[route]] cannot be `colour`
          | "colour" | not one of its words
          expected `camera`, `area`, `connection`, `stream`, `kind`, `status` or `severity`
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[route]]
        > sinks = "mail"
        > cooldown = "0s"
        watchpost.toml:14:12: `cooldown` in [[route]] cannot be zero
          | "0s" | here
          expected some time, such as "1s"
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[route]]
        > sinks = "mail"
        > cooldown = "2d"
        watchpost.toml:14:12: `cooldown` in [[route]] (2d) is longer than a day
          | "2d" | here
          expected such as "5m": what is held for longer is no news
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[route]]
        > sinks = "mail"
        > cooldown = "5m"
        > delay = "1m"
        watchpost.toml:14:12: `cooldown` in [[route]] stands beside `delay`
          | "5m" | here
          use `group_wait` in place of `delay`, or one route for each
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[route]]
        > sinks = "siren"
        > group_by = "camera"
        watchpost.toml:14:12: `group_by` in [[route]] holds nothing back: what makes noise sounds for each alert, and an archive keeps each
          | "camera" | here
          remove it, or add a sink that gets messages
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[route]]
        > sinks = "mail"
        > cooldown = "5m"
        > match = { kind = "hub" }
        watchpost.toml:14:12: `cooldown` in [[route]] holds nothing back: no panic and no tamper is held, nor what the hub says of itself
          | "5m" | here
          remove it
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[route]]
        > sinks = ["mail", "siren"]
        > cooldown = "5m"
        > group_by = "area"
        NO ERROR
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[route]]
        > sinks = "mail"
        > group_by = []
        > group_wait = "0s"
        NO ERROR
    "#]],
    );
}

#[test]
fn routes_that_never_count_and_delays_that_outlast_an_alert() {
    let sinks = "[[sink]]\nname = \"siren\"\nplugin = \"gpio\"\nmax_age = \"1m\"\n";
    let cases = [
        "[[route]]\nname = \"all\"\nsinks = \"siren\"\nstop = true\n[[route]]\nsinks = \"siren\"\n",
        "[[route]]\nsinks = \"siren\"\nmatch = { severity = \"low\" }\nstop = true\n[[route]]\nmatch = { kind = \"owl_eye\" }\nsinks = \"siren\"\n",
        // These do count.
        "[[route]]\nsinks = \"siren\"\nstop = true\n[[route]]\nmatch = { kind = \"hub\" }\nsinks = \"siren\"\n",
        "[[route]]\nsinks = \"siren\"\nmatch = { severity = \"high\" }\nstop = true\n[[route]]\nsinks = \"siren\"\ndelay = \"59s\"\n",
        "[[route]]\nsinks = \"siren\"\ndelay = \"0s\"\n",
        "[[route]]\nsinks = \"siren\"\ndelay = \"1m\"\n",
    ];
    let cases = cases.map(|routes| format!("{sinks}{routes}"));
    after_connection(
        &cases.each_ref().map(String::as_str),
        expect![[r#"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > max_age = "1m"
        > [[route]]
        > name = "all"
        > sinks = "siren"
        > stop = true
        > [[route]]
        > sinks = "siren"
        watchpost.toml:14:1: [[route]] never counts: route all before it takes everything and has `stop = true`
          | [[route]] | here
          put it before that one, or remove one of them
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > max_age = "1m"
        > [[route]]
        > sinks = "siren"
        > match = { severity = "low" }
        > stop = true
        > [[route]]
        > match = { kind = "owl_eye" }
        > sinks = "siren"
        watchpost.toml:14:1: [[route]] never counts: route number 1 before it takes everything and has `stop = true`
          | [[route]] | here
          put it before that one, or remove one of them
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > max_age = "1m"
        > [[route]]
        > sinks = "siren"
        > stop = true
        > [[route]]
        > match = { kind = "hub" }
        > sinks = "siren"
        NO ERROR
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > max_age = "1m"
        > [[route]]
        > sinks = "siren"
        > match = { severity = "high" }
        > stop = true
        > [[route]]
        > sinks = "siren"
        > delay = "59s"
        NO ERROR
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > max_age = "1m"
        > [[route]]
        > sinks = "siren"
        > delay = "0s"
        watchpost.toml:12:9: `delay` in [[route]] cannot be zero
          | "0s" | here
          expected some time, such as "1s"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > max_age = "1m"
        > [[route]]
        > sinks = "siren"
        > delay = "1m"
        watchpost.toml:12:9: `delay` in [[route]] (1m) must be shorter than `max_age` (1m) of sink `siren`
          | "1m" | here
          what is delayed would expire before it is due: lower the one or raise the other
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
              help: name a sink or a `policy`, or remove the route
        "#]],
    );
}

#[test]
fn an_area_is_armed_by_one_schedule_that_there_is_in_a_mode_that_it_has() {
    let area = "[[schedule]]\nname = \"night\"\nopen = \"22:00-06:00\"\n[[camera]]\nname = \"Gate\"\nmatch = { stream = \"a\" }\n\
                [[area]]\nname = \"Yard\"\ncamera = \"Gate\"\nmodes = [\"away\", \"night\"]\n";
    let cases = [
        "arm = { schedule = \"nihgt\" }",
        "arm = { schedule = \"nig*\" }",
        "arm = { schedule = \"night\", mode = \"home\" }",
        "arm = { mode = \"away\" }",
        "arm = [{ schedule = \"night\", warn = \"0s\", disarm = false, force = true }]",
    ];
    let cases = cases.map(|arm| format!("{area}{arm}\n"));
    after_connection(
        &cases.each_ref().map(String::as_str),
        expect![[r#"
            > [[schedule]]
            > name = "night"
            > open = "22:00-06:00"
            > [[camera]]
            > name = "Gate"
            > match = { stream = "a" }
            > [[area]]
            > name = "Yard"
            > camera = "Gate"
            > modes = ["away", "night"]
            > arm = { schedule = "nihgt" }
            watchpost.toml:16:20: there is no schedule `nihgt`
              | "nihgt" | no `[[schedule]]` has this name
              did you mean "night"?
            > [[schedule]]
            > name = "night"
            > open = "22:00-06:00"
            > [[camera]]
            > name = "Gate"
            > match = { stream = "a" }
            > [[area]]
            > name = "Yard"
            > camera = "Gate"
            > modes = ["away", "night"]
            > arm = { schedule = "nig*" }
            watchpost.toml:16:20: `schedule` in [area.arm] of `Yard` has `*` or `?`, and one schedule is meant
              | "nig*" | here
              expected the name of a [[schedule]], or several [[area.arm]]
            > [[schedule]]
            > name = "night"
            > open = "22:00-06:00"
            > [[camera]]
            > name = "Gate"
            > match = { stream = "a" }
            > [[area]]
            > name = "Yard"
            > camera = "Gate"
            > modes = ["away", "night"]
            > arm = { schedule = "night", mode = "home" }
            watchpost.toml:16:36: `mode` in [area.arm] of `Yard` is `home`, in which the area is not armed
              | "home" | here
              expected one of its `modes`: away, night
            > [[schedule]]
            > name = "night"
            > open = "22:00-06:00"
            > [[camera]]
            > name = "Gate"
            > match = { stream = "a" }
            > [[area]]
            > name = "Yard"
            > camera = "Gate"
            > modes = ["away", "night"]
            > arm = { mode = "away" }
            watchpost.toml:16:7: [area.arm] of `Yard` lacks `schedule`
              | { mode = "away" } | in here
              `schedule`: The `[[schedule]]`
            > [[schedule]]
            > name = "night"
            > open = "22:00-06:00"
            > [[camera]]
            > name = "Gate"
            > match = { stream = "a" }
            > [[area]]
            > name = "Yard"
            > camera = "Gate"
            > modes = ["away", "night"]
            > arm = [{ schedule = "night", warn = "0s", disarm = false, force = true }]
            NO ERROR
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
              × unknown key `tokn_file` in [[connection]] `main`
               ╭─[watchpost.toml:5:1]
             4 │ user_id = "u"
             5 │ tokn_file = "token"
               · ────┬────
               ·     ╰── not a key here
             6 │
               ╰────
              help: did you mean `token_file`?
            watchpost.toml:10:11
              × `timeout` in [[sink]] `archive` is not a duration: `30`
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
              × `connect_timeout` in [[connection]] `main` cannot be zero
               ╭─[watchpost.toml:6:19]
             5 │ token_file = "token"
             6 │ connect_timeout = "0s"
               ·                   ──┬─
               ·                     ╰── here
             7 │ heartbeat = { interval = "60s" }
               ╰────
              help: expected some time, such as "1s"
            watchpost.toml:7:13
              × `timeout` in [connection.heartbeat] of `main` (1m) must be longer than `interval` (1m)
               ╭─[watchpost.toml:7:13]
             6 │ connect_timeout = "0s"
             7 │ heartbeat = { interval = "60s" }
               ·             ──────────┬─────────
               ·                       ╰── here
             8 │ reconnect = { initial = "1m" }
               ╰────
              help: the answer to a ping needs time to come: twice the interval is good
            watchpost.toml:8:13
              × `max` in [connection.reconnect] of `main` (30s) must not be shorter than `initial` (1m)
               ╭─[watchpost.toml:8:13]
             7 │ heartbeat = { interval = "60s" }
             8 │ reconnect = { initial = "1m" }
               ·             ─────────┬────────
               ·                      ╰── here
             9 │
               ╰────
              help: raise `max` or lower `initial`
            watchpost.toml:13:11
              × `timeout` in [[sink]] `x` cannot be zero
                ╭─[watchpost.toml:13:11]
             12 │ plugin = "x"
             13 │ timeout = "0ms"
                ·           ──┬──
                ·             ╰── here
             14 │ retry = { initial = "10m" }
                ╰────
              help: expected some time, such as "1s"
            watchpost.toml:14:9
              × `max` in [sink.retry] of `x` (5m) must not be shorter than `initial` (10m)
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
              × `intake_buffer` in [[connection]] `main` (4MiB) must not be less than `max_message` (8MiB)
               ╭─[watchpost.toml:7:17]
             6 │ max_message = "8MiB"
             7 │ intake_buffer = "4MiB"
               ·                 ───┬──
               ·                    ╰── here
             8 │
               ╰────
              help: one message of the largest size must fit
            watchpost.toml:10:12
              × `max_size` in [store] leaves no room for two files of `segment_size`
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
              × `segment_size` in [store] cannot be 1KiB
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
fn cameras() {
    after_connection(
        &[
            "[[camera]]\nname = \"Gate\"\narea = \"Yard\"\nmatch = { stream = \"3544c7ab*\" }\n",
            "[[camera]]\nname = \"Gate\"\n",
            "[[camera]]\nname = \"Gate\"\nmatch = {}\n",
            "[[camera]]\nname = \"Gate\"\nmatch = { connection = \"mian\" }\n",
            "[[camera]]\nname = \"Gate\"\nmatch = { strean = \"a\" }\n",
            "[[camera]]\nname = \"Gate\"\nstream = \"a\"\n",
            "[[camera]]\nname = \"Gate\"\nmatch = { stream = \"\" }\n",
            "[[camera]]\nname = \"\"\nmatch = { stream = \"a\" }\n",
            "[[camera]]\nname = \"Gate\"\nmatch = { stream = \"a\" }\n[[camera]]\nname = \"Gate\"\nmatch = { stream = \"b\" }\n",
            "[[camera]]\nname = \"Gate\"\nmatch = { stream = \"a*\" }\n[[camera]]\nname = \"Till\"\nmatch = { stream = \"ab\", shop = \"s\" }\n",
            "[[cameras]]\nname = \"Gate\"\n",
        ],
        expect![[r#"
            > [[camera]]
            > name = "Gate"
            > area = "Yard"
            > match = { stream = "3544c7ab*" }
            NO ERROR
            > [[camera]]
            > name = "Gate"
            watchpost.toml:6:1: [[camera]] `Gate` lacks `match`
              | [[camera]] | in here
              `match`: Which camera it is: the one that meets every condition given here, of which there is at least one
            > [[camera]]
            > name = "Gate"
            > match = {}
            watchpost.toml:8:9: `match` in [[camera]] `Gate` says nothing, so every camera would have this name
              | {} | here
              give a `stream`, a `location`, a `shop` or a `connection`
            > [[camera]]
            > name = "Gate"
            > match = { connection = "mian" }
            watchpost.toml:8:24: there is no connection `mian`
              | "mian" | no `[[connection]]` has this name
              did you mean "main"?
            > [[camera]]
            > name = "Gate"
            > match = { strean = "a" }
            watchpost.toml:8:11: unknown key `strean` in [camera.match] of `Gate`
              | strean | not a key here
              did you mean `stream`?
            > [[camera]]
            > name = "Gate"
            > stream = "a"
            watchpost.toml:6:1: [[camera]] `Gate` lacks `match`
              | [[camera]] | in here
              `match`: Which camera it is: the one that meets every condition given here, of which there is at least one
            watchpost.toml:8:1: unknown key `stream` in [[camera]] `Gate`
              | stream | not a key here
              `stream` belongs in [camera.match]: write it below a line `[camera.match]`
            > [[camera]]
            > name = "Gate"
            > match = { stream = "" }
            watchpost.toml:8:20: `stream` in [camera.match] of `Gate` is empty
              | "" | here
              write something, or leave the key out
            > [[camera]]
            > name = ""
            > match = { stream = "a" }
            watchpost.toml:7:8: `name` in [[camera]] is empty
              | "" | here
              write something, or leave the key out
            > [[camera]]
            > name = "Gate"
            > match = { stream = "a" }
            > [[camera]]
            > name = "Gate"
            > match = { stream = "b" }
            watchpost.toml:10:8: there are two cameras of the name `Gate`
              | "Gate" | again here
              | "Gate" | first here
              give each its own name; the first is at watchpost.toml:7:8
            > [[camera]]
            > name = "Gate"
            > match = { stream = "a*" }
            > [[camera]]
            > name = "Till"
            > match = { stream = "ab", shop = "s" }
            watchpost.toml:11:9: `match` in [[camera]] `Till` never counts: whatever it matches, [[camera]] `Gate` above matches first
              | { stream = "ab", shop = "s" } | here
              put the narrower one first, or remove one
            > [[cameras]]
            > name = "Gate"
            watchpost.toml:6:3: unknown key `cameras` in the configuration
              | cameras | not a key here
              did you mean `camera`?
        "#]],
    );
}

#[test]
fn conditions_that_name_what_is_not_there_or_cannot_be_met() {
    let site = "[[camera]]\nname = \"Back door\"\narea = \"Yard\"\nmatch = { stream = \"a*\" }\n[[sink]]\nname = \"mail\"\nplugin = \"email\"\n[[route]]\nsinks = \"mail\"\n";
    let cases = [
        "match = { camera = [\"Back door\", \"Back*\"], area = \"Y?rd\" }\n",
        "match = { camera = \"Back dor\" }\n",
        "match = { camera = \"Front*\" }\n",
        "match = { area = \"yard\" }\n",
        "match = { connection = \"mai*\", not = { area = \"Till\" } }\n",
        "match = { any = [{ camera = \"Back door\" }, { connection = \"min\" }] }\n",
        "match = { any = [{}] }\n",
        "match = { any = [{ kind = \"hub\" }] }\n",
        "match = { kind = [\"hub\", \"owl_eye\"], any = [{ kind = \"hub\" }, { severity = \"high\" }] }\n",
        "match = { not = { severty = \"high\" } }\n",
        "match = { not = \"Till\" }\n",
        "match = { score_below = -2 }\n",
        "[route.match.visionguard]\nscore_below = 2.5\nperson = 1\n",
        "[route.match.visionguard]\nperson = \"1\"\n",
        "[visionguard.severity]\nhigh_below = -1\n",
        "[visionguard.severity]\nmedium_below = -1\nhigh_below = -1.5\ncritical_below = -2\n",
    ];
    let mut shown = String::new();
    for case in cases {
        let errors = crate::site::Site::new(&format!("{CONNECTION}{site}{case}")).brief_errors();
        shown += &format!("> {}\n{errors}", case.trim_end().replace('\n', "\n> "));
    }
    expect![[r#"
        > match = { camera = ["Back door", "Back*"], area = "Y?rd" }
        NO ERROR
        > match = { camera = "Back dor" }
        watchpost.toml:15:20: there is no camera `Back dor`
          | "Back dor" | no `[[camera]]` has this name
          did you mean "Back door"?
        > match = { camera = "Front*" }
        watchpost.toml:15:20: there is no camera `Front*`
          | "Front*" | no `[[camera]]` has this name
          these are there: Back door
        > match = { area = "yard" }
        watchpost.toml:15:18: there is no area `yard`
          | "yard" | no `[[camera]]` watches it
          did you mean "Yard"?
        > match = { connection = "mai*", not = { area = "Till" } }
        watchpost.toml:15:47: there is no area `Till`
          | "Till" | no `[[camera]]` watches it
          these are there: Yard
        > match = { any = [{ camera = "Back door" }, { connection = "min" }] }
        watchpost.toml:15:59: there is no connection `min`
          | "min" | no `[[connection]]` has this name
          did you mean "main"?
        > match = { any = [{}] }
        watchpost.toml:15:18: [[route.match.any]] says nothing, and is met by every alert
          | {} | here
          give a condition, such as `camera`, or remove it
        > match = { any = [{ kind = "hub" }] }
        watchpost.toml:15:27: `kind` in [[route.match.any]] names `hub`, which the route does not take
          | "hub" | here
          name it in the `kind` of [route.match] too
        > match = { kind = ["hub", "owl_eye"], any = [{ kind = "hub" }, { severity = "high" }] }
        NO ERROR
        > match = { not = { severty = "high" } }
        watchpost.toml:15:19: unknown key `severty` in [route.match.not]
          | severty | not a key here
          did you mean `severity`?
        > match = { not = "Till" }
        watchpost.toml:15:17: `not` in [route.match] must be a table, or an array of them, and is a string
          | "Till" | a string
          write a line `[[route.match.not]]`, and its keys below it
        > match = { score_below = -2 }
        watchpost.toml:15:11: unknown key `score_below` in [route.match]
          | score_below | not a key here
          `score_below` belongs in [route.match.visionguard]: write it below a line `[route.match.visionguard]`
        > [route.match.visionguard]
        > score_below = 2.5
        > person = 1
        watchpost.toml:16:15: `score_below` in [route.match.visionguard] (2.5) is met by every alert: scores are negative, and the lower the more abnormal
          | 2.5 | here
          write -2.5 if that is meant
        > [route.match.visionguard]
        > person = "1"
        watchpost.toml:16:10: `person` in [route.match.visionguard] must be a whole number, and is a string
          | "1" | a string
          write it without quotes
        > [visionguard.severity]
        > high_below = -1
        watchpost.toml:16:14: `high_below` in [visionguard.severity] (-1) must not be greater than `medium_below` (-2)
          | -1 | here
          the lower a score, the higher its severity
        > [visionguard.severity]
        > medium_below = -1
        > high_below = -1.5
        > critical_below = -2
        NO ERROR
    "#]]
    .assert_eq(&shown);
}

#[test]
fn schedules_and_holidays() {
    let route = "[[sink]]\nname = \"mail\"\nplugin = \"email\"\n[[route]]\nsinks = \"mail\"\nmatch = { schedule = \"night\" }\n";
    let night = "[[schedule]]\nname = \"night\"\n";
    let cases = [
        format!("{night}open = \"mon-fri 22:00-06:00\"\n{route}"),
        format!("{night}open = [\"weekend,holiday 00:00-24:00\", \"20:00-8:00\"]\n{route}"),
        route.to_owned(),
        format!("{night}open = []\n"),
        night.to_owned(),
        format!("{night}open = [\"mon-fri 22:00-06:00\", \"monday 10:00-12:00\"]\n"),
        format!("{night}open = \"mon 22:00-22:00\"\n"),
        format!("{night}open = 22\n"),
        "[hub]\nholidays = [\"12-25\", \"2026-04-03\", \"25.12.\"]\n".to_owned(),
        "[hub]\nholidays = [2026-04-03]\n".to_owned(),
    ];
    after_connection(
        &cases.each_ref().map(String::as_str),
        expect![[r#"
        > [[schedule]]
        > name = "night"
        > open = "mon-fri 22:00-06:00"
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[route]]
        > sinks = "mail"
        > match = { schedule = "night" }
        NO ERROR
        > [[schedule]]
        > name = "night"
        > open = ["weekend,holiday 00:00-24:00", "20:00-8:00"]
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[route]]
        > sinks = "mail"
        > match = { schedule = "night" }
        NO ERROR
        > [[sink]]
        > name = "mail"
        > plugin = "email"
        > [[route]]
        > sinks = "mail"
        > match = { schedule = "night" }
        watchpost.toml:11:22: there is no schedule `night`
          | "night" | no `[[schedule]]` has this name
          add a `[[schedule]]` of this name
        > [[schedule]]
        > name = "night"
        > open = []
        watchpost.toml:8:8: `open` in [[schedule]] `night` is empty, so it never opens
          | [] | here
          expected such as "mon-fri 22:00-06:00", or remove the schedule
        > [[schedule]]
        > name = "night"
        watchpost.toml:6:1: [[schedule]] `night` lacks `open`
          | [[schedule]] | in here
          `open`: When it is open: days and times such as `mon-fri 22:00-06:00`, or several
        > [[schedule]]
        > name = "night"
        > open = ["mon-fri 22:00-06:00", "monday 10:00-12:00"]
        watchpost.toml:8:32: `open` in [[schedule]] `night` names no day: `monday`
          | "monday 10:00-12:00" | here
          expected such as `mon-fri 22:00-06:00`, `sat,sun,holiday 00:00-24:00` or `daily 08:00-20:00`
        > [[schedule]]
        > name = "night"
        > open = "mon 22:00-22:00"
        watchpost.toml:8:8: `open` in [[schedule]] `night` ends when it begins; the whole day is `00:00-24:00`
          | "mon 22:00-22:00" | here
          expected such as `mon-fri 22:00-06:00`, `sat,sun,holiday 00:00-24:00` or `daily 08:00-20:00`
        > [[schedule]]
        > name = "night"
        > open = 22
        watchpost.toml:8:8: `open` in [[schedule]] `night` must be days and times in quotes, such as "mon-fri 22:00-06:00", and is an integer
          | 22 | an integer
        > [hub]
        > holidays = ["12-25", "2026-04-03", "25.12."]
        watchpost.toml:7:36: `holidays` in [hub] is no date: `25.12.`
          | "25.12." | here
          expected a date such as `2026-04-03`, or `12-25` for every year
        > [hub]
        > holidays = [2026-04-03]
        watchpost.toml:7:13: `holidays` in [hub] must be a date in quotes, such as "2026-04-03" or "12-25", and is a date or time
          | 2026-04-03 | a date or time
    "#]],
    );
}

/// Of 1234, at the least cost.
const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$mRqvs1SvdUK3uqjvRGNnwpgpfzOZ9ZFCF5XDuEXZFlE";

#[test]
fn what_is_granted_of_arming_can_be_used() {
    let area = "[[camera]]\nname = \"Gate\"\nmatch = { stream = \"a\" }\n[[area]]\nname = \"Yard\"\ncamera = \"Gate\"\n";
    let sink =
        |sandbox: &str| format!("[[sink]]\nname = \"ha\"\nplugin = \"mqtt\"\nsandbox = {{ {sandbox} }}\n");
    let person = |name: &str, code: &str| format!("[[person]]\nname = \"{name}\"\ncode = \"{code}\"\n");
    let cases = [
        sink("arm = true, arm_without_code = true"),
        format!("{area}{}", sink("arm = true")),
        format!(
            "{area}{}",
            sink("arm_without_code = true, disarm_without_code = true")
        ),
        // These are right.
        format!("{area}{}", sink("arm = true, disarm_without_code = true")),
        format!("{area}{}{}", sink("arm = true"), person("Anna", HASH)),
        // A code is not a hash, and is not shown.
        person("Anna", "123454321"),
        person("Anna", &HASH.replace("m=8", "m=1048576")),
        format!("{}{}", person("Anna", HASH), person("Anna", HASH)),
    ];
    after_connection(
        &cases.each_ref().map(String::as_str),
        expect![[r#"
        > [[sink]]
        > name = "ha"
        > plugin = "mqtt"
        > sandbox = { arm = true, arm_without_code = true }
        watchpost.toml:9:19: `arm` in [sink.sandbox] of `ha` is true, and there is nothing to arm
          | true | here
          add an [[area]], or leave it out
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[area]]
        > name = "Yard"
        > camera = "Gate"
        > [[sink]]
        > name = "ha"
        > plugin = "mqtt"
        > sandbox = { arm = true }
        watchpost.toml:15:19: `arm` in [sink.sandbox] of `ha` is true, and there is no one whose code could be given
          | true | here
          add a [[person]], or set `arm_without_code` or `disarm_without_code`
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[area]]
        > name = "Yard"
        > camera = "Gate"
        > [[sink]]
        > name = "ha"
        > plugin = "mqtt"
        > sandbox = { arm_without_code = true, disarm_without_code = true }
        watchpost.toml:15:32: `arm_without_code` in [sink.sandbox] of `ha` says nothing, as the sink may not arm at all
          | true | here
          set `arm = true` beside it, or leave it out
        watchpost.toml:15:60: `disarm_without_code` in [sink.sandbox] of `ha` says nothing, as the sink may not arm at all
          | true | here
          set `arm = true` beside it, or leave it out
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[area]]
        > name = "Yard"
        > camera = "Gate"
        > [[sink]]
        > name = "ha"
        > plugin = "mqtt"
        > sandbox = { arm = true, disarm_without_code = true }
        NO ERROR
        > [[camera]]
        > name = "Gate"
        > match = { stream = "a" }
        > [[area]]
        > name = "Yard"
        > camera = "Gate"
        > [[sink]]
        > name = "ha"
        > plugin = "mqtt"
        > sandbox = { arm = true }
        > [[person]]
        > name = "Anna"
        > code = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$mRqvs1SvdUK3uqjvRGNnwpgpfzOZ9ZFCF5XDuEXZFlE"
        NO ERROR
        > [[person]]
        > name = "Anna"
        > code = "123454321"
        watchpost.toml:8:8: `code` in [[person]] `Anna` is no argon2id hash
          | *** | here
          paste what `watchpost code hash` prints: the code itself must not stand in the file
        > [[person]]
        > name = "Anna"
        > code = "$argon2id$v=19$m=1048576,t=1,p=1$c29tZXNhbHQ$mRqvs1SvdUK3uqjvRGNnwpgpfzOZ9ZFCF5XDuEXZFlE"
        watchpost.toml:8:8: `code` in [[person]] `Anna` takes more than 64 MiB, 10 passes or 4 lanes
          | *** | here
          paste what `watchpost code hash` prints: the code itself must not stand in the file
        > [[person]]
        > name = "Anna"
        > code = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$mRqvs1SvdUK3uqjvRGNnwpgpfzOZ9ZFCF5XDuEXZFlE"
        > [[person]]
        > name = "Anna"
        > code = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$mRqvs1SvdUK3uqjvRGNnwpgpfzOZ9ZFCF5XDuEXZFlE"
        watchpost.toml:10:8: there are two persons of the name `Anna`
          | "Anna" | again here
          | "Anna" | first here
          give each its own name; the first is at watchpost.toml:7:8
    "#]],
    );
}

#[test]
fn what_is_confirmed_is_asked_behind_the_route_that_confirms() {
    check(
        &(CONNECTION.to_owned()
            + r#"
[[sink]]
name = "archive"
plugin = "archive"

[[route]]
match = { any = [{ confirmed = true }] }
sinks = "archive"

[[expect]]
name = "gate"
every = "1h"
match = { confirmed = false }
"#),
        expect![[r#"
            watchpost.toml:12:9
              × `match` in [[route]] has `confirmed`, and no route before it asks for confirmation
                ╭─[watchpost.toml:12:9]
             11 │ [[route]]
             12 │ match = { any = [{ confirmed = true }] }
                ·         ────────────────┬───────────────
                ·                         ╰── here
             13 │ sinks = "archive"
                ╰────
              help: put it behind a [[route]] with `confirm`, or leave it out
            watchpost.toml:18:9
              × `match` in [[expect]] `gate` has `confirmed`, which is for routes
                ╭─[watchpost.toml:18:9]
             17 │ every = "1h"
             18 │ match = { confirmed = false }
                ·         ──────────┬──────────
                ·                   ╰── here
                ╰────
              help: leave it out: what is expected needs no confirmation
        "#]],
    );
}

#[test]
fn a_swinger_of_seven_alarms() {
    check(
        &(CONNECTION.to_owned()
            + r#"
[[area]]
name = "Yard"
camera = "Gate"
swinger = 7

[[camera]]
name = "Gate"
match = { stream = "gate" }
"#),
        expect![[r#"
            watchpost.toml:10:11
              × `swinger` in [[area]] `Yard` cannot be 7
                ╭─[watchpost.toml:10:11]
              9 │ camera = "Gate"
             10 │ swinger = 7
                ·           ┬
                ·           ╰── out of range
             11 │
                ╰────
              help: expected 1 to 6
        "#]],
    );
}

#[test]
fn an_abort_window_that_keeps_help_waiting() {
    let area = |times: &str| {
        CONNECTION.to_owned()
            + r#"
[[camera]]
name = "Gate"
match = { stream = "gate" }

[[area]]
name = "Yard"
camera = "Gate"
delayed = "Gate"
"# + times
    };
    check(
        &area("abort_window = \"45s\"\n"),
        expect![[r#"
        watchpost.toml:15:16
          × `abort_window` in [[area]] `Yard` (45s) and `entry_delay` (30s) make more than a minute
            ╭─[watchpost.toml:15:16]
         14 │ delayed = "Gate"
         15 │ abort_window = "45s"
            ·                ──┬──
            ·                  ╰── here
            ╰────
          help: help must not come later than that: lower one of them
    "#]],
    );
    check(
        &area("entry_delay = \"10s\"\nabort_window = \"50s\"\n"),
        expect![[r#"
            watchpost.toml:16:16
              × `abort_window` in [[area]] `Yard` is 50s
                ╭─[watchpost.toml:16:16]
             15 │ entry_delay = "10s"
             16 │ abort_window = "50s"
                ·                ──┬──
                ·                  ╰── here
                ╰────
              help: expected 15 to 45 seconds, such as "30s"
        "#]],
    );
    check(
        &area("abort_window = \"30s\"\ntrigger_time = \"20s\"\n"),
        expect![[r#"
            watchpost.toml:15:16
              × `abort_window` in [[area]] `Yard` (30s) is longer than `trigger_time` (20s)
                ╭─[watchpost.toml:15:16]
             14 │ delayed = "Gate"
             15 │ abort_window = "30s"
                ·                ──┬──
                ·                  ╰── here
             16 │ trigger_time = "20s"
                ╰────
              help: the alarm would be over before it is sent: lower the one or raise the other
        "#]],
    );
}
