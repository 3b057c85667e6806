//! What the child says: each message is checked before it changes anything.

use std::sync::Arc;

use watchpost_sinkhost_protocol::limits::MAX_INFO_BYTES;
use watchpost_sinkhost_protocol::{
    DecodeError, FIRST_OWN_CALL, Incoming, Note, Outcome, PluginInfo, Stage, ToParent, decode_to_parent,
};

use super::Driver;
use crate::Event;
use crate::answer::Answer;
use crate::calls::after_deadline;
use crate::clock;
use crate::liveness::Liveness;
use crate::text::{one_line, plain_info, plain_notes};
use crate::violation::{Violation, check_size};

impl Driver {
    /// Takes a packet, or says what is wrong with it. Nothing in it is believed: it may come from the plugin.
    pub(super) fn take_packet(&mut self, packet: Incoming) -> Result<(), String> {
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
            liveness.heard(clock::now());
        }
        let checked = check_size(&message).and_then(|()| self.phase.advance(&message));
        checked
            .and_then(|()| self.handle_message(message))
            .map_err(|violation| violation.to_string())
    }

    fn handle_message(&mut self, message: ToParent) -> Result<(), Violation> {
        match message {
            ToParent::Reached(stage) => self.stage = stage,
            ToParent::Confined(enforced) => self.enforced = enforced,
            ToParent::Unconfined(reason) => {
                let reason = one_line(&reason, reason.len());
                self.answer(Answer::Unconfined(reason));
            }
            ToParent::Unloadable(fault) => self.answer(Answer::Unloadable(fault)),
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
            ToParent::Answer(Outcome::Ok, _) => self.started(),
            ToParent::Answer(outcome, notes) => {
                let notes = plain_notes(notes).to_vec();
                self.answer(Answer::Refused(outcome, notes));
            }
            ToParent::Begun { call_id } => {
                self.calls.begun(call_id, clock::now())?;
                if call_id < FIRST_OWN_CALL {
                    self.journal.emit(Event::Begun { call_id });
                }
            }
            ToParent::Done {
                call_ids,
                outcome,
                notes,
            } => {
                let overdue = self.calls.done(&call_ids, outcome, clock::now())?;
                let notes = plain_notes(notes);
                for call_id in call_ids {
                    let outcome = if overdue == Some(call_id) {
                        after_deadline(outcome)
                    } else {
                        outcome
                    };
                    self.emit_done(call_id, outcome, Arc::clone(&notes));
                }
            }
            ToParent::Acknowledged { call_id } => {
                if !self.may_acknowledge {
                    return Err(Violation::AcknowledgeNotGranted);
                }
                self.calls.acknowledged(call_id)?;
                self.journal.emit(Event::Acknowledged { call_id });
            }
            ToParent::Log(level, line) => {
                let admitted = self.log_limit.admit(clock::now().into_std(), line.len());
                admitted.ok_or(Violation::LogFlood)?;
                self.journal.log(level, &line);
            }
            ToParent::Pong => self.liveness.as_mut().map_or(Ok(()), Liveness::answered)?,
        }
        Ok(())
    }

    /// The instance is created, or the configuration is right.
    fn started(&mut self) {
        let now = clock::now();
        let Some(info) = self.info.take() else { return };
        self.calls.started(now, info.flushes);
        self.liveness = self.phase.is_running().then(|| Liveness::new(now));
        self.ready(info, None);
    }

    fn ready(&mut self, info: PluginInfo, description: Option<String>) {
        let enforced = std::mem::take(&mut self.enforced);
        self.answer(Answer::Ready(Box::new(info), description, enforced));
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        if let Some(asker) = self.answer.take() {
            self.journal.take_tail();
            // The caller may have stopped waiting; dropping the commands then ends the child.
            let _ = asker.send(answer);
        }
    }

    pub(super) fn emit_done(&mut self, call_id: u64, outcome: Outcome, notes: Arc<[Note]>) {
        self.queued.leave();
        self.journal.emit(Event::Done {
            call_id,
            outcome,
            notes,
        });
    }
}
