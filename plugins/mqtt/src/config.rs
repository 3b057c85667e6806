//! What a site can set, and what of it cannot be.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_sink::units::{TimeSpan, duration};
use watchpost_sink::{Fail, Secret, Template};

/// Publishes every alert to an MQTT broker: a JSON document, the picture, and the last alert of each camera as a
/// retained state.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-exclusive" = ["server", "client_id"]))]
pub(crate) struct Config {
    /// The broker as `host:port`. The port is mostly 8883 with TLS and 1883 without.
    pub(crate) server: String,
    /// Whether the connection is encrypted. Without it the password can be read on the wire.
    #[serde(default = "yes")]
    pub(crate) tls: bool,
    /// The certificate authority of the broker, as a PEM file, or the broker's very certificate, which is then trusted as it
    /// is. Without it, those that the system trusts.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
    /// A certificate to show to the broker, as a PEM file; with `key_file`.
    #[serde(default)]
    pub(crate) cert_file: Option<PathBuf>,
    /// The certificate's private key, as a PEM file without a password.
    #[serde(default)]
    pub(crate) key_file: Option<PathBuf>,
    /// The name to log in with.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// The password to log in with.
    #[serde(default)]
    pub(crate) password: Option<Secret>,
    /// A file that holds the password and nothing else, instead of `password`.
    #[serde(default)]
    pub(crate) password_file: Option<PathBuf>,
    /// The version of the protocol: `"5"`, or `"3.1.1"` for a broker that is older.
    #[serde(default)]
    pub(crate) version: Version,
    /// Whether the broker is to keep the last picture and state of each camera for later subscribers. `false` for a broker
    /// that cannot.
    #[serde(default = "yes")]
    pub(crate) retain: bool,
    /// How sure a message is: 1, and the broker acknowledges each; or 0 for a broker that acknowledges none. An alert then
    /// counts as delivered when it has been sent.
    #[serde(default = "one")]
    #[schemars(range(max = 1))]
    pub(crate) qos: u8,
    /// How the sink calls itself at the broker, for a broker that accepts known names only. Two clients of the same
    /// name throw each other out. Without it, `watchpost`, the sink's name and a random number.
    #[serde(default)]
    pub(crate) client_id: Option<String>,
    /// What the topics begin with.
    #[serde(default = "base")]
    pub(crate) base: String,
    /// Where the JSON document of an alert goes, as a template. Without it, `<base>/<camera>/alert`; `""`: nowhere.
    #[serde(default)]
    pub(crate) topic: Option<Template>,
    /// Where the picture goes, retained. Without it, `<base>/<camera>/picture`; `""`: nowhere.
    #[serde(default)]
    pub(crate) picture_topic: Option<Template>,
    /// Where the JSON document goes once more, retained, so that who subscribes later finds the last alert. Without
    /// it, `<base>/<camera>/state`; `""`: nowhere.
    #[serde(default)]
    pub(crate) state_topic: Option<Template>,
    /// Where `online` stands while the sink is connected, and `offline` when it is not (the last will). Without it,
    /// `<base>/status`.
    #[serde(default)]
    pub(crate) status_topic: Option<String>,
    /// Lets Home Assistant find the site and its cameras by itself.
    #[serde(default)]
    pub(crate) home_assistant: Option<HomeAssistant>,
}

/// How Home Assistant finds the site.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HomeAssistant {
    /// What the topics of its discovery begin with.
    #[serde(default = "prefix")]
    pub(crate) prefix: String,
    /// The site's name, which its devices are called after. Two sites at one Home Assistant need two names.
    #[serde(default = "site")]
    pub(crate) site: String,
    /// How long a camera's sensor stays on after an alert, for instance `"60s"`.
    #[serde(default = "off_delay", deserialize_with = "duration::read")]
    #[schemars(with = "TimeSpan")]
    pub(crate) off_delay: Duration,
    /// Has the areas appear as alarm panels, at which people arm and disarm. It takes `arm = true` in `[sink.sandbox]`.
    #[serde(default)]
    pub(crate) panel: Option<PanelConfig>,
}

/// How people arm and disarm at Home Assistant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PanelConfig {
    /// What a code is typed with: `"digits"`, `"text"`, or `"none"` where the hub takes none from this sink. Whoever may publish to the
    /// broker can arm and disarm then.
    #[serde(default)]
    pub(crate) keypad: Keypad,
    /// Whether Home Assistant asks for a code to arm, too. `false` where the hub takes none for that (`arm_without_code`).
    #[serde(default = "yes")]
    pub(crate) code_to_arm: bool,
}

/// What a code is typed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Keypad {
    /// Keys with digits.
    #[default]
    Digits,
    /// A field for text.
    Text,
    /// Nothing: no code is asked for.
    None,
}

/// A version of MQTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum Version {
    /// Version 5.
    #[default]
    #[serde(rename = "5")]
    V5,
    /// Version 3.1.1.
    #[serde(rename = "3.1.1")]
    V311,
}

