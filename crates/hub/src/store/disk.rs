//! The store as the writer thread uses it: what fails is tried until it works. Meanwhile the [`Intake`] takes note of
//! what comes in, and nothing else is written.

use std::time::Duration;

use tracing::error;
use watchpost_core::{HubEvent, MonotonicTime, RoutingState, UnixMillis};
use watchpost_store::{OpenReport, RetentionReport, StoreError, StorePolicy};

use super::intake::Intake;
use super::readers::Readers;
use super::state::StoreState;
use super::storage::Storage;
use crate::clock::Clock;

/// How long to wait before a failed transaction is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// The integrity is checked no more often than this because a reader has met damage: nothing is stored meanwhile.
const CHECK_INTERVAL: Duration = Duration::from_secs(300);

/// A time in which a transaction fails again and again.
struct Outage {
    since: MonotonicTime,
    /// What was wrong first.
    what: String,
    /// Times the store was opened once more.
    reopened: u32,
    /// It was closed for that and could not be opened again.
    closed: bool,
    /// When the transaction is tried again.
    retry_at: MonotonicTime,
}

/// What became of an attempt to make a transaction.
pub(super) enum Attempt<T> {
    /// It was made, or failed in a way that waiting does not help.
    Ended(Result<T, StoreError>),
    /// It has failed, and is tried again then, or when the hub is asked to stop.
    Again(MonotonicTime),
    /// It has failed, and the hub was asked to stop.
    GivenUp,
}

/// The disk. Only the writer thread has it.
pub(super) struct Disk {
    storage: Box<dyn Storage>,
    readers: Readers,
    state: StoreState,
    clock: Clock,
    /// When the integrity was last checked because a reader had met damage.
    checked: Option<MonotonicTime>,
    /// Since when the transaction at hand fails.
    outage: Option<Outage>,
}

impl Disk {
    pub(super) fn new(storage: Box<dyn Storage>, readers: Readers, state: StoreState, clock: Clock) -> Self {
        Self {
            storage,
            readers,
            state,
            clock,
            checked: None,
            outage: None,
        }
    }

    /// Tries a transaction. It is to be tried until it works, since a full disk is emptied and a read-only one mounted
    /// again some day, and a damaged database is replaced; and so what is tried next is the same transaction. `never` says
    /// of which errors waiting will not help. `failed` is called after each failure, when what came in meanwhile has been
    /// noted.
    pub(super) fn attempt<T>(
        &mut self,
        intake: &mut Intake,
        never: impl Fn(&StoreError) -> bool,
        transaction: impl FnOnce(&mut dyn Storage) -> Result<T, StoreError>,
        failed: impl FnOnce(&dyn Storage, &Intake),
    ) -> Attempt<T> {
        if let Some(outage) = &self.outage {
            intake.note_all();
            // A person who waits for an answer must not wait for a commit of each alert that came before.
            if self.clock.now() < outage.retry_at && !intake.is_ending() {
                return Attempt::Again(outage.retry_at);
            }
        }
        let error = match transaction(&mut *self.storage) {
            Ok(done) => {
                self.recovered(intake);
                return Attempt::Ended(Ok(done));
            }
            Err(error) if self.outage.is_none() && never(&error) => return Attempt::Ended(Err(error)),
            Err(error) => error,
        };
        if self.outage.is_none() {
            intake.set_failing(true);
        }
        failed(&*self.storage, intake);
        let now = self.clock.now();
        let mut outage = self.outage.take().unwrap_or_else(|| Outage {
            since: now,
            what: error.to_string(),
            reopened: 0,
            closed: false,
            retry_at: now,
        });
        self.report(&error);
        let replaced = (error.is_corruption() || outage.closed) && self.replace(&error, &mut outage, intake);
        outage.retry_at = if replaced { now } else { now + RETRY_INTERVAL };
        let retry_at = outage.retry_at;
        self.outage = Some(outage);
        if !replaced && intake.is_ending() {
            return Attempt::GivenUp;
        }
        Attempt::Again(retry_at)
    }

    /// Opens the store once more, which quarantines it if it is damaged. If it seems sound and the same transaction
    /// fails once more, it is quarantined in any case, but only once: a disk that damages what it is given will not be
    /// better the next time. Returns whether there is a store to try again with at once.
    fn replace(&mut self, error: &StoreError, outage: &mut Outage, intake: &mut Intake) -> bool {
        let outcome = match outage.reopened {
            0 => self.storage.reopen(),
            1 => self.storage.recreate(error),
            _ => return false,
        };
        match outcome {
            Ok(report) => {
                (outage.reopened, outage.closed) = (outage.reopened + 1, false);
                self.reopened(&report, intake);
                true
            }
            Err(error) => {
                outage.closed = true;
                self.report(&error);
                false
            }
        }
    }

    /// Opens the store once more because a reader has met damage, unless that was done a short while ago.
    pub(super) fn check_integrity(&mut self, intake: &mut Intake) {
        let now = self.clock.now();
        if self.checked.is_some_and(|last| now.since(last) < CHECK_INTERVAL) {
            return;
        }
        self.checked = Some(now);
        self.reopen(intake);
    }

    /// Opens the store once more, with a check of its integrity.
    pub(super) fn reopen(&mut self, intake: &mut Intake) {
        match self.storage.reopen() {
            Ok(report) => self.reopened(&report, intake),
            // Whatever it is, the next commit meets it and deals with it.
            Err(error) => self.report(&error),
        }
    }

    /// Removes what retention allows to remove, a bounded part of it.
    pub(super) fn retain(&mut self, now: UnixMillis) -> Result<RetentionReport, StoreError> {
        self.storage.retain(now)
    }

    /// What the routing step remembers.
    pub(super) fn routing_state(&self) -> &RoutingState {
        self.storage.routing_state()
    }

    /// Goes by another policy from now on.
    pub(super) fn set_policy(&mut self, policy: StorePolicy) {
        self.storage.set_policy(policy);
    }

    fn reopened(&mut self, report: &OpenReport, intake: &mut Intake) {
        if report.quarantined.is_some() {
            self.readers.outdate();
            let what = report.summary().unwrap_or_default();
            intake.raise(HubEvent::StoreReplaced { what });
        }
    }

    fn recovered(&mut self, intake: &mut Intake) {
        let Some(Outage { since, what, .. }) = self.outage.take() else {
            return;
        };
        intake.set_failing(false);
        self.state.set_error(None);
        let seconds = self.clock.now().since(since).as_secs();
        intake.raise(HubEvent::StoreRecovered { error: what, seconds });
    }

    /// Logs what keeps the store from storing, once.
    fn report(&self, error: &StoreError) {
        let error = error.to_string();
        if self.state.error().as_ref() != Some(&error) {
            error!("alerts cannot be stored and get no receipt: {error}");
            self.state.set_error(Some(error));
        }
    }
}
