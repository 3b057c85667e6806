//! Services whose ways are known: what each wants, what it takes, and how it says no.
//!
//! Each file is one service, with the source of its limits.

mod apprise;
mod discord;
mod gotify;
mod matrix;
mod ntfy;
mod pushover;
mod slack;
mod teams;
mod telegram;

use serde_json::Value;
use ureq::http::Method;
use url::Url;
use watchpost_sink::{Call, Fail};

use crate::Errand;
use crate::config::{Config, Preset};
use crate::credentials::Credentials;
use crate::message::{Limits, Message};
use crate::send::{Answer, Courier, Request};

/// One service, as the site has it.
#[derive(Debug)]
pub(crate) struct Service {
    preset: Preset,
    url: Url,
    to: String,
    token: Option<String>,
    instance: String,
    /// The alert of which the picture was uploaded last, and where to, so that a retry does not do it again.
    uploaded: Option<(String, String)>,
}

impl Service {
    /// The service of the configuration's preset.
    pub(crate) fn new(config: &Config, credentials: &Credentials, instance: &str) -> Option<Self> {
        Some(Self {
            preset: config.preset?,
            url: config.url.clone(),
            to: config.to.clone().unwrap_or_default(),
            token: credentials.token().map(str::to_owned),
            instance: instance.to_owned(),
            uploaded: None,
        })
    }

    /// What it takes of a picture.
    pub(crate) fn limits(&self) -> Limits {
        match self.preset {
            Preset::Ntfy => ntfy::PICTURE,
            Preset::Telegram => telegram::PICTURE,
            Preset::Slack if self.token.is_none() => NO_PICTURE,
            Preset::Slack => slack::PICTURE,
            Preset::Discord => discord::PICTURE,
            Preset::Gotify => NO_PICTURE,
            Preset::Pushover => pushover::PICTURE,
            Preset::Matrix => matrix::PICTURE,
            Preset::Apprise => apprise::PICTURE,
            Preset::Teams => teams::PICTURE,
        }
    }

    /// Tells it.
    pub(crate) fn tell(&mut self, message: &Message<'_>, errand: &Errand<'_>) -> Result<(), Fail> {
        match self.preset {
            Preset::Ntfy => ntfy::tell(self, message, errand),
            Preset::Telegram => telegram::tell(self, message, errand),
            Preset::Slack => slack::tell(self, message, errand),
            Preset::Discord => discord::tell(self, message, errand),
            Preset::Gotify => gotify::tell(self, message, errand),
            Preset::Pushover => pushover::tell(self, message, errand),
            Preset::Matrix => matrix::tell(self, message, errand),
            Preset::Apprise => apprise::tell(self, message, errand),
            Preset::Teams => teams::tell(self, message, errand),
        }
    }

    /// Asks something that nobody gets to see.
    pub(crate) fn probe(&self, courier: &Courier, call: &Call<'_>) -> Result<(), Fail> {
        let get = |path: &[&str]| Request::new(Method::GET, self.at(path));
        match self.preset {
            Preset::Ntfy => courier.deliver(&get(&["v1", "health"]), call).map(drop),
            Preset::Telegram => telegram::probe(self, courier, call),
            Preset::Slack => slack::probe(self, courier, call),
            Preset::Discord => courier.deliver(&get(&[]), call).map(drop),
            Preset::Gotify => courier.deliver(&get(&["health"]), call).map(drop),
            Preset::Pushover => pushover::probe(self, courier, call),
            Preset::Matrix => {
                let request = get(&["_matrix", "client", "v3", "account", "whoami"]);
                courier.deliver(&request, call).map(drop)
            }
            Preset::Apprise => courier.deliver(&get(&["status"]), call).map(drop),
            Preset::Teams => reachable(self, courier, call),
        }
    }

    /// An address below the service's own.
    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }
}

/// For services that take no picture.
const NO_PICTURE: Limits = Limits::bytes(0);

/// Whether anything answers at the address; whatever it says of a question it may not know.
fn reachable(service: &Service, courier: &Courier, call: &Call<'_>) -> Result<(), Fail> {
    let request = Request::new(Method::OPTIONS, service.url.clone());
    courier.send(&request, call)?.reachable()
}

/// One of each character, for limits in characters.
fn one(_: char) -> usize {
    1
}

/// A failure in an answer of 200: one of `passing` is worth another try.
fn refused(answer: &Answer, what: &Value, passing: &[&str]) -> Fail {
    let what = what.as_str().unwrap_or("something that is not understood");
    let why = format!("the service answered {what}");
    if passing.contains(&what) {
        return answer.later(why);
    }
    Fail::permanent(why)
}
