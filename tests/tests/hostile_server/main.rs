//! Servers that mean it, or are broken, against the real hub: what they send costs little memory and ends, and what they
//! repeat of a request is shown nowhere.

mod server;

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use watchpost_testkit::{Authority, Hub, HubSetup, PATIENCE, Table, TempDir, artefacts, eventually, toml};

use server::{Answer, Request, Server, drain, frame};

const SHOP: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
const USER: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
/// Short enough for no rule about long runs of letters to hide it, and with what JSON escapes.
const PASSWORD: &str = "Zq7\"hunter\\2";
const TOKEN: &str = "Tk9-short-token";
/// What may come of a frame that only declares its size, in KiB.
const MAX_GROWTH_KIB: u64 = 16 << 10;

/// What a backend answers where nothing else is tried.
fn usual(request: &Request) -> Answer {
    let path = request.path.split('?').next().unwrap_or_default();
    match path {
        "/shops" => Answer::Json(
            200,
            json!([{ "id": SHOP, "owner_id": USER, "name": "Shop" }]).to_string(),
        ),
        "/auth/me" => Answer::Json(
            200,
            json!({ "id": USER, "name": "u", "email": "u@example.com", "role": "OWNER" }).to_string(),
        ),
        "/api/anomalies" => Answer::Json(200, json!({ "total": 0, "anomalies": [] }).to_string()),
        path if path.starts_with("/ws/alerts/") => Answer::Socket(drain),
        _ => Answer::Json(404, json!({ "error": "Not Found" }).to_string()),
    }
}

/// A hub that is connected to this server by a token.
fn start(server: &Server) -> Result<Hub> {
    start_with(server, Table::new())
}

/// The same with more keys of the connection.
fn start_with(server: &Server, more: Table) -> Result<Hub> {
    let (url, token, user) = (server.url(), TOKEN, USER);
    let mut connection = toml! {
        name = "shop"
        url = url
        user_id = user
        token = token
        reconnect = { initial = "100ms", max = "200ms" }
    };
    connection.extend(more);
    HubSetup::new()?.with(toml! { connection = [connection] }).start()
}

#[test]
fn a_frame_that_only_declares_its_size_takes_no_memory() -> Result<()> {
    for length in [1_u64 << 31, 1 << 40] {
        fn stream_with(mut stream: TcpStream, length: u64) {
            let mut head = vec![0x81, 127];
            head.extend(length.to_be_bytes());
            let zeros = vec![b'0'; 1 << 20];
            let mut sent = stream.write_all(&head);
            for _ in 0..256 {
                sent = sent.and_then(|()| stream.write_all(&zeros));
            }
            drain(stream);
        }
        let go: fn(TcpStream) = if length == 1 << 31 {
            |stream| stream_with(stream, 1 << 31)
        } else {
            |stream| stream_with(stream, 1 << 40)
        };
        let server = Server::start(move |request| match usual(request) {
            Answer::Socket(_) => Answer::Socket(go),
            other => other,
        })?;
        let usual_kib = {
            let hub = start(&Server::start(usual)?)?;
            hub.until("a connection", PATIENCE, |status| {
                status["connections"][0]["state"] == "connected"
            })?;
            hub.peak_memory_kib()?
        };
        let hub = start(&server)?;
        hub.until("three of them refused", PATIENCE, |status| {
            status["connections"][0]["counters"]["closed_by_hub"].as_u64() >= Some(3)
        })?;
        let kib = hub.peak_memory_kib()?;
        ensure!(
            kib < usual_kib + MAX_GROWTH_KIB,
            "{length} bytes declared: {kib} KiB, {usual_kib} KiB without"
        );
    }
    Ok(())
}

