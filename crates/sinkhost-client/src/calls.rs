//! The calls of one child: which wait, which are dispatched, which one is with the plugin, and until when.
//!
//! Pure bookkeeping: it is given what happens and when, and answers what to do. It knows no socket and no clock, and
//! believes nothing: a child that reports what cannot be is answered with a [`Violation`].

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use watchpost_sinkhost_protocol::limits::{BEGIN_TIMEOUT, CANCEL_GRACE, FLUSH_CALLS, WINDOW, WINDOW_FRAMES};
use watchpost_sinkhost_protocol::{FIRST_OWN_CALL, Outcome};

use crate::violation::Violation;

/// The bookkeeping.
#[derive(Debug)]
pub(crate) struct Calls<R> {
    /// Accepted, not dispatched.
    waiting: VecDeque<(Call, R)>,
    /// Dispatched, not begun, in the order in which the child takes them.
    dispatched: VecDeque<Call>,
    dispatched_frames: usize,
    /// With the plugin at this moment.
    running: Option<Running>,
    /// Delivered, waiting for the flush.
    awaiting_flush: Vec<Call>,
    /// Whether deliveries of this plugin wait for a flush.
    flushes: bool,
    /// The number of the next flush.
    next_flush: u64,
    /// When the calls that share a flush began.
    run_began: Instant,
    /// When the child last had nothing to begin, or ended something.
    progressed: Instant,
    /// Whether the child was asked to leave, and so begins nothing any more.
    stopping: bool,
}

/// What is known of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Its number.
    pub(crate) id: u64,
    /// What the plugin has for it.
    pub(crate) timeout: Duration,
    /// How many pictures go with it.
    pub(crate) frames: usize,
    /// What it is.
    pub(crate) kind: CallKind,
    /// Whether the child was asked to cancel it before it began.
    pub(crate) cancelled: bool,
}

impl Call {
    /// A call that is not cancelled.
    pub(crate) fn new(id: u64, timeout: Duration, frames: usize, kind: CallKind) -> Self {
        Self {
            id,
            timeout,
            frames,
            kind,
            cancelled: false,
        }
    }
}

/// What a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// `create`: the start of the child.
    Create,
    /// `deliver`
    Deliver,
    /// `flush`
    Flush,
    /// `probe`
    Probe,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    call: Call,
    deadline: Instant,
    cancelled: bool,
    acknowledged: bool,
}

/// What to do about a child that has missed a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeadlineAction {
    /// Ask the call to return.
    Cancel(u64),
    /// It was asked and has not, or its run takes longer than all its calls may together.
    Kill,
    /// End a child that leaves what it has been given lying.
    NotBegun(u64),
}

impl<R> Calls<R> {
    /// Begins with the start of the child, which counts as a call of its own with this deadline.
    pub(crate) fn starting(now: Instant, timeout: Duration) -> Self {
        let call = Call::new(FIRST_OWN_CALL, timeout, 0, CallKind::Create);
        Self {
            waiting: VecDeque::new(),
            dispatched: VecDeque::new(),
            dispatched_frames: 0,
            running: Some(Running::new(call, now)),
            awaiting_flush: Vec::new(),
            flushes: false,
            next_flush: FIRST_OWN_CALL + 1,
            run_began: now,
            progressed: now,
            stopping: false,
        }
    }

    /// The start is over. `flushes`: deliveries of this plugin count after a flush.
    pub(crate) fn started(&mut self, now: Instant, flushes: bool) {
        self.running = None;
        self.flushes = flushes;
        self.progressed = now;
    }

    /// Takes a call with the request that goes to the child for it.
    pub(crate) fn push(&mut self, call: Call, request: R) {
        self.waiting.push_back((call, request));
    }

    /// The next request to send, if the child has room for it. It counts as dispatched.
    pub(crate) fn dispatch(&mut self, now: Instant) -> Option<R> {
        let (next, _) = self.waiting.front()?;
        let frames = self.dispatched_frames + next.frames;
        if self.in_child() >= WINDOW || frames > WINDOW_FRAMES {
            return None;
        }
        let (call, request) = self.waiting.pop_front()?;
        if self.dispatched.is_empty() {
            self.progressed = self.progressed.max(now);
        }
        self.dispatched_frames = frames;
        self.dispatched.push_back(call);
        Some(request)
    }

    /// A dispatched call never went out.
    pub(crate) fn undispatch(&mut self, id: u64) {
        self.take_dispatched(id);
    }

