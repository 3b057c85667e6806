//! All bundled sinks at once, each with its real counterpart: the hub runs in a machine that has a siren, and a mail
//! server, a broker and an HTTP server run beside it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use watchpost_testkit::{
    Authority, Backend, GpioMachine, HttpServer, Mosquitto, Need, PATIENCE, SMTP_PASSWORD, SMTP_USER,
    SmtpServer, TempDir, eventually, skip_without, traces_wanted, tracing_files,
};

const ALERTS: u64 = 100;
/// Where all that the sinks call is written down meanwhile.
const ALERTS_TRACED: u64 = 10;

/// Every plugin there is.
const PLUGINS: [&str; 7] = [
    "watchpost-archive",
    "watchpost-email",
    "watchpost-exec",
    "watchpost-gpio",
    "watchpost-mqtt",
    "watchpost-sound",
    "watchpost-webhook",
];

/// The line of the siren.
const SIREN: u32 = 3;

/// What a site with everything writes, with smallest grants. `{…}` is filled in.
const CONFIG: &str = r#"
[hub]
data_dir = "/tmp/watchpost"
plugin_dirs = ["/bin"]

[store]
min_free = "1MiB"

[[connection]]
name = "shop"
url = "{url}"
user_id = "{user_id}"
token = "{token}"

[[sink]]
name = "archive"
plugin = "archive"
sandbox = { write = ["/tmp/archive"] }
config = { dir = "/tmp/archive" }

[[sink]]
name = "mail"
plugin = "email"
sandbox = { read = ["{smtp_ca}"], connect = [{smtp_port}] }
[sink.config]
server = "localhost"
port = {smtp_port}
user = "{smtp_user}"
password = "{smtp_password}"
from = "Watchpost <watchpost@example.com>"
to = ["guard@example.com"]
ca_file = "{smtp_ca}"

[[sink]]
name = "note"
plugin = "exec"
sandbox = { exec = true, write = ["/tmp/notes"] }
config = { command = ["/bin/sh", "-c", 'echo "$WATCHPOST_ID" >>/tmp/notes/ids'] }

[[sink]]
name = "siren"
plugin = "gpio"
sandbox = { write = ["/dev/gpiochip0"] }
config = { chip = "/dev/gpiochip0", line = "SIREN", pattern = "on 3s" }

[[sink]]
name = "broker"
plugin = "mqtt"
sandbox = { read = ["{mqtt_ca}"], connect = [{mqtt_port}] }
config = { server = "{mqtt_server}", ca_file = "{mqtt_ca}", user = "{mqtt_user}", password = "{mqtt_password}" }

[[sink]]
name = "loudspeaker"
plugin = "sound"
sandbox = { read = ["/usr/share/alsa"], write = ["/tmp/sound"] }
config = { device = "file:'/tmp/sound/out.raw',raw", tone = "beep", repeat = 2 }

[[sink]]
name = "hook"
plugin = "webhook"
sandbox = { read = ["{hook_ca}"], connect = [{hook_port}] }
config = { url = "{hook_url}", ca_file = "{hook_ca}", body = "multipart" }
"#;

