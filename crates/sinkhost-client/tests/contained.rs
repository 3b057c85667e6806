//! What a plugin does wrong, it does to itself only, and its parent learns what it was.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test says what went wrong by panicking, and times real processes"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Running, job, launch, lines, plugin, refusal};
use watchpost_sinkhost_client::{CANCEL_GRACE, Error, Event, Exit, ExitKind, Outcome, Stage};

/// Queues a delivery that goes wrong and two that wait behind it.
async fn exit_after(title: &str) -> Exit {
    let mut running = Running::start(&plugin(&[])).await;
    running.deliver(1, "ok");
    running.done().await;
    running.deliver(2, title);
    running.deliver(3, "ok");
    running.deliver(4, "ok");
    running.exit().await
}

#[tokio::test]
async fn a_crash_is_reported_with_its_signal_and_the_delivery_it_came_over() {
    for (title, how) in [
        ("abort", ExitKind::Signal(6)),
        ("segfault", ExitKind::Signal(11)),
        ("exit", ExitKind::Code(0)),
    ] {
        let exit = exit_after(title).await;
        assert_eq!(
            exit,
            Exit {
                how,
                blamed: Some(2),
                unfinished: vec![2, 3, 4]
            },
            "{title}"
        );
    }
    assert_eq!(
        ExitKind::Signal(11).to_string(),
        "was killed by SIGSEGV (segmentation fault)"
    );
}

#[tokio::test]
async fn a_plugin_that_violates_the_protocol_is_killed() {
    let exit = exit_after("babble").await;
    assert!(matches!(exit.how, ExitKind::ProtocolViolation(_)), "{exit:?}");
    assert_eq!(exit.unfinished, [2, 3, 4]);
}

#[tokio::test]
async fn a_plugin_that_closes_everything_is_noticed_and_ended() {
    let mut running = Running::start(&plugin(&[])).await;
    let mut closing = job(1, "close all");
    closing.timeout = Duration::from_millis(100);
    running.host.deliver(closing).unwrap();
    running.deliver(2, "ok");
    let exit = running.exit().await;
    // Whether its deadline or the silent socket ends it first is a matter of microseconds.
    assert_ne!(exit.how, ExitKind::Stopped);
    assert_eq!((exit.blamed, exit.unfinished.last()), (Some(1), Some(&2)));
}

#[tokio::test]
async fn a_crash_before_all_packets_were_read_loses_nothing_it_had_said() {
    let mut running = Running::start(&plugin(&[])).await;
    running.deliver(1, "abort with unread packets");
    assert_eq!(running.line().await, "waiting");
    // The thread that would read the packets hangs in the plugin's `cancel`.
    running.host.cancel(1);
    running.deliver(2, "ok");
    running.deliver(3, "ok");
    let exit = running.exit().await;
    assert_eq!(
        exit,
        Exit {
            how: ExitKind::Signal(6),
            blamed: Some(1),
            unfinished: vec![1, 2, 3]
        }
    );
}

#[tokio::test]
async fn a_hang_ends_with_a_kill_after_the_deadline_and_the_grace() {
    let mut running = Running::start(&plugin(&[])).await;
    let begun = Instant::now();
    let mut hang = job(1, "hang");
    hang.timeout = Duration::from_millis(100);
    running.host.deliver(hang).unwrap();
    running.deliver(2, "ok");
    let (call_id, outcome, notes) = running.done().await;
    assert_eq!((call_id, outcome), (1, Outcome::TimedOut));
    assert!(notes[0].text.contains("deadline"), "{notes:?}");
    assert!(begun.elapsed() >= Duration::from_millis(100) + CANCEL_GRACE);
    let exit = running.exit().await;
    assert_eq!(
        exit,
        Exit {
            how: ExitKind::TimedOut,
            blamed: Some(1),
            unfinished: vec![2]
        }
    );
}

#[tokio::test]
async fn a_cancel_that_is_heard_saves_the_process() {
    let mut running = Running::start(&plugin(&[])).await;
    for (call_id, title, expected) in [
        (1, "wait for cancel", Outcome::TimedOut),
        (2, "poll for cancel", Outcome::Ok),
    ] {
        let mut job = job(call_id, title);
        job.timeout = Duration::from_millis(300);
        running.host.deliver(job).unwrap();
        let (ended, outcome, _) = running.done().await;
        assert_eq!((ended, outcome), (call_id, expected));
    }
    running.deliver(3, "ok");
    assert_eq!(running.done().await.1, Outcome::Ok);
}

