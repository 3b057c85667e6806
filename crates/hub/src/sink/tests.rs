//! The actor with a child and a store that do as the test says, on a paused clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actix::prelude::*;
use futures_util::stream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{pause, sleep};
use watchpost_config::SinkSettings;
use watchpost_core::{
    AlertId, AlertKind, DeliveryResult, DeliveryState, DueDelivery, Fetched, HubEvent, MonotonicTime,
    SinkState, UnixMillis,
};
use watchpost_sinkhost_client::{AlertDoc, Event, Exit, ExitKind, Job, NotQueued, Note, Outcome, Severity};

use super::child::{Launched, Launcher};
use super::{Backlog, Child, Payload, ReportSink, Sink, SinkParts, StopSink, Wanted};
use crate::clock::Clock;
use crate::guard::Guard;
use crate::notifier::{SinkNotifiers, StopRequest};
use crate::status::SinkReport;
use crate::store::{Recorded, Released};

/// When the tests take place.
const START: UnixMillis = UnixMillis(1_795_396_590_000);

/// What the test, the child and the store share.
#[derive(Default)]
struct World {
    /// Pending deliveries, and when they are due.
    pending: BTreeMap<AlertId, UnixMillis>,
    /// The outcomes that the store has recorded, in order.
    recorded: Vec<(AlertId, DeliveryState)>,
    /// While set, the store cannot be read, and records nothing.
    disk_fails: bool,
    /// Records that wait until the disk works.
    waiting: Vec<(Vec<DeliveryResult>, Recipient<Recorded>)>,
    /// While set, what fetches read is held back.
    hold_fetches: bool,
    held: Vec<oneshot::Sender<()>>,
    hold_release: bool,
    releases: Vec<Recipient<Released>>,
    fetches: usize,
    raised: Vec<HubEvent>,
    /// Whether the plugin can be probed.
    probes: bool,
    panics: bool,
    launches: usize,
    memory: Option<u64>,
    /// Calls that the child has, oldest first, with their alert.
    calls: Vec<(u64, Option<AlertId>)>,
    cancelled: Vec<u64>,
    events: Option<mpsc::UnboundedSender<Event>>,
}

/// A handle to it.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<World>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    fn emit(&self, event: Event) {
        let events = self.lock().events.clone();
        events.expect("there is a child").send(event).unwrap();
    }

    /// Ends the child's oldest call.
    fn end(&self, outcome: Outcome) {
        let (call_id, _) = self.lock().calls.remove(0);
        let notes = Arc::from([Note::new("451 busy")]);
        self.emit(Event::Done {
            call_id,
            outcome,
            notes,
        });
    }

    fn exit(&self, how: ExitKind) {
        let unfinished = self.lock().calls.drain(..).map(|(call, _)| call).collect();
        self.emit(Event::Exited(Exit {
            how,
            blamed: None,
            unfinished,
        }));
        self.lock().events = None;
    }

    fn alerts_in_child(&self) -> Vec<u64> {
        let world = self.lock();
        world
            .calls
            .iter()
            .filter_map(|(_, alert)| Some((*alert)?.0))
            .collect()
    }

    /// Records what waited for the disk.
    fn disk_works(&self) {
        let waiting = {
            let mut world = self.lock();
            world.disk_fails = false;
            std::mem::take(&mut world.waiting)
        };
        waiting
            .into_iter()
            .for_each(|(results, reply)| self.record_now(results, &reply));
    }

    fn record_now(&self, results: Vec<DeliveryResult>, reply: &Recipient<Recorded>) {
        let alerts = results.iter().map(|result| result.alert).collect();
        for result in results {
            let mut world = self.lock();
            if world.pending.remove(&result.alert).is_none() {
                continue;
            }
            world.recorded.push((result.alert, result.state));
            if result.state == DeliveryState::Pending {
                world.pending.insert(result.alert, result.due_at);
            }
        }
        reply.do_send(Recorded { alerts });
    }

    fn release_now(&self) {
        let mut world = self.lock();
        world.hold_release = false;
        world.pending.values_mut().for_each(|due| *due = UnixMillis(0));
        world.releases.drain(..).for_each(|reply| reply.do_send(Released));
    }
}

impl Launcher for Shared {
    fn launch(&self) -> ResponseFuture<Result<Launched, String>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut world = self.lock();
        let panics = std::mem::take(&mut world.panics);
        world.launches += 1;
        world.events = Some(sender);
        drop(world);
        assert!(!panics, "as the test wants it");
        let events = stream::unfold(receiver, |mut receiver| async move {
            Some((receiver.recv().await?, receiver))
        });
        let child = Box::new(self.clone());
        Box::pin(async move {
            Ok(Launched {
                child,
                events: Box::pin(events),
            })
        })
    }
}

impl Child for Shared {
    fn pid(&self) -> u32 {
        7
    }

    fn probes(&self) -> bool {
        self.lock().probes
    }

    fn sandbox_gaps(&self) -> Vec<String> {
        Vec::new()
    }

    fn memory(&self) -> Option<u64> {
        self.lock().memory
    }

    fn deliver(&self, job: Job) -> Result<(), NotQueued> {
        let alert = AlertId(job.alert.id.parse().unwrap());
        self.lock().calls.push((job.call_id, Some(alert)));
        Ok(())
    }

    fn probe(&self, call: u64, _: Duration) -> Result<(), NotQueued> {
        self.lock().calls.push((call, None));
        Ok(())
    }

    fn cancel(&self, call: u64) {
        self.lock().cancelled.push(call);
    }

