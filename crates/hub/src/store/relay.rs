//! Offers sinks from memory what the store cannot take, so that a siren does not wait for a full disk. What is offered is
//! decided by [`MemoryRelay`]; the alerts wait for the store all the same, and their deliveries are recorded with them.

use watchpost_core::{Alert, ArmingCommand, MemoryRelay, PlannedDelivery};

use super::Storage;
use super::writer::WriterParts;
use crate::notifier::{MemoryDelivery, SinkNotifiers};
use crate::sink::copied;

/// What is offered while one transaction is retried. When that is over the sinks find in the store what they have not started.
#[derive(Default)]
pub(super) struct Relay {
    memory: Option<MemoryRelay>,
}

impl Relay {
    /// Offers the sinks concerned those alerts, each with its picture, that were not looked at yet, or whose time has come since.
    /// `arming` are all commands about areas that wait.
    pub(super) fn offer<'b>(
        &mut self,
        parts: &WriterParts,
        storage: &dyn Storage,
        arming: impl Iterator<Item = &'b ArmingCommand>,
        alerts: impl Iterator<Item = (&'b Alert, Option<&'b [u8]>)>,
    ) {
        let memory = self
            .memory
            .get_or_insert_with(|| MemoryRelay::new(storage.routing_state().clone()));
        let now = parts.clock.unix();
        memory.advance(now, &parts.health.faults(), arming, &parts.router);
        for (alert, frame) in alerts {
            for planned in memory.due(now, alert.id) {
                let mut alert = alert.clone();
                parts.stamp.apply(&mut alert);
                hand_over(parts, planned, &alert, frame);
            }
            // A store that cannot answer is no reason to be silent.
            if !memory.is_new(alert) || storage.knows(alert).unwrap_or(false) {
                continue;
            }
            let mut alert = alert.clone();
            parts.stamp.apply(&mut alert);
            for planned in memory.relay(now, &alert, &parts.router) {
                hand_over(parts, planned, &alert, frame);
            }
        }
    }

    /// The transaction is retried no more.
    pub(super) fn end(&mut self, notifiers: &SinkNotifiers) {
        if self.memory.take().is_some() {
            notifiers.withdraw_offered();
        }
    }
}

fn hand_over(parts: &WriterParts, planned: PlannedDelivery, alert: &Alert, frame: Option<&[u8]>) {
    let delivery = MemoryDelivery {
        frame: frame.and_then(|bytes| copied(alert.id, bytes, &alert.picture)),
        alert: alert.clone(),
        cancel_on_acknowledge: planned.cancel_on_acknowledge,
    };
    parts.notifiers.offer(&planned.sink, delivery);
}
