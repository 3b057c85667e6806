//! Texts that a site writes itself: templates in the language of Jinja, filled with an alert.

use std::borrow::Cow;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};

use crate::{Alert, Fail, Severity};

/// The name under which the one template of an environment is known.
const NAME: &str = "template";

/// What it is filled with.
const NAMES: [&str; 11] = [
    "id", "title", "text", "severity", "time", "when", "late", "camera", "site", "score", "alert",
];

/// Steps after which a template is stopped, so that none runs for ever.
const FUEL: u64 = 1_000_000;

/// A template, such as `{{ title }} at {{ time }}`.
///
/// As a field of a configuration it is a string that is checked when the configuration is. The language is that of
/// [minijinja](https://docs.rs/minijinja/latest/minijinja/syntax/). The names in it:
///
/// | name | what |
/// |---|---|
/// | `id` | the alert's number |
/// | `title`, `text` | its line and its sentence |
/// | `severity` | `low`, `medium`, `high` or `critical` |
/// | `time` | when it happened, by the clocks at the site, such as `2026-11-23T02:16:30+01:00` |
/// | `when` | the same for people, with when it was received if that was much later |
/// | `late` | whether that was much later |
/// | `camera` | its camera's name, or else id; empty for what no camera has seen |
/// | `site` | the site's name; empty where it has none |
/// | `score` | how abnormal it was, in words, such as `clearly abnormal (-1.23)` |
/// | `alert` | all of its JSON document, as in `alert.camera.id` |
///
/// Another name is an error when the configuration is read. What `alert` does not have is an empty text: an alert must not
/// fail for want of a detail.
#[derive(Clone, Debug)]
pub struct Template {
    source: String,
    environment: Environment<'static>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, with the line.
    pub fn parse(source: &str) -> Result<Self, String> {
        // What a text is put into knows best how it is quoted there.
        Self::load(source, AutoEscape::None)
    }

    /// The same as HTML: `<`, `>`, `&` and quotes in what is filled in are escaped.
    ///
    /// # Errors
    /// What is wrong with it, with the line.
    pub fn parse_html(source: &str) -> Result<Self, String> {
        Self::load(source, AutoEscape::Html)
    }

    fn load(source: &str, escape: AutoEscape) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_auto_escape_callback(move |_| escape);
        environment.set_fuel(Some(FUEL));
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| explain(&error))?;
        known_names(&environment)?;
        Ok(Self {
            source: source.to_owned(),
            environment,
        })
    }

    /// The text for this alert.
    ///
    /// # Errors
    /// A permanent failure: the template does something impossible with this alert.
    pub fn render(&self, alert: &Alert<'_>) -> Result<String, Fail> {
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|error| Fail::permanent(explain(&error)))?;
        let names = context! {
            id => alert.id(),
            title => alert.title(),
            text => alert.text(),
            severity => word(alert.severity()),
            time => alert.local_time(),
            when => alert.when(),
            late => alert.is_late(),
            camera => alert.camera().unwrap_or_default(),
            site => alert.site().unwrap_or_default(),
            score => alert.json()["details"]["score"].as_f64().map(score).unwrap_or_default(),
            alert => alert.json(),
        };
        template
            .render(names)
            .map_err(|error| Fail::permanent(format_args!("the template fails: {}", explain(&error))))
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&source).map_err(|why| D::Error::custom(format_args!("it is no template: {why}")))
    }
}

