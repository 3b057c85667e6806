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
    Bench::create(&config(broker, more), watchpost_testkit::state_dir()).unwrap()
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
fn a_broker_that_comes_back_gets_everything_again() -> Result<()> {
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
        fail.to_string().contains("takes no connections") || fail.to_string().contains("closed"),
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
fn who_is_refused_reads_what_to_set() -> Result<()> {
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
            "/ca_file: the certificate of 127.0.0.1 comes from an authority",
        ),
        (
            json!({ "server": broker.plain_server() }),
            "speak TLS at this port",
        ),
    ] {
        let fail = first_failure(&broker, &more);
        assert_eq!(fail.outcome(), Outcome::Retry, "{more}: {fail}");
        assert!(
            fail.retry_after().is_some(),
            "the operator has to do something first: {fail}"
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
    eventually("the connection", PATIENCE, || bench(&broker, &with).probe())
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
fn a_topic_that_is_not_allowed_keeps_the_alert_in_version_5() -> Result<()> {
    let rules = tempfile::NamedTempFile::new()?;
    std::fs::write(
        rules.path(),
        format!("user {}\ntopic write allowed/#\n", Mosquitto::USER),
    )?;
    let broker = Mosquitto::start(&format!("acl_file {}", rules.path().display()))?;
    let mut bench = bench(&broker, &json!({}));
    let fail = bench.deliver(&alert("1")).unwrap_err();
    assert_eq!(fail.outcome(), Outcome::Retry);
    assert_eq!(
        fail.notes().next().unwrap().0,
        "/topic",
        "{fail} {:?}",
        bench.log()
    );
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

/// A JPEG that compresses badly.
fn noise(width: u32, height: u32) -> Vec<u8> {
    let mut state = 1u32;
    let picture = image::RgbImage::from_fn(width, height, |_, _| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        image::Rgb(state.to_le_bytes()[..3].try_into().unwrap())
    });
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90)
        .encode_image(&picture)
        .unwrap();
    bytes
}

#[test]
fn a_picture_that_is_too_large_for_the_broker_goes_smaller() -> Result<()> {
    // Said when connecting, or only of the message itself, and with a reason that the standard does not know there.
    for limit in ["max_packet_size 50000", "message_size_limit 50000"] {
        let broker = Mosquitto::start(limit)?;
        let subscriber = broker.subscribe("watchpost/#")?;
        let mut bench = bench(&broker, &json!({}));
        let picture = noise(640, 480);
        assert!(picture.len() > 200_000);
        deliver(&mut bench, &with_picture("1", &picture))?;
        let messages = subscriber.until("the document", |messages| {
            find(messages, "watchpost/gate/alert").is_some()
        })?;
        let sent = find(&messages, "watchpost/gate/picture").unwrap();
        assert!(
            sent.payload.len() <= 50_000 && sent.payload.starts_with(b"\xff\xd8"),
            "{limit}"
        );
        let documents = messages
            .iter()
            .filter(|m| m.topic == "watchpost/gate/alert")
            .count();
        assert_eq!(documents, 1, "{limit}: the document is sent once");
        // What cannot be made smaller is left out, and the document says so.
        deliver(&mut bench, &with_picture("2", &[0xff; 60_000]))?;
        let messages = subscriber.until("the second document", |messages| {
            messages
                .iter()
                .filter(|m| m.topic == "watchpost/gate/alert")
                .count()
                == 2
        })?;
        let document: Value = serde_json::from_slice(&messages.last().unwrap().payload)?;
        let why = document["picture_left_out"].as_str().unwrap();
        assert!(why.contains("left out"), "{why}");
    }
    Ok(())
}

#[test]
fn a_document_that_is_too_large_is_refused_for_good() -> Result<()> {
    let broker = Mosquitto::start("max_packet_size 20000")?;
    let mut bench = bench(&broker, &json!({}));
    deliver(&mut bench, &alert("1"))?;
    let mut large = alert("2");
    large.json = json!({ "camera": { "id": "gate" }, "text": "x".repeat(30_000) }).to_string();
    let fail = bench.deliver(&large).unwrap_err();
    assert_eq!(fail.outcome(), Outcome::Permanent, "{fail}");
    assert!(fail.to_string().contains("the broker takes 20000"), "{fail}");
    deliver(&mut bench, &alert("3"))
}

#[test]
fn a_broker_without_retained_messages_or_acknowledgements_gets_what_it_can_do() -> Result<()> {
    for (lacks, log) in [
        ("retain_available false", "set `retain = false`"),
        ("max_qos 0", "set `qos = 0`"),
    ] {
        let broker = Mosquitto::start(lacks)?;
        let subscriber = broker.subscribe("watchpost/gate/#")?;
        let mut bench = bench(&broker, &json!({}));
        deliver(&mut bench, &with_picture("1", b"picture"))?;
        subscriber.until("the document", |messages| {
            find(messages, "watchpost/gate/alert").is_some()
        })?;
        assert!(
            bench.log().iter().any(|line| line.contains(log)),
            "{:?}",
            bench.log()
        );
    }
    // An older broker only hangs up, so it has to be said.
    for (lacks, more) in [
        (
            "retain_available false",
            json!({ "version": "3.1.1", "retain": false }),
        ),
        ("max_qos 0", json!({ "version": "3.1.1", "qos": 0 })),
    ] {
        let broker = Mosquitto::start(lacks)?;
        let subscriber = broker.subscribe("watchpost/gate/#")?;
        let mut bench = bench(&broker, &more);
        deliver(&mut bench, &alert("1"))?;
        subscriber.until("the document", |messages| {
            find(messages, "watchpost/gate/alert").is_some()
        })?;
    }
    Ok(())
}

#[test]
fn a_message_that_is_sent_and_never_acknowledged_is_repeated_a_few_times_and_then_reported() -> Result<()> {
    let broker = MuteBroker::start()?;
    let dir = tempfile::tempdir()?;
    let config = json!({
        "server": broker.address.to_string(), "tls": false, "version": "3.1.1", "picture_topic": "", "state_topic": "",
    });
    for send in 1..=4 {
        let mut bench = Bench::<Mqtt>::create(&config.to_string(), dir.path()).unwrap();
        let fail = bench.deliver(&alert("7")).unwrap_err();
        let outcome = if send < 4 {
            Outcome::Retry
        } else {
            Outcome::Permanent
        };
        assert_eq!(fail.outcome(), outcome, "{fail}");
        assert!(fail.to_string().contains("of 4 times") || send == 4, "{fail}");
    }
    Ok(())
}

/// A broker that acknowledges the status and closes the connection when it gets an alert.
struct MuteBroker {
    address: std::net::SocketAddr,
}

impl MuteBroker {
    fn start() -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                drop(Self::serve(stream));
            }
        });
        Ok(Self { address })
    }

    fn serve(mut stream: std::net::TcpStream) -> std::io::Result<()> {
        use std::io::{Read as _, Write as _};
        loop {
            let mut kind = [0];
            stream.read_exact(&mut kind)?;
            let (mut length, mut shift) = (0usize, 0);
            loop {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                length |= usize::from(byte[0] & 0x7f) << shift;
                shift += 7;
                if byte[0] < 0x80 {
                    break;
                }
            }
            let mut packet = vec![0; length];
            stream.read_exact(&mut packet)?;
            match kind[0] >> 4 {
                1 => stream.write_all(&[0x20, 2, 0, 0])?,
                3 => {
                    let topic = usize::from(u16::from_be_bytes([packet[0], packet[1]]));
                    if packet[2..2 + topic].ends_with(b"/alert") {
                        return Ok(());
                    }
                    let id = [packet[2 + topic], packet[3 + topic]];
                    stream.write_all(&[0x40, 2, id[0], id[1]])?;
                }
                _ => {}
            }
        }
    }
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
        let fail = Bench::<Mqtt>::create(&config.to_string(), watchpost_testkit::state_dir()).unwrap_err();
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
