//! A model of what a child may do, held against its [`Parent`] while bytes say what happens: what the child sends, what the
//! caller asks for, and how time passes.
//!
//! It is a second opinion, written as lists that are searched, and asks of the parent: what may not be is refused with a
//! reason, what may be is not; a child is ended for what is its fault, in time, and for nothing else; each call ends once;
//! no text is longer or stranger than it may be, and no packet causes more than it says.

#![allow(clippy::expect_used, reason = "where parent and model disagree, it fails")]

mod ledger;
mod script;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use watchpost_sinkhost_protocol::limits::{
    LOG_BURST_BYTES, LOG_BYTES_PER_SECOND, MAX_AREA_BYTES, MAX_CODE_BYTES, MAX_KEPT_NOTES_BYTES,
    MAX_LINE_BYTES, MAX_NOTE_BYTES, MAX_QUEUED,
};
use watchpost_sinkhost_protocol::{
    AlertDoc, ArmOutcome, Incoming, Note, Outcome, Severity, Task, ToParent, decode_to_parent,
    encode_to_parent,
};

use super::{Caller, Due, Parent, Rights};
use crate::answer::Answer;
use crate::clock;
use crate::request::{Queued, Request};
use crate::{Error, Event, Exit, ExitKind, Job};

use ledger::Ledger;
use script::{Script, Step};

/// What the start of the child has.
const STARTUP: Duration = Duration::from_secs(10);
/// What an error text may have: a note, and what stands around it.
const MAX_REASON_BYTES: usize = MAX_NOTE_BYTES + 1024;

/// Has happen what these bytes say, and fails where parent and model disagree.
pub(crate) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let rights = Rights {
        acknowledge: script.flag(),
        arm: script.flag(),
    };
    let mut world = World::new(rights);
    while let Some(step) = script.next(&world.ledger) {
        if let Err(how) = world.take(step) {
            world.end(how);
            return;
        }
    }
    world.end(ExitKind::Stopped);
}

/// A parent and the model of it.
struct World {
    parent: Parent,
    ledger: Ledger,
    queued: Queued,
    events: mpsc::UnboundedReceiver<Event>,
    answer: Option<oneshot::Receiver<Answer>>,
    began: Instant,
    now: Instant,
    logged: usize,
}

impl World {
    fn new(rights: Rights) -> Self {
        let (events, received) = mpsc::unbounded_channel();
        let (asked, answer) = oneshot::channel();
        let queued = Queued::default();
        let caller = Caller {
            queued: queued.clone(),
            events,
            answer: asked,
        };
        let now = clock::now();
        let task = Task::Run {
            config: String::new(),
            instance: String::new(),
            state_dir: String::new(),
            hub_version: String::new(),
            timeout: STARTUP,
        };
        Self {
            parent: Parent::new(&task, STARTUP, rights, caller, now),
            ledger: Ledger::new(rights, now, STARTUP),
            queued,
            events: received,
            answer: Some(answer),
            began: now,
            now,
            logged: 0,
        }
    }

    /// Does one thing on both sides. `Err` is the end of the child.
    fn take(&mut self, step: Step) -> Result<(), ExitKind> {
        match step {
            Step::Say(message) => self.say(&encode_to_parent(&message), 0)?,
            Step::Send(bytes) => self.say(&bytes, 0)?,
            Step::SendFiles => self.say(&encode_to_parent(&ToParent::Pong), 1)?,
            Step::Wait(time) => self.now += time,
            Step::Deliver { id, timeout } => self.accept(id, timeout),
            Step::Cancel(id) => {
                let asked = self.parent.cancel(id);
                assert_eq!(asked, self.ledger.cancel(id), "the child is asked to cancel {id}");
            }
            Step::Answer(ticket) => {
                let answer = self.parent.answer_ask(ticket, ArmOutcome::Done, "");
                assert_eq!(
                    answer.is_some(),
                    self.ledger.answer(ticket),
                    "{ticket} is answered"
                );
            }
            Step::Dispatch => {
                while let Some(request) = self.parent.calls.dispatch(self.now) {
                    self.ledger.dispatch(request.call_id(), self.now);
                }
            }
        }
        self.drain();
        // As the driver does it: before it sleeps it looks what is due.
        self.check_deadlines()
    }

    fn say(&mut self, bytes: &[u8], files: usize) -> Result<(), ExitKind> {
        let file = || std::io::pipe().map(|(end, _)| end.into());
        let Ok(fds) = (0..files).map(|_| file()).collect() else {
            return Ok(());
        };
        let packet = Incoming {
            message: bytes.to_vec(),
            fds,
        };
        let taken = self.parent.take_packet(&packet, self.now);
        let message = decode_to_parent(bytes).ok().filter(|_| files == 0);
        let allowed = message
            .as_ref()
            .is_some_and(|message| self.ledger.admit(message, self.now));
        match taken {
            Ok(()) => assert!(allowed, "taken, and not allowed: {message:?}"),
            // How much log there may be is looked at from the outside.
            Err(why) if why.contains("log lines") => {
                assert!(matches!(message, Some(ToParent::Log(..))), "{message:?}: {why}");
                return Err(ExitKind::ProtocolViolation(why));
            }
            Err(why) => {
                assert!(!allowed, "refused, and allowed: {message:?}: {why}");
                check_text(&why, MAX_REASON_BYTES);
                return Err(ExitKind::ProtocolViolation(why));
            }
        }
        Ok(())
    }

