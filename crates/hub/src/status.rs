//! What the hub says about itself: the document behind `watchpost status` and `GET /v1/status`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchpost_config::SinkSettings;
use watchpost_core::{DeliveryState, Heard, HoldCause, HoldKey, Holds, Silence, SinkState, UnixMillis};
use watchpost_store::{Counts, Held};

use crate::areas::AreaReport;
use crate::source::ConnectionReport;

/// The state of the whole hub. Fields are only ever added.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HubStatus {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Since when it runs.
    pub started_at: UnixMillis,
    /// Why the watchdog could not be called the last time, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog_error: Option<String>,
    /// What is wrong with the machine's clock, if it cannot be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_problem: Option<String>,
    /// Every `[[connection]]`, in the order of the configuration; at the end those that are removed from it and have not
    /// finished yet.
    pub connections: Vec<ConnectionReport>,
    /// The store.
    pub store: StoreReport,
    /// Every `[[sink]]`, in the order of the configuration; at the end those that are removed from it and have not finished
    /// yet.
    pub sinks: Vec<SinkReport>,
    /// What waits for sinks that are no longer configured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<QueueReport>,
    /// What of the sinks no cgroup limits, each with the reason: there the limits of single processes hold, and the hub
    /// measures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cgroup_gaps: Vec<String>,
    /// What persons do not want to hear of for a while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silences: Vec<Silence>,
    /// Every `[[area]]`, in the order of the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<AreaReport>,
    /// What is held for sinks, to be sent as one message for many alerts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HoldReport>,
    /// When each `[[expect]]` last raised an alert, by its name.
    #[serde(default, skip_serializing_if = "Heard::is_empty")]
    pub expected: Heard,
}

/// Alerts that wait for being sent to a sink as one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldReport {
    /// Name of the sink.
    pub sink: String,
    /// Why they are held.
    pub cause: HoldCause,
    /// How many.
    pub count: u64,
    /// When the message is due.
    pub until: UnixMillis,
}

impl HoldReport {
    /// Of all that is held.
    pub(crate) fn of(holds: &Holds) -> Vec<Self> {
        let windows = holds.windows();
        let reports = windows.filter_map(|(HoldKey { sink, cause }, window)| {
            Some(Self {
                sink: sink.clone(),
                cause: cause.clone(),
                count: window.held()?.count(),
                until: window.until(),
            })
        });
        reports.collect()
    }
}

/// Deliveries that wait for a sink that is no longer configured: until there is one of this name again, the operator drops
/// them, or retention removes their alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueReport {
    /// Name of the sink.
    pub sink: String,
    /// How many deliveries wait.
    pub pending: u64,
}

impl QueueReport {
    /// The queues of all sinks but these.
    pub(crate) fn without_sink(counts: &Counts, sinks: &[SinkReport]) -> Vec<Self> {
        let pending = counts.deliveries.iter().map(|(sink, states)| Self {
            sink: sink.clone(),
            pending: states.get(&DeliveryState::Pending).copied().unwrap_or(0),
        });
        pending
            .filter(|queue| queue.pending > 0 && sinks.iter().all(|sink| sink.name != queue.sink))
            .collect()
    }
}

/// The state of the store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StoreReport {
    /// Alerts it holds.
    pub alerts: u64,
    /// Alerts that no route took, although there were routes: they went to no sink. Those that have been removed since are
    /// counted too; internal events are not.
    #[serde(default)]
    pub unmatched: u64,
    /// Size of the pictures it holds, in bytes.
    pub picture_bytes: u64,
    /// What keeps it from storing, if anything does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What retention could not remove, if the store is beyond its limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldReport>,
    /// What happened when it was opened, where that was out of the ordinary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<String>,
}

/// Alerts beyond the limits of `[store]` that are kept, because they are still to be delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldReport {
    /// How many.
    pub alerts: u64,
    /// The sinks they wait for.
    pub sinks: Vec<String>,
}

impl From<Held> for HeldReport {
    fn from(Held { alerts, sinks }: Held) -> Self {
        Self { alerts, sinks }
    }
}

/// The state of one `[[sink]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SinkReport {
    /// Its name.
    pub name: String,
    /// Its plugin, as the configuration names it.
    pub plugin: String,
    /// Where it stands.
    pub state: SinkState,
    /// Whether it is changed or removed, and finishes what its plugin has begun before its successor starts, or for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retiring: bool,
    /// When its child has ended at the latest, if it was asked to end for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_by: Option<UnixMillis>,
    /// Whether the file of its plugin was replaced, and the child runs the old one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plugin_replaced: bool,
    /// Process id of its child, while it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Deliveries in flight.
    pub in_flight: usize,
    /// Times its child ended without being asked to.
    pub crashes: u64,
    /// The parts of its sandbox that do not hold on this machine, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sandbox_gaps: Vec<String>,
    /// What last went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Since when it cannot deliver, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_since: Option<UnixMillis>,
    /// When a sink that cannot deliver is tried next, if that is not now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<UnixMillis>,
    /// How many deliveries stand in each state.
    pub deliveries: BTreeMap<DeliveryState, u64>,
}

impl SinkReport {
    /// The report of a sink whose actor is gone or does not answer.
    pub(crate) fn unanswered(settings: &SinkSettings) -> Self {
        Self {
            name: settings.name.clone(),
            plugin: settings.plugin.clone(),
            state: SinkState::Stopped,
            retiring: false,
            ends_by: None,
            plugin_replaced: false,
            pid: None,
            in_flight: 0,
            crashes: 0,
            sandbox_gaps: Vec::new(),
            last_error: None,
            down_since: None,
            next_try_at: None,
            deliveries: BTreeMap::new(),
        }
    }
}
