//! The site as alarm panels: what is published of its areas, and what a command from the broker asks for. It knows no connection, and
//! decides nothing: codes are the hub's.

use std::collections::BTreeMap;

use serde::Deserialize;
use watchpost_sink::serde_json::{self, Value, json};
use watchpost_sink::{AreaMode, AreaState, AreaStatus, ArmAct, words};

use crate::config::{Config, Keypad, PanelConfig};
use crate::discovery::{Discovery, slug};
use crate::wire::{Message, Received};

/// Longest payload of a command, in bytes.
const MAX_COMMAND_BYTES: usize = 1_024;

/// Stands for the site as a whole in topics: no area can have it.
const SITE: &str = ".site";

/// What is published of areas.
#[derive(Debug)]
pub(crate) struct Panel {
    config: PanelConfig,
    discovery: Discovery,
    status_topic: String,
    /// What the topics of areas begin with.
    base: String,
    areas: Vec<AreaStatus>,
    /// Why the last command was refused, which is shown until the areas change.
    refused: Option<String>,
    /// The components that were announced: Home Assistant forgets one only where it hears that it is gone.
    announced: BTreeMap<String, Value>,
}

/// What someone wants at a panel.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Wish {
    pub(crate) act: ArmAct,
    /// Empty: all areas.
    pub(crate) area: String,
    pub(crate) code: String,
}

/// A command as Home Assistant sends it by our template.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    action: String,
    code: Option<String>,
}

impl Panel {
    /// `None` if the site does not want any.
    pub(crate) fn new(config: &Config, version: &str) -> Option<Self> {
        let home = config.home_assistant.as_ref()?;
        Some(Self {
            config: home.panel.clone()?,
            discovery: Discovery::new(config, version)?,
            status_topic: config.status_topic(),
            base: format!("{}/area", config.base),
            areas: Vec::new(),
            refused: None,
            announced: BTreeMap::new(),
        })
    }

    /// What is subscribed to.
    pub(crate) fn filter(&self) -> String {
        format!("{}/+/set", self.base)
    }

    /// The areas are like this now. Returns what is to be published, also after each connection.
    pub(crate) fn show(&mut self, areas: Vec<AreaStatus>) -> Vec<Message> {
        (self.areas, self.refused) = (areas, None);
        let site = self.announcement();
        let mut messages = vec![site];
        messages.extend(self.states());
        messages
    }

    /// A command was refused for this reason. Returns what is to be published.
    pub(crate) fn refuse(&mut self, why: &str) -> Vec<Message> {
        self.refused = Some(why.to_owned());
        self.states()
    }

    /// What someone wants who has published this.
    ///
    /// # Errors
    /// Why it is nothing that can be done.
    pub(crate) fn wish(&self, received: &Received) -> Result<Wish, String> {
        let Received {
            topic,
            payload,
            retain,
        } = received;
        let place = topic
            .strip_prefix(&self.base)
            .and_then(|rest| rest.strip_prefix('/')?.strip_suffix("/set"));
        let place = place.ok_or_else(|| format!("`{topic}` is no topic for commands"))?;
        if *retain {
            // The broker gives it to each new subscriber: the site would be armed or disarmed by it with each connection.
            return Err(format!(
                "a retained command on `{topic}` is not carried out: clear it at the broker, and publish commands without `retain`"
            ));
        }
        let area = match place {
            SITE => String::new(),
            place => {
                let mut areas = self.areas.iter().map(|area| &area.name);
                let area = areas.find(|name| slug(name) == place);
                area.ok_or_else(|| format!("there is no area for `{topic}`"))?
                    .clone()
            }
        };
        let Command { action, code } = command(payload)?;
        let act = match action.as_str() {
            "ARM_HOME" => ArmAct::ArmHome,
            "ARM_AWAY" => ArmAct::ArmAway,
            "ARM_NIGHT" => ArmAct::ArmNight,
            "DISARM" => ArmAct::Disarm,
            "TRIGGER" => ArmAct::Panic,
            _ => return Err("it is neither ARM_HOME, ARM_AWAY, ARM_NIGHT, DISARM nor TRIGGER".to_owned()),
        };
        let code = code.unwrap_or_default();
        Ok(Wish { act, area, code })
    }

