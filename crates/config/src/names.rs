//! Rules between settings: names are unique, routes name what exists, waits do not shrink. What
//! one value alone must be, `check` has seen to.

use serde_json::Value as Json;

use crate::error::ConfigError;
use crate::nearest::nearest;
use crate::source::Sources;
use crate::tree::Node;
use crate::{ByteSize, ConnectionKind, ConnectionSettings, Settings, SinkSettings, StoreSettings, TimeSpan};

/// Checks names and references, also in a configuration with other errors.
pub(crate) fn names(json: &Json, tree: &Node, sources: &Sources, errors: &mut Vec<ConfigError>) {
    let connections = unique("connection", json, tree, sources, errors);
    let sinks = unique("sink", json, tree, sources, errors);
    unique("route", json, tree, sources, errors);
    for (i, route) in elements(&json["route"]).iter().enumerate() {
        let lists = [
            ("sinks".to_owned(), &route["sinks"], "sink", &sinks),
            (
                "match/connection".to_owned(),
                &route["match"]["connection"],
                "connection",
                &connections,
            ),
        ];
        for (key, names, kind, known) in lists {
            let pointer = format!("/route/{i}/{key}");
            if kind == "sink" && names.as_array().is_some_and(Vec::is_empty) {
                let finding = sources.finding(tree.locate(&pointer), "this route feeds no sink");
                errors.push(
                    finding
                        .label("empty")
                        .help("name a sink, or remove the route")
                        .into(),
                );
            }
            for (j, name) in elements(names).iter().enumerate() {
                let Some(name) = name.as_str().filter(|name| !known.contains(name)) else {
                    continue;
                };
                // One name may stand there without its array.
                let one = format!("{pointer}/{j}");
                let origin = tree
                    .find(&one)
                    .map_or_else(|| tree.locate(&pointer), |node| node.origin);
                let help = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None if known.is_empty() => format!("add a `[[{kind}]]` of this name"),
                    None => format!("these are there: {}", known.join(", ")),
                };
                let finding = sources.finding(origin, format!("there is no {kind} `{name}`"));
                errors.push(
                    finding
                        .label(format!("no `[[{kind}]]` has this name"))
                        .help(help)
                        .into(),
                );
            }
        }
    }
}

/// Checks values against each other.
pub(crate) fn values(settings: &Settings) -> Vec<(String, String, String)> {
    let mut rules = Rules(Vec::new());
    store(&settings.store, &mut rules);
    if let Some(watchdog) = &settings.watchdog {
        rules.positive("/watchdog/interval", watchdog.interval);
    }
    for (i, connection) in settings.connection.iter().enumerate() {
        let at = format!("/connection/{i}");
        self::connection(&at, connection, &mut rules);
        match connection.kind {
            ConnectionKind::VisionGuard => identity(&at, connection, &mut rules),
            ConnectionKind::Inbound => inbound(&at, connection, &mut rules),
        }
    }
    for (i, sink) in settings.sink.iter().enumerate() {
        self::sink(&format!("/sink/{i}"), sink, &mut rules);
    }
    rules.0
}

/// Broken rules: pointer, what is wrong, what to do.
struct Rules(Vec<(String, String, String)>);

/// Smallest and largest file of pictures. A smaller one has no room for the largest picture, of a larger one
/// too much is removed at once.
const SEGMENT_SIZES: (ByteSize, ByteSize) = (ByteSize(1 << 20), ByteSize(4 << 30));

/// Least memory of a plugin's process, which takes in pictures and messages of megabytes.
const LEAST_MEMORY: ByteSize = ByteSize(16 << 20);

fn store(store: &StoreSettings, rules: &mut Rules) {
    let (least, most) = SEGMENT_SIZES;
    let size = store.segment_size;
    rules.require(
        (least..=most).contains(&size),
        "/store/segment_size",
        || format!("`segment_size` cannot be {size}"),
        || format!("expected {least} to {most}"),
    );
    rules.require(
        store.max_size.is_none_or(|max| max.0 / 2 >= size.0),
        "/store/max_size",
        || "`max_size` leaves no room for two files of `segment_size`".to_owned(),
        || format!("expected at least {}", ByteSize(size.0.saturating_mul(2))),
    );
    if let Some(keep_for) = store.keep_for {
        rules.positive("/store/keep_for", keep_for);
    }
}

fn connection(at: &str, connection: &ConnectionSettings, rules: &mut Rules) {
    let ConnectionSettings {
        reconnect,
        heartbeat,
        max_message,
        intake_buffer,
        ..
    } = connection;
    for (key, span) in [
        ("connect_timeout", connection.connect_timeout),
        ("reconnect/initial", reconnect.initial),
        ("heartbeat/interval", heartbeat.interval),
        ("slot/interval", connection.slot.interval),
    ] {
        rules.positive(&format!("{at}/{key}"), span);
    }
    if let Some(interval) = connection.backfill.interval.fixed() {
        rules.positive(&format!("{at}/backfill/interval"), interval);
    }
    rules.not_below(
        &format!("{at}/reconnect"),
        ("max", reconnect.max),
        ("initial", reconnect.initial),
    );
    rules.require(
        heartbeat.timeout > heartbeat.interval,
        &format!("{at}/heartbeat/timeout"),
        || {
            format!(
                "`timeout` ({}) must be longer than `interval` ({})",
                heartbeat.timeout, heartbeat.interval
            )
        },
        || "the answer to a ping needs time to come: twice the interval is good".to_owned(),
    );
    rules.require(
        intake_buffer >= max_message,
        &format!("{at}/intake_buffer"),
        || format!("`intake_buffer` ({intake_buffer}) must not be less than `max_message` ({max_message})"),
        || "one message of the largest size must fit".to_owned(),
    );
}

