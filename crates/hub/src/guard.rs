//! Keeps one actor alive: starts it on an arbiter of its own and restarts it when it has died.
//!
//! Actix ends an actor that panics and drops what is sent to it from then on without a word, so a
//! guard has to look. An arbiter is never shared: what kills one actor cannot take another along.

use std::io;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::prelude::*;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::error;
use watchpost_core::{Backoff, BackoffPolicy, MonotonicTime};

use crate::platform::Threads;
use crate::runtime::runtime;

/// Waits between restarts of an actor that keeps dying.
const RESTARTS: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(500),
    max: Duration::from_secs(60),
    jitter: 0.0,
};

/// An actor that has lived this long has recovered.
const RECOVERED_AFTER: Duration = Duration::from_secs(60);

/// An actor that does not report within this time is reported as not answering.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);

/// An actor and what it takes to make it again.
pub(crate) struct Guard<A: Actor<Context = Context<A>>> {
    name: String,
    make: Box<dyn Fn() -> Box<dyn FnOnce() -> A + Send>>,
    threads: Threads,
    address: Addr<A>,
    home: Home,
    backoff: Backoff,
    since: MonotonicTime,
    restart_at: Option<MonotonicTime>,
}

impl<A: Actor<Context = Context<A>>> Guard<A> {
    /// Starts the actor that `new` makes from `parts`. `name` says in the log who died.
    pub(crate) fn start<P: Clone + Send + 'static>(
        name: String,
        parts: P,
        new: fn(P) -> A,
        threads: Threads,
        now: MonotonicTime,
    ) -> Self {
        let make: Box<dyn Fn() -> Box<dyn FnOnce() -> A + Send>> = Box::new(move || {
            let parts = parts.clone();
            Box::new(move || new(parts))
        });
        let (address, home) = match spawn(make(), threads) {
            Ok(started) => started,
            // A hub that has no threads when it starts had better say so.
            Err(error) => panic!("{name} cannot be started: {error}"),
        };
        let backoff = Backoff::new(RESTARTS, 0);
        Self {
            name,
            make,
            threads,
            address,
            home,
            backoff,
            since: now,
            restart_at: None,
        }
    }

    /// Where to reach the actor as it lives now.
    #[cfg(test)]
    pub(crate) fn address(&self) -> &Addr<A> {
        &self.address
    }

    /// Asks the actor how it is. `unanswered` is what is said of one that does not answer.
    pub(crate) fn report<M>(
        &self,
        question: M,
        unanswered: impl FnOnce() -> M::Result + Send + 'static,
    ) -> BoxFuture<'static, M::Result>
    where
        A: Handler<M>,
        M: Message<Result: Send> + Send + 'static,
        Context<A>: ToEnvelope<A, M>,
    {
        let ask = self.address.send(question);
        async move {
            match timeout(REPORT_TIMEOUT, ask).await {
                Ok(Ok(report)) => report,
                _ => unanswered(),
            }
        }
        .boxed()
    }

    /// Has the actor stop by the message that `stop` makes, from the time when the future is first polled; the future ends
    /// when the actor has used or dropped the sender in it.
    pub(crate) fn stop<M>(&self, stop: fn(oneshot::Sender<()>) -> M) -> BoxFuture<'static, ()>
    where
        A: Handler<M>,
        M: Message<Result = ()> + Send + 'static,
        Context<A>: ToEnvelope<A, M>,
    {
        let address = self.address.clone();
        async move {
            let (done, stopped) = oneshot::channel();
            address.do_send(stop(done));
            // An actor that has died drops the sender.
            let _ = stopped.await;
        }
        .boxed()
    }

    /// Looks after the actor. To be called every second or so.
    pub(crate) fn check(&mut self, now: MonotonicTime) {
        if self.address.connected() {
            if now.since(self.since) > RECOVERED_AFTER {
                self.backoff.reset();
            }
            return;
        }
        match self.restart_at {
            None => {
                let wait = self.backoff.fail();
                error!(
                    "{} died; starting it again in {:.1} s",
                    self.name,
                    wait.as_secs_f64()
                );
                self.restart_at = Some(now + wait);
            }
            Some(at) if now >= at => {
                self.home.end();
                match spawn((self.make)(), self.threads) {
                    Ok(started) => {
                        (self.address, self.home) = started;
                        (self.restart_at, self.since) = (None, now);
                    }
                    Err(error) => {
                        error!("{} cannot be started again: {error}", self.name);
                        self.restart_at = Some(now + self.backoff.fail());
                    }
                }
            }
            Some(_) => {}
        }
    }

    /// Ends the arbiter, and with it whatever still runs on it.
    pub(crate) fn end(&self) {
        self.home.end();
    }
}

/// Fails when no thread can be made.
fn spawn<A: Actor<Context = Context<A>>>(
    make: Box<dyn FnOnce() -> A + Send>,
    threads: Threads,
) -> io::Result<(Addr<A>, Home)> {
    match threads {
        Threads::Own => {
            let arbiter = Arbiter::try_with_tokio_rt(runtime)?;
            let address = A::start_in_arbiter(&arbiter.handle(), move |_| make());
            Ok((address, Home::Own(arbiter)))
        }
        Threads::Shared => Ok((A::create(move |_| make()), Home::Shared)),
    }
}

/// Where an actor lives.
enum Home {
    /// On an arbiter of its own.
    Own(Arbiter),
    /// On the thread of the hub, and until that ends.
    Shared,
}

impl Home {
    fn end(&self) {
        if let Self::Own(arbiter) = self {
            arbiter.stop();
        }
    }
}
