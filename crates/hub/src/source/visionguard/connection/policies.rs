//! What the settings of a connection mean to its state machines.

use std::time::Duration;

use watchpost_config::ConnectionSettings;
use watchpost_core::{BackoffPolicy, HeartbeatPolicy, LinkPolicy};

use super::super::dialer::MAX_SLOT_RELEASE;

/// How long the server may take for its half of the close handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// An attempt is cancelled after this many times `connect_timeout`, in case its steps (login, handshake, the question why
/// it was refused, and all of it once more as the user that a new login gives), which have limits of their own, hang
/// all the same.
const ATTEMPT_FACTOR: u32 = 14;

/// How long the slot is left to a client that fights for it. What happens meanwhile is fetched over REST.
const CONTEST_PAUSE: Duration = Duration::from_secs(300);

pub(super) fn link_policy(settings: &ConnectionSettings) -> LinkPolicy {
    let reconnect = &settings.reconnect;
    LinkPolicy {
        connect_timeout: Duration::from(settings.connect_timeout) * ATTEMPT_FACTOR + MAX_SLOT_RELEASE,
        close_timeout: CLOSE_TIMEOUT,
        backoff: BackoffPolicy {
            initial: reconnect.initial.into(),
            max: reconnect.max.into(),
            jitter: reconnect.jitter,
        },
        stable_after: reconnect.stable_after.into(),
        contest_pause: CONTEST_PAUSE,
    }
}

pub(super) fn heartbeat_policy(settings: &ConnectionSettings) -> HeartbeatPolicy {
    HeartbeatPolicy {
        interval: settings.heartbeat.interval.into(),
        timeout: settings.heartbeat.timeout.into(),
    }
}
