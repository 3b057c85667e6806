//! The sink on the bench, against a real broker.

use anyhow::Result;
use serde_json::{Value, json};
use watchpost_sink::testing::{Bench, TestAlert, TestFrame, alert};
use watchpost_sink::{Fail, Outcome};
use watchpost_testkit::{Mosquitto, PATIENCE, Published, Signal, eventually};

use crate::Mqtt;

/// A configuration for the broker, with what a test adds.
fn config(broker: &Mosquitto, more: &Value) -> String {
    let mut config = json!({
        "server": broker.server(),
        "ca_file": broker.file("ca.pem"),
        "user": Mosquitto::USER,
        "password": Mosquitto::PASSWORD,
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(config.as_object_mut().unwrap().remove(key)),
            value => config[key] = value.clone(),
        }
    }
    config.to_string()
}

fn bench(broker: &Mosquitto, more: &Value) -> Bench<Mqtt> {
    Bench::create(&config(broker, more), std::env::temp_dir()).unwrap()
}

fn with_picture(id: &str, bytes: &[u8]) -> TestAlert {
    let frame = TestFrame {
        mime: "image/jpeg".into(),
        name: "a.jpg".into(),
        bytes: bytes.into(),
        width: 4,
        height: 3,
    };
    TestAlert {
        frames: vec![frame],
        ..alert(id)
    }
}

fn find<'a>(messages: &'a [Published], topic: &str) -> Option<&'a Published> {
    messages.iter().find(|message| message.topic == topic)
}

/// Delivers until the connection is made: the first try may come before.
fn deliver(bench: &mut Bench<Mqtt>, alert: &TestAlert) -> Result<()> {
    eventually("the delivery", PATIENCE, || bench.deliver(alert))
}

#[test]
fn document_and_picture_arrive_in_both_versions() -> Result<()> {
    let broker = Mosquitto::start("")?;
    for version in ["5", "3.1.1"] {
        let subscriber = broker.subscribe(&format!("v{version}/#"))?;
        let base = format!("v{version}");
        let mut bench = bench(&broker, &json!({ "version": version, "base": base }));
        let picture = vec![0xa5; 300_000];
        let alert = with_picture("7", &picture);
        deliver(&mut bench, &alert)?;
        let topic = |last: &str| format!("{base}/gate/{last}");
        let messages = subscriber.until("the document", |messages| {
            find(messages, &topic("alert")).is_some()
        })?;
        assert_eq!(
            messages.last().map(|m| &m.topic),
            Some(&topic("alert")),
            "the document comes last"
        );
        assert!(
            find(&messages, &topic("picture")).unwrap().payload == picture,
            "the picture differs"
        );
        for last in ["alert", "state"] {
            assert_eq!(
                find(&messages, &topic(last)).unwrap().payload,
                alert.json.as_bytes()
            );
        }
        assert_eq!(
            find(&messages, &format!("{base}/status")).unwrap().payload,
            b"online"
        );

        let late = broker.subscribe(&format!("v{version}/gate/+"))?;
        let kept = late.until("what is kept", |messages| messages.len() == 2)?;
        assert!(
            kept.iter()
                .all(|m| m.retained && (m.topic == topic("state") || m.topic == topic("picture")))
        );
        drop(bench);
        subscriber.until("the last will", |messages| {
            messages.last().is_some_and(|m| m.payload == b"offline")
        })?;
    }
    Ok(())
}

#[test]
fn a_broker_that_comes_back_is_told_everything_again() -> Result<()> {
    let mut broker = Mosquitto::start("")?;
    let mut bench = bench(&broker, &json!({ "home_assistant": { "site": "Shop" } }));
    deliver(&mut bench, &alert("1"))?;
    broker.kill()?;
    let fail = eventually("the loss noticed", PATIENCE, || {
        match bench.deliver(&alert("2")) {
            Err(fail) => Ok(fail),
            Ok(()) => Err("delivered"),
        }
    })?;
    assert_eq!(fail.outcome(), Outcome::Retry, "{fail}");
    assert!(
        fail.to_string().contains("nobody listens") || fail.to_string().contains("closed"),
        "{fail}"
    );

    // It has forgotten what it kept.
    broker.restart()?;
    deliver(&mut bench, &alert("2"))?;
    let late = broker.subscribe("#")?;
    late.until("status, site, camera and state", |messages| {
        let topics = [
            "watchpost/status",
            "homeassistant/device/shop",
            "homeassistant/device/shop_",
            "watchpost/gate/state",
        ];
        topics
            .iter()
            .all(|start| messages.iter().any(|m| m.retained && m.topic.starts_with(start)))
    })?;
    let log = bench.log();
    assert_eq!(
        log.iter()
            .filter(|line| line.contains("connected to the broker"))
            .count(),
        2,
        "{log:?}"
    );
    Ok(())
}

#[test]
fn a_frozen_broker_is_left_when_the_call_is_cancelled() -> Result<()> {
    let mut broker = Mosquitto::start("")?;
    let mut bench = bench(&broker, &json!({}));
    deliver(&mut bench, &alert("1"))?;
    broker.process().signal(Signal::STOP)?;
    bench.cancel_next();
    let fail = bench.deliver(&alert("2")).unwrap_err();
    assert_eq!(fail.outcome(), Outcome::Retry);
    assert!(fail.to_string().contains("cancelled"), "{fail}");
    broker.process().signal(Signal::CONT)?;
    deliver(&mut bench, &alert("3"))
}

