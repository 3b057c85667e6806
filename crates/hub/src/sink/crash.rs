//! What is done when the child ends: by itself, because its instance has failed, or because it grew too large.

use actix::prelude::*;
use tracing::{error, info, warn};
use watchpost_core::{AfterCrash, HubEvent, Outcome};
use watchpost_sinkhost::{Exit, ExitKind};

use super::{CHILD_STOP_GRACE, CRASHES, Child, Ending, Sink, memory};

impl Sink {
    /// The child could not be started.
    pub(super) fn not_started(&mut self, why: String, ctx: &mut Context<Self>) {
        let after = self.crashes.not_started(self.parts.clock.now());
        self.start_again(why, after, ctx);
    }

    fn start_again(&mut self, why: String, after: AfterCrash, ctx: &mut Context<Self>) {
        let AfterCrash { wait, fails } = after;
        if fails || self.last_error.as_ref() != Some(&why) {
            error!(sink = %self.name(), "{why}. Its alerts are kept; trying again in {:.1} s", wait.as_secs_f64());
        }
        if fails {
            let (sink, why) = (self.name().to_owned(), why.clone());
            self.parts.store.raise(HubEvent::SinkFailed { sink, why });
        }
        self.last_error = Some(why);
        self.child = Child::Waiting(self.parts.clock.now() + wait);
        self.pump(ctx);
    }

    /// The plugin says that its instance is of no use any more: ends the child, so that a new one is made.
    pub(super) fn instance_failed(&mut self, ctx: &mut Context<Self>) {
        self.end_child(Ending::Failed, ctx);
    }

    /// The child is gone. What it was working on counts as tried; what only waited in it does not.
    pub(super) fn exited(&mut self, exit: &Exit, ctx: &mut Context<Self>) {
        match self.child {
            Child::Stopped => return,
            Child::Ending(Ending::Recycled) => {
                self.under_way.clear();
                self.child = Child::Waiting(self.parts.clock.now());
                return;
            }
            _ => {}
        }
        self.crash_count += 1;
        let note = format!("the plugin {}", exit.how);
        match exit.blamed {
            Some(call) => {
                let outcome = self.blame(call, &exit.how, note.clone());
                self.ended(call, &outcome, ctx);
            }
            None => self.careful = exit.unfinished.len(),
        }
        self.under_way.clear();
        let after = self.crashes.crashed(self.parts.clock.now());
        self.start_again(note, after, ctx);
    }

    /// Finds out whether it was this alert once too often. What only took too long may work another time.
    fn blame(&mut self, call: u64, how: &ExitKind, note: String) -> Outcome {
        let crashed = matches!(
            how,
            ExitKind::Code(_) | ExitKind::Signal(_) | ExitKind::Garbled(_)
        );
        let alert = self.under_way.get(&call).map(|call| call.alert);
        if crashed && alert.is_some_and(|alert| self.crashes.blame(alert)) {
            let times = CRASHES.poison_threshold;
            return Outcome::Poisonous {
                note: format!("{note} over this alert, {times} times"),
            };
        }
        Outcome::Broken { note }
    }

    /// Does what has to be done now and then.
    pub(super) fn look_after(&mut self, ctx: &mut Context<Self>) {
        self.tell_dead();
        self.check_memory(ctx);
    }

    fn check_memory(&mut self, ctx: &mut Context<Self>) {
        let Child::Running(host) = &self.child else { return };
        let limit = self.parts.settings.recycle_over;
        if let Some(held) = memory::held_by(host.pid()).filter(|&held| held > limit.0)
            && !self.recycling
        {
            warn!(
                sink = %self.name(),
                "the plugin holds {} of memory, more than recycle_over = {limit}: it is started anew",
                watchpost_config::ByteSize(held)
            );
            self.recycling = true;
            self.pump(ctx);
        }
    }

    /// Ends a child that has grown too large as soon as nothing is under way.
    pub(super) fn recycle(&mut self, ctx: &mut Context<Self>) {
        if self.under_way.is_empty() && !self.fetching {
            self.recycling = false;
            info!(sink = %self.name(), "ending the plugin, to start it anew");
            self.end_child(Ending::Recycled, ctx);
        }
    }

    /// Tells the child to end. What comes of it is its exit, which is an event like any other.
    fn end_child(&mut self, why: Ending, ctx: &mut Context<Self>) {
        match std::mem::replace(&mut self.child, Child::Ending(why)) {
            Child::Running(host) => {
                let stop = async move { host.stop(CHILD_STOP_GRACE).await };
                ctx.spawn(stop.into_actor(self).map(|_, _, _| ()));
            }
            other => self.child = other,
        }
    }
}
