//! `watchpost sink grant`: what a sink's plugin says it needs, as the lines that grant it. It grants nothing itself:
//! the installer reads them, and writes down what the plugin shall have.

use std::fmt::Write as _;
use std::path::PathBuf;

use actix_rt::System;
use anyhow::Context as _;
use watchpost_config::{Ports, SandboxSettings, SinkSettings, nearest};
use watchpost_hub::{Access, Need, check_plugin, find_plugin, needs};

use crate::cli::{ConfigArgs, SinkCommand};
use crate::{commands, out};

/// Stands behind what is granted already and not among the needs.
const KEPT: &str = "granted already";

pub(crate) fn run(command: &SinkCommand) -> anyhow::Result<()> {
    match command {
        SinkCommand::Grant { name, config } => grant(name, config),
    }
}

fn grant(name: &str, args: &ConfigArgs) -> anyhow::Result<()> {
    let loaded = commands::load(&args.config)?;
    let sinks = &loaded.settings.sink;
    let number = sinks.iter().position(|sink| sink.name == name).with_context(|| {
        let names: Vec<&str> = sinks.iter().map(|sink| sink.name.as_str()).collect();
        match nearest(name, names.iter().copied()) {
            Some(near) => format!("there is no sink `{name}`; did you mean `{near}`?"),
            None => format!("there is no sink `{name}`; there are {}", names.join(", ")),
        }
    })?;
    let sink = &sinks[number];
    let host_binary = commands::sinkhost_binary()?;
    let info = System::new().block_on(async {
        let file = find_plugin(&sink.plugin, &loaded.settings.hub.plugin_dirs)?;
        check_plugin(&host_binary, &file, &sink.config).await
    })?;
    let needs = needs(&info, &sink.config);
    out::line(format_args!(
        "# Goes below the [[sink]] `{name}` ({}), in place of the [sink.sandbox] it may have there.\n\
         # What {} {} says it needs with its configuration. Grant it what you agree with.\n{}",
        loaded.locate(&format!("/sink/{number}")),
        info.name,
        info.version,
        table(sink, &needs).trim_end()
    ))?;
    Ok(())
}

/// The table that grants the needs, and what is granted already.
fn table(sink: &SinkSettings, needs: &[Need]) -> String {
    let SandboxSettings {
        read,
        write,
        connect,
        listen,
        unix_sockets,
        exec,
        memory,
        open_files,
        user,
        require,
    } = &sink.sandbox;
    let usual = SandboxSettings::default();
    let mut text = "[sink.sandbox]\n".to_owned();
    let needed = |of: fn(&Access) -> Option<String>| -> Vec<(String, &str)> {
        let value = |need: &Need| of(&need.access);
        needs
            .iter()
            .filter_map(|need| Some((value(need)?, need.why.as_str())))
            .collect()
    };
    let read_too = needed(|access| {
        if let Access::Read(path) = access {
            Some(quoted(path))
        } else {
            None
        }
    });
    list(&mut text, "read", read_too, read.iter().map(quoted));
    let write_too = needed(|access| {
        if let Access::Write(path) = access {
            Some(quoted(path))
        } else {
            None
        }
    });
    list(&mut text, "write", write_too, write.iter().map(quoted));
    let connect_too = needed(|access| {
        if let Access::Connect(port) = access {
            Some(port.to_string())
        } else {
            None
        }
    });
    ports(&mut text, "connect", connect_too, connect);
    ports(&mut text, "listen", Vec::new(), listen);
    for need in needs
        .iter()
        .filter(|need| need.access == Access::ConnectSomewhere)
    {
        line(
            &mut text,
            &format!("# It connects to `{}`: add the port to `connect`.", need.why),
        );
    }
    for (key, value, is_usual) in [
        (
            "unix_sockets",
            unix_sockets.to_string(),
            *unix_sockets == usual.unix_sockets,
        ),
        ("exec", exec.to_string(), *exec == usual.exec),
        ("memory", format!("\"{memory}\""), *memory == usual.memory),
        (
            "open_files",
            open_files.to_string(),
            *open_files == usual.open_files,
        ),
        (
            "user",
            user.as_ref().map(quoted).unwrap_or_default(),
            user.is_none(),
        ),
        ("require", require.to_string(), *require == usual.require),
    ] {
        if !is_usual {
            line(&mut text, &format!("{key} = {value}  # {KEPT}"));
        }
    }
    text
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

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

/// A basic string of TOML, which has all escapes of JSON.
fn quoted(text: &impl AsText) -> String {
    serde_json::Value::from(text.as_text()).to_string()
}

/// What can stand in quotes.
trait AsText {
    fn as_text(&self) -> String;
}

impl AsText for PathBuf {
    fn as_text(&self) -> String {
        self.display().to_string()
    }
}

impl AsText for String {
    fn as_text(&self) -> String {
        self.clone()
    }
}
