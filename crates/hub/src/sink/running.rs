//! A running sink as the supervisor holds it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::timeout;
use watchpost_config::SinkSettings;
use watchpost_core::MonotonicTime;

use super::{ReportSink, Sink, SinkParts, StopSink};
use crate::crew::Running;
use crate::guard::Guard;
use crate::status::SinkReport;

/// A sink that does not report within this time is reported as not answering.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);

/// A sink that is an actor with a guard.
pub(crate) struct RunningSink {
    settings: Arc<SinkSettings>,
    guard: Guard<Sink>,
}

impl RunningSink {
    /// Starts it.
    pub(crate) fn start(parts: SinkParts) -> Box<Self> {
        let (settings, now) = (Arc::clone(&parts.settings), parts.clock.now());
        let guard = Guard::start(format!("sink {}", settings.name), parts, Sink::new, now);
        Box::new(Self { settings, guard })
    }

    /// How it is.
    pub(crate) fn report(&self) -> BoxFuture<'static, SinkReport> {
        let (ask, settings) = (self.guard.address().send(ReportSink), Arc::clone(&self.settings));
        async move {
            match timeout(REPORT_TIMEOUT, ask).await {
                Ok(Ok(report)) => report,
                _ => SinkReport::unanswered(&settings),
            }
        }
        .boxed()
    }
}

impl Running for RunningSink {
    fn check(&mut self, now: MonotonicTime) {
        self.guard.check(now);
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        let address = self.guard.address().clone();
        async move {
            let (done, stopped) = oneshot::channel();
            address.do_send(StopSink(done));
            // A sink that has died drops the sender.
            let _ = stopped.await;
        }
        .boxed()
    }

    fn end(&self) {
        self.guard.end();
    }
}
