//! "Install it" in the README is done as it is written, in a machine with systemd, up to the first alert that is filed and
//! mailed. So is what docs/security.md says of sinks with users of their own.

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

/// The code blocks below a heading of a page, with the language that they name.
fn blocks(page: &str, heading: &str) -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string(workspace_root().join(page))?;
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
    ensure!(!blocks.is_empty(), "{page} has no commands below `{heading}`");
    Ok(blocks)
}

/// The configuration that the README shows, with this backend, and a sink that mails.
fn configuration(backend: &Backend, server: &SmtpServer) -> Result<String> {
    let shown = blocks("README.md", "Point it to a backend")?;
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

/// The commands of the README that install what was built, and those that start it.
fn commands() -> Result<(String, String)> {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let built = format!("{}/{profile}", ServiceMachine::TARGET);
    let commands = blocks("README.md", "Install it")?;
    let commands: Vec<String> = commands.into_iter().map(|(_, text)| text).collect();
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
    Ok((install.replace("target/release", &built), start.clone()))
}

/// What both scripts begin with.
fn preparations() -> String {
    format!(
        r#"set -eux
trap 'systemctl status --no-pager watchpost; journalctl --no-pager -u watchpost | tail -n 40' ERR
until_true() {{ timeout {WAIT_SECONDS} bash -c "until $1; do sleep 0.1; done"; }}
# It may be installed on the machine outside.
userdel watchpost || true
rm -rf /etc/watchpost /var/lib/watchpost
"#
    )
}

/// The commands of the README, with what it leaves to the reader put between them.
fn script(backend: &Backend, server: &SmtpServer) -> Result<String> {
    let (install, start) = commands()?;
    // A service that was just started takes a moment to answer.
    let start = start.replace("watchpost status\n", "until_true 'watchpost status'\n");
    let (config, ca) = (configuration(backend, server)?, fs::read_to_string(server.ca())?);
    let password = backend.ready("password")?;
    let preparations = preparations();
    Ok(format!(
        r#"{preparations}
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

/// Two archives that file into the directories that they have for themselves, each as another user.
fn configuration_with_users(backend: &Backend) -> Result<String> {
    let files = |sink: &str| format!("/var/lib/watchpost/sinks/{sink}/files");
    let (url, email, password) = (backend.url(), backend.ready("email")?, backend.ready("password")?);
    let mut sinks = String::new();
    for (sink, user) in [("one", "dynamic"), ("other", "siren")] {
        let files = files(sink);
        sinks += &format!(
            "[[sink]]\nname = \"{sink}\"\nplugin = \"archive\"\n\
             sandbox = {{ user = \"{user}\", write = [\"{files}\"] }}\nconfig = {{ dir = \"{files}\" }}\n"
        );
    }
    Ok(format!(
        "[hub]\ndata_dir = \"/var/lib/watchpost\"\n[[connection]]\nname = \"shop\"\nurl = \"{url}\"\n\
         login = {{ email = \"{email}\", password = \"{password}\" }}\n{sinks}"
    ))
}

/// Sinks with users of their own, without what docs/security.md hands over to the hub and with it.
fn script_with_users(backend: &Backend) -> Result<String> {
    let (install, _) = commands()?;
    let (preparations, config) = (preparations(), configuration_with_users(backend)?);
    let drop_in = blocks("docs/security.md", "Whose user")?;
    let (_, drop_in) = drop_in
        .iter()
        .find(|(language, _)| language == "ini")
        .context("docs/security.md shows no drop-in")?;
    Ok(format!(
        r#"{preparations}
{install}
cat >/etc/watchpost/watchpost.toml <<'END'
{config}
END
userdel siren || true
useradd --system --user-group siren
what='takes a hub that runs as root'
remedy='"Whose user" in docs/ \{{0,1\}}security.md shows'
# A report in one line.
plainly() {{ sed 's/│/ /g' | tr -s '\n ' ' '; }}

# Without it both sinks say what they lack, and so does the check.
runuser -u watchpost -- watchpost check >/tmp/said 2>&1 && false || test $? = 3
plainly </tmp/said | grep "$what, and this user lacks CAP_CHOWN, .*$remedy"
systemctl start watchpost
until_true 'watchpost status --json | grep -q "one.*lacks CAP_CHOWN.*other.*lacks CAP_CHOWN"'
watchpost status | grep "$what: this one lacks CAP_CHOWN, .*$remedy"
systemctl stop watchpost

install -d /etc/systemd/system/watchpost.service.d
cat >/etc/systemd/system/watchpost.service.d/override.conf <<'END'
{drop_in}
END
systemctl daemon-reload
watchpost check >/tmp/said 2>&1
plainly </tmp/said | grep "$what, .*$remedy"
systemctl start watchpost
until_true 'watchpost status --json | grep -q "\"connected\""'
until_true 'test "$(watchpost status --json | grep -o "\"state\":\"running\"" | wc -l)" = 2'
echo connected
cd /var/lib/watchpost/sinks
until_true 'test -n "$(find one/files -name "*.jpg")" && test -n "$(find other/files -name "*.jpg")"'

# Each is its own user, to whom all belongs that it keeps, and no one else's.
hub=$(systemctl show -P MainPID watchpost)
one=$(pgrep -f '^[^ ]*watchpost-sinkhost one')
other=$(pgrep -f '^[^ ]*watchpost-sinkhost other')
test "$(stat -c %U /proc/$hub)" = watchpost
test "$(stat -c %U /proc/$other)" = siren
id=$(stat -c %u /proc/$one)
test "$id" -ge 61184 -a "$id" -le 65519
test -z "$(find one ! -uid "$id")"
test -z "$(find other ! -user siren)"
reads() {{ setpriv --reuid="$1" --regid="$1" --clear-groups find "$2" -type f -exec head -c 1 {{}} + >/dev/null; }}
reads "$id" one
reads siren other
if reads "$id" other; then false; fi
if reads siren one; then false; fi
if reads "$id" ../watchpost.db; then false; fi
# The hub has what the drop-in names and no more, the sinks have nothing of it, and the hub sees them.
grep -q '^CapEff:.*00000000000000e3$' /proc/$hub/status
grep -q '^CapBnd:.*00000000000000e3$' /proc/$hub/status
for sink in $one $other; do
    for set in Inh Prm Eff Amb; do grep -q "^Cap$set:.*0000000000000000$" /proc/$sink/status; done
    nsenter --target $hub --mount setpriv --reuid=watchpost --regid=watchpost --clear-groups test -r /proc/$sink/stat
done
# They are the users that they were after a restart.
systemctl restart watchpost
until_true 'test "$(watchpost status --json | grep -o "\"state\":\"running\"" | wc -l)" = 2'
test "$(stat -c %u /proc/$(pgrep -f '^[^ ]*watchpost-sinkhost one'))" = "$id"
watchpost doctor >/tmp/said || true
if grep 'can look into' /tmp/said; then false; fi
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

#[test]
fn sinks_of_the_installed_service_are_users_of_their_own_by_the_documented_drop_in() -> Result<()> {
    if skip_without(&[Need::Systemd, Need::Python]) {
        return Ok(());
    }
    artefacts()?;
    let backend = Backend::start(&["--rate", "0"])?;
    let mut machine = ServiceMachine::boot(&script_with_users(&backend)?)?;
    machine.until("connected")?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    machine.end()
}
