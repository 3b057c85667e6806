//! What a site can set: the server, the addresses, the texts.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox as Address;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use watchpost_sink::units::{TimeSpan, duration};
use watchpost_sink::{Fail, Secret, Template, words};

use crate::session::Waits;

/// Names of this machine itself, from which nothing that is not encrypted goes over a wire.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Sends every alert as a mail with its picture.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The mail server, by name or address, for instance `"smtp.example.com"`.
    pub(crate) server: String,
    /// Its port: mostly 587 for `starttls`, 465 for `tls` and 25 for `none`.
    pub(crate) port: u16,
    /// How the connection is encrypted. Without it `starttls`.
    #[serde(default)]
    pub(crate) security: Security,
    /// A file of certificate authorities (PEM) to trust instead of those of the system, or with the server's very
    /// certificate, which is then trusted as it is; an absolute path.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Who to log in as, with `password` or `password_file`. Without it there is no login.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// The password, or for `xoauth2` the access token.
    #[serde(default)]
    pub(crate) password: Option<Secret>,
    /// A file that holds the password, or the access token, and nothing else; an absolute path. It is read at every
    /// login, so it may be renewed at any time.
    #[serde(default)]
    pub(crate) password_file: Option<PathBuf>,
    /// How to log in. Without it `plain`, or `login` where the server does not offer that.
    #[serde(default)]
    pub(crate) login: Option<Mechanism>,
    /// What this machine calls itself to the server, such as `"gate.example.com"`. Without it its host name if that has a
    /// domain, and else its address.
    #[serde(default)]
    pub(crate) ehlo_name: Option<String>,
    /// The sender, for instance `"Watchpost <watchpost@example.com>"`.
    pub(crate) from: Mailbox,
    /// Who the mail is for.
    #[serde(default)]
    pub(crate) to: Vec<Mailbox>,
    /// Who gets a copy.
    #[serde(default)]
    pub(crate) cc: Vec<Mailbox>,
    /// Who gets a copy without the others seeing it.
    #[serde(default)]
    pub(crate) bcc: Vec<Mailbox>,
    /// Where answers go. Without it to the sender.
    #[serde(default)]
    pub(crate) reply_to: Option<Mailbox>,
    /// The subject, a template.
    #[serde(default = "Texts::subject")]
    pub(crate) subject: Template,
    /// The text of the mail, a template.
    #[serde(default = "Texts::text")]
    pub(crate) text: Template,
    /// The same in HTML, a template; what an alert fills in is escaped. Pictures are shown where `<!--pictures-->`
    /// stands, or else at the end. Empty for mails of text alone.
    #[serde(default)]
    pub(crate) html: Html,
    /// Where the picture goes.
    #[serde(default)]
    pub(crate) picture: Picture,
    /// How long the server may take for one answer, for instance `"30s"`. Without it as long as the standard wants (RFC
    /// 5321): 5m, and 10m after the whole mail, which a server that is hurried gets again. The timeout of the sink limits
    /// it too.
    #[serde(default, deserialize_with = "duration::read_optional")]
    #[schemars(with = "Option<TimeSpan>")]
    pub(crate) timeout: Option<Duration>,
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Security {
    /// It begins in the clear and is encrypted before anything of worth is said. A server that cannot is refused.
    #[default]
    Starttls,
    /// Encrypted from the first byte.
    Tls,
    /// Not at all. A password is then given to this very machine only.
    None,
}

/// How to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mechanism {
    /// User and password in one.
    Plain,
    /// User and password one after the other, for old servers.
    Login,
    /// An access token instead of a password.
    Xoauth2,
}

/// Where the picture goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Picture {
    /// Into the HTML and into the list of attachments, so that every mail program shows it.
    #[default]
    Both,
    /// Into the HTML only, which halves the mail. Without `html` it is attached.
    Inline,
    /// Into the list of attachments only.
    Attached,
    /// Nowhere.
    None,
}

/// An address with or without a name: `gate@example.com` or `Gate <gate@example.com>`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub(crate) struct Mailbox(#[schemars(with = "String")] pub(crate) Address);

