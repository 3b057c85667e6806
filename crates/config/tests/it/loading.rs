//! What is merged with what, and what comes out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use expect_test::expect;
use watchpost_config::{ByteSize, LogFormat, SecretSource, TimeSpan};
use watchpost_core::{AlertKind, Severity};

use crate::site::{CONNECTION, Site};

#[test]
fn defaults() {
    let site = Site::new(CONNECTION);
    let settings = site.loaded().settings;
    let shown = format!("{settings:#?}").replace(&format!("{}/", site.path("").display()), "");
    let dir = site.path("");
    let shown = shown.replace(&*dir.to_string_lossy(), "");
    expect![[r#"
        Settings {
            hub: HubSettings {
                data_dir: "/var/lib/watchpost",
                plugin_dirs: [
                    "/usr/local/lib/watchpost/plugins",
                    "/usr/lib/watchpost/plugins",
                ],
                require_sandbox: false,
                log: "info",
                log_format: Text,
                site: None,
                timezone: None,
                holidays: [],
                late_after: TimeSpan(
                    120s,
                ),
                link_grace: TimeSpan(
                    60s,
                ),
                sink_grace: TimeSpan(
                    300s,
                ),
                shutdown_grace: TimeSpan(
                    10s,
                ),
            },
            connection: [
                ConnectionSettings {
                    name: "main",
                    kind: VisionGuard,
                    url: Some(
                        "http://192.168.1.20:8000",
                    ),
                    user_id: Some(
                        "550e8400-e29b-41d4-a716-446655440000",
                    ),
                    token: Some(
                        File(
                            "token",
                        ),
                    ),
                    login: None,
                    header: [],
                    ca_file: None,
                    keep_pose: false,
                    connect_timeout: TimeSpan(
                        10s,
                    ),
                    max_message: ByteSize(
                        33554432,
                    ),
                    max_picture: ByteSize(
                        16777216,
                    ),
                    intake_buffer: ByteSize(
                        33554432,
                    ),
                    reconnect: ReconnectSettings {
                        initial: TimeSpan(
                            1s,
                        ),
                        max: TimeSpan(
                            30s,
                        ),
                        jitter: 0.2,
                        stable_after: TimeSpan(
                            10s,
                        ),
                    },
                    heartbeat: HeartbeatSettings {
                        interval: TimeSpan(
                            30s,
                        ),
                        timeout: TimeSpan(
                            60s,
                        ),
                    },
                    slot: SlotSettings {
                        watch: true,
                        interval: TimeSpan(
                            30s,
                        ),
                    },
                    backfill: BackfillSettings {
                        enabled: true,
                        shop_ids: [],
                        interval: Auto,
                    },
                    accept_notices: false,
                    write_back: false,
                    read_back: true,
                },
            ],
            camera: [],
            area: [],
            person: [],
            visionguard: VisionGuardSettings {
                severity: SeveritySettings {
                    medium_below: -2.0,
                    high_below: -3.0,
                    critical_below: -5.0,
                },
            },
            store: StoreSettings {
                recent: 50,
                keep_for: None,
                keep_max: None,
                max_size: Some(
                    ByteSize(
                        10737418240,
                    ),
                ),
                min_free: ByteSize(
                    536870912,
                ),
                segment_size: ByteSize(
                    67108864,
                ),
                group_commit: 64,
            },
            watchdog: None,
            web: WebSettings {
                listen: 127.0.0.1:8787,
            },
            sink: [],
            schedule: [],
            expect: [],
            inhibit: [],
            policy: [],
            route: [],
        }"#]]
    .assert_eq(&shown);
}

#[test]
fn fragments_add_up_in_the_order_of_their_names() {
    let sink = |name: &str| format!("[[sink]]\nname = \"{name}\"\nplugin = \"archive\"\n");
    let site = Site::new(
        &(CONNECTION.to_owned() + "[hub]\nlog = \"info\"\nlog_format = \"json\"\n" + &sink("first")),
    )
    .file("conf.d/20-b.toml", &(sink("third") + "[hub]\nlog = \"debug\"\n"))
    .file("conf.d/10-a.toml", &(sink("second") + "[hub]\nlog = \"warn\"\n"))
    .file("conf.d/.hidden.toml", "not TOML")
    .file("conf.d/README", "not TOML");
    let loaded = site.loaded();
    let names: Vec<&str> = loaded
        .settings
        .sink
        .iter()
        .map(|sink| sink.name.as_str())
        .collect();
    assert_eq!(names, ["first", "second", "third"]);
    assert_eq!(
        (loaded.settings.hub.log.as_str(), loaded.settings.hub.log_format),
        ("debug", LogFormat::Json)
    );
    assert!(
        loaded
            .locate("/hub/log")
            .to_string()
            .ends_with("conf.d/20-b.toml:5:7")
    );
    assert!(
        loaded
            .locate("/sink/1/name")
            .to_string()
            .ends_with("conf.d/10-a.toml:2:8")
    );
    let files: Vec<_> = loaded
        .files()
        .map(|file| file.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(files, ["watchpost.toml", "10-a.toml", "20-b.toml"]);
}

#[test]
fn variables_win_and_take_the_type_that_is_expected() {
    let site = Site::new(&(CONNECTION.to_owned() + "[[sink]]\nname = \"archive\"\nplugin = \"archive\"\n"))
        .variable("WATCHPOST__HUB__LOG", "5")
        .variable("WATCHPOST__HUB__PLUGIN_DIRS", r#"["/a", "/b"]"#)
        .variable("WATCHPOST__STORE__RECENT", "5")
        .variable("WATCHPOST__CONNECTION__0__KEEP_POSE", "true")
        .variable("WATCHPOST__CONNECTION__0__USER_ID", "12345")
        .variable("WATCHPOST__SINK__0__TIMEOUT", "5s")
        .variable("WATCHPOST__SINK__0__CONFIG__DIR", "/pictures")
        .variable("WATCHPOST__SINK__0__CONFIG__LEVEL", "5")
        .variable("WATCHPOST__SINK__1__NAME", "siren")
        .variable("WATCHPOST__SINK__1__PLUGIN", "siren")
        .variable("WATCHPOST__ROUTE__0__SINKS", "siren")
        .variable("WATCHPOST_SINKHOST", "not ours");
    let loaded = site.loaded();
    let settings = &loaded.settings;
    assert_eq!((settings.hub.log.as_str(), settings.store.recent), ("5", 5));
    assert_eq!(
        settings.hub.plugin_dirs,
        ["/a", "/b"].map(std::path::PathBuf::from)
    );
    assert!(settings.connection[0].keep_pose);
    assert_eq!(settings.connection[0].user_id.as_deref(), Some("12345"));
    assert_eq!(settings.sink[0].timeout(), TimeSpan::from_secs(5));
    assert_eq!(
        settings.sink[0].config,
        serde_json::json!({ "dir": "/pictures", "level": 5 })
    );
    assert_eq!(settings.sink[1].name, "siren");
    assert_eq!(settings.route[0].sinks, ["siren"]);
    assert_eq!(
        loaded.locate("/store/recent").to_string(),
        "environment variable WATCHPOST__STORE__RECENT"
    );
}

#[test]
fn everything_can_be_said() {
    let site = Site::new(
        r#"
[hub]
data_dir = "/data"
plugin_dirs = ["plugins", "/opt/plugins"]
log = "info,watchpost_hub=debug"
log_format = "json"
shutdown_grace = "1m30s"

[[connection]]
name = "main"
url = "wss://guard.example.org/base"
user_id = "u"
token = "s3cret"
ca_file = "ca.pem"
keep_pose = true
connect_timeout = "5s"
max_message = "64MiB"
max_picture = "10MB"
intake_buffer = "1GiB"
[connection.reconnect]
initial = "500ms"
max = "1m"
jitter = 0
stable_after = "0s"
[connection.heartbeat]
interval = "1s"
timeout = "2s"

[store]
recent = 10
keep_for = "30d"
keep_max = 1000
max_size = "2GiB"
segment_size = "8MiB"
group_commit = 1

[[sink]]
name = "siren"
plugin = "plugins/libsiren.so"
timeout = "1s"
max_age = "1m"
in_flight = 1
retry = { initial = "1s", max = "2s", give_up_after = "1h" }
[sink.config]
pin = 17
since = 2026-01-01
steps = [{ on = 1.5 }]

[[route]]
name = "night"
match = { connection = ["main"], kind = "anomaly", stream = "front-door", severity = "high" }
sinks = "siren"
"#,
    );
    let settings = site.loaded().settings;
    assert_eq!(
        settings.hub.plugin_dirs,
        [site.path("plugins"), "/opt/plugins".into()]
    );
    assert_eq!(
        Duration::from(settings.hub.shutdown_grace),
        Duration::from_secs(90)
    );
    let connection = &settings.connection[0];
    assert_eq!(
        connection.token.as_ref().unwrap().read().unwrap().expose(),
        "s3cret"
    );
    assert_eq!(connection.ca_file, Some(site.path("ca.pem")));
    assert_eq!(
        (connection.max_picture, connection.reconnect.jitter),
        (ByteSize(10_000_000), 0.0)
    );
    assert_eq!(settings.store.keep_for, Some(TimeSpan::from_secs(30 * 86_400)));
    let sink = &settings.sink[0];
    assert_eq!(sink.plugin, site.path("plugins/libsiren.so").to_str().unwrap());
    assert_eq!(
        sink.config,
        serde_json::json!({ "pin": 17, "since": "2026-01-01", "steps": [{ "on": 1.5 }] })
    );
    assert_eq!(sink.retry.give_up_after, Some(TimeSpan::from_secs(3600)));
    let route = &settings.route[0];
    assert_eq!(
        (route.name.as_deref(), route.sinks.as_slice()),
        (Some("night"), &["siren".to_owned()][..])
    );
    assert_eq!(route.matches.kind, [AlertKind::Anomaly]);
    assert_eq!(
        (route.matches.stream.as_slice(), route.matches.severity),
        (&["front-door".to_owned()][..], Some(Severity::High))
    );
    assert!(!format!("{settings:?}").contains("s3cret"));
}

#[test]
fn a_credential_of_the_service_manager_comes_first() {
    let site = Site::new(CONNECTION)
        .file("token", "from the folder")
        .file("credentials/token", "from systemd");
    let read = |site: &Site| {
        site.loaded().settings.connection[0]
            .token
            .as_ref()
            .unwrap()
            .read()
            .unwrap()
            .expose()
            .to_owned()
    };
    assert_eq!(read(&site), "from the folder");
    let credentials = site.path("credentials").display().to_string();
    let site = site.variable("CREDENTIALS_DIRECTORY", &credentials);
    assert_eq!(read(&site), "from systemd");
    fs::remove_file(site.path("credentials/token")).unwrap();
    assert_eq!(read(&site), "from the folder");
}

#[test]
fn secrets_that_everyone_can_read_are_warned_of() {
    let warnings = |site: &Site| site.show_all(&site.inspected());
    let chmod =
        |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let site = Site::new(CONNECTION).file("token", "s3cret").with_data();
    chmod(&site.path("token"), 0o600);
    assert_eq!(warnings(&site), "");
    chmod(&site.path("token"), 0o644);
    expect![[r#"
        watchpost.toml:5:14
          ⚠ `token_file` in [[connection]] `main` names token, which every user of this machine can read
           ╭─[watchpost.toml:5:14]
         4 │ user_id = "550e8400-e29b-41d4-a716-446655440000"
         5 │ token_file = "token"
           ·              ───┬───
           ·                 ╰── here
           ╰────
          help: run `chmod o-rwx token`
    "#]]
    .assert_eq(&warnings(&site));
    let site = Site::new(&CONNECTION.replace("token_file = \"token\"", "token = \"s3cret\"")).with_data();
    chmod(&site.path("watchpost.toml"), 0o644);
    expect![[r#"
        watchpost.toml:5:9
          ⚠ `token` in [[connection]] `main` is a secret, and every user of this machine can read watchpost.toml
           ╭─[watchpost.toml:5:9]
         4 │ user_id = "550e8400-e29b-41d4-a716-446655440000"
         5 │ token = ***
           ·         ─┬─
           ·          ╰── here
           ╰────
          help: run `chmod o-rwx watchpost.toml`, or put the secret into a file of its own
    "#]]
    .assert_eq(&warnings(&site));
    assert_eq!(
        site.loaded().settings.connection[0].token,
        Some(SecretSource::Inline(watchpost_core::Secret::new("s3cret")))
    );
}
