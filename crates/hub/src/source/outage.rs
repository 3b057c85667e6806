//! What is known of a source's failures: which one is news, which one the status shows, and when an outage has lasted
//! so long that it is reported.

use std::time::Duration;

use tracing::{debug, info, warn};
use watchpost_core::{ConnectFailure, FailureLog, HubEvent, MonotonicTime, OutageTracker, UnixMillis};

use super::LastFailure;
use crate::current::CurrentSettings;
use crate::health::{Health, Part};
use crate::store::StoreHandle;

/// The failures of one source.
pub(crate) struct Outage {
    source: String,
    store: StoreHandle,
    tracker: OutageTracker,
    settings: CurrentSettings,
    health: Health,
    log: FailureLog,
    last: Option<LastFailure>,
    /// Whether it was connected since it was started, so that an outage which was reported before is over.
    was_up: bool,
}

impl Outage {
    /// A source that is not connected yet, as of `now`.
    pub(crate) fn new(
        source: String,
        store: StoreHandle,
        (settings, health): (CurrentSettings, Health),
        now: MonotonicTime,
    ) -> Self {
        health.set_unknown(
            Part::Connection(source.clone()),
            "it is not connected yet".to_owned(),
        );
        Self {
            source,
            store,
            tracker: OutageTracker::new(now),
            settings,
            health,
            log: FailureLog::default(),
            last: None,
            was_up: false,
        }
    }

    /// An attempt to connect failed.
    pub(crate) fn failed(&mut self, failure: &ConnectFailure, at: UnixMillis) {
        let name = &self.source;
        if self.log.is_new(failure.kind) {
            let hint = failure.kind.hint();
            warn!(connection = %name, "cannot connect: {failure}. {hint} Trying again.");
            if failure.kind.is_refusal() {
                self.store.raise(HubEvent::LoginRefused {
                    connection: name.clone(),
                    why: failure.to_string(),
                    hint,
                });
            }
        } else {
            debug!(connection = %name, "still cannot connect: {failure}");
        }
        self.last = Some(LastFailure::connecting(failure, at));
        self.set_health();
    }

    /// Says why it gets no alerts, if it does not.
    fn set_health(&self) {
        let why = self.last.as_ref().map(|failure| failure.what.clone());
        self.health.set(Part::Connection(self.source.clone()), why);
    }

    /// It is connected.
    pub(crate) fn connected(&mut self, now: MonotonicTime) {
        self.log.clear();
        self.last = None;
        self.set_health();
        let outage = self.tracker.back(now);
        if let Some(outage) = outage {
            let (connection, seconds) = (self.source.clone(), outage.as_secs());
            self.store.raise(HubEvent::LinkBack { connection, seconds });
        }
        if !std::mem::replace(&mut self.was_up, true) && outage.is_none() {
            self.store.link_up(&self.source);
        }
    }

    /// It is connected no more, for this reason.
    pub(crate) fn disconnected(&mut self, failure: LastFailure, now: MonotonicTime) {
        self.last = Some(failure);
        self.set_health();
        self.tracker.lost(now);
    }

    /// Why it is not connected.
    pub(crate) fn last_failure(&self) -> Option<&LastFailure> {
        self.last.as_ref()
    }

    /// When [`Self::report`] has something to say.
    pub(crate) fn deadline(&self) -> Option<MonotonicTime> {
        self.tracker.deadline(self.grace())
    }

    /// How long an outage may last before it is reported.
    pub(crate) fn grace(&self) -> Duration {
        self.settings.get().hub.link_grace.into()
    }

    /// Raises the event of an outage that has lasted long enough.
    pub(crate) fn report(&mut self, now: MonotonicTime) {
        let Some(outage) = self.tracker.overdue(self.grace(), now) else {
            return;
        };
        let (connection, seconds) = (self.source.clone(), outage.as_secs());
        let why = match &self.last {
            Some(failure) => failure.what.clone(),
            None => "it has not answered yet".to_owned(),
        };
        info!(%connection, seconds, "the connection is still down: raising an event");
        self.store.raise(HubEvent::LinkLost {
            connection,
            why,
            seconds,
        });
    }
}
