//! What a connection says about itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchpost_config::ConnectionKind;
use watchpost_core::{CloseReason, ConnectFailure, Feed, Link, LinkState, MonotonicTime, UnixMillis};

/// The state of one `[[connection]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectionReport {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: ConnectionKind,
    /// Where it connects to, without the token, or where it listens.
    pub url: String,
    /// Where it stands.
    pub state: ConnectionState,
    /// Why it is not connected, or why it last was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,
    /// What came and went since the hub started.
    pub counters: Counters,
    /// The link, for a kind that keeps one open.
    #[serde(flatten)]
    pub link: Option<LinkReport>,
}

/// The state of a link that the hub keeps open.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LinkReport {
    /// Attempts to connect since the hub started.
    pub attempts: u64,
    /// Failures in a row.
    pub failures: u32,
    /// How the alerts reach the hub.
    #[serde(default)]
    pub feed: Feed,
    /// How often the backend's list is read while the link is open, in milliseconds, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_interval_ms: Option<u64>,
    /// Why that list could not be read the last time, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_failure: Option<LastFailure>,
    /// Pictures of stored alerts that are still to be fetched.
    #[serde(default)]
    pub pictures_missing: u64,
    /// Why one of them could not be fetched the last time, while that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture_failure: Option<LastFailure>,
    /// Alerts that wait in memory for the notification which names their record; 4,096 at most.
    #[serde(default)]
    pub unnamed: u64,
    /// Alerts that the list is compared with before they are on disk; as many as the store has in hand.
    #[serde(default)]
    pub compared_in_hand: u64,
    /// By how many milliseconds this machine's clock is ahead of the backend's, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead_ms: Option<i64>,
    /// Milliseconds until the next attempt, while waiting for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_ms: Option<u64>,
    /// How long the link has been open, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_for_ms: Option<u64>,
    /// Milliseconds since anything was heard, while open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_for_ms: Option<u64>,
    /// The last measured time from ping to pong, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<f64>,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// An attempt is in flight.
    Connecting,
    /// Open.
    Connected,
    /// Being closed.
    Closing,
    /// Waiting before the next attempt.
    Waiting,
    /// Waiting for programs that post alerts.
    Listening,
    /// Stopped for good, or its actor does not answer.
    Stopped,
}

/// Counts since the hub started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Alerts received.
    pub received: u64,
    /// Alerts stored.
    pub stored: u64,
    /// Alerts stored that did not arrive by themselves: fetched afterwards, or made of notifications.
    #[serde(default)]
    pub fetched: u64,
    /// Alerts that were there already.
    pub duplicates: u64,
    /// Receipts sent: acknowledgements on the wire.
    pub receipts: u64,
    /// Alerts dropped without a receipt, because the store could not take them in time.
    pub dropped: u64,
    /// Alerts whose picture was missing or unusable.
    pub without_picture: u64,
    /// Alerts that the store has in hand now, and that are not on disk yet.
    #[serde(default)]
    pub unstored: u64,
    /// Their size in bytes, which `intake_buffer` limits.
    #[serde(default)]
    pub unstored_bytes: u64,
    /// What happened on the link, for a kind that keeps one open.
    #[serde(flatten)]
    pub link: Option<LinkCounters>,
}

/// What happened on a link since the hub started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    /// Times the link was opened.
    pub opened: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Times the hub closed the link because of silence, a broken message or a lost subscription.
    pub closed_by_hub: u64,
    /// Times the link was open but the backend sent its alerts elsewhere.
    pub subscription_lost: u64,
    /// Notifications, which come beside the alerts.
    pub notifications: u64,
    /// Messages of unknown type and binary messages.
    pub ignored: u64,
    /// Messages that could not be understood.
    pub unparseable: u64,
    /// Pings sent.
    pub pings_sent: u64,
    /// The server's pings answered.
    pub pings_answered: u64,
}

/// Why a connection is or was not open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// When.
    pub at: UnixMillis,
    /// What happened.
    pub what: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl LastFailure {
    pub(crate) fn connecting(failure: &ConnectFailure, at: UnixMillis) -> Self {
        Self {
            at,
            what: failure.to_string(),
            hint: Some(failure.kind.hint().to_owned()),
        }
    }

    pub(crate) fn listing(failure: &ConnectFailure, at: UnixMillis) -> Self {
        Self {
            at,
            what: format!("the list of anomalies could not be read: {failure}"),
            hint: Some(failure.kind.hint().to_owned()),
        }
    }

    pub(crate) fn fetching_picture(failure: &ConnectFailure, at: UnixMillis) -> Self {
        Self {
            at,
            what: format!("a picture could not be fetched: {failure}"),
            hint: Some(failure.kind.hint().to_owned()),
        }
    }

    pub(crate) fn closed(reason: CloseReason, at: UnixMillis) -> Self {
        Self {
            at,
            what: format!("the hub closed the connection: {reason}"),
            hint: None,
        }
    }

    pub(crate) fn lost(how: &str, at: UnixMillis) -> Self {
        Self {
            at,
            what: format!("connection lost: {how}"),
            hint: None,
        }
    }
}

impl LinkReport {
    /// Where a link stands, and what that means for its connection.
    pub(crate) fn of(link: &Link, now: MonotonicTime) -> (ConnectionState, Self) {
        let mut report = Self {
            attempts: link.attempts(),
            failures: link.failures(),
            ..Self::default()
        };
        let state = match link.state() {
            LinkState::Idle | LinkState::Stopped => ConnectionState::Stopped,
            LinkState::Connecting { .. } => ConnectionState::Connecting,
            LinkState::Closing { .. } => ConnectionState::Closing,
            LinkState::Waiting { until } => {
                report.next_attempt_ms = Some(millis(until.since(now)));
                ConnectionState::Waiting
            }
            LinkState::Open { since, .. } => {
                report.open_for_ms = Some(millis(now.since(*since)));
                ConnectionState::Connected
            }
        };
        (state, report)
    }
}

/// A time in whole milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
