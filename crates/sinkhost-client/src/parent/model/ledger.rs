//! The model's side: what was asked of the child, how far it has come, and what it may say next.

use std::time::Duration;

use tokio::time::Instant;
use watchpost_sinkhost_protocol::limits::{
    ASK_BURST, BEGIN_TIMEOUT, CANCEL_GRACE, FLUSH_CALLS, MAX_AREA_BYTES, MAX_CODE_BYTES, MAX_LINE_BYTES,
    MAX_NOTE_BYTES, MAX_NOTES, MAX_OPEN_ASKS, PONG_TIMEOUT, WINDOW,
};
use watchpost_sinkhost_protocol::sandbox::Enforced;
use watchpost_sinkhost_protocol::{ASK_COST, FIRST_OWN_CALL, Note, Outcome, PluginInfo, Stage, ToParent};

use crate::parent::Rights;

/// Steps of a start; after the last the child runs.
const STEPS: usize = 6;

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Waiting,
    Dispatched,
    Running,
    AwaitsFlush,
    Over,
}

#[derive(Debug)]
struct Call {
    id: u64,
    timeout: Duration,
    at: At,
    /// By whoever asked for it, before it began.
    cancelled: bool,
    acknowledged: bool,
    /// What the caller heard.
    heard_begun: bool,
    heard_acknowledged: bool,
}

/// What the plugin has in hand, and until when.
#[derive(Debug)]
struct Turn {
    /// `None`: a flush, or the start.
    call: Option<u64>,
    is_flush: bool,
    deadline: Instant,
    cancelled: bool,
}

#[derive(Debug)]
pub(super) struct Ledger {
    calls: Vec<Call>,
    turn: Option<Turn>,
    step: usize,
    /// It has refused, and says nothing more but its log.
    is_over: bool,
    rights: Rights,
    /// When it has asked for something of areas.
    asks: Vec<Instant>,
    /// What of that is not answered, and whether the caller has heard of it.
    unanswered: Vec<(u64, bool)>,
    flushes: bool,
    flushed: u64,
    run_began: Instant,
    progressed: Instant,
    asked: Option<Instant>,
}

impl Ledger {
    pub(super) fn new(rights: Rights, now: Instant, startup: Duration) -> Self {
        Self {
            calls: Vec::new(),
            turn: Some(Turn {
                call: None,
                is_flush: false,
                deadline: now + startup,
                cancelled: false,
            }),
            step: 0,
            is_over: false,
            rights,
            asks: Vec::new(),
            unanswered: Vec::new(),
            flushes: false,
            flushed: 0,
            run_began: now,
            progressed: now,
            asked: None,
        }
    }

    // What the caller does.

    pub(super) fn accept(&mut self, id: u64, timeout: Duration) {
        self.calls.push(Call {
            id,
            timeout,
            at: At::Waiting,
            cancelled: false,
            acknowledged: false,
            heard_begun: false,
            heard_acknowledged: false,
        });
    }

    /// Whether the child is to be asked.
    pub(super) fn cancel(&mut self, id: u64) -> bool {
        let Some(call) = self.calls.iter_mut().find(|call| call.id == id) else {
            // The start and a flush have numbers, too.
            return self.turn.as_ref().is_some_and(|turn| turn.call.is_none()) && self.own_call() == id;
        };
        match call.at {
            At::Waiting => {
                call.cancelled = true;
                false
            }
            At::Dispatched => {
                call.cancelled = true;
                true
            }
            At::Running => true,
            At::AwaitsFlush | At::Over => false,
        }
    }

    pub(super) fn dispatch(&mut self, id: u64, now: Instant) {
        if self.at(At::Dispatched).count() == 0 {
            self.progressed = self.progressed.max(now);
        }
        let next = self.calls.iter_mut().find(|call| call.at == At::Waiting);
        let next = next.expect("there was none to dispatch");
        assert_eq!(next.id, id, "the oldest comes first");
        next.at = At::Dispatched;
        let inside = [At::Dispatched, At::Running, At::AwaitsFlush].map(|at| self.at(at).count());
        assert!(inside.iter().sum::<usize>() <= WINDOW);
    }

    // What the child says.

