//! What is explained of an alert in the end, held against what has happened.

use watchpost_core::{Alert, AlertId, DeliveryState, UnixMillis};
use watchpost_hub::{Explanation, SinkExplanation};

use super::Stage;

impl Stage<'_> {
    /// Why each sink gets it or does not. `numbers` are the ids of all alerts, in the order in which a table numbers them.
    pub(super) fn note_reasons(
        &mut self,
        number: usize,
        alert: &Alert,
        explanation: &Explanation,
        numbers: &[AlertId],
    ) {
        let name = self.name(alert);
        for sink in &explanation.sinks {
            // The table numbers alerts from one on.
            let why = numbers
                .iter()
                .enumerate()
                .fold(sink.why.clone(), |why, (at, id)| {
                    why.replace(&id.to_string(), &(at + 1).to_string())
                });
            self.facts.explained(number, &name, &sink.sink, &why);
        }
        if explanation.unmatched {
            self.facts.explained(number, &name, "all", "no route takes it");
        }
    }

    /// What is explained of deliveries is what has happened to them.
    pub(super) fn note_outcomes(&mut self, alert: &Alert, explanation: &Explanation) {
        let name = self.name(alert);
        for sink in &explanation.sinks {
            let mut effects = self.effects.iter();
            let was_delivered = effects.any(|(_, name, id)| *name == sink.sink && *id == alert.id);
            let Some(delivery) = &sink.delivery else {
                if was_delivered {
                    self.facts.dropped("never", &sink.sink, &name, "it got it");
                }
                self.note_let_go(&name, sink);
                continue;
            };
            if was_delivered != (delivery.state == DeliveryState::Delivered) {
                let state = format!("{:?}, delivered: {was_delivered}", delivery.state);
                self.facts.dropped("never", &sink.sink, &name, &state);
            }
            let why = match delivery.state {
                DeliveryState::Dropped => delivery.error.clone().unwrap_or_default(),
                DeliveryState::Expired => "expired".to_owned(),
                DeliveryState::Dead => "refused".to_owned(),
                _ => continue,
            };
            let at = delivery.finished_at.unwrap_or(UnixMillis(0));
            let time = self.clock.show(at, "%a ");
            self.facts.dropped(&time, &sink.sink, &name, &why);
        }
    }

    /// What was held for a digest and was not delivered.
    fn note_let_go(&mut self, name: &str, sink: &SinkExplanation) {
        let Some((why, at)) = sink
            .hold
            .as_ref()
            .and_then(|hold| hold.let_go.as_ref().zip(hold.ended_at))
        else {
            return;
        };
        let time = self.clock.show(at, "%a ");
        self.facts.dropped(&time, &sink.sink, name, why);
    }
}