    fn accept(&mut self, id: u64, timeout: Duration) {
        if self.queued.enter().is_err() {
            assert_eq!(self.ledger.open(), MAX_QUEUED);
            return;
        }
        let request = Request::Deliver(Job {
            call_id: id,
            attempt: 1,
            timeout,
            alert: Arc::new(AlertDoc {
                id: id.to_string(),
                severity: Severity::High,
                title: String::new(),
                text: String::new(),
                json: "{}".into(),
                unix_ms: 0,
                utc_offset_s: 0,
            }),
            frames: Vec::new(),
        });
        self.parent.calls.push(request.call(), request);
        self.ledger.accept(id, timeout);
    }

    fn check_deadlines(&mut self) -> Result<(), ExitKind> {
        let mut end = None;
        for due in self.parent.due(self.now, false) {
            match due {
                Due::Cancel(id) => self.ledger.cancelled_for_time(id, self.now),
                Due::Ping => self.ledger.asked(self.now),
                Due::Kill(why) => {
                    assert!(self.ledger.is_to_be_ended(self.now), "ended for nothing: {why}");
                    end = Some(why);
                }
            }
        }
        match end {
            Some(why) => Err(why),
            None => {
                assert!(!self.ledger.is_to_be_ended(self.now), "it is not ended");
                assert!(
                    self.parent
                        .next_deadline(false)
                        .is_none_or(|next| next > self.now)
                );
                Ok(())
            }
        }
    }

    /// Looks at what the caller gets.
    fn drain(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Begun { call_id } => self.ledger.heard_begun(call_id),
                Event::Done {
                    call_id,
                    outcome,
                    notes,
                } => {
                    self.ledger.heard_done(call_id, outcome);
                    check_notes(&notes);
                }
                Event::Acknowledged { call_id } => self.ledger.heard_acknowledged(call_id),
                Event::Asked(request) => {
                    check_text(&request.area, MAX_AREA_BYTES);
                    assert!(request.code.0.len() <= MAX_CODE_BYTES);
                    self.ledger.heard_asked(request.ticket);
                }
                Event::Log { text, .. } => {
                    check_text(&text, MAX_LINE_BYTES);
                    self.logged += text.len();
                }
                Event::Exited(exit) => panic!("it has not ended: {exit:?}"),
            }
        }
        let seconds = (self.now - self.began).as_secs() as usize + 1;
        // A sentence for what was left out comes with lines that pass only.
        let most = LOG_BURST_BYTES as usize + seconds * LOG_BYTES_PER_SECOND as usize;
        assert!(self.logged < 2 * most, "{} bytes of log", self.logged);
        assert_eq!(self.queued.count(), self.ledger.open());
        let answer = self.answer.as_mut().and_then(|answer| answer.try_recv().ok());
        if let Some(answer) = answer {
            check_answer(&answer);
            self.answer = None;
        }
    }

    /// The child is gone: each call is accounted for once.
    fn end(mut self, how: ExitKind) {
        self.drain();
        self.parent.bury(&how);
        if let Some(mut answer) = self.answer.take() {
            check_answer(&answer.try_recv().expect("a start is answered"));
        }
        self.parent.close(how.clone(), []);
        let mut exits = 0;
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Done {
                    call_id,
                    outcome: Outcome::TimedOut,
                    ..
                } => {
                    assert_eq!(how, ExitKind::TimedOut);
                    self.ledger.close(call_id);
                }
                Event::Log { text, .. } => check_text(&text, MAX_LINE_BYTES),
                Event::Exited(Exit {
                    blamed, unfinished, ..
                }) => {
                    exits += 1;
                    assert!(
                        blamed.is_none_or(|id| self.ledger.may_be_blamed(id)),
                        "{blamed:?}"
                    );
                    unfinished.into_iter().for_each(|id| self.ledger.close(id));
                }
                other => panic!("after the end: {other:?}"),
            }
        }
        assert_eq!(exits, 1);
        assert_eq!(self.ledger.open(), 0, "a call is lost");
    }
}

fn check_answer(answer: &Answer) {
    let text = match answer {
        Answer::Ready(info, description, _) => {
            assert!(description.is_none(), "nothing was asked to describe itself");
            format!(
                "{}{}{}{}{}",
                info.id, info.name, info.version, info.summary, info.sdk
            )
        }
        Answer::Unconfined(reason) => reason.clone(),
        Answer::Unloadable(fault) => fault.to_string(),
        Answer::Refused(_, notes) => {
            check_notes(notes);
            String::new()
        }
        Answer::OtherRelease => String::new(),
        Answer::Died { how, output, .. } => {
            output.iter().for_each(|line| check_text(line, MAX_LINE_BYTES));
            let error = Error::Died {
                path: "p".into(),
                stage: watchpost_sinkhost_protocol::Stage::Loading,
                how: how.clone(),
                output: Vec::new(),
            };
            error.to_string()
        }
    };
    check_text(&text, MAX_REASON_BYTES);
}

fn check_notes(notes: &[Note]) {
    let bytes: usize = notes
        .iter()
        .map(|note| note.text.len() + note.pointer.len())
        .sum();
    // The last one may have what stands for the rest.
    assert!(bytes <= 2 * MAX_KEPT_NOTES_BYTES, "{bytes} bytes of notes");
    for note in notes {
        check_text(&note.text, MAX_NOTE_BYTES);
        check_text(&note.pointer, MAX_NOTE_BYTES);
    }
}

fn check_text(text: &str, most: usize) {
    assert!(text.len() <= most, "{} bytes of text", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn parent_and_model_agree(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            super::run(&bytes);
        }
    }
}