    /// Whether it may say this now; then it is taken.
    pub(super) fn admit(&mut self, message: &ToParent, now: Instant) -> bool {
        is_of_size(message) && self.is_in_turn(message) && self.take(message, now)
    }

    fn is_in_turn(&self, message: &ToParent) -> bool {
        let is_running = self.step == STEPS && !self.is_over;
        match message {
            ToParent::Log(..) => self.is_over || self.step >= STEPS - 1,
            ToParent::Begun { .. }
            | ToParent::Done { .. }
            | ToParent::Acknowledged { .. }
            | ToParent::Asked(_)
            | ToParent::Pong => is_running,
            ToParent::Reached(stage) => {
                let stages = [(0, Stage::Starting), (2, Stage::Loading), (4, Stage::Creating)];
                !self.is_over && stages.contains(&(self.step, *stage))
            }
            ToParent::Confined(_) | ToParent::Unconfined(_) => !self.is_over && self.step == 1,
            ToParent::Unloadable(_) | ToParent::Loaded(..) => !self.is_over && self.step == 3,
            ToParent::Answer(..) => !self.is_over && self.step == 5,
        }
    }

    fn take(&mut self, message: &ToParent, now: Instant) -> bool {
        match message {
            ToParent::Begun { call_id } if *call_id >= FIRST_OWN_CALL => {
                return self.begin_flush(*call_id, now);
            }
            ToParent::Begun { call_id } => return self.begin(*call_id, now),
            ToParent::Done {
                call_ids, outcome, ..
            } => return self.finish(call_ids, *outcome, now),
            ToParent::Acknowledged { call_id } => {
                let may = self.rights.acknowledge;
                let running = self.running(*call_id).filter(|call| may && !call.acknowledged);
                return running.map(|call| call.acknowledged = true).is_some();
            }
            ToParent::Asked(request) => return self.ask(request.ticket, now),
            ToParent::Pong => return self.asked.take().is_some(),
            ToParent::Unconfined(_) | ToParent::Unloadable(_) => self.is_over = true,
            ToParent::Answer(Outcome::Ok, _) => {
                (self.step, self.turn, self.progressed) = (STEPS, None, now);
            }
            ToParent::Answer(..) => self.is_over = true,
            ToParent::Loaded(info, _) => {
                self.flushes = info.flushes;
                self.step += 1;
            }
            ToParent::Reached(_) | ToParent::Confined(_) => self.step += 1,
            ToParent::Log(..) => {}
        }
        true
    }

    fn begin(&mut self, id: u64, now: Instant) -> bool {
        let mut before = self.calls.iter().filter(|call| call.at == At::Dispatched);
        let next = before.by_ref().take_while(|call| call.id != id);
        if next.filter(|call| !call.cancelled).count() > 0 {
            return false;
        }
        let is_dispatched = self.at(At::Dispatched).any(|call| call.id == id);
        if !is_dispatched || !self.put_off() {
            return false;
        }
        if self.at(At::AwaitsFlush).count() == 0 {
            self.run_began = now;
        }
        let call = self.calls.iter_mut().find(|call| call.id == id);
        let call = call.expect("it was just seen");
        call.at = At::Running;
        self.turn = Some(Turn {
            call: Some(id),
            is_flush: false,
            deadline: now + call.timeout,
            cancelled: false,
        });
        true
    }

    fn begin_flush(&mut self, id: u64, now: Instant) -> bool {
        if id != self.next_flush() || !self.put_off() {
            return false;
        }
        let Some(longest) = self.at(At::AwaitsFlush).map(|call| call.timeout).max() else {
            return false;
        };
        self.flushed += 1;
        self.turn = Some(Turn {
            call: None,
            is_flush: true,
            deadline: now + longest,
            cancelled: false,
        });
        true
    }

    /// What runs is to wait for a flush, if anything runs.
    fn put_off(&mut self) -> bool {
        let Some(turn) = &self.turn else { return true };
        let Some(id) = turn.call else { return false };
        if !self.flushes || self.at(At::AwaitsFlush).count() >= FLUSH_CALLS {
            return false;
        }
        let call = self.calls.iter_mut().find(|call| call.id == id);
        call.expect("it runs").at = At::AwaitsFlush;
        self.turn = None;
        true
    }