/// The first failure that is one of the broker's answer, not of a connection that is not made yet.
fn first_failure(broker: &Mosquitto, more: &Value) -> Fail {
    bench(broker, more).probe().unwrap_err()
}

#[test]
fn who_is_not_admitted_is_told_what_to_set() -> Result<()> {
    let broker = Mosquitto::start("")?;
    for (more, expected) in [
        (
            json!({ "password": "wrong" }),
            "set the right `user` and `password`",
        ),
        (
            json!({ "password": "wrong", "version": "3.1.1" }),
            "set the right `user` and `password`",
        ),
        (
            json!({ "user": null, "password": null }),
            "set the right `user` and `password`",
        ),
        (
            json!({ "ca_file": broker.file("client.pem") }),
            "set `ca_file` to its authority",
        ),
        (
            json!({ "server": broker.plain_server() }),
            "does not speak TLS at this port",
        ),
    ] {
        let fail = first_failure(&broker, &more);
        assert_eq!(fail.outcome(), Outcome::Retry, "{more}: {fail}");
        assert!(
            fail.retry_after().is_some(),
            "a person has to do something first: {fail}"
        );
        assert!(fail.to_string().contains(expected), "{more}: {fail}");
    }
    let fail = first_failure(
        &broker,
        &json!({ "server": broker.server().replace("127.0.0.1", "no-such-host.invalid") }),
    );
    assert_eq!(fail.outcome(), Outcome::Retry, "{fail}");
    Ok(())
}

#[test]
fn a_client_certificate_is_shown_where_it_is_wanted() -> Result<()> {
    let broker = Mosquitto::start("require_certificate true")?;
    let fail = first_failure(&broker, &json!({}));
    assert!(
        fail.to_string()
            .contains("it may want `cert_file` and `key_file`"),
        "{fail}"
    );
    let with = json!({ "cert_file": broker.file("client.pem"), "key_file": broker.file("client.key") });
    eventually("admission", PATIENCE, || bench(&broker, &with).probe())
}

#[test]
fn a_site_may_go_without_tls_and_keep_its_password_in_a_file() -> Result<()> {
    let broker = Mosquitto::start("")?;
    let file = broker.file("password");
    std::fs::write(&file, format!("{}\n", Mosquitto::PASSWORD))?;
    let plain = json!({
        "server": broker.plain_server(), "tls": false, "ca_file": null, "password": null, "password_file": file,
    });
    let mut bench = bench(&broker, &plain);
    eventually("the probe", PATIENCE, || bench.probe())?;
    assert!(
        bench.log().iter().any(|line| line.contains("goes over the wire")),
        "{:?}",
        bench.log()
    );
    Ok(())
}

#[test]
fn what_the_broker_refuses_is_told_in_version_5() -> Result<()> {
    let rules = tempfile::NamedTempFile::new()?;
    std::fs::write(
        rules.path(),
        format!("user {}\ntopic write allowed/#\n", Mosquitto::USER),
    )?;
    let broker = Mosquitto::start(&format!("acl_file {}", rules.path().display()))?;
    let mut bench = bench(&broker, &json!({}));
    let fail = bench.deliver(&alert("1")).unwrap_err();
    assert_eq!(fail.outcome(), Outcome::Retry);
    assert!(
        fail.to_string().contains("change its access list"),
        "{fail} {:?}",
        bench.log()
    );
    assert!(
        bench
            .log()
            .iter()
            .any(|line| line.contains("status or discovery")),
        "{:?}",
        bench.log()
    );
    Ok(())
}

#[test]
fn a_picture_that_is_too_large_for_the_broker_is_permanent_in_version_5() -> Result<()> {
    let broker = Mosquitto::start("max_packet_size 20000")?;
    let mut bench = bench(&broker, &json!({}));
    deliver(&mut bench, &with_picture("1", &[0; 10_000]))?;
    let fail = bench.deliver(&with_picture("2", &[0; 30_000])).unwrap_err();
    assert_eq!(fail.outcome(), Outcome::Permanent, "{fail}");
    assert!(fail.to_string().contains("the broker takes 20000"), "{fail}");
    deliver(&mut bench, &with_picture("3", &[0; 10_000]))
}

#[test]
fn a_file_that_is_not_there_is_named_with_its_place() {
    for (key, more) in [
        ("ca_file", json!({})),
        ("password_file", json!({ "user": "u" })),
        ("key_file", json!({ "cert_file": "/nowhere/cert.pem" })),
    ] {
        let mut config = more;
        config["server"] = "localhost:1".into();
        config[key] = "/nowhere/file".into();
        let fail = Bench::<Mqtt>::create(&config.to_string(), std::env::temp_dir()).unwrap_err();
        assert_eq!(fail.outcome(), Outcome::BadConfig, "{fail}");
        let place = if key == "key_file" {
            "/cert_file"
        } else {
            &format!("/{key}")
        };
        assert_eq!(
            fail.notes().next().map(|(pointer, _)| pointer),
            Some(place),
            "{fail}"
        );
    }
}

#[test]
fn it_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({ "server": "127.0.0.1:1", "tls": false });
    let findings = watchpost_sink::testing::conformance::<Mqtt>(&config, dir.path());
    assert_eq!(findings, [""; 0]);
}
