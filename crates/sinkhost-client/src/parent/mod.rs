//! What a parent knows of its child and makes of what the child says: nothing is believed, and each message is checked
//! before it changes anything.
//!
//! It is given what happens and when, and says what is due. It knows no socket, no process and no clock.

#[cfg(any(test, fuzzing))]
pub(crate) mod model;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use watchpost_sinkhost_protocol::limits::{BEGIN_TIMEOUT, MAX_INFO_BYTES, MAX_NOTE_BYTES};
use watchpost_sinkhost_protocol::sandbox::Enforced;
use watchpost_sinkhost_protocol::{
    ArmOutcome, DecodeError, FIRST_OWN_CALL, Incoming, LogLimit, Note, Outcome, PluginInfo, Stage, Task,
    ToChild, ToParent, decode_to_parent,
};

use crate::answer::Answer;
use crate::asks::Asks;
use crate::calls::{Calls, DeadlineAction, after_deadline};
use crate::journal::Journal;
use crate::liveness::{Liveness, LivenessAction};
use crate::phase::Phase;
use crate::request::{Command, Queued, Request};
use crate::text::{one_line, plain_fault, plain_info, plain_notes, plain_request};
use crate::violation::{Violation, check_size};
use crate::{Event, Exit, ExitKind};

/// The state of one child, as its parent has it.
#[derive(Debug)]
pub(crate) struct Parent {
    pub(crate) calls: Calls<Request>,
    pub(crate) journal: Journal,
    queued: Queued,
    /// Taken once the start has succeeded or failed.
    answer: Option<oneshot::Sender<Answer>>,
    /// How far the start has come.
    stage: Stage,
    info: Option<PluginInfo>,
    enforced: Enforced,
    /// Which message is in turn.
    phase: Phase,
    /// `None` until it runs: its start has a time of its own.
    liveness: Option<Liveness>,
    /// What its log may amount to; the child keeps a lower limit.
    log_limit: LogLimit,
    /// Whether the site lets it acknowledge alerts.
    may_acknowledge: bool,
    asks: Asks,
    /// Calls that it has answered.
    pub(crate) answered: u64,
}

/// What the site lets a plugin say beside the outcomes of its calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rights {
    /// That a person has acknowledged an alert.
    pub(crate) acknowledge: bool,
    /// That a person wants to arm or disarm.
    pub(crate) arm: bool,
}

/// Whom a parent answers to.
#[derive(Debug)]
pub(crate) struct Caller {
    /// How many calls are not over.
    pub(crate) queued: Queued,
    /// What happens.
    pub(crate) events: mpsc::UnboundedSender<Event>,
    /// What becomes of the start.
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// What is to be done about a child now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Ask this call to return.
    Cancel(u64),
    /// Ask for a sign of life.
    Ping,
    /// End it.
    Kill(ExitKind),
}

impl Parent {
    /// Of a child that was just started for this, and has `startup` for it.
    pub(crate) fn new(task: &Task, startup: Duration, rights: Rights, caller: Caller, now: Instant) -> Self {
        Self {
            calls: Calls::starting(now, startup),
            journal: Journal::new(caller.events, now),
            queued: caller.queued,
            answer: Some(caller.answer),
            stage: Stage::Starting,
            info: None,
            enforced: Enforced::default(),
            phase: Phase::new(task),
            liveness: None,
            log_limit: LogLimit::of_parent(now.into_std()),
            may_acknowledge: rights.acknowledge,
            asks: Asks::new(rights.arm, now),
            answered: 0,
        }
    }

