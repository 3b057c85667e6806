//! The actor with a child and a store that do as the test says, on a paused clock.

use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use tokio::time::sleep;
use watchpost_core::{Alert, AlertId, AlertKind, DeliveryState, MonotonicTime, SinkState, UnixMillis};
use watchpost_sinkhost_client::{ExitKind, Outcome};

use super::doubles::{Bench, until};
use super::{ReportSink, Sink, StopSink};
use crate::guard::Guard;
use crate::notifier::{MemoryDelivery, StopRequest};
use crate::status::SinkReport;

/// Waits until nothing happens any more: the paused clock goes on only then.
async fn rest() {
    sleep(Duration::from_millis(10)).await;
}

async fn report(sink: &Addr<Sink>) -> SinkReport {
    sink.send(ReportSink).await.unwrap()
}

const RETRY: Outcome = Outcome::Retry { after: None };

#[actix::test]
async fn what_is_planned_is_delivered_and_recorded_once() {
    let bench = Bench::new(2);
    let sink = bench.start();
    bench.plan(1..=3);
    rest().await;
    assert_eq!(bench.world.alerts_in_child(), [1, 2]);
    bench.world.end(Outcome::Ok);
    rest().await;
    assert_eq!(bench.world.alerts_in_child(), [2, 3]);
    bench.world.end(Outcome::Ok);
    bench.world.end(Outcome::Ok);
    rest().await;
    let recorded = [1, 2, 3].map(|alert| (AlertId(alert), DeliveryState::Delivered));
    assert_eq!(bench.world.lock().recorded, recorded);
    assert_eq!(report(&sink).await.state, SinkState::Running);
}

#[actix::test]
async fn what_has_ended_is_not_delivered_again_while_the_disk_fails() {
    let bench = Bench::new(2);
    let _sink = bench.start();
    bench.plan([1]);
    rest().await;
    bench.world.lock().disk_fails = true;
    bench.world.end(Outcome::Ok);
    rest().await;
    assert!(bench.world.lock().fetches > 1, "it could not read either");
    bench.world.lock().disk_fails = false;
    bench.notifiers.notify_all();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(
        bench.world.alerts_in_child(),
        [0u64; 0],
        "it is unrecorded, not due"
    );
    bench.world.disk_works();
    rest().await;
    assert_eq!(
        bench.world.lock().recorded,
        [(AlertId(1), DeliveryState::Delivered)]
    );
    assert!(bench.world.lock().pending.is_empty());
}

#[actix::test]
async fn a_cancel_that_races_the_outcome_wins_while_it_is_not_recorded() {
    let bench = Bench::new(1);
    let _sink = bench.start();
    bench.plan([1, 2]);
    rest().await;
    // Acknowledged while the store cannot record it; the call ends as delivered at the same time.
    bench.world.lock().disk_fails = true;
    let hold = bench.notifiers.stop(&StopRequest::Acknowledged(AlertId(1)), None);
    rest().await;
    assert_eq!(bench.world.lock().cancelled, [1]);
    bench.world.end(Outcome::Ok);
    rest().await;
    bench.world.disk_works();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(
        bench.world.lock().recorded,
        [],
        "how a cancelled call ends is not recorded"
    );
    assert_eq!(bench.world.alerts_in_child(), [2], "and it is not started again");
    bench.world.lock().pending.remove(&AlertId(1));
    drop(hold);
    bench.world.end(Outcome::Ok);
    rest().await;
    assert_eq!(
        bench.world.lock().recorded,
        [(AlertId(2), DeliveryState::Delivered)]
    );
}

#[actix::test]
async fn what_a_fetch_read_before_it_was_acknowledged_is_not_started() {
    let bench = Bench::new(1);
    let _sink = bench.start();
    rest().await;
    bench.world.lock().hold_fetches = true;
    bench.plan([1]);
    rest().await;
    drop(bench.notifiers.stop(&StopRequest::Acknowledged(AlertId(1)), None));
    bench.world.lock().pending.clear();
    bench.world.lock().hold_fetches = false;
    bench.world.lock().held.clear();
    rest().await;
    assert_eq!(bench.world.alerts_in_child(), [0u64; 0]);
}

/// Offers an alert that the store cannot take.
fn offer(bench: &Bench, id: u64) {
    let alert = Alert::new(AlertId(id), AlertKind::Anomaly, "shop", UnixMillis(0));
    let delivery = MemoryDelivery {
        alert,
        frame: None,
        cancel_on_acknowledge: true,
    };
    bench.notifiers.offer("siren", delivery);
}