    fn finish(&mut self, ids: &[u64], outcome: Outcome, now: Instant) -> bool {
        let in_flush: Vec<u64> = self.at(At::AwaitsFlush).map(|call| call.id).collect();
        let ends_turn = match &self.turn {
            Some(turn) if turn.is_flush => ids == in_flush,
            Some(turn) => turn.call.is_some() && ids.len() == 1 && turn.call == ids.first().copied(),
            None => false,
        };
        let was_cancelled = |call: &Call| ids == [call.id] && call.at == At::Dispatched && call.cancelled;
        if ends_turn {
            self.turn = None;
        } else if outcome == Outcome::Ok || !self.calls.iter().any(was_cancelled) {
            return false;
        }
        for call in self.calls.iter_mut().filter(|call| ids.contains(&call.id)) {
            call.at = At::Over;
        }
        self.progressed = now;
        true
    }

    /// Of what it may ask for, all that was ever asked for has been let through so far: twenty at once and two a second.
    fn ask(&mut self, ticket: u64, now: Instant) -> bool {
        let is_next = ticket == self.asks.len() as u64 + 1;
        let fits = |first: usize| {
            let asked = (self.asks.len() - first + 1) as u32;
            let passed = now - self.asks.get(first).copied().unwrap_or(now);
            ASK_COST * asked <= ASK_COST * 2 * ASK_BURST + passed * 2
        };
        let fit = (0..=self.asks.len()).all(fits);
        let may = self.rights.arm && is_next && self.unanswered.len() < MAX_OPEN_ASKS && fit;
        if may {
            self.asks.push(now);
            self.unanswered.push((ticket, false));
        }
        may
    }

    /// Whether the child waits for this answer.
    pub(super) fn answer(&mut self, ticket: u64) -> bool {
        let before = self.unanswered.len();
        self.unanswered.retain(|(asked, _)| *asked != ticket);
        self.unanswered.len() < before
    }

    pub(super) fn may_ask(&self) -> bool {
        self.rights.arm
    }

    pub(super) fn next_ask(&self) -> u64 {
        self.asks.len() as u64 + 1
    }

    // What is due.

    pub(super) fn cancelled_for_time(&mut self, id: u64, now: Instant) {
        let own = self.own_call();
        let turn = self.turn.as_mut().expect("something runs");
        assert_eq!(id, turn.call.unwrap_or(own));
        assert!(now >= turn.deadline && !turn.cancelled, "it had time");
        (turn.cancelled, turn.deadline) = (true, now + CANCEL_GRACE);
    }

    pub(super) fn asked(&mut self, now: Instant) {
        assert!(self.step == STEPS && self.asked.is_none());
        self.asked = Some(now);
    }

    /// Whether its parent has to end it by now.
    pub(super) fn is_to_be_ended(&self, now: Instant) -> bool {
        let late = self
            .turn
            .as_ref()
            .is_some_and(|turn| turn.cancelled && now >= turn.deadline);
        let running = self
            .calls
            .iter()
            .filter(|call| matches!(call.at, At::Running | At::AwaitsFlush));
        let longest = running.map(|call| call.timeout).max().unwrap_or_default();
        let shares_flush = self.awaits_flush();
        let run_late = shares_flush && now >= self.run_began + (longest + CANCEL_GRACE) * 3;
        let idle = self.turn.is_none() && self.at(At::Dispatched).count() > 0;
        let not_begun = idle && now >= self.progressed + BEGIN_TIMEOUT;
        let silent = self.asked.is_some_and(|asked| now >= asked + PONG_TIMEOUT);
        late || run_late || not_begun || silent
    }

    // What the caller hears.

    pub(super) fn heard_begun(&mut self, id: u64) {
        let call = self.call(id);
        assert!(
            !std::mem::replace(&mut call.heard_begun, true),
            "{id} begins twice"
        );
        assert!(call.at != At::Waiting, "{id} was not dispatched");
    }

    pub(super) fn heard_acknowledged(&mut self, id: u64) {
        assert!(self.rights.acknowledge);
        let call = self.call(id);
        assert!(call.heard_begun && call.acknowledged, "{id}");
        assert!(
            !std::mem::replace(&mut call.heard_acknowledged, true),
            "{id} twice"
        );
    }

