//! A hub with sinks of the red team in a virtual machine, and how it is looked at.

use anyhow::{Context as _, Result};
use serde_json::Value;
use watchpost_testkit::{GpioMachine, PATIENCE, eventually, hostile_plugin};

/// The user of the hub, as the package has one.
const USERS: &str = "root:x:0:0::/tmp:/bin/sh\nwatchpost:x:61301:61301::/tmp:/bin/sh\n";

/// The configuration without sinks.
const HUB: &str = r#"
[hub]
data_dir = "/tmp/watchpost"

[[connection]]
name = "yard"
kind = "inbound"
token = "0123456789abcdef"

[web]
listen = "127.0.0.1:8787"
"#;

/// A sink, and what its `[sink.sandbox]` grants.
pub(crate) struct Sink {
    pub(crate) name: &'static str,
    /// How it behaves after the deeds.
    pub(crate) way: &'static str,
    pub(crate) sandbox: &'static str,
    /// Whether it is to try the deeds.
    pub(crate) tries: bool,
}

/// The machine. The hub runs as a plain user.
pub(crate) struct Site(GpioMachine);

impl Site {
    /// Boots it; the hub is not started yet.
    pub(crate) fn boot(sinks: &[Sink]) -> Result<Self> {
        let plugin = hostile_plugin("redteam")?;
        let mut site = Self(GpioMachine::boot(&[], &[&plugin])?);
        site.0.write("/etc/passwd", USERS)?;
        site.run("mkdir -p /tmp/victim/folder && echo precious >/tmp/victim/file && (sleep 9999 &)")?;
        let mut text = HUB.to_owned();
        for Sink {
            name,
            way,
            sandbox,
            tries,
        } in sinks
        {
            text += &format!(
                r#"
[[sink]]
name = "{name}"
plugin = "{}"
timeout = "10m"
retry = {{ initial = "1h", max = "1h" }}
[sink.sandbox]
memory = "64MiB"
{sandbox}
[sink.config]
victim = "/tmp/victim"
config = "/tmp/watchpost.toml"
data = "/tmp/watchpost"
bystander = "PID"
port = "1"
hub_port = "8787"
local = "none"
way = "{way}"
"#,
                plugin.display()
            );
            site.run(&format!("mkdir -p /tmp/watchpost/sinks/{name}"))?;
            if !tries {
                site.run(&format!("touch /tmp/watchpost/sinks/{name}/report"))?;
            }
        }
        let bystander = site.run("pidof sleep | cut -d' ' -f1")?;
        site.0
            .write("/tmp/watchpost.toml", &text.replace("PID", &bystander))?;
        site.run("chown -R watchpost /tmp/watchpost /tmp/watchpost.toml /tmp/victim")?;
        site.run("chmod 600 /tmp/watchpost.toml")?;
        Ok(site)
    }

    /// Starts the hub after this command, in the same process.
    pub(crate) fn start(&mut self, before: &str) -> Result<()> {
        self.run(&format!(
            "({before}; exec su watchpost -c 'exec watchpost run --config /tmp/watchpost.toml' >>/tmp/log 2>&1 &)"
        ))?;
        Ok(())
    }

    pub(crate) fn run(&mut self, command: &str) -> Result<String> {
        self.0.run(command)
    }

    pub(crate) fn number(&mut self, command: &str) -> Result<u64> {
        let text = self.run(command)?;
        text.trim()
            .parse()
            .with_context(|| format!("`{command}` said {text:?}"))
    }

    /// Waits for a status.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let waited = eventually(what, PATIENCE * 4, || {
            let status = self.run("watchpost status --data-dir /tmp/watchpost --json");
            let status = serde_json::from_str(&status.map_err(|error| error.to_string())?);
            let status: Value = status.map_err(|error| error.to_string())?;
            if holds(&status) {
                Ok(status)
            } else {
                Err(format!("{status:#}"))
            }
        });
        waited.with_context(|| self.run("tail -n 40 /tmp/log").unwrap_or_default())
    }

    /// Waits until a command prints this.
    pub(crate) fn until_it_says(&mut self, command: &str, expected: &str) -> Result<()> {
        eventually(command, PATIENCE * 4, || match self.run(command) {
            Ok(text) if text == expected => Ok(()),
            other => Err(format!("{other:?}")),
        })
    }

    /// Posts an alert, which goes to every sink.
    pub(crate) fn alert(&mut self) -> Result<()> {
        self.run(
            "wget -q -O /dev/null --header 'Authorization: Bearer 0123456789abcdef' --header 'Content-Type: \
             application/json' --post-data \"{\\\"title\\\":\\\"x\\\",\\\"occurred_at\\\":\\\"$(date -u +%FT%TZ)\\\"}\" \
             http://127.0.0.1:8787/api/v1/alerts",
        )?;
        Ok(())
    }
}
