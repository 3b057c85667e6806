//! The MQTT sink: publishes every alert as a JSON document and a picture, and keeps the last one of each camera.
//!
//! It knows nothing of backends and other sinks. A delivery has succeeded when the broker has acknowledged all of it.

mod carry;
mod config;
mod desk;
mod discovery;
mod error;
mod link;
mod panel;
mod topics;
mod transport;
mod wire;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use bytes::Bytes;
use watchpost_sink::net::tls;
use watchpost_sink::picture::{Ladder, Limits, Pictures, Refused};
use watchpost_sink::serde_json::Value;
use watchpost_sink::{
    Alert, Call, Description, Fail, Host, Level, Needs, Outcome, Sink, Unanswered, export_sink, secret,
};

use crate::carry::Failure;
use crate::config::Config;
use crate::desk::Desk;
use crate::discovery::Discovery;
use crate::link::{Delivery, Link};
use crate::panel::Panel;
use crate::topics::{AlertTopics, Topics};
use crate::wire::{Abilities, Dial, Message, ONLINE};

/// After how many tries over which the connection ended with a picture in flight the picture is taken to be too large: a
/// broker of version 3.1.1 has no other way to say so.
const MAX_INTERRUPTED: u32 = 2;

/// One broker.
struct Mqtt {
    topics: Topics,
    discovery: Option<Discovery>,
    status_topic: String,
    link: Link,
    host: Host,
    ladder: Ladder,
    unanswered: Unanswered,
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
        let greeting = discovery.iter().map(|site| site.site(BTreeMap::new())).collect();
        let panel = Panel::new(&config, host.hub_version());
        let desk = panel.map(|panel| Desk::open(panel, host)).transpose()?;
        let link = Link::start(dial, greeting, desk, host)
            .map_err(|e| Fail::retry(format_args!("no thread: {e}")))?;
        Ok(Self {
            topics: Topics::new(&config)?,
            discovery,
            status_topic: config.status_topic(),
            link,
            host: host.clone(),
            ladder: Ladder::default(),
            unanswered: Unanswered::load(host),
        })
    }

    fn deliver(&mut self, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
        let topics = self.topics.of(alert)?;
        let announcement = self
            .discovery
            .as_ref()
            .and_then(|discovery| discovery.camera(alert, &topics));
        let limits = match topics.picture {
            Some(_) => Limits::NONE,
            None => Limits::bytes(0),
        };
        let Self {
            ladder,
            link,
            host,
            unanswered,
            ..
        } = self;
        let sent = ladder.send(alert, limits, |pictures| {
            let delivery = Delivery {
                messages: messages(alert, &topics, &pictures),
                announcement: announcement.clone(),
            };
            link.deliver(delivery, call).map_err(|failure| match failure {
                Failure::TooLarge(fail) => Refused::TooLarge(fail),
                Failure::PictureRefused(fail) => {
                    host.log(
                        Level::Warn,
                        format_args!("alert {} goes without its picture: {fail}", alert.id()),
                    );
                    Refused::Unwanted(fail)
                }
                Failure::PictureInterrupted(fail) if call.attempt() > MAX_INTERRUPTED => {
                    Refused::TooLarge(fail)
                }
                Failure::Unanswered(why) => Refused::Otherwise(unanswered.sent(alert.id(), why)),
                Failure::PictureInterrupted(fail) | Failure::Failed(fail) => Refused::Otherwise(fail),
            })
        });
        if !matches!(&sent, Err(fail) if fail.outcome() == Outcome::Retry) {
            unanswered.settled(alert.id());
        }
        sent
    }

    fn probe(&mut self, call: &Call<'_>) -> Result<(), Fail> {
        let status = Message {
            topic: self.status_topic.clone(),
            payload: ONLINE.into(),
            content_type: None,
            retain: true,
            picture: false,
        };
        let delivery = Delivery {
            messages: vec![status],
            announcement: None,
        };
        self.link.deliver(delivery, call).map_err(Failure::into_fail)
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
            arm: vec!["config.home_assistant.panel".to_owned()],
            ..Needs::default()
        };
        Description::default().example(example).needs(needs)
    }
}

/// What is published of an alert. The document comes last: who gets it finds the picture and the state in their places.
fn messages(alert: &Alert<'_>, topics: &AlertTopics, pictures: &Pictures<'_>) -> Vec<Message> {
    let mut messages = Vec::new();
    if let Some(topic) = &topics.picture {
        messages.extend(pictures.list.iter().map(|picture| Message {
            topic: topic.clone(),
            payload: Bytes::copy_from_slice(&picture.bytes),
            content_type: Some(picture.mime.clone().into_owned()),
            retain: true,
            picture: true,
        }));
    }
    let document = document(alert, pictures);
    for (topic, retain) in [(&topics.state, true), (&topics.alert, false)] {
        messages.extend(topic.clone().map(|topic| Message {
            topic,
            payload: document.clone(),
            content_type: Some("application/json".into()),
            retain,
            picture: false,
        }));
    }
    messages
}

/// The alert's document as it came, or with why its picture is not there.
fn document(alert: &Alert<'_>, pictures: &Pictures<'_>) -> Bytes {
    match (&pictures.left_out, alert.json()) {
        (Some(why), Value::Object(document)) => {
            let mut document = document.clone();
            document.insert("picture_left_out".to_owned(), why.as_str().into());
            Bytes::from(Value::Object(document).to_string())
        }
        _ => Bytes::copy_from_slice(alert.json_text().as_bytes()),
    }
}

/// Reads the files that the configuration names.
fn dial(config: &Config, host: &Host) -> Result<Dial, Fail> {
    let (broker, port) = config.address()?;
    let password = secret::either(
        "/password_file",
        config.password.as_ref(),
        config.password_file.as_deref(),
    )?;
    let client_id = config.client_id.clone().unwrap_or_else(|| {
        let random = RandomState::new().hash_one(host.instance());
        format!("watchpost-{}-{:08x}", host.instance(), random as u32)
    });
    let files = tls::Files {
        ca_file: config.ca_file.as_deref(),
        cert_file: config.cert_file.as_deref(),
        key_file: config.key_file.as_deref(),
    };
    Ok(Dial {
        host: broker.to_owned(),
        port,
        tls: config.tls.then(|| files.client_config()).transpose()?,
        login: config
            .user
            .clone()
            .map(|user| (user, password.unwrap_or_default())),
        version: config.version,
        client_id,
        status_topic: config.status_topic(),
        abilities: Abilities::of(config.retain, config.qos),
    })
}

export_sink!(Mqtt, id: "mqtt", name: "MQTT", summary: "Publishes every alert to an MQTT broker.");

#[cfg(test)]
mod tests;
