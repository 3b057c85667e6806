//! What every host may do to a sink, done to it. Knows nothing of what the sink is for.

use std::path::Path;

use serde_json::{Value, json};

use crate::samples::samples;
use crate::testing::{Bench, TestAlert, TestFrame, alert};
use crate::{Outcome, Severity, Sink};

/// Puts a sink through what any host may do to it, and gives what it does wrong; a sink that conforms gives nothing.
///
/// `config` is one that works, at least as far as [`Sink::create`]; what it leads to need not be there. The sink has to:
///
/// - document every key of its configuration, and refuse a key that it does not know;
/// - give an example that it accepts itself;
/// - answer what is no configuration with [`Outcome::BadConfig`];
/// - survive alerts of every kind ([`samples`](crate::testing::samples)) and odd ones (no text, a megabyte of it, many
///   pictures, none, pictures that are none), and say of each what becomes of it, which is never that the configuration is bad
///   or the instance useless;
/// - return from a call that is cancelled, and go on after it;
/// - have [`Sink::PROBES`] tell the truth;
/// - be created again where it has left something.
///
/// ```
/// use watchpost_sink::testing::conformance;
/// # use watchpost_sink::{Alert, Call, Description, Fail, Host, Sink};
/// # struct Bell;
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # #[serde(deny_unknown_fields)]
/// # struct Config {
/// #     /// How often it rings.
/// #     rings: u8,
/// # }
/// # impl Sink for Bell {
/// #     type Config = Config;
/// #     fn create(_config: Config, _host: &Host) -> Result<Self, Fail> { Ok(Self) }
/// #     fn deliver(&mut self, _alert: &Alert<'_>, _call: &Call<'_>) -> Result<(), Fail> { Ok(()) }
/// #     fn description() -> Description { Description::default().example(serde_json::json!({ "rings": 3 })) }
/// # }
///
/// let config = serde_json::json!({ "rings": 3 });
/// assert_eq!(conformance::<Bell>(&config, &std::env::temp_dir()), [""; 0]);
/// ```
pub fn conformance<S: Sink>(config: &Value, state_dir: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    description::<S>(&mut findings);
    refusals::<S>(config, &mut findings);
    // The second time it finds what the first has left.
    for again in [false, true] {
        let mut bench = match Bench::<S>::create(&config.to_string(), state_dir) {
            Ok(bench) => bench,
            Err(fail) if fail.outcome() == Outcome::Retry => return findings,
            Err(fail) => {
                findings.push(format!(
                    "create: {fail}; only a world that is not ready may refuse it"
                ));
                return findings;
            }
        };
        probing(&mut bench, &mut findings);
        deliveries(&mut bench, &mut findings);
        for sample in samples().iter().filter(|_| !again) {
            deliver(&mut bench, &sample.what, &sample.alert, &mut findings);
        }
    }
    findings
}

fn description<S: Sink>(findings: &mut Vec<String>) {
    let description = Bench::<S>::describe();
    schema(&description["schema"], "", findings);
    match description.get("example") {
        None => findings.push("description: there is no example".to_owned()),
        Some(example) => {
            if let Err(fail) = Bench::<S>::check(&example.to_string()) {
                findings.push(format!("description: the example is refused: {fail}"));
            }
        }
    }
}

/// Every key is described, and every table knows its keys.
fn schema(schema: &Value, at: &str, findings: &mut Vec<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        if schema["additionalProperties"] != false {
            let table = if at.is_empty() { "the configuration" } else { at };
            findings.push(format!(
                "schema: {table} takes unknown keys; it needs `deny_unknown_fields`"
            ));
        }
        for (name, property) in properties {
            let at = format!("{at}/{name}");
            if property["description"].as_str().is_none_or(str::is_empty) {
                findings.push(format!("schema: {at} is not described"));
            }
            self::schema(property, &at, findings);
        }
    }
    let definitions = schema["$defs"].as_object().into_iter().flatten();
    for (name, definition) in definitions {
        self::schema(definition, &format!("{at}({name})"), findings);
    }
}

fn refusals<S: Sink>(config: &Value, findings: &mut Vec<String>) {
    let mut unknown = config.clone();
    unknown["no such key, surely"] = json!(1);
    for text in ["", "{", "[]", "7", &unknown.to_string()] {
        match Bench::<S>::check(text) {
            Err(fail) if fail.outcome() == Outcome::BadConfig => {}
            Err(fail) => findings.push(format!(
                "check of `{text}`: {fail}, which is no bad configuration"
            )),
            Ok(()) => findings.push(format!("check accepts `{text}`")),
        }
    }
}

fn probing<S: Sink>(bench: &mut Bench<S>, findings: &mut Vec<String>) {
    let outcome = bench.probe().map_or_else(|fail| fail.outcome(), |()| Outcome::Ok);
    if (outcome == Outcome::Unsupported) == S::PROBES {
        findings.push(format!("probe: {outcome:?}, and PROBES is {}", S::PROBES));
    }
}

fn deliveries<S: Sink>(bench: &mut Bench<S>, findings: &mut Vec<String>) {
    for (what, alert) in odd_alerts() {
        deliver(bench, what, &alert, findings);
        bench.cancel_next();
        deliver(bench, &format!("{what}, cancelled"), &alert, findings);
    }
}

fn deliver<S: Sink>(bench: &mut Bench<S>, what: &str, alert: &TestAlert, findings: &mut Vec<String>) {
    let Err(fail) = bench.deliver(alert).and_then(|()| bench.flush()) else {
        return;
    };
    if let Outcome::BadConfig | Outcome::Fatal | Outcome::Unsupported = fail.outcome() {
        findings.push(format!("deliver of {what}: {fail}"));
    }
}

fn odd_alerts() -> Vec<(&'static str, TestAlert)> {
    let frame = |mime: &str, bytes: Vec<u8>| TestFrame {
        mime: mime.into(),
        name: "frame.jpg".into(),
        bytes,
        width: 0,
        height: 0,
    };
    let empty = TestAlert {
        severity: Severity::Low,
        title: String::new(),
        text: String::new(),
        json: "{}".into(),
        unix_ms: 0,
        ..alert("empty")
    };
    let large = TestAlert {
        severity: Severity::Critical,
        title: "ä\u{1f6a8}\0\r\n".repeat(1_000),
        text: "ü\u{202e}\0\r\n.\r\n".repeat(100_000),
        json: json!({ "text": "x".repeat(1 << 20) }).to_string(),
        unix_ms: u64::MAX,
        ..alert("large")
    };
    let pictures = TestAlert {
        frames: vec![
            frame("image/jpeg", vec![0xff; 1 << 20]),
            frame("text/html; name=\"../../x\"\r\n", b"<script>".to_vec()),
            frame("", Vec::new()),
        ],
        ..alert("pictures")
    };
    let no_json = TestAlert {
        json: "no JSON at all".into(),
        ..alert("no-json")
    };
    vec![
        ("an alert", alert("usual")),
        ("an alert without texts", empty),
        ("an alert of megabytes", large),
        ("an alert with odd pictures", pictures),
        ("an alert whose document is none", no_json),
    ]
}
