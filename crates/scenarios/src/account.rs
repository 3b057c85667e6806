//! What is explained of alerts in the end, held against what has happened.

use serde::Deserialize;
use serde_json::Value;
use watchpost_core::{Alert, AlertId, AlertKind, DeliveryState, RouteReason, UnixMillis};

use crate::{Facts, SiteClock, is_of_its_parts};

/// An alert that was raised, and what is explained of it.
pub struct Explained {
    pub alert: Alert,
    /// What the table calls it.
    pub name: String,
    /// The document that `watchpost explain --json` prints.
    pub explanation: Value,
}

/// Of that document what a table knows.
#[derive(Deserialize)]
struct Explanation {
    unmatched: bool,
    sinks: Vec<Sink>,
}

#[derive(Deserialize)]
struct Sink {
    sink: String,
    reason: Option<RouteReason>,
    why: String,
    hold: Option<Hold>,
    delivery: Option<Delivery>,
}

#[derive(Deserialize)]
struct Hold {
    let_go: Option<String>,
    ended_at: Option<UnixMillis>,
}

#[derive(Deserialize)]
struct Delivery {
    state: DeliveryState,
    finished_at: Option<UnixMillis>,
    error: Option<String>,
}

impl Facts {
    /// What was raised, why each sink gets it or does not, and what became of that. `alerts` are all there are, by their ids;
    /// what the hub says of its own parts is left out. `was_delivered` says whether a sink got one.
    pub fn account(
        &mut self,
        alerts: &[Explained],
        clock: &SiteClock,
        was_delivered: impl Fn(&str, AlertId) -> bool,
    ) {
        let alerts = alerts
            .iter()
            .filter(|explained| !is_of_its_parts(&explained.alert));
        let alerts: Vec<&Explained> = alerts.collect();
        let mut seen = 0;
        for Explained {
            alert,
            name,
            explanation,
        } in &alerts
        {
            let explanation = Explanation::deserialize(explanation).expect("an explanation");
            if matches!(
                alert.kind,
                AlertKind::Hub | AlertKind::Digest | AlertKind::Escalation
            ) {
                self.account_for_event(alert, &explanation, clock);
            } else {
                seen += 1;
                self.account_for_reasons((seen, name), &explanation, &alerts);
            }
            for sink in explanation.sinks {
                let was_delivered = was_delivered(&sink.sink, alert.id);
                self.account_for_outcome(name, sink, clock, was_delivered);
            }
        }
    }

    fn account_for_event(&mut self, alert: &Alert, explanation: &Explanation, clock: &SiteClock) {
        self.raised(&clock.show(alert.received_at, "%a "), &alert.title);
        self.unsent(&alert.text);
        for sink in &explanation.sinks {
            if sink.delivery.is_some() {
                self.planned(&alert.title, &sink.sink);
            }
            if matches!(sink.reason, Some(RouteReason::Inhibited { .. })) {
                self.inhibited(&alert.title, &sink.sink, &sink.why);
            }
        }
    }

    /// Why each sink gets it or does not.
    fn account_for_reasons(
        &mut self,
        (number, name): (usize, &str),
        explanation: &Explanation,
        alerts: &[&Explained],
    ) {
        for sink in &explanation.sinks {
            // The table numbers alerts from one on.
            let why = alerts
                .iter()
                .enumerate()
                .fold(sink.why.clone(), |why, (at, other)| {
                    why.replace(&other.alert.id.to_string(), &(at + 1).to_string())
                });
            self.explained(number, name, &sink.sink, &why);
        }
        if explanation.unmatched {
            self.explained(number, name, "all", "no route takes it");
        }
    }

    /// What is explained of a delivery is what has happened to it.
    fn account_for_outcome(&mut self, name: &str, sink: Sink, clock: &SiteClock, was_delivered: bool) {
        let Some(delivery) = sink.delivery else {
            if was_delivered {
                self.dropped("never", &sink.sink, name, "it got it");
            }
            let hold = sink.hold.and_then(|hold| hold.let_go.zip(hold.ended_at));
            if let Some((why, at)) = hold {
                self.dropped(&clock.show(at, "%a "), &sink.sink, name, &why);
            }
            return;
        };
        if was_delivered != (delivery.state == DeliveryState::Delivered) {
            let state = format!("{:?}, delivered: {was_delivered}", delivery.state);
            self.dropped("never", &sink.sink, name, &state);
        }
        let why = match delivery.state {
            DeliveryState::Dropped => delivery.error.unwrap_or_default(),
            DeliveryState::Expired => "expired".to_owned(),
            DeliveryState::Dead => "refused".to_owned(),
            _ => return,
        };
        let at = delivery.finished_at.unwrap_or(UnixMillis(0));
        self.dropped(&clock.show(at, "%a "), &sink.sink, name, &why);
    }
}
