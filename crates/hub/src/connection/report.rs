//! What a connection says about itself.

use serde::{Deserialize, Serialize};
use watchpost_config::ConnectionSettings;
use watchpost_core::{ConnectFailure, Link, LinkState, UnixMillis};

use crate::clock::Clock;

/// The state of one `[[connection]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectionReport {
    /// Its name.
    pub name: String,
    /// Where it connects to; without the token.
    pub url: String,
    /// Where it stands.
    pub state: ConnectionState,
    /// Attempts to connect since the hub started.
    pub attempts: u64,
    /// Failures in a row.
    pub failures: u32,
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
    /// Why the link is not open, or why it last was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,
    /// What came and went since the hub started.
    pub counters: Counters,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// An attempt is under way.
    Connecting,
    /// Open.
    Connected,
    /// Saying goodbye.
    Closing,
    /// Waiting before the next attempt.
    Waiting,
    /// Stopped for good, or its actor does not answer.
    Stopped,
}

/// Counts since the hub started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Times the link was opened.
    pub opened: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Times the hub closed the link because of silence or a broken message.
    pub given_up: u64,
    /// Times the link was open but the backend sent its alerts elsewhere.
    #[serde(default)]
    pub subscription_lost: u64,
    /// Alerts received.
    pub received: u64,
    /// Alerts stored.
    pub stored: u64,
    /// Alerts stored that did not come as such over the link: fetched afterwards, or made of notifications.
    #[serde(default)]
    pub fetched: u64,
    /// Alerts that were there already.
    pub duplicates: u64,
    /// Acknowledgements sent.
    pub acknowledged: u64,
    /// Alerts dropped unacknowledged, because the store could not take them in time.
    pub dropped: u64,
    /// Alerts whose picture was missing or unusable.
    pub without_picture: u64,
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
    pub(super) fn connecting(failure: &ConnectFailure, at: UnixMillis) -> Self {
        Self {
            at,
            what: failure.to_string(),
            hint: Some(failure.kind.hint().to_owned()),
        }
    }

    pub(super) fn lost(how: &str, at: UnixMillis) -> Self {
        Self {
            at,
            what: format!("connection lost: {how}"),
            hint: None,
        }
    }
}

impl ConnectionReport {
    pub(super) fn new(
        settings: &ConnectionSettings,
        link: &Link,
        clock: Clock,
        counters: Counters,
        last_failure: Option<LastFailure>,
    ) -> Self {
        let now = clock.now();
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut report = Self {
            state: ConnectionState::Stopped,
            attempts: link.attempts(),
            failures: link.failures(),
            last_failure,
            counters,
            ..Self::unanswered(settings)
        };
        match link.state() {
            LinkState::Idle | LinkState::Stopped => {}
            LinkState::Connecting { .. } => report.state = ConnectionState::Connecting,
            LinkState::Closing { .. } => report.state = ConnectionState::Closing,
            LinkState::Waiting { until } => {
                report.state = ConnectionState::Waiting;
                report.next_attempt_ms = Some(millis(until.since(now)));
            }
            LinkState::Open { since, heartbeat, .. } => {
                report.state = ConnectionState::Connected;
                report.open_for_ms = Some(millis(now.since(*since)));
                report.silent_for_ms = Some(millis(now.since(heartbeat.last_heard())));
                report.round_trip_ms = heartbeat.round_trip().map(|rtt| rtt.as_secs_f64() * 1_000.0);
            }
        }
        report
    }

    /// The report of a connection whose actor is gone or does not answer.
    pub(crate) fn unanswered(settings: &ConnectionSettings) -> Self {
        Self {
            name: settings.name.clone(),
            url: format!(
                "{}/ws/alerts/{}",
                settings.url,
                settings.user_id.as_deref().unwrap_or("(user of the login)")
            ),
            state: ConnectionState::Stopped,
            attempts: 0,
            failures: 0,
            next_attempt_ms: None,
            open_for_ms: None,
            silent_for_ms: None,
            round_trip_ms: None,
            last_failure: None,
            counters: Counters::default(),
        }
    }
}
