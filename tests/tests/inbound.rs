//! Programs post alerts to a running hub, which answers when they are on disk: each once, whole, and no more than fit.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Hub, HubSetup, PATIENCE, deliveries, eventually, fixtures, toml};

const TOKEN: &str = "a-token-of-the-yard";

/// A hub that listens on a free port and archives what is posted.
fn listening() -> Result<(Hub, SocketAddr)> {
    let setup = HubSetup::new()?;
    let archive = setup.dir().join("archive").display().to_string();
    let setup = setup
        .with(toml! {
            [web]
            listen = "127.0.0.1:0"
            [[connection]]
            name = "yard"
            kind = "inbound"
            token = TOKEN
            max_message = "128KiB"
            intake_buffer = "128KiB"
        })
        .sink("archive", "archive", toml! { dir = archive });
    let mut hub = setup.start()?;
    let address = eventually("the address in the log", PATIENCE, || {
        let log = hub.process().log();
        let line = log
            .lines()
            .find(|line| line.contains("listening for posted alerts"));
        let line = line.map(strip_colors).context("no such line")?;
        let address = line.split("address=").nth(1).context("no address")?;
        Ok::<SocketAddr, anyhow::Error>(address.trim().parse()?)
    })?;
    Ok((hub, address))
}

/// Log lines may be colored.
fn strip_colors(line: &str) -> String {
    let mut plain = String::new();
    let mut inside = false;
    for c in line.chars() {
        match c {
            '\u{1b}' => inside = true,
            'm' if inside => inside = false,
            _ if !inside => plain.push(c),
            _ => {}
        }
    }
    plain
}

/// An answer: its status, its head and its document.
struct Answer {
    status: u16,
    head: String,
    body: Value,
}

fn post(address: SocketAddr, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    let mut request = format!(
        "POST /api/v1/alerts HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{request}\r\n").as_bytes())?;
    // A server that refuses early may close before it has read all.
    let _ = stream.write_all(body);
    answer(stream)
}

fn answer(mut stream: TcpStream) -> Result<Answer> {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Answer {
        status,
        head: head.to_owned(),
        body: serde_json::from_str(body).unwrap_or_default(),
    })
}

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

fn post_json(address: SocketAddr, document: &Value) -> Result<Answer> {
    let headers = [
        ("Authorization", bearer()),
        ("Content-Type", "application/json".to_owned()),
    ];
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    post(address, &headers, document.to_string().as_bytes())
}

/// A picture as a backend sent it.
fn picture() -> Result<Vec<u8>> {
    let message: Value = serde_json::from_str(&fixtures::text("1_anomaly_detected_bbox.json")?)?;
    let base64 = message["annotated_frame"].as_str().context("a picture")?;
    Ok(base64_simd::STANDARD.decode_to_vec(base64)?)
}

fn anomaly(stream: &str) -> Result<Value> {
    Ok(json!({
        "id": 7, "stream_id": stream, "person_id": 1, "timestamp": "2026-11-23T01:16:30Z",
        "details": { "status": "new" },
        "frame": base64_simd::STANDARD.encode_to_string(picture()?),
    }))
}

#[test]
fn a_posted_alert_is_on_disk_when_it_is_accepted_and_reaches_the_sinks() -> Result<()> {
    let (mut hub, address) = listening()?;
    let accepted = post_json(address, &anomaly("front-door")?)?;
    ensure!(accepted.status == 202, "{} {}", accepted.head, accepted.body);
    // It survives the hub's sudden end.
    hub.kill()?;
    hub.restart()?;
    let id = accepted.body["id"].to_string();
    let shown: Value = serde_json::from_str(&hub.ask("alerts", &["--json", "show", &id])?)?;
    assert_eq!(
        (&shown["connection"], &shown["camera"]["id"]),
        (&json!("yard"), &json!("front-door"))
    );
    assert_eq!(shown["occurred_at"], "2026-11-23T01:16:30.000Z");
    hub.until("delivered", PATIENCE, |status| {
        deliveries(status, "delivered") == 1
    })?;
    let picture = std::fs::read_dir(hub.setup().dir().join("archive"))?.count();
    assert!(picture > 0, "the archive has it");
    Ok(())
}

