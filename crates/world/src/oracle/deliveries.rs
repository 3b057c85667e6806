//! What the sinks got, held against what is said of it, and against what the operator wanted.

use std::collections::{BTreeMap, BTreeSet};

use watchpost_core::{AlertId, AlertKind, DeliveryState, RouteReason, UnixMillis};
use watchpost_store::{DeliveryRow, StoredAlert};

use super::Stored;
use crate::scenario::{Late, SINKS};
use crate::sinks::Sinks;

/// The hub and the operator do not look at the same clock at the same time.
const SLACK_MS: i64 = 2_000;

/// That the operator does not want to hear of something for a while.
#[derive(Clone, Debug)]
pub struct Quiet {
    /// Of this stream only.
    pub stream: Option<String>,
    /// At this sink only.
    pub sink: Option<String>,
    pub from: UnixMillis,
    pub until: UnixMillis,
    /// The hub has agreed to it, and it has not been ended since.
    pub is_certain: bool,
}

impl Quiet {
    fn is_about(&self, alert: &StoredAlert, sink: &str) -> bool {
        let stream = self.stream.as_deref();
        stream.is_none_or(|stream| alert.alert.camera_id() == stream)
            && self.sink.as_deref().is_none_or(|name| name == sink)
    }

    /// It may have kept this alert from the sink.
    fn may_mute(&self, alert: &StoredAlert, sink: &str, clocks: bool) -> bool {
        let is_later = alert.alert.happened_at().0 > self.until.0 + SLACK_MS;
        self.is_about(alert, sink) && (clocks || !is_later)
    }

    /// It has to have kept this alert from the sink.
    fn must_mute(&self, alert: &StoredAlert, sink: &str) -> bool {
        let received = alert.alert.received_at.0;
        let is_within = received > self.from.0 + SLACK_MS && received < self.until.0 - SLACK_MS;
        self.is_certain && self.is_about(alert, sink) && is_within
    }
}

/// What is looked at.
pub struct Deliveries<'a> {
    pub stored: &'a Stored,
    pub sinks: &'a Sinks,
    pub crashed: &'a BTreeSet<String>,
    pub late: [Late; SINKS.len()],
    pub silences: &'a [Quiet],
    /// Clocks were set, and times say little.
    pub clocks: bool,
}

/// What is found, of what may still come and of what cannot.
#[derive(Default)]
struct Findings {
    missing: Vec<String>,
    wrong: Vec<String>,
}

impl Deliveries<'_> {
    /// Every delivery was made that is said to be, and none waits; every alert was delivered, or held back for a reason that
    /// there is; and every late one is in one digest where there are any.
    pub fn check(&self) -> (Vec<String>, Vec<String>) {
        let mut findings = Findings::default();
        for (sink, late) in SINKS.into_iter().zip(self.late) {
            let made = self.sinks.delivered(sink);
            let mut held = BTreeSet::new();
            for anomaly in self.stored.anomalies() {
                match anomaly.deliveries.iter().find(|row| row.sink == sink) {
                    Some(row) => self.made(anomaly, row, &made, &mut findings),
                    None => match self.stored.why_not(anomaly.alert.id, sink) {
                        Some(RouteReason::HeldForDigest) if self.may_be_let_go(anomaly, sink) => {}
                        Some(RouteReason::HeldForDigest) if late == Late::Digest && anomaly.alert.late => {
                            held.insert(anomaly.alert.id);
                        }
                        Some(RouteReason::TooLate) if late == Late::Drop && anomaly.alert.late => {}
                        Some(RouteReason::Silenced { .. }) if self.may_be_silenced(anomaly, sink) => {}
                        why => findings
                            .wrong
                            .push(format!("alert {} was not for {sink}: {why:?}", anomaly.alert.id)),
                    },
                }
            }
            self.digests(sink, &held, &made, &mut findings);
        }
        (findings.missing, findings.wrong)
    }

    fn may_be_silenced(&self, alert: &StoredAlert, sink: &str) -> bool {
        let mut silences = self.silences.iter();
        silences.any(|quiet| quiet.may_mute(alert, sink, self.clocks))
    }

    /// It was held for a digest until a person did not want to hear of it any more.
    fn may_be_let_go(&self, alert: &StoredAlert, sink: &str) -> bool {
        self.stored.was_let_go(alert.alert.id, sink)
            && (alert.acknowledged.is_some() || self.may_be_silenced(alert, sink))
    }

    /// What is said of a delivery is so.
    fn made(&self, alert: &StoredAlert, row: &DeliveryRow, made: &BTreeSet<String>, findings: &mut Findings) {
        let (id, sink) = (alert.alert.id.to_string(), row.sink.as_str());
        let must_be_silent = !self.clocks && self.silences.iter().any(|quiet| quiet.must_mute(alert, sink));
        match row.state {
            DeliveryState::Pending => findings
                .missing
                .push(format!("the delivery of {id} to {sink} waits")),
            DeliveryState::Delivered if !made.contains(&id) => findings.wrong.push(format!(
                "{id} is said to be delivered to {sink}, which never got it"
            )),
            DeliveryState::Delivered if must_be_silent && alert.alert.kind == AlertKind::Anomaly => {
                findings.wrong.push(format!(
                    "{sink} got {id}, of which the operator does not want to hear"
                ))
            }
            DeliveryState::Delivered => {}
            DeliveryState::Dropped if alert.acknowledged.is_some() && row.cancel_on_acknowledge => {}
            DeliveryState::Dropped if self.may_be_silenced(alert, sink) => {}
            DeliveryState::Dead if self.crashed.contains(sink) => {}
            state => findings
                .wrong
                .push(format!("the delivery of {id} to {sink} is {state:?}")),
        }
    }

    /// Of what is held for a sink each is in one digest, which the sink got.
    fn digests(
        &self,
        sink: &str,
        held: &BTreeSet<AlertId>,
        made: &BTreeSet<String>,
        findings: &mut Findings,
    ) {
        let mut named: BTreeMap<AlertId, u32> = BTreeMap::new();
        let (mut count, mut unnamed) = (0, 0);
        for stored in &self.stored.alerts {
            let Some(digest) = stored.alert.digest.as_ref().filter(|digest| digest.sink == sink) else {
                continue;
            };
            match stored.deliveries.iter().find(|row| row.sink == sink) {
                Some(row) => self.made(stored, row, made, findings),
                None => findings
                    .wrong
                    .push(format!("digest {} is not for {sink}", stored.alert.id)),
            }
            count += digest.count;
            unnamed += digest.count.saturating_sub(digest.ids.len() as u64);
            for id in &digest.ids {
                *named.entry(*id).or_default() += 1;
            }
        }
        for (id, times) in named {
            match (times, held.contains(&id)) {
                (1, true) => {}
                (_, false) => findings.wrong.push(format!(
                    "{id} is in a digest for {sink}, and was not held for one"
                )),
                (times, true) => findings
                    .wrong
                    .push(format!("{id} is in {times} digests for {sink}")),
            }
        }
        let expected = held.len() as u64;
        if count < expected {
            findings.missing.push(format!(
                "{expected} alerts were held for {sink}, and {count} are in digests"
            ));
        } else if count > expected {
            findings.wrong.push(format!(
                "{expected} alerts were held for {sink}, and {count} are in digests, {unnamed} without a name"
            ));
        }
    }
}
