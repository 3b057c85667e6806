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

use std::cell::RefCell;

use ureq::http::Method;
use url::Url;
use watchpost_sink::picture::{Limits, Refused};
use watchpost_sink::{Call, Fail};

use crate::config::{Config, Preset};
use crate::context::DeliveryContext;
use crate::credentials::Credentials;
use crate::message::Message;
use crate::send::{HttpSender, NoAnswer, Request};

/// A kind of service.
pub(crate) trait Service: Sync {
    /// What has to be configured for it, where there is a token or none.
    fn wants(&self, token: bool) -> Wants;

    /// What it takes of a picture.
    fn limits(&self, site: &Site) -> Limits;

    /// Sends it a message.
    fn send(&self, site: &Site, message: &Message<'_>, context: &DeliveryContext<'_>) -> Result<(), Refused>;

    /// Asks something that is shown to no one.
    fn probe(&self, site: &Site, http: &HttpSender, call: &Call<'_>) -> Result<(), Fail>;
}

/// What a service has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wants {
    /// `token` or `token_file`.
    pub(crate) token: Wanted,
    /// Whether the token goes as `Authorization: Bearer`.
    pub(crate) bearer: bool,
    /// `to`.
    pub(crate) to: Wanted,
}

/// Whether a key has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Yes,
    Maybe,
    No,
}

impl Preset {
    /// The service that it stands for.
    pub(crate) fn service(self) -> &'static dyn Service {
        match self {
            Self::Ntfy => &ntfy::Ntfy,
            Self::Telegram => &telegram::Telegram,
            Self::Slack => &slack::Slack,
            Self::Discord => &discord::Discord,
            Self::Gotify => &gotify::Gotify,
            Self::Pushover => &pushover::Pushover,
            Self::Matrix => &matrix::Matrix,
            Self::Apprise => &apprise::Apprise,
            Self::Teams => &teams::Teams,
        }
    }
}

/// One service, as the site has it.
pub(crate) struct Site {
    service: &'static dyn Service,
    url: Url,
    to: String,
    token: Option<String>,
    instance: String,
    /// The picture that was uploaded last, and where to, so that a retry does not do it again.
    uploaded: RefCell<Option<Uploaded>>,
}

/// Where a picture is that a message will refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Uploaded {
    alert: String,
    bytes: usize,
    place: String,
}

impl Site {
    /// The service of the configuration's preset.
    pub(crate) fn new(config: &Config, credentials: &Credentials, instance: &str) -> Option<Self> {
        Some(Self {
            service: config.preset?.service(),
            url: config.url.clone(),
            to: config.to.clone().unwrap_or_default(),
            token: credentials.token().map(str::to_owned),
            instance: instance.to_owned(),
            uploaded: RefCell::new(None),
        })
    }

    /// What it takes of a picture.
    pub(crate) fn limits(&self) -> Limits {
        self.service.limits(self)
    }

    /// Sends it a message.
    pub(crate) fn send(&self, message: &Message<'_>, context: &DeliveryContext<'_>) -> Result<(), Refused> {
        self.service.send(self, message, context)
    }

    /// Asks something that is shown to no one.
    pub(crate) fn probe(&self, http: &HttpSender, call: &Call<'_>) -> Result<(), Fail> {
        self.service.probe(self, http, call)
    }

    /// An address below the service's own.
    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn get(&self, path: &[&str]) -> Request {
        Request::new(Method::GET, self.at(path))
    }

    fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Whether anything answers at the address; whatever it says of a question it may not know.
    fn reachable(&self, http: &HttpSender, call: &Call<'_>) -> Result<(), Fail> {
        let request = Request::new(Method::OPTIONS, self.url.clone());
        http.send(&request, call)
            .map_err(NoAnswer::into_fail)?
            .reachable()
    }
}

/// For services that take no picture.
const NO_PICTURE: Limits = Limits::bytes(0);

/// One of each character, for limits in characters.
fn one(_: char) -> usize {
    1
}