impl JsonSchema for Template {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

/// A score is negative for what is not normal, and the lower the less it is.
fn score(score: f64) -> String {
    let words = match score {
        ..-2.0 => "very abnormal",
        -2.0..-1.0 => "clearly abnormal",
        -1.0..0.0 => "slightly abnormal",
        _ => "within the normal",
    };
    format!("{words} ({score:.2})")
}

/// Whether the template uses no name but those it is filled with: a mistyped one would be an empty text for ever.
fn known_names(environment: &Environment<'_>) -> Result<(), String> {
    let template = environment.get_template(NAME).map_err(|error| explain(&error))?;
    let mut unknown: Vec<String> = template
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !NAMES.contains(&name.as_str()) && !is_built_in(environment, name))
        .collect();
    unknown.sort();
    match unknown.first() {
        None => Ok(()),
        Some(name) => Err(format!(
            "there is no `{name}` in it; there are {}, and in `alert` all of an alert's document, as in `alert.camera.id`",
            NAMES.join(", ")
        )),
    }
}

/// Whether it is a function of the language, such as `range`.
fn is_built_in(environment: &Environment<'_>, name: &str) -> bool {
    environment.globals().any(|(global, _)| global == name)
}

/// One line: what is wrong, and in which line of the template.
fn explain(error: &minijinja::Error) -> String {
    let what = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => format!("{what} (line {line})"),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestAlert, alert};

    fn rendered(source: &str) -> String {
        let json = r#"{"camera": {"id": "gate"}, "details": {"score": -1.5}}"#;
        let alert = TestAlert {
            title: "Anomaly at <gate>".into(),
            json: json.into(),
            ..alert("7")
        };
        alert.with(|alert| Template::parse(source).unwrap().render(alert).unwrap())
    }

    #[test]
    fn an_alert_fills_it_in() {
        assert_eq!(
            rendered("{{ id }}: {{ title }} ({{ camera }}, {{ alert.details.score }})"),
            "7: Anomaly at <gate> (gate, -1.5)"
        );
        assert_eq!(rendered("{{ time }}"), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn a_score_is_put_in_words() {
        let of = |json: &str| {
            let alert = TestAlert {
                json: json.into(),
                ..alert("7")
            };
            alert.with(|alert| Template::parse("[{{ score }}]").unwrap().render(alert).unwrap())
        };
        assert_eq!(
            of(r#"{"details":{"score":-1.234}}"#),
            "[clearly abnormal (-1.23)]"
        );
        assert_eq!(of(r#"{"details":{"score":-7}}"#), "[very abnormal (-7.00)]");
        assert_eq!(of(r#"{"details":{"score":0.2}}"#), "[within the normal (0.20)]");
        assert_eq!(of("{}"), "[]");
    }

    #[test]
    fn what_an_alert_lacks_is_empty() {
        assert_eq!(
            rendered("[{{ alert.details.bbox.x }}{{ alert.nothing.at.all }}]"),
            "[]"
        );
    }

    #[test]
    fn faults_are_reported_with_their_line() {
        let why = Template::parse("good\n{{ bad").unwrap_err();
        assert!(why.contains("line 2"), "{why}");
        let why = Template::parse("{{ title }} at {{ place }}").unwrap_err();
        assert!(
            why.contains("no `place`") && why.contains("alert.camera.id"),
            "{why}"
        );
        let fine = "{% set n = 1 %}{% for a in range(3) %}{{ a + n }}{{ loop.index }}{% endfor %}{{ title | upper }}";
        assert!(Template::parse(fine).is_ok());
        let why = serde_json::from_str::<Template>(r#""{% nonsense %}""#).unwrap_err();
        assert!(why.to_string().contains("it is no template"), "{why}");
    }

    #[test]
    fn a_template_without_end_is_stopped() {
        let source = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        let fail = alert("7").with(|alert| Template::parse(source).unwrap().render(alert).unwrap_err());
        assert_eq!(fail.outcome(), crate::Outcome::Permanent);
    }

    #[test]
    fn html_is_escaped_where_that_is_wanted() {
        let template = Template::parse_html("<b>{{ title }}</b>").unwrap();
        let alert = TestAlert {
            title: "<gate>".into(),
            ..alert("7")
        };
        let text = alert.with(|alert| template.render(alert).unwrap());
        assert_eq!(text, "<b>&lt;gate&gt;</b>");
    }
}
