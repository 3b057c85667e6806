//! Keeps one actor alive: starts it on an arbiter of its own and restarts it when it has died.
//!
//! Actix ends an actor that panics and drops what is sent to it from then on without a word. So its context holds something
//! that says so when it is dropped. An arbiter is never shared: what kills one actor cannot take another along.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::prelude::*;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, oneshot};
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

/// Is woken whenever an actor has died, or could not be started. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deaths(Arc<Notify>);

impl Deaths {
    /// Waits until an actor has died since the last time, or could not be started.
    pub(crate) async fn wait(&self) {
        self.0.notified().await;
    }
}

/// What the context of an actor holds.
struct DeathNotice {
    over: Arc<AtomicBool>,
    deaths: Deaths,
}

impl Drop for DeathNotice {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.deaths.0.notify_one();
    }
}

/// Makes an actor, on the thread on which it is to live.
type Make<A> = Box<dyn FnOnce() -> A + Send>;

/// An actor and what it takes to make it again.
pub(crate) struct Guard<A: Actor<Context = Context<A>>> {
    name: String,
    make: Box<dyn Fn() -> Make<A>>,
    spawn: fn(Make<A>, Threads, &Deaths) -> io::Result<Life<A>>,
    threads: Threads,
    deaths: Deaths,
    /// `None` while it could not be started at all.
    life: Option<Life<A>>,
    backoff: Backoff,
    since: MonotonicTime,
    restart_at: Option<MonotonicTime>,
}

/// One life of an actor.
struct Life<A: Actor<Context = Context<A>>> {
    address: Addr<A>,
    home: Home,
    /// Whether the context of the actor is gone.
    over: Arc<AtomicBool>,
}

impl<A: Actor<Context = Context<A>>> Guard<A> {
    /// Starts the actor that `new` makes from `parts`, or tries again later where no thread can be made for it. `name` says
    /// in the log who died, and `deaths` is woken then.
    pub(crate) fn start<P: Clone + Send + 'static>(
        name: String,
        parts: P,
        new: fn(P) -> A,
        threads: Threads,
        deaths: &Deaths,
        now: MonotonicTime,
    ) -> Self {
        Self::start_by(spawn, name, parts, new, threads, deaths, now)
    }

    fn start_by<P: Clone + Send + 'static>(
        spawn: fn(Make<A>, Threads, &Deaths) -> io::Result<Life<A>>,
        name: String,
        parts: P,
        new: fn(P) -> A,
        threads: Threads,
        deaths: &Deaths,
        now: MonotonicTime,
    ) -> Self {
        let make: Box<dyn Fn() -> Make<A>> = Box::new(move || {
            let parts = parts.clone();
            Box::new(move || new(parts))
        });
        let mut guard = Self {
            name,
            make,
            spawn,
            threads,
            deaths: deaths.clone(),
            life: None,
            backoff: Backoff::new(RESTARTS, 0),
            since: now,
            restart_at: None,
        };
        guard.begin(now);
        guard
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
        let ask = self.life.as_ref().map(|life| life.address.send(question));
        async move {
            let Some(ask) = ask else { return unanswered() };
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
        let address = self.life.as_ref().map(|life| life.address.clone());
        async move {
            let Some(address) = address else { return };
            let (done, stopped) = oneshot::channel();
            address.do_send(stop(done));
            // An actor that has died drops the sender.
            let _ = stopped.await;
        }
        .boxed()
    }

    /// Looks after the actor: to be called when [`Deaths::wait`] says so, and at the time that is returned.
    pub(crate) fn check(&mut self, now: MonotonicTime) -> Option<MonotonicTime> {
        let lives = |life: &Life<A>| !life.over.load(Ordering::Acquire);
        if self.life.as_ref().is_some_and(lives) {
            return None;
        }
        match self.restart_at {
            None => {
                if now.since(self.since) > RECOVERED_AFTER {
                    self.backoff.reset();
                }
                let wait = self.backoff.fail();
                error!(
                    "{} died; starting it again in {:.1} s",
                    self.name,
                    wait.as_secs_f64()
                );
                self.restart_at = Some(now + wait);
            }
            Some(at) if now >= at => {
                self.end();
                self.begin(now);
            }
            Some(_) => {}
        }
        self.restart_at
    }

    /// Ends the arbiter, and with it whatever still runs on it.
    pub(crate) fn end(&self) {
        if let Some(life) = &self.life {
            life.home.end();
        }
    }

    fn begin(&mut self, now: MonotonicTime) {
        match (self.spawn)((self.make)(), self.threads, &self.deaths) {
            Ok(life) => {
                self.life = Some(life);
                (self.restart_at, self.since) = (None, now);
            }
            Err(error) => {
                let wait = self.backoff.fail();
                error!(
                    "{} cannot be started: {error}; trying again in {:.1} s",
                    self.name,
                    wait.as_secs_f64()
                );
                self.restart_at = Some(now + wait);
                self.deaths.0.notify_one();
            }
        }
    }
}