/// A template whose result is HTML. `None` where it is empty.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(transparent)]
pub(crate) struct Html(#[schemars(with = "String")] pub(crate) Option<Template>);

impl Config {
    /// How long the server may take for its steps.
    pub(crate) fn waits(&self) -> Waits {
        self.timeout.map_or(Waits::STANDARD, Waits::each)
    }

    /// Everybody the mail goes to, each once.
    pub(crate) fn recipients(&self) -> Vec<lettre::Address> {
        let mut all: Vec<lettre::Address> = Vec::new();
        for Mailbox(mailbox) in self.to.iter().chain(&self.cc).chain(&self.bcc) {
            if !all.contains(&mailbox.email) {
                all.push(mailbox.email.clone());
            }
        }
        all
    }

    /// What is wrong with it that the types cannot say.
    pub(crate) fn check(&self) -> Result<(), Fail> {
        self.check_server()?;
        if self.to.is_empty() && self.cc.is_empty() && self.bcc.is_empty() {
            return Err(Fail::bad_config(
                "/to",
                "there is no recipient; write at least one address",
            ));
        }
        if !self.ehlo_name.as_deref().is_none_or(is_host_name) {
            return Err(Fail::bad_config(
                "/ehlo_name",
                "it has to be a host name, such as gate.example.com",
            ));
        }
        for (pointer, path) in [
            ("/ca_file", &self.ca_file),
            ("/password_file", &self.password_file),
        ] {
            if let Some(path) = path.as_ref().filter(|path| path.is_relative()) {
                let shown = path.display();
                return Err(Fail::bad_config(
                    pointer,
                    format_args!(
                        "`{shown}` is relative; write the whole path, such as /etc/watchpost{pointer}"
                    ),
                ));
            }
        }
        self.check_login()
    }

    fn check_server(&self) -> Result<(), Fail> {
        if let Some((host, port)) = self.server.rsplit_once(':')
            && !host.contains(':')
            && port.parse::<u16>().is_ok()
        {
            return Err(Fail::bad_config(
                "/server",
                format_args!(
                    "`{}` has the port in it; write server = \"{host}\" and port = {port}",
                    self.server
                ),
            ));
        }
        if self.port == 0 {
            return Err(Fail::bad_config(
                "/port",
                "nothing can connect to port 0; mostly it is 587, 465 or 25",
            ));
        }
        match (self.port, self.security) {
            (465, Security::Starttls | Security::None) => {
                return Err(Fail::bad_config(
                    "/security",
                    "servers take security = \"tls\" only on port 465; \"starttls\" is mostly on 587",
                ));
            }
            (587, Security::Tls) => {
                return Err(Fail::bad_config(
                    "/security",
                    "servers begin in the clear on port 587: write \"starttls\"; \"tls\" is mostly on 465",
                ));
            }
            _ => {}
        }
        if self.server.is_empty()
            || self
                .server
                .contains(|c: char| c.is_whitespace() || "/@".contains(c))
        {
            let server = &self.server;
            return Err(Fail::bad_config(
                "/server",
                format_args!(
                    "`{server}` is no name or address of a server; write for instance smtp.example.com"
                ),
            ));
        }
        Ok(())
    }

    fn check_login(&self) -> Result<(), Fail> {
        match (&self.user, &self.password, &self.password_file) {
            (_, Some(_), Some(_)) => Err(Fail::bad_config(
                "/password_file",
                "there is `password` too; leave out one of them",
            )),
            (None, Some(_), _) | (None, _, Some(_)) => Err(Fail::bad_config(
                "/user",
                "there is a password, but no user to log in as",
            )),
            (None, None, None) if self.login.is_some() => Err(Fail::bad_config(
                "/user",
                "there is `login`, but no user to log in as",
            )),
            (Some(_), None, None) => Err(Fail::bad_config(
                "/password_file",
                "it takes a password to log in; name the file that holds it, or leave out `user`",
            )),
            (Some(_), ..) if self.security == Security::None && !LOOPBACK.contains(&self.server.as_str()) => {
                Err(Fail::bad_config(
                    "/security",
                    "the password could be read on the way; use starttls or tls, or leave out `user`",
                ))
            }
            _ => Ok(()),
        }
    }
}

impl Mechanism {
    /// The kind of login that is set, or else the best of those that the server offers; `None` if it does not offer that.
    pub(crate) fn choose(set: Option<Self>, offered: &[String]) -> Option<Self> {
        let usable: &[Self] = match set {
            None => &[Self::Plain, Self::Login],
            Some(Self::Plain) => &[Self::Plain],
            Some(Self::Login) => &[Self::Login],
            Some(Self::Xoauth2) => &[Self::Xoauth2],
        };
        let is_offered = |how: &&Self| offered.iter().any(|offer| offer == how.name());
        usable.iter().find(is_offered).copied()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::Xoauth2 => "XOAUTH2",
        }
    }
}

impl<'de> Deserialize<'de> for Mailbox {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // A line break in an address would begin a header of its own.
        if text.chars().any(char::is_control) {
            return Err(de::Error::custom(
                "an address has no line breaks or other control characters",
            ));
        }
        let address: Address = text.parse().map_err(|error| {
            de::Error::custom(format_args!(
                "`{text}` is no address such as \"Gate <gate@example.com>\": {error}"
            ))
        })?;
        if !address.email.to_string().is_ascii() {
            return Err(de::Error::custom(format_args!(
                "`{text}` has letters that not every server takes in an address; write the domain in its xn-- form"
            )));
        }
        Ok(Self(address))
    }
}