    /// The announcement of the site with its panels.
    fn announcement(&mut self) -> Message {
        let mut panels = BTreeMap::new();
        if self.areas.len() > 1 {
            let modes = self.areas.iter().flat_map(|area| &area.modes);
            panels.insert("panel".to_owned(), self.component(SITE, None, modes.copied()));
        }
        for area in &self.areas {
            let place = slug(&area.name);
            let component = self.component(&place, Some(&area.name), area.modes.iter().copied());
            panels.insert(format!("panel_{place}"), component);
        }
        for gone in self.announced.keys() {
            let forget = || json!({ "platform": "alarm_control_panel" });
            panels.entry(gone.clone()).or_insert_with(forget);
        }
        self.announced.clone_from(&panels);
        self.discovery.site(panels)
    }

    /// A panel as Home Assistant gets to know it.
    fn component(&self, place: &str, area: Option<&str>, modes: impl Iterator<Item = AreaMode>) -> Value {
        let mut features: Vec<&str> = modes.map(feature).collect();
        features.sort_unstable();
        features.dedup();
        features.push("trigger");
        let id = place.trim_start_matches('.');
        let site = self.discovery.site_id();
        let mut component = json!({
            "platform": "alarm_control_panel",
            "name": area.unwrap_or(words::text("home_assistant.alarm")),
            "unique_id": format!("{site}_panel_{id}"),
            "state_topic": self.topic(place, "state"),
            "json_attributes_topic": self.topic(place, "attributes"),
            "command_topic": self.topic(place, "set"),
            "command_template": "{{ {'action': action, 'code': code} | tojson }}",
            "availability_topic": self.status_topic,
            "supported_features": features,
            "code_arm_required": self.config.code_to_arm,
            "code_disarm_required": self.config.keypad != Keypad::None,
            "code_trigger_required": false,
            "retain": false,
        });
        match self.config.keypad {
            Keypad::Digits => component["code"] = "REMOTE_CODE".into(),
            Keypad::Text => component["code"] = "REMOTE_CODE_TEXT".into(),
            Keypad::None => {}
        }
        component
    }

    /// How the areas are, each a state and its attributes, retained.
    fn states(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut state = |place: &str, state: &str, attributes: &Value| {
            messages.push(retained(self.topic(place, "attributes"), attributes.to_string()));
            messages.push(retained(self.topic(place, "state"), state.to_owned()));
        };
        for area in &self.areas {
            state(&slug(&area.name), shown(area), &self.attributes(area));
        }
        let of_site = self.areas.iter().max_by_key(|area| urgency(area));
        if let (Some(area), true) = (of_site, self.areas.len() > 1) {
            let mut attributes = self.attributes(area);
            attributes["area"] = area.name.as_str().into();
            state(SITE, shown(area), &attributes);
        }
        messages
    }

    fn attributes(&self, area: &AreaStatus) -> Value {
        let mut attributes = serde_json::Map::new();
        for (key, value) in [
            // Home Assistant has a `changed_by` of its own and takes none from here; others look for that.
            ("changed_by", &area.by),
            ("by", &area.by),
            ("since", &area.since),
            ("until", &area.until),
            ("cause", &area.cause),
            ("refused", &self.refused),
        ] {
            let value = value.as_deref().map_or(Value::Null, Value::from);
            attributes.insert(key.to_owned(), value);
        }
        Value::Object(attributes)
    }

    fn topic(&self, place: &str, what: &str) -> String {
        format!("{}/{place}/{what}", self.base)
    }
}

