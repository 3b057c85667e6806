//! The webhook sink: sends every alert, with its picture, to a web service over HTTP.
//!
//! It knows nothing of backends and other sinks. What a service wants is in `presets`.

mod answer;
mod body;
mod config;
mod context;
mod credentials;
mod head;
mod message;
mod presets;
mod send;
mod transport;

use ureq::http;
use watchpost_sink::picture::{Ladder, Limits};
use watchpost_sink::{Alert, Call, Description, Fail, Host, Needs, Outcome, Sink, Unanswered, export_sink};

use crate::config::{Config, Picture};
use crate::context::DeliveryContext;
use crate::credentials::Credentials;
use crate::message::Message;
use crate::presets::Site;
use crate::send::{HttpSender, NoAnswer, Request};

/// One address that alerts are sent to.
struct Webhook {
    config: Config,
    http: HttpSender,
    site: Option<Site>,
    ladder: Ladder,
    unanswered: Unanswered,
}

impl Sink for Webhook {
    type Config = Config;

    const PROBES: bool = true;

    fn check(config: &Config) -> Result<(), Fail> {
        config.check()
    }

    fn create(config: Config, host: &Host) -> Result<Self, Fail> {
        let credentials = Credentials::new(&config)?;
        let site = Site::new(&config, &credentials, host.instance());
        let http = HttpSender::new(&config, credentials)?;
        Ok(Self {
            config,
            http,
            site,
            ladder: Ladder::default(),
            unanswered: Unanswered::load(host),
        })
    }

    fn deliver(&mut self, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
        let mut headers = Vec::new();
        for (name, value) in &self.config.headers {
            headers.push((name.clone(), value.render(alert)?));
        }
        let limits = self.limits();
        let context = DeliveryContext::new(&self.http, &mut self.unanswered, call, alert.id(), headers);
        let (config, site) = (&self.config, &self.site);
        let sent = self.ladder.send(alert, limits, |pictures| {
            let message = Message::new(alert, config, pictures)?;
            match site {
                Some(site) => site.send(&message, &context),
                None => {
                    let request = body::request(&message, alert, config)?;
                    context.deliver(request).map(drop)
                }
            }
        });
        if !matches!(&sent, Err(fail) if fail.outcome() == Outcome::Retry) {
            self.unanswered.settled(alert.id());
        }
        sent
    }

    fn probe(&mut self, call: &Call<'_>) -> Result<(), Fail> {
        if let Some(site) = &self.site {
            return site.probe(&self.http, call);
        }
        // Every server knows OPTIONS, or says that it does not; nothing is done by it.
        let request = Request::new(http::Method::OPTIONS, self.config.url.clone());
        self.http
            .send(&request, call)
            .map_err(NoAnswer::into_fail)?
            .reachable()
    }

    fn description() -> Description {
        let example = serde_json::json!({
            "url": "https://alerts.example.com/hook",
            "signing_key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        });
        let files = [
            "token_file",
            "password_file",
            "signing_key_file",
            "ca_file",
            "cert_file",
            "key_file",
        ];
        let needs = Needs {
            read: files.iter().map(|key| format!("config.{key}")).collect(),
            connect: vec!["config.url".to_owned()],
            ..Needs::default()
        };
        Description::default().example(example).needs(needs)
    }
}

impl Webhook {
    /// What is known beforehand of the pictures that are taken.
    fn limits(&self) -> Limits {
        if self.config.picture != Picture::Carried {
            return Limits::bytes(0);
        }
        let own = self.config.max_picture.map_or(Limits::NONE, Limits::bytes);
        self.site.as_ref().map_or(own, |site| own.and(site.limits()))
    }
}

export_sink!(Webhook, id: "webhook", name: "Webhook", summary: "Sends every alert, with its picture, to a web service over HTTP.");

#[cfg(test)]
mod tests;