    fn end(self: Box<Self>, _: Duration) -> ResponseFuture<()> {
        self.exit(ExitKind::Stopped);
        Box::pin(async {})
    }
}

impl Backlog for Shared {
    fn fetch(&self, wanted: Wanted) -> ResponseFuture<Result<Fetched<Payload>, String>> {
        let mut world = self.lock();
        world.fetches += 1;
        if world.disk_fails {
            return Box::pin(async { Err("disk I/O error".to_owned()) });
        }
        let pending = || {
            let pending = world.pending.iter().map(|(&alert, &due)| (alert, due));
            pending.filter(|(alert, _)| !wanted.skip.contains(alert) && !wanted.stops.cover(*alert, true))
        };
        let due = pending().filter(|&(_, due)| due <= wanted.now).take(wanted.limit);
        let due: Vec<_> = due.map(|(alert, _)| delivery(alert)).collect();
        let next_due = pending().map(|(_, due)| due).min();
        let fetched = Fetched {
            more: !due.is_empty(),
            next_due,
            expired: Vec::new(),
            due,
        };
        let (go, held) = oneshot::channel();
        if world.hold_fetches {
            world.held.push(go);
        }
        Box::pin(async move {
            let _ = held.await;
            Ok(fetched)
        })
    }

    fn record(&self, results: Vec<DeliveryResult>, reply: Recipient<Recorded>) {
        if self.lock().disk_fails {
            return self.lock().waiting.push((results, reply));
        }
        self.record_now(results, &reply);
    }

    fn release_retries(&self, reply: Recipient<Released>) {
        self.lock().releases.push(reply);
        if !self.lock().hold_release {
            self.release_now();
        }
    }

    fn acknowledge(&self, _: AlertId) {}

    fn raise(&self, event: HubEvent) {
        self.lock().raised.push(event);
    }
}

fn delivery(alert: AlertId) -> DueDelivery<Payload> {
    let document = AlertDoc {
        id: alert.to_string(),
        severity: Severity::High,
        title: "Anomaly".into(),
        text: "Somebody is there.".into(),
        json: "{}".into(),
        unix_ms: 0,
        utc_offset_s: 0,
    };
    DueDelivery {
        alert,
        kind: AlertKind::Anomaly,
        received_at: START,
        attempts: 0,
        cancel_on_acknowledge: true,
        frame_bytes: 0,
        payload: Payload {
            document: Arc::new(document),
            frames: Vec::new(),
        },
    }
}

/// A sink in its world.
struct Bench {
    world: Shared,
    notifiers: SinkNotifiers,
    parts: SinkParts,
}

impl Bench {
    fn new(in_flight: usize) -> Self {
        pause();
        let world = Shared::default();
        let notifiers = SinkNotifiers::new(["siren"].into_iter());
        let settings: SinkSettings = serde_json::from_value(serde_json::json!({
            "name": "siren",
            "plugin": "gpio",
            "in_flight": in_flight,
            "cancel_on_acknowledge": true,
        }))
        .unwrap();
        let parts = SinkParts {
            settings: Arc::new(settings),
            clock: Clock::starting_at(START),
            backlog: Arc::new(world.clone()),
            launcher: Arc::new(world.clone()),
            notifier: Arc::clone(notifiers.get("siren").unwrap()),
        };
        Self {
            world,
            notifiers,
            parts,
        }
    }

    fn start(&self) -> Addr<Sink> {
        Sink::new(self.parts.clone()).start()
    }

    fn plan(&self, alerts: impl IntoIterator<Item = u64>) {
        let planned = alerts.into_iter().map(|alert| (AlertId(alert), UnixMillis(0)));
        self.world.lock().pending.extend(planned);
        self.notifiers.notify_all();
    }
}

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
async fn stopping_finishes_what_is_in_flight_records_it_and_then_ends_the_child() {
    let bench = Bench::new(1);
    let sink = bench.start();
    bench.plan([1, 2]);
    rest().await;
    let (done, mut stopped) = oneshot::channel();
    sink.do_send(StopSink(done));
    bench.world.lock().disk_fails = true;
    bench.world.end(Outcome::Ok);
    sleep(Duration::from_secs(1)).await;
    assert!(stopped.try_recv().is_err(), "its outcome is not recorded");
    assert!(bench.world.lock().events.is_some(), "so the child lives");
    bench.world.disk_works();
    stopped.await.unwrap();
    assert_eq!(
        bench.world.lock().recorded,
        [(AlertId(1), DeliveryState::Delivered)]
    );
    assert!(bench.world.lock().events.is_none());
    assert_eq!(
        bench.world.lock().pending.len(),
        1,
        "the second waits for the next start"
    );
    assert!(!sink.connected());
}

#[actix::test]
async fn a_sink_whose_actor_died_is_restarted_and_delivers() {
    let bench = Bench::new(1);
    bench.world.lock().panics = true;
    bench.plan([1]);
    let at = |seconds| MonotonicTime::since_origin(Duration::from_secs(seconds));
    let mut guard = Guard::start("sink siren".into(), bench.parts.clone(), Sink::new, at(0));
    until(|| !guard.address().connected()).await;
    guard.check(at(1));
    guard.check(at(1));
    assert_eq!(bench.world.lock().launches, 1, "not at once");
    guard.check(at(2));
    until(|| bench.world.alerts_in_child() == [1]).await;
    bench.world.end(Outcome::Ok);
    until(|| bench.world.lock().recorded == [(AlertId(1), DeliveryState::Delivered)]).await;
    guard.end();
}

/// Waits for what another thread does.
async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}
