//! A child and a store that do as a test says, on a paused clock.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actix::prelude::*;
use futures_util::stream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::pause;
use watchpost_config::SinkSettings;
use watchpost_core::{
    AlertId, AlertKind, DeliveryResult, DeliveryState, DueDelivery, Fetched, HubEvent, UnixMillis,
};
use watchpost_sinkhost_client::{AlertDoc, Event, Exit, ExitKind, Job, NotQueued, Note, Outcome, Severity};

use super::child::{Launched, Launcher, Processes};
use super::granted::GrantedFiles;
use super::{Backlog, Child, Payload, Sink, SinkParts, Wanted};
use crate::clock::Clock;
use crate::guard::Deaths;
use crate::health::Health;
use crate::notifier::{MemoryDelivery, SinkNotifiers};
use crate::platform::Threads;
use crate::store::{Recorded, Released};

/// When the tests take place.
const START: UnixMillis = UnixMillis(1_795_396_590_000);

/// What the test, the child and the store share.
#[derive(Default)]
pub(crate) struct World {
    /// Pending deliveries, and when they are due.
    pub(crate) pending: BTreeMap<AlertId, UnixMillis>,
    /// The outcomes that the store has recorded, in order.
    pub(crate) recorded: Vec<(AlertId, DeliveryState)>,
    /// While set, the store cannot be read, and records nothing.
    pub(crate) disk_fails: bool,
    /// Records that wait until the disk works.
    pub(crate) waiting: Vec<(Vec<DeliveryResult>, Recipient<Recorded>)>,
    /// While set, what fetches read is held back.
    pub(crate) hold_fetches: bool,
    pub(crate) held: Vec<oneshot::Sender<()>>,
    pub(crate) hold_release: bool,
    pub(crate) releases: Vec<Recipient<Released>>,
    pub(crate) fetches: usize,
    pub(crate) raised: Vec<HubEvent>,
    /// Whether the plugin can be probed.
    pub(crate) probes: bool,
    pub(crate) panics: bool,
    pub(crate) launches: usize,
    pub(crate) memory: Option<u64>,
    pub(crate) over_quota: Option<String>,
    /// Calls that the child has, oldest first, with their alert.
    pub(crate) calls: Vec<(u64, Option<AlertId>)>,
    pub(crate) cancelled: Vec<u64>,
    /// How long the child was given for ending.
    pub(crate) ends_within: Option<Duration>,
    /// While set, a child that has calls goes on when it is asked to end.
    pub(crate) finishes_first: bool,
    pub(crate) events: Option<mpsc::UnboundedSender<Event>>,
}

/// A handle to it.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    pub(crate) fn emit(&self, event: Event) {
        let events = self.lock().events.clone();
        events.expect("there is a child").send(event).unwrap();
    }

    /// Ends the child's oldest call.
    pub(crate) fn end(&self, outcome: Outcome) {
        let (call_id, _) = self.lock().calls.remove(0);
        let notes = Arc::from([Note::new("451 busy")]);
        self.emit(Event::Done {
            call_id,
            outcome,
            notes,
        });
    }

    pub(crate) fn exit(&self, how: ExitKind) {
        let unfinished = self.lock().calls.drain(..).map(|(call, _)| call).collect();
        self.emit(Event::Exited(Exit {
            how,
            blamed: None,
            unfinished,
        }));
        self.lock().events = None;
    }

    pub(crate) fn alerts_in_child(&self) -> Vec<u64> {
        let world = self.lock();
        world
            .calls
            .iter()
            .filter_map(|(_, alert)| Some((*alert)?.0))
            .collect()
    }

    /// Records what waited for the disk.
    pub(crate) fn disk_works(&self) {
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

    pub(crate) fn release_now(&self) {
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
                granted: GrantedFiles::default(),
            })
        })
    }

    fn over_quota(&self, _: &Processes) -> Option<String> {
        self.lock().over_quota.clone()
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

    fn kill(&self, why: String) {
        self.exit(ExitKind::OverLimit(why));
    }

    fn cancel(&self, call: u64) {
        self.lock().cancelled.push(call);
    }

    fn end(&self, within: Duration) {
        let begun = {
            let mut world = self.lock();
            world.ends_within = Some(within);
            world.finishes_first && !world.calls.is_empty()
        };
        if !begun {
            self.exit(ExitKind::Stopped);
        }
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

    fn load_offered(&self, offered: MemoryDelivery, _: UnixMillis) -> Option<DueDelivery<Payload>> {
        Some(delivery(offered.alert.id))
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
        age: Duration::ZERO,
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
pub(crate) struct Bench {
    pub(crate) world: Shared,
    pub(crate) notifiers: SinkNotifiers,
    pub(crate) parts: SinkParts,
}

impl Bench {
    pub(crate) fn new(in_flight: usize) -> Self {
        pause();
        let world = Shared::default();
        let notifiers = SinkNotifiers::default();
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
            panel: None,
            launcher: Arc::new(world.clone()),
            notifier: notifiers.of("siren"),
            threads: Threads::Own,
            health: Health::default(),
            deaths: Deaths::default(),
        };
        Self {
            world,
            notifiers,
            parts,
        }
    }

    pub(crate) fn start(&self) -> Addr<Sink> {
        Sink::new(self.parts.clone()).start()
    }

    pub(crate) fn plan(&self, alerts: impl IntoIterator<Item = u64>) {
        let planned = alerts.into_iter().map(|alert| (AlertId(alert), UnixMillis(0)));
        self.world.lock().pending.extend(planned);
        self.notifiers.notify_all();
    }
}

/// Waits for what another thread does.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}