#[actix::test]
async fn what_the_store_cannot_take_is_delivered_once_and_recorded_when_it_can() {
    let bench = Bench::new(4);
    let _sink = bench.start();
    rest().await;
    bench.world.lock().disk_fails = true;
    offer(&bench, 1);
    offer(&bench, 2);
    rest().await;
    assert_eq!(bench.world.alerts_in_child(), [1, 2]);
    bench.world.end(Outcome::Ok);
    offer(&bench, 1);
    offer(&bench, 2);
    rest().await;
    assert_eq!(bench.world.alerts_in_child(), [2], "each was told");
    // The store takes them, and shows them as due until it has their outcomes.
    bench.plan([1, 2]);
    bench.world.disk_works();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.world.alerts_in_child(), [2]);
    bench.world.end(Outcome::Ok);
    sleep(Duration::from_secs(5)).await;
    let recorded = [1, 2].map(|alert| (AlertId(alert), DeliveryState::Delivered));
    assert_eq!(bench.world.lock().recorded, recorded);
    assert_eq!(bench.world.alerts_in_child(), [0u64; 0]);
    assert!(bench.world.lock().pending.is_empty());
}

#[actix::test]
async fn what_a_fetch_brings_that_was_begun_from_memory_meanwhile_is_not_begun_again() {
    let bench = Bench::new(4);
    let _sink = bench.start();
    rest().await;
    bench.world.lock().hold_fetches = true;
    bench.plan([1]);
    rest().await;
    offer(&bench, 1);
    rest().await;
    assert_eq!(bench.world.alerts_in_child(), [1]);
    bench.world.lock().hold_fetches = false;
    bench.world.lock().held.clear();
    rest().await;
    assert_eq!(bench.world.alerts_in_child(), [1]);
}

#[actix::test]
async fn what_was_acknowledged_is_not_delivered_from_memory() {
    let bench = Bench::new(4);
    let _sink = bench.start();
    rest().await;
    bench.world.lock().disk_fails = true;
    let _hold = bench.notifiers.stop(&StopRequest::Acknowledged(AlertId(1)), None);
    offer(&bench, 1);
    rest().await;
    assert_eq!(bench.world.alerts_in_child(), [0u64; 0]);
    // It falls silent, too, while the store can take nothing.
    offer(&bench, 2);
    rest().await;
    let _hold = bench.notifiers.stop(&StopRequest::Acknowledged(AlertId(2)), None);
    rest().await;
    assert_eq!(bench.world.lock().cancelled, [1]);
}

#[actix::test]
async fn a_fetch_that_runs_while_retries_are_released_is_done_again() {
    let bench = Bench::new(4);
    let _sink = bench.start();
    bench.plan(1..=4);
    rest().await;
    bench.world.lock().hold_fetches = true;
    bench.world.lock().hold_release = true;
    bench.world.end(RETRY);
    rest().await;
    assert_eq!(
        bench.world.lock().held.len(),
        1,
        "a fetch for the free place runs"
    );
    bench.plan([9]);
    bench.world.end(RETRY);
    bench.world.end(RETRY);
    bench.world.end(Outcome::Ok);
    rest().await;
    assert_eq!(bench.world.lock().releases.len(), 1);
    let fetches = bench.world.lock().fetches;
    bench.world.lock().hold_fetches = false;
    bench.world.lock().held.clear();
    rest().await;
    assert_eq!(
        bench.world.lock().fetches,
        fetches,
        "nothing is read while they are released"
    );
    assert_eq!(bench.world.alerts_in_child(), [0u64; 0]);
    bench.world.release_now();
    rest().await;
    assert_eq!(bench.world.alerts_in_child(), [1, 2, 3, 9], "the oldest first");
}

#[actix::test]
async fn a_sink_that_is_down_is_probed_with_growing_waits_and_costs_no_attempt() {
    let bench = Bench::new(3);
    bench.world.lock().probes = true;
    let sink = bench.start();
    bench.plan(1..=3);
    rest().await;
    (0..3).for_each(|_| bench.world.end(RETRY));
    rest().await;
    assert_eq!(report(&sink).await.state, SinkState::Down);
    bench.world.lock().recorded.clear();
    for _ in 0..5 {
        sleep(Duration::from_secs(60)).await;
        assert_eq!(bench.world.lock().calls.len(), 1);
        assert_eq!(bench.world.alerts_in_child(), [0u64; 0], "a probe");
        bench.world.end(RETRY);
    }
    assert_eq!(bench.world.lock().recorded, []);
    sleep(Duration::from_secs(60)).await;
    bench.world.end(Outcome::Ok);
    rest().await;
    assert_eq!(
        bench.world.alerts_in_child(),
        [1],
        "one delivery, which has to prove it"
    );
    bench.world.end(Outcome::Ok);
    rest().await;
    assert_eq!(bench.world.alerts_in_child(), [2, 3]);
    assert_eq!(report(&sink).await.state, SinkState::Running);
}