fn filled(template: &str, values: &[(&str, String)]) -> String {
    let fill = |text: String, (name, value): &(&str, String)| text.replace(&format!("{{{name}}}"), value);
    values.iter().fold(template.to_owned(), fill)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn seven_sinks_at_once_get_every_alert() -> Result<()> {
    if skip_without(&[Need::Alsa, Need::GpioMachine, Need::Mosquitto, Need::Python]) {
        return Ok(());
    }
    let traces = traces_wanted();
    let alerts = if traces.is_some() { ALERTS_TRACED } else { ALERTS };
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let (dir, mails, broker) = (TempDir::new()?, SmtpServer::start()?, Mosquitto::start("")?);
    let authority = Authority::new(dir.path(), &["localhost"])?;
    let hook = HttpServer::start_tls(&authority, None)?;
    let subscriber = broker.subscribe("watchpost/#")?;
    let mqtt_ca = broker.file("ca.pem");
    let config = filled(
        CONFIG,
        &[
            ("url", backend.url().replace("127.0.0.1", "localhost")),
            ("user_id", backend.ready("user_id")?.to_owned()),
            ("token", backend.ready("token")?.to_owned()),
            ("smtp_ca", text(mails.ca())),
            ("smtp_port", mails.port().to_string()),
            ("smtp_user", SMTP_USER.to_owned()),
            ("smtp_password", SMTP_PASSWORD.to_owned()),
            ("mqtt_ca", text(&mqtt_ca)),
            ("mqtt_port", broker.port().to_string()),
            ("mqtt_server", format!("localhost:{}", broker.port())),
            ("mqtt_user", Mosquitto::USER.to_owned()),
            ("mqtt_password", Mosquitto::PASSWORD.to_owned()),
            ("hook_ca", text(authority.ca())),
            ("hook_port", hook.address().port().to_string()),
            ("hook_url", format!("{}/hook", hook.url())),
        ],
    );
    let path = dir.path().join("watchpost.toml");
    std::fs::write(&path, config)?;

    let mut files = vec![
        &*path,
        mails.ca(),
        &mqtt_ca,
        authority.ca(),
        Path::new("/usr/share/alsa"),
    ];
    let tracing = if traces.is_some() {
        tracing_files()?
    } else {
        Vec::new()
    };
    files.extend(tracing.iter().map(PathBuf::as_path));
    let machine = RefCell::new(GpioMachine::boot(&PLUGINS, &files)?);
    if traces.is_some() {
        machine.borrow_mut().trace_sinks()?;
    }
    let run = |command: &str| machine.borrow_mut().run(command);
    run("mkdir /tmp/archive /tmp/notes /tmp/sound")?;
    run(&format!(
        "(watchpost run --config {} >/tmp/log 2>&1 &)",
        text(&path)
    ))?;
    let until = |what: &str, holds: &dyn Fn(&Value) -> bool| {
        let waited = eventually(what, PATIENCE * 6, || {
            let status = run("watchpost status --data-dir /tmp/watchpost --json");
            let status: Value = serde_json::from_str(&status.map_err(|error| error.to_string())?)
                .map_err(|error| error.to_string())?;
            if holds(&status) {
                Ok(status)
            } else {
                Err(format!("{status:#}"))
            }
        });
        waited.with_context(|| run("tail -n 40 /tmp/log").unwrap_or_default())
    };
    until("the hub is connected", &|status| {
        status["connections"][0]["state"] == "connected"
    })?;
    backend.order(&json!({"do": "send", "count": alerts}))?;
    eventually("the siren sounds", PATIENCE * 4, || {
        match machine.borrow_mut().is_high(SIREN) {
            Ok(true) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    let status = until("every alert with every sink", &|status| {
        let sinks = status["sinks"].as_array();
        sinks.is_some_and(|sinks| sinks.iter().all(|sink| sink["deliveries"]["delivered"] == alerts))
    })?;
    assert_eq!(status["sinks"].as_array().map(Vec::len), Some(PLUGINS.len()));

    let list = run("watchpost alerts --data-dir /tmp/watchpost --json list --limit 1000")?;
    let ids = list.lines().map(|line| {
        let alert: Value = serde_json::from_str(line)?;
        Ok(alert["id"].to_string())
    });
    let ids: BTreeSet<String> = ids.collect::<Result<_>>()?;
    assert_eq!(ids.len() as u64, alerts);
    let set = |ids: Vec<String>| ids.into_iter().collect::<BTreeSet<String>>();
    let keys = hook.requests();
    let keys = keys
        .iter()
        .filter_map(|request| request.header("idempotency-key"));
    assert_eq!(set(keys.map(str::to_owned).collect()), ids, "the webhook");
    assert_eq!(
        set(run("cat /tmp/notes/ids")?.lines().map(str::to_owned).collect()),
        ids,
        "the program"
    );
    assert_eq!(mails.mails()?.len() as u64, alerts, "the mails");
    assert_eq!(subscriber.count("/alert") as u64, alerts, "the broker");
    assert_eq!(
        run("find /tmp/archive -name '*.jpg' | wc -l")?,
        alerts.to_string(),
        "the archive"
    );
    assert_ne!(run("wc -c </tmp/sound/out.raw")?, "0", "the loudspeaker");
    assert!(
        !machine.borrow_mut().is_high(SIREN)?,
        "the siren is off at the end"
    );
    if let Some(traces) = traces {
        // Also what they do when they end.
        run("kill $(pidof watchpost)")?;
        eventually("the hub's end", PATIENCE * 4, || {
            match run("pidof watchpost watchpost-sinkhost.traced || echo none") {
                Ok(left) if left == "none" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
        machine.borrow_mut().take_traces(&traces)?;
    }
    Ok(())
}
