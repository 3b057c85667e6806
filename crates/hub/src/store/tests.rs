//! The writer thread with a store that fails, or panics, on demand: what is committed, in which order, and who hears of
//! it when.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use tempfile::TempDir;
use tokio::sync::{broadcast, mpsc};
use watchpost_core::{
    About, Alert, AlertId, AlertIds, AlertKind, CommandRefused, DeliveryState, Expectation, HubEvent,
    MAX_FROM_MEMORY, Match, Route, Router, RoutingState, SilenceCommand, SilenceId, SilenceMatch,
    SilenceRefused, Target, UnixMillis,
};
use watchpost_store::{
    Batch, Committed, Filter, OpenReport, OperatorAct, Performed, RetentionReport, RoutingStep, Selection,
    ShopCheckpoint, Store, StoreError, StoreOptions, StorePolicy, StoredAlert,
};

use super::*;
use crate::arming::LiveAreas;
use crate::clock::Clock;
use crate::health::Health;
use crate::notifier::{SinkNotifiers, WriteBackNotifier};
use crate::platform::Threads;
use crate::stamp::{Stamp, StampPolicy};

/// What a test does to the store, and sees of it.
#[derive(Clone, Default)]
struct Switch {
    /// Every transaction fails as on a full disk.
    full: Arc<AtomicBool>,
    /// Commits that were tried.
    tries: Arc<AtomicU32>,
    /// So many commits panic.
    panics: Arc<AtomicU32>,
    /// What was committed, in order.
    log: Arc<Mutex<Vec<String>>>,
}

impl Switch {
    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Full {
                doing: "store alerts in",
                path: PathBuf::from("watchpost.db"),
            });
        }
        Ok(())
    }

    fn note(&self, what: String) {
        self.log.lock().unwrap().push(what);
    }
}

/// A real store behind a switch.
struct Switched(Store, Switch);

impl Storage for Switched {
    fn commit(&mut self, batch: &Batch, step: RoutingStep<'_>) -> Result<Committed, StoreError> {
        self.1.tries.fetch_add(1, Ordering::SeqCst);
        self.1.check()?;
        let panics = &self.1.panics;
        let panic = panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(panic.is_err(), "a bug, as the test wants it");
        let committed = self.0.commit(batch, step)?;
        let titles = batch.arrivals.iter().map(|arrival| {
            let title = &arrival.alert.title;
            // How long it took is up to the machine.
            title
                .split_once(" after ")
                .map_or(title.as_str(), |(what, _)| what)
                .to_owned()
        });
        let marks = batch
            .checkpoints
            .iter()
            .map(|checkpoint| format!("checkpoint {}", checkpoint.at.0));
        self.1.note(titles.chain(marks).collect::<Vec<_>>().join(" + "));
        Ok(committed)
    }

    fn perform(
        &mut self,
        act: &OperatorAct,
        now: UnixMillis,
        step: RoutingStep<'_>,
    ) -> Result<Performed, StoreError> {
        self.1.check()?;
        let performed = self.0.perform(act, now, step)?;
        self.1.note(
            match act {
                OperatorAct::Acknowledge { .. } => "acknowledge",
                OperatorAct::Dismiss { .. } => "dismiss",
                OperatorAct::Clear => "clear",
                OperatorAct::Drop(_) => "drop",
                OperatorAct::Retry(_) => "retry",
                OperatorAct::Cancel(_) => "cancel",
                OperatorAct::Silence(_) => "silence",
                OperatorAct::Arming(_) => "arming",
                OperatorAct::WrongCode { .. } => "wrong code",
            }
            .to_owned(),
        );
        Ok(performed)
    }

    fn knows(&self, alert: &Alert) -> Result<bool, StoreError> {
        self.0.knows(alert)
    }

    fn routing_state(&self) -> &RoutingState {
        self.0.routing_state()
    }

    fn retain(&mut self, now: UnixMillis) -> Result<RetentionReport, StoreError> {
        self.0.retain(now)
    }

    fn set_policy(&mut self, policy: StorePolicy) {
        self.0.set_policy(policy);
    }

    fn reopen(&mut self) -> Result<OpenReport, StoreError> {
        self.0.reopen()
    }

    fn recreate(&mut self, corruption: &StoreError) -> Result<OpenReport, StoreError> {
        self.0.recreate(corruption)
    }
}

