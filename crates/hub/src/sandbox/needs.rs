//! What a plugin's description says it needs, with the values of the sink's configuration filled in.
//!
//! An entry is a value, or names a key of the configuration that holds it: `config.dir`, `config.servers`. Where to
//! connect to is `host:port`, both of which may be keys (`config.host:config.port`), or a URL. A key that is not set
//! needs nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use watchpost_config::{Ports, SandboxSettings};
use watchpost_sinkhost_client::{PluginInfo, sandbox::is_of_the_system};

/// Begins an entry that names a key of the configuration.
const KEY: &str = "config.";

/// The ports of addresses that leave them out.
const USUAL_PORTS: &[(&str, u16)] = &[
    ("http", 80),
    ("ws", 80),
    ("https", 443),
    ("wss", 443),
    ("mqtt", 1883),
    ("mqtts", 8883),
];

/// Something a plugin says it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// What.
    pub access: Access,
    /// Why: the entry in the plugin's own words.
    pub why: String,
}

/// What can be needed, and granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// A file or directory to read.
    Read(PathBuf),
    /// A file, directory or device to write.
    Write(PathBuf),
    /// A TCP port to connect to.
    Connect(u16),
    /// To connect to something of which the port is not known.
    ConnectSomewhere,
    /// A program to start. One that is not of the system has to be granted to be read, too.
    Exec(PathBuf),
    /// A local socket to connect to.
    UnixSocket(PathBuf),
    /// To acknowledge the alerts it is given.
    Acknowledge,
    /// To arm and disarm areas.
    Arm,
}

/// What the plugin says it needs with this configuration.
pub fn needs(info: &PluginInfo, config: &Value) -> Vec<Need> {
    let Some(needs) = info.needs() else {
        return Vec::new();
    };
    let entries = |key: &str| {
        needs[key]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    };
    let mut found = Vec::new();
    for (key, access) in [
        ("read", Access::Read as fn(PathBuf) -> Access),
        ("write", Access::Write),
        ("devices", Access::Write),
        ("exec", Access::Exec),
        ("unix_sockets", Access::UnixSocket),
    ] {
        for entry in entries(key) {
            for path in resolve(entry, config).into_iter().map(PathBuf::from) {
                if key == "exec" && !is_of_the_system(&path) {
                    found.push(Need::new(Access::Read(path.clone()), entry));
                }
                found.push(Need::new(access(path), entry));
            }
        }
    }
    for (key, access) in [("acknowledge", Access::Acknowledge), ("arm", Access::Arm)] {
        let set = entries(key).filter(|entry| is_set(entry, config));
        found.extend(set.map(|entry| Need::new(access.clone(), entry)));
    }
    for entry in entries("connect") {
        found.extend(targets(entry, config).iter().map(|target| {
            let access = port(target).map_or(Access::ConnectSomewhere, Access::Connect);
            Need::new(access, entry)
        }));
    }
    found
}

impl Need {
    fn new(access: Access, entry: &str) -> Self {
        Self {
            access,
            why: entry.to_owned(),
        }
    }

    /// Whether the site has granted it, or it is in the sink's own directory, which each may write.
    #[must_use]
    pub fn is_granted(&self, sandbox: &SandboxSettings, own_dir: &Path) -> bool {
        let within = |path: &Path, granted: &[PathBuf]| {
            path.starts_with(own_dir) || granted.iter().any(|granted| path.starts_with(granted))
        };
        match &self.access {
            Access::Read(path) => within(path, &sandbox.read) || within(path, &sandbox.write),
            Access::Write(path) => within(path, &sandbox.write),
            Access::Connect(port) => match &sandbox.connect {
                Ports::Only(ports) => ports.contains(port),
                Ports::Any(_) => true,
            },
            Access::ConnectSomewhere => sandbox.connect != Ports::default(),
            Access::Exec(_) => sandbox.exec,
            Access::UnixSocket(_) => sandbox.unix_sockets,
            Access::Acknowledge => sandbox.acknowledge,
            Access::Arm => sandbox.arm,
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path) => write!(f, "read {}", path.display()),
            Self::Write(path) => write!(f, "write {}", path.display()),
            Self::Connect(port) => write!(f, "connect to port {port}"),
            Self::ConnectSomewhere => f.write_str("connect to a port it does not name"),
            Self::Exec(path) => write!(f, "start {}", path.display()),
            Self::UnixSocket(path) => write!(f, "connect to the local socket {}", path.display()),
            Self::Acknowledge => f.write_str("acknowledge alerts"),
            Self::Arm => f.write_str("arm and disarm areas"),
        }
    }
}

/// Whether an entry stands for something: a key that is not set needs nothing.
fn is_set(entry: &str, config: &Value) -> bool {
    let key = entry
        .strip_prefix(KEY)
        .map(|keys| format!("/{}", keys.replace('.', "/")));
    key.is_none_or(|pointer| config.pointer(&pointer).is_some_and(|value| !value.is_null()))
}

/// Addresses or bare ports that an entry of `connect` stands for.
fn targets(entry: &str, config: &Value) -> Vec<String> {
    match entry.rsplit_once(':') {
        Some((_, port)) if port.starts_with(KEY) => resolve(port, config),
        _ => resolve(entry, config),
    }
}

