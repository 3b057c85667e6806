//! What is wrong with a configuration that its types cannot say.

use serde::de::IgnoredAny;
use ureq::http::{HeaderName, HeaderValue, header};
use watchpost_sink::Fail;
use watchpost_sink::testing::samples;

use super::{Body, Config, Method, Picture, Preset};
use crate::presets::Wanted;

/// Headers that follow from the request itself.
const OWN_HEADERS: [HeaderName; 4] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TRANSFER_ENCODING,
];

impl Config {
    /// What is wrong with it that the types cannot say.
    pub(crate) fn check(&self) -> Result<(), Fail> {
        if !matches!(self.url.scheme(), "http" | "https") || self.url.host_str().is_none() {
            return bad("/url", "it has to begin with https:// or http:// and name a host");
        }
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return bad(
                "/url",
                "it holds a user or password; write them as `user` and `password_file`",
            );
        }
        self.check_secrets()?;
        self.check_files()?;
        self.check_headers()?;
        if self.picture == Picture::Link && self.link.is_none() {
            return bad(
                "/link",
                "with `picture = \"link\"` it has to say where the picture is",
            );
        }
        if self.redirects > 10 {
            return bad("/redirects", "more than 10 lead nowhere");
        }
        match self.preset {
            Some(preset) => self.check_preset(preset),
            None => self.check_body(),
        }
    }

    fn check_secrets(&self) -> Result<(), Fail> {
        let twice = [
            ("/token_file", self.token.is_some() && self.token_file.is_some()),
            (
                "/password_file",
                self.password.is_some() && self.password_file.is_some(),
            ),
            (
                "/signing_key_file",
                self.signing_key.is_some() && self.signing_key_file.is_some(),
            ),
        ];
        if let Some((pointer, _)) = twice.into_iter().find(|(_, twice)| *twice) {
            let key = pointer.trim_start_matches('/').trim_end_matches("_file");
            return bad(pointer, &format!("there is `{key}` too; leave out one of them"));
        }
        let password = self.password.is_some() || self.password_file.is_some();
        match (&self.user, password) {
            (Some(_), false) => return bad("/password_file", "there is a user without a password"),
            (None, true) => return bad("/user", "there is a password without a user"),
            _ => {}
        }
        let token = self.token.is_some() || self.token_file.is_some();
        let bearer = self.preset.is_none_or(Preset::bears_token);
        if token && password && bearer {
            return bad(
                "/token",
                "a request has one authorization; leave out the token or the user",
            );
        }
        Ok(())
    }

    fn check_files(&self) -> Result<(), Fail> {
        let files = [
            ("/token_file", &self.token_file),
            ("/password_file", &self.password_file),
            ("/signing_key_file", &self.signing_key_file),
            ("/ca_file", &self.ca_file),
            ("/cert_file", &self.cert_file),
            ("/key_file", &self.key_file),
        ];
        for (pointer, path) in files {
            if let Some(path) = path.as_ref().filter(|path| path.is_relative()) {
                let shown = path.display();
                let why =
                    format!("`{shown}` is relative; write the whole path, such as /etc/watchpost{pointer}");
                return bad(pointer, &why);
            }
        }
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => bad("/key_file", "a certificate needs its key"),
            (None, Some(_)) => bad("/cert_file", "a key needs its certificate"),
            _ => Ok(()),
        }
    }

    fn check_headers(&self) -> Result<(), Fail> {
        for name in self.headers.keys() {
            let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
            match HeaderName::from_bytes(name.as_bytes()) {
                Err(_) => return bad(&pointer, "this is no name of a header; write for instance X-Site"),
                Ok(name) if OWN_HEADERS.contains(&name) => {
                    return bad(&pointer, "this header follows from the request and cannot be set");
                }
                Ok(_) => {}
            }
        }
        match &self.content_type {
            Some(text) if HeaderValue::from_str(text).is_err() || !text.contains('/') => bad(
                "/content_type",
                "this is no media type; write for instance text/plain",
            ),
            _ => Ok(()),
        }
    }

    fn check_body(&self) -> Result<(), Fail> {
        if self.to.is_some() {
            return bad(
                "/to",
                "it goes with a preset; without one, write it into `url` or `fields`",
            );
        }
        match (self.body, &self.template) {
            (Body::Template, None) => return bad("/template", "with `body = \"template\"` it is the body"),
            (Body::Template, Some(_)) => {}
            (_, Some(_)) => return bad("/body", "there is a template; write `body = \"template\"`"),
            (_, None) if self.content_type.is_some() => {
                return bad(
                    "/content_type",
                    "it goes with `body = \"template\"`; the others know theirs",
                );
            }
            _ => {}
        }
        self.check_template()?;
        match (self.method, self.body) {
            (Method::Get, Body::None) => Ok(()),
            (Method::Get, _) => bad(
                "/body",
                "a GET has no body; write `body = \"none\"`, or another method",
            ),
            _ => Ok(()),
        }
    }

    /// What is to be JSON has to be JSON whatever an alert says.
    fn check_template(&self) -> Result<(), Fail> {
        let (Some(template), None) = (&self.template, &self.content_type) else {
            return Ok(());
        };
        for sample in samples() {
            let body = sample.alert.with(|alert| template.render(alert))?;
            if let Err(error) = serde_json::from_str::<IgnoredAny>(&body) {
                return Err(Fail::bad_config(
                    "/template",
                    format_args!(
                        "of {} it makes no JSON ({error}); quote texts with `| tojson`, or set `content_type`",
                        sample.what
                    ),
                ));
            }
        }
        Ok(())
    }

    fn check_preset(&self, preset: Preset) -> Result<(), Fail> {
        let token = self.token.is_some() || self.token_file.is_some();
        let wants = preset.service().wants(token);
        if wants.token == Wanted::Yes && !token {
            return bad(
                "/token_file",
                "this service wants a token; name the file that holds it",
            );
        }
        if wants.token == Wanted::No && token {
            return bad(
                "/token",
                "this service has its secret in `url` and wants no token",
            );
        }
        match (wants.to, self.to.as_deref()) {
            (Wanted::Yes, None | Some("")) => bad("/to", "it has to say who the message is for"),
            (Wanted::No, Some(_)) => bad(
                "/to",
                "the address alone says where this message goes; leave it out",
            ),
            (_, Some(to)) if preset == Preset::Matrix && !to.starts_with('!') => bad(
                "/to",
                "a room's id begins with `!`; Element shows it under Room settings, Advanced",
            ),
            _ if self.body != Body::Json || self.template.is_some() || self.content_type.is_some() => bad(
                "/body",
                "the preset knows the body; leave out `body`, `template` and `content_type`",
            ),
            _ if self.method != Method::Post => bad("/method", "the preset knows the method; leave it out"),
            _ => Ok(()),
        }
    }
}

fn bad(pointer: &str, why: &str) -> Result<(), Fail> {
    Err(Fail::bad_config(pointer, why))
}
