//! What the writer does when the store fails: it keeps what it has, and goes on by itself when it can.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use tracing::error;
use watchpost_core::{HubEvent, MonotonicTime};
use watchpost_store::{Batch, OpenReport, Receipt, StoreError};

use super::Writer;

/// How long to wait before a failed commit is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// A store in which a reader has met damage is looked through no more often than this: nothing is stored meanwhile.
const EXAMINE_INTERVAL: Duration = Duration::from_secs(300);

/// A time in which a commit fails again and again.
struct Trouble {
    since: MonotonicTime,
    /// What was wrong first.
    what: String,
    /// Times the store was opened anew.
    reopened: u32,
    /// It was closed for that and could not be opened again.
    closed: bool,
}

impl Writer {
    /// Tries until it works, since a full disk is emptied and a read-only one mounted again some day, and a damaged
    /// database is replaced. What has been accepted waits here; only when the hub is told to stop is it given up,
    /// unacknowledged.
    pub(super) fn commit_at_last(&mut self, batch: &Batch) -> Option<Vec<Receipt>> {
        let mut trouble = None;
        loop {
            let error = match self.parts.store.commit(batch) {
                Ok(receipts) => {
                    self.recovered(trouble);
                    return Some(receipts);
                }
                Err(error) => error,
            };
            let trouble = trouble.get_or_insert_with(|| Trouble {
                since: self.parts.clock.now(),
                what: error.to_string(),
                reopened: 0,
                closed: false,
            });
            self.tell(&error);
            if (error.is_ruin() || trouble.closed) && self.reopen(&error, trouble) {
                continue;
            }
            if !self.stopping.is_empty() {
                error!(
                    "{} alerts in hand are lost: the hub stops and the store cannot take them",
                    batch.arrivals.len()
                );
                return None;
            }
            match self.commands.recv_timeout(RETRY_INTERVAL) {
                Ok(command) => self.take(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Opens the store anew, which sets it aside if it is damaged. If it seems sound and the same commit fails once
    /// more, it is set aside in any case, but only once: a disk that damages what it is given will not be better the
    /// next time. Returns whether there is a store to try again with at once.
    fn reopen(&mut self, error: &StoreError, trouble: &mut Trouble) -> bool {
        let outcome = match trouble.reopened {
            0 => self.parts.store.reopen(),
            1 => self.parts.store.begin_anew(error),
            _ => return false,
        };
        match outcome {
            Ok(report) => {
                (trouble.reopened, trouble.closed) = (trouble.reopened + 1, false);
                self.reopened(&report);
                true
            }
            Err(error) => {
                trouble.closed = true;
                self.tell(&error);
                false
            }
        }
    }

    /// A reader has met damage: looks through the store, unless that was done a short while ago.
    pub(super) fn examine(&mut self) {
        let now = self.parts.clock.now();
        if self
            .examined
            .is_some_and(|last| now.since(last) < EXAMINE_INTERVAL)
        {
            return;
        }
        self.examined = Some(now);
        match self.parts.store.reopen() {
            Ok(report) => self.reopened(&report),
            // Whatever it is, the next commit meets it and sees to it.
            Err(error) => self.tell(&error),
        }
    }

    fn reopened(&mut self, report: &OpenReport) {
        if report.set_aside.is_some() {
            self.parts.readers.outdate();
            let what = report.remarkable().unwrap_or_default();
            self.raise(HubEvent::StoreReplaced { what });
        }
    }

    fn recovered(&mut self, trouble: Option<Trouble>) {
        let Some(Trouble { since, what, .. }) = trouble else {
            return;
        };
        self.state.set(None);
        let seconds = self.parts.clock.now().since(since).as_secs();
        self.raise(HubEvent::StoreRecovered {
            trouble: what,
            seconds,
        });
    }

    /// Says what keeps the store from storing, once.
    fn tell(&self, error: &StoreError) {
        let trouble = error.to_string();
        if self.state.trouble().as_ref() != Some(&trouble) {
            error!("alerts cannot be stored and are not acknowledged: {trouble}");
            self.state.set(Some(trouble));
        }
    }
}
