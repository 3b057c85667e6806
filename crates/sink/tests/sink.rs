//! A sink with a bit of everything, called as the host calls it.
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use watchpost_sink::testing::{Bench, TestFrame, alert};
use watchpost_sink::{
    Alert, Call, Canceller, Description, Fail, Host, Level, Needs, Outcome, Severity, Sink, export_sink,
};

struct Trial {
    host: Host,
    unflushed: u32,
    last_cancel: Arc<AtomicU64>,
}

/// How the trial goes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where to.
    #[serde(default)]
    servers: Vec<Server>,
    #[serde(default)]
    panic: bool,
}

#[derive(Deserialize, JsonSchema)]
struct Server {
    /// TCP port.
    port: u16,
}

impl Sink for Trial {
    type Config = Config;
    const FLUSHES: bool = true;
    const PROBES: bool = true;

    fn check(config: &Config) -> Result<(), Fail> {
        match config.servers.iter().position(|server| server.port == 0) {
            Some(index) => {
                Err(Fail::bad_config(&format!("/servers/{index}/port"), "must not be 0").and("", "as said"))
            }
            None => Ok(()),
        }
    }

    fn create(config: Config, host: &Host) -> Result<Self, Fail> {
        assert!(!config.panic, "at creation");
        host.log(
            Level::Info,
            format_args!("{} in {}", host.instance(), host.state_dir().display()),
        );
        Ok(Self {
            host: host.clone(),
            unflushed: 0,
            last_cancel: Arc::default(),
        })
    }

