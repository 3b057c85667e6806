//! Mistakes in policies.

use expect_test::expect;

use super::{after_connection, check};
use crate::site::CONNECTION;

/// A policy with these lines, and a route that has it.
fn policy(lines: &str) -> String {
    format!(
        "[[sink]]\nname = \"anna\"\nplugin = \"webhook\"\n[[sink]]\nname = \"siren\"\nplugin = \"gpio\"\n[[sink]]\n\
         name = \"archive\"\nplugin = \"archive\"\n[[policy]]\nname = \"night\"\n{lines}\n[[route]]\npolicy = \"night\"\n"
    )
}

#[test]
fn a_step_is_for_someone_who_can_be_sent_a_message() {
    let cases = [
        "",
        "step = [{ sinks = [] }]",
        "step = [{ sinks = \"ana\" }]",
        "step = [{ sinks = \"siren\" }]",
        "step = [{ sinks = \"anna\" }, { sinks = [\"anna\", \"archive\"] }]",
        "step = [{ after = \"5m\" }]",
    ]
    .map(policy);
    after_connection(
        &cases.each_ref().map(String::as_str),
        expect![[r#"
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > 
        > [[route]]
        > policy = "night"
        watchpost.toml:15:1: [[policy]] `night` has no step, so no one hears of an alert
          | [[policy]] | here
          add a [[policy.step]] with `sinks`
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = [] }]
        > [[route]]
        > policy = "night"
        watchpost.toml:17:19: `sinks` in [[policy.step]] of `night` is empty, so the step is for no one
          | [] | here
          name a sink, or remove the step
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "ana" }]
        > [[route]]
        > policy = "night"
        watchpost.toml:17:19: there is no sink `ana`
          | "ana" | no `[[sink]]` has this name
          did you mean "anna"?
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "siren" }]
        > [[route]]
        > policy = "night"
        watchpost.toml:17:19: [policy.step.sinks] of `night` names `siren`, which makes noise
          | "siren" | here
          name it in `sinks` of a [[route]]: a siren sounds at once or not at all
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "anna" }, { sinks = ["anna", "archive"] }]
        > [[route]]
        > policy = "night"
        watchpost.toml:17:48: [policy.step.sinks] of `night` names `archive`, which keeps the record and calls no one
          | "archive" | here
          name it in `sinks` of a [[route]], and here a sink that sends messages
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ after = "5m" }]
        > [[route]]
        > policy = "night"
        watchpost.toml:17:9: [[policy.step]] of `night` lacks `sinks`
          | { after = "5m" } | in here
          `sinks`: Names of the sinks that get the message
    "#]],
    );
}

#[test]
fn times_that_make_no_sense() {
    let cases = [
        "wait = \"0s\"\nstep = [{ sinks = \"anna\" }]",
        "ack_timeout = \"2d\"\nstep = [{ sinks = \"anna\" }]",
        "step = [{ sinks = \"anna\", max = 3 }]",
        "step = [{ sinks = \"anna\", repeat = \"2m\", max = 1 }]",
        "step = [{ sinks = \"anna\", after = \"25h\" }]",
        "require = \"most\"\nstep = [{ sinks = \"anna\" }]",
        "loops = 21\nstep = [{ sinks = \"anna\" }]",
    ]
    .map(policy);
    after_connection(
        &cases.each_ref().map(String::as_str),
        expect![[r#"
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > wait = "0s"
        > step = [{ sinks = "anna" }]
        > [[route]]
        > policy = "night"
        watchpost.toml:17:8: `wait` in [[policy]] `night` cannot be zero
          | "0s" | here
          expected some time, such as "1s"
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > ack_timeout = "2d"
        > step = [{ sinks = "anna" }]
        > [[route]]
        > policy = "night"
        watchpost.toml:17:15: `ack_timeout` in [[policy]] `night` (2d) is longer than a day
          | "2d" | here
          expected such as "5m"
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "anna", max = 3 }]
        > [[route]]
        > policy = "night"
        watchpost.toml:17:33: `max` in [[policy.step]] of `night` says how often the message is sent, and nothing says how soon again
          | 3 | here
          add such as `repeat = "2m"`, or remove it
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "anna", repeat = "2m", max = 1 }]
        > [[route]]
        > policy = "night"
        watchpost.toml:17:48: `max` in [[policy.step]] of `night` cannot be 1
          | 1 | out of range
          expected 2 to 100
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "anna", after = "25h" }]
        > [[route]]
        > policy = "night"
        watchpost.toml:17:35: `after` in [[policy.step]] of `night` (1d1h) is longer than a day
          | "25h" | here
          expected such as "5m"
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > require = "most"
        > step = [{ sinks = "anna" }]
        > [[route]]
        > policy = "night"
        watchpost.toml:17:11: `require` in [[policy]] `night` cannot be `most`
          | "most" | not one of its words
          expected `any` or `all`
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > loops = 21
        > step = [{ sinks = "anna" }]
        > [[route]]
        > policy = "night"
        watchpost.toml:17:9: `loops` in [[policy]] `night` cannot be 21
          | 21 | out of range
          expected 0 to 20
    "#]],
    );
}

