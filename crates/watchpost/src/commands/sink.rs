//! `watchpost sink grant`: what a sink's plugin says it needs, as the lines that grant it. It grants nothing itself:
//! the installer reads them, and writes down what the plugin shall have.

use std::fmt;
use std::path::Path;

use actix_rt::System;
use anyhow::Context as _;
use clap::Subcommand;
use watchpost_config::{Ports, SandboxSettings, not_there};
use watchpost_hub::{Access, Need, check_plugin, find_plugin, needs};

use crate::target::Target;
use crate::{out, siblings};

#[derive(Debug, Subcommand)]
pub(crate) enum SinkCommand {
    /// Print the `[sink.sandbox]` to paste that grants a sink what its plugin says it needs.
    Grant {
        /// The sink.
        name: String,
    },
}

/// Stands behind what is granted already and not among the needs.
const KEPT: &str = "granted already";

pub(crate) fn run(target: &Target, command: &SinkCommand) -> anyhow::Result<()> {
    match command {
        SinkCommand::Grant { name } => grant(target, name),
    }
}

fn grant(target: &Target, name: &str) -> anyhow::Result<()> {
    let loaded = target.load()?;
    let sinks = &loaded.settings.sink;
    let number = sinks.iter().position(|sink| sink.name == name).with_context(|| {
        let names = sinks.iter().map(|sink| sink.name.as_str());
        not_there("sink", name, names)
    })?;
    let sink = &sinks[number];
    let host_binary = siblings::sinkhost_binary()?;
    let info = System::new().block_on(async {
        let file = find_plugin(&sink.plugin, &loaded.settings.hub.plugin_dirs)?;
        check_plugin(&host_binary, &file, &sink.config).await
    })?;
    let needs = needs(&info, &sink.config);
    let mut text = String::new();
    let at = loaded.locate(&format!("/sink/{number}"));
    line(
        &mut text,
        &format!(
            "# Goes below the [[sink]] `{name}` ({at}), in place of the [sink.sandbox] it may have there."
        ),
    );
    let (plugin, version) = (&info.name, &info.version);
    line(
        &mut text,
        &format!(
            "# {plugin} {version} says it needs this with its configuration. Grant it what you agree with."
        ),
    );
    text += &table(&sink.sandbox, &needs);
    Ok(out::lines(&text)?)
}

/// The table that grants the needs, and what is granted already.
fn table(granted: &SandboxSettings, needs: &[Need]) -> String {
    let mut text = "[sink.sandbox]\n".to_owned();
    let to_read = needed(needs, |access| match access {
        Access::Read(file) => Some(path(file)),
        _ => None,
    });
    let to_write = needed(needs, |access| match access {
        Access::Write(file) => Some(path(file)),
        _ => None,
    });
    let to_connect = needed(needs, |access| match access {
        Access::Connect(port) => Some(port.to_string()),
        _ => None,
    });
    list(
        &mut text,
        "read",
        to_read,
        granted.read.iter().map(|file| path(file)),
    );
    list(
        &mut text,
        "write",
        to_write,
        granted.write.iter().map(|file| path(file)),
    );
    ports(&mut text, "connect", to_connect, &granted.connect);
    for need in needs {
        if need.access == Access::ConnectSomewhere {
            let hint = format!("# It connects to `{}`: add the port to `connect`.", need.why);
            line(&mut text, &hint);
        }
    }
    ports(&mut text, "listen", Vec::new(), &granted.listen);
    let sockets = why(needs, |access| matches!(access, Access::UnixSocket(_)));
    switch(&mut text, "unix_sockets", sockets, granted.unix_sockets);
    let programs = why(needs, |access| matches!(access, Access::Exec(_)));
    switch(&mut text, "exec", programs, granted.exec);
    let acknowledge = why(needs, |access| matches!(access, Access::Acknowledge));
    switch(&mut text, "acknowledge", acknowledge, granted.acknowledge);
    let arm = why(needs, |access| matches!(access, Access::Arm));
    switch(&mut text, "arm", arm, granted.arm);
    rest(&mut text, granted);
    text
}

/// The needs of one kind, as values of TOML, each with the reason.
fn needed(needs: &[Need], value: fn(&Access) -> Option<String>) -> Vec<(String, &str)> {
    needs
        .iter()
        .filter_map(|need| Some((value(&need.access)?, need.why.as_str())))
        .collect()
}