    /// The child begins a call: the next one dispatched, or a flush.
    pub(crate) fn begun(&mut self, id: u64, now: Instant) -> Result<(), Violation> {
        if id >= FIRST_OWN_CALL {
            return self.begin_flush(id, now);
        }
        // Cancelled calls may be on their way back.
        let next = self.dispatched.iter().position(|call| !call.cancelled);
        let index = self.dispatched.iter().position(|call| call.id == id);
        let index = index.ok_or(Violation::UnknownCall(id))?;
        if next.is_some_and(|next| next < index) {
            return Err(Violation::OutOfTurn(id));
        }
        self.end_delivery_for_flush(id)?;
        if self.awaiting_flush.is_empty() {
            self.run_began = now;
        }
        let call = self.take_dispatched(id).ok_or(Violation::UnknownCall(id))?;
        if call.kind == CallKind::Probe && !self.awaiting_flush.is_empty() {
            return Err(Violation::OutOfTurn(id));
        }
        self.running = Some(Running::new(call, now));
        Ok(())
    }

    fn begin_flush(&mut self, id: u64, now: Instant) -> Result<(), Violation> {
        if id != self.next_flush {
            return Err(Violation::UnknownCall(id));
        }
        self.end_delivery_for_flush(id)?;
        // A flush may take as long as the longest timeout among its deliveries.
        let longest = self.awaiting_flush.iter().map(|call| call.timeout).max();
        let longest = longest.ok_or(Violation::OutOfTurn(id))?;
        let call = Call::new(id, longest, 0, CallKind::Flush);
        self.next_flush += 1;
        self.running = Some(Running::new(call, now));
        Ok(())
    }

    /// What ran until now has no `Done`: it has to be a delivery that waits for the flush.
    fn end_delivery_for_flush(&mut self, next: u64) -> Result<(), Violation> {
        let Some(running) = self.running else {
            return Ok(());
        };
        let may_wait = self.flushes && self.awaiting_flush.len() < FLUSH_CALLS;
        if running.call.kind != CallKind::Deliver || !may_wait {
            return Err(Violation::OutOfTurn(next));
        }
        self.awaiting_flush.push(running.call);
        self.running = None;
        Ok(())
    }

    /// The child reports the end of these calls. Says which of them had missed its deadline.
    pub(crate) fn done(
        &mut self,
        ids: &[u64],
        outcome: Outcome,
        now: Instant,
    ) -> Result<Option<u64>, Violation> {
        let overdue = match (self.running, ids) {
            (Some(running), [id]) if running.call.id == *id && running.call.kind != CallKind::Flush => {
                self.running = None;
                running.cancelled.then_some(*id)
            }
            // A flush ends all that waited for it, oldest first, and nothing else.
            (Some(running), _) if running.call.kind == CallKind::Flush && self.awaits(ids) => {
                self.awaiting_flush.clear();
                self.running = None;
                None
            }
            (_, [id]) => {
                let is_cancelled = |call: &Call| call.id == *id && call.cancelled;
                if !self.dispatched.iter().any(is_cancelled) || outcome == Outcome::Ok {
                    return Err(Violation::UnknownCall(*id));
                }
                self.take_dispatched(*id);
                None
            }
            _ => return Err(Violation::UnknownCall(ids.first().copied().unwrap_or(0))),
        };
        self.progressed = now;
        Ok(overdue)
    }

    /// The plugin reports that a person has acknowledged the alert of this call.
    pub(crate) fn acknowledged(&mut self, id: u64) -> Result<(), Violation> {
        // A probe and a flush are for no one alert.
        let is_it = |running: &&mut Running| running.call.id == id && running.call.kind == CallKind::Deliver;
        match self.running.as_mut().filter(is_it) {
            Some(running) if !running.acknowledged => running.acknowledged = true,
            Some(_) => return Err(Violation::AcknowledgedTwice(id)),
            None => return Err(Violation::UnknownCall(id)),
        }
        Ok(())
    }