/// What programs that post alerts need, and what makes no sense for them.
fn inbound(at: &str, connection: &ConnectionSettings, rules: &mut Rules) {
    rules.require(
        connection.token.is_some(),
        at,
        || "[[connection]] lacks `token`".to_owned(),
        || {
            "write `token_file` (or `token`, `token_env`): programs that post alerts send it as Bearer"
                .to_owned()
        },
    );
    for (key, given) in [
        ("url", connection.url.is_some()),
        ("user_id", connection.user_id.is_some()),
        ("login", connection.login.is_some()),
        ("ca_file", connection.ca_file.is_some()),
        ("header", !connection.header.is_empty()),
    ] {
        rules.require(
            !given,
            &format!("{at}/{key}"),
            || format!("`{key}` is not for a connection of kind `inbound`"),
            || "leave it out: the hub connects to nothing there".to_owned(),
        );
    }
}

/// Where the backend is, and who the hub is there: either a token with its user, or a login.
fn identity(at: &str, connection: &ConnectionSettings, rules: &mut Rules) {
    rules.require(
        connection.url.is_some(),
        at,
        || "[[connection]] lacks `url`".to_owned(),
        || "expected the address of the backend, such as `http://192.168.1.20:8000`".to_owned(),
    );
    let (token, login) = (connection.token.is_some(), connection.login.is_some());
    rules.require(
        token || login,
        at,
        || "neither `token` nor `[connection.login]` is given".to_owned(),
        || "write `token_file` (or `token`, `token_env`), or `[connection.login]` with `email` and `password_file`".to_owned(),
    );
    rules.require(
        !(token && login),
        &format!("{at}/login"),
        || "both a token and `[connection.login]` are given".to_owned(),
        || "leave the token out: the hub fetches its own".to_owned(),
    );
    rules.require(
        connection.user_id.is_some() || login || !token,
        at,
        || "`user_id` is needed with a token".to_owned(),
        || "expected the UUID that the backend gives at login".to_owned(),
    );
    for (i, header) in connection.header.iter().enumerate() {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        rules.require(
            header.name.chars().all(allowed),
            &format!("{at}/header/{i}/name"),
            || format!("`{}` is no name of an HTTP header", header.name),
            || "expected letters, digits and `-`, such as `X-Api-Key`".to_owned(),
        );
    }
}

fn sink(at: &str, sink: &SinkSettings, rules: &mut Rules) {
    rules.positive(&format!("{at}/timeout"), sink.timeout());
    rules.positive(&format!("{at}/retry/initial"), sink.retry.initial);
    if let Some(max_age) = sink.max_age {
        rules.positive(&format!("{at}/max_age"), max_age);
    }
    let memory = sink.sandbox.memory;
    rules.require(
        memory >= LEAST_MEMORY,
        &format!("{at}/sandbox/memory"),
        || format!("`memory` cannot be {memory}"),
        || format!("expected {LEAST_MEMORY} or more: the plugin's process needs some to start"),
    );
    rules.not_below(
        &format!("{at}/retry"),
        ("max", sink.retry.max),
        ("initial", sink.retry.initial),
    );
}

impl Rules {
    fn require(
        &mut self,
        holds: bool,
        pointer: &str,
        problem: impl Fn() -> String,
        help: impl Fn() -> String,
    ) {
        if !holds {
            self.0.push((pointer.to_owned(), problem(), help()));
        }
    }

    fn positive(&mut self, pointer: &str, span: TimeSpan) {
        let key = pointer.rsplit('/').next().unwrap_or_default();
        let help = || "expected some time, such as \"1s\"".to_owned();
        self.require(
            span > TimeSpan::from_secs(0),
            pointer,
            || format!("`{key}` cannot be zero"),
            help,
        );
    }

    fn not_below(&mut self, at: &str, (key, most): (&str, TimeSpan), (other, least): (&str, TimeSpan)) {
        let problem = || format!("`{key}` ({most}) must not be shorter than `{other}` ({least})");
        self.require(most >= least, &format!("{at}/{key}"), problem, || {
            format!("raise `{key}` or lower `{other}`")
        });
    }
}

/// The names of all elements, and an error for each that was there before.
fn unique<'a>(
    kind: &str,
    json: &'a Json,
    tree: &Node,
    sources: &Sources,
    errors: &mut Vec<ConfigError>,
) -> Vec<&'a str> {
    let mut names: Vec<(&str, usize)> = Vec::new();
    for (i, element) in elements(&json[kind]).iter().enumerate() {
        let Some(name) = element["name"].as_str() else {
            continue;
        };
        if let Some((_, first)) = names.iter().find(|(earlier, _)| *earlier == name) {
            let first = tree.locate(&format!("/{kind}/{first}/name"));
            let origin = tree.locate(&format!("/{kind}/{i}/name"));
            let finding = sources.finding(origin, format!("there are two {kind}s of the name `{name}`"));
            let help = format!(
                "give each its own name; the first is at {}",
                sources.location(first)
            );
            errors.push(
                finding
                    .label("again here")
                    .also(first, "first here")
                    .help(help)
                    .into(),
            );
        }
        names.push((name, i));
    }
    names.into_iter().map(|(name, _)| name).collect()
}

fn elements(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}
