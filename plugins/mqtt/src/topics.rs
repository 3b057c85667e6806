//! Which topics an alert goes to. It knows nothing of what is sent there.

use watchpost_sink::testing::samples;
use watchpost_sink::{Alert, Fail, Template};

use crate::config::Config;

/// Longest topic that is used, in bytes. MQTT allows 65,535; brokers and subscribers choke earlier.
const MAX_TOPIC_BYTES: usize = 1_024;

/// The topics of a site.
#[derive(Debug)]
pub(crate) struct Topics {
    alert: Option<Template>,
    picture: Option<Template>,
    state: Option<Template>,
}

/// The topics of one alert; `None` is not published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AlertTopics {
    /// Of its document.
    pub(crate) alert: Option<String>,
    /// Of its pictures.
    pub(crate) picture: Option<String>,
    /// Of its document as the camera's state.
    pub(crate) state: Option<String>,
}

impl Topics {
    /// Reads them from the configuration.
    pub(crate) fn new(config: &Config) -> Result<Self, Fail> {
        let topics = Self {
            alert: choose(config, "/topic", config.topic.as_ref(), "alert")?,
            picture: choose(config, "/picture_topic", config.picture_topic.as_ref(), "picture")?,
            state: choose(config, "/state_topic", config.state_topic.as_ref(), "state")?,
        };
        match (&topics.alert, &topics.picture, &topics.state) {
            (None, None, None) => Err(Fail::bad_config(
                "/topic",
                "all topics are empty, so nothing would be published",
            )),
            _ => Ok(topics),
        }
    }

    /// Fills them in for an alert.
    pub(crate) fn of(&self, alert: &Alert<'_>) -> Result<AlertTopics, Fail> {
        let fill = |template: &Option<Template>| match template {
            Some(template) => clean(&template.render(alert)?).map(Some),
            None => Ok(None),
        };
        Ok(AlertTopics {
            alert: fill(&self.alert)?,
            picture: fill(&self.picture)?,
            state: fill(&self.state)?,
        })
    }
}

/// What is set, or what is usual. A slash in a camera's name would begin another level.
fn choose(config: &Config, key: &str, set: Option<&Template>, last: &str) -> Result<Option<Template>, Fail> {
    let template = match set {
        Some(template) if template.source().is_empty() => return Ok(None),
        Some(template) => template.clone(),
        None => {
            let usual = format!(
                "{}/{{{{ (camera or alert.connection) | replace('/', '_') }}}}/{last}",
                config.base
            );
            Template::parse(&usual).map_err(|why| Fail::bad_config("/base", why))?
        }
    };
    rehearse(key, &template)?;
    Ok(Some(template))
}

/// A template that has no topic for some alert would have that alert dead-lettered.
fn rehearse(key: &str, template: &Template) -> Result<(), Fail> {
    for sample in samples() {
        if let Err(fail) = sample.alert.with(|alert| clean(&template.render(alert)?)) {
            let why = fail.notes().next().map_or("it has no topic", |(_, why)| why);
            return Err(Fail::bad_config(key, format_args!("of {}: {why}", sample.what)));
        }
    }
    Ok(())
}

/// A topic that may be published to, whatever an alert has put into it.
fn clean(topic: &str) -> Result<String, Fail> {
    if topic.is_empty() {
        return Err(Fail::permanent(
            "its topic is empty; give the template a fixed part",
        ));
    }
    if topic.len() > MAX_TOPIC_BYTES {
        return Err(Fail::permanent(format_args!(
            "its topic has {} bytes, more than {MAX_TOPIC_BYTES}; shorten the template",
            topic.len()
        )));
    }
    let mut clean = topic.replace(|c: char| matches!(c, '+' | '#') || c.is_control(), "_");
    if clean.starts_with('$') {
        clean.replace_range(..1, "_");
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use watchpost_sink::testing::{TestAlert, alert};

    use super::*;

    fn topics(config: &str, stream: &str) -> Result<AlertTopics, Fail> {
        let config: Config = serde_json::from_str(config).unwrap();
        let json = serde_json::json!({ "camera": { "id": stream } }).to_string();
        TestAlert { json, ..alert("7") }.with(|alert| Topics::new(&config)?.of(alert))
    }

    #[test]
    fn usual_topics_name_the_camera() {
        let topics = topics(r#"{"server":"b:1","base":"site/a"}"#, "gate").unwrap();
        assert_eq!(topics.alert.unwrap(), "site/a/gate/alert");
        assert_eq!(topics.picture.unwrap(), "site/a/gate/picture");
        assert_eq!(topics.state.unwrap(), "site/a/gate/state");
    }

    #[test]
    fn a_template_takes_their_place_and_an_empty_one_leaves_them_out() {
        let set =
            r#"{"server":"b:1","topic":"a/{{ severity }}/{{ id }}","picture_topic":"","state_topic":""}"#;
        let topics = topics(set, "gate").unwrap();
        assert_eq!(topics.alert.unwrap(), "a/high/7");
        assert_eq!((topics.picture, topics.state), (None, None));
    }

    #[test]
    fn nothing_at_all_is_refused() {
        let fail = topics(
            r#"{"server":"b:1","topic":"","picture_topic":"","state_topic":""}"#,
            "x",
        )
        .unwrap_err();
        assert!(fail.to_string().contains("nothing would be published"), "{fail}");
    }

    #[test]
    fn a_hostile_stream_stays_in_its_level_and_is_no_wildcard() {
        let usual = topics(r#"{"server":"b:1"}"#, "../#/+\u{0}").unwrap();
        assert_eq!(usual.alert.unwrap(), "watchpost/.._____/alert");
        let bare = topics(r#"{"server":"b:1","topic":"{{ camera or 'hub' }}"}"#, "$SYS/x").unwrap();
        assert_eq!(bare.alert.unwrap(), "_SYS/x");
    }

    #[test]
    fn a_topic_that_cannot_be_is_permanent() {
        let fail = topics(r#"{"server":"b:1","topic":"a/{{ camera }}"}"#, &"x".repeat(2_000)).unwrap_err();
        assert_eq!(fail.outcome(), watchpost_sink::Outcome::Permanent);
    }

    #[test]
    fn a_topic_that_some_alerts_lack_is_refused() {
        let fail = topics(r#"{"server":"b:1","topic":"{{ camera }}"}"#, "gate").unwrap_err();
        assert_eq!(fail.outcome(), watchpost_sink::Outcome::BadConfig);
        let expected = "/topic: of a notice: its topic is empty";
        assert!(fail.to_string().contains(expected), "{fail}");
    }
}
