//! The actor that owns the writer thread, its state and its restarts.
//!
//! Alerts and outcomes do not go through it: they go to the thread directly, by a [`StoreHandle`], which stays valid when
//! the thread dies and is started again. What the thread had in hand is committed by the next one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use actix::prelude::*;
use futures_util::FutureExt as _;
use tokio::sync::{Notify, oneshot};
use tracing::error;
use watchpost_core::{Backoff, BackoffPolicy, MonotonicTime};

use super::disk::Disk;
use super::intake::Intake;
use super::queue::BatchLimits;
use super::writer::{Writer, WriterParts};
use super::{Readers, Storage, StoreHandle, StoreState};
use crate::clock::Clock;
use crate::platform::Threads;

/// Pictures in one commit, in bytes: beyond it a larger batch gains nothing.
const MAX_BATCH_BYTES: usize = 8 << 20;

/// Waits before the thread is started again.
const RESTARTS: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(500),
    max: Duration::from_secs(10),
    jitter: 0.0,
};

/// A thread that has lived this long has recovered.
const RECOVERED_AFTER: Duration = Duration::from_secs(60);

/// A thread that dies so many times in a row never will recover. A hub that cannot store must not look alive: the process
/// ends, and the service manager starts it again. What is on disk is whole.
const MAX_DEATHS: u32 = 5;

/// The actor.
pub(crate) struct AlertStore {
    clock: Clock,
    backoff: Backoff,
    since: MonotonicTime,
    first: Option<Box<Writer>>,
    /// What wakes a writer that is a task among others; `None` for a thread.
    task: Option<Arc<Notify>>,
}

impl AlertStore {
    /// An actor for this storage, the handle to its thread, and its state. The thread starts with the actor; what is sent
    /// before waits for it.
    pub(crate) fn new(
        storage: Box<dyn Storage>,
        readers: Readers,
        batch_alerts: usize,
        threads: Threads,
        parts: WriterParts,
    ) -> (Self, StoreHandle, StoreState) {
        let (sender, commands) = mpsc::channel();
        let (state, clock) = (StoreState::default(), parts.clock);
        let limits = BatchLimits {
            alerts: batch_alerts,
            bytes: MAX_BATCH_BYTES,
        };
        let task = match threads {
            Threads::Own => None,
            Threads::Shared => Some(Arc::default()),
        };
        let handle = StoreHandle::new(
            sender,
            task.clone(),
            parts.notifiers.clone(),
            parts.write_backs.clone(),
        );
        let intake = Intake::new(commands, limits, clock);
        let disk = Disk::new(storage, readers, state.clone(), clock);
        let writer = Writer::new(parts, state.clone(), disk, intake);
        let actor = Self {
            clock,
            backoff: Backoff::new(RESTARTS, 0),
            since: clock.now(),
            first: Some(Box::new(writer)),
            task,
        };
        (actor, handle, state)
    }

    fn spawn(&mut self, mut writer: Box<Writer>, again: bool, ctx: &mut Context<Self>) {
        self.since = self.clock.now();
        let died = ctx.address().recipient();
        if let Some(commands) = self.task.clone() {
            actix::spawn(async move {
                let working = AssertUnwindSafe(async {
                    if again {
                        writer.reopen();
                    }
                    writer.run_as_task(&commands).await
                });
                let ended = working.catch_unwind().await;
                conclude(writer, ended.ok(), &died);
            });
            return;
        }
        let spawned = thread::Builder::new().name("store-writer".into()).spawn(move || {
            let ended = catch_unwind(AssertUnwindSafe(|| {
                if again {
                    writer.reopen();
                }
                writer.run()
            }));
            conclude(writer, ended.ok(), &died);
        });
        if let Err(e) = spawned {
            error!("the thread that writes the store cannot be started: {e}. Ending the process");
            std::process::abort();
        }
    }
}

impl Actor for AlertStore {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(writer) = self.first.take() {
            self.spawn(writer, false, ctx);
        }
    }
}

/// The writer has ended: these wait for that, unless it has panicked.
fn conclude(writer: Box<Writer>, stopping: Option<Vec<oneshot::Sender<()>>>, died: &Recipient<Died>) {
    let Some(stopping) = stopping else {
        return died.do_send(Died(writer));
    };
    // Closed before it is reported: the process may end with the answer.
    drop(writer);
    for done in stopping {
        let _ = done.send(());
    }
}

/// The thread has panicked. What it had in hand is still there.
#[derive(Message)]
#[rtype(result = "()")]
struct Died(Box<Writer>);

impl Handler<Died> for AlertStore {
    type Result = ();

    fn handle(&mut self, Died(writer): Died, ctx: &mut Self::Context) {
        if self.clock.now().since(self.since) > RECOVERED_AFTER {
            self.backoff.reset();
        }
        let wait = self.backoff.fail();
        if self.backoff.failures() >= MAX_DEATHS {
            error!("the thread that writes the store died {MAX_DEATHS} times of a bug: ending the process");
            std::process::abort();
        }
        error!(
            "the thread that writes the store died of a bug; starting it again in {:.1} s",
            wait.as_secs_f64()
        );
        ctx.run_later(wait, move |this, ctx| this.spawn(writer, true, ctx));
    }
}