/// Fails when no thread can be made.
fn spawn<A: Actor<Context = Context<A>>>(
    make: Make<A>,
    threads: Threads,
    deaths: &Deaths,
) -> io::Result<Life<A>> {
    let over = Arc::new(AtomicBool::new(false));
    let notice = DeathNotice {
        over: Arc::clone(&over),
        deaths: deaths.clone(),
    };
    let begin = move |ctx: &mut Context<A>| {
        // Never ready, so it is dropped with the context and not before.
        ctx.spawn(actix::fut::wrap_future(async move {
            let _notice = notice;
            pending::<()>().await;
        }));
        make()
    };
    let (address, home) = match threads {
        Threads::Own => {
            let arbiter = Arbiter::try_with_tokio_rt(runtime)?;
            let address = A::start_in_arbiter(&arbiter.handle(), begin);
            (address, Home::Own(arbiter))
        }
        Threads::Shared => (A::create(begin), Home::Shared),
    };
    Ok(Life { address, home, over })
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    struct Quiet;

    impl Actor for Quiet {
        type Context = Context<Self>;
    }

    #[derive(Message)]
    #[rtype(result = "bool")]
    struct Ask;

    impl Handler<Ask> for Quiet {
        type Result = bool;

        fn handle(&mut self, _: Ask, _: &mut Self::Context) -> Self::Result {
            true
        }
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Stop;

    impl Handler<Stop> for Quiet {
        type Result = ();

        fn handle(&mut self, _: Stop, _: &mut Self::Context) {}
    }

    static THREADS: AtomicBool = AtomicBool::new(false);

    /// As the kernel answers a process that has as many threads as it may have.
    fn spawn_if_it_may(make: Make<Quiet>, threads: Threads, deaths: &Deaths) -> io::Result<Life<Quiet>> {
        if THREADS.load(Ordering::SeqCst) {
            spawn(make, threads, deaths)
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    #[actix::test]
    async fn an_actor_for_which_no_thread_can_be_made_is_started_when_one_can() {
        let second = |n| MonotonicTime::default() + Duration::from_secs(n);
        let mut guard = Guard::start_by(
            spawn_if_it_may,
            "it".into(),
            (),
            |()| Quiet,
            Threads::Own,
            &Deaths::default(),
            second(0),
        );
        assert!(!guard.report(Ask, || false).await);
        assert!(guard.stop(|_| Stop).now_or_never().is_some());
        guard.check(second(1));
        assert!(!guard.report(Ask, || false).await);
        THREADS.store(true, Ordering::SeqCst);
        // Its turn has not come.
        guard.check(second(1));
        assert!(!guard.report(Ask, || false).await);
        guard.check(second(10));
        assert!(guard.report(Ask, || false).await);
        guard.end();
    }
}
