//! Where alerts come from. What every source shares stands here: what an incoming alert is, how much may be in flight,
//! when an outage is reported, what a source says about itself and how the supervisor holds it. Each kind of
//! `[[connection]]` has a folder with what only it knows, such as [`visionguard`].

mod admission;
mod alarm;
pub mod inbound;
mod incoming;
mod outage;
mod report;
mod running;
pub mod visionguard;

use std::sync::Arc;

use watchpost_core::AlertIds;

pub(crate) use self::admission::{Admission, Confirmed};
pub(crate) use self::alarm::Alarm;
pub(crate) use self::incoming::{IncomingAlert, Origin};
pub(crate) use self::outage::Outage;
pub use self::report::{ConnectionReport, ConnectionState, Counters, LastFailure, LinkCounters, LinkReport};
pub(crate) use self::running::{ReportSource, RunningSource, Source, StopSource};
use crate::clock::Clock;
use crate::current::CurrentSettings;
use crate::guard::Deaths;
use crate::health::Health;
use crate::platform::Platform;
use crate::store::{Readers, StoreHandle};

pub(crate) use self::visionguard::Unstored;

/// What every source needs from the rest of the hub.
#[derive(Clone)]
pub(crate) struct SourceParts {
    /// How long an outage may last before it is reported stands there.
    pub(crate) settings: CurrentSettings,
    pub(crate) clock: Clock,
    pub(crate) store: StoreHandle,
    pub(crate) readers: Readers,
    pub(crate) ids: Arc<AlertIds>,
    pub(crate) platform: Arc<dyn Platform>,
    /// Learns how it is.
    pub(crate) health: Health,
    /// What sources have given to the store, and is not on disk yet.
    pub(crate) unstored: Unstored,
    /// Learns of its death.
    pub(crate) deaths: Deaths,
}