#[tokio::test]
async fn the_time_of_a_delivery_counts_from_its_beginning() {
    let mut running = Running::start(&plugin(&[])).await;
    for call_id in 0..40 {
        let mut job = job(call_id, "slow");
        // Forty of 30 ms in a row take longer than any one of them may.
        job.timeout = Duration::from_secs(1);
        running.host.deliver(job).unwrap();
    }
    for call_id in 0..40 {
        let (ended, outcome, _) = running.done().await;
        assert_eq!((ended, outcome), (call_id, Outcome::Ok));
    }
}

#[tokio::test]
async fn a_cancel_is_heard_whenever_it_comes() {
    let mut running = Running::start(&plugin(&[])).await;
    for call_id in 0..400 {
        running.deliver(call_id, "wait for cancel");
        // At once it mostly finds the call waiting; as soon as the call is reported to have begun, about to enter the
        // plugin.
        if call_id % 2 == 0 {
            while running.event().await != Some(Event::Begun { call_id }) {}
        }
        running.host.cancel(call_id);
        let (ended, outcome, _) = running.done().await;
        assert_eq!((ended, outcome), (call_id, Outcome::Retry { after: None }));
    }
}

#[tokio::test]
async fn a_call_that_has_not_begun_can_be_cancelled() {
    let mut running = Running::start(&plugin(&[])).await;
    running.deliver(1, "wait for cancel");
    running.deliver(2, "ok");
    while running.event().await != Some(Event::Begun { call_id: 1 }) {}
    running.host.cancel(2);
    assert_eq!(running.done().await.0, 2);
    running.host.cancel(1);
    assert_eq!(running.done().await.0, 1);
}

#[tokio::test]
async fn floods_of_output_are_thinned_out_and_delay_nothing_for_long() {
    for title in ["flood", "flood log"] {
        let mut running = Running::start(&plugin(&[])).await;
        let mut other = Running::start(&plugin(&[])).await;
        running.deliver(1, title);
        other.deliver(1, "ok");
        assert_eq!(other.done().await.1, Outcome::Ok);
        let mut events = Vec::new();
        loop {
            let event = running.event().await.unwrap();
            if let Event::Done { outcome, .. } = event {
                assert_eq!(outcome, Outcome::Ok);
                break;
            }
            events.push(event);
        }
        let (_, rest) = running.stop().await;
        events.extend(rest);
        let lines = lines(&events);
        assert!(
            lines.iter().any(|line| line.contains("lines were left out")),
            "{title}"
        );
        let passed = lines.iter().filter(|line| line.starts_with("flood")).count();
        assert!((1..5_000).contains(&passed), "{title}: {passed} lines");
    }
}

#[tokio::test]
async fn a_create_that_fails_says_how() {
    let plugin = plugin(&[]);
    let with = |config: &str| {
        let mut launch = launch(&plugin);
        launch.config_json = format!("{{\"do\":\"{config}\"}}");
        launch.create_timeout = Duration::from_millis(300);
        launch
    };
    let error = refusal(with("refuse")).await;
    assert!(
        matches!(
            &error,
            Error::Refused {
                outcome: Outcome::Retry { .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .ends_with("(try again later): the world is not ready"),
        "{error}"
    );

    let error = refusal(with("print and crash")).await;
    assert!(
        matches!(
            &error,
            Error::Died {
                stage: Stage::Creating,
                how: ExitKind::Signal(6),
                ..
            }
        ),
        "{error:?}"
    );

    let error = refusal(with("hang")).await;
    assert!(
        matches!(
            &error,
            Error::TimedOut {
                stage: Stage::Creating,
                ..
            }
        ),
        "{error:?}"
    );

    let error = refusal(with("wait for cancel")).await;
    assert!(error.to_string().ends_with("gave up creating"), "{error}");
}

#[tokio::test]
async fn stopping_ends_the_call_under_way_and_kills_what_does_not_end() {
    let mut running = Running::start(&plugin(&[])).await;
    // Nothing but the stop ends it.
    let mut hang = job(1, "hang");
    hang.timeout = Duration::from_secs(3600);
    running.host.deliver(hang).unwrap();
    while running.event().await != Some(Event::Begun { call_id: 1 }) {}
    let how = running.host.stop(Duration::from_millis(200)).await;
    assert_eq!(how, ExitKind::StopTimedOut);

    let mut running = Running::start(&plugin(&[])).await;
    running.deliver(1, "wait for cancel");
    while running.event().await != Some(Event::Begun { call_id: 1 }) {}
    assert_eq!(
        running.host.stop(Duration::from_millis(400)).await,
        ExitKind::Stopped
    );
}

#[tokio::test]
async fn dropping_the_handle_ends_the_process() {
    let Running { host, mut events } = Running::start(&plugin(&[])).await;
    drop(host);
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    assert!(
        matches!(
            last,
            Some(Event::Exited(Exit {
                how: ExitKind::Stopped,
                ..
            }))
        ),
        "{last:?}"
    );
}