/// What no plugin says it needs, where it is not as usual.
fn rest(text: &mut String, granted: &SandboxSettings) {
    let usual = SandboxSettings::default();
    let mut keep = |key: &str, value: String, unlike: bool| {
        if unlike {
            line(text, &format!("{key} = {value}  # {KEPT}"));
        }
    };
    let (arm, disarm) = (granted.arm_without_code, granted.disarm_without_code);
    keep("arm_without_code", arm.to_string(), arm);
    keep("disarm_without_code", disarm.to_string(), disarm);
    let require = granted.require;
    keep("memory", quoted(granted.memory), granted.memory != usual.memory);
    let quota = granted.state_quota;
    keep("state_quota", quoted(quota), quota != usual.state_quota);
    let files = granted.open_files;
    keep("open_files", files.to_string(), files != usual.open_files);
    if let Some(user) = &granted.user {
        keep("user", quoted(user), true);
    }
    let groups: Vec<String> = granted.groups.iter().map(quoted).collect();
    keep("groups", format!("[{}]", groups.join(", ")), !groups.is_empty());
    keep("require", require.to_string(), require != usual.require);
}

/// The reason for a need of this kind, if there is one.
fn why(needs: &[Need], is: fn(&Access) -> bool) -> Option<&str> {
    let need = needs.iter().find(|need| is(&need.access));
    need.map(|need| need.why.as_str())
}

fn switch(text: &mut String, key: &str, needed: Option<&str>, granted: bool) {
    if let Some(why) = needed.or(granted.then_some(KEPT)) {
        line(text, &format!("{key} = true  # {why}"));
    }
}

fn ports(text: &mut String, key: &str, needed: Vec<(String, &str)>, granted: &Ports) {
    match granted {
        Ports::Only(granted) => list(text, key, needed, granted.iter().map(u16::to_string)),
        Ports::Any(_) => line(text, &format!("{key} = \"any\"  # {KEPT}")),
    }
}

/// An array with one value a line, each with the reason it is there.
fn list(text: &mut String, key: &str, needed: Vec<(String, &str)>, granted: impl Iterator<Item = String>) {
    let mut values: Vec<(String, &str)> = Vec::new();
    for (value, why) in needed.into_iter().chain(granted.map(|value| (value, KEPT))) {
        if !values.iter().any(|(there, _)| *there == value) {
            values.push((value, why));
        }
    }
    if values.is_empty() {
        return;
    }
    line(text, &format!("{key} = ["));
    for (value, why) in values {
        line(text, &format!("    {value},  # {why}"));
    }
    line(text, "]");
}

/// Adds a line. Nothing in it can begin another: the plugin's words are in there.
fn line(text: &mut String, line: &str) {
    text.extend(line.chars().map(|c| if c.is_control() { ' ' } else { c }));
    text.push('\n');
}

/// A basic string of TOML, which has all escapes of JSON.
fn quoted(text: impl fmt::Display) -> String {
    serde_json::Value::from(text.to_string()).to_string()
}

fn path(path: &Path) -> String {
    quoted(path.display())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use watchpost_config::{ByteSize, SinkUser};

    use super::*;

    fn need(access: Access, why: &str) -> Need {
        Need {
            access,
            why: why.to_owned(),
        }
    }

    #[test]
    fn needs_come_on_top_of_what_is_granted() {
        let granted = SandboxSettings {
            write: vec!["/srv/a".into(), "/srv/b".into()],
            connect: Ports::Only(vec![25]),
            exec: true,
            ..SandboxSettings::default()
        };
        let needs = [
            need(Access::Read("/ca.pem".into()), "config.ca"),
            need(Access::Write("/srv/a".into()), "config.dir"),
            need(Access::Connect(587), "config.host:587"),
            need(Access::ConnectSomewhere, "config.proxy"),
            need(Access::UnixSocket("/run/x.sock".into()), "config.socket"),
        ];
        expect![[r#"
            [sink.sandbox]
            read = [
                "/ca.pem",  # config.ca
            ]
            write = [
                "/srv/a",  # config.dir
                "/srv/b",  # granted already
            ]
            connect = [
                587,  # config.host:587
                25,  # granted already
            ]
            # It connects to `config.proxy`: add the port to `connect`.
            unix_sockets = true  # config.socket
            exec = true  # granted already
        "#]]
        .assert_eq(&table(&granted, &needs));
    }

    #[test]
    fn what_no_plugin_asks_for_is_kept() {
        let granted = SandboxSettings {
            state_quota: ByteSize(1 << 30),
            user: Some(SinkUser::Dynamic),
            groups: vec!["gpio".into()],
            ..SandboxSettings::default()
        };
        expect![[r#"
            [sink.sandbox]
            state_quota = "1GiB"  # granted already
            user = "dynamic"  # granted already
            groups = ["gpio"]  # granted already
        "#]]
        .assert_eq(&table(&granted, &[]));
    }

    #[test]
    fn a_plugin_cannot_write_grants_of_its_own() {
        let needs = [
            need(Access::Write("/a\"]\nexec = true".into()), "x\nexec = true"),
            need(Access::ConnectSomewhere, "y\runix_sockets = true"),
        ];
        let text = table(&SandboxSettings::default(), &needs);
        expect![[r#"
            [sink.sandbox]
            write = [
                "/a\"]\nexec = true",  # x exec = true
            ]
            # It connects to `y unix_sockets = true`: add the port to `connect`.
        "#]]
        .assert_eq(&text);
    }
}