    /// Takes a packet, or says what is wrong with it: then the child is to be ended, and nothing more taken from it.
    pub(crate) fn take_packet(&mut self, packet: &Incoming, now: Instant) -> Result<(), String> {
        if !packet.fds.is_empty() {
            return Err(Violation::Files(packet.fds.len()).to_string());
        }
        let message = match decode_to_parent(&packet.message) {
            Ok(message) => message,
            Err(DecodeError::OtherRelease { .. })
                if self.stage == Stage::Starting && self.answer.is_some() =>
            {
                self.answer(Answer::OtherRelease);
                return Err("it is of another release".into());
            }
            Err(malformed) => return Err(malformed.to_string()),
        };
        if let Some(liveness) = &mut self.liveness {
            liveness.heard(now);
        }
        let checked = check_size(&message).and_then(|()| self.phase.advance(&message));
        checked
            .and_then(|()| self.handle_message(message, now))
            .map_err(|violation| violation.to_string())
    }

    fn handle_message(&mut self, message: ToParent, now: Instant) -> Result<(), Violation> {
        match message {
            ToParent::Reached(stage) => self.stage = stage,
            ToParent::Confined(enforced) => self.enforced = enforced,
            ToParent::Unconfined(reason) => {
                let reason = one_line(&reason, reason.len());
                self.answer(Answer::Unconfined(reason));
            }
            ToParent::Unloadable(fault) => self.answer(Answer::Unloadable(plain_fault(fault))),
            ToParent::Loaded(info, description) => {
                let info = plain_info(*info, MAX_INFO_BYTES);
                if let Some(description) = description {
                    self.ready(info, Some(description));
                } else if self.stage == Stage::Describing {
                    self.ready(info, None);
                } else {
                    self.info = Some(info);
                }
            }
            ToParent::Answer(Outcome::Ok, _) => self.started(now),
            ToParent::Answer(outcome, notes) => {
                let notes = plain_notes(notes).to_vec();
                self.answer(Answer::Refused(outcome, notes));
            }
            ToParent::Begun { call_id } => {
                self.calls.begun(call_id, now)?;
                if call_id < FIRST_OWN_CALL {
                    self.journal.emit(Event::Begun { call_id });
                }
            }
            ToParent::Done {
                call_ids,
                outcome,
                notes,
            } => {
                let overdue = self.calls.done(&call_ids, outcome, now)?;
                let notes = plain_notes(notes);
                self.answered += call_ids.len() as u64;
                for call_id in call_ids {
                    let outcome = if overdue == Some(call_id) {
                        after_deadline(outcome)
                    } else {
                        outcome
                    };
                    self.end_call(call_id, outcome, Arc::clone(&notes));
                }
            }
            ToParent::Acknowledged { call_id } => {
                if !self.may_acknowledge {
                    return Err(Violation::AcknowledgeNotGranted);
                }
                self.calls.acknowledged(call_id)?;
                self.journal.emit(Event::Acknowledged { call_id });
            }
            ToParent::Asked(request) => {
                self.asks.asked(request.ticket, now)?;
                self.journal.emit(Event::Asked(plain_request(request)));
            }
            ToParent::Log(level, line) => {
                let admitted = self.log_limit.admit(now.into_std(), line.len());
                admitted.ok_or(Violation::LogFlood)?;
                self.journal.log(now, level, &line);
            }
            ToParent::Pong => self.liveness.as_mut().map_or(Ok(()), Liveness::answered)?,
        }
        Ok(())
    }

    /// The instance is created, or the configuration is right.
    fn started(&mut self, now: Instant) {
        let Some(info) = self.info.take() else { return };
        self.calls.started(now, info.flushes);
        self.liveness = self.phase.is_running().then(|| Liveness::new(now));
        self.ready(info, None);
    }

    fn ready(&mut self, info: PluginInfo, description: Option<String>) {
        let enforced = std::mem::take(&mut self.enforced);
        self.answer(Answer::Ready(Box::new(info), description, enforced));
    }

    fn answer(&mut self, answer: Answer) {
        if let Some(asker) = self.answer.take() {
            self.journal.take_tail();
            // The caller may have stopped waiting; dropping the commands then ends the child.
            let _ = asker.send(answer);
        }
    }

    /// Whether its start is not over.
    pub(crate) fn is_starting(&self) -> bool {
        self.answer.is_some()
    }