/// A store with its writer thread, and two sinks: a siren, whose deliveries an acknowledgement cancels, and mail.
struct Rig {
    dir: TempDir,
    switch: Switch,
    store: StoreHandle,
    state: StoreState,
    notifiers: SinkNotifiers,
    receipts: mpsc::UnboundedReceiver<StoredAs>,
    reply: Recipient<Stored>,
    /// The actor would stop with its last address.
    _actor: Addr<AlertStore>,
}

/// Hands receipts to the test.
struct Collector(mpsc::UnboundedSender<StoredAs>);

impl Actor for Collector {
    type Context = Context<Self>;
}

impl Handler<Stored> for Collector {
    type Result = ();

    fn handle(&mut self, stored: Stored, _: &mut Self::Context) {
        for receipt in stored.receipts {
            self.0.send(receipt.outcome).unwrap();
        }
    }
}

impl Rig {
    fn new() -> Self {
        let (dir, switch) = (tempfile::tempdir().unwrap(), Switch::default());
        let (store, _) = Store::open(StoreOptions::new(dir.path())).unwrap();
        let readers = Readers::new(store.reader_factory(), Threads::Own);
        let notifiers = SinkNotifiers::default();
        for sink in ["siren", "mail"] {
            notifiers.of(sink);
        }
        let parts = WriterParts {
            areas: LiveAreas::new(),
            router: router(),
            has_policy: true,
            stamp: Stamp::default(),
            notifiers: notifiers.clone(),
            write_backs: WriteBackNotifier::new(),
            live: broadcast::channel(16).0,
            health: Health::default(),
            ids: Arc::new(AlertIds::after(None)),
            clock: Clock::start(),
        };
        let storage = Box::new(Switched(store, switch.clone()));
        let (actor, store, state) = AlertStore::new(storage, readers, 64, Threads::Own, parts);
        let (sender, receipts) = mpsc::unbounded_channel();
        Self {
            dir,
            switch,
            store,
            state,
            notifiers,
            receipts,
            reply: Collector(sender).start().recipient(),
            _actor: actor.start(),
        }
    }

    fn checkpoint(&self, at: i64) {
        self.store.checkpoint(ShopCheckpoint {
            connection: "shop".into(),
            shop: "s-1".into(),
            at: UnixMillis(at),
        });
    }

    fn accept(&self, id: u64) {
        let mut alert = HubEvent::SinkRecovered { sink: "x".into() }.into_alert(AlertId(id), UnixMillis(0));
        alert.title = format!("alert {id}");
        self.take(alert);
    }

    fn take(&self, alert: Alert) {
        self.store.accept(Accept {
            token: ReceiptToken::new(alert.id.0),
            alert,
            frame: None,
            bytes: 1,
            reply: self.reply.clone(),
        });
    }

    /// Whether the siren must not sound for this alert.
    fn siren_is_stopped_for(&self, id: u64) -> bool {
        let siren = self.notifiers.of("siren");
        siren.stops().cover(AlertId(id), true)
    }

    async fn stop(self) -> (TempDir, Vec<String>, Vec<StoredAs>) {
        self.store.stop().await;
        let mut receipts = self.receipts;
        drop(self.reply);
        let mut outcomes = Vec::new();
        while let Some(outcome) = receipts.recv().await {
            outcomes.push(outcome);
        }
        (self.dir, self.switch.log(), outcomes)
    }
}

fn router() -> Router {
    let target = |name: &str, cancel_on_acknowledge| Target {
        events: true,
        name: name.into(),
        cancel_on_acknowledge,
        deliver_when_full: cancel_on_acknowledge,
        ..Target::default()
    };
    Router::new(
        vec![target("siren", true), target("mail", false)],
        Vec::<Route>::new(),
    )
}

fn stored(dir: &Path) -> Vec<StoredAlert> {
    let filter = Filter {
        limit: 100,
        ..Filter::default()
    };
    let mut reader = watchpost_store::Reader::open(dir).unwrap();
    reader.list(&filter).unwrap()
}

fn deferred(answer: Option<Answer>) -> bool {
    matches!(answer, Some(Answer::Deferred))
}

