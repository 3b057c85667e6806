//! The faults of the real backend that a client must survive, and their absence in a sane one.

use std::time::Duration;

use awc::ws::Message;
use watchpost_simulator::{Command, Options, Running};

use crate::client::{End, LIMIT, Socket, ask, get, quiet, run, until};

async fn registered(simulator: &Running) -> bool {
    let path = format!("/ws/connections/{}", simulator.user_id());
    ask(simulator, "GET", &path, None, None).await.status == 200
}

/// Proves that the socket lives though it gets no alerts.
async fn answers_pings(socket: &mut Socket) {
    socket.text(r#"{"type":"ping"}"#).await;
    socket.next_of("pong").await;
}

#[actix_rt::test]
async fn a_second_connect_replaces_the_first_silently() {
    let simulator = run(quiet()).await;
    let mut first = Socket::open(&simulator).await;
    let mut second = Socket::open(&simulator).await;
    simulator.send(1).await.unwrap();
    second.next_alert().await;
    simulator.order(Command::Ping).await.unwrap();
    assert!(
        first.next().await.unwrap().starts_with(r#"{"type":"ping""#),
        "no alert, and still pings"
    );
    answers_pings(&mut first).await;
    let list = ask(&simulator, "GET", "/ws/connections", None, None).await.json();
    assert_eq!(list["total_connections"], 1);
    simulator.stop().await;
}

#[actix_rt::test]
async fn the_end_of_the_old_socket_deregisters_the_new_one() {
    let simulator = run(quiet()).await;
    let first = Socket::open(&simulator).await;
    let mut second = Socket::open(&simulator).await;
    drop(first);
    until(&simulator, |stats| stats.open == 1).await;
    assert!(!registered(&simulator).await);
    simulator.send(1).await.unwrap();
    answers_pings(&mut second).await;
    let stats = simulator.stats();
    assert_eq!((stats.produced, stats.sent, stats.unsent), (1, 0, 1));
    assert_eq!(
        get(&simulator, "/api/anomalies").await.json()["total"],
        1,
        "lost for the socket, not for REST"
    );
    simulator.stop().await;
}

#[actix_rt::test]
async fn after_a_close_handshake_the_user_stays_registered_until_the_tcp_end() {
    let simulator = run(Options {
        linger: LIMIT,
        ..quiet()
    })
    .await;
    let mut socket = Socket::open(&simulator).await;
    socket
        .say(Message::Close(Some(awc::ws::CloseCode::Normal.into())))
        .await;
    assert_eq!(socket.next().await, Err(End::Close(Some(1000))));
    assert_eq!(
        socket.next().await,
        Err(End::Eof),
        "the server ends its side at once"
    );
    assert!(registered(&simulator).await);
    drop(socket);
    until(&simulator, |stats| stats.registered == 0).await;
    simulator.stop().await;
}

#[actix_rt::test]
async fn a_client_that_does_not_end_its_side_is_deregistered_after_the_linger() {
    let simulator = run(Options {
        linger: Duration::from_millis(50),
        ..quiet()
    })
    .await;
    let mut socket = Socket::open(&simulator).await;
    socket.say(Message::Close(None)).await;
    until(&simulator, |stats| stats.registered == 0).await;
    simulator.stop().await;
}

#[actix_rt::test]
async fn a_protocol_violation_leaves_the_socket_open_and_silent() {
    let texts = ["[1]", "null", "5", "\"x\""].map(|text| Message::Text(text.into()));
    let binary = Message::Binary(bytes::Bytes::from_static(b"{}"));
    futures_util::future::join_all(texts.into_iter().chain([binary]).map(falls_silent_after)).await;
}

async fn falls_silent_after(violation: Message) {
    let simulator = run(Options {
        keepalive: Duration::from_secs(1),
        ..quiet()
    })
    .await;
    let mut socket = Socket::open(&simulator).await;
    socket.say(violation).await;
    until(&simulator, |stats| stats.registered == 0).await;
    simulator.order(Command::Ping).await.unwrap();
    simulator.send(1).await.unwrap();
    socket.text(r#"{"type":"ping"}"#).await;
    // The protocol's own pings go on; had there been JSON, it would have come first.
    match socket.next_frame().await {
        Some(awc::ws::Frame::Ping(payload)) => socket.say(Message::Pong(payload)).await,
        other => panic!("{other:?}"),
    }
    assert_eq!(simulator.stats().open, 1);
    // Its end does not touch a newer socket: its handler is long gone.
    let mut newer = Socket::open(&simulator).await;
    drop(socket);
    until(&simulator, |stats| stats.open == 1).await;
    simulator.send(1).await.unwrap();
    newer.next_alert().await;
    simulator.stop().await;
}

#[actix_rt::test]
async fn unknown_types_and_broken_json_are_ignored() {
    let simulator = run(quiet()).await;
    let mut socket = Socket::open(&simulator).await;
    for text in ["", "{", "hello", r#"{"type":"dance"}"#, "{}"] {
        socket.text(text).await;
    }
    answers_pings(&mut socket).await;
    assert!(registered(&simulator).await);
    simulator.stop().await;
}

#[actix_rt::test]
async fn a_sane_backend_has_none_of_it() {
    let simulator = run(Options {
        faithful: false,
        ..quiet()
    })
    .await;
    let mut first = Socket::open(&simulator).await;
    let mut second = Socket::open(&simulator).await;
    assert_eq!(
        first.next().await,
        Err(End::Close(Some(1012))),
        "the replaced one is closed"
    );
    drop(first);
    until(&simulator, |stats| stats.open == 1).await;
    second.text("[1]").await;
    second.say(Message::Binary(bytes::Bytes::from_static(b"x"))).await;
    answers_pings(&mut second).await;
    simulator.send(1).await.unwrap();
    second.next_alert().await;
    simulator.stop().await;
}

#[actix_rt::test]
async fn a_message_over_sixteen_mebibytes_and_bad_utf8_close_with_their_codes() {
    let simulator = run(quiet()).await;
    let mut socket = Socket::open(&simulator).await;
    socket
        .say(Message::Text("x".repeat(16 * 1024 * 1024 + 1).into()))
        .await;
    assert_eq!(socket.next().await, Err(End::Close(Some(1009))));
    drop(socket);
    let mut socket = Socket::open(&simulator).await;
    let bad = bytes::Bytes::from_static(&[0xff, 0xfe]);
    socket
        .say(Message::Continuation(actix_http::ws::Item::FirstText(bad)))
        .await;
    socket
        .say(Message::Continuation(actix_http::ws::Item::Last(
            bytes::Bytes::new(),
        )))
        .await;
    assert_eq!(socket.next().await, Err(End::Close(Some(1007))));
    simulator.stop().await;
}

#[actix_rt::test]
async fn an_unanswered_protocol_ping_closes_with_1011() {
    let simulator = run(Options {
        keepalive: Duration::from_millis(20),
        ..quiet()
    })
    .await;
    let mut socket = Socket::open(&simulator).await;
    let mut closed = None;
    while let Some(frame) = socket.next_frame().await {
        // Pings are seen and not answered.
        if let awc::ws::Frame::Close(reason) = frame {
            closed = reason;
        }
    }
    let closed = closed.unwrap();
    assert_eq!(
        (u16::from(closed.code), closed.description.as_deref()),
        (1011, Some("keepalive ping timeout"))
    );
    assert_eq!(simulator.stats().keepalive_timeouts, 1);
    simulator.stop().await;
}

#[actix_rt::test]
async fn a_client_that_stops_reading_stops_its_alerts() {
    let picture_size = Some(watchpost_simulator::PictureSize(1_000_000));
    let simulator = run(Options {
        picture_size,
        notifications: false,
        ..quiet()
    })
    .await;
    let mut socket = Socket::open(&simulator).await;
    {
        let sending = simulator.send(40);
        let mut sending = std::pin::pin!(sending);
        // 40 MB fit into no buffer on the way.
        let stuck = tokio::time::timeout(Duration::from_millis(1500), &mut sending).await;
        assert!(stuck.is_err(), "all was sent to a client that did not read");
        assert!(simulator.stats().produced < 40);
        let mut received = 0;
        let all = async {
            while received < 40 {
                socket.next_alert().await;
                received += 1;
            }
        };
        let (sent, ()) = tokio::join!(sending, all);
        sent.unwrap();
    }
    assert_eq!(simulator.stats().sent, 40);
    simulator.stop().await;
}

#[actix_rt::test]
async fn an_infinite_score_makes_its_page_fail() {
    let faults = "infinity=1".parse().unwrap();
    let simulator = run(Options { faults, ..quiet() }).await;
    simulator.send(1).await.unwrap();
    let id = simulator.alerts()[0].anomaly_id;
    let answer = get(&simulator, "/api/anomalies").await;
    assert_eq!((answer.status, answer.header("connection")), (500, ""));
    assert_eq!(answer.json()["error"], "Internal Server Error");
    assert_eq!(get(&simulator, &format!("/api/anomalies/{id}")).await.status, 500);
    assert_eq!(
        get(&simulator, "/api/anomalies?offset=1").await.status,
        200,
        "a page without it works"
    );
    let token = simulator.token().unwrap();
    let change = serde_json::json!({ "status": "RESOLVED" });
    let answer = ask(
        &simulator,
        "PATCH",
        &format!("/api/anomalies/{id}"),
        Some(&token),
        Some(&change),
    )
    .await;
    assert_eq!(answer.status, 500);
    let summary = get(&simulator, "/api/anomalies/stats/summary").await.json();
    assert_eq!(summary["by_status"]["resolved"], 1, "it took effect all the same");
    simulator.stop().await;
}
