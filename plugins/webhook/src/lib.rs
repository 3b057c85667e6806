//! The webhook sink: tells every alert, with its picture, to a web service over HTTP.
//!
//! It knows nothing of backends and other sinks. What a service wants is in `presets`.

mod body;
mod config;
mod credentials;
mod message;
mod picture;
mod presets;
mod send;
mod tls;

use ureq::http;
use watchpost_sink::{Alert, Call, Description, Fail, Host, Needs, Sink, export_sink};

use crate::config::Config;
use crate::credentials::Credentials;
use crate::message::{Limits, Message};
use crate::presets::Service;
use crate::send::{Courier, Request};

/// One address that is told.
struct Webhook {
    config: Config,
    courier: Courier,
    service: Option<Service>,
}

impl Sink for Webhook {
    type Config = Config;

    const PROBES: bool = true;

    fn check(config: &Config) -> Result<(), Fail> {
        config.check()
    }

    fn create(config: Config, host: &Host) -> Result<Self, Fail> {
        let credentials = Credentials::new(&config)?;
        let service = Service::new(&config, &credentials, host.instance());
        let courier = Courier::new(&config, credentials)?;
        Ok(Self {
            config,
            courier,
            service,
        })
    }

    fn deliver(&mut self, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
        let mut own_headers = Vec::new();
        for (name, value) in &self.config.headers {
            own_headers.push((name.clone(), value.render(alert)?));
        }
        let limits = self.service.as_ref().map_or(Limits::NONE, Service::limits);
        let message = Message::new(alert, &self.config, limits)?;
        let errand = Errand {
            courier: &self.courier,
            call,
            id: alert.id(),
            headers: own_headers,
        };
        match &mut self.service {
            Some(service) => service.tell(&message, &errand),
            None => {
                let request = body::request(&message, alert, &self.config)?;
                errand.deliver(request).map(drop)
            }
        }
    }

    fn probe(&mut self, call: &Call<'_>) -> Result<(), Fail> {
        if let Some(service) = &self.service {
            return service.probe(&self.courier, call);
        }
        // Every server knows OPTIONS, or says that it does not; nothing is done by it.
        let request = Request::new(http::Method::OPTIONS, self.config.url.clone());
        self.courier.send(&request, call)?.reachable()
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

/// One alert on its way: what every request about it carries.
struct Errand<'a> {
    courier: &'a Courier,
    call: &'a Call<'a>,
    id: &'a str,
    headers: Vec<(String, String)>,
}

impl Errand<'_> {
    /// Sends a request with the alert's id and the site's headers; an answer other than 2xx is a failure.
    fn deliver(&self, request: Request) -> Result<send::Answer, Fail> {
        let answer = self.send(request)?;
        answer.judge()?;
        Ok(answer)
    }

    /// The same, whatever the answer.
    fn send(&self, request: Request) -> Result<send::Answer, Fail> {
        let mut request = request.header("Idempotency-Key", self.id);
        if !request.bare {
            for (name, value) in &self.headers {
                request.headers.retain(|(set, _)| !set.eq_ignore_ascii_case(name));
                request = request.header(name, value);
            }
        }
        self.courier.send(&request, self.call)
    }
}

export_sink!(Webhook, id: "webhook", name: "Webhook", summary: "Tells every alert, with its picture, to a web service over HTTP.");

#[cfg(test)]
mod tests;