#[actix::test]
async fn everything_is_committed_in_the_order_of_its_arrival_also_after_the_disk_was_full() {
    let rig = Rig::new();
    rig.switch.full.store(true, Ordering::SeqCst);
    rig.accept(1);
    // The answer does not wait for the disk.
    assert!(deferred(rig.store.dismiss(AlertId(1)).await));
    rig.checkpoint(7);
    rig.accept(2);
    let mail = Selection {
        sink: Some("mail".into()),
        ..Selection::default()
    };
    assert!(deferred(rig.store.drop_deliveries(mail).await));
    rig.accept(3);
    assert!(rig.state.error().is_some());
    assert_eq!(rig.switch.log(), Vec::<String>::new());
    rig.switch.full.store(false, Ordering::SeqCst);
    let (_dir, log, receipts) = rig.stop().await;
    let expected = [
        "alert 1",
        "dismiss",
        "checkpoint 7 + alert 2",
        "drop",
        "alert 3 + The store works again",
    ];
    let in_batches: Vec<String> = log.iter().map(|batch| in_order(batch)).collect();
    assert_eq!(in_batches, expected.map(in_order));
    assert_eq!(receipts, [StoredAs::New; 3]);
}

/// A policy by which everything goes to this sink.
fn everything_to(sink: &str) -> WriterPolicy {
    let target = Target {
        events: true,
        name: sink.into(),
        ..Target::default()
    };
    WriterPolicy {
        router: Router::new(vec![target], Vec::new()),
        stamp: StampPolicy::default(),
        batch_alerts: 64,
        store: StorePolicy::default(),
    }
}

#[actix::test]
async fn an_alert_in_hand_goes_by_the_policy_that_it_was_routed_by_and_the_next_by_the_new_one() {
    let rig = Rig::new();
    rig.switch.full.store(true, Ordering::SeqCst);
    rig.accept(1);
    // By now the first alert is in hand.
    assert!(deferred(rig.store.dismiss(AlertId(99)).await));
    let answer = rig.store.set_policy(everything_to("hook")).await.unwrap();
    let PolicyAnswer::Deferred(mut in_force) = answer else {
        panic!("in force while the alert that was routed before is not on disk");
    };
    rig.accept(2);
    assert!(in_force.try_recv().is_err());
    rig.switch.full.store(false, Ordering::SeqCst);
    in_force.await.unwrap();
    let (dir, ..) = rig.stop().await;
    let mut routed: Vec<(u64, Vec<String>)> = stored(dir.path())
        .into_iter()
        .map(|stored| {
            let sinks = stored.deliveries.into_iter().map(|delivery| delivery.sink);
            (stored.alert.id.0, sinks.collect())
        })
        .filter(|(id, _)| *id <= 2)
        .collect();
    routed.sort();
    let by_both = vec!["siren".to_owned(), "mail".to_owned()];
    assert_eq!(routed, [(1, by_both), (2, vec!["hook".to_owned()])]);
}

/// What a batch holds, without the order that a batch does not have.
fn in_order(batch: &str) -> String {
    let mut parts: Vec<&str> = batch.split(" + ").collect();
    parts.sort_unstable();
    parts.join(" + ")
}

#[actix::test]
async fn a_person_does_not_wait_for_all_alerts_that_came_before_while_the_disk_is_full() {
    let rig = Rig::new();
    rig.switch.full.store(true, Ordering::SeqCst);
    (1..=10_000).for_each(|id| rig.accept(id));
    assert!(deferred(rig.store.dismiss(AlertId(1)).await));
    assert!(
        rig.switch.tries.load(Ordering::SeqCst) < 1_000,
        "one try for each alert"
    );
    rig.switch.full.store(false, Ordering::SeqCst);
    let (_dir, log, receipts) = rig.stop().await;
    assert_eq!(receipts, [StoredAs::New; 10_000]);
    assert!(log.iter().any(|line| line == "dismiss"));
}

