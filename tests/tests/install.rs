//! "Install it" in the README is done as it is written, in a machine with systemd, up to the first alert that is filed and
//! mailed.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use serde_json::json;
use watchpost_testkit::{
    Backend, Need, PATIENCE, SMTP_PASSWORD, SMTP_USER, ServiceMachine, SmtpServer, Toml, artefacts,
    eventually, skip_without, workspace_root,
};

/// Seconds that the script waits for one thing.
const WAIT_SECONDS: u32 = 120;

/// The code blocks below a heading of the README, with the language that they name.
fn blocks(heading: &str) -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string(workspace_root().join("README.md"))?;
    let (mut here, mut in_heading, mut block) = (false, false, None);
    let mut blocks = Vec::new();
    for event in Parser::new(&text) {
        match event {
            Event::Start(Tag::Heading { .. }) => (here, in_heading) = (false, true),
            Event::End(TagEnd::Heading(_)) => in_heading = false,
            Event::Start(Tag::CodeBlock(kind)) if here => {
                let language = match kind {
                    CodeBlockKind::Fenced(language) => language.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                block = Some((language, String::new()));
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(block.take()),
            Event::Text(part) if in_heading => here |= *part == *heading,
            Event::Text(part) => {
                if let Some((_, text)) = &mut block {
                    text.push_str(&part);
                }
            }
            _ => {}
        }
    }
    ensure!(!blocks.is_empty(), "the README has no commands below `{heading}`");
    Ok(blocks)
}

/// The configuration that the README shows, with this backend, and a sink that mails.
fn configuration(backend: &Backend, server: &SmtpServer) -> Result<String> {
    let shown = blocks("Point it to a backend")?;
    let (_, shown) = shown
        .iter()
        .find(|(language, _)| language == "toml")
        .context("the README shows no configuration")?;
    let mut table: toml::Table = shown.parse()?;
    let connection = &mut table["connection"][0];
    connection["url"] = Toml::from(backend.url());
    connection["login"]["email"] = Toml::from(backend.ready("email")?);
    let (port, user) = (i64::from(server.port()), SMTP_USER);
    let mail = watchpost_testkit::toml! {
        name = "mail"
        plugin = "email"
        sandbox = { read = ["/etc/watchpost/mail-password", "/etc/watchpost/mail-ca.pem"], connect = [port] }
        [config]
        server = "localhost"
        port = port
        user = user
        password_file = "/etc/watchpost/mail-password"
        ca_file = "/etc/watchpost/mail-ca.pem"
        from = "hub@example.com"
        to = ["guard@example.com"]
    };
    let sinks = table["sink"].as_array_mut().context("the README shows no sink")?;
    sinks.push(mail.into());
    Ok(table.to_string())
}

/// The commands of the README, with what it leaves to the reader put between them.
fn script(backend: &Backend, server: &SmtpServer) -> Result<String> {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let built = format!("{}/{profile}", ServiceMachine::TARGET);
    let commands: Vec<String> = blocks("Install it")?.into_iter().map(|(_, text)| text).collect();
    let [build, install, start] = &commands[..] else {
        anyhow::bail!(
            "the README has {} blocks of commands below `Install it`, not 3",
            commands.len()
        );
    };
    // The same files from another profile.
    assert_eq!(build.trim(), "cargo build --release");
    ensure!(
        install.contains("target/release/watchpost"),
        "the README installs something else:\n{install}"
    );
    let install = install.replace("target/release", &built);
    // A service that was just started takes a moment to answer.
    let start = start.replace("watchpost status\n", "until_true 'watchpost status'\n");
    let (config, ca) = (configuration(backend, server)?, fs::read_to_string(server.ca())?);
    let password = backend.ready("password")?;
    Ok(format!(
        r#"set -eux
trap 'systemctl status --no-pager watchpost; journalctl --no-pager -u watchpost | tail -n 40' ERR
until_true() {{ timeout {WAIT_SECONDS} bash -c "until $1; do sleep 0.1; done"; }}
# It may be installed on the machine outside.
userdel watchpost || true
rm -rf /etc/watchpost /var/lib/watchpost
{install}
# What the reader writes, with an editor that keeps owner and mode.
cat >/etc/watchpost/watchpost.toml <<'END'
{config}
END
echo '{password}' >/etc/watchpost/password
install -m 640 -g watchpost /dev/null /etc/watchpost/mail-password
echo '{SMTP_PASSWORD}' >/etc/watchpost/mail-password
cat >/etc/watchpost/mail-ca.pem <<'END'
{ca}
END
{start}
until_true 'watchpost status --json | grep -q "\"connected\""'
echo connected
until_true 'test -e /srv/test/delivered'
until_true 'ls -R /var/lib/watchpost/archive | grep -q "\.jpg$"'
# A reload takes the change over; one with a mistake fails, and the service goes on.
sed -i 's/^\[hub\]$/[hub]\nsite = "corner shop"/' /etc/watchpost/watchpost.toml
watchpost status --json | grep -q '"outdated":true'
systemctl reload watchpost
watchpost status --json | grep -q '"outdated":false'
echo nonsense >>/etc/watchpost/watchpost.toml
if systemctl reload watchpost; then false; fi
watchpost status --data-dir /var/lib/watchpost --json | grep -q '"outdated":true'
test "$(systemctl show -P NRestarts watchpost)" = 0
test "$(stat -c %U /var/lib/watchpost)" = watchpost
test "$(ps -o user= -C watchpost-sinkho | sort -u)" = watchpost
systemctl stop watchpost
test "$(systemctl show -P Result watchpost)" = success
set +x
echo done
"#
    ))
}

#[test]
fn the_readme_installs_a_service_that_files_and_mails_an_alert() -> Result<()> {
    if skip_without(&[Need::Systemd, Need::Python]) {
        return Ok(());
    }
    artefacts()?;
    let backend = Backend::start(&["--rate", "0"])?;
    let server = SmtpServer::start()?;
    let mut machine = ServiceMachine::boot(&script(&backend, &server)?)?;
    machine.until("connected")?;
    backend.until("the socket registered", PATIENCE, |stats| {
        stats["registered"] == 1
    })?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    backend.until("acknowledged", PATIENCE, |stats| stats["acknowledged"] == 1)?;
    let mail = eventually("the mail", PATIENCE, || match server.mails() {
        Ok(mails) if !mails.is_empty() => Ok(mails),
        other => Err(format!("{other:?}; the machine said:\n{}", machine.output())),
    })?;
    assert_eq!(mail[0]["to"], json!(["guard@example.com"]));
    machine.signal("delivered")?;
    machine.end()
}
