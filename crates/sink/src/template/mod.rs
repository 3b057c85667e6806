//! Texts that a site writes itself: templates in the language of Jinja, filled with an alert.

mod check;
mod document;
mod filters;

use std::borrow::Cow;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};

use crate::samples::known_keys;
use crate::{Alert, Fail, Severity};

/// The name under which the one template of an environment is known.
const NAME: &str = "template";

/// What it is filled with.
const NAMES: [&str; 12] = [
    "id", "title", "text", "severity", "time", "when", "late", "camera", "site", "score", "alert", "words",
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
/// | `score` | how abnormal it was, in words, such as `strongly abnormal (-3.48)`; empty where it has none |
/// | `alert` | all of its JSON document, as in `alert.camera.id` |
/// | `words` | the default texts, as in `words.mail.camera`; see [`words`](crate::words) |
///
/// and the filters, besides those of the language:
///
/// | filter | what | example | gives |
/// |---|---|---|---|
/// | `local_time` | a time by the clocks at the site; the format is that of `strftime` | `alert.received_at \| local_time("%a %H:%M")` | `Mon 02:16` |
/// | `ago` | how long before the alert was received | `alert.occurred_at \| ago` | `3 h 2 min` |
/// | `duration` | seconds in words, in its two largest units | `3905 \| duration` | `1 h 5 min` |
/// | `score_in_words` | a score of VisionGuard: below -5 `extremely abnormal`, below -3 `strongly abnormal`, below -2 `abnormal`, below 0 `slightly abnormal`, and else `normal` | `alert.details.score \| score_in_words` | `strongly abnormal` |
/// | `camera_label` | what to call a camera: its name, else its id, else `unknown camera` | `alert.camera \| camera_label` | `Back door` |
/// | `plural` | a number with its noun | `alert.digest.count \| plural("alert", "alerts")` | `1,204 alerts` |
///
/// What `alert` does not have is an empty text and false: an alert must not fail for want of a detail. A name that no alert has
/// is an error when the configuration is read. So is what fails with one of the alerts that every template is tried with
/// then: [`samples`](crate::testing::samples).
#[derive(Clone, Debug)]
pub struct Template {
    source: String,
    environment: Environment<'static>,
}

impl Template {
    /// Reads a template, and tries it with an alert of every kind.
    ///
    /// # Errors
    /// What is wrong with it, with the line and the column.
    pub fn parse(source: &str) -> Result<Self, String> {
        // What a text is put into knows best how it is quoted there.
        Self::load(source, AutoEscape::None)
    }

    /// The same as HTML: `<`, `>`, `&` and quotes in what is filled in are escaped.
    ///
    /// # Errors
    /// What is wrong with it, with the line and the column.
    pub fn parse_html(source: &str) -> Result<Self, String> {
        Self::load(source, AutoEscape::Html)
    }

    fn load(source: &str, escape: AutoEscape) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_debug(true);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(move |_| escape);
        environment.set_fuel(Some(FUEL));
        filters::add_to(&mut environment);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| check::explain(&error, source))?;
        let mut template = Self {
            source: source.to_owned(),
            environment,
        };
        check::names(&template)?;
        check::rehearse(&template)?;
        // An alert that is like none of the samples is not lost for a detail.
        template
            .environment
            .set_undefined_behavior(UndefinedBehavior::Chainable);
        Ok(template)
    }

    /// The text for this alert.
    ///
    /// # Errors
    /// A permanent failure: the template does something impossible with this alert.
    pub fn render(&self, alert: &Alert<'_>) -> Result<String, Fail> {
        self.fill(alert).map_err(|error| {
            let why = check::explain(&error, &self.source);
            Fail::permanent(format_args!("the template fails: {why}"))
        })
    }

    fn fill(&self, alert: &Alert<'_>) -> Result<String, minijinja::Error> {
        let score = alert.json()["details"]["score"].as_f64();
        self.environment.get_template(NAME)?.render(context! {
            id => alert.id(),
            title => alert.title(),
            text => alert.text(),
            severity => word(alert.severity()),
            time => alert.local_time(),
            when => alert.when(),
            late => alert.is_late(),
            camera => alert.camera().unwrap_or_default(),
            site => alert.site().unwrap_or_default(),
            score => score.map(filters::score).unwrap_or_default(),
            alert => document::Table::of(alert, known_keys()),
            words => document::texts(),
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestAlert, alert, samples};

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
        for (score, words) in [
            ("-7", "[extremely abnormal (-7.00)]"),
            ("-5", "[strongly abnormal (-5.00)]"),
            ("-2.5", "[abnormal (-2.50)]"),
            ("-1.234", "[slightly abnormal (-1.23)]"),
            ("0.2", "[normal (0.20)]"),
        ] {
            assert_eq!(of(&format!(r#"{{"details":{{"score":{score}}}}}"#)), words);
        }
        assert_eq!(of("{}"), "[]");
    }

    #[test]
    fn what_an_alert_lacks_is_empty() {
        for (source, text) in [
            ("{{ alert.details.bbox.x }}", ""),
            ("{{ alert.camera.name or alert.camera.id }}", "gate"),
            ("{{ 'a name' if alert.camera.name else 'none' }}", "none"),
            ("{{ alert.camera.name | default('no name') }}", "no name"),
            (
                "{{ alert.digest is defined }} {{ alert.camera is defined }}",
                "False True",
            ),
            (
                "{% for id in alert.digest.ids %}x{% else %}none{% endfor %}",
                "none",
            ),
            ("{{ alert.digest.ids[0] }}", ""),
            ("{{ alert.panic.why | upper ~ '!' }}", "!"),
            (
                "{{ alert.details.bbox | tojson }} {{ alert.camera | tojson }}",
                r#"null {"id":"gate"}"#,
            ),
            ("{{ alert.visionguard.pose.of.any.kind }}", ""),
            ("{{ alert.digest.count | plural('alert', 'alerts') }}", ""),
            (
                "{{ alert.occurred_at | local_time }}{{ alert.occurred_at | ago }}",
                "",
            ),
        ] {
            assert_eq!(rendered(source), text, "{source}");
        }
    }

    #[test]
    fn what_the_samples_do_not_have_costs_no_alert() {
        let template = Template::parse("[{{ alert[severity ~ '_level'] if id == '7' }}]").unwrap();
        assert_eq!(
            alert("7").with(|alert| template.render(alert)),
            Ok("[]".to_owned())
        );
    }

    #[test]
    fn faults_are_reported_with_their_place() {
        for (source, expected) in [
            ("good\n{{ bad", "line 2, column "),
            (
                "{{ title }} at\n {{ place }}",
                "there is no `place` in it; there are id, title, ",
            ),
            ("{{ title }} at\n {{ place }}", " (line 2, column 5)"),
            (
                "{{ alert.camrea.id }}",
                "there is no `alert.camrea.id`; `alert` can have about, also_over, area, camera, ",
            ),
            (
                "{{ alert.camera.label }}",
                "`alert.camera` can have area, id, name (line 1, column 17)",
            ),
            ("{{ alert.title.en }}", "`alert.title` is no table"),
            (
                "{{ camera.name }}",
                "`camera` is a text and has no `name`: write `alert.camera.name`",
            ),
            // Where no alert leads, too.
            (
                "{% if false %}{{ alert.place }}{% endif %}",
                "there is no `alert.place`",
            ),
            (
                "{{ alert['pla' ~ 'ce'] }}",
                "it fails with an anomaly: undefined value (line 1, column ",
            ),
            (
                "{{ alert.details.score | round(2) }}",
                "it fails with an anomaly without a score, a picture and a camera's name: ",
            ),
            (
                "{% if alert.digest and alert.digest.count > 7 %}{{ title + 7 }}{% endif %}",
                "it fails with a digest: ",
            ),
            (
                "{{ title | nonsense }}",
                "filter nonsense is unknown (line 1, column ",
            ),
            (
                "{{ alert.received_at | local_time('%Q') }}",
                "a time has no `%Q`; there are %Y ",
            ),
            ("{{ title | duration }}", "is no number"),
            (
                "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
                "it fails with an anomaly: ",
            ),
        ] {
            let why = Template::parse(source).unwrap_err();
            assert!(why.contains(expected), "{source}: {why}");
        }
        let fine = "{% set n = 1 %}{% for a in range(3) %}{{ a + n }}{{ loop.index }}{% endfor %}{{ title | upper }}";
        assert!(Template::parse(fine).is_ok());
        let why = serde_json::from_str::<Template>(r#""{% nonsense %}""#).unwrap_err();
        assert!(why.to_string().contains("it is no template"), "{why}");
    }

    #[test]
    fn the_filters_do_what_their_table_says() {
        let documented = include_str!("mod.rs")
            .lines()
            .filter(|line| line.starts_with("/// | `"));
        let mut tried = 0;
        for line in documented {
            let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
            let [_, _, _, example, gives] = cells.as_slice() else {
                continue;
            };
            let (example, gives) = (
                example.trim_matches('`').replace("\\|", "|"),
                gives.trim_matches([' ', '|', '`']),
            );
            let template = Template::parse(&format!("{{{{ {example} }}}}")).unwrap();
            let given: Vec<String> = samples()
                .iter()
                .map(|sample| sample.alert.with(|alert| template.render(alert).unwrap()))
                .collect();
            assert!(given.iter().any(|text| text == gives), "{example}: {given:?}");
            tried += 1;
        }
        assert_eq!(tried, 6);
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
