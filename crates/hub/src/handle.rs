//! What the outside can ask of a running hub.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use actix::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use watchpost_config::Settings;
use watchpost_core::{
    Actor, Alert, AlertId, ArmingCommand, CommandRefused, DeliveryState, Panic, RoutingState, Silence,
    SilenceCommand, UnixMillis,
};
use watchpost_sinkhost_client::Cgroups;
use watchpost_store::{Acknowledgement, Reader, StoreError, StoredAlert};

use crate::alerts::{self, AlertPage, AlertQuery};
use crate::areas::{self, AreaReport};
use crate::arming::Arming;
use crate::cameras::{self, SeenCameraReport};
use crate::clock::Clock;
use crate::current::CurrentSettings;
use crate::deliveries::{Changed, DeliveryQuery, DeliveryRecord};
use crate::explain::{self, Explanation};
use crate::health::Health;
use crate::live::LiveEvent;
use crate::silences;
use crate::source::inbound::{InboundHandle, InboundHandles};
use crate::status::{HoldReport, HubStatus, QueueReport, StoreReport};
use crate::store::{Answer, ReadError, Readers, StoreHandle, StoreState};
use crate::supervisor::{Report, StopAll, Supervisor};
use crate::watchdog::{WatchdogState, clock_problem};

/// A running hub. Clones are handles to the same one; it can be used from any thread.
#[derive(Clone)]
pub struct HubHandle(Arc<HubParts>);

pub(crate) struct HubParts {
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) store: StoreHandle,
    pub(crate) store_state: StoreState,
    pub(crate) watchdog_state: WatchdogState,
    pub(crate) clock: Clock,
    pub(crate) health: Health,
    pub(crate) readers: Readers,
    pub(crate) settings: CurrentSettings,
    pub(crate) opened: Option<String>,
    pub(crate) cgroups: Cgroups,
    pub(crate) started_at: UnixMillis,
    pub(crate) inbound: InboundHandles,
    pub(crate) arming: Arming,
    pub(crate) live: broadcast::Sender<LiveEvent>,
}

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The hub is stopping.
    #[error("the hub is stopping")]
    Gone,
    /// It is not done.
    #[error(transparent)]
    Refused(#[from] CommandRefused),
    /// What is named does not exist.
    #[error("{0}")]
    NotThere(String),
    /// Too many commands wait for the disk.
    #[error(
        "the store cannot be written, and no more commands can wait for it. `watchpost status` says what is wrong with it."
    )]
    Busy,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording<T> {
    /// It is on disk.
    Done(T),
    /// The store cannot be written. What had to stop is stopped, and it is recorded when the disk can.
    Deferred,
}

/// What a command that stops something means while the store cannot be written.
pub const STOPPED_DEFERRED: &str = "stopped; recorded when the disk can";

/// What a command that stops nothing means while the store cannot be written.
pub const DEFERRED: &str = "recorded when the disk can";

/// An alert as lists show it. Its JSON is the alert's with a few fields more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertEntry {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// When it was acknowledged, if it was. What is dismissed is acknowledged too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<UnixMillis>,
    /// Who has acknowledged it; not given where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<Actor>,
    /// Whether it has been taken off the live list.
    pub dismissed: bool,
    /// What became of it at each sink.
    pub deliveries: Vec<DeliveryEntry>,
}

/// One delivery of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryEntry {
    /// Name of the sink.
    pub sink: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a hub stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Everything in hand was finished.
    Clean,
    /// Some deliveries were not finished in time; they are in the store and go on at the next start.
    Unfinished,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clean => "everything in hand was finished",
            Self::Unfinished => "some deliveries go on at the next start",
        })
    }
}

impl HubHandle {
    pub(crate) fn new(parts: HubParts) -> Self {
        Self(Arc::new(parts))
    }

    pub(crate) fn supervisor(&self) -> &Addr<Supervisor> {
        &self.0.supervisor
    }

