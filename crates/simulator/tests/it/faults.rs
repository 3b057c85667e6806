//! The faults played by chance, each at certainty.

use watchpost_simulator::{Options, Running};

use crate::client::{End, Socket, get, quiet, run, until};

async fn with(faults: &str) -> (Running, Socket) {
    let simulator = run(Options {
        faults: faults.parse().unwrap(),
        ..quiet()
    })
    .await;
    let socket = Socket::open(&simulator).await;
    (simulator, socket)
}

#[actix_rt::test]
async fn dropped_alerts_have_rows() {
    let (simulator, _socket) = with("drop=1").await;
    simulator.send(3).await.unwrap();
    let stats = simulator.stats();
    assert_eq!((stats.sent, stats.unsent), (0, 3));
    assert_eq!(get(&simulator, "/api/anomalies").await.json()["total"], 3);
    simulator.stop().await;
}

#[actix_rt::test]
async fn duplicates_are_sent_twice_and_counted_once() {
    let (simulator, mut socket) = with("duplicate=1").await;
    simulator.send(1).await.unwrap();
    let (first, second) = (socket.next_alert().await, socket.next_alert().await);
    assert_eq!(first.value, second.value);
    for _ in 0..2 {
        socket.ack(first.stream).await;
    }
    socket.ack(first.stream).await;
    let stats = until(&simulator, |stats| stats.stray_acks == 1).await;
    assert_eq!((stats.sent, stats.acknowledged), (1, 1));
    simulator.stop().await;
}

#[actix_rt::test]
async fn fragments_make_a_whole() {
    let (simulator, mut socket) = with("fragment=1").await;
    simulator.send(1).await.unwrap();
    let frames = [
        socket.next_frame().await,
        socket.next_frame().await,
        socket.next_frame().await,
    ];
    let mut whole = Vec::new();
    for frame in frames {
        use actix_http::ws::Item;
        use awc::ws::Frame;
        match frame {
            Some(Frame::Continuation(Item::FirstText(part) | Item::Continue(part) | Item::Last(part))) => {
                whole.extend_from_slice(&part);
            }
            other => panic!("{other:?}"),
        }
    }
    let alert = crate::client::Alert::read(&String::from_utf8(whole).unwrap());
    assert_eq!(
        alert.picture,
        simulator.picture(simulator.alerts()[0].anomaly_id).unwrap()
    );
    simulator.stop().await;
}

#[actix_rt::test]
async fn garbage_and_bad_frames() {
    let (simulator, mut socket) = with("garbage=1,badframe=1").await;
    simulator.send(5).await.unwrap();
    let mut bad = 0;
    while bad < 5 {
        let text = socket.next().await.unwrap();
        let Ok(message) = serde_json::from_str::<serde_json::Value>(&text) else {
            continue;
        };
        if message["result"]["is_abnormal"] == true {
            let frame = message["annotated_frame"].as_str().unwrap();
            let picture = base64_simd::STANDARD.decode_to_vec(frame).ok();
            assert!(
                picture.is_none_or(|bytes| !bytes.starts_with(b"\xff\xd8") || !bytes.ends_with(b"\xff\xd9"))
            );
            bad += 1;
        }
    }
    assert_eq!(simulator.stats().garbage, 5);
    simulator.stop().await;
}

#[actix_rt::test]
async fn a_cut_is_a_reset_and_a_close_says_1012() {
    let (simulator, mut socket) = with("cut=1").await;
    simulator.send(1).await.unwrap();
    let end = loop {
        match socket.next().await {
            Ok(_) => {}
            Err(end) => break end,
        }
    };
    assert_eq!(end, End::Error, "reset");
    simulator.stop().await;

    let (simulator, mut socket) = with("close=1").await;
    simulator.send(1).await.unwrap();
    let end = loop {
        match socket.next().await {
            Ok(_) => {}
            Err(end) => break end,
        }
    };
    assert_eq!(end, End::Close(Some(1012)));
    simulator.stop().await;
}

#[actix_rt::test]
async fn users_whose_registration_is_dropped_get_nothing() {
    for fault in ["drop_registration=1", "blackhole=1"] {
        let (simulator, _socket) = with(fault).await;
        simulator.send(2).await.unwrap();
        let stats = until(&simulator, |stats| stats.sent + stats.unsent == 2).await;
        assert_eq!((stats.registered, stats.open), (0, 1), "{fault}");
        assert!(stats.unsent >= 1, "{fault}");
        simulator.stop().await;
    }
}

#[actix_rt::test]
async fn handshakes_are_refused_by_chance() {
    for (fault, status) in [("reject=1", 403), ("error=1", 500)] {
        let simulator = run(Options {
            faults: fault.parse().unwrap(),
            ..quiet()
        })
        .await;
        let rest = format!("{}?token={}", simulator.user_id(), simulator.token().unwrap());
        let refused = Socket::try_open(&simulator, &rest).await.err().unwrap();
        assert_eq!(refused.as_u16(), status);
        simulator.stop().await;
    }
    let (simulator, mut socket) = with("bounce=1").await;
    assert_eq!(socket.next().await, Err(End::Close(Some(1012))));
    simulator.stop().await;
}

#[actix_rt::test]
async fn a_freeze_ends_by_itself() {
    let (simulator, mut socket) = with("freeze=30ms@1").await;
    simulator.send(2).await.unwrap();
    socket.text(r#"{"type":"ping"}"#).await;
    socket.next_of("pong").await;
    assert_eq!(simulator.stats().sent, 2);
    simulator.stop().await;
}
