//! Rules between values: waits do not shrink, sizes fit into each other, a connection has an identity. What one value
//! alone must be, `check` has seen to.

mod areas;
mod persons;
mod policies;
mod routes;

use std::path::Path;

use watchpost_core::MAX_RATE_COUNT;

use crate::{
    ByteSize, CameraSettings, ConnectionKind, ConnectionSettings, Ports, Rate, SecretSource, Settings,
    SinkSettings, StoreSettings, TimeSpan, address, camera_book,
};

/// A rule that is broken.
pub(crate) struct Broken {
    /// The value, or the table, that breaks it.
    pub(crate) pointer: String,
    /// What is wrong, after the words for the value.
    pub(crate) problem: String,
    pub(crate) help: String,
}

/// Checks values against each other.
pub(crate) fn broken(settings: &Settings) -> Vec<Broken> {
    let mut rules = Rules(Vec::new());
    data_dir(&settings.hub.data_dir, &mut rules);
    store(&settings.store, &mut rules);
    if let Some(watchdog) = &settings.watchdog {
        rules.positive("/watchdog/interval", watchdog.interval);
        if let SecretSource::Inline(url) = &watchdog.ping_url
            && let Err(violation) = address::monitor(url.expose())
        {
            rules.require(
                false,
                "/watchdog/ping_url",
                || violation.problem.clone(),
                || violation.help.clone(),
            );
        }
    }
    for (i, connection) in settings.connection.iter().enumerate() {
        let at = format!("/connection/{i}");
        self::connection(&at, connection, &mut rules);
        match connection.kind {
            ConnectionKind::VisionGuard => identity(&at, connection, &mut rules),
            ConnectionKind::Inbound => inbound(&at, connection, &mut rules),
        }
    }
    one_client_an_account(&settings.connection, &mut rules);
    cameras(&settings.camera, &mut rules);
    areas::areas(settings, &mut rules);
    persons::persons(settings, &mut rules);
    for (i, sink) in settings.sink.iter().enumerate() {
        self::sink(&format!("/sink/{i}"), sink, &mut rules);
        own_port(
            &format!("/sink/{i}/sandbox"),
            sink,
            settings.own_port(),
            &mut rules,
        );
    }
    routes::routes(&settings.route, &settings.sink, &mut rules);
    policies::policies(settings, &mut rules);
    for (i, schedule) in settings.schedule.iter().enumerate() {
        rules.require(
            !schedule.open.is_empty(),
            &format!("/schedule/{i}/open"),
            || "is empty, so it never opens".to_owned(),
            || "expected such as \"mon-fri 22:00-06:00\", or remove the schedule".to_owned(),
        );
    }
    routes::expectations(&settings.expect, &mut rules);
    routes::inhibitions(&settings.inhibit, &mut rules);
    routes::severity(&settings.visionguard.severity, &mut rules);
    rules.0
}

/// The rules that are broken so far.
struct Rules(Vec<Broken>);

/// Smallest and largest file of pictures. A smaller one has no room for the largest picture, of a larger one
/// too much is removed at once.
const SEGMENT_SIZES: (ByteSize, ByteSize) = (ByteSize(1 << 20), ByteSize(4 << 30));

/// Least memory of a plugin's process, which takes in pictures and messages of megabytes.
const LEAST_MEMORY: ByteSize = ByteSize(16 << 20);

/// Longest path of the data directory: the control socket in it has a name of 107 bytes at most (unix(7)).
const MAX_DATA_DIR_BYTES: usize = 107 - "/control.sock".len();

/// Where the kernel shows its own state as files.
const NO_DISKS: [&str; 2] = ["/proc", "/sys"];

/// Smallest limit of a message: one without a picture has to fit.
const LEAST_MESSAGE: ByteSize = ByteSize(64 << 10);

/// Headers that belong to the protocol.
const OWN_HEADERS: [&str; 5] = [
    "host",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
];

fn data_dir(dir: &Path, rules: &mut Rules) {
    let length = dir.as_os_str().len();
    rules.require(
        length <= MAX_DATA_DIR_BYTES,
        "/hub/data_dir",
        || format!("is too long: {length} bytes"),
        || format!("expected at most {MAX_DATA_DIR_BYTES}: the control socket in it needs a short path"),
    );
    let on_no_disk = NO_DISKS.iter().find(|folder| dir.starts_with(folder));
    rules.require(
        on_no_disk.is_none() && dir != Path::new("/"),
        "/hub/data_dir",
        || match on_no_disk {
            Some(folder) => format!("is in {folder}, where nothing is kept"),
            None => "is the root of the file system".to_owned(),
        },
        || "expected a folder on a disk, such as \"/var/lib/watchpost\"".to_owned(),
    );
}

