//! A VisionGuard backend as a source: its alert socket, its list of anomalies, and what is asked of it over HTTP, by the
//! hub and by `watchpost doctor`.
//!
//! `Connection` is the actor. It is composed of parts that own their state and their deadlines and do not know each
//! other; `Heartbeat` is a second actor beside it on the same arbiter.

mod connection;

mod catch_up;
mod dialer;
mod heartbeat;
mod inbox;
mod notification;
mod pictures;
mod read_back;
mod slot_probe;
mod socket;
mod write_back;

mod context;
mod credentials;
mod fragments;
mod frame_limit;

mod api;
mod diagnose;
mod tls;
mod transport;

pub use self::api::{Answered, Api, Slot};
pub(crate) use self::catch_up::Unstored;
use self::connection::Connection;
pub(crate) use self::connection::ConnectionParts;
pub use self::diagnose::diagnose;
pub(crate) use self::tls::Trust;
pub(crate) use self::transport::classify_request;

use super::{RunningSource, Source};

/// Starts a connection.
pub(crate) fn start(parts: ConnectionParts) -> Box<dyn Source> {
    let (unanswered, now, threads) = (
        self::connection::unanswered(&parts.settings),
        parts.shared.clock.now(),
        parts.shared.platform.threads(),
    );
    let deaths = parts.shared.deaths.clone();
    RunningSource::start(unanswered, parts, Connection::new, threads, &deaths, now)
}
