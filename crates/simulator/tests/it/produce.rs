//! Alerts: their pictures, their order, their acknowledgement, their rate.

use std::collections::HashSet;

use watchpost_simulator::{CloseMode, Command, Options, PictureSize};

use crate::client::{Socket, quiet, run, until};

#[actix_rt::test]
async fn the_bytes_sent_can_be_asked_for_again() {
    let simulator = run(Options {
        cameras: 3,
        ..quiet()
    })
    .await;
    let mut socket = Socket::open(&simulator).await;
    simulator.send(30).await.unwrap();
    let mut pictures = HashSet::new();
    for sent in simulator.alerts() {
        let alert = socket.next_alert().await;
        assert_eq!(
            (alert.stream, alert.person),
            (sent.stream_id, u64::from(sent.person_id))
        );
        assert_eq!(alert.picture, simulator.picture(sent.anomaly_id).unwrap());
        assert_eq!(alert.picture.len(), sent.picture_len);
        assert_eq!(crc32c::crc32c(&alert.picture), sent.picture_crc32c);
        let decoded = image::load_from_memory(&alert.picture).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (64, 36));
        assert!(alert.value["result"]["score"].as_f64().unwrap() < 0.0);
        pictures.insert(alert.picture);
    }
    assert_eq!(pictures.len(), 30, "no two alerts carry the same bytes");
    let ids: HashSet<_> = simulator.alerts().iter().map(|alert| alert.anomaly_id).collect();
    assert_eq!(ids.len(), 30);
    simulator.stop().await;
}

#[actix_rt::test]
async fn acknowledgements_are_counted_by_stream_oldest_first() {
    let simulator = run(quiet()).await;
    let mut socket = Socket::open(&simulator).await;
    simulator.send(4).await.unwrap();
    // Only what has arrived can be acknowledged.
    for _ in 0..4 {
        socket.next_alert().await;
    }
    let streams = simulator.streams();
    socket.ack(streams[1]).await;
    socket.ack(streams[0]).await;
    let stats = until(&simulator, |stats| stats.acknowledged == 2).await;
    assert_eq!((stats.sent, stats.stray_acks), (4, 0));
    let acknowledged: Vec<_> = simulator
        .alerts()
        .iter()
        .map(|alert| alert.acknowledged_at_ms.is_some())
        .collect();
    assert_eq!(acknowledged, [true, true, false, false]);
    for _ in 0..3 {
        socket.ack(streams[0]).await;
    }
    let stats = until(&simulator, |stats| stats.stray_acks == 2).await;
    assert_eq!(stats.acknowledged, 3);
    simulator.stop().await;
}

#[actix_rt::test]
async fn ids_are_sent_when_wanted_and_matched() {
    let simulator = run(Options {
        ids: true,
        cameras: 1,
        ..quiet()
    })
    .await;
    let mut socket = Socket::open(&simulator).await;
    simulator.send(3).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let alert = socket.next_alert().await;
        ids.push(alert.value["id"].as_u64().unwrap());
    }
    assert!(ids.is_sorted() && ids[0] < ids[2]);
    let stream = simulator.streams()[0];
    socket
        .text(&format!(
            r#"{{"type":"ack","stream_id":"{stream}","id":{}}}"#,
            ids[2]
        ))
        .await;
    until(&simulator, |stats| stats.acknowledged == 1).await;
    assert!(simulator.alerts()[2].acknowledged_at_ms.is_some());
    simulator.stop().await;
}

#[actix_rt::test]
async fn a_limit_ends_a_rate_and_waiting_for_a_client_starts_it() {
    let options = Options {
        rate: 500.0,
        burst: 3,
        limit: Some(20),
        wait_for_client: true,
        picture_size: Some(PictureSize(5_000)),
        ..quiet()
    };
    let simulator = run(options).await;
    assert_eq!(simulator.stats().produced, 0, "no client is there");
    let mut socket = Socket::open(&simulator).await;
    for _ in 0..20 {
        let alert = socket.next_alert().await;
        assert_eq!(alert.picture.len(), 5_000);
        socket.ack(alert.stream).await;
    }
    let stats = until(&simulator, |stats| stats.acknowledged == 20).await;
    assert_eq!((stats.produced, stats.sent, stats.unsent), (20, 20, 0));
    simulator.stop().await;
}

#[actix_rt::test]
async fn the_same_seed_makes_the_same_backend() {
    let (one, two) = (run(quiet()).await, run(quiet()).await);
    let other = run(Options { seed: 2, ..quiet() }).await;
    assert_eq!((one.user_id(), one.streams()), (two.user_id(), two.streams()));
    assert_ne!(one.user_id(), other.user_id());
    for simulator in [&one, &two, &other] {
        simulator.send(2).await.unwrap();
    }
    let ids = |simulator: &watchpost_simulator::Running| -> Vec<_> {
        simulator
            .alerts()
            .into_iter()
            .map(|alert| alert.anomaly_id)
            .collect()
    };
    assert_eq!(ids(&one), ids(&two));
    assert_ne!(ids(&one), ids(&other));
    for simulator in [one, two, other] {
        simulator.stop().await;
    }
}

#[actix_rt::test]
async fn alerts_that_wait_for_a_socket_that_ends_are_unsent() {
    let picture_size = Some(PictureSize(4_000_000));
    let simulator = run(Options {
        picture_size,
        ..quiet()
    })
    .await;
    let socket = Socket::open(&simulator).await;
    let sending = async {
        simulator.send(30).await.unwrap();
    };
    let killing = async {
        until(&simulator, |stats| stats.sent > 0).await;
        simulator
            .order(Command::Kill {
                how: CloseMode::Reset,
            })
            .await
            .unwrap();
    };
    tokio::join!(sending, killing);
    let stats = until(&simulator, |stats| stats.sent + stats.unsent == 30).await;
    assert!(stats.unsent > 0, "{stats:?}");
    drop(socket);
    simulator.stop().await;
}

#[actix_rt::test]
async fn as_fast_as_possible_is_fast() {
    let options = Options {
        rate: f64::INFINITY,
        limit: Some(2_000),
        wait_for_client: true,
        notifications: false,
        ..quiet()
    };
    let simulator = run(options).await;
    let mut socket = Socket::open(&simulator).await;
    for _ in 0..2_000 {
        let alert = socket.next_alert().await;
        socket.ack(alert.stream).await;
    }
    until(&simulator, |stats| stats.acknowledged == 2_000).await;
    simulator.stop().await;
}