/// No sink is granted the port that the hub serves.
fn own_port(at: &str, sink: &SinkSettings, own: Option<u16>, rules: &mut Rules) {
    let Some(own) = own else { return };
    for (key, ports) in [
        ("connect", &sink.sandbox.connect),
        ("listen", &sink.sandbox.listen),
    ] {
        let Ports::Only(ports) = ports else { continue };
        rules.require(
            !ports.contains(&own),
            &format!("{at}/{key}"),
            || format!("names {own}, the hub's own port, which no sink may use"),
            || {
                "take it out; if it is meant for another machine, give `listen` in [web] another port"
                    .to_owned()
            },
        );
    }
}

/// Each camera has a condition, and one of its own.
fn cameras(cameras: &[CameraSettings], rules: &mut Rules) {
    for (i, camera) in cameras.iter().enumerate() {
        rules.require(
            !camera.matches.is_empty(),
            &format!("/camera/{i}/match"),
            || "says nothing, so every camera would have this name".to_owned(),
            || "give a `stream`, a `location`, a `shop` or a `connection`".to_owned(),
        );
    }
    for (i, earlier) in camera_book(cameras).shadowed() {
        let earlier = &cameras[earlier];
        rules.require(
            earlier.matches.is_empty(),
            &format!("/camera/{i}/match"),
            || {
                format!(
                    "never counts: whatever it matches, [[camera]] `{}` above matches first",
                    earlier.name
                )
            },
            || "put the narrower one first, or remove one".to_owned(),
        );
    }
}

/// The backend sends the alerts of a user to the client that connected last.
fn one_client_an_account(connections: &[ConnectionSettings], rules: &mut Rules) {
    let server = |url: &str| {
        let url = url
            .to_lowercase()
            .replacen("ws", "http", usize::from(url.starts_with("ws")));
        url.trim_end_matches('/').to_owned()
    };
    let account = |connection: &ConnectionSettings| match (&connection.login, &connection.user_id) {
        (Some(login), _) => Some(login.email.to_lowercase()),
        (None, user) => user.clone(),
    };
    for (i, connection) in connections.iter().enumerate() {
        let (Some(user), Some(url)) = (account(connection), &connection.url) else {
            continue;
        };
        let earlier = connections[..i].iter().find(|earlier| {
            earlier.url.as_deref().map(server) == Some(server(url))
                && account(earlier).as_deref() == Some(&user)
        });
        let Some(earlier) = earlier else { continue };
        let key = if connection.login.is_some() {
            "login/email"
        } else {
            "user_id"
        };
        rules.require(
            false,
            &format!("/connection/{i}/{key}"),
            || format!("is the account of [[connection]] `{}` too, at the same backend", earlier.name),
            || "remove one of the two: the backend sends the alerts of an account to one client only, the last that connected".to_owned(),
        );
    }
}

fn store(store: &StoreSettings, rules: &mut Rules) {
    let (least, most) = SEGMENT_SIZES;
    let size = store.segment_size;
    rules.require(
        (least..=most).contains(&size),
        "/store/segment_size",
        || format!("cannot be {size}"),
        || format!("expected {least} to {most}"),
    );
    rules.require(
        store.max_size.is_none_or(|max| max.0 / 2 >= size.0),
        "/store/max_size",
        || "leaves no room for two files of `segment_size`".to_owned(),
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
                "({}) must be longer than `interval` ({})",
                heartbeat.timeout, heartbeat.interval
            )
        },
        || "the answer to a ping needs time to come: twice the interval is good".to_owned(),
    );
    rules.require(
        *max_message >= LEAST_MESSAGE,
        &format!("{at}/max_message"),
        || format!("cannot be {max_message}"),
        || format!("expected {LEAST_MESSAGE} or more: every larger message closes the connection"),
    );
    rules.require(
        intake_buffer >= max_message,
        &format!("{at}/intake_buffer"),
        || format!("({intake_buffer}) must not be less than `max_message` ({max_message})"),
        || "one message of the largest size must fit".to_owned(),
    );
}

/// What programs that post alerts need, and what makes no sense for them.
fn inbound(at: &str, connection: &ConnectionSettings, rules: &mut Rules) {
    rules.require(
        connection.token.is_some(),
        at,
        || "lacks `token`".to_owned(),
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
            || "is not for a connection of kind `inbound`".to_owned(),
            || "leave it out: the hub connects to nothing there".to_owned(),
        );
    }
}

