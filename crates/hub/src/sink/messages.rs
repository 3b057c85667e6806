//! What a sink is told and asked.

use actix::prelude::*;
use tokio::sync::oneshot;
use watchpost_sinkhost::{Event, Host, Outcome};

use super::{Child, Sink, launch};
use crate::status::SinkReport;
use crate::store::{Released, Settled};

/// Something is due, or something in flight has to stop.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Wake;

impl Handler<Wake> for Sink {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.stop_covered();
        self.pump(ctx);
    }
}

impl StreamHandler<Event> for Sink {
    fn handle(&mut self, event: Event, ctx: &mut Self::Context) {
        match event {
            Event::Begun { .. } => return,
            Event::Acknowledged { call_id } => return self.acknowledged(call_id),
            Event::Log { level, text } => return launch::log(self.name(), level, &text),
            Event::Done {
                call_id,
                outcome,
                notes,
            } => {
                self.ended(call_id, &launch::outcome(outcome, &notes), ctx);
                if let Outcome::Fatal | Outcome::BadConfig = outcome {
                    self.instance_failed(ctx);
                }
            }
            Event::Exited(exit) => self.exited(&exit, ctx),
        }
        self.pump(ctx);
    }

    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Handler<Settled> for Sink {
    type Result = ();

    fn handle(&mut self, settled: Settled, ctx: &mut Self::Context) {
        for alert in settled.alerts {
            self.settling.remove(&alert);
        }
        self.pump(ctx);
    }
}

impl Handler<Released> for Sink {
    type Result = ();

    fn handle(&mut self, _: Released, ctx: &mut Self::Context) {
        self.releasing = false;
        self.pump(ctx);
    }
}

/// Asks how a sink is.
#[derive(Debug, Message)]
#[rtype(result = "SinkReport")]
pub(crate) struct ReportSink;

impl Handler<ReportSink> for Sink {
    type Result = MessageResult<ReportSink>;

    fn handle(&mut self, _: ReportSink, _: &mut Self::Context) -> Self::Result {
        let host = if let Child::Running(host) = &self.child {
            Some(host)
        } else {
            None
        };
        MessageResult(SinkReport {
            state: self.state(),
            pid: host.map(Host::pid),
            sandbox_gaps: host.map(gaps).unwrap_or_default(),
            in_flight: self.under_way.len(),
            crashes: self.crash_count,
            last_error: self.last_error.clone(),
            ..SinkReport::unanswered(&self.parts.settings)
        })
    }
}

/// The parts of its sandbox that this machine cannot put in force.
fn gaps(host: &Host) -> Vec<String> {
    host.enforced().gaps.iter().map(ToString::to_string).collect()
}

/// Tells a sink to begin nothing new, to wait for what is under way, and to end its child. The sender
/// given is used when that is done.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StopSink(pub(crate) oneshot::Sender<()>);

impl Handler<StopSink> for Sink {
    type Result = ();

    fn handle(&mut self, StopSink(done): StopSink, ctx: &mut Self::Context) {
        self.stopping = Some(done);
        self.finish(ctx);
    }
}
