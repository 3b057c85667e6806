//! The pure domain of Watchpost: what an alert is, where it goes, when it is tried again, and when a
//! link counts as dead.
//!
//! Nothing here does I/O, reads a clock or knows a runtime. State machines take `(now, event)` and
//! return effects, so every rule of the hub can be tested as a table.

#![forbid(unsafe_code)]

mod absence;
mod alert;
mod backoff;
mod crashes;
mod delivery;
mod digest;
mod event;
mod failure;
mod heartbeat;
mod ids;
mod link;
mod pace;
mod pairing;
mod retry;
mod route;
mod secret;
mod slot;
mod time;
mod vigil;

pub use absence::Absence;
pub use alert::{Alert, AlertKind, BoundingBox, Confidence, Details, Picture, Severity, UnknownWord};
pub use backoff::{Backoff, BackoffPolicy};
pub use crashes::{AfterCrash, CrashPolicy, Crashes};
pub use delivery::{DeliveryState, Outcome};
pub use digest::Digest;
pub use event::{HUB, HubEvent};
pub use failure::{CloseReason, ConnectFailure, FailureKind};
pub use heartbeat::{Beat, Heartbeat, HeartbeatPolicy};
pub use ids::{AlertId, AlertIds};
pub use link::{Link, LinkEffect, LinkEvent, LinkPolicy, LinkState};
pub use pace::SinkPace;
pub use pairing::{Paired, Pairing};
pub use retry::{RetryPolicy, Verdict};
pub use route::{Decision, Match, PlannedDelivery, Route, Router, Target, Why};
pub use secret::Secret;
pub use slot::{Deafness, SlotSight, SlotVerdict, SlotWatch};
pub use time::{Moment, UnixMillis};
pub use vigil::{ClockWatch, LowWater};
