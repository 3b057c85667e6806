//! The actor of an inbound connection: admits posted alerts, and answers when they are on disk.

use actix::prelude::*;
use tokio::sync::oneshot;
use watchpost_config::ConnectionKind;
use watchpost_core::AlertId;

use super::super::{
    Admission, Alarm, Confirmed, ConnectionReport, ConnectionState, Counters, IncomingAlert, Origin,
    ReportSource, RunningSource, Source, SourceParts, StopSource,
};
use super::document::PostedAlert;
use super::{Accepted, InboundHandle, PostError};
use crate::store::{Stored, StoredAs};

/// Whoever posted an alert waits for this.
type Done = oneshot::Sender<Result<Accepted, PostError>>;

/// Who waits for the answer to which alert.
type Waiting = (AlertId, Done);

/// What an inbound connection needs.
#[derive(Clone)]
pub(crate) struct InboundParts {
    pub(crate) handle: InboundHandle,
    pub(crate) shared: SourceParts,
}

/// The actor.
pub(crate) struct Inbound {
    parts: InboundParts,
    admission: Admission<Waiting>,
    alarm: Alarm,
}

impl Inbound {
    /// Starts it.
    pub(crate) fn launch(parts: InboundParts) -> Box<dyn Source> {
        let (unanswered, now) = (unanswered(&parts.handle), parts.shared.clock.now());
        let (threads, deaths) = (parts.shared.platform.threads(), parts.shared.deaths.clone());
        RunningSource::start(unanswered, parts, Self::new, threads, &deaths, now)
    }

    fn new(parts: InboundParts) -> Self {
        let settings = &parts.handle.0.settings;
        let (name, limit) = (settings.name.clone(), settings.intake_buffer);
        Self {
            admission: Admission::new(name, limit, parts.shared.store.clone()),
            alarm: Alarm::default(),
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
        if self.admission.is_closed() {
            let _ = done.send(Err(PostError::Unavailable));
            return;
        }
        let incoming = IncomingAlert::pushed(alert, frame, (id, done), 0);
        if let Err(Origin::Pushed((_, done))) = self.admission.offer(incoming, ctx.address().recipient()) {
            let _ = done.send(Err(PostError::Busy));
            self.arm(ctx);
        }
    }
}

impl Handler<Stored> for Inbound {
    type Result = ();

    fn handle(&mut self, stored: Stored, ctx: &mut Self::Context) {
        for receipt in stored.receipts {
            let Some(Confirmed {
                receipt: (id, done),
                outcome,
            }) = self.admission.confirm(&receipt)
            else {
                continue;
            };
            let answer = match outcome {
                StoredAs::New => Ok(Accepted { id, duplicate: false }),
                StoredAs::Duplicate { of } => Ok(Accepted {
                    id: of,
                    duplicate: true,
                }),
                StoredAs::Lost => Err(PostError::Unavailable),
            };
            // Fails when the client has gone.
            if done.send(answer).is_ok() && outcome.is_on_disk() {
                self.admission.receipt_sent();
            }
        }
        self.finish(ctx);
    }
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