#[test]
fn a_repeated_alert_is_stored_once_and_another_of_the_same_id_is_another() -> Result<()> {
    let (hub, address) = listening()?;
    let first = post_json(address, &anomaly("front-door")?)?;
    let again = post_json(address, &anomaly("front-door")?)?;
    assert_eq!((again.status, &again.body["id"]), (202, &first.body["id"]));
    assert_eq!(
        (&first.body["duplicate"], &again.body["duplicate"]),
        (&json!(false), &json!(true))
    );
    let other = post_json(address, &anomaly("back-door")?)?;
    assert_ne!(other.body["id"], first.body["id"]);

    let authorization = bearer();
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "request-1"),
    ];
    let gate = json!({ "title": "Gate open", "occurred_at": "2026-11-23T01:16:30Z" });
    let first = post(address, &headers, gate.to_string().as_bytes())?;
    let again = post(address, &headers, gate.to_string().as_bytes())?;
    assert_eq!(first.body["id"], again.body["id"]);
    let unnamed = post_json(address, &gate)?;
    assert_ne!(unnamed.body["id"], first.body["id"]);
    assert_eq!(hub.alerts()?.len(), 4);
    let counters = &hub.status()?["connections"][0]["counters"];
    assert_eq!(
        (&counters["stored"], &counters["duplicates"]),
        (&json!(4), &json!(2))
    );
    Ok(())
}

#[test]
fn a_picture_may_be_a_part_of_its_own() -> Result<()> {
    let (hub, address) = listening()?;
    let gate = json!({ "title": "Gate open", "occurred_at": "2026-11-23T01:16:30Z", "severity": "high" });
    let mut body = Vec::new();
    write!(
        body,
        "--cut\r\nContent-Disposition: form-data; name=\"alert\"\r\nContent-Type: application/json\r\n\r\n{gate}\r\n"
    )?;
    write!(
        body,
        "--cut\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n"
    )?;
    body.extend_from_slice(&picture()?);
    write!(body, "\r\n--cut--\r\n")?;
    let authorization = bearer();
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "multipart/form-data; boundary=cut"),
    ];
    let accepted = post(address, &headers, &body)?;
    ensure!(accepted.status == 202, "{} {}", accepted.head, accepted.body);
    let file = hub.setup().dir().join("shown.jpg");
    let id = accepted.body["id"].to_string();
    hub.ask("alerts", &["show", &id, "--picture", &file.display().to_string()])?;
    assert_eq!(std::fs::read(&file)?, picture()?);
    Ok(())
}

#[test]
fn what_cannot_be_taken_is_refused_with_the_reason() -> Result<()> {
    let (hub, address) = listening()?;
    let authorization = bearer();
    let json = ("Content-Type", "application/json");
    let good = anomaly("front-door")?.to_string();
    for (headers, body, status) in [
        (vec![json], good.clone(), 401),
        (vec![("Authorization", "Bearer wrong"), json], good.clone(), 401),
        (
            vec![
                ("Authorization", authorization.as_str()),
                ("Content-Type", "text/plain"),
            ],
            good,
            415,
        ),
        (
            vec![("Authorization", authorization.as_str()), json],
            "x".repeat(140_000),
            413,
        ),
    ] {
        let answer = post(address, &headers, body.as_bytes())?;
        ensure!(
            answer.status == status,
            "{status} expected: {} {}",
            answer.head,
            answer.body
        );
    }
    let mut wrong = anomaly("front-door")?;
    wrong["details"]["status"] = json!(7);
    let refused = post_json(address, &wrong)?;
    assert_eq!(
        (refused.status, &refused.body["pointer"]),
        (422, &json!("/details/status"))
    );
    assert_eq!(hub.alerts()?.len(), 0);
    Ok(())
}

#[test]
fn clients_that_hold_all_the_memory_there_is_have_the_others_wait() -> Result<()> {
    let (_hub, address) = listening()?;
    // One announces the largest request, and sends none of it.
    let mut slow = TcpStream::connect(address)?;
    slow.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST /api/v1/alerts HTTP/1.1\r\nHost: hub\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: 131072\r\n\r\n",
        bearer()
    );
    slow.write_all(head.as_bytes())?;
    eventually("no room for another", PATIENCE, || {
        let refused = post_json(address, &anomaly("front-door")?)?;
        ensure!(refused.status == 429, "{} {}", refused.head, refused.body);
        ensure!(
            refused.head.to_ascii_lowercase().contains("retry-after: 1"),
            "{}",
            refused.head
        );
        Ok(())
    })?;
    // It goes, and there is room again.
    drop(slow);
    eventually("room again", PATIENCE, || {
        let accepted = post_json(address, &anomaly("front-door")?)?;
        ensure!(accepted.status == 202, "{} {}", accepted.head, accepted.body);
        Ok(())
    })?;
    Ok(())
}
