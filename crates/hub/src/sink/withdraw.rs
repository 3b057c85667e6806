//! Deliveries that are given up while the child has them: they are stopped. The store says which.

use std::collections::BTreeSet;

use actix::prelude::*;
use tracing::info;
use watchpost_core::{AlertId, DeliveryState};
use watchpost_store::{Selection, StoreError};

use super::feed::READ_AGAIN_AFTER;
use super::{Child, Sink};
use crate::store::{CachedReader, Readers};

impl Sink {
    /// Stops what is under way and has been given up.
    pub(super) fn withdraw(&mut self, ctx: &mut Context<Self>) {
        if self.fetching {
            // The fetch has the reader, and may bring what was given up since it began.
            self.withdrawing = true;
            return;
        }
        if self.under_way.is_empty() {
            return;
        }
        let (reader, readers) = (self.reader.take(), self.parts.readers.clone());
        let sink = self.name().to_owned();
        let alerts: Vec<_> = self.under_way.values().map(|call| call.alert).collect();
        self.fetching = true;
        let look = tokio::task::spawn_blocking(move || given_up(reader, &readers, &sink, alerts));
        ctx.spawn(look.into_actor(self).map(|outcome, this, ctx| {
            this.fetching = false;
            match outcome {
                Ok(Ok((reader, alerts))) => {
                    this.reader = Some(reader);
                    this.stop_calls_of(&alerts);
                }
                Ok(Err(why)) => {
                    this.parts.store.suspect(&why);
                    this.withdraw_later(&why.to_string(), ctx);
                }
                Err(panic) => this.withdraw_later(&panic.to_string(), ctx),
            }
            this.withdraw_if_asked(ctx);
            if std::mem::take(&mut this.stale) {
                this.pump(ctx);
            }
        }));
    }

    /// What was asked for during a fetch.
    pub(super) fn withdraw_if_asked(&mut self, ctx: &mut Context<Self>) {
        if std::mem::take(&mut self.withdrawing) {
            self.withdraw(ctx);
        }
    }

    fn withdraw_later(&mut self, why: &str, ctx: &mut Context<Self>) {
        self.fetch_failed(why, ctx);
        ctx.run_later(READ_AGAIN_AFTER, |this, ctx| this.withdraw(ctx));
    }

    fn stop_calls_of(&mut self, alerts: &BTreeSet<AlertId>) {
        let Child::Running(host) = &self.child else { return };
        let sink = &self.parts.settings.name;
        for (&call_id, call) in &mut self.under_way {
            if alerts.contains(&call.alert) {
                info!(%sink, alert = %call.alert, "stopped, as the delivery was given up");
                call.withdrawn = true;
                host.cancel(call_id);
            }
        }
    }
}

/// Those of the alerts that the sink is not to be told of any more. It blocks.
fn given_up(
    reader: Option<CachedReader>,
    readers: &Readers,
    sink: &str,
    alerts: Vec<AlertId>,
) -> Result<(CachedReader, BTreeSet<AlertId>), StoreError> {
    let mut reader = readers.current(reader)?;
    let mut given_up = BTreeSet::new();
    for alert in alerts {
        let selection = Selection {
            alert: Some(alert),
            sink: Some(sink.to_owned()),
            ..Selection::default()
        };
        let found = reader.deliveries(&selection, 1)?;
        if found.iter().any(|found| found.row.state == DeliveryState::Dead) {
            given_up.insert(alert);
        }
    }
    Ok((reader, given_up))
}
