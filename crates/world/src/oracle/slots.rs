//! What the hub says of its slot, held against what it was told of it.

use std::time::Duration;

use watchpost_core::{Alert, AlertKind, Severity, UnixMillis};

use super::Stored;
use crate::backend::{BEGINNING, Backend};
use crate::disk::Disk;
use crate::process::CONNECTION;

/// Where the hub's clock was never set: it says that others take its slot again and again only where it was told at last that
/// another one has it.
pub fn slots(backend: &Backend, stored: &Stored, disk: &Disk, user: usize) -> Vec<String> {
    let state = backend.state();
    let alerts = stored.alerts.iter().map(|stored| &stored.alert);
    let made_up = alerts.filter(|alert| says_contested(alert)).filter(|alert| {
        let passed = UnixMillis::from(BEGINNING).until(alert.received_at);
        let at = backend.origin() + passed + Duration::from_millis(1);
        // What is said while the disk is full is stored later.
        if disk.was_full(at) {
            return false;
        }
        let is_own = alert.title.contains(&format!(" {CONNECTION} "));
        let user = if is_own { user } else { 1 - user };
        let mut answers = state.slot_answers.iter().rev();
        let last = answers.find(|answer| answer.user == user && answer.at <= at);
        last.is_none_or(|answer| !answer.is_rivals)
    });
    let ids = made_up.map(|alert| alert.id);
    ids.map(|id| format!("alert {id} says that others take the slot again and again, and no other had it"))
        .collect()
}

fn says_contested(alert: &Alert) -> bool {
    let is_loss = alert.kind == AlertKind::Hub && alert.details.status == "subscription_lost";
    is_loss && alert.severity == Severity::Critical
}