/// Where the backend is, and who the hub is there: either a token with its user, or a login.
fn identity(at: &str, connection: &ConnectionSettings, rules: &mut Rules) {
    rules.require(
        connection.url.is_some(),
        at,
        || "lacks `url`".to_owned(),
        || "expected the address of the backend, such as `http://192.168.1.20:8000`".to_owned(),
    );
    let (token, login) = (connection.token.is_some(), connection.login.is_some());
    rules.require(
        token || login,
        at,
        || "has neither `token` nor `[connection.login]`".to_owned(),
        || "write `token_file` (or `token`, `token_env`), or `[connection.login]` with `email` and `password_file`".to_owned(),
    );
    rules.require(
        !(token && login),
        &format!("{at}/login"),
        || "is given, and a token too".to_owned(),
        || "leave the token out: the hub fetches its own".to_owned(),
    );
    rules.require(
        connection.user_id.is_some() || login || !token,
        at,
        || "needs `user_id` with its token".to_owned(),
        || "expected the UUID that the backend gives at login".to_owned(),
    );
    for (i, header) in connection.header.iter().enumerate() {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        rules.require(
            header.name.chars().all(allowed),
            &format!("{at}/header/{i}/name"),
            || format!("cannot be `{}`: that is no name of an HTTP header", header.name),
            || "expected letters, digits and `-`, such as `X-Api-Key`".to_owned(),
        );
        let name = header.name.to_lowercase();
        rules.require(
            !OWN_HEADERS.contains(&name.as_str()) && !name.starts_with("sec-websocket-"),
            &format!("{at}/header/{i}/name"),
            || format!("cannot be `{}`", header.name),
            || "the hub sets this header itself".to_owned(),
        );
        let again = connection.header[..i]
            .iter()
            .any(|earlier| earlier.name.eq_ignore_ascii_case(&header.name));
        rules.require(
            !again,
            &format!("{at}/header/{i}/name"),
            || format!("is `{}` again", header.name),
            || "give each header once".to_owned(),
        );
    }
}

fn sink(at: &str, sink: &SinkSettings, rules: &mut Rules) {
    rules.positive(&format!("{at}/timeout"), sink.timeout());
    rules.positive(&format!("{at}/retry/initial"), sink.retry.initial);
    if let Some(max_age) = sink.max_age {
        rules.positive(&format!("{at}/max_age"), max_age);
    }
    if let Some(give_up_after) = sink.retry.give_up_after {
        let key = ("give_up_after", give_up_after);
        rules.not_below(&format!("{at}/retry"), key, ("initial", sink.retry.initial));
    }
    rate_limit(&format!("{at}/rate_limit"), sink, rules);
    let memory = sink.sandbox.memory;
    rules.require(
        memory >= LEAST_MEMORY,
        &format!("{at}/sandbox/memory"),
        || format!("cannot be {memory}"),
        || format!("expected {LEAST_MEMORY} or more: the plugin's process needs some to start"),
    );
    rules.require(
        sink.sandbox.groups.is_empty() || sink.sandbox.user.is_some(),
        &format!("{at}/sandbox/groups"),
        || "is given without `user`".to_owned(),
        || {
            "they are groups of a user that the sink runs as: add `user = \"dynamic\"`, or leave them out"
                .to_owned()
        },
    );
    rules.not_below(
        &format!("{at}/retry"),
        ("max", sink.retry.max),
        ("initial", sink.retry.initial),
    );
}

/// Longest time of a rate limit: what is held for longer is no news.
const LONGEST_RATE: TimeSpan = TimeSpan::from_secs(24 * 3_600);

/// What limits messages is for a sink that gets such, and for no more than can be remembered.
fn rate_limit(at: &str, sink: &SinkSettings, rules: &mut Rules) {
    let Some(Rate { count, per }) = sink.rate_limit else {
        return;
    };
    rules.require(
        sink.is_grouped(),
        at,
        || "holds nothing back: what makes noise sounds for each alert, and an archive keeps each".to_owned(),
        || "remove it, or set it for a sink that gets messages".to_owned(),
    );
    rules.require(
        count <= MAX_RATE_COUNT,
        at,
        || format!("allows {count} messages, of which each is remembered for {per}"),
        || format!("expected {MAX_RATE_COUNT} at most: take a shorter time, such as \"100 per 10m\", or remove it"),
    );
    rules.require(
        per <= LONGEST_RATE,
        at,
        || format!("counts for {per}, which is longer than a day"),
        || "expected such as \"20 per 1h\": what is held for longer is no news".to_owned(),
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
            self.0.push(Broken {
                pointer: pointer.to_owned(),
                problem: problem(),
                help: help(),
            });
        }
    }

    fn positive(&mut self, pointer: &str, span: TimeSpan) {
        let help = || "expected some time, such as \"1s\"".to_owned();
        self.require(
            span > TimeSpan::from_secs(0),
            pointer,
            || "cannot be zero".to_owned(),
            help,
        );
    }

    fn not_below(&mut self, at: &str, (key, most): (&str, TimeSpan), (other, least): (&str, TimeSpan)) {
        let problem = || format!("({most}) must not be shorter than `{other}` ({least})");
        self.require(most >= least, &format!("{at}/{key}"), problem, || {
            format!("raise `{key}` or lower `{other}`")
        });
    }
}
