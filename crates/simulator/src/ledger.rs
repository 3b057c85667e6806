//! What happened: every alert, acknowledgement, handshake and pong, counted and listed for tests.
//! It is bookkeeping; it neither sends nor decides anything.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde::Serialize;
use uuid::Uuid;

/// Alerts kept in the list of [`SentAlert`]s; older ones are only counted.
pub const MAX_LISTED_ALERTS: usize = 200_000;
/// Handshakes kept in the list of [`Attempt`]s; later ones are only counted.
pub const MAX_LISTED_ATTEMPTS: usize = 20_000;
/// Pong times kept; older ones are dropped.
pub const MAX_LISTED_PONGS: usize = 10_000;

/// Counters since the start. Times elsewhere are milliseconds since the start, monotonic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// WebSocket handshakes tried, refused ones included.
    pub attempts: u64,
    /// Handshakes refused with 403 or 500.
    pub refused: u64,
    /// Handshakes left without an answer, frozen or set to hang; counted again when answered later.
    pub unanswered: u64,
    /// Handshakes accepted.
    pub connections: u64,
    /// TCP connections taken, those of plain requests included.
    pub tcp_connections: u64,
    /// WebSockets open now.
    pub open: u32,
    /// Most WebSockets that any one user had open at once.
    pub max_open_per_user: u32,
    /// Users registered for alerts now.
    pub registered: u32,
    /// Alerts made. Each has a row in the REST interface.
    pub produced: u64,
    /// Alerts handed to a socket; one sent twice by a fault counts once.
    pub sent: u64,
    /// Alerts made while no client was registered, or whose socket ended first: recorded but not sent.
    pub unsent: u64,
    /// Alerts acknowledged, each once.
    pub acknowledged: u64,
    /// Acknowledgements that fit no alert of their socket which still waits for one.
    pub stray_acks: u64,
    /// Notifications handed to a socket.
    pub notifications: u64,
    /// Messages that cannot be understood handed to a socket.
    pub garbage: u64,
    /// JSON pings handed to sockets.
    pub pings_sent: u64,
    /// JSON pongs received.
    pub pongs_received: u64,
    /// JSON pings received.
    pub pings_received: u64,
    /// Sockets closed because a protocol ping stayed unanswered.
    pub keepalive_timeouts: u64,
    /// Longest time from a JSON ping to its pong, in microseconds.
    pub slowest_pong_us: u64,
    /// Logins granted.
    pub logins: u64,
    /// Requests of the REST interface, whatever the answer.
    pub rest_requests: u64,
}

/// How a WebSocket handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// 101; the user is registered.
    Accepted,
    /// 101, and closed at once.
    Bounced,
    /// 403: no valid token for this path, or set to refuse.
    Forbidden,
    /// 500: set to fail, or a subject that is no UUID.
    Failed,
    /// Left without an answer, frozen or set to hang. If it is answered later, it is listed once more.
    Unanswered,
}

/// One WebSocket handshake, as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Milliseconds since the start.
    pub at_ms: u64,
    /// User id in the path.
    pub user_id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Other sockets of this user that were open at that moment.
    pub already_open: u32,
}

/// One alert, with what is needed to recognise it in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SentAlert {
    /// Number of the alert, from 1 without gaps, in the order of making.
    pub seq: u64,
    /// Its stream.
    pub stream_id: Uuid,
    /// Its person, unique within the stream but for one picture with several persons.
    pub person_id: u32,
    /// Identity of its row and its notification; top-level `id` when ids are sent.
    pub anomaly_id: Uuid,
    /// Length of the picture in bytes.
    pub picture_len: usize,
    /// CRC-32C of the picture.
    pub picture_crc32c: u32,
    /// When it was handed to a socket, in milliseconds since the start; none if it never was.
    pub sent_at_ms: Option<u64>,
    /// When its acknowledgement came, in milliseconds since the start.
    pub acknowledged_at_ms: Option<u64>,
    /// Whether it has a row: not while the database was down.
    pub recorded: bool,
}

/// The counters and lists.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) stats: Stats,
    attempts: Vec<Attempt>,
    alerts: VecDeque<SentAlert>,
    pongs_us: VecDeque<u64>,
    open_by_user: BTreeMap<String, u32>,
}

