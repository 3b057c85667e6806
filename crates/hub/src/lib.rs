//! The actors of Watchpost: connection, sink and their supervisor, and the store's writer thread.
//!
//! They are thin: what is to be done is decided in `watchpost-core`, what a message means in
//! `watchpost-visionguard`, how a plugin is run in `watchpost-sinkhost-client`. [`Hub::start`] wires them
//! together and can be called from a test as well as from the program.

#![forbid(unsafe_code)]

mod alerts;
mod app;
mod areas;
mod arming;
mod blueprint;
mod cameras;
mod clock;
mod crew;
mod current;
mod deliveries;
mod dial;
mod directories;
mod dry_run;
mod explain;
mod guard;
mod handle;
mod health;
mod http;
mod live;
mod notifier;
mod platform;
mod plugins;
mod runtime;
mod sandbox;
mod silences;
mod sink;
mod sink_watch;
mod source;
mod stamp;
mod status;
mod store;
mod supervisor;
mod watchdog;
mod watchdog_call;
mod wiring;

pub use alerts::{AlertPage, AlertQuery};
pub use app::{Applied, Hub, StartError};
pub use areas::AreaReport;
pub use cameras::SeenCameraReport;
pub use clock::{TokioClock, WallClock};
pub use deliveries::{Changed, DeliveryQuery, DeliveryRecord};
pub use dial::dial;
pub use dry_run::{Circumstances, Decision, DryRun, GroupDecision, SinkDecision};
pub use explain::{Explanation, HoldExplanation, SinkExplanation};
pub use handle::{
    AlertEntry, AskError, DEFERRED, DeliveryEntry, HubHandle, Recording, STOPPED_DEFERRED, Stopped,
};
pub use live::LiveEvent;
pub use platform::{Connecting, Io, Machine, Platform, Stream, Threads};
pub use plugins::{
    PluginError, PluginFault, check_plugin, check_schema, find_plugin, inspect_plugin, validate_plugin,
};
pub use runtime::runtime;
pub use sandbox::{Access, Need, needs, own_dir};
pub use sink::{Child, Events, Launched, Launcher, Probe, Processes, probe_sink};
pub use source::{
    ConnectionReport, ConnectionState, Counters, LastFailure, LinkCounters, LinkReport, inbound, visionguard,
};
pub use status::{HeldReport, HoldReport, HubStatus, QueueReport, SinkReport, StoreReport};
pub use store::Storage;
pub use watchpost_core::{Changes, SinkState};
pub use watchpost_sinkhost_client::{PluginInfo, is_of_a_sink};
