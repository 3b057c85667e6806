//! A running source as the supervisor holds it, whatever its kind.

use actix::dev::ToEnvelope;
use actix::prelude::*;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use watchpost_core::MonotonicTime;

use super::ConnectionReport;
use crate::crew::Running;
use crate::guard::{Deaths, Guard};
use crate::platform::Threads;

/// Asks a source how it is.
#[derive(Debug, Message)]
#[rtype(result = "ConnectionReport")]
pub(crate) struct ReportSource;

/// Has a source take no more alerts, wait for those in flight, and end. The sender given is used when it has.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StopSource(pub(crate) oneshot::Sender<()>);

/// A running source.
pub(crate) trait Source: Running {
    /// How it is.
    fn report(&self) -> BoxFuture<'static, ConnectionReport>;
}

/// A source that is an actor with a guard.
pub(crate) struct RunningSource<A: Actor<Context = Context<A>>> {
    guard: Guard<A>,
    /// What is reported when it does not answer.
    unanswered: ConnectionReport,
}

impl<A: Actor<Context = Context<A>>> RunningSource<A> {
    /// Starts the actor that `new` makes from `parts`.
    pub(crate) fn start<P: Clone + Send + 'static>(
        unanswered: ConnectionReport,
        parts: P,
        new: fn(P) -> A,
        threads: Threads,
        deaths: &Deaths,
        now: MonotonicTime,
    ) -> Box<dyn Source>
    where
        A: Handler<ReportSource> + Handler<StopSource>,
        Context<A>: ToEnvelope<A, ReportSource> + ToEnvelope<A, StopSource>,
    {
        let name = format!("connection {}", unanswered.name);
        let guard = Guard::start(name, parts, new, threads, deaths, now);
        Box::new(Self { guard, unanswered })
    }
}

impl<A> Source for RunningSource<A>
where
    A: Actor<Context = Context<A>> + Handler<ReportSource> + Handler<StopSource>,
    Context<A>: ToEnvelope<A, ReportSource> + ToEnvelope<A, StopSource>,
{
    fn report(&self) -> BoxFuture<'static, ConnectionReport> {
        let unanswered = self.unanswered.clone();
        self.guard.report(ReportSource, move || unanswered)
    }
}

impl<A> Running for RunningSource<A>
where
    A: Actor<Context = Context<A>> + Handler<ReportSource> + Handler<StopSource>,
    Context<A>: ToEnvelope<A, ReportSource> + ToEnvelope<A, StopSource>,
{
    fn check(&mut self, now: MonotonicTime) -> Option<MonotonicTime> {
        self.guard.check(now)
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        self.guard.stop(StopSource)
    }

    fn end(&self) {
        self.guard.end();
    }
}