    fn deliver(&mut self, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
        self.unflushed += 1;
        match alert.title() {
            "retry" => Err(Fail::retry("the server is away").after(Duration::from_secs(2))),
            "io" => Ok(std::fs::read("/nonexistent/file").map(drop)?),
            "permanent" => Err(Fail::permanent("too large")),
            "panic" => panic!("number {}", 7),
            "panic with a bomb" => std::panic::panic_any(Bomb),
            "cancelled" => Err(Fail::retry(format_args!("cancelled: {}", call.cancelled()))),
            "look" => {
                assert_eq!(alert.severity(), Severity::High);
                assert_eq!(alert.json()["camera"]["id"], "gate");
                assert_eq!(alert.time(), UNIX_EPOCH + Duration::from_millis(alert.unix_ms()));
                let frame = &alert.frames()[0];
                assert_eq!(
                    (frame.mime(), frame.name(), frame.bytes()),
                    ("image/jpeg", "a.jpg", &b"bytes"[..])
                );
                assert_eq!(
                    (frame.width(), frame.height(), alert.frames().len()),
                    (Some(4), None, 2)
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn flush(&mut self, _call: &Call<'_>) -> Result<(), Fail> {
        self.host.log(
            Level::Debug,
            format_args!("flushed {}", std::mem::take(&mut self.unflushed)),
        );
        Ok(())
    }

    fn probe(&mut self, call: &Call<'_>) -> Result<(), Fail> {
        assert_eq!((call.attempt(), call.remaining()), (0, None));
        Ok(())
    }

    fn canceller(&self) -> Option<Canceller> {
        let last = Arc::clone(&self.last_cancel);
        Some(Arc::new(move |call_id| last.store(call_id, Ordering::Relaxed)))
    }

    fn description() -> Description {
        let needs = Needs {
            connect: vec!["config.servers".into()],
            ..Needs::default()
        };
        Description::default()
            .example(json!({"servers": [{"port": 25}]}))
            .needs(needs)
    }
}

/// A panic payload that panics again when dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the bomb went off");
    }
}

export_sink!(Trial, id: "trial", name: "Trial", summary: "Tries everything.");

fn bench(config: &str) -> Result<Bench<Trial>, Fail> {
    Bench::create(config, "/var/lib/trial")
}

fn deliver(bench: &mut Bench<Trial>, title: &str) -> Result<(), Fail> {
    let mut alert = alert("1");
    alert.title = title.into();
    bench.deliver(&alert)
}

#[test]
fn every_fail_reaches_the_host() {
    let mut bench = bench("{}").unwrap();
    deliver(&mut bench, "ok").unwrap();
    let retry = deliver(&mut bench, "retry").unwrap_err();
    assert_eq!(
        (retry.outcome(), retry.retry_after()),
        (Outcome::Retry, Some(Duration::from_secs(2)))
    );
    let io = deliver(&mut bench, "io").unwrap_err();
    assert_eq!(
        io.to_string(),
        "try again later: No such file or directory (os error 2)"
    );
    let permanent = deliver(&mut bench, "permanent").unwrap_err();
    assert_eq!(permanent.to_string(), "will never work: too large");
    bench.flush().unwrap();
    bench.probe().unwrap();
    assert_eq!(bench.log(), ["test in /var/lib/trial", "flushed 4"]);
}

#[test]
fn an_alert_is_seen_whole() {
    let mut alert = alert("1");
    alert.title = "look".into();
    let frame = TestFrame {
        mime: "image/jpeg".into(),
        name: "a.jpg".into(),
        bytes: b"bytes".into(),
        width: 4,
        height: 0,
    };
    alert.frames = vec![frame.clone(), frame];
    bench("{}").unwrap().deliver(&alert).unwrap();
}

#[test]
fn a_panic_ends_the_instance_and_nothing_else() {
    for (title, message) in [("panic", "number 7"), ("panic with a bomb", "without a message")] {
        let mut bench = bench("{}").unwrap();
        let fail = deliver(&mut bench, title).unwrap_err();
        assert_eq!(fail, Fail::fatal(format!("the sink panicked: {message}")));
        assert_eq!(
            deliver(&mut bench, "ok").unwrap_err(),
            Fail::fatal("the sink has panicked before")
        );
        assert_eq!(
            bench.log()[1],
            "the sink panicked in `deliver`; it is created again"
        );
    }
    assert_eq!(
        bench(r#"{"panic":true}"#).unwrap_err(),
        Fail::fatal("the sink panicked: at creation")
    );
}

#[test]
fn a_bad_configuration_is_refused_with_its_place() {
    let check = |config| Bench::<Trial>::check(config).unwrap_err().to_string();
    assert_eq!(
        check(r#"{"server":[]}"#),
        "bad configuration: /server: unknown field `server`, expected `servers` or `panic`"
    );
    assert_eq!(
        check(r#"{"servers":[{"port":1},{"port":"x"}]}"#),
        "bad configuration: /servers/1/port: invalid type: string \"x\", expected u16"
    );
    assert_eq!(
        check(r#"{"servers":[{"port":0}]}"#),
        "bad configuration: /servers/0/port: must not be 0; as said"
    );
    assert_eq!(
        bench(r#"{"servers":[{"port":0}]}"#).unwrap_err().outcome(),
        Outcome::BadConfig
    );
    Bench::<Trial>::check(r#"{"servers":[{"port":1}]}"#).unwrap();
}

#[test]
fn a_call_can_see_that_it_is_cancelled() {
    let mut bench = bench("{}").unwrap();
    bench.cancel_next();
    assert_eq!(
        deliver(&mut bench, "cancelled").unwrap_err(),
        Fail::retry("cancelled: true")
    );
    assert_eq!(
        deliver(&mut bench, "cancelled").unwrap_err(),
        Fail::retry("cancelled: false")
    );
}

#[test]
fn it_describes_itself() {
    let described = Bench::<Trial>::describe();
    let expected = json!({
        "example": {
            "servers": [
                {
                    "port": 25
                }
            ]
        },
        "needs": {
            "connect": [
                "config.servers"
            ]
        },
        "schema": {
            "$defs": {
                "Server": {
                    "properties": {
                        "port": {
                            "description": "TCP port.",
                            "format": "uint16",
                            "maximum": 65535,
                            "minimum": 0,
                            "type": "integer"
                        }
                    },
                    "required": [
                        "port"
                    ],
                    "type": "object"
                }
            },
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "additionalProperties": false,
            "description": "How the trial goes.",
            "properties": {
                "panic": {
                    "default": false,
                    "type": "boolean"
                },
                "servers": {
                    "description": "Where to.",
                    "items": {
                        "$ref": "#/$defs/Server"
                    },
                    "type": "array"
                }
            },
            "title": "Config",
            "type": "object"
        }
    });
    assert_eq!(described, expected);
}

#[test]
fn the_exported_table_is_complete() {
    let table = &watchpost_sink_v1;
    assert_eq!((table.magic, table.abi_major), (watchpost_sink_abi::MAGIC, 1));
    assert!(table.flush.is_some() && table.probe.is_some() && table.cancel.is_some());
}
