//! The messages to a sink, each above what is done about it.

use actix::prelude::*;
use tokio::sync::oneshot;
use watchpost_core::{ChildExit, SinkEvent};
use watchpost_sinkhost_client::{self as sinkhost, Exit, ExitKind};

use super::panel::AreasChanged;
use super::{Sink, launch, log, memory};
use crate::status::SinkReport;
use crate::store::{Recorded, Released};

/// Something is due, or something in flight has to stop.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Wake;

impl Handler<Wake> for Sink {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        let stop = self.covered().collect();
        self.step(SinkEvent::Notified { stop }, ctx);
    }
}

impl Handler<AreasChanged> for Sink {
    type Result = ();

    fn handle(&mut self, _: AreasChanged, _: &mut Self::Context) {
        self.show_areas();
    }
}

/// What the child reports.
impl StreamHandler<sinkhost::Event> for Sink {
    fn handle(&mut self, event: sinkhost::Event, ctx: &mut Self::Context) {
        let event = match event {
            sinkhost::Event::Begun { .. } => return,
            sinkhost::Event::Log { level, text } => return log::plugin(self.name(), level, &text),
            sinkhost::Event::Asked(request) => return self.ask(request, ctx),
            sinkhost::Event::Acknowledged { call_id } => SinkEvent::Acknowledged { call: call_id },
            sinkhost::Event::Done {
                call_id,
                outcome,
                notes,
            } => SinkEvent::Ended {
                call: call_id,
                instance_failed: matches!(outcome, sinkhost::Outcome::Fatal | sinkhost::Outcome::BadConfig),
                outcome: launch::outcome(outcome, &notes),
            },
            sinkhost::Event::Exited(exit) => {
                self.child = None;
                SinkEvent::Exited(child_exit(exit))
            }
        };
        self.step(event, ctx);
    }

    /// The sink outlives its children.
    fn finished(&mut self, _: &mut Self::Context) {}
}

fn child_exit(exit: Exit) -> ChildExit {
    ChildExit {
        how: exit.how.to_string(),
        crashed: matches!(
            exit.how,
            ExitKind::Code(_) | ExitKind::Signal(_) | ExitKind::ProtocolViolation(_)
        ),
        blamed: exit.blamed,
        unfinished: exit.unfinished.len(),
    }
}

impl Handler<Recorded> for Sink {
    type Result = ();

    fn handle(&mut self, recorded: Recorded, ctx: &mut Self::Context) {
        self.step(SinkEvent::Recorded(recorded.alerts), ctx);
    }
}

impl Handler<Released> for Sink {
    type Result = ();

    fn handle(&mut self, _: Released, ctx: &mut Self::Context) {
        self.step(SinkEvent::Released, ctx);
    }
}

/// It is time to measure the child's memory, and what it keeps on the disk.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct RemindToMeasure;

impl Handler<RemindToMeasure> for Sink {
    type Result = ();

    fn handle(&mut self, _: RemindToMeasure, ctx: &mut Self::Context) {
        if let Some(held) = self.child.as_ref().and_then(|child| child.memory()) {
            self.step(SinkEvent::Memory(held), ctx);
        }
        if let Some(child) = &self.child {
            self.measure_disk(child.as_ref(), ctx);
        }
        ctx.notify_later(RemindToMeasure, memory::CHECK_INTERVAL);
    }
}

/// It is time to look whether the child still has access to what it was granted.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct RemindToCheck;

impl Handler<RemindToCheck> for Sink {
    type Result = ();

    fn handle(&mut self, _: RemindToCheck, ctx: &mut Self::Context) {
        self.check_granted(ctx);
    }
}

/// Asks how a sink is.
#[derive(Debug, Message)]
#[rtype(result = "SinkReport")]
pub(crate) struct ReportSink;

impl Handler<ReportSink> for Sink {
    type Result = MessageResult<ReportSink>;

    fn handle(&mut self, _: ReportSink, _: &mut Self::Context) -> Self::Result {
        let child = self.child.as_deref();
        MessageResult(SinkReport {
            state: self.machine.state(),
            pid: child.map(|child| child.pid()),
            sandbox_gaps: child.map(|child| child.sandbox_gaps()).unwrap_or_default(),
            plugin_replaced: self.plugin_replaced,
            in_flight: self.machine.in_flight(),
            crashes: self.machine.crash_count(),
            last_error: self.machine.last_error().map(str::to_owned),
            down_since: self.machine.down_since(),
            ends_by: self.machine.ends_by(self.parts.clock.both()),
            next_try_at: self.machine.next_try(self.parts.clock.both()),
            ..SinkReport::unanswered(&self.parts.settings)
        })
    }
}

/// Tells a sink to begin nothing new, to have its plugin finish the call that it has begun, and to end its child. The sender
/// given is used when that is done.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StopSink(pub(crate) oneshot::Sender<()>);

impl Handler<StopSink> for Sink {
    type Result = ();

    fn handle(&mut self, StopSink(done): StopSink, ctx: &mut Self::Context) {
        self.stopping.push(done);
        self.step(SinkEvent::Stop, ctx);
    }
}