/// Reads a command: that of our template, or the bare word of who publishes without one.
fn command(payload: &[u8]) -> Result<Command, String> {
    if payload.len() > MAX_COMMAND_BYTES {
        return Err(format!("it has {} bytes", payload.len()));
    }
    let text = std::str::from_utf8(payload)
        .map_err(|_| "it is no text".to_owned())?
        .trim();
    if text.starts_with('{') {
        // What is wrong is not quoted: a code may stand there.
        return serde_json::from_str(text)
            .map_err(|_| "it is not {\"action\": \"ARM_AWAY\", \"code\": \"…\"}".to_owned());
    }
    let action = text.to_owned();
    Ok(Command { action, code: None })
}

fn retained(topic: String, payload: String) -> Message {
    Message {
        topic,
        payload: payload.into(),
        content_type: None,
        retain: true,
        picture: false,
    }
}

fn feature(mode: AreaMode) -> &'static str {
    match mode {
        AreaMode::Home => "arm_home",
        AreaMode::Away => "arm_away",
        AreaMode::Night => "arm_night",
    }
}

/// The word that Home Assistant has for it.
fn shown(area: &AreaStatus) -> &'static str {
    match (area.state, area.mode) {
        (AreaState::Arming, _) => "arming",
        (AreaState::Armed, Some(AreaMode::Home)) => "armed_home",
        (AreaState::Armed, Some(AreaMode::Night)) => "armed_night",
        (AreaState::Armed, _) => "armed_away",
        (AreaState::Pending, _) => "pending",
        (AreaState::Triggered, _) => "triggered",
        _ => "disarmed",
    }
}

