//! The MQTT sink: publishes every alert as a JSON document and a picture, and keeps the last one of each camera.
//!
//! It knows nothing of backends and other sinks. A delivery has succeeded when the broker has acknowledged all of it.

mod config;
mod discovery;
mod link;
mod tls;
mod topics;
mod wire;

use std::fs;
use std::hash::{BuildHasher as _, RandomState};

use bytes::Bytes;
use watchpost_sink::{Alert, Call, Description, Fail, Host, Level, Needs, Sink, export_sink};

use crate::config::Config;
use crate::discovery::Discovery;
use crate::link::{Delivery, Link};
use crate::topics::Topics;
use crate::wire::{Dial, Message, ONLINE};

/// One broker.
struct Mqtt {
    topics: Topics,
    discovery: Option<Discovery>,
    status_topic: String,
    link: Link,
}

impl Sink for Mqtt {
    type Config = Config;

    const PROBES: bool = true;

    fn check(config: &Config) -> Result<(), Fail> {
        config.check()?;
        Topics::new(config).map(drop)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Fail> {
        let dial = dial(&config, host)?;
        if dial.tls.is_none() && dial.login.is_some() {
            host.log(
                Level::Warn,
                "the password goes over the wire as it is; a broker with TLS would hide it",
            );
        }
        let discovery = Discovery::new(&config, host.hub_version());
        let greeting = discovery.iter().map(Discovery::site).collect();
        let link =
            Link::start(dial, greeting, host).map_err(|e| Fail::retry(format_args!("no thread: {e}")))?;
        Ok(Self {
            topics: Topics::new(&config)?,
            discovery,
            status_topic: config.status_topic(),
            link,
        })
    }

    fn deliver(&mut self, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
        let topics = self.topics.of(alert)?;
        let announcement = self
            .discovery
            .as_ref()
            .and_then(|discovery| discovery.camera(alert, &topics));
        let mut messages = Vec::new();
        // The document of the alert comes last: who gets it finds the picture and the state in their places.
        if let Some(topic) = &topics.picture {
            messages.extend(alert.frames().iter().map(|frame| Message {
                topic: topic.clone(),
                payload: Bytes::copy_from_slice(frame.bytes()),
                content_type: Some(frame.mime().to_owned()),
                retain: true,
            }));
        }
        let document = Bytes::copy_from_slice(alert.json_text().as_bytes());
        for (topic, retain) in [(topics.state, true), (topics.alert, false)] {
            messages.extend(topic.map(|topic| Message {
                topic,
                payload: document.clone(),
                content_type: Some("application/json".into()),
                retain,
            }));
        }
        self.link.deliver(
            Delivery {
                messages,
                announcement,
            },
            call,
        )
    }

    fn probe(&mut self, call: &Call<'_>) -> Result<(), Fail> {
        let status = Message {
            topic: self.status_topic.clone(),
            payload: ONLINE.into(),
            content_type: None,
            retain: true,
        };
        let delivery = Delivery {
            messages: vec![status],
            announcement: None,
        };
        self.link.deliver(delivery, call)
    }

    fn description() -> Description {
        let example = serde_json::json!({
            "server": "broker.local:8883",
            "ca_file": "/etc/watchpost/broker-ca.pem",
            "user": "watchpost",
            "password_file": "/etc/watchpost/broker-password",
            "home_assistant": { "site": "Warehouse" },
        });
        let needs = Needs {
            read: ["ca_file", "cert_file", "key_file", "password_file"]
                .map(|key| format!("config.{key}"))
                .into(),
            connect: vec!["config.server".to_owned()],
            ..Needs::default()
        };
        Description::default().example(example).needs(needs)
    }
}

/// Reads the files that the configuration names.
fn dial(config: &Config, host: &Host) -> Result<Dial, Fail> {
    let (broker, port) = config.address()?;
    let password = match (&config.password_file, &config.password) {
        (Some(path), _) => {
            let text = fs::read_to_string(path).map_err(|e| {
                Fail::bad_config(
                    "/password_file",
                    format_args!("{} cannot be read: {e}", path.display()),
                )
            })?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        (None, Some(password)) => password.0.clone(),
        (None, None) => String::new(),
    };
    let client_id = config.client_id.clone().unwrap_or_else(|| {
        let random = RandomState::new().hash_one(host.instance());
        format!("watchpost-{}-{:08x}", host.instance(), random as u32)
    });
    Ok(Dial {
        host: broker.to_owned(),
        port,
        tls: config.tls.then(|| tls::client_config(config)).transpose()?,
        login: config.user.clone().map(|user| (user, password)),
        version: config.version,
        client_id,
        status_topic: config.status_topic(),
    })
}

export_sink!(Mqtt, id: "mqtt", name: "MQTT", summary: "Publishes every alert to an MQTT broker.");

#[cfg(test)]
mod tests;