#[test]
fn a_policy_and_its_routes_know_each_other() {
    let with = |route: &str| {
        let policy = policy("step = [{ sinks = \"anna\" }]");
        policy.replace("[[route]]\npolicy = \"night\"\n", route)
    };
    let cases = [
        "[[route]]\nsinks = \"anna\"\n",
        "[[route]]\npolicy = \"nigth\"\n",
        "[[route]]\nname = \"a\"\n",
        "[[route]]\npolicy = \"night\"\ndelay = \"5m\"\n",
        "[[route]]\npolicy = \"night\"\nmatch = { kind = \"hub\", status = \"escalation_exhausted\" }\n",
        "[[route]]\npolicy = \"night\"\ncooldown = \"5m\"\n",
        "[[policy]]\nname = \"night\"\nstep = [{ sinks = \"anna\" }]\n[[route]]\npolicy = \"night\"\n",
    ]
    .map(with);
    after_connection(
        &cases.each_ref().map(String::as_str),
        expect![[r#"
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "anna" }]
        > [[route]]
        > sinks = "anna"
        watchpost.toml:15:1: [[policy]] `night` is for no alert: no [[route]] has it
          | [[policy]] | here
          add `policy = "night"` to a [[route]], or remove it
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "anna" }]
        > [[route]]
        > policy = "nigth"
        watchpost.toml:19:10: there is no policy `nigth`
          | "nigth" | no `[[policy]]` has this name
          did you mean "night"?
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "anna" }]
        > [[route]]
        > name = "a"
        watchpost.toml:18:1: this route feeds no sink
          | [[route]] | empty
          name a sink or a `policy`, or remove the route
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "anna" }]
        > [[route]]
        > policy = "night"
        > delay = "5m"
        watchpost.toml:20:9: `delay` in [[route]] stands beside `policy`, whose steps have times of their own
          | "5m" | here
          give the first [[policy.step]] `after`, or use one route for each
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "anna" }]
        > [[route]]
        > policy = "night"
        > match = { kind = "hub", status = "escalation_exhausted" }
        watchpost.toml:19:10: `policy` in [[route]] is a cycle: the route takes events that say how a policy has ended
          | "night" | here
          name sinks in place of a policy: they get such an event once
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "anna" }]
        > [[route]]
        > policy = "night"
        > cooldown = "5m"
        watchpost.toml:20:12: `cooldown` in [[route]] holds nothing back: what makes noise sounds for each alert, and an archive keeps each
          | "5m" | here
          remove it, or add a sink that gets messages
        > [[sink]]
        > name = "anna"
        > plugin = "webhook"
        > [[sink]]
        > name = "siren"
        > plugin = "gpio"
        > [[sink]]
        > name = "archive"
        > plugin = "archive"
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "anna" }]
        > [[policy]]
        > name = "night"
        > step = [{ sinks = "anna" }]
        > [[route]]
        > policy = "night"
        watchpost.toml:19:8: there are two policies of the name `night`
          | "night" | again here
          | "night" | first here
          give each its own name; the first is at watchpost.toml:16:8
    "#]],
    );
}

#[test]
fn a_cycle_is_shown_where_it_is() {
    let text = policy("step = [{ sinks = \"anna\" }]");
    let text = text + "match = { kind = \"hub\", status = \"escalation_exhausted\" }\n";
    check(
        &format!("{CONNECTION}{text}"),
        expect![[r#"
        watchpost.toml:19:10
          × `policy` in [[route]] is a cycle: the route takes events that say how a policy has ended
            ╭─[watchpost.toml:19:10]
         18 │ [[route]]
         19 │ policy = "night"
            ·          ───┬───
            ·             ╰── here
         20 │ match = { kind = "hub", status = "escalation_exhausted" }
            ╰────
          help: name sinks in place of a policy: they get such an event once
    "#]],
    );
}