impl Ledger {
    pub(crate) fn attempt(&mut self, at: Duration, user: &str, outcome: Outcome) {
        self.stats.attempts += 1;
        match outcome {
            Outcome::Accepted | Outcome::Bounced => self.stats.connections += 1,
            Outcome::Forbidden | Outcome::Failed => self.stats.refused += 1,
            Outcome::Unanswered => self.stats.unanswered += 1,
        }
        let already_open = self.open_by_user.get(user).copied().unwrap_or(0);
        if self.attempts.len() < MAX_LISTED_ATTEMPTS {
            self.attempts.push(Attempt {
                at_ms: millis(at),
                user_id: user.to_owned(),
                outcome,
                already_open,
            });
        }
    }

    pub(crate) fn opened(&mut self, user: &str) {
        let open = self.open_by_user.entry(user.to_owned()).or_default();
        *open += 1;
        self.stats.open += 1;
        self.stats.max_open_per_user = self.stats.max_open_per_user.max(*open);
    }

    pub(crate) fn ended(&mut self, user: &str) {
        self.stats.open = self.stats.open.saturating_sub(1);
        if let Some(open) = self.open_by_user.get_mut(user) {
            *open = open.saturating_sub(1);
        }
    }

    /// Enters a new alert; its number follows from it.
    pub(crate) fn produced(&mut self, alert: SentAlert) {
        self.stats.produced += 1;
        if self.alerts.len() == MAX_LISTED_ALERTS {
            self.alerts.pop_front();
        }
        self.alerts.push_back(alert);
    }

    pub(crate) fn sent(&mut self, seq: u64, at: Duration) {
        self.stats.sent += 1;
        if let Some(alert) = self.alert_mut(seq) {
            alert.sent_at_ms = Some(millis(at));
        }
    }

    pub(crate) fn acknowledged(&mut self, seq: u64, at: Duration) {
        self.stats.acknowledged += 1;
        if let Some(alert) = self.alert_mut(seq) {
            alert.acknowledged_at_ms = Some(millis(at));
        }
    }

    /// It has no row.
    pub(crate) fn unrecorded(&mut self, seq: u64) {
        if let Some(alert) = self.alert_mut(seq) {
            alert.recorded = false;
        }
    }

    pub(crate) fn pong(&mut self, after: Option<Duration>) {
        self.stats.pongs_received += 1;
        let Some(after) = after else { return };
        let after_us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.stats.slowest_pong_us = self.stats.slowest_pong_us.max(after_us);
        if self.pongs_us.len() == MAX_LISTED_PONGS {
            self.pongs_us.pop_front();
        }
        self.pongs_us.push_back(after_us);
    }

    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.attempts.clone()
    }

    pub(crate) fn alerts(&self) -> Vec<SentAlert> {
        self.alerts.iter().cloned().collect()
    }

    pub(crate) fn pongs(&self) -> Vec<Duration> {
        self.pongs_us.iter().copied().map(Duration::from_micros).collect()
    }

    fn alert_mut(&mut self, seq: u64) -> Option<&mut SentAlert> {
        let first = self.alerts.front()?.seq;
        let index = usize::try_from(seq.checked_sub(first)?).ok()?;
        self.alerts.get_mut(index)
    }
}

fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_open_at_once_is_per_user() {
        let mut ledger = Ledger::default();
        ledger.opened("a");
        ledger.opened("b");
        assert_eq!(ledger.stats.max_open_per_user, 1);
        ledger.opened("a");
        ledger.attempt(Duration::from_millis(7), "a", Outcome::Forbidden);
        ledger.ended("a");
        assert_eq!((ledger.stats.open, ledger.stats.max_open_per_user), (2, 2));
        assert_eq!(ledger.attempts()[0].already_open, 2);
    }

    #[test]
    fn alerts_are_found_by_number_after_old_ones_were_dropped() {
        let mut ledger = Ledger::default();
        let total = MAX_LISTED_ALERTS as u64 + 5;
        for seq in 1..=total {
            ledger.produced(SentAlert {
                seq,
                stream_id: Uuid::nil(),
                person_id: 1,
                anomaly_id: Uuid::nil(),
                picture_len: 0,
                picture_crc32c: 0,
                sent_at_ms: None,
                acknowledged_at_ms: None,
                recorded: true,
            });
        }
        ledger.sent(2, Duration::from_millis(1));
        ledger.sent(total, Duration::from_millis(2));
        let listed = ledger.alerts();
        assert_eq!((listed.len(), listed[0].seq), (MAX_LISTED_ALERTS, 6));
        assert_eq!(listed.last().unwrap().sent_at_ms, Some(2));
        assert_eq!(ledger.stats.sent, 2);
    }
}