    /// The settings that it goes by.
    pub fn settings(&self) -> Arc<Settings> {
        self.0.settings.get()
    }

    /// Length of the live list.
    fn recent(&self) -> u32 {
        self.settings().store.recent
    }

    /// How everything is.
    ///
    /// # Errors
    /// When the hub is stopping or the store cannot be read.
    pub async fn status(&self) -> Result<HubStatus, AskError> {
        let reports = self.0.supervisor.send(Report).await.map_err(|_| AskError::Gone)?;
        let counts = self.read(|reader| reader.counts()).await?;
        let routing = self.read(|reader| reader.routing_state()).await?;
        let mut sinks = reports.sinks;
        let queues = QueueReport::without_sink(&counts, &sinks);
        for sink in &mut sinks {
            sink.deliveries = counts
                .deliveries
                .get(&sink.name)
                .cloned()
                // The store knows a sink by its first delivery.
                .unwrap_or_else(|| DeliveryState::ALL.map(|state| (state, 0)).into());
        }
        Ok(HubStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.0.started_at,
            watchdog_error: self.0.watchdog_state.error(),
            clock_problem: clock_problem(self.0.clock.unix()),
            connections: reports.connections,
            store: StoreReport {
                alerts: counts.alerts,
                unmatched: counts.unmatched,
                picture_bytes: counts.frame_bytes,
                error: self.0.store_state.error(),
                held: self.0.store_state.held().map(Into::into),
                opened: self.0.opened.clone(),
            },
            sinks,
            queues,
            cgroup_gaps: self.0.cgroups.gaps(),
            silences: self.silences_of(&routing),
            areas: self.areas_of(&routing),
            held: HoldReport::of(&routing.holds),
            expected: routing.heard,
        })
    }

    /// A page of alerts, newest first, and how many more there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn alerts(&self, query: AlertQuery) -> Result<AlertPage, AskError> {
        let limit = query.limit.unwrap_or_else(|| self.recent()) as usize;
        self.read(move |reader| alerts::page(reader, &query, limit)).await
    }

    /// The cameras of the newest alerts, named or not, the one with the newest alert first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn cameras(&self) -> Result<Vec<SeenCameraReport>, AskError> {
        self.read(cameras::seen).await
    }

    /// Names of the sinks there are: those that run, and those that the store remembers deliveries to.
    ///
    /// # Errors
    /// When the hub is stopping or the store cannot be read.
    pub async fn sink_names(&self) -> Result<BTreeSet<String>, AskError> {
        let reports = self.0.supervisor.send(Report).await.map_err(|_| AskError::Gone)?;
        let counts = self.read(|reader| reader.counts()).await?;
        let running = reports.sinks.into_iter().map(|sink| sink.name);
        Ok(running.chain(counts.deliveries.into_keys()).collect())
    }

    /// One alert; `None` when there is none of that id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn alert(&self, id: AlertId) -> Result<Option<AlertEntry>, AskError> {
        Ok(self
            .read(move |reader| reader.get(id))
            .await?
            .map(AlertEntry::from))
    }

    /// The picture of an alert, or why it has none; `None` when there is no such alert.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn picture(&self, id: AlertId) -> Result<Option<Result<Vec<u8>, String>>, AskError> {
        self.read(move |reader| {
            let Some(stored) = reader.get(id)? else {
                return Ok(None);
            };
            let Some(frame) = &stored.frame else {
                let why = match stored.alert.picture {
                    watchpost_core::Picture::Missing(why) => why,
                    watchpost_core::Picture::Pending { .. } => "it is still being fetched".to_owned(),
                    watchpost_core::Picture::Jpeg { .. } => "it has been removed".to_owned(),
                };
                return Ok(Some(Err(why)));
            };
            Ok(Some(reader.read_frame(frame).map_err(|e| e.to_string())))
        })
        .await
    }

    /// Acknowledges an alert, which stays on the live list, and stops at once what that cancels; whether there is such an
    /// alert. It does not wait for a store that cannot be written. `at` is the sink at which a person has done so.
    ///
    /// # Errors
    /// When it cannot be recorded, or there is no such sink.
    pub async fn acknowledge(&self, id: AlertId, at: Option<&str>) -> Result<Recording<bool>, AskError> {
        let settings = self.settings();
        if let Some(sink) = at.filter(|at| settings.sink.iter().all(|sink| sink.name != *at)) {
            return Err(AskError::NotThere(format!("there is no sink {sink}")));
        }
        Ok(match recording(self.0.store.acknowledge(id, at).await)? {
            Recording::Done(changed) => Recording::Done(changed > 0),
            Recording::Deferred => Recording::Deferred,
        })
    }

    /// Why each sink got an alert or did not, and what became of it there; `None` when there is no such alert.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn explain(&self, id: AlertId) -> Result<Option<Explanation>, AskError> {
        self.read(move |reader| explain::explain(reader, id)).await
    }

    /// Dismisses an alert, which takes it off the live list, and stops at once what an acknowledgement cancels; whether
    /// there is such an alert. It does not wait for a store that cannot be written.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub async fn dismiss(&self, id: AlertId) -> Result<Recording<bool>, AskError> {
        Ok(match recording(self.0.store.dismiss(id).await)? {
            Recording::Done(changed) => Recording::Done(changed > 0),
            Recording::Deferred => Recording::Deferred,
        })
    }

    /// Dismisses all alerts on the live list, and stops at once what an acknowledgement cancels. It does not wait for a
    /// store that cannot be written.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub async fn clear(&self) -> Result<Recording<()>, AskError> {
        Ok(match recording(self.0.store.clear().await)? {
            Recording::Done(_) => Recording::Done(()),
            Recording::Deferred => Recording::Deferred,
        })
    }

    /// Deliveries, those of the newest alerts first; as many as the live list has unless the query says how many.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn deliveries(&self, query: DeliveryQuery) -> Result<Vec<DeliveryRecord>, AskError> {
        let limit = query.limit.unwrap_or_else(|| self.recent());
        let selection = query.into();
        let found = self
            .read(move |reader| reader.deliveries(&selection, limit))
            .await?;
        Ok(found.into_iter().map(DeliveryRecord::from).collect())
    }

    /// Has deliveries made at once that are dead, dropped or expired, or wait for a retry, however old they are. It does
    /// not wait for a store that cannot be written.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub async fn retry_deliveries(&self, query: DeliveryQuery) -> Result<Changed, AskError> {
        let answer = self.0.store.retry_deliveries(query.into()).await;
        Ok(changed(recording(answer)?, DEFERRED))
    }

    /// Drops pending deliveries, and stops those in flight at once. It does not wait for a store that cannot be written.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub async fn drop_deliveries(&self, query: DeliveryQuery) -> Result<Changed, AskError> {
        let answer = self.0.store.drop_deliveries(query.into()).await;
        Ok(changed(recording(answer)?, STOPPED_DEFERRED))
    }

    /// The silences that are not over, in the order of their numbers.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn silences(&self) -> Result<Vec<Silence>, AskError> {
        let state = self.read(|reader| reader.routing_state()).await?;
        Ok(self.silences_of(&state))
    }

    fn silences_of(&self, state: &RoutingState) -> Vec<Silence> {
        // One that is over stays until that is said.
        let now = self.0.clock.unix();
        let active = state.silences.active().iter();
        active.filter(|silence| silence.until > now).cloned().collect()
    }

    /// Begins, extends or ends a silence. It does not wait for a store that cannot be written.
    ///
    /// # Errors
    /// When it is refused, or cannot be recorded.
    pub async fn silence(&self, command: SilenceCommand) -> Result<Recording<u64>, AskError> {
        if let SilenceCommand::Begin { matches, .. } = &command {
            silences::check(matches, &self.settings()).map_err(AskError::NotThere)?;
        }
        recording(self.0.store.silence(command).await)
    }

    /// Where every `[[area]]` stands, in the order of the configuration.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn areas(&self) -> Result<Vec<AreaReport>, AskError> {
        let state = self.read(|reader| reader.routing_state()).await?;
        Ok(self.areas_of(&state))
    }

    fn areas_of(&self, state: &RoutingState) -> Vec<AreaReport> {
        let (now, faults) = (self.0.clock.unix(), self.0.health.faults());
        areas::report(&self.settings(), &state.areas, now, &faults)
    }

    /// Arms or disarms areas. What makes noise for those that are disarmed stops at once, also while the store cannot be
    /// written.
    ///
    /// # Errors
    /// When it is refused, or cannot be recorded.
    pub async fn arming(&self, command: ArmingCommand) -> Result<Recording<u64>, AskError> {
        self.0.arming.carry_out(command).await
    }

    /// Raises a panic: an alert that asks neither arming nor delays nor confirmation. It does not wait for a store that cannot be
    /// written. Returns the alert's id, and whether it is recorded.
    ///
    /// # Errors
    /// When an area is named that there is none of, or it cannot be recorded.
    pub async fn panic(&self, panic: Panic) -> Result<(AlertId, Recording<u64>), AskError> {
        self.0.arming.panic(panic).await
    }

    /// The connections of `kind = "inbound"` there are now.
    pub fn inbound(&self) -> Vec<InboundHandle> {
        self.0.inbound.all()
    }

    /// What happens from now on, as it happens.
    pub fn watch(&self) -> broadcast::Receiver<LiveEvent> {
        self.0.live.subscribe()
    }

    /// Stops taking alerts, finishes what is in hand within the configured grace, closes the connections
    /// and the store.
    pub async fn stop(&self) -> Stopped {
        match self.0.supervisor.send(StopAll).await {
            Ok(false) => Stopped::Unfinished,
            Ok(true) | Err(_) => Stopped::Clean,
        }
    }

    /// Asks the store, on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, AskError> {
        self.0.readers.read(question).await.map_err(|e| match e {
            ReadError::Store(e) => {
                self.0.store.suspect(&e);
                AskError::Store(e)
            }
            ReadError::Died => AskError::Gone,
        })
    }
}

