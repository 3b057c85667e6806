//! An attempt to connect: who we are, whether the way is free, the handshake, and what a refusal means. Also how long
//! all of that may go on before somebody is told.

use std::rc::Rc;

use actix::prelude::*;
use tracing::{debug, info, warn};
use watchpost_core::{ConnectFailure, FailureKind, HubEvent, LinkEvent};

use super::slot::freed;
use super::{Connection, LastFailure};
use crate::backend::{WebSocket, diagnose};

impl Connection {
    pub(super) fn connect(&mut self, attempt: u64, ctx: &mut Context<Self>) {
        debug!(connection = %self.settings.name, attempt, "connecting");
        let (api, credentials, clock) = (Rc::clone(&self.api), Rc::clone(&self.credentials), self.clock);
        let previous = self.slot.previous().map(str::to_owned);
        let dial = async move {
            let session = credentials.renew(&api).await?;
            freed(&api, &session, previous).await;
            match api.dial(&session.user_id, &session.token).await {
                Ok(socket) => Ok(socket),
                Err(refusal) if refusal.kind == FailureKind::Forbidden => {
                    let why = diagnose(&api, &session.user_id, &session.token, clock.unix(), refusal).await;
                    if matches!(why.kind, FailureKind::Expired | FailureKind::Unauthorized) {
                        credentials.forget(&session);
                    }
                    Err(why)
                }
                Err(e) => Err(e),
            }
        };
        let attempt = dial.into_actor(self).map(Self::dialed);
        self.attempt = Some(ctx.spawn(attempt));
    }

    fn dialed(outcome: Result<WebSocket, ConnectFailure>, this: &mut Self, ctx: &mut Context<Self>) {
        this.attempt = None;
        match outcome {
            Ok(socket) => {
                this.logged_failure = None;
                if let Some(away) = this.absence.back(this.clock.now()) {
                    let (connection, seconds) = (this.settings.name.clone(), away.as_secs());
                    this.store.raise(HubEvent::LinkBack { connection, seconds });
                }
                this.opened(socket, ctx);
            }
            Err(failure) => {
                this.note_failure(failure.clone());
                this.step(LinkEvent::Failed(failure), ctx);
            }
        }
    }

    pub(super) fn note_failure(&mut self, failure: ConnectFailure) {
        let name = &self.settings.name;
        if self.logged_failure == Some(failure.kind) {
            debug!(connection = %name, "still cannot connect: {failure}");
        } else {
            warn!(connection = %name, "cannot connect: {failure}. {} Trying again.", failure.kind.hint());
            self.logged_failure = Some(failure.kind);
            if failure.kind.is_refusal() {
                self.store.raise(HubEvent::LoginRefused {
                    connection: name.clone(),
                    why: failure.to_string(),
                    hint: failure.kind.hint(),
                });
            }
        }
        self.counters.failed_attempts += 1;
        self.last_failure = Some(LastFailure::connecting(&failure, self.clock.unix()));
    }

    /// Sees to it that a long absence is told.
    pub(super) fn arm_absence(&mut self, ctx: &mut Context<Self>) {
        if self.socket.is_some() || self.absence_timer.is_some() || self.stopping.is_some() {
            return;
        }
        self.absence.lost(self.clock.now());
        let Some(due) = self.absence.deadline() else {
            return;
        };
        let wait = due.since(self.clock.now());
        self.absence_timer = Some(ctx.run_later(wait, |this, ctx| {
            this.absence_timer = None;
            if this.socket.is_some() {
                return;
            }
            if let Some(away) = this.absence.overdue(this.clock.now()) {
                let failure = this.last_failure.as_ref();
                let why = failure
                    .map_or("it has not answered yet", |failure| &failure.what)
                    .to_owned();
                let (connection, seconds) = (this.settings.name.clone(), away.as_secs());
                info!(%connection, seconds, "telling that the connection is away");
                this.store.raise(HubEvent::LinkLost {
                    connection,
                    why,
                    seconds,
                });
            }
            this.arm_absence(ctx);
        }));
    }
}
