//! Orders to a running simulator, in-process and over its own routes.

use std::time::Duration;

use serde_json::json;
use watchpost_simulator::{CloseMode, Command};

use crate::client::{End, LIMIT, Socket, ask, get, quiet, run, until};

/// A time in which an answer would certainly have started, where the test is that none comes.
const A_WHILE: Duration = Duration::from_millis(150);

#[actix_rt::test]
async fn frozen_it_says_nothing_and_thawed_it_goes_on() {
    let simulator = run(quiet()).await;
    let mut socket = Socket::open(&simulator).await;
    simulator.order(Command::Freeze).await.unwrap();
    socket.text(r#"{"type":"ping"}"#).await;
    assert!(socket.is_silent_for(A_WHILE).await);
    assert_eq!(simulator.stats().open, 1, "the socket stays open");
    let mut asked = Box::pin(get(&simulator, "/health"));
    assert!(
        tokio::time::timeout(A_WHILE, &mut asked).await.is_err(),
        "requests wait"
    );
    assert_eq!(
        ask(&simulator, "GET", "/simulator/stats", None, None)
            .await
            .status,
        200,
        "but for the own routes"
    );
    simulator.order(Command::Thaw).await.unwrap();
    socket.next_of("pong").await;
    assert_eq!(asked.await.status, 200);
    simulator.stop().await;
}

#[actix_rt::test]
async fn a_frozen_socket_can_be_killed() {
    let simulator = run(quiet()).await;
    let mut socket = Socket::open(&simulator).await;
    simulator.order(Command::Freeze).await.unwrap();
    simulator
        .order(Command::Kill { how: CloseMode::Eof })
        .await
        .unwrap();
    assert_eq!(socket.next().await, Err(End::Eof));
    until(&simulator, |stats| stats.open == 0 && stats.registered == 0).await;
    simulator.stop().await;
}

#[actix_rt::test]
async fn sockets_end_as_ordered() {
    let simulator = run(quiet()).await;
    for (how, expected) in [
        (CloseMode::Reset, End::Error),
        (CloseMode::Eof, End::Eof),
        (CloseMode::Close, End::Close(Some(1012))),
    ] {
        let mut socket = Socket::open(&simulator).await;
        simulator.order(Command::Kill { how }).await.unwrap();
        assert_eq!(socket.next().await, Err(expected), "{how:?}");
        drop(socket);
        until(&simulator, |stats| stats.open == 0).await;
    }
    simulator.stop().await;
}

#[actix_rt::test]
async fn down_it_refuses_and_up_again_it_remembers() {
    let simulator = run(quiet()).await;
    for (how, expected) in [
        (CloseMode::Eof, End::Eof),
        (CloseMode::Close, End::Close(Some(1012))),
    ] {
        let before = simulator.stats();
        let mut socket = Socket::open(&simulator).await;
        simulator.send(1).await.unwrap();
        let alert = socket.next_alert().await;
        socket.next_of("notification").await;
        simulator
            .order(Command::Down {
                how,
                restart_after: None,
            })
            .await
            .unwrap();
        assert_eq!(socket.next().await, Err(expected));
        let refused = std::net::TcpStream::connect(simulator.addr()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!((simulator.stats().open, simulator.stats().registered), (0, 0));
        simulator.send(1).await.unwrap();
        simulator.order(Command::Up).await.unwrap();
        let mut socket = Socket::open(&simulator).await;
        simulator.send(1).await.unwrap();
        assert!(socket.next_alert().await.person > alert.person, "streams go on");
        let stats = simulator.stats();
        assert_eq!(
            (stats.produced - before.produced, stats.unsent - before.unsent),
            (3, 1)
        );
        assert_eq!(
            get(&simulator, "/api/anomalies").await.json()["total"],
            stats.produced
        );
        drop(socket);
        until(&simulator, |stats| stats.open == 0).await;
    }
    simulator.stop().await;
}

#[actix_rt::test]
async fn down_for_a_time_it_comes_back_by_itself() {
    let simulator = run(quiet()).await;
    let restart_after = Some(Duration::from_millis(50));
    simulator
        .order(Command::Down {
            how: CloseMode::Eof,
            restart_after,
        })
        .await
        .unwrap();
    let back = tokio::time::timeout(LIMIT, async {
        while std::net::TcpStream::connect(simulator.addr()).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    back.await.unwrap();
    Socket::open(&simulator).await;
    simulator.stop().await;
}

#[actix_rt::test]
async fn hanging_it_takes_a_connection_and_never_answers() {
    let simulator = run(quiet()).await;
    let mut socket = Socket::open(&simulator).await;
    simulator.order(Command::Hang).await.unwrap();
    let mut opening = Box::pin(Socket::open(&simulator));
    assert!(tokio::time::timeout(A_WHILE, &mut opening).await.is_err());
    let stats = until(&simulator, |stats| stats.unanswered == 1).await;
    assert_eq!((stats.connections, stats.tcp_connections), (1, 2));
    assert_eq!(
        simulator.attempts()[1].outcome,
        watchpost_simulator::Outcome::Unanswered
    );
    socket.text(r#"{"type":"ping"}"#).await;
    socket.next_of("pong").await;
    simulator.order(Command::Unhang).await.unwrap();
    opening.await;
    assert_eq!(simulator.stats().connections, 2);
    simulator.stop().await;
}

#[actix_rt::test]
async fn pings_are_sent_timed_and_switched_off() {
    let options = watchpost_simulator::Options {
        heartbeat: Duration::from_millis(20),
        ..quiet()
    };
    let simulator = run(options).await;
    let mut socket = Socket::open(&simulator).await;
    for _ in 0..3 {
        socket.next_of("ping").await;
        socket.text(r#"{"type":"pong"}"#).await;
    }
    let stats = until(&simulator, |stats| stats.pongs_received == 3).await;
    assert_eq!(simulator.pongs().len(), 3);
    assert!(stats.slowest_pong_us > 0);
    simulator.order(Command::Pings { on: false }).await.unwrap();
    simulator.order(Command::Pongs { on: false }).await.unwrap();
    // What was in flight before the command comes ahead of this.
    simulator
        .order(Command::SendText {
            text: r#"{"type":"mark"}"#.to_owned(),
        })
        .await
        .unwrap();
    socket.next_of("mark").await;
    socket.text(r#"{"type":"ping"}"#).await;
    assert!(socket.is_silent_for(A_WHILE).await);
    simulator.stop().await;
}

#[actix_rt::test]
async fn dropped_registrations_and_black_holes() {
    let simulator = run(quiet()).await;
    let mut socket = Socket::open(&simulator).await;
    simulator.order(Command::DropRegistration).await.unwrap();
    simulator.send(1).await.unwrap();
    socket.text(r#"{"type":"ping"}"#).await;
    assert!(
        socket.next().await.unwrap().contains("pong"),
        "no alert before it"
    );
    simulator.order(Command::Blackhole).await.unwrap();
    socket.text(r#"{"type":"ping"}"#).await;
    assert!(socket.is_silent_for(A_WHILE).await);
    simulator.stop().await;
}

#[actix_rt::test]
async fn another_process_steers_it_over_http() {
    let simulator = run(quiet()).await;
    let about = ask(&simulator, "GET", "/simulator/about", None, None)
        .await
        .json();
    assert_eq!(about["user_id"], simulator.user_id().to_string());
    let rest = format!(
        "{}?token={}",
        simulator.user_id(),
        about["token"].as_str().unwrap()
    );
    let mut socket = Socket::try_open(&simulator, &rest).await.unwrap();
    let order = async |body| ask(&simulator, "POST", "/simulator/command", None, Some(&body)).await;
    assert_eq!(
        order(json!({ "do": "send", "count": 2 })).await.json()["produced"],
        2
    );
    let alert = socket.next_alert().await;
    let listed = ask(&simulator, "GET", "/simulator/alerts", None, None)
        .await
        .json();
    assert_eq!(listed[0]["stream_id"], alert.stream.to_string());
    let id = listed[0]["anomaly_id"].as_str().unwrap();
    let picture = ask(
        &simulator,
        "GET",
        &format!("/simulator/pictures/{id}"),
        None,
        None,
    )
    .await;
    assert_eq!(picture.body, alert.picture);
    let attempts = ask(&simulator, "GET", "/simulator/attempts", None, None)
        .await
        .json();
    assert_eq!(attempts[0]["outcome"], "accepted");
    let refused = order(json!({ "do": "explode" })).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.text().contains("unknown variant `explode`"),
        "{}",
        refused.text()
    );
    simulator.stop().await;
}

#[actix_rt::test]
async fn a_taken_port_is_named() {
    let simulator = run(quiet()).await;
    let options = watchpost_simulator::Options {
        listen: simulator.addr(),
        ..quiet()
    };
    let refused = watchpost_simulator::start(options)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        refused.starts_with(&format!("cannot listen on {}: ", simulator.addr())),
        "{refused}"
    );
    simulator.stop().await;
}