/// The payload of a ping is a part of what was received, which may be as large as a message.
#[test]
fn pings_that_are_not_read_keep_no_memory() -> Result<()> {
    fn ping(mut stream: TcpStream) {
        // Until the hub cannot write any more.
        let pings = frame(0x89, &[b'p'; 125]).repeat(40_000);
        let mut message = frame(0x81, format!(r#"{{"x":"{}"}}"#, "y".repeat(1 << 20)).as_bytes());
        message.extend(frame(0x89, b"q"));
        let mut sent = stream.write_all(&pings);
        for _ in 0..96 {
            sent = sent.and_then(|()| stream.write_all(&message));
        }
        // The hub has taken the last of them when it takes this: no other message is of an unknown type.
        let _ = sent.and_then(|()| stream.write_all(&frame(0x81, br#"{"type":"last"}"#)));
        // Nothing of what the hub writes is read, for as long as the test takes.
        std::mem::forget(stream);
    }
    let usual_kib = {
        let hub = start(&Server::start(usual)?)?;
        hub.until("a connection", PATIENCE, |status| {
            status["connections"][0]["state"] == "connected"
        })?;
        hub.peak_memory_kib()?
    };
    let server = Server::start(|request| match usual(request) {
        Answer::Socket(_) => Answer::Socket(ping),
        other => other,
    })?;
    let hub = start(&server)?;
    hub.until("the last message", PATIENCE * 2, |status| {
        status["connections"][0]["counters"]["ignored"] == json!(1)
    })?;
    let kib = hub.peak_memory_kib()?;
    ensure!(
        kib < usual_kib + MAX_GROWTH_KIB,
        "{kib} KiB, {usual_kib} KiB without"
    );
    Ok(())
}

/// Which page of the list a request asks for.
fn offset(request: &Request) -> Option<u64> {
    let (path, query) = request.path.split_once('?')?;
    let mut parts = query.split('&').filter_map(|part| part.strip_prefix("offset="));
    (path == "/api/anomalies")
        .then(|| parts.next()?.parse().ok())
        .flatten()
}

/// Rows that are newer than anything that was seen, with these ids.
fn rows(ids: impl Iterator<Item = u64>) -> String {
    let rows: Vec<String> = ids
        .map(|id| format!(r#"{{"id":"{id:x}","timestamp":"2099-01-01T00:00:00"}}"#))
        .collect();
    format!(r#"{{"total":1000000,"anomalies":[{}]}}"#, rows.join(","))
}

/// How often the list was asked for in its longest reading, once the hub has begun several.
fn longest_reading(page: fn(u64) -> String) -> Result<(u64, String)> {
    let server = Server::start(move |request| match offset(request) {
        Some(offset) => Answer::Json(200, page(offset)),
        None => usual(request),
    })?;
    longest_reading_of(&server, &start(&server)?)
}

fn longest_reading_of(server: &Server, hub: &Hub) -> Result<(u64, String)> {
    eventually("the list read several times", PATIENCE * 4, || {
        let offsets: Vec<u64> = server.requests().iter().filter_map(offset).collect();
        let readings = offsets.iter().filter(|offset| **offset == 0).count();
        // A reading begins with a few rows, and again where they are not enough.
        if readings >= 6 {
            Ok(())
        } else {
            Err(format!("{} requests in {readings} readings", offsets.len()))
        }
    })?;
    let (mut longest, mut current) = (0, 0);
    for offset in server.requests().iter().filter_map(offset) {
        current = if offset == 0 { 1 } else { current + 1 };
        longest = longest.max(current);
    }
    Ok((longest, hub.status()?["connections"][0].to_string()))
}

#[test]
fn a_list_that_repeats_its_rows_ends() -> Result<()> {
    let (longest, connection) = longest_reading(|_| rows(0..100))?;
    ensure!(longest <= 3, "{longest} requests in one reading; {connection}");
    Ok(())
}

#[test]
fn a_list_without_end_is_left() -> Result<()> {
    let (longest, connection) = longest_reading(|offset| rows(offset << 20..(offset << 20) + 60_000))?;
    ensure!(
        (2..=10).contains(&longest),
        "{longest} requests in one reading; {connection}"
    );
    ensure!(connection.contains("does not end"), "{connection}");
    Ok(())
}

/// Nothing that is shown to anybody has it.
fn check_hidden(hub: &mut Hub, secret: &str) -> Result<()> {
    let doctor = Command::new(artefacts()?.watchpost()?)
        .args(["doctor", "--config"])
        .arg(hub.setup().config_path())
        .output()?;
    let shown = [
        hub.status()?.to_string(),
        hub.ask("status", &[])?,
        hub.process().log(),
        String::from_utf8_lossy(&doctor.stdout).into_owned(),
        String::from_utf8_lossy(&doctor.stderr).into_owned(),
    ];
    let quoted = Value::from(secret).to_string();
    for text in shown {
        ensure!(
            !text.contains(secret) && !text.contains(&quoted[1..quoted.len() - 1]),
            "it is shown:\n{text}"
        );
    }
    Ok(())
}

#[test]
fn a_password_that_a_server_repeats_is_not_shown() -> Result<()> {
    let refusal = |request: &Request| {
        let repeated: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let password = &repeated["password"];
        json!({
            "error": format!("no: {}", password.as_str().unwrap_or_default()),
            "message": format!("what was sent is {}", request.body),
            "detail": [{ "msg": "bad", "input": repeated }],
            "details": [{ "field": "body -> password", "message": password }],
            "body_received": request.body,
        })
        .to_string()
    };
    let server = Server::start(move |request| match request.path.as_str() {
        "/auth/login" => Answer::Json(422, refusal(request)),
        _ => usual(request),
    })?;
    let (url, password) = (server.url(), PASSWORD);
    let setup = HubSetup::new()?.with(toml! {
        [hub]
        log = "trace"
        [[connection]]
        name = "shop"
        url = url
        login = { email = "u@example.com", password = password }
        reconnect = { initial = "100ms", max = "200ms" }
    });
    let mut hub = setup.start()?;
    let refused = hub.until("a refusal", PATIENCE, |status| {
        status["connections"][0]["last_failure"]
            .to_string()
            .contains("***")
    })?;
    ensure!(
        refused["connections"][0].to_string().contains("body -> password"),
        "{refused:#}"
    );
    check_hidden(&mut hub, PASSWORD)
}

#[test]
fn a_token_that_a_server_repeats_is_not_shown() -> Result<()> {
    fn close_with_token(mut stream: TcpStream) {
        let reason = [&4_000_u16.to_be_bytes()[..], format!("not {TOKEN}").as_bytes()].concat();
        // The hub may have left.
        let _ = stream.write_all(&frame(0x88, &reason));
        drain(stream);
    }
    let server = Server::start(|request| match usual(request) {
        Answer::Socket(_) => Answer::Socket(close_with_token),
        _ => Answer::Json(
            500,
            json!({ "message": format!("no: {}", request.head) }).to_string(),
        ),
    })?;
    let mut hub = start(&server)?;
    hub.until("a close with a reason", PATIENCE, |status| {
        status["connections"][0]["last_failure"]
            .to_string()
            .contains("not ***")
    })?;
    eventually("the list refused", PATIENCE, || {
        let asked = server
            .requests()
            .iter()
            .filter(|request| request.head.contains("Bearer"))
            .count();
        if asked > 2 {
            Ok(())
        } else {
            Err(format!("{asked} requests with the token"))
        }
    })?;
    check_hidden(&mut hub, TOKEN)
}

#[test]
fn what_a_server_says_is_no_line_of_log_of_its_own() -> Result<()> {
    fn close_with_forgery(mut stream: TcpStream) {
        let reason = [
            &4_001_u16.to_be_bytes()[..],
            "red\u{1b}[31m\nFORGED \u{202e}line".as_bytes(),
        ]
        .concat();
        // The hub may have left.
        let _ = stream.write_all(&frame(0x88, &reason));
        drain(stream);
    }
    let server = Server::start(|request| match usual(request) {
        Answer::Socket(_) => Answer::Socket(close_with_forgery),
        other => other,
    })?;
    let mut hub = start(&server)?;
    let log = eventually("the reason in the log", PATIENCE, || {
        let log = hub.process().log();
        if log.contains("FORGED") { Ok(log) } else { Err(log) }
    })?;
    ensure!(
        log.contains(r"\nFORGED") && !log.contains(['\u{1b}', '\u{202e}']),
        "{log}"
    );
    hub.stop()?;
    Ok(())
}

#[test]
fn a_picture_in_lines_or_in_the_alphabet_of_urls_is_a_picture() -> Result<()> {
    fn alerts(mut stream: TcpStream) {
        for (stream_id, picture) in [
            ("lines", "/9j/4AAEAQL/\\r\\nwAAICAACAAMB\\r\\n/9oAAwEHB//Z\\n"),
            ("urls", "_9j_4AAEAQL_wAAICAACAAMB_9oAAwEHB__Z"),
        ] {
            let alert = format!(
                r#"{{"type":"anomaly_detected","user_id":"{USER}","stream_id":"{stream_id}","result":{{"person_id":1,"frame_number":1,"score":-1.0}},"annotated_frame":"{picture}","frame_format":"jpeg"}}"#
            );
            let _ = stream.write_all(&frame(0x81, alert.as_bytes()));
        }
        drain(stream);
    }
    let server = Server::start(|request| match usual(request) {
        Answer::Socket(_) => Answer::Socket(alerts),
        other => other,
    })?;
    let hub = start(&server)?;
    hub.until("both alerts", PATIENCE, |status| {
        status["connections"][0]["counters"]["stored"] == json!(2)
    })?;
    let alerts = hub.alerts()?;
    let pictures: Vec<&Value> = alerts
        .iter()
        .filter(|alert| alert["kind"] == "anomaly")
        .map(|alert| &alert["picture"]["jpeg"]["width"])
        .collect();
    ensure!(
        pictures.len() == 2 && pictures.iter().all(|width| **width == json!(3)),
        "{alerts:#?}"
    );
    Ok(())
}

/// What a proxy may send while it waits, and what none should.
const INTERIM: &str =
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";

/// Before the handshake and before every other answer, over TLS too.
#[test]
fn interim_answers_are_skipped() -> Result<()> {
    fn answer(request: &Request) -> Answer {
        let answer = match offset(request) {
            Some(offset) => Answer::Json(200, rows(offset..(offset + 100).min(LISTED))),
            None => usual(request),
        };
        Answer::After(INTERIM, Box::new(answer))
    }
    const LISTED: u64 = 250;
    let dir = TempDir::new()?;
    let authority = Authority::new(dir.path(), &["localhost"])?;
    for server in [Server::start(answer)?, Server::start_tls(&authority, answer)?] {
        let ca = authority.ca().display().to_string();
        let hub = start_with(&server, toml! { ca_file = ca })?;
        hub.until("a connection", PATIENCE, |status| {
            status["connections"][0]["state"] == "connected"
        })?;
        let (longest, connection) = longest_reading_of(&server, &hub)?;
        ensure!(longest >= 3, "{longest} requests in one reading; {connection}");
    }
    Ok(())
}

#[test]
fn interim_answers_without_end_or_with_a_body_end_the_attempt() -> Result<()> {
    for heads in [
        "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(40),
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n12345".to_owned(),
    ] {
        let heads: &'static str = heads.leak();
        let server = Server::start(move |request| match usual(request) {
            socket @ Answer::Socket(_) => Answer::After(heads, Box::new(socket)),
            other => other,
        })?;
        let mut hub = start(&server)?;
        eventually("several attempts", PATIENCE, || {
            let requests = server.requests();
            let attempts = requests
                .iter()
                .filter(|request| request.path.starts_with("/ws/alerts/"));
            match attempts.count() {
                attempts if attempts > 2 => Ok(()),
                attempts => Err(format!("{attempts} attempts")),
            }
        })?;
        ensure!(
            hub.status()?["connections"][0]["counters"]["opened"] != json!(1),
            "it opened"
        );
        ensure!(
            !hub.process().log().contains("panicked"),
            "{}",
            hub.process().log()
        );
        hub.stop()?;
    }
    Ok(())
}
