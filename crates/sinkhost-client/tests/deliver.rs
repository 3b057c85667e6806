//! Deliveries to a well-behaved plugin: every outcome, pictures, logs, group commit.
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Running, frame, job, lines, plugin};
use watchpost_sinkhost_client::{
    AlertDoc, Event, ExitKind, LogLevel, MAX_FRAMES, MAX_QUEUED, NotQueued, Outcome,
};

#[tokio::test]
async fn every_outcome_comes_back_with_its_notes() {
    let mut running = Running::start(&plugin(&[])).await;
    for (title, outcome, note) in [
        ("ok", Outcome::Ok, None),
        (
            "retry",
            Outcome::Retry { after: None },
            Some("the server is away"),
        ),
        (
            "retry after",
            Outcome::Retry {
                after: Some(Duration::from_millis(1500)),
            },
            None,
        ),
        ("permanent", Outcome::Permanent, Some("never")),
        ("fatal", Outcome::Fatal, None),
        (
            "unknown outcome",
            Outcome::Retry { after: None },
            Some("the plugin answered 77, which is no outcome; taken for WP_RETRY"),
        ),
    ] {
        running.deliver(7, title);
        let (call_id, answer, notes) = running.done().await;
        let texts: Vec<_> = notes.iter().map(|note| note.text.as_str()).collect();
        assert_eq!(
            (call_id, answer, texts),
            (7, outcome, Vec::from_iter(note)),
            "{title}"
        );
    }
    running.host.probe(8, Duration::from_secs(5)).unwrap();
    assert_eq!(running.done().await.1, Outcome::Ok);
    let (how, events) = running.stop().await;
    assert_eq!(how, ExitKind::Stopped);
    assert!(lines(&events).contains(&"destroyed"), "{events:?}");
}

#[tokio::test]
async fn pictures_and_a_large_alert_arrive_whole() {
    let mut running = Running::start(&plugin(&[])).await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|index| (index % 251) as u8).collect();
    let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
    let mut large = job(1, "frames");
    large.frames = vec![frame(&bytes), frame(b""), frame(b"\x01")];
    let alert = Arc::make_mut(&mut large.alert);
    alert.json = format!("{{\"pose\":\"{}\"}}", "x".repeat(400_000));
    let json_len = alert.json.len();
    running.host.deliver(large).unwrap();
    assert_eq!(
        running.line().await,
        format!("300001 bytes with the sum {}", sum + 1)
    );
    assert_eq!(
        running.line().await,
        format!("{json_len} bytes of json, 3 frames")
    );
    assert_eq!(running.done().await.1, Outcome::Ok);
}

#[tokio::test]
async fn what_is_too_much_is_refused_at_once() {
    let running = Running::start(&plugin(&[])).await;
    let mut too_many = job(1, "frames");
    too_many.frames = vec![frame(b"x"); MAX_FRAMES + 1];
    assert_eq!(
        running.host.deliver(too_many),
        Err(NotQueued::TooManyFrames(MAX_FRAMES + 1))
    );
    let too_high = u64::MAX;
    assert_eq!(
        running.host.deliver(job(too_high, "ok")),
        Err(NotQueued::BadCallId(too_high))
    );
    let mut too_large = job(1, "ok");
    too_large.alert = Arc::new(AlertDoc {
        json: "x".repeat(40 << 20),
        ..(*job(1, "ok").alert).clone()
    });
    assert!(matches!(
        running.host.deliver(too_large),
        Err(NotQueued::TooLarge(_))
    ));
    running.deliver(0, "wait for cancel");
    for call_id in 1..MAX_QUEUED as u64 {
        running.deliver(call_id, "ok");
    }
    assert_eq!(
        running.host.deliver(job(MAX_QUEUED as u64, "ok")),
        Err(NotQueued::Full)
    );
}

#[tokio::test]
async fn a_full_queue_is_done_in_order_and_leaves_room_again() {
    let mut running = Running::start(&plugin(&[])).await;
    for round in 0..3 {
        let calls = round * MAX_QUEUED as u64..(round + 1) * MAX_QUEUED as u64;
        for call_id in calls.clone() {
            let mut job = job(call_id, "ok");
            job.frames = vec![frame(b"picture"); MAX_FRAMES];
            running.host.deliver(job).unwrap();
        }
        for call_id in calls {
            assert_eq!(running.done().await.0, call_id);
        }
    }
}

#[tokio::test]
async fn stdout_and_stderr_are_the_sinks_log() {
    let mut running = Running::start(&plugin(&[])).await;
    running.deliver(1, "print");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        if let Some(Event::Log { level, text }) = running.event().await {
            seen.push((level, text));
        }
    }
    assert!(seen.contains(&(LogLevel::Info, "to stdout".into())), "{seen:?}");
    assert!(seen.contains(&(LogLevel::Warn, "to stderr".into())), "{seen:?}");
}