    pub(super) fn heard_asked(&mut self, ticket: u64) {
        let mut asked = self.unanswered.iter_mut();
        let (_, heard) = asked
            .find(|(asked, _)| *asked == ticket)
            .expect("it was asked for");
        assert!(!std::mem::replace(heard, true), "{ticket} twice");
    }

    pub(super) fn heard_done(&mut self, id: u64, outcome: Outcome) {
        let call = self.call(id);
        match call.at {
            At::Over => assert!(outcome != Outcome::Ok || call.heard_begun, "{id} was not begun"),
            // Its parent has dropped it.
            At::Waiting => assert!(call.cancelled && outcome != Outcome::Ok, "{id}"),
            at => panic!("{id} is done, and it is {at:?}"),
        }
        self.close(id);
    }

    /// It is over for its caller, which happens once.
    pub(super) fn close(&mut self, id: u64) {
        let place = self.calls.iter().position(|call| call.id == id);
        self.calls.remove(place.expect("a call ends once"));
    }

    pub(super) fn may_be_blamed(&self, id: u64) -> bool {
        let call = self.calls.iter().find(|call| call.id == id);
        // One that has timed out is over for its caller by then.
        call.is_none_or(|call| matches!(call.at, At::Running | At::AwaitsFlush))
    }

    /// Calls that are not over for their caller.
    pub(super) fn open(&self) -> usize {
        self.calls.len()
    }

    // What a child would do.

    pub(super) fn next_of_start(&self, info: Box<PluginInfo>) -> Option<ToParent> {
        Some(match self.step {
            0 => ToParent::Reached(Stage::Starting),
            1 => ToParent::Confined(Enforced::default()),
            2 => ToParent::Reached(Stage::Loading),
            3 => ToParent::Loaded(info, None),
            4 => ToParent::Reached(Stage::Creating),
            5 => ToParent::Answer(Outcome::Ok, Vec::new()),
            _ => return None,
        })
    }

    pub(super) fn to_begin(&self) -> Option<u64> {
        self.at(At::Dispatched).map(|call| call.id).next()
    }

    pub(super) fn to_end(&self) -> Option<Vec<u64>> {
        let turn = self.turn.as_ref()?;
        let in_flush = || self.at(At::AwaitsFlush).map(|call| call.id).collect();
        Some(turn.call.map_or_else(in_flush, |id| vec![id]))
    }

    pub(super) fn awaits_flush(&self) -> bool {
        self.at(At::AwaitsFlush).count() > 0
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    pub(super) fn next_flush(&self) -> u64 {
        FIRST_OWN_CALL + 1 + self.flushed
    }

    /// The number of the start, or of the flush that runs.
    fn own_call(&self) -> u64 {
        FIRST_OWN_CALL + self.flushed
    }

    fn at(&self, at: At) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.at == at)
    }

    fn call(&mut self, id: u64) -> &mut Call {
        let call = self.calls.iter_mut().find(|call| call.id == id);
        call.expect("its caller is through with it, or never asked for it")
    }

    fn running(&mut self, id: u64) -> Option<&mut Call> {
        let is_it = |call: &&mut Call| call.id == id && call.at == At::Running;
        self.calls.iter_mut().find(is_it)
    }
}

/// Whether nothing in it is longer than it may be, or only its parent's to say.
fn is_of_size(message: &ToParent) -> bool {
    let are_notes = |notes: &[Note]| {
        let fit = |note: &Note| note.text.len().max(note.pointer.len()) <= MAX_NOTE_BYTES;
        notes.len() <= MAX_NOTES + 1 && notes.iter().all(fit)
    };
    match message {
        ToParent::Answer(outcome, notes) | ToParent::Done { outcome, notes, .. } => {
            *outcome != Outcome::TimedOut && are_notes(notes)
        }
        ToParent::Asked(request) => {
            request.area.len() <= MAX_AREA_BYTES && request.code.0.len() <= MAX_CODE_BYTES
        }
        ToParent::Log(_, line) => line.len() <= MAX_LINE_BYTES,
        ToParent::Unconfined(reason) => reason.len() <= MAX_NOTE_BYTES,
        ToParent::Unloadable(fault) => fault.to_string().len() <= MAX_NOTE_BYTES,
        ToParent::Loaded(_, description) => description.is_none(),
        _ => true,
    }
}