#[actix::test]
async fn a_child_that_holds_too_much_is_recycled_once_nothing_is_in_flight() {
    let bench = Bench::new(2);
    let sink = bench.start();
    bench.plan([1]);
    rest().await;
    bench.world.lock().memory = Some(1 << 40);
    sleep(Duration::from_secs(60)).await;
    bench.plan([2]);
    rest().await;
    assert_eq!(
        bench.world.alerts_in_child(),
        [1],
        "nothing new is begun, nothing is cut short"
    );
    bench.world.lock().memory = None;
    bench.world.end(Outcome::Ok);
    rest().await;
    assert_eq!(bench.world.lock().launches, 2);
    assert_eq!(bench.world.alerts_in_child(), [2]);
    assert_eq!(report(&sink).await.crashes, 0);
}

#[actix::test]
async fn a_child_that_keeps_too_much_on_the_disk_is_killed_and_named() {
    let bench = Bench::new(1);
    let sink = bench.start();
    bench.plan([1]);
    rest().await;
    bench.world.lock().over_quota = Some("it keeps too much".to_owned());
    sleep(Duration::from_secs(11)).await;
    bench.world.lock().over_quota = None;
    let report = report(&sink).await;
    assert_eq!(report.crashes, 1);
    let why = report.last_error.unwrap_or_default();
    assert!(why.contains("was killed because it keeps too much"), "{why}");
}

#[actix::test]
async fn stopping_finishes_what_is_begun_leaves_the_rest_and_is_over_when_all_is_recorded() {
    let bench = Bench::new(2);
    let sink = bench.start();
    bench.plan([1, 2, 3]);
    rest().await;
    let (done, mut stopped) = oneshot::channel();
    bench.world.lock().finishes_first = true;
    sink.do_send(StopSink(done));
    rest().await;
    assert_eq!(
        bench.world.lock().ends_within,
        Some(Duration::from_secs(34)),
        "the timeout, the time for a cancelled call, and that for leaving"
    );
    assert!(report(&sink).await.ends_by.is_some());
    bench.world.lock().disk_fails = true;
    bench.world.end(Outcome::Ok);
    rest().await;
    bench.world.exit(ExitKind::Stopped);
    sleep(Duration::from_secs(1)).await;
    assert!(stopped.try_recv().is_err(), "its outcome is not recorded");
    bench.world.disk_works();
    stopped.await.unwrap();
    assert_eq!(
        bench.world.lock().recorded,
        [(AlertId(1), DeliveryState::Delivered)]
    );
    let pending: Vec<AlertId> = bench.world.lock().pending.keys().copied().collect();
    assert_eq!(pending, [AlertId(2), AlertId(3)], "they wait for the next start");
    assert!(!sink.connected());
}

#[actix::test]
async fn a_siren_that_sounds_while_its_sink_ends_can_be_stopped() {
    let bench = Bench::new(1);
    let sink = bench.start();
    bench.plan([1]);
    rest().await;
    let (done, stopped) = oneshot::channel();
    bench.world.lock().finishes_first = true;
    sink.do_send(StopSink(done));
    rest().await;
    let _hold = bench.notifiers.stop(&StopRequest::Acknowledged(AlertId(1)), None);
    rest().await;
    assert_eq!(bench.world.lock().cancelled, [1]);
    bench.world.exit(ExitKind::Stopped);
    stopped.await.unwrap();
}

#[actix::test]
async fn a_sink_whose_actor_died_is_restarted_and_delivers() {
    let bench = Bench::new(1);
    bench.world.lock().panics = true;
    bench.plan([1]);
    let at = |seconds| MonotonicTime::since_origin(Duration::from_secs(seconds));
    let mut guard = Guard::start(
        "sink siren".into(),
        bench.parts.clone(),
        Sink::new,
        bench.parts.threads,
        &bench.parts.deaths,
        at(0),
    );
    bench.parts.deaths.wait().await;
    let restart = guard.check(at(1));
    assert_eq!(restart, Some(at(1) + Duration::from_millis(500)), "not at once");
    assert_eq!(guard.check(at(1)), restart);
    assert_eq!(bench.world.lock().launches, 1);
    assert_eq!(guard.check(at(2)), None);
    until(|| bench.world.alerts_in_child() == [1]).await;
    bench.world.end(Outcome::Ok);
    until(|| bench.world.lock().recorded == [(AlertId(1), DeliveryState::Delivered)]).await;
    guard.end();
}
