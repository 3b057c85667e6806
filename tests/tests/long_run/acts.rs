//! What the acts of a scenario are on the real processes, and how they end.

use anyhow::Result;
use serde_json::json;
use watchpost_testkit::Signal;
use watchpost_world::scenario::{Act, Mood};

use super::stage::{FASTER, Stage};

/// What ends by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Undo {
    Line,
    Thaw,
    Database,
    RivalReloads { left: u64, every_ms: u64 },
    Fault(&'static str),
    Shop,
    Clock,
    Hub,
    Stall,
    Sink(usize),
}

impl Stage {
    pub(crate) fn act(&mut self, act: &Act) -> Result<()> {
        match *act {
            Act::Alert { stream, .. } => self.see(stream),
            Act::Reset => self.line.reset(),
            Act::Sever => self.line.sever(),
            Act::Hole { ms } => {
                self.line.hold(true);
                self.later(ms, Undo::Line);
            }
            Act::Slow {
                bytes_per_second, ms, ..
            } => {
                self.line.carries(Some(bytes_per_second * FASTER));
                self.later(ms, Undo::Line);
            }
            Act::Kill { ms } => self.kill_hub(ms)?,
            Act::PowerCut { ms } => {
                self.line.sever();
                self.kill_hub(ms)?;
            }
            // The point within the commit is whichever it is at.
            Act::KillAtCommit { ms, .. } => self.kill_hub(ms)?,
            Act::Stall { ms } if self.runs && !self.stalled => {
                self.stops_watching();
                self.hub.process().signal(Signal::STOP)?;
                self.stalled = true;
                self.later(ms, Undo::Stall);
            }
            Act::Stall { .. } => {}
            Act::Clear if self.runs && !self.stalled => {
                self.hub.ask("alerts", &["clear"])?;
            }
            Act::Clear => {}
            Act::Sink { sink, mood, ms } => {
                self.services[sink].set(mood);
                self.later(ms, Undo::Sink(sink));
            }
            // A full disk and another clock are for tests of their own.
            Act::DiskFull { .. } | Act::HubClock { .. } => self.left_out += 1,
            _ => self.act_on_backend(act)?,
        }
        Ok(())
    }

    fn act_on_backend(&mut self, act: &Act) -> Result<()> {
        match *act {
            Act::Restart { ms } => {
                let seconds = Self::lasts(ms).as_secs_f64();
                self.goes_away(Self::lasts(ms))?;
                self.order(&json!({"do": "down", "how": "eof", "for_seconds": seconds}))?;
            }
            Act::Freeze { ms } => {
                self.order(&json!({"do": "freeze"}))?;
                self.later(ms, Undo::Thaw);
            }
            Act::DatabaseDown { ms } => {
                self.order(&json!({"do": "database", "up": false}))?;
                self.later(ms, Undo::Database);
            }
            Act::Rival { ms } => self.rival(ms)?,
            Act::Reloads { times, every_ms } => self.reload(times, every_ms)?,
            Act::Deregister => self.order(&json!({"do": "drop_registration"}))?,
            Act::Deaf => self.order(&json!({"do": "blackhole"}))?,
            Act::Mute { ms } => self.fault("drop", ms)?,
            Act::Reorder { ms } => self.fault("tardy", ms)?,
            Act::RevokeTokens => self.order(&json!({"do": "revoke_tokens"}))?,
            Act::RemakeUser => self.order(&json!({"do": "remake_user"}))?,
            Act::ShopUnreadable { shop, ms } => {
                let about = self.backend.about()?;
                let to = format!("shop_id={}", about["shops"][shop].as_str().unwrap_or_default());
                let body = r#"{"error":"Validation Error"}"#;
                self.order(&json!({"do": "answer", "to": to, "status": 422, "body": body}))?;
                self.later(ms, Undo::Shop);
            }
            Act::BackendClock { ahead_ms, ms } => {
                let seconds = ahead_ms as f64 / 1_000.0;
                self.order(&json!({"do": "clock", "ahead_seconds": seconds}))?;
                self.later(ms, Undo::Clock);
            }
            Act::Verdict { rows } => {
                let verdict = ["acknowledged", "resolved", "false_positive"][rows % 3];
                self.order(&json!({"do": "judge", "rows": rows, "status": verdict}))?;
            }
            _ => self.left_out += 1,
        }
        Ok(())
    }

    /// A browser takes the place of the user who opens the streams, and leaves.
    fn rival(&mut self, ms: u64) -> Result<()> {
        let seconds = Self::lasts(ms).as_secs_f64();
        self.order(&json!({"do": "takeover", "for_seconds": seconds}))
    }

    fn reload(&mut self, left: u64, every_ms: u64) -> Result<()> {
        self.rival(every_ms / 2)?;
        if left > 1 {
            let left = left - 1;
            self.later(every_ms, Undo::RivalReloads { left, every_ms });
        }
        Ok(())
    }

    /// Something goes wrong by chance, each time, for a while.
    fn fault(&mut self, name: &'static str, ms: u64) -> Result<()> {
        self.faults.insert(name, 1.0);
        self.later(ms, Undo::Fault(name));
        self.set_faults()
    }

    fn set_faults(&self) -> Result<()> {
        let faults: Vec<_> = self
            .faults
            .iter()
            .map(|(name, chance)| format!("{name}={chance}"))
            .collect();
        self.order(&json!({"do": "faults", "are": faults.join(",")}))
    }

    /// Commands the backend. One that is down answers nothing, and does it when it is up again.
    pub(crate) fn order(&self, command: &serde_json::Value) -> Result<()> {
        let mut done = Ok(());
        for _ in 0..2 {
            done = self.backend.order(command).map(drop);
            if done.is_ok() {
                break;
            }
            self.until_up()?;
            if command["do"] == "down" {
                // Its answer may not come any more.
                return Ok(());
            }
        }
        done
    }

    fn until_up(&self) -> Result<()> {
        let patience = watchpost_testkit::PATIENCE;
        self.backend
            .until("the backend is up", patience, |_| true)
            .map(drop)
    }

    pub(crate) fn undo(&mut self, undo: Undo) -> Result<()> {
        self.tell(format_args!("over: {undo:?}"));
        match undo {
            Undo::Line => {
                self.line.hold(false);
                self.line.carries(None);
            }
            Undo::Thaw => self.order(&json!({"do": "thaw"}))?,
            Undo::Database => self.order(&json!({"do": "database", "up": true}))?,
            Undo::RivalReloads { left, every_ms } => self.reload(left, every_ms)?,
            Undo::Fault(name) => {
                self.faults.remove(name);
                self.set_faults()?;
            }
            Undo::Shop => {
                self.until_up()?;
                self.answer_as_ever()?;
            }
            Undo::Clock => self.order(&json!({"do": "clock", "ahead_seconds": 0}))?,
            Undo::Hub => {
                if !std::mem::replace(&mut self.runs, true) {
                    self.hub.restart()?;
                }
            }
            Undo::Stall => {
                if std::mem::take(&mut self.stalled) {
                    self.services.iter().for_each(super::services::Service::unknown);
                    self.hub.process().signal(Signal::CONT)?;
                }
            }
            Undo::Sink(sink) => self.services[sink].set(Mood::Well),
        }
        Ok(())
    }
}
