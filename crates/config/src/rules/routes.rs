//! Rules of routes, and of what makes an alert severe.

use watchpost_core::AlertKind;

use super::Rules;
use crate::{
    ExpectSettings, InhibitSettings, RouteMatch, RouteSettings, SeveritySettings, SinkSettings, TimeSpan,
};

/// Each route has something to take, and what it delays is still worth something then.
pub(super) fn routes(routes: &[RouteSettings], sinks: &[SinkSettings], rules: &mut Rules) {
    for (i, route) in routes.iter().enumerate() {
        let shadowing = routes[..i]
            .iter()
            .position(|earlier| earlier.stop && earlier.confirm.is_none() && earlier.matches.takes_all());
        if let Some(earlier) = shadowing.filter(|_| route.matches.takes_cameras_only()) {
            rules.require(
                false,
                &format!("/route/{i}"),
                || {
                    let name = routes[earlier].name.clone();
                    let name = name.unwrap_or_else(|| format!("number {}", earlier + 1));
                    format!("never counts: route {name} before it takes everything and has `stop = true`")
                },
                || "put it before that one, or remove one of them".to_owned(),
            );
        }
        conditions(&format!("/route/{i}/match"), &route.matches, None, rules);
        rules.require(
            !route.matches.asks_confirmed() || routes[..i].iter().any(|earlier| earlier.confirm.is_some()),
            &format!("/route/{i}/match"),
            || "has `confirmed`, and no route before it asks for confirmation".to_owned(),
            || "put it behind a [[route]] with `confirm`, or leave it out".to_owned(),
        );
        if let Some(confirm) = &route.confirm {
            let pointer = format!("/route/{i}/confirm/within");
            rules.positive(&pointer, confirm.within);
            rules.require(
                confirm.within <= LONGEST_CONFIRMATION,
                &pointer,
                || format!("({}) is longer than an hour", confirm.within),
                || "what is an hour old confirms nothing: expected such as \"20s\" or \"30m\"".to_owned(),
            );
        }
        // For a policy alone it says what is one escalation.
        let grouping = (route.cooldown, route.group_wait, route.group_interval);
        if route.policy.is_none() || grouping != (None, None, None) {
            groups(&format!("/route/{i}"), route, sinks, rules);
        }
        repeats(&format!("/route/{i}/repeat_interval"), route, rules);
        let Some(delay) = route.delay else { continue };
        let pointer = format!("/route/{i}/delay");
        rules.positive(&pointer, delay);
        let fed = sinks.iter().filter(|sink| route.sinks.contains(&sink.name));
        for (sink, max_age) in fed.filter_map(|sink| Some((sink, sink.max_age?))) {
            rules.require(
                delay < max_age,
                &pointer,
                || {
                    format!(
                        "({delay}) must be shorter than `max_age` ({max_age}) of sink `{}`",
                        sink.name
                    )
                },
                || {
                    "what is delayed would expire before it is due: lower the one or raise the other"
                        .to_owned()
                },
            );
        }
    }
}

/// Longest time for which alerts are held for a message: what is older is no news.
const LONGEST_INTERVAL: TimeSpan = TimeSpan::from_secs(24 * 3_600);

/// Shortest time after which something is said again.
const LEAST_REPEAT: TimeSpan = TimeSpan::from_secs(60);

/// The words for the events with which conditions begin.
const CONDITIONS: [&str; 2] = ["link_lost", "quiet"];

/// What says something again takes that with which a condition begins.
fn repeats(at: &str, route: &RouteSettings, rules: &mut Rules) {
    let Some(interval) = route.repeat_interval else {
        return;
    };
    rules.require(
        interval >= LEAST_REPEAT,
        at,
        || format!("({interval}) is shorter than a minute"),
        || "expected such as \"4h\"".to_owned(),
    );
    let RouteMatch { kind, status, .. } = &route.matches;
    let takes = status.is_empty() || status.iter().any(|word| CONDITIONS.contains(&word.as_str()));
    rules.require(
        kind.contains(&AlertKind::Hub) && takes,
        at,
        || "repeats nothing: only that a connection is lost or that something is quiet goes on".to_owned(),
        || {
            "add `match = { kind = \"hub\", status = [\"link_lost\", \"quiet\"] }` to the route, or remove it"
                .to_owned()
        },
    );
}

/// What is grouped says by what and how, once.
fn groups(at: &str, route: &RouteSettings, sinks: &[SinkSettings], rules: &mut Rules) {
    let RouteSettings {
        cooldown,
        group_by,
        group_wait,
        group_interval,
        ..
    } = route;
    let times = [
        ("cooldown", *cooldown),
        ("group_wait", *group_wait),
        ("group_interval", *group_interval),
    ];
    for (key, time) in times {
        let Some(time) = time else { continue };
        let at = format!("{at}/{key}");
        if key != "group_wait" {
            rules.positive(&at, time);
        }
        rules.require(
            time <= LONGEST_INTERVAL,
            &at,
            || format!("({time}) is longer than a day"),
            || "expected such as \"5m\": what is held for longer is no news".to_owned(),
        );
        rules.require(
            key == "cooldown" || cooldown.is_none(),
            &at,
            || "stands beside `cooldown`, which says the same in one word".to_owned(),
            || {
                "keep `cooldown`, which sends the first at once, or `group_wait` and `group_interval`"
                    .to_owned()
            },
        );
        rules.require(
            key == "cooldown" || cooldown.is_some() || group_by.is_some(),
            &at,
            || "says how groups are sent, and nothing says what makes a group".to_owned(),
            || "add such as `group_by = \"camera\"`, or remove it".to_owned(),
        );
    }
    let Some((key, _)) = (times.into_iter().map(|(key, time)| (key, time.is_some())))
        .chain([("group_by", group_by.is_some())])
        .find(|(_, given)| *given)
    else {
        return;
    };
    let at = format!("{at}/{key}");
    rules.require(
        route.delay.is_none(),
        &at,
        || "stands beside `delay`".to_owned(),
        || "use `group_wait` in place of `delay`, or one route for each".to_owned(),
    );
    let mut fed = sinks.iter().filter(|sink| route.sinks.contains(&sink.name));
    rules.require(
        fed.any(SinkSettings::is_grouped),
        &at,
        || "holds nothing back: what makes noise sounds for each alert, and an archive keeps each".to_owned(),
        || "remove it, or add a sink that gets messages".to_owned(),
    );
    let kinds = &route.matches.kind;
    let own = |kind: &AlertKind| matches!(kind, AlertKind::Hub | AlertKind::Panic | AlertKind::Tamper);
    rules.require(
        kinds.is_empty() || !kinds.iter().all(own),
        &at,
        || "holds nothing back: no panic and no tamper is held, nor what the hub says of itself".to_owned(),
        || "remove it".to_owned(),
    );
}

