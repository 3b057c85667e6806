//! The supervisor: holds every connection and every sink, has exactly those run that are wanted, starts them again when
//! they die, gathers what they say about themselves, and stops all in the right order.

#[cfg(test)]
mod tests;

use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;
use tokio::time::timeout;
use tracing::warn;
use watchpost_core::Part as _;

use crate::app::Applied;
use crate::blueprint::{Blueprint, ConnectionPlan, SinkPlan};
use crate::crew::{Crew, Running as _};
use crate::sink::RunningSink;
use crate::source::{ConnectionReport, Source};
use crate::status::SinkReport;
use crate::store::PolicyAnswer;
use crate::wiring::Wiring;

/// The actor.
pub(crate) struct Supervisor {
    wiring: Wiring,
    sources: Crew<ConnectionPlan, dyn Source>,
    sinks: Crew<SinkPlan, RunningSink>,
    /// When an actor that has died is to be started again.
    restarting: Option<SpawnHandle>,
    /// Nothing is started any more.
    stopping: bool,
}

impl Supervisor {
    /// Has nothing until it has something to apply.
    pub(crate) fn new(wiring: Wiring) -> Self {
        Self {
            wiring,
            sources: Crew::new(),
            sinks: Crew::new(),
            restarting: None,
            stopping: false,
        }
    }

    /// Looks after the actors, of which one has died or is to be started again.
    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.stopping {
            return;
        }
        if let Some(restarting) = self.restarting.take() {
            ctx.cancel_future(restarting);
        }
        let now = self.wiring.clock.now();
        let (sources, sinks) = (self.sources.check(now), self.sinks.check(now));
        if let Some(next) = sources.into_iter().chain(sinks).min() {
            self.restarting = Some(ctx.run_later(next.since(now), Self::look));
        }
    }

    /// Alerts are routed by what is wanted: what is changed or wanted no more ends when it has finished what it has in
    /// hand.
    fn retire(&mut self, ctx: &mut Context<Self>) {
        for (name, ended) in self.sources.retire() {
            ctx.spawn(
                ended
                    .into_actor(self)
                    .map(move |(), this, _| this.source_ended(&name)),
            );
        }
        for (name, ended) in self.sinks.retire() {
            ctx.spawn(
                ended
                    .into_actor(self)
                    .map(move |(), this, _| this.sink_ended(&name)),
            );
        }
    }

    fn source_ended(&mut self, name: &str) {
        let wiring = &self.wiring;
        if !self.stopping {
            self.sources.ended(name, |plan| wiring.start_source(plan));
        }
    }

    fn sink_ended(&mut self, name: &str) {
        let wiring = &self.wiring;
        if !self.stopping && !self.sinks.ended(name, |plan| wiring.start_sink(plan)) {
            wiring.notifiers.remove(name);
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let deaths = self.wiring.deaths.clone();
        let died = futures_util::stream::unfold(deaths, |deaths| async move {
            deaths.wait().await;
            Some((Died, deaths))
        });
        ctx.add_message_stream(died);
    }
}

/// An actor has died.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Died;

impl Handler<Died> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Died, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

/// Has exactly what stands in the blueprint run, in this order: new sinks start, alerts are routed by it, what is changed
/// or wanted no more finishes what it has in hand and ends, and what is changed starts again. `None` when the hub is
/// stopping.
#[derive(Debug, Message)]
#[rtype(result = "Option<Applied>")]
pub(crate) struct Apply(pub(crate) Blueprint);

impl Handler<Apply> for Supervisor {
    type Result = ResponseActFuture<Self, Option<Applied>>;

    fn handle(&mut self, Apply(blueprint): Apply, _: &mut Self::Context) -> Self::Result {
        if self.stopping {
            return Box::pin(async { None }.into_actor(self));
        }
        let (wiring, policy) = (&self.wiring, blueprint.policy());
        let Blueprint {
            settings,
            connections,
            sinks,
        } = blueprint;
        let posted_to = connections.iter().filter(|plan| plan.backend.is_none());
        wiring
            .inbound
            .retain(|name| posted_to.clone().any(|plan| plan.name() == name));
        wiring.settings.set(settings);
        let sinks = self.sinks.want(sinks, |plan| wiring.start_sink(plan));
        let answer = wiring.store.set_policy(policy);
        // What a new source hands over is routed by the new policy, which the writer has got before.
        let connections = self.sources.want(connections, |plan| wiring.start_source(plan));
        let applied = move |deferred| Applied {
            connections,
            sinks,
            deferred,
        };
        Box::pin(answer.into_actor(self).map(|answer, this, ctx| {
            let deferred = match answer.ok()? {
                PolicyAnswer::InForce => {
                    this.retire(ctx);
                    false
                }
                PolicyAnswer::Deferred(in_force) => {
                    let retire = in_force.into_actor(this).map(|in_force, this, ctx| {
                        if in_force.is_ok() {
                            this.retire(ctx);
                        }
                    });
                    ctx.spawn(retire);
                    true
                }
            };
            Some(applied(deferred))
        }))
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
        let connections: Vec<_> = self.sources.iter().map(|(source, _)| source.report()).collect();
        let retiring = |(sink, retiring): (&RunningSink, bool)| {
            let report = sink.report();
            async move {
                SinkReport {
                    retiring,
                    ..report.await
                }
            }
        };
        let sinks: Vec<_> = self.sinks.iter().map(retiring).collect();
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
        self.stopping = true;
        if let Some(restarting) = self.restarting.take() {
            ctx.cancel_future(restarting);
        }
        let sources: Vec<_> = self.sources.all().map(|source| source.stop()).collect();
        let sinks: Vec<_> = self.sinks.all().map(|sink| sink.stop()).collect();
        let store = self.wiring.store.clone();
        let grace: Duration = self.wiring.settings.get().hub.shutdown_grace.into();
        Box::pin(async move {
            let finished = timeout(grace, async {
                join_all(sources).await;
                join_all(sinks).await;
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

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.sources.all().for_each(|source| source.end());
        self.sinks.all().for_each(|sink| sink.end());
    }
}