#[tokio::test]
async fn stdin_is_empty_and_not_the_hosts_socket() {
    let mut running = Running::start(&plugin(&[])).await;
    running.deliver(1, "stdin");
    assert_eq!(running.line().await, "stdin gave 0 bytes, socket 0");
    assert_eq!(running.done().await.1, Outcome::Ok);
    running.deliver(2, "ok");
    assert_eq!(running.done().await.1, Outcome::Ok);
}

#[tokio::test]
async fn alone_a_delivery_is_flushed_at_once_and_many_share_a_flush() {
    let mut running = Running::start(&plugin(&["-DFLUSHES"])).await;
    for call_id in 0..2 {
        running.deliver(call_id, "ok");
        assert_eq!(running.line().await, "flushed 1");
        assert_eq!(running.done().await.0, call_id);
    }
    // The first holds the plugin up, so that the rest is there when it is done.
    running.deliver(202, "wait for cancel");
    for call_id in 2..202 {
        running.deliver(call_id, "ok");
    }
    while running.event().await != Some(Event::Begun { call_id: 202 }) {}
    running.host.cancel(202);
    assert_eq!(running.done().await.0, 202);
    let (mut done, mut flushed) = (Vec::new(), Vec::new());
    while done.len() < 200 {
        match running.event().await.unwrap() {
            Event::Done {
                call_id,
                outcome: Outcome::Ok,
                ..
            } => done.push(call_id),
            Event::Log { text, .. } => {
                flushed.push(text.strip_prefix("flushed ").unwrap().parse::<u32>().unwrap())
            }
            Event::Begun { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(done, Vec::from_iter(2..202));
    // The plugin counts the one that held it up, too.
    flushed[0] -= 1;
    assert!(flushed.iter().all(|count| *count <= 64), "{flushed:?}");
    assert_eq!(flushed.iter().sum::<u32>(), 200);
    assert!(flushed.len() < 100, "{flushed:?}: under load flushes are shared");
}

#[tokio::test]
async fn a_flush_decides_over_all_deliveries_since_the_last() {
    let mut running = Running::start(&plugin(&["-DFLUSHES"])).await;
    // The first holds the plugin up, so that the rest is there when it is done.
    running.deliver(0, "wait for cancel");
    running.deliver(1, "ok");
    running.deliver(2, "fail flush");
    running.deliver(3, "ok");
    running.deliver(4, "permanent");
    while running.event().await != Some(Event::Begun { call_id: 0 }) {}
    running.host.cancel(0);
    assert_eq!(running.done().await.1, Outcome::Retry { after: None });
    // 1 to 3 are one run with 4, which ends by itself; the plugin's flush refuses.
    let mut ended = Vec::new();
    for _ in 0..4 {
        let (call_id, outcome, notes) = running.done().await;
        ended.push((call_id, outcome, notes[0].text.clone()));
    }
    assert_eq!(ended[0], (4, Outcome::Permanent, "never".into()));
    for (index, ended) in ended[1..].iter().enumerate() {
        let expected = (
            index as u64 + 1,
            Outcome::Retry { after: None },
            "the disk is full".into(),
        );
        assert_eq!(*ended, expected);
    }
}

#[tokio::test]
async fn a_crash_in_the_flush_takes_all_of_its_deliveries() {
    let mut running = Running::start(&plugin(&["-DFLUSHES"])).await;
    running.deliver(0, "wait for cancel");
    running.deliver(1, "ok");
    running.deliver(2, "abort flush");
    while running.event().await != Some(Event::Begun { call_id: 0 }) {}
    running.host.cancel(0);
    let exit = running.exit().await;
    assert_eq!(
        (exit.how, exit.blamed, exit.unfinished),
        (ExitKind::Signal(6), None, vec![1, 2])
    );
}

#[tokio::test]
async fn a_slow_run_is_flushed_after_20_ms() {
    let mut running = Running::start(&plugin(&["-DFLUSHES"])).await;
    for call_id in 0..4 {
        running.deliver(call_id, "slow");
    }
    let mut flushed = Vec::new();
    while flushed.iter().sum::<u32>() < 4 {
        let line = running.line().await;
        flushed.push(line.strip_prefix("flushed ").unwrap().parse::<u32>().unwrap());
    }
    assert!(
        flushed.iter().all(|count| *count <= 2),
        "{flushed:?}: each takes 30 ms, so two are too late already"
    );
}