impl<'de> Deserialize<'de> for Html {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = String::deserialize(deserializer)?;
        if source.trim().is_empty() {
            return Ok(Self(None));
        }
        let template = Template::parse_html(&source);
        let template = template.map_err(|why| de::Error::custom(format_args!("it is no template: {why}")))?;
        Ok(Self(Some(template)))
    }
}

impl Default for Html {
    fn default() -> Self {
        Self(Some(built_in(Template::parse_html(include_str!("mail.html")))))
    }
}

/// The texts where the site gives none.
struct Texts;

impl Texts {
    fn subject() -> Template {
        built_in(Template::parse(words::text("mail.subject")))
    }

    fn text() -> Template {
        built_in(Template::parse(include_str!("mail.txt")))
    }
}

#[expect(
    clippy::expect_used,
    reason = "the source is part of the program, and a test reads it"
)]
fn built_in(template: Result<Template, String>) -> Template {
    template.expect("the built-in texts are templates")
}

/// Whether it can be the name of a machine, or its address in brackets.
pub(crate) fn is_host_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<Config, String> {
        let json =
            format!(r#"{{"server":"mail","port":587,"from":"a@b.example","to":["c@d.example"]{more}}}"#);
        serde_json::from_str(&json).map_err(|e| e.to_string())
    }

    #[test]
    fn the_words_of_a_mail_stand_where_they_can_be_translated() {
        for page in [include_str!("mail.html"), include_str!("mail.txt")] {
            let mut bare = page.to_owned();
            for (open, close) in [("<style>", "</style>"), ("{{", "}}"), ("{%", "%}"), ("<", ">")] {
                while let Some(from) = bare.find(open) {
                    let to = from + bare[from..].find(close).unwrap() + close.len();
                    bare.replace_range(from..to, " ");
                }
            }
            let words: Vec<&str> = bare
                .split_whitespace()
                .filter(|word| word.chars().any(char::is_alphabetic))
                .collect();
            // The mark of the product.
            assert!(words.is_empty() || words == ["W"], "{words:?}");
        }
    }

    #[test]
    fn little_has_to_be_set() {
        let config = read("").unwrap();
        assert_eq!(config.security, Security::Starttls);
        assert!(config.html.0.is_some() && read(r#","html":"""#).unwrap().html.0.is_none());
        assert_eq!(config.waits(), Waits::STANDARD);
        let hurried = read(r#","timeout":"7s""#).unwrap();
        assert_eq!(hurried.waits(), Waits::each(Duration::from_secs(7)));
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn everybody_gets_one_mail() {
        let config = read(r#","cc":["X <c@d.example>","e@d.example"],"bcc":["e@d.example"]"#).unwrap();
        let recipients: Vec<String> = config.recipients().iter().map(ToString::to_string).collect();
        assert_eq!(recipients, ["c@d.example", "e@d.example"]);
    }

    #[test]
    fn mistakes_are_explained() {
        for (more, expected) in [
            (r#","reply_to":"nobody""#, "`nobody` is no address such as"),
            (
                r#","reply_to":"a@b.example\r\nBcc: x@y.example""#,
                "no line breaks",
            ),
            (r#","reply_to":"gate@bücher.example""#, "xn--"),
            (r#","subject":"{{ title""#, "it is no template"),
            (r#","html":"{% if %}""#, "it is no template"),
            (r#","timeout":"0s""#, "`0s` is not a duration"),
            (r#","subjekt":"x""#, "unknown field `subjekt`"),
        ] {
            let error = read(more).unwrap_err();
            assert!(error.contains(expected), "{error} should say {expected}");
        }
    }

    #[test]
    fn contradictions_are_found_at_their_place() {
        for (more, pointer) in [
            (r#","to":[]"#, "/to"),
            (r#","user":"u""#, "/password_file"),
            (r#","password":"p""#, "/user"),
            (r#","login":"plain""#, "/user"),
            (
                r#","user":"u","password":"p","password_file":"/p""#,
                "/password_file",
            ),
            (r#","user":"u","password":"p","security":"none""#, "/security"),
            (r#","ca_file":"ca.pem""#, "/ca_file"),
            (r#","ehlo_name":"a b""#, "/ehlo_name"),
            (r#","port":465"#, "/security"),
            (r#","security":"tls""#, "/security"),
            (r#","port":0"#, "/port"),
            (r#","server":"mail.example:587""#, "/server"),
        ] {
            let mut json = serde_json::json!({
                "server": "mail", "port": 587, "from": "a@b.example", "to": ["c@d.example"]
            });
            let more: serde_json::Value = serde_json::from_str(&format!("{{{}}}", &more[1..])).unwrap();
            for (key, value) in more.as_object().unwrap() {
                json[key] = value.clone();
            }
            let config: Config = serde_json::from_value(json).unwrap();
            let fail = config.check().unwrap_err();
            let pointers: Vec<&str> = fail.notes().map(|(pointer, _)| pointer).collect();
            assert_eq!(pointers, [pointer], "{more}: {fail}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let config = read(r#","user":"u","password":"hunter2""#).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
