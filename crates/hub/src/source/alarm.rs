//! One timer of an actor, which follows its next deadline.

use actix::prelude::*;
use watchpost_core::MonotonicTime;

use crate::clock::Clock;

/// Rings the actor when a deadline may have come. The actor then looks which of its parts is due: to ring too early does
/// no harm, so that the timer need not be moved with every message received.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    armed: Option<(MonotonicTime, SpawnHandle)>,
}

impl Alarm {
    /// Sees to it that `ring` is called at `deadline`, or earlier. It has to call [`Self::rang`] first.
    pub(crate) fn arm<A>(
        &mut self,
        deadline: Option<MonotonicTime>,
        clock: Clock,
        ctx: &mut Context<A>,
        ring: fn(&mut A, &mut Context<A>),
    ) where
        A: Actor<Context = Context<A>>,
    {
        let Some(deadline) = deadline else { return };
        if let Some((at, timer)) = self.armed {
            if at <= deadline {
                return;
            }
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later(deadline.since(clock.now()), ring);
        self.armed = Some((deadline, timer));
    }

    /// It rings, and is armed no more.
    pub(crate) fn rang(&mut self) {
        self.armed = None;
    }
}