    /// The child was asked to leave.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
    }

    /// Drops a call that was not dispatched. `false`: it was, or is over.
    pub(crate) fn cancel_waiting(&mut self, id: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(call, _)| call.id != id);
        self.waiting.len() < before
    }

    /// The child is asked to cancel this call. `false`: it does not have it.
    pub(crate) fn cancel_dispatched(&mut self, id: u64) -> bool {
        match self.dispatched.iter_mut().find(|call| call.id == id) {
            Some(call) => {
                call.cancelled = true;
                true
            }
            None => self.running.is_some_and(|running| running.call.id == id),
        }
    }

    /// When to ask [`Self::check_deadline`] again.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [
            self.running.map(|running| running.deadline),
            self.run_deadline(),
            self.begin_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What to do now about a deadline that has passed.
    pub(crate) fn check_deadline(&mut self, now: Instant) -> Option<DeadlineAction> {
        if self.run_deadline().is_some_and(|deadline| now >= deadline) {
            return Some(DeadlineAction::Kill);
        }
        if self.begin_deadline().is_some_and(|deadline| now >= deadline) {
            return self
                .dispatched
                .front()
                .map(|call| DeadlineAction::NotBegun(call.id));
        }
        let running = self.running.as_mut().filter(|running| now >= running.deadline)?;
        if running.cancelled {
            return Some(DeadlineAction::Kill);
        }
        running.cancelled = true;
        running.deadline = now + CANCEL_GRACE;
        Some(DeadlineAction::Cancel(running.call.id))
    }

    /// The calls that share a flush end within three times what the longest of them may take: the first delivery, the
    /// last, and the flush. Those between them take next to no time, or the flush would have come.
    fn run_deadline(&self) -> Option<Instant> {
        let running = self.running.iter().map(|running| &running.call);
        let longest = running
            .chain(&self.awaiting_flush)
            .map(|call| call.timeout)
            .max()?;
        let shares = !self.awaiting_flush.is_empty();
        shares.then(|| self.run_began + (longest + CANCEL_GRACE) * 3)
    }

    /// A child that runs nothing begins what it has been given at once.
    fn begin_deadline(&self) -> Option<Instant> {
        let waits = self.running.is_none() && !self.dispatched.is_empty() && !self.stopping;
        waits.then(|| self.progressed + BEGIN_TIMEOUT)
    }

    /// The call that is running, to be cancelled because the child shall stop.
    pub(crate) fn running_id(&self) -> Option<u64> {
        self.running.map(|running| running.call.id)
    }

    /// What is left of a child that is gone.
    pub(crate) fn close(self, timed_out: bool) -> Closed {
        let running = self
            .running
            .map(|running| running.call)
            .filter(|call| call.kind != CallKind::Create);
        let flushing = running.is_some_and(|call| call.kind == CallKind::Flush);
        let mut overdue: Vec<u64> = Vec::new();
        let mut unfinished: Vec<u64> = self.awaiting_flush.iter().map(|call| call.id).collect();
        // A crash within a flush may be the fault of any delivery in it.
        let blamed = match running {
            Some(_) if flushing => (unfinished.len() == 1).then(|| unfinished[0]),
            call => call.map(|call| call.id),
        };
        if timed_out && flushing {
            overdue.append(&mut unfinished);
        }
        match running.filter(|_| !flushing) {
            Some(call) if timed_out => overdue.push(call.id),
            call => unfinished.extend(call.map(|call| call.id)),
        }
        unfinished.extend(self.dispatched.iter().map(|call| call.id));
        unfinished.extend(self.waiting.iter().map(|(call, _)| call.id));
        Closed {
            timed_out: overdue,
            blamed,
            unfinished,
        }
    }

    /// Calls that the child has: those that it was given and has not ended.
    pub(crate) fn in_child(&self) -> usize {
        self.dispatched.len() + self.awaiting_flush.len() + usize::from(self.running.is_some())
    }

    fn awaits(&self, ids: &[u64]) -> bool {
        self.awaiting_flush
            .iter()
            .map(|call| call.id)
            .eq(ids.iter().copied())
    }

    fn take_dispatched(&mut self, id: u64) -> Option<Call> {
        let index = self.dispatched.iter().position(|call| call.id == id)?;
        let call = self.dispatched.remove(index)?;
        self.dispatched_frames -= call.frames;
        Some(call)
    }
}

impl Running {
    fn new(call: Call, now: Instant) -> Self {
        Self {
            call,
            deadline: now + call.timeout,
            cancelled: false,
            acknowledged: false,
        }
    }
}

/// What is left when a child is gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// Calls that are over because they missed their deadline.
    pub(crate) timed_out: Vec<u64>,
    /// The one call the plugin was working on.
    pub(crate) blamed: Option<u64>,
    /// Calls that have no outcome, oldest first.
    pub(crate) unfinished: Vec<u64>,
}

/// What counts as the outcome of a call that was cancelled at its deadline: done is done, all else has timed out.
pub(crate) fn after_deadline(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Ok => Outcome::Ok,
        _ => Outcome::TimedOut,
    }
}

#[cfg(test)]
mod tests;