/// The values that an entry stands for: itself, or what the configuration has under its key.
fn resolve(entry: &str, config: &Value) -> Vec<String> {
    let Some(keys) = entry.strip_prefix(KEY) else {
        return vec![entry.to_owned()];
    };
    // A port may follow the key of a host.
    let (keys, port) = keys
        .split_once(':')
        .map_or((keys, None), |(keys, port)| (keys, Some(port)));
    let pointer = format!("/{}", keys.replace('.', "/"));
    let values = match config.pointer(&pointer) {
        Some(Value::Array(values)) => values.iter().collect(),
        Some(value) => vec![value],
        None => Vec::new(),
    };
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(server) => server.get("port").map(Value::to_string),
        _ => None,
    };
    let with_port = |text: String| port.map_or(text.clone(), |port| format!("{text}:{port}"));
    values.into_iter().filter_map(text).map(with_port).collect()
}

/// The port of `587`, `host:587` or `mqtts://host/path`.
fn port(target: &str) -> Option<u16> {
    if let Ok(port) = target.parse() {
        return Some(port);
    }
    let (scheme, rest) = target.split_once("://").unwrap_or(("", target));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let given = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let usual = || {
        USUAL_PORTS
            .iter()
            .find(|(name, _)| *name == scheme)
            .map(|(_, port)| *port)
    };
    given.or_else(usual)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(described: Value, config: Value, expected: &[&str]) {
        let info = PluginInfo {
            id: "test".into(),
            name: "Test".into(),
            version: "1".into(),
            summary: String::new(),
            sdk: String::new(),
            abi: (1, 0),
            flushes: false,
            probes: false,
            cancels: false,
            validates: false,
            description: Some(json!({ "needs": described })),
        };
        let said: Vec<String> = needs(&info, &config)
            .iter()
            .map(|need| format!("{} ({})", need.access, need.why))
            .collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn keys_stand_for_their_values() {
        check(
            json!({ "read": ["/etc/x", "config.tls.ca"], "write": ["config.dirs"], "devices": ["/dev/ttyUSB0"] }),
            json!({ "tls": { "ca": "/ca.pem" }, "dirs": ["/a", "/b"] }),
            &[
                "read /etc/x (/etc/x)",
                "read /ca.pem (config.tls.ca)",
                "write /a (config.dirs)",
                "write /b (config.dirs)",
                "write /dev/ttyUSB0 (/dev/ttyUSB0)",
            ],
        );
        check(json!({ "write": ["config.dir"] }), json!({}), &[]);
    }

    #[test]
    fn programs_of_the_site_have_to_be_read_too() {
        check(
            json!({ "exec": ["config.command.0"], "unix_sockets": ["config.socket"] }),
            json!({ "command": ["/usr/bin/logger", "-t"], "socket": "/run/x.sock" }),
            &[
                "start /usr/bin/logger (config.command.0)",
                "connect to the local socket /run/x.sock (config.socket)",
            ],
        );
        check(
            json!({ "exec": ["config.command.0"] }),
            json!({ "command": ["/opt/site/lamp"] }),
            &[
                "read /opt/site/lamp (config.command.0)",
                "start /opt/site/lamp (config.command.0)",
            ],
        );
    }

    #[test]
    fn acknowledging_is_needed_with_what_it_is_for() {
        let needs = json!({ "acknowledge": ["config.button"] });
        check(
            needs.clone(),
            json!({ "button": { "line": 4 } }),
            &["acknowledge alerts (config.button)"],
        );
        check(needs, json!({}), &[]);
    }

    #[test]
    fn ports_are_found_wherever_they_stand() {
        for (entry, expected) in [
            ("mail.example.org:587", "connect to port 587"),
            ("config.host:25", "connect to port 25"),
            ("config.host:config.port", "connect to port 465"),
            ("config.port", "connect to port 465"),
            ("config.url", "connect to port 443"),
            ("config.broker", "connect to port 9001"),
            ("config.servers", "connect to port 26"),
            ("config.host", "connect to a port it does not name"),
        ] {
            check(
                json!({ "connect": [entry] }),
                json!({ "host": "mail", "port": 465, "url": "https://a.example/x:y", "broker": "mqtt://b:9001/c",
                        "servers": [{ "port": 26 }] }),
                &[&format!("{expected} ({entry})")],
            );
        }
        for entry in ["config.host:25", "config.host:config.port", "config.url"] {
            check(json!({ "connect": [entry] }), json!({}), &[]);
        }
    }

    #[test]
    fn a_grant_covers_what_is_within_it() {
        let sandbox = SandboxSettings {
            read: vec!["/etc/mail".into()],
            write: vec!["/srv/alerts".into()],
            connect: Ports::Only(vec![587]),
            unix_sockets: true,
            ..SandboxSettings::default()
        };
        for (access, granted) in [
            (Access::Read("/etc/mail/a".into()), true),
            (Access::Read("/srv/alerts".into()), true),
            (Access::Read("/etc/mailer".into()), false),
            (Access::Write("/srv/alerts/2026".into()), true),
            (Access::Write("/srv".into()), false),
            (Access::Write("/etc/mail".into()), false),
            (Access::Connect(587), true),
            (Access::Connect(25), false),
            (Access::Exec("/bin/sh".into()), false),
            (Access::UnixSocket("/run/x.sock".into()), true),
            (Access::Acknowledge, false),
            (Access::Write("/var/lib/watchpost/sinks/mail/queue".into()), true),
            (Access::Write("/var/lib/watchpost/sinks/mailer".into()), false),
        ] {
            assert_eq!(
                Need::new(access.clone(), "")
                    .is_granted(&sandbox, Path::new("/var/lib/watchpost/sinks/mail")),
                granted,
                "{access}"
            );
        }
    }
}