impl Config {
    /// What the types cannot say.
    pub(crate) fn check(&self) -> Result<(), Fail> {
        self.address()?;
        if self.qos > 1 {
            return Err(Fail::bad_config(
                "/qos",
                "it is 0 or 1; an alert carries its id, so that who gets it twice can know",
            ));
        }
        if !self.tls {
            for (set, pointer) in [
                (self.ca_file.is_some(), "/ca_file"),
                (self.cert_file.is_some(), "/cert_file"),
                (self.key_file.is_some(), "/key_file"),
            ] {
                if set {
                    return Err(Fail::bad_config(
                        pointer,
                        "it is used with TLS only; remove `tls = false`",
                    ));
                }
            }
        }
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => return Err(Fail::bad_config("/cert_file", "it needs `key_file` beside it")),
            (None, Some(_)) => return Err(Fail::bad_config("/key_file", "it needs `cert_file` beside it")),
            _ => {}
        }
        if self.password.is_some() && self.password_file.is_some() {
            return Err(Fail::bad_config(
                "/password_file",
                "the password is given twice; remove one of them",
            ));
        }
        if self.user.is_none() && (self.password.is_some() || self.password_file.is_some()) {
            return Err(Fail::bad_config("/user", "a password needs a user"));
        }
        if let Some(home) = &self.home_assistant {
            fixed_topic("/home_assistant/prefix", &home.prefix)?;
            if !home.site.contains(|c: char| c.is_ascii_alphanumeric()) {
                return Err(Fail::bad_config(
                    "/home_assistant/site",
                    "it needs a letter or digit",
                ));
            }
        }
        fixed_topic("/base", &self.base)?;
        fixed_topic("/status_topic", &self.status_topic())
    }

    /// Host and port of the broker.
    pub(crate) fn address(&self) -> Result<(&str, u16), Fail> {
        let parsed = self.server.rsplit_once(':').and_then(|(host, port)| {
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let host = bare.unwrap_or(host);
            let plain = !host.is_empty()
                && !host.contains(['/', '@', ' '])
                && (bare.is_some() || !host.contains(':'));
            Some((host, port.parse().ok().filter(|port| plain && *port > 0)?))
        });
        parsed.ok_or_else(|| {
            let shown = &self.server;
            Fail::bad_config(
                "/server",
                format_args!("`{shown}` is not host:port, such as broker.local:8883"),
            )
        })
    }

    /// The topic of `online` and `offline`.
    pub(crate) fn status_topic(&self) -> String {
        self.status_topic
            .clone()
            .unwrap_or_else(|| format!("{}/status", self.base))
    }
}

/// A topic that is no template has to be right as it stands.
fn fixed_topic(pointer: &str, topic: &str) -> Result<(), Fail> {
    let why = if topic.is_empty() {
        "a topic cannot be empty"
    } else if topic.contains(['+', '#', '{', '}']) || topic.contains(char::is_control) {
        "`+`, `#`, braces and control characters cannot stand in this topic"
    } else if topic.starts_with('$') {
        "topics that begin with `$` are the broker's own"
    } else {
        return Ok(());
    };
    Err(Fail::bad_config(pointer, why))
}

fn yes() -> bool {
    true
}

fn one() -> u8 {
    1
}

fn base() -> String {
    "watchpost".into()
}

fn prefix() -> String {
    "homeassistant".into()
}

fn site() -> String {
    "Watchpost".into()
}

fn off_delay() -> Duration {
    Duration::from_secs(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Config, String> {
        let config: Config = serde_json::from_str(json).map_err(|e| e.to_string())?;
        config.check().map_err(|fail| fail.to_string())?;
        Ok(config)
    }

    #[test]
    fn little_is_enough() {
        let config = read(r#"{"server":"broker.local:8883","home_assistant":{}}"#).unwrap();
        assert_eq!(config.address().unwrap(), ("broker.local", 8883));
        assert!(config.tls);
        assert_eq!(config.version, Version::V5);
        assert_eq!(config.status_topic(), "watchpost/status");
        assert_eq!(config.home_assistant.unwrap().off_delay, Duration::from_secs(60));
        let six = read(r#"{"server":"[fd00::1]:1883"}"#).unwrap();
        assert_eq!(six.address().unwrap(), ("fd00::1", 1883));
    }

    #[test]
    fn mistakes_are_explained() {
        for (rest, expected) in [
            (r#""server":"broker""#, "/server: `broker` is not host:port"),
            (r#""server":"mqtt://broker:1883""#, "/server: "),
            (r#""server":"::1:1883""#, "/server: "),
            (r#""server":"b:0""#, "/server: "),
            (
                r#""server":"b:1","tls":false,"ca_file":"/a""#,
                "/ca_file: it is used with TLS only",
            ),
            (
                r#""server":"b:1","cert_file":"/a""#,
                "/cert_file: it needs `key_file`",
            ),
            (
                r#""server":"b:1","key_file":"/a""#,
                "/key_file: it needs `cert_file`",
            ),
            (
                r#""server":"b:1","password":"x""#,
                "/user: a password needs a user",
            ),
            (
                r#""server":"b:1","user":"u","password":"x","password_file":"/a""#,
                "given twice",
            ),
            (r#""server":"b:1","base":"a/+""#, "/base: `+`, `#`"),
            (
                r#""server":"b:1","status_topic":"$SYS/x""#,
                "/status_topic: topics that begin",
            ),
            (r#""server":"b:1","topic":"{{ bad""#, "it is no template"),
            (r#""server":"b:1","version":"4""#, "unknown variant `4`"),
            (r#""server":"b:1","quality":2"#, "unknown field `quality`"),
            (
                r#""server":"b:1","home_assistant":{"off_delay":"soon"}"#,
                "`soon` is not a duration",
            ),
            (
                r#""server":"b:1","home_assistant":{"site":"--"}"#,
                "/home_assistant/site: ",
            ),
        ] {
            let error = read(&format!("{{{rest}}}")).unwrap_err();
            assert!(error.contains(expected), "{error} should say {expected}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let config = read(r#"{"server":"b:1","user":"u","password":"hunter2"}"#).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
