//! The supervisor: starts every connection and every sink, starts them again when they die, gathers what
//! they say about themselves, and stops all in the right order.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::warn;
use watchpost_config::SinkSettings;

use crate::clock::Clock;
use crate::guard::Guard;
use crate::sink::{ReportSink, Sink, SinkParts, StopSink};
use crate::source::{ConnectionReport, Source};
use crate::status::SinkReport;
use crate::store::StoreHandle;

/// How often the actors are looked after.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// An actor that does not report within this time is reported as not answering.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);

/// The actor.
pub(crate) struct Supervisor {
    clock: Clock,
    grace: Duration,
    store: StoreHandle,
    sources: Vec<Box<dyn Source>>,
    sinks: Vec<(Arc<SinkSettings>, Guard<Sink>)>,
    watching: Option<SpawnHandle>,
}

impl Supervisor {
    /// Starts everything. Sinks first, so that they are there when the first alert is.
    pub(crate) fn new(
        clock: Clock,
        grace: Duration,
        store: StoreHandle,
        sinks: Vec<SinkParts>,
        sources: impl FnOnce() -> Vec<Box<dyn Source>>,
    ) -> Self {
        let now = clock.now();
        let sink = |parts: SinkParts| {
            let name = format!("sink {}", parts.settings.name);
            (
                Arc::clone(&parts.settings),
                Guard::start(name, parts, Sink::new, now),
            )
        };
        let sinks = sinks.into_iter().map(sink).collect();
        Self {
            clock,
            grace,
            store,
            sinks,
            sources: sources(),
            watching: None,
        }
    }

    fn watch(&mut self, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        self.sources.iter_mut().for_each(|source| source.check(now));
        self.sinks.iter_mut().for_each(|(_, guard)| guard.check(now));
        self.watching = Some(ctx.run_later(CHECK_INTERVAL, Self::watch));
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.watch(ctx);
    }
}

/// Asks every actor how it is.
#[derive(Debug, Message)]
#[rtype(result = "Reports")]
pub(crate) struct Report;

/// The answers, in the order of the configuration.
#[derive(Debug, MessageResponse)]
pub(crate) struct Reports {
    pub(crate) connections: Vec<ConnectionReport>,
    pub(crate) sinks: Vec<SinkReport>,
}

impl Handler<Report> for Supervisor {
    type Result = ResponseFuture<Reports>;

    fn handle(&mut self, _: Report, _: &mut Self::Context) -> Self::Result {
        let connections: Vec<_> = self.sources.iter().map(|source| source.report()).collect();
        let sinks: Vec<_> = self
            .sinks
            .iter()
            .map(|(settings, guard)| {
                let (settings, ask) = (Arc::clone(settings), guard.address().send(ReportSink));
                async move {
                    match timeout(REPORT_TIMEOUT, ask).await {
                        Ok(Ok(report)) => report,
                        _ => SinkReport::unanswered(&settings),
                    }
                }
            })
            .collect();
        Box::pin(async move {
            Reports {
                connections: join_all(connections).await,
                sinks: join_all(sinks).await,
            }
        })
    }
}

/// Stops everything: first the intake, then the sinks, then the store.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub(crate) struct StopAll;

impl Handler<StopAll> for Supervisor {
    /// Whether everything in hand was finished in time.
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, _: StopAll, ctx: &mut Self::Context) -> Self::Result {
        if let Some(watching) = self.watching.take() {
            ctx.cancel_future(watching);
        }
        let stopping: Vec<_> = self.sources.iter().map(|source| source.stop()).collect();
        let sinks: Vec<_> = self
            .sinks
            .iter()
            .map(|(_, guard)| guard.address().clone())
            .collect();
        let (store, grace) = (self.store.clone(), self.grace);
        Box::pin(async move {
            let finished = timeout(grace, async {
                join_all(stopping).await;
                join_all(sinks.iter().map(|address| stop(address, StopSink))).await;
            });
            let in_time = finished.await.is_ok();
            if !in_time {
                warn!(
                    "not everything was finished in {} s; it goes on at the next start",
                    grace.as_secs_f64()
                );
            }
            store.stop().await;
            in_time
        })
    }
}

/// Sends the message that `make` makes of a sender, and waits until the sender was used or dropped.
async fn stop<A, M>(address: &Addr<A>, make: fn(oneshot::Sender<()>) -> M)
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message<Result = ()> + Send + 'static,
{
    let (done, stopped) = oneshot::channel();
    address.do_send(make(done));
    let _ = stopped.await;
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.sources.iter().for_each(|source| source.end());
        self.sinks.iter().for_each(|(_, guard)| guard.end());
    }
}
