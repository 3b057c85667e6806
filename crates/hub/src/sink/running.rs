//! A running sink as the supervisor holds it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use watchpost_config::SinkSettings;
use watchpost_core::MonotonicTime;

use super::{ReportSink, Sink, SinkParts, StopSink};
use crate::crew::Running;
use crate::guard::Guard;
use crate::status::SinkReport;

/// A sink that is an actor with a guard.
pub(crate) struct RunningSink {
    settings: Arc<SinkSettings>,
    guard: Guard<Sink>,
}

impl RunningSink {
    /// Starts it.
    pub(crate) fn start(parts: SinkParts) -> Box<Self> {
        let (settings, now) = (Arc::clone(&parts.settings), parts.clock.now());
        let (threads, deaths) = (parts.threads, parts.deaths.clone());
        let name = format!("sink {}", settings.name);
        let guard = Guard::start(name, parts, Sink::new, threads, &deaths, now);
        Box::new(Self { settings, guard })
    }

    /// How it is.
    pub(crate) fn report(&self) -> BoxFuture<'static, SinkReport> {
        let settings = Arc::clone(&self.settings);
        self.guard
            .report(ReportSink, move || SinkReport::unanswered(&settings))
    }
}

impl Running for RunningSink {
    fn check(&mut self, now: MonotonicTime) -> Option<MonotonicTime> {
        self.guard.check(now)
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        self.guard.stop(StopSink)
    }

    fn end(&self) {
        self.guard.end();
    }
}
