//! What a site can set: where to, in which shape, with which credentials.
//!
//! It reads no file and opens no connection; what the files hold is looked at when the sink is made.

mod check;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use url::Url;
use watchpost_sink::units::{ByteSize, TimeSpan, duration};
use watchpost_sink::{Secret, Template, words};

/// Sends every alert, with its picture, to a web service over HTTP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where to, for instance `"https://alerts.example.com/hook"`. With a preset the service's address, as its README
    /// shows.
    #[schemars(with = "String")]
    pub(crate) url: Url,
    /// A service whose ways are known. Without it the keys below say what is sent.
    #[serde(default)]
    pub(crate) preset: Option<Preset>,
    /// Who it is for, with a preset: the topic (ntfy), the chat (telegram), the channel (slack with a token), the user
    /// or group key (pushover), the room (matrix), the configuration key (apprise).
    #[serde(default)]
    pub(crate) to: Option<String>,
    /// The access token: `Authorization: Bearer`, or where the preset's service wants it.
    #[serde(default)]
    pub(crate) token: Option<Secret>,
    /// A file that holds the token and nothing else; an absolute path.
    #[serde(default)]
    pub(crate) token_file: Option<PathBuf>,
    /// The user of `Authorization: Basic`, with `password` or `password_file`.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// The password of that user.
    #[serde(default)]
    pub(crate) password: Option<Secret>,
    /// A file that holds the password and nothing else; an absolute path.
    #[serde(default)]
    pub(crate) password_file: Option<PathBuf>,
    /// A key to sign requests with, as Standard Webhooks has it (HMAC-SHA256 over id, time and body): base64 after
    /// `whsec_`, or any text.
    #[serde(default)]
    pub(crate) signing_key: Option<Secret>,
    /// A file that holds the signing key and nothing else; an absolute path.
    #[serde(default)]
    pub(crate) signing_key_file: Option<PathBuf>,
    /// The method. Not with a preset.
    #[serde(default)]
    pub(crate) method: Method,
    /// Further headers. The values are templates.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Template>,
    /// The shape of the body. Not with a preset.
    #[serde(default)]
    pub(crate) body: Body,
    /// The whole body with `body = "template"`. In JSON write `{{ title | tojson }}`, which quotes it.
    #[serde(default)]
    pub(crate) template: Option<Template>,
    /// What the template makes. Without it `"application/json"`, and it is checked that it is.
    #[serde(default)]
    pub(crate) content_type: Option<String>,
    /// Further fields of the body, or of the preset's message. The values are templates. In JSON, a number, `true` or
    /// `false` is written as such.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, Template>,
    /// The title, a template.
    #[serde(default = "title")]
    pub(crate) title: Template,
    /// The text, a template.
    #[serde(default = "text")]
    pub(crate) text: Template,
    /// What becomes of the picture.
    #[serde(default)]
    pub(crate) picture: Picture,
    /// Where the picture can be seen, a template such as `"https://hub.example.com/alerts/{{ id }}"`.
    #[serde(default)]
    pub(crate) link: Option<Template>,
    /// How large a picture may be, for instance `"500KiB"`; a larger one is scaled down. Without it what the preset's
    /// service takes, or any size.
    #[serde(default, deserialize_with = "picture_size")]
    #[schemars(with = "Option<ByteSize>")]
    pub(crate) max_picture: Option<usize>,
    /// A file of certificate authorities (PEM) to trust instead of those of the system, or with the server's very
    /// certificate, which is then trusted as it is; an absolute path.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
    /// A file with the certificate (PEM, with those in between) to show to the server; an absolute path.
    #[serde(default)]
    pub(crate) cert_file: Option<PathBuf>,
    /// A file with the key of that certificate (PEM); an absolute path.
    #[serde(default)]
    pub(crate) key_file: Option<PathBuf>,
    /// How many redirects to follow, on the same host only. Without it none.
    #[serde(default)]
    #[schemars(range(max = 10))]
    pub(crate) redirects: u32,
    /// How long one request may take, for instance `"10s"`, which is the default. The timeout of the sink limits it
    /// too.
    #[serde(default = "ten_seconds", deserialize_with = "duration::read")]
    #[schemars(with = "TimeSpan")]
    pub(crate) timeout: Duration,
}

/// A service whose ways are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Preset {
    /// ntfy, of one's own or ntfy.sh.
    Ntfy,
    /// A Telegram bot.
    Telegram,
    /// Slack: a bot with a token, or an incoming webhook, which takes no picture.
    Slack,
    /// A webhook of a Discord channel.
    Discord,
    /// Gotify. It takes no picture but a link to one.
    Gotify,
    /// Pushover.
    Pushover,
    /// A Matrix room that is not encrypted.
    Matrix,
    /// The Apprise API.
    Apprise,
    /// A webhook of a Microsoft Teams workflow.
    Teams,
}

/// The method of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    /// What most services want.
    #[default]
    Post,
    /// The address is that of the alert.
    Put,
    /// Something there is changed.
    Patch,
    /// Only with `body = "none"`.
    Get,
}

/// The shape of the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Body {
    /// A JSON document, the pictures in base64.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`, the picture in base64.
    Form,
    /// `multipart/form-data`, the pictures as files.
    Multipart,
    /// What `template` says.
    Template,
    /// Nothing.
    None,
}

/// What becomes of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Picture {
    /// It is sent along, where that is possible.
    #[default]
    Carried,
    /// Only `link` is sent.
    Link,
    /// Nothing.
    None,
}

impl Preset {
    /// Whether the token goes as `Authorization: Bearer`.
    pub(crate) fn bears_token(self) -> bool {
        self.service().wants(true).bearer
    }
}

#[expect(clippy::expect_used, reason = "it never changes, and a test reads it")]
fn title() -> Template {
    Template::parse(words::text("webhook.title")).expect("a template")
}

#[expect(clippy::expect_used, reason = "it never changes, and a test reads it")]
fn text() -> Template {
    Template::parse(words::text("webhook.text")).expect("a template")
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn picture_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let ByteSize(bytes) = text.parse().map_err(de::Error::custom)?;
    if bytes < 4096 {
        return Err(de::Error::custom(
            "less than 4KiB hold no picture; write `picture = \"none\"` to send none",
        ));
    }
    Ok(usize::try_from(bytes).ok())
}
