//! Bytes as a course of events. Every course can be had, and most bytes make one in which the child gets somewhere.

use std::time::Duration;

use watchpost_sinkhost_protocol::sandbox::Enforced;
use watchpost_sinkhost_protocol::{
    ArmAct, ArmRequest, Code, FIRST_OWN_CALL, LoadFault, LogLevel, Note, Outcome, PluginInfo, Stage,
    ToParent, encode_to_parent,
};

use super::ledger::Ledger;

/// One thing that happens.
#[derive(Debug)]
pub(super) enum Step {
    /// The child sends this.
    Say(ToParent),
    /// It sends these bytes.
    Send(Vec<u8>),
    /// It sends a file along.
    SendFiles,
    /// Time passes.
    Wait(Duration),
    /// The caller has an alert to deliver.
    Deliver { id: u64, timeout: Duration },
    /// The caller wants a call no more.
    Cancel(u64),
    /// The caller answers what was asked for under this number.
    Answer(u64),
    /// The socket has room.
    Dispatch,
}

/// The bytes that are left.
pub(super) struct Script<'a> {
    bytes: &'a [u8],
    delivered: u64,
}

impl<'a> Script<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, delivered: 0 }
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte().is_some_and(|byte| byte % 2 == 1)
    }

    pub(super) fn next(&mut self, ledger: &Ledger) -> Option<Step> {
        Some(match self.byte()? % 16 {
            // What is in turn, so that most children come to run.
            0..=5 => Step::Say(self.honest(ledger)?),
            6 => Step::Say(self.message(ledger)?),
            7 => match self.byte()? % 8 {
                0 => Step::SendFiles,
                1..4 => Step::Send(self.damaged(ledger)?),
                _ => Step::Say(self.message(ledger)?),
            },
            8 => Step::Wait(Duration::from_millis(u64::from(self.byte()?) * 50)),
            9 => Step::Wait(Duration::from_millis(u64::from(self.byte()?))),
            10..=12 => {
                self.delivered += 1;
                let timeout = Duration::from_millis(u64::from(self.byte()?) * 100);
                Step::Deliver {
                    id: self.delivered,
                    timeout,
                }
            }
            13 => match self.byte()? % 4 {
                0 => Step::Answer(ledger.next_ask().saturating_sub(u64::from(self.byte()? % 12))),
                _ => Step::Cancel(self.id(ledger)?),
            },
            _ => Step::Dispatch,
        })
    }

    /// What a child would say now that keeps to the rules.
    fn honest(&mut self, ledger: &Ledger) -> Option<ToParent> {
        if let Some(message) = ledger.next_of_start(info(self.byte()? % 2 == 1)) {
            return Some(message);
        }
        let outcome = self.outcome()?;
        Some(match (self.byte()? % 4, ledger.to_begin(), ledger.to_end()) {
            (0 | 1, Some(call_id), _) => ToParent::Begun { call_id },
            (2, _, Some(call_ids)) if !call_ids.is_empty() => ToParent::Done {
                call_ids,
                outcome,
                notes: self.notes()?,
            },
            (3, ..) if ledger.is_asked() => ToParent::Pong,
            (2, ..) if ledger.may_ask() => ToParent::Asked(ask(ledger.next_ask())),
            (3, ..) if ledger.awaits_flush() => ToParent::Begun {
                call_id: ledger.next_flush(),
            },
            _ => ToParent::Log(LogLevel::Info, self.text()?),
        })
    }

    fn message(&mut self, ledger: &Ledger) -> Option<ToParent> {
        const STAGES: [Stage; 5] = [
            Stage::Starting,
            Stage::Loading,
            Stage::Describing,
            Stage::Validating,
            Stage::Creating,
        ];
        Some(match self.byte()? % 13 {
            0 => ToParent::Reached(STAGES[usize::from(self.byte()?) % STAGES.len()]),
            1 => ToParent::Confined(Enforced::default()),
            2 => ToParent::Unconfined(self.text()?),
            3 => ToParent::Unloadable(LoadFault::Unlinkable { reason: self.text()? }),
            4 => ToParent::Loaded(info(self.byte()? % 2 == 1), None),
            5 => ToParent::Loaded(info(false), Some(self.text()?)),
            6 => ToParent::Answer(self.outcome()?, self.notes()?),
            7 => ToParent::Begun {
                call_id: self.id(ledger)?,
            },
            8 => {
                let count = usize::from(self.byte()? % 4);
                let call_ids = (0..count).map(|_| self.id(ledger)).collect::<Option<_>>()?;
                ToParent::Done {
                    call_ids,
                    outcome: self.outcome()?,
                    notes: self.notes()?,
                }
            }
            9 => ToParent::Acknowledged {
                call_id: self.id(ledger)?,
            },
            10 => ToParent::Log(LogLevel::Warn, self.text()?),
            11 => ToParent::Asked(ArmRequest {
                area: self.text()?,
                ..ask(ledger.next_ask() + u64::from(self.byte()? % 4 / 3))
            }),
            _ => ToParent::Pong,
        })
    }

    /// A message with some of its bytes changed.
    fn damaged(&mut self, ledger: &Ledger) -> Option<Vec<u8>> {
        let mut bytes = encode_to_parent(&self.message(ledger)?);
        for _ in 0..=self.byte()? % 3 {
            let (place, value) = (usize::from(self.byte()?) % bytes.len(), self.byte()?);
            bytes[place] = value;
        }
        Some(bytes)
    }

    /// One that may exist.
    fn id(&mut self, ledger: &Ledger) -> Option<u64> {
        let byte = u64::from(self.byte()?);
        Some(match byte {
            0..=3 => FIRST_OWN_CALL + byte,
            4..=20 => ledger.next_flush(),
            // The flush that runs, or the last one.
            21..=60 => ledger.next_flush() - 1,
            _ => byte % (self.delivered + 2),
        })
    }

    fn outcome(&mut self) -> Option<Outcome> {
        Some(match self.byte()? {
            0..=5 => Outcome::TimedOut,
            6..=12 => Outcome::Fatal,
            13..=40 => Outcome::Permanent,
            41..=80 => Outcome::Retry { after: None },
            _ => Outcome::Ok,
        })
    }

    fn notes(&mut self) -> Option<Vec<Note>> {
        let count = match self.byte()? {
            count @ 0..=3 => usize::from(count),
            250.. => 100,
            _ => 0,
        };
        (0..count).map(|_| Some(Note::new(self.text()?))).collect()
    }

    /// Ugly, and sometimes long.
    fn text(&mut self) -> Option<String> {
        const LONG: usize = 70_000;
        Some(match self.byte()? {
            0..=200 => "a line".to_owned(),
            201..=220 => "two\nlines \u{1b}[2J\u{9b} \u{202e}".to_owned(),
            221..=240 => "x".repeat(7_000),
            _ => "ü\n".repeat(LONG / 3),
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }
}

/// That a person wants to disarm.
fn ask(ticket: u64) -> ArmRequest {
    ArmRequest {
        ticket,
        act: ArmAct::Disarm,
        area: String::new(),
        code: Code("4711".into()),
    }
}

/// What a plugin says of itself.
pub(super) fn info(flushes: bool) -> Box<PluginInfo> {
    Box::new(PluginInfo {
        id: "x".into(),
        name: "a\nname".into(),
        version: String::new(),
        summary: String::new(),
        sdk: String::new(),
        abi: (1, 0),
        flushes,
        probes: false,
        cancels: false,
        validates: false,
        description: None,
    })
}
