//! What is published for Home Assistant, so that a site and its cameras appear by themselves.
//!
//! The form is Home Assistant's [device discovery](https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload),
//! which version 2024.11 brought. A camera is a device with a binary sensor, an image and an event; the site is one
//! with a sensor that says whether it is connected.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use watchpost_sink::{Alert, words};

use crate::config::{Config, HomeAssistant};
use crate::topics::AlertTopics;
use crate::wire::{Message, OFFLINE, ONLINE};

/// Longest camera name that is shown, in characters. Home Assistant's own names end at 255.
const MAX_NAME_CHARS: usize = 100;

/// What makes announcements.
#[derive(Clone, Debug)]
pub(crate) struct Discovery {
    home: HomeAssistant,
    /// The site's name as part of topics and ids.
    site: String,
    status_topic: String,
    version: String,
}

impl Discovery {
    /// `None` if the site does not want it. `version` is that of Watchpost.
    pub(crate) fn new(config: &Config, version: &str) -> Option<Self> {
        let home = config.home_assistant.clone()?;
        Some(Self {
            site: slug(&home.site),
            home,
            status_topic: config.status_topic(),
            version: version.to_owned(),
        })
    }

    /// What stands for the site in ids.
    pub(crate) fn site_id(&self) -> &str {
        &self.site
    }

    /// The announcement of the site itself, with what else belongs to it.
    pub(crate) fn site(&self, others: BTreeMap<String, Value>) -> Message {
        let connected = json!({
            "platform": "binary_sensor",
            "name": words::text("home_assistant.connection"),
            "unique_id": format!("{}_connection", self.site),
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": self.status_topic,
            "payload_on": ONLINE,
            "payload_off": OFFLINE,
        });
        let connection = [("connection".to_owned(), connected)];
        let components: BTreeMap<String, Value> = others.into_iter().chain(connection).collect();
        self.message(
            &self.site,
            &json!({
                "device": {
                    "identifiers": [self.site],
                    "name": self.home.site,
                    "manufacturer": "Watchpost",
                    "model": words::text("home_assistant.hub"),
                    "sw_version": self.version,
                },
                "origin": self.origin(),
                "components": components,
            }),
        )
    }

    /// The announcement of the camera that an alert comes from, or of the hub for what it says of itself.
    pub(crate) fn camera(&self, alert: &Alert<'_>, topics: &AlertTopics) -> Option<Message> {
        let camera = alert.camera().or_else(|| alert.json()["connection"].as_str())?;
        let id = format!("{}_{}", self.site, slug(camera));
        let mut components = serde_json::Map::new();
        if let Some(topic) = &topics.alert {
            components.insert("alarm".into(), self.alarm(&id, topic, topics.state.as_deref()));
            components.insert("alert".into(), event(&id, topic));
        }
        if let Some(topic) = &topics.picture {
            components.insert(
                "picture".into(),
                json!({
                    "platform": "image",
                    "name": words::text("home_assistant.picture"),
                    "unique_id": format!("{id}_picture"),
                    "image_topic": topic,
                    "content_type": "image/jpeg",
                }),
            );
        }
        if components.is_empty() {
            return None;
        }
        let shown: String = camera.chars().take(MAX_NAME_CHARS).collect();
        Some(self.message(
            &id,
            &json!({
                "device": {
                    "identifiers": [id],
                    "name": format!("{} {shown}", self.home.site),
                    "manufacturer": "Watchpost",
                    "model": words::text("home_assistant.camera"),
                    "via_device": self.site,
                },
                "origin": self.origin(),
                "components": components,
                "availability_topic": self.status_topic,
            }),
        ))
    }

    /// On with every alert, and off again after a while.
    fn alarm(&self, id: &str, topic: &str, state: Option<&str>) -> Value {
        let mut sensor = json!({
            "platform": "binary_sensor",
            "name": words::text("home_assistant.alarm"),
            "unique_id": format!("{id}_alarm"),
            "device_class": "safety",
            "state_topic": topic,
            "value_template": "ON",
            "off_delay": self.home.off_delay.as_secs(),
        });
        if let Some(state) = state {
            sensor["json_attributes_topic"] = state.into();
        }
        sensor
    }

    fn origin(&self) -> Value {
        json!({ "name": "Watchpost", "sw_version": self.version })
    }

    fn message(&self, id: &str, payload: &Value) -> Message {
        Message {
            topic: format!("{}/device/{id}/config", self.home.prefix),
            payload: payload.to_string().into(),
            content_type: None,
            retain: true,
            picture: false,
        }
    }
}

/// An event for every alert, of the type of its severity.
fn event(id: &str, topic: &str) -> Value {
    json!({
        "platform": "event",
        "name": words::text("home_assistant.alert"),
        "unique_id": format!("{id}_alert"),
        "state_topic": topic,
        "event_types": ["low", "medium", "high", "critical"],
        "value_template": "{{ {'event_type': value_json.severity, 'id': value_json.id, 'title': value_json.title, \
            'text': value_json.text, 'occurred_at': value_json.occurred_at or value_json.received_at, \
            'late': value_json.late or false} | tojson }}",
    })
}