    /// A call is over, by the child or without it.
    pub(crate) fn end_call(&mut self, call_id: u64, outcome: Outcome, notes: Arc<[Note]>) {
        self.queued.leave();
        self.journal.emit(Event::Done {
            call_id,
            outcome,
            notes,
        });
    }

    /// What the child is to hear of a request of its own, if it waits for that.
    pub(crate) fn answer_ask(
        &mut self,
        ticket: u64,
        outcome: ArmOutcome,
        text: &str,
    ) -> Option<ToChild<'static>> {
        let text = one_line(text, MAX_NOTE_BYTES);
        self.asks.answer(ticket).then_some(ToChild::Answered {
            ticket,
            outcome,
            text,
        })
    }

    /// What the child is to hear of areas, if it may.
    pub(crate) fn show_areas(&self, json: String) -> Option<ToChild<'static>> {
        self.asks.may_know().then_some(ToChild::Areas(json))
    }

    /// Cancels a call. Whether the child is to be asked to.
    pub(crate) fn cancel(&mut self, call_id: u64) -> bool {
        if self.calls.cancel_waiting(call_id) {
            let notes = Arc::new([Note::new("cancelled before it began")]);
            self.end_call(call_id, Outcome::Retry { after: None }, notes);
            return false;
        }
        // Otherwise it is over, or its outcome is on the way.
        self.calls.cancel_dispatched(call_id)
    }

    /// When to ask [`Self::due`] again. One that is to leave owes no sign of life.
    pub(crate) fn next_deadline(&self, leaving: bool) -> Option<Instant> {
        let liveness = self.liveness.as_ref().filter(|_| !leaving);
        let deadlines = [self.calls.next_deadline(), liveness.map(Liveness::next)];
        deadlines.into_iter().flatten().min()
    }

    /// What is to be done now.
    pub(crate) fn due(&mut self, now: Instant, leaving: bool) -> Vec<Due> {
        let of_calls = self.calls.check_deadline(now).map(|action| match action {
            DeadlineAction::Cancel(call_id) => Due::Cancel(call_id),
            DeadlineAction::Kill => Due::Kill(ExitKind::TimedOut),
            DeadlineAction::NotBegun(call_id) => {
                let why = format!("it did not begin call {call_id} within {BEGIN_TIMEOUT:?}");
                Due::Kill(ExitKind::ProtocolViolation(why))
            }
        });
        let liveness = self.liveness.as_mut().filter(|_| !leaving);
        let of_life = liveness
            .and_then(|liveness| liveness.check(now))
            .map(|action| match action {
                LivenessAction::Ping => Due::Ping,
                LivenessAction::Kill(silent) => Due::Kill(ExitKind::Unresponsive(silent)),
            });
        of_calls.into_iter().chain(of_life).collect()
    }

    /// The child is gone and has left these lines.
    pub(crate) fn bury(&mut self, how: &ExitKind) {
        self.journal.end_log();
        let (stage, output) = (self.stage, self.journal.take_tail());
        self.answer(Answer::Died {
            stage,
            how: how.clone(),
            output,
        });
    }

    /// Accounts for every call that is not over, those in `late` among them, which were accepted and not taken.
    pub(crate) fn close(self, how: ExitKind, late: impl IntoIterator<Item = Command>) {
        let Self {
            mut calls, journal, ..
        } = self;
        for command in late {
            if let Command::Call(call, request) = command {
                calls.push(call, request);
            }
        }
        let closed = calls.close(how == ExitKind::TimedOut);
        for call_id in closed.timed_out {
            let notes = Arc::new([Note::new(
                "not done by its deadline, nor when cancelled; its process was killed",
            )]);
            journal.emit(Event::Done {
                call_id,
                outcome: Outcome::TimedOut,
                notes,
            });
        }
        let exit = Exit {
            how,
            blamed: closed.blamed,
            unfinished: closed.unfinished,
        };
        journal.emit(Event::Exited(exit));
    }
}