#[actix::test]
async fn a_siren_is_stopped_while_the_disk_is_full_and_stays_so_until_that_is_recorded() {
    let rig = Rig::new();
    rig.accept(1);
    rig.accept(2);
    rig.checkpoint(1);
    // Both are on disk before the disk is full.
    assert!(matches!(
        rig.store.retry_deliveries(Selection::default()).await,
        Some(Answer::Recorded(0))
    ));
    rig.switch.full.store(true, Ordering::SeqCst);
    assert!(deferred(rig.store.dismiss(AlertId(1)).await));
    assert!(rig.siren_is_stopped_for(1) && !rig.siren_is_stopped_for(2));
    rig.switch.full.store(false, Ordering::SeqCst);
    // It takes its turn behind the dismissal.
    let everything = Selection::default();
    assert!(rig.store.retry_deliveries(everything).await.is_some());
    let siren = rig.notifiers.of("siren");
    let (dir, log, _) = rig.stop().await;
    assert_eq!(log.iter().filter(|line| *line == "dismiss").count(), 1);
    assert!(
        !siren.begin_fetch().cover(AlertId(1), true),
        "the store shows it now"
    );
    let alerts = stored(dir.path());
    let first = alerts
        .iter()
        .find(|stored| stored.alert.id == AlertId(1))
        .unwrap();
    let states: Vec<_> = first.deliveries.iter().map(|row| row.state).collect();
    assert!(first.dismissed);
    // The second command made it pending again: they took effect in their order.
    assert_eq!(states, [DeliveryState::Pending, DeliveryState::Pending]);
}

#[actix::test]
async fn a_siren_is_told_from_memory_while_the_disk_is_full_a_bounded_number_of_times() {
    let rig = Rig::new();
    rig.accept(1);
    // On disk before the disk is full.
    assert!(rig.store.retry_deliveries(Selection::default()).await.is_some());
    rig.switch.full.store(true, Ordering::SeqCst);
    // The first is known.
    rig.accept(1);
    let most = u64::try_from(MAX_FROM_MEMORY).unwrap();
    (2..=most + 5).for_each(|id| rig.accept(id));
    // Events about the store are no reason to sound.
    rig.store.raise(HubEvent::SinkRecovered { sink: "mail".into() });
    let siren = rig.notifiers.of("siren");
    let mut told = Vec::new();
    while told.len() < MAX_FROM_MEMORY {
        siren.notified().await;
        told.extend(std::iter::from_fn(|| siren.take_offered()).map(|offered| offered.alert.id.0));
    }
    // Several tries later it is not told again.
    let tries = rig.switch.tries.load(Ordering::SeqCst);
    while rig.switch.tries.load(Ordering::SeqCst) < tries + 2 {
        tokio::task::yield_now().await;
    }
    told.extend(siren.take_offered().map(|offered| offered.alert.id.0));
    assert_eq!(told, (2..=most + 1).collect::<Vec<_>>());
    assert!(rig.notifiers.of("mail").take_offered().is_none());
    rig.switch.full.store(false, Ordering::SeqCst);
    let (dir, _, _) = rig.stop().await;
    let stored = stored(dir.path());
    let alerts = stored
        .iter()
        .filter(|stored| stored.alert.title.starts_with("alert "));
    assert_eq!(alerts.count(), MAX_FROM_MEMORY + 5);
}

#[actix::test]
async fn a_writer_that_dies_is_started_again_and_stores_what_it_had_in_hand() {
    // The wait before the restart takes no time.
    tokio::time::pause();
    let mut rig = Rig::new();
    rig.switch.panics.store(1, Ordering::SeqCst);
    rig.accept(1);
    assert_eq!(rig.receipts.recv().await, Some(StoredAs::New));
    rig.accept(2);
    assert_eq!(rig.receipts.recv().await, Some(StoredAs::New));
    let (dir, log, _) = rig.stop().await;
    assert_eq!(log, ["alert 1", "alert 2"]);
    assert_eq!(stored(dir.path()).len(), 2);
}

#[actix::test]
async fn a_hub_that_stops_while_the_disk_is_full_says_what_is_lost_and_lets_go_of_the_store() {
    let rig = Rig::new();
    rig.switch.full.store(true, Ordering::SeqCst);
    rig.accept(1);
    assert!(deferred(rig.store.clear().await));
    rig.accept(2);
    let (dir, log, receipts) = rig.stop().await;
    assert_eq!((log.len(), receipts), (0, vec![StoredAs::Lost; 2]));
    Store::open(StoreOptions::new(dir.path())).unwrap();
}