/// A name as part of a topic and an id, where only letters, digits, `-` and `_` may stand. What had to be changed
/// for it is told apart by a checksum.
pub(crate) fn slug(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut slug: String = name
        .chars()
        .take(64)
        .map(|c| if fits(c) { c.to_ascii_lowercase() } else { '_' })
        .collect();
    if slug != name {
        // FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/
        let sum = name.bytes().fold(0x811c_9dc5_u32, |sum, byte| {
            (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        slug += &format!("_{sum:08x}");
    }
    slug
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use watchpost_sink::testing::alert;

    use super::*;

    /// Fields that Home Assistant documents for each platform as far as they are used here; the first ones are
    /// required. From <https://www.home-assistant.io/integrations/binary_sensor.mqtt/>, `image.mqtt`, `event.mqtt`.
    const KNOWN: [(&str, &[&str], &[&str]); 3] = [
        (
            "binary_sensor",
            &["platform", "state_topic", "unique_id"],
            &[
                "name",
                "device_class",
                "entity_category",
                "payload_on",
                "payload_off",
                "value_template",
                "off_delay",
                "json_attributes_topic",
            ],
        ),
        (
            "image",
            &["platform", "image_topic", "unique_id"],
            &["name", "content_type"],
        ),
        (
            "event",
            &["platform", "state_topic", "unique_id", "event_types"],
            &["name", "device_class", "value_template"],
        ),
    ];

    fn discovery() -> Discovery {
        let config = r#"{"server":"b:1","home_assistant":{"site":"Shop 1"}}"#;
        Discovery::new(&serde_json::from_str(config).unwrap(), "1.2.3").unwrap()
    }

    fn topics() -> AlertTopics {
        AlertTopics {
            alert: Some("w/gate/alert".into()),
            picture: Some("w/gate/picture".into()),
            state: Some("w/gate/state".into()),
        }
    }

    fn check(message: &Message) -> Value {
        let payload: Value = serde_json::from_slice(&message.payload).unwrap();
        let id = message
            .topic
            .strip_prefix("homeassistant/device/")
            .unwrap()
            .strip_suffix("/config")
            .unwrap();
        assert!(
            id.chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')),
            "{id}"
        );
        assert!(message.retain);
        assert!(payload["device"]["identifiers"][0].is_string() && payload["origin"]["name"].is_string());
        let mut ids = BTreeSet::new();
        for component in payload["components"].as_object().unwrap().values() {
            let platform = component["platform"].as_str().unwrap();
            let (_, required, optional) = KNOWN.iter().find(|known| known.0 == platform).unwrap();
            for key in *required {
                assert!(component.get(*key).is_some(), "{platform} needs {key}");
            }
            for key in component.as_object().unwrap().keys() {
                let known = required.contains(&key.as_str()) || optional.contains(&key.as_str());
                assert!(known, "{platform} has no {key}");
            }
            assert!(ids.insert(component["unique_id"].as_str().unwrap().to_owned()));
        }
        payload
    }

    #[test]
    fn a_camera_is_a_device_with_sensor_image_and_event() {
        let message = alert("7")
            .with(|alert| discovery().camera(alert, &topics()))
            .unwrap();
        let payload = check(&message);
        let components = payload["components"].as_object().unwrap();
        let platforms: BTreeSet<_> = components
            .values()
            .filter_map(|c| c["platform"].as_str())
            .collect();
        assert_eq!(platforms, BTreeSet::from(["binary_sensor", "event", "image"]));
        assert_eq!(payload["availability_topic"], "watchpost/status");
        assert_eq!(payload["device"]["name"], "Shop 1 gate");
        assert_eq!(components["alarm"]["off_delay"], 60);
    }

    #[test]
    fn the_site_says_whether_it_is_connected() {
        let site = check(&discovery().site(BTreeMap::new()));
        let camera = alert("7")
            .with(|alert| discovery().camera(alert, &topics()))
            .unwrap();
        assert_eq!(
            site["device"]["identifiers"][0],
            check(&camera)["device"]["via_device"]
        );
        assert_eq!(
            site["components"]["connection"]["state_topic"],
            "watchpost/status"
        );
    }

    #[test]
    fn what_is_not_published_is_not_announced() {
        let only = AlertTopics {
            picture: Some("w/gate/picture".into()),
            ..AlertTopics::default()
        };
        let payload = check(&alert("7").with(|alert| discovery().camera(alert, &only)).unwrap());
        assert_eq!(payload["components"].as_object().unwrap().len(), 1);
        assert_eq!(
            alert("7").with(|alert| discovery().camera(alert, &AlertTopics::default())),
            None
        );
    }

    #[test]
    fn different_names_are_different_ids() {
        let names = [
            "gate",
            "Gate",
            "g/ate",
            "g_ate",
            "g ate",
            "ä",
            "ö",
            &"x".repeat(99),
            &"x".repeat(98),
        ];
        let slugs: BTreeSet<String> = names.iter().map(|name| slug(name)).collect();
        assert_eq!(slugs.len(), names.len(), "{slugs:?}");
        assert_eq!(slug("gate"), "gate");
    }
}
