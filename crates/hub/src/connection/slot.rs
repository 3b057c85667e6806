//! Asks the backend whether it still sends the alerts to this socket, and acts on the answer. How the answers are
//! judged is [`watchpost_core::SlotWatch`]'s to say.

use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::sleep;
use tracing::{debug, info};
use watchpost_core::{
    CloseReason, ConnectFailure, HubEvent, LinkEvent, MonotonicTime, SlotStatus, SlotVerdict,
};

use super::Connection;
use super::credentials::Session;
use crate::backend::{Api, Slot};

/// Before a reconnect, the server gets this long to forget the socket before it.
pub(super) const MAX_FREEING: Duration = Duration::from_secs(3);

/// How often it is asked meanwhile.
const FREEING_INTERVAL: Duration = Duration::from_millis(100);

impl Connection {
    /// Sees to it that the slot is looked at in time.
    pub(super) fn arm_slot(&mut self, ctx: &mut Context<Self>) {
        let due = self.slot.deadline().filter(|_| self.settings.slot.watch);
        if let Some(timer) = self.slot_timer.take() {
            ctx.cancel_future(timer);
        }
        let Some(due) = due else { return };
        let wait = due.since(self.clock.now());
        self.slot_timer = Some(ctx.run_later(wait, |this, ctx| {
            this.slot_timer = None;
            this.look(ctx);
        }));
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        let Some(user_id) = self.credentials.user_id() else {
            return;
        };
        let (api, socket) = (Rc::clone(&self.api), self.counters.opened);
        let asked = self.clock.now();
        let ask = async move { api.slot(&user_id).await };
        ctx.spawn(ask.into_actor(self).map(move |answer, this, ctx| {
            // Of an earlier socket it says nothing about this one.
            if this.counters.opened == socket {
                this.judge(asked, answer, ctx);
            }
        }));
    }

    fn judge(&mut self, asked: MonotonicTime, answer: Result<Slot, ConnectFailure>, ctx: &mut Context<Self>) {
        let sight = match answer {
            Ok(slot) => sight(slot),
            Err(e) => {
                debug!(connection = %self.settings.name, "cannot tell whether alerts come here: {e}");
                SlotStatus::Unclear
            }
        };
        match self.slot.seen(asked, self.clock.now(), sight) {
            SlotVerdict::Ours | SlotVerdict::Open => {}
            SlotVerdict::Vacant => self.step(LinkEvent::RetryNow, ctx),
            SlotVerdict::Off => info!(
                connection = %self.settings.name,
                "this backend cannot tell to whom it sends alerts: it is not asked again"
            ),
            SlotVerdict::SubscriptionLost(why) => {
                self.counters.subscription_lost += 1;
                let connection = self.settings.name.clone();
                self.store.raise(HubEvent::SubscriptionLost { connection, why });
                self.step(LinkEvent::Close(CloseReason::SubscriptionLost(why)), ctx);
            }
        }
        self.arm_slot(ctx);
    }
}

/// Waits until the server has forgotten the socket before this one: it would forget the new one with it.
pub(super) async fn freed(api: &Api, session: &Session, previous: Option<String>) {
    let Some(previous) = previous else { return };
    let looks = MAX_FREEING.as_millis() / FREEING_INTERVAL.as_millis();
    for _ in 0..looks {
        match api.slot(&session.user_id).await {
            Ok(Slot::Held(socket)) if socket.connected_at.as_ref() == Some(&previous) => {
                sleep(FREEING_INTERVAL).await;
            }
            _ => return,
        }
    }
}

fn sight(slot: Slot) -> SlotStatus {
    match slot {
        Slot::Held(socket) => SlotStatus::Held {
            connected_at: socket.connected_at,
            age: socket
                .uptime_seconds
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        },
        Slot::Free => SlotStatus::Free,
        Slot::Unknowable => SlotStatus::Unknowable,
    }
}