/// What the writer's answer means. There is none when it has ended.
pub(crate) fn recording(answer: Option<Answer>) -> Result<Recording<u64>, AskError> {
    match answer.ok_or(AskError::Gone)? {
        Answer::Recorded(changed) => Ok(Recording::Done(changed)),
        Answer::Deferred => Ok(Recording::Deferred),
        Answer::Failed(e) => Err(AskError::Store(e)),
        Answer::Refused => Err(AskError::Busy),
        Answer::NotDone(refused) => Err(AskError::Refused(refused)),
    }
}

fn changed(recording: Recording<u64>, deferred: &str) -> Changed {
    match recording {
        Recording::Done(changed) => Changed {
            changed,
            deferred: None,
        },
        Recording::Deferred => Changed {
            changed: 0,
            deferred: Some(deferred.to_owned()),
        },
    }
}

impl From<StoredAlert> for AlertEntry {
    fn from(stored: StoredAlert) -> Self {
        let delivery = |row: watchpost_store::DeliveryRow| DeliveryEntry {
            sink: row.sink,
            state: row.state,
            attempts: row.attempts,
            error: row.error,
        };
        let (acknowledged_at, acknowledged_by) = match stored.acknowledged {
            Some(Acknowledgement { at, by }) => (Some(at), by),
            None => (None, None),
        };
        Self {
            alert: stored.alert,
            acknowledged_at,
            acknowledged_by,
            dismissed: stored.dismissed,
            deliveries: stored.deliveries.into_iter().map(delivery).collect(),
        }
    }
}