/// Longest time within which alerts confirm each other, after BS 8243.
const LONGEST_CONFIRMATION: TimeSpan = TimeSpan::from_secs(3_600);

/// Shortest time for which something may be quiet: events in between would say nothing.
const LEAST_QUIET: TimeSpan = TimeSpan::from_secs(60);

/// What is expected can come, and in time.
pub(super) fn expectations(expected: &[ExpectSettings], rules: &mut Rules) {
    for (i, expect) in expected.iter().enumerate() {
        conditions(&format!("/expect/{i}/match"), &expect.matches, None, rules);
        rules.require(
            !expect.matches.asks_confirmed(),
            &format!("/expect/{i}/match"),
            || "has `confirmed`, which is for routes".to_owned(),
            || "leave it out: what is expected needs no confirmation".to_owned(),
        );
        rules.require(
            ![AlertKind::Hub, AlertKind::Panic, AlertKind::Tamper]
                .iter()
                .any(|kind| expect.matches.kind.contains(kind)),
            &format!("/expect/{i}/match/kind"),
            || "names `hub`, `panic` or `tamper`, which do not show that a camera sees".to_owned(),
            || "name `anomaly`, `owl_eye` or `notice`, or leave it out".to_owned(),
        );
        rules.require(
            expect.every >= LEAST_QUIET,
            &format!("/expect/{i}/every"),
            || format!("({}) is shorter than a minute", expect.every),
            || "expected for how long it may be quiet, such as \"24h\"".to_owned(),
        );
    }
}

/// Each rule has something that inhibits, something that is inhibited, and what both have in common.
pub(super) fn inhibitions(inhibit: &[InhibitSettings], rules: &mut Rules) {
    for (i, inhibit) in inhibit.iter().enumerate() {
        for (key, is_empty, such_as) in [
            (
                "source_match/status",
                inhibit.source_match.status.is_empty(),
                "\"link_lost\"",
            ),
            (
                "target_match/status",
                inhibit.target_match.status.is_empty(),
                "\"quiet\"",
            ),
            ("equal", inhibit.equal.is_empty(), "\"connection\""),
        ] {
            rules.require(
                !is_empty,
                &format!("/inhibit/{i}/{key}"),
                || "is empty".to_owned(),
                || format!("expected such as {such_as}, or remove the [[inhibit]]"),
            );
        }
    }
}

/// Conditions that can be met. `kinds` are those that the rule around them takes, where they are nested in one.
fn conditions(at: &str, conditions: &RouteMatch, kinds: Option<&[AlertKind]>, rules: &mut Rules) {
    if let Some(limit) = conditions.visionguard.score_below {
        rules.require(
            limit <= 0.0,
            &format!("{at}/visionguard/score_below"),
            || {
                format!(
                    "({limit}) is met by every alert: scores are negative, and the lower the more abnormal"
                )
            },
            || format!("write {} if that is meant", -limit),
        );
    }
    for kind in kinds
        .iter()
        .flat_map(|taken| conditions.kind.iter().filter(|kind| !taken.contains(kind)))
    {
        rules.require(
            false,
            &format!("{at}/kind"),
            || format!("names `{kind}`, which the route does not take"),
            || "name it in the `kind` of [route.match] too".to_owned(),
        );
    }
    let taken = match conditions.kind.as_slice() {
        [] => kinds.unwrap_or(&AlertKind::OF_CAMERAS),
        named => named,
    };
    for (key, list) in [("any", &conditions.any), ("not", &conditions.not)] {
        for (i, nested) in list.iter().enumerate() {
            let at = format!("{at}/{key}/{i}");
            rules.require(
                !nested.is_empty(),
                &at,
                || "says nothing, and is met by every alert".to_owned(),
                || "give a condition, such as `camera`, or remove it".to_owned(),
            );
            self::conditions(&at, nested, Some(taken), rules);
        }
    }
}

/// The lower the score, the higher the severity.
pub(super) fn severity(severity: &SeveritySettings, rules: &mut Rules) {
    let SeveritySettings {
        medium_below,
        high_below,
        critical_below,
    } = severity;
    for (key, lower, other, upper) in [
        ("high_below", high_below, "medium_below", medium_below),
        ("critical_below", critical_below, "high_below", high_below),
    ] {
        rules.require(
            lower <= upper,
            &format!("/visionguard/severity/{key}"),
            || format!("({lower}) must not be greater than `{other}` ({upper})"),
            || "the lower a score, the higher its severity".to_owned(),
        );
    }
}