/// Which of several areas a panel of all shows.
fn urgency(area: &AreaStatus) -> u8 {
    match area.state {
        AreaState::Triggered => 4,
        AreaState::Pending => 3,
        AreaState::Arming => 2,
        AreaState::Armed => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn panel(config: &str) -> Panel {
        let config = format!(r#"{{"server":"b:1","home_assistant":{{"site":"home","panel":{config}}}}}"#);
        Panel::new(&serde_json::from_str(&config).unwrap(), "1.2.3").unwrap()
    }

    fn area(name: &str, state: AreaState, mode: Option<AreaMode>) -> AreaStatus {
        AreaStatus {
            name: name.into(),
            modes: vec![AreaMode::Home, AreaMode::Away],
            state,
            mode,
            from: None,
            until: None,
            since: Some("2026-01-01T00:00:00.000Z".into()),
            by: Some("Anna at sink ha".into()),
            cause: None,
        }
    }

    fn lines(messages: &[Message]) -> String {
        let line = |message: &Message| {
            assert!(message.retain);
            format!(
                "{} {}\n",
                message.topic,
                String::from_utf8_lossy(&message.payload)
            )
        };
        messages.iter().map(line).collect()
    }

    #[test]
    fn one_area_is_one_panel() {
        let mut panel = panel("{}");
        let messages = panel.show(vec![area("Yard 1", AreaState::Armed, Some(AreaMode::Home))]);
        let announced: Value = serde_json::from_slice(&messages[0].payload).unwrap();
        assert_eq!(messages[0].topic, "homeassistant/device/home/config");
        assert!(announced["components"]["connection"].is_object());
        let shown = serde_json::to_string_pretty(&announced["components"]["panel_yard_1_ff9b17de"]);
        expect![[r#"
            {
              "availability_topic": "watchpost/status",
              "code": "REMOTE_CODE",
              "code_arm_required": true,
              "code_disarm_required": true,
              "code_trigger_required": false,
              "command_template": "{{ {'action': action, 'code': code} | tojson }}",
              "command_topic": "watchpost/area/yard_1_ff9b17de/set",
              "json_attributes_topic": "watchpost/area/yard_1_ff9b17de/attributes",
              "name": "Yard 1",
              "platform": "alarm_control_panel",
              "retain": false,
              "state_topic": "watchpost/area/yard_1_ff9b17de/state",
              "supported_features": [
                "arm_away",
                "arm_home",
                "trigger"
              ],
              "unique_id": "home_panel_yard_1_ff9b17de"
            }"#]]
        .assert_eq(&shown.unwrap());
        expect![[r#"
            watchpost/area/yard_1_ff9b17de/attributes {"by":"Anna at sink ha","cause":null,"changed_by":"Anna at sink ha","refused":null,"since":"2026-01-01T00:00:00.000Z","until":null}
            watchpost/area/yard_1_ff9b17de/state armed_home
        "#]]
        .assert_eq(&lines(&messages[1..]));
    }

    #[test]
    fn several_areas_are_a_panel_of_all_too_which_shows_the_worst() {
        let mut panel = panel(r#"{"keypad":"none","code_to_arm":false}"#);
        let of_site = |messages: &[Message]| {
            let state = messages
                .iter()
                .find(|message| message.topic == "watchpost/area/.site/state");
            state.map(|state| String::from_utf8_lossy(&state.payload).into_owned())
        };
        let other = |state, mode| area("House", state, mode);
        let yard = || area("Yard", AreaState::Armed, Some(AreaMode::Night));
        for (state, expected) in [
            (AreaState::Disarmed, "armed_night"),
            (AreaState::Arming, "arming"),
            (AreaState::Pending, "pending"),
            (AreaState::Triggered, "triggered"),
            (AreaState::Unknown, "armed_night"),
        ] {
            let messages = panel.show(vec![yard(), other(state, None)]);
            assert_eq!(of_site(&messages).as_deref(), Some(expected));
        }
        // An area that is gone is forgotten there.
        let messages = panel.show(vec![yard()]);
        let announced: Value = serde_json::from_slice(&messages[0].payload).unwrap();
        let components = &announced["components"];
        assert_eq!(components["panel_House"], Value::Null, "ids are in small letters");
        assert_eq!(components["panel"], json!({ "platform": "alarm_control_panel" }));
        assert_eq!(components.as_object().unwrap().len(), 4);
        let yard = components
            .as_object()
            .unwrap()
            .values()
            .find(|panel| panel["name"] == "Yard")
            .unwrap();
        assert_eq!(
            (&yard["code"], &yard["code_arm_required"]),
            (&Value::Null, &json!(false))
        );
    }

    #[test]
    fn commands_are_read_and_retained_ones_refused() {
        let mut panel = panel("{}");
        panel.show(vec![area("yard", AreaState::Disarmed, None)]);
        let received = |place: &str, payload: &str, retain| Received {
            topic: format!("watchpost/area/{place}/set"),
            payload: payload.to_owned().into(),
            retain,
        };
        let wish = |place: &str, payload: &str| panel.wish(&received(place, payload, false));
        let armed = Wish {
            act: ArmAct::ArmAway,
            area: "yard".into(),
            code: "4711".into(),
        };
        assert_eq!(wish("yard", r#"{"action":"ARM_AWAY","code":"4711"}"#), Ok(armed));
        let disarmed = |area: &str| Wish {
            act: ArmAct::Disarm,
            area: area.into(),
            code: String::new(),
        };
        assert_eq!(
            wish("yard", r#"{"action":"DISARM","code":null}"#),
            Ok(disarmed("yard"))
        );
        assert_eq!(wish(".site", "DISARM\n"), Ok(disarmed("")));
        let panic = Wish {
            act: ArmAct::Panic,
            ..disarmed("yard")
        };
        assert_eq!(wish("yard", r#"{"action":"TRIGGER","code":null}"#), Ok(panic));
        for (place, payload, why) in [
            ("cellar", "DISARM", "no area"),
            ("yard", "OPEN 4711", "neither"),
            ("yard", r#"{"action":"DISARM","code":4711}"#, "it is not {"),
            ("yard", &"x".repeat(2_000), "2000 bytes"),
        ] {
            let refused = wish(place, payload).unwrap_err();
            assert!(refused.contains(why) && !refused.contains("4711"), "{refused}");
        }
        let refused = panel.wish(&received("yard", "DISARM", true)).unwrap_err();
        assert!(refused.contains("retained"), "{refused}");
    }
}
