//! The actor of an inbound connection: admits posted alerts, and answers when they are on disk.

use std::collections::HashMap;

use actix::prelude::*;
use tokio::sync::oneshot;
use watchpost_config::ConnectionKind;
use watchpost_core::AlertId;

use super::super::{
    Admission, Alarm, ConnectionReport, ConnectionState, Counters, IncomingAlert, ReportSource,
    RunningSource, Source, SourceParts, StopSource,
};
use super::document::PostedAlert;
use super::{Accepted, InboundHandle, PostError};
use crate::store::{Stored, StoredAs};

/// Whoever posted an alert waits for this.
type Done = oneshot::Sender<Result<Accepted, PostError>>;

/// What an inbound connection needs.
#[derive(Clone)]
pub(crate) struct InboundParts {
    pub(crate) handle: InboundHandle,
    pub(crate) shared: SourceParts,
}

/// The actor.
pub(crate) struct Inbound {
    parts: InboundParts,
    admission: Admission,
    alarm: Alarm,
    /// Who waits, by the token of the acknowledgement.
    waiting: HashMap<String, (AlertId, Done)>,
}

impl Inbound {
    /// Starts it.
    pub(crate) fn launch(parts: InboundParts) -> Box<dyn Source> {
        let (unanswered, now) = (unanswered(&parts.handle), parts.shared.clock.now());
        RunningSource::start(unanswered, parts, Self::new, now)
    }

    fn new(parts: InboundParts) -> Self {
        let settings = &parts.handle.0.settings;
        let (name, limit) = (settings.name.clone(), settings.intake_buffer);
        Self {
            admission: Admission::new(name, limit, parts.shared.store.clone()),
            alarm: Alarm::default(),
            waiting: HashMap::new(),
            parts,
        }
    }

    fn ring(&mut self, ctx: &mut Context<Self>) {
        self.alarm.rang();
        self.admission.report_dropped(self.parts.shared.clock.now());
        self.arm(ctx);
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        let deadline = self.admission.deadline();
        self.alarm.arm(deadline, self.parts.shared.clock, ctx, Self::ring);
    }

    /// When stopping: ends once the store has confirmed everything.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        if self.admission.is_drained() {
            ctx.stop();
        }
    }
}

impl Actor for Inbound {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.parts.handle.set_address(Some(ctx.address()));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.parts.handle.set_address(None);
        self.admission.ended();
    }
}

/// An alert that was posted.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Offer {
    pub(super) alert: PostedAlert,
    pub(super) done: Done,
}

impl Handler<Offer> for Inbound {
    type Result = ();

    fn handle(&mut self, Offer { alert, done }: Offer, ctx: &mut Self::Context) {
        let shared = &self.parts.shared;
        let received_at = shared.clock.unix();
        let id = shared.ids.next(received_at);
        let (alert, frame) = alert.into_alert(id, received_at, self.parts.handle.name());
        let token = id.to_string();
        let incoming = IncomingAlert::live(alert, frame, token.clone(), 0);
        if self.admission.is_closed() {
            let _ = done.send(Err(PostError::Unavailable));
        } else if self.admission.offer(incoming, ctx.address().recipient()) {
            self.waiting.insert(token, (id, done));
        } else {
            let _ = done.send(Err(PostError::Busy));
            self.arm(ctx);
        }
    }
}

impl Handler<Stored> for Inbound {
    type Result = ();

    fn handle(&mut self, stored: Stored, ctx: &mut Self::Context) {
        for receipt in stored.receipts {
            let outcome = receipt.outcome;
            let waiting = receipt.ack.as_ref().and_then(|token| self.waiting.remove(token));
            self.admission.confirm(receipt);
            let Some((id, done)) = waiting else { continue };
            let answer = match outcome {
                StoredAs::New => Ok(Accepted { id, duplicate: false }),
                StoredAs::Duplicate { of } => Ok(Accepted {
                    id: of,
                    duplicate: true,
                }),
                StoredAs::Lost => Err(PostError::Unavailable),
            };
            // Fails when the client has gone.
            if done.send(answer).is_ok() && answer_is_ok(outcome) {
                self.admission.acknowledged();
            }
        }
        self.finish(ctx);
    }
}

fn answer_is_ok(outcome: StoredAs) -> bool {
    outcome != StoredAs::Lost
}

impl Handler<ReportSource> for Inbound {
    type Result = MessageResult<ReportSource>;

    fn handle(&mut self, _: ReportSource, _: &mut Self::Context) -> Self::Result {
        MessageResult(ConnectionReport {
            state: ConnectionState::Listening,
            counters: self.admission.counters(),
            ..unanswered(&self.parts.handle)
        })
    }
}

impl Handler<StopSource> for Inbound {
    type Result = ();

    fn handle(&mut self, StopSource(done): StopSource, ctx: &mut Self::Context) {
        self.admission.close(done);
        self.finish(ctx);
    }
}

/// The report of an inbound connection whose actor does not answer.
fn unanswered(handle: &InboundHandle) -> ConnectionReport {
    ConnectionReport {
        name: handle.name().to_owned(),
        kind: ConnectionKind::Inbound,
        url: "/api/v1/alerts".to_owned(),
        state: ConnectionState::Stopped,
        last_failure: None,
        counters: Counters::default(),
        link: None,
    }
}