#[actix::test]
async fn what_is_queued_is_stored_before_a_hub_stops() {
    let rig = Rig::new();
    for id in 1..=1_000 {
        rig.accept(id);
    }
    let (dir, _, receipts) = rig.stop().await;
    assert_eq!(receipts, [StoredAs::New; 1_000]);
    assert_eq!(
        watchpost_store::Reader::open(dir.path())
            .unwrap()
            .counts()
            .unwrap()
            .alerts,
        1_000
    );
}

#[actix::test]
async fn commands_beyond_the_limit_are_refused_and_the_same_one_waits_only_once() {
    let rig = Rig::new();
    rig.switch.full.store(true, Ordering::SeqCst);
    rig.accept(1);
    for id in 1..=1_024 {
        assert!(deferred(rig.store.dismiss(AlertId(id)).await));
    }
    assert!(deferred(rig.store.dismiss(AlertId(7)).await));
    assert!(matches!(
        rig.store.dismiss(AlertId(9_999)).await,
        Some(Answer::Refused)
    ));
    rig.switch.full.store(false, Ordering::SeqCst);
    let (_dir, log, _) = rig.stop().await;
    assert_eq!(log.iter().filter(|line| *line == "dismiss").count(), 1_024);
}

#[actix::test]
async fn a_silence_that_is_over_is_said_in_the_commit_that_forgets_it_though_nothing_comes_in() {
    let rig = Rig::new();
    let begin = |kind, seconds| SilenceCommand::Begin {
        matches: Box::new(SilenceMatch {
            kind: vec![kind],
            ..SilenceMatch::default()
        }),
        lasts: Duration::from_secs(seconds),
        why: "painters".into(),
        by: watchpost_core::Actor::Operator,
    };
    let end = || SilenceCommand::End {
        id: SilenceId(1),
        by: watchpost_core::Actor::Operator,
    };
    assert!(matches!(
        rig.store.silence(begin(AlertKind::Hub, 3_600)).await,
        Some(Answer::Recorded(1))
    ));
    rig.accept(1);
    assert!(matches!(
        rig.store.silence(end()).await,
        Some(Answer::Recorded(1))
    ));
    until(
        &rig,
        "Silence 1 is over, ended by the operator: it held back 1 alert",
    )
    .await;
    assert!(matches!(
        rig.store.silence(end()).await,
        Some(Answer::NotDone(CommandRefused::Silence(SilenceRefused::Unknown(
            SilenceId(1)
        ))))
    ));
    // This one ends by itself.
    assert!(matches!(
        rig.store.silence(begin(AlertKind::Notice, 1)).await,
        Some(Answer::Recorded(1))
    ));
    until(&rig, "Silence 2 is over: it held nothing back").await;
    let (dir, ..) = rig.stop().await;
    let stored = stored(dir.path());
    let of = |title: &str| {
        stored
            .iter()
            .find(|one| one.alert.title.starts_with(title))
            .unwrap()
    };
    assert!(of("Silence 1").alert.text.contains("The last was 1;"));
    assert_eq!(of("Silence 1").deliveries.len(), 2);
    assert_eq!(of("alert 1").deliveries.len(), 0);
}

#[actix::test]
async fn what_is_quiet_is_said_though_nothing_comes_in_and_so_is_its_end() {
    let rig = Rig::new();
    let mut policy = everything_to("mail");
    policy.router = policy.router.with_expectations(vec![Expectation {
        name: "Back door".into(),
        matches: Match::default(),
        every: Duration::from_secs(1),
        about: About::default(),
    }]);
    rig.store.set_policy(policy).await.unwrap();
    until(&rig, "Nothing from Back door for ").await;
    let now = Clock::start().unix();
    rig.take(Alert::new(AlertId(1), AlertKind::Anomaly, "shop", now));
    until(&rig, "Back door was quiet for ").await;
    let (dir, log, _) = rig.stop().await;
    let reopened = Store::open(StoreOptions::new(dir.path())).unwrap().0;
    let state = reopened.routing_state();
    assert_eq!(
        state
            .heard
            .iter()
            .map(|(name, last)| (name, last.ever))
            .collect::<Vec<_>>(),
        [("Back door", true)],
        "{log:?}"
    );
}

/// Waits until something was committed that begins with this.
async fn until(rig: &Rig, title: &str) {
    while !rig.switch.log().iter().any(|batch| batch.starts_with(title)) {
        tokio::task::yield_now().await;
    }
}
