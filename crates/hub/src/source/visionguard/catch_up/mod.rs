//! Fetches what did not come over the socket: after every gap, and now and then to be sure.
//!
//! The backend's list of anomalies is compared with the store ([`watchpost_core::Reconciliation`]). A row that came over
//! the socket gives its alert what it lacked; one that did not becomes an alert that came `via` the list. Up to when the
//! list is known is kept with the alerts, as a checkpoint, so that nothing is missed while the hub itself is away.

mod listing;
mod pass;
mod record;
mod unstored;

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use actix::{Message, Recipient};
use tracing::{debug, info, warn};
use watchpost_config::BackfillSettings;
use watchpost_core::{
    Alert, AlertId, ConnectFailure, Correlation, Correlator, FailureKind, FailureLog, Feed, FeedTracker,
    HubEvent, MonotonicTime, OutageTracker, PassSchedule, Picture, SETTLE, SHOPS_INTERVAL, SkewAlarm,
    UNKNOWN, Via,
};
use watchpost_store::Annotation;
use watchpost_visionguard::NamedRecord;

use self::pass::{KnownLists, Pass, PassError, PassReport};
pub(crate) use self::unstored::Unstored;
use super::super::{IncomingAlert, LastFailure};
use super::context::ConnectionContext;
use super::notification;

/// Between passes while the socket is not open: what happens meanwhile comes this late.
const AWAY_INTERVAL: Duration = Duration::from_secs(30);

/// A backend that has never shown a list may have none: it is asked this often whether it has.
const NO_LIST_INTERVAL: Duration = Duration::from_secs(300);

/// How often more than the newest rows are read, to see what a person has judged among them.
const THOROUGH_INTERVAL: Duration = Duration::from_secs(300);

/// After a token was refused, the next pass logs in again.
const NEW_SESSION_WAIT: Duration = Duration::from_secs(1);

/// Owl Eye detections whose records are fetched at once; what comes beyond is found in the backend's list.
const MAX_FETCHES: usize = 64;

/// The catching up of one connection.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// Its name.
    connection: String,
    schedule: PassSchedule,
    /// How often the list is read while the socket is open, where that is configured.
    interval: Option<Duration>,
    feed: FeedTracker,
    unstored: Unstored,
    known: KnownLists,
    shops: Option<(Vec<String>, MonotonicTime)>,
    /// When more than the newest rows were read the last time.
    thorough: Option<MonotonicTime>,
    /// Why the list could not be read the last time.
    failure: Option<LastFailure>,
    /// How long it has not been readable while the socket is open.
    outage: OutageTracker,
    /// Whether the backend has a list, as far as is known.
    has_list: Option<bool>,
    skew: SkewAlarm,
    log: FailureLog,
    /// Unreadable rows of the pass before.
    unreadable: HashSet<String>,
    /// Alerts that wait for the notification that names their record.
    correlator: Correlator,
    /// Records that are being fetched because a notification named them.
    fetching: usize,
}

/// An alert that was missed, for the connection to store. Given back when there is no room for it yet.
#[derive(Message)]
#[rtype(result = "Option<Box<IncomingAlert<String>>>")]
pub(super) struct Missed(pub(super) Box<IncomingAlert<String>>);

/// How a pass ended.
pub(super) struct CaughtUp(Ended);

enum Ended {
    /// There was no session to make it with.
    NoSession,
    /// It was not made: the login is this user's, and no more the one's that the socket was opened as.
    AnotherUser(String),
    /// Made.
    Made(Result<PassReport, PassError>),
}

impl CatchUp {
    pub(super) fn new(connection: &str, settings: &BackfillSettings, unstored: Unstored) -> Self {
        Self {
            connection: connection.to_owned(),
            schedule: PassSchedule::new(settings.enabled),
            interval: settings.interval.fixed().map(Into::into),
            feed: FeedTracker::default(),
            unstored,
            known: KnownLists::default(),
            shops: None,
            thorough: None,
            failure: None,
            outage: OutageTracker::up(),
            has_list: None,
            skew: SkewAlarm::default(),
            log: FailureLog::default(),
            unreadable: HashSet::new(),
            correlator: Correlator::default(),
            fetching: 0,
        }
    }

    /// The socket was opened: what happened before it does not come over it.
    pub(super) fn opened(&mut self, now: MonotonicTime) {
        self.schedule.request(now, Duration::ZERO);
    }

    /// The socket is gone: what it had not sent does not come any more.
    pub(super) fn closed(&mut self, now: MonotonicTime) {
        self.correlator.clear();
        self.schedule.request(now, AWAY_INTERVAL);
    }

    /// An alert came over the socket and goes to the store.
    pub(super) fn came(&mut self, alert: &Alert, now: MonotonicTime) {
        if let Some(camera) = &alert.camera {
            self.feed.came(&camera.id, now);
        }
        self.unstored.add(alert);
        self.awaits_notification(alert, Some(alert.id), now);
    }

    /// An alert came over the socket, and there was no room for it.
    pub(super) fn dropped(&mut self, alert: &Alert, now: MonotonicTime) {
        self.awaits_notification(alert, None, now);
    }

    fn awaits_notification(&mut self, alert: &Alert, id: Option<AlertId>, now: MonotonicTime) {
        let person_id = alert.visionguard.as_ref().map_or(0, |fields| fields.person_id);
        self.correlator.alert(now, id, alert.camera_id(), person_id);
    }

    /// An alert was dropped, or a notification came whose alert is not certain: the list knows.
    pub(super) fn request_recheck(&mut self, now: MonotonicTime) {
        self.schedule.request(now, SETTLE);
    }

    /// A notification named a record: what it says of the alert before it, if it is certain which that is.
    pub(super) fn correlate(
        &mut self,
        record: &NamedRecord,
        context: &ConnectionContext,
    ) -> Option<Annotation> {
        // As the alert has it where it does not say.
        let stream_id = record.stream_id.as_deref().unwrap_or(UNKNOWN);
        match self
            .correlator
            .notification(context.clock.now(), stream_id, record.person_id.unwrap_or(0))
        {
            Correlation::With(alert) => {
                let annotation = notification::annotation(record, alert, |at| context.ours(at));
                self.unstored.name(&annotation);
                Some(annotation)
            }
            Correlation::Unclear => {
                // The backend's list has the number of the video frame too.
                self.request_recheck(context.clock.now());
                None
            }
        }
    }

    /// An alert that was missed goes to the store.
    pub(super) fn missed(&mut self, alert: &Alert) {
        self.unstored.add(alert);
    }

    /// The store has dealt with an alert.
    pub(super) fn dealt_with(&self, alert: AlertId) {
        self.unstored.remove(alert);
    }

    /// Why the list could not be read the last time, if it could not.
    pub(super) fn failure(&self) -> Option<&LastFailure> {
        self.failure.as_ref()
    }

    /// How the alerts reach the hub, and how often the list is read while the socket is open.
    pub(super) fn feed(&self) -> (Feed, Duration) {
        (
            self.feed.feed(),
            self.interval.unwrap_or_else(|| self.feed.interval()),
        )
    }

    /// How many alerts wait for their notification, and how many the list is compared with before they are on disk.
    pub(super) fn in_memory(&self) -> (u64, u64) {
        let in_hand = self.unstored.len(&self.connection);
        (self.correlator.len() as u64, in_hand as u64)
    }

    /// When [`Self::begin`] is to be called.
    pub(super) fn deadline(&self) -> Option<MonotonicTime> {
        self.schedule.deadline()
    }

    /// Makes a pass, if one is due. `open_for` is how long the socket has been open, if it is, and `user_id` as whom. What
    /// ends it goes to [`Self::finish`].
    pub(super) fn begin(
        &mut self,
        context: &Rc<ConnectionContext>,
        open_for: Option<Duration>,
        user_id: &str,
        to: Recipient<Missed>,
    ) -> Option<impl Future<Output = CaughtUp> + use<>> {
        if !self.schedule.begin(context.clock.now()) {
            return None;
        }
        let (context, unreadable) = (Rc::clone(context), std::mem::take(&mut self.unreadable));
        let settle = self.feed.settle();
        let now = context.clock.now();
        if self
            .shops
            .as_ref()
            .is_some_and(|(_, read)| now.since(*read) >= SHOPS_INTERVAL)
        {
            self.shops = None;
        }
        let due = |last: MonotonicTime| now.since(last) >= THOROUGH_INTERVAL;
        let thorough = self.thorough.is_none_or(due);
        if thorough {
            self.thorough = Some(now);
        }
        let user_id = user_id.to_owned();
        let (unstored, known) = (self.unstored.clone(), self.known.clone());
        let shops = self.shops.as_ref().map(|(shops, _)| shops.clone());
        Some(async move {
            let Some(session) = context.session(open_for.is_some()).await else {
                return CaughtUp(Ended::NoSession);
            };
            if open_for.is_some() && session.user_id != user_id {
                return CaughtUp(Ended::AnotherUser(session.user_id));
            }
            let pass = Pass {
                context: Rc::clone(&context),
                session: RefCell::new(session.clone()),
                open_for,
                settle,
                shops,
                thorough,
                unstored,
                known,
                unreadable,
                to,
            };
            let outcome = pass.run().await;
            if matches!(&outcome, Err(PassError::Backend(e)) if e.kind.ends_session()) {
                context.credentials.forget(&session);
            }
            CaughtUp(Ended::Made(outcome))
        })
    }

    /// A pass has ended: says when the next one is due.
    /// `heard` says whether the socket is open and the backend knows it, so that alerts should come over it; `grace` how long the
    /// list may be unreadable before that is reported.
    /// Returns whose the login is by now, if that is not the user that the socket was opened as.
    pub(super) fn finish(
        &mut self,
        ended: CaughtUp,
        open: bool,
        heard: bool,
        grace: Duration,
        context: &ConnectionContext,
    ) -> Option<String> {
        let now = context.clock.now();
        let (wait, another_user) = match ended.0 {
            // The next connect brings a session, and a pass.
            Ended::NoSession => (None, None),
            Ended::AnotherUser(user_id) => (None, Some(user_id)),
            Ended::Made(Ok(report)) => (self.made(report, heard, context), None),
            Ended::Made(Err(e)) => (self.failed(e, context), None),
        };
        self.report_outage(open, grace, context);
        let regular = if open { self.feed().1 } else { AWAY_INTERVAL };
        self.schedule.finish();
        self.schedule.request(now, wait.unwrap_or(regular));
        another_user
    }

    /// A pass was made. Returns in how long the next one is due, if not at the regular time.
    fn made(&mut self, report: PassReport, heard: bool, context: &ConnectionContext) -> Option<Duration> {
        let (connection, now) = (context.name(), context.clock.now());
        let mut wait = None;
        if let Some(skew) = context.skew.get()
            && self.skew.check(skew)
        {
            let (connection, ahead_ms) = (connection.to_owned(), skew.ahead_ms());
            context
                .store
                .raise(HubEvent::ClockDiffers { connection, ahead_ms });
        }
        self.failure = report
            .failure
            .map(|e| LastFailure::listing(&e, context.clock.unix()));
        if self.failure.is_none() {
            self.log.clear();
        }
        self.has_list = Some(true);
        self.unreadable = report.unreadable;
        if self.shops.is_none() {
            self.known.retain(&report.shops);
            self.shops = Some((report.shops, now));
        }
        let streams = report.missed_live.iter().map(String::as_str);
        if heard && self.feed.missed(streams, now) {
            let every = self.feed().1.as_secs();
            info!(
                %connection,
                "alerts of this account's shops go to the user who opened their streams: they are fetched every {every} s"
            );
        }
        if report.missed > 0 {
            let missed = report.missed;
            info!(%connection, missed, "fetched anomalies that had not come over the connection");
        }
        if report.needs_recheck {
            // The backend tells its time in whole seconds.
            wait = Some(self.feed.settle() + Duration::from_secs(1));
        }
        if report.has_more {
            wait = Some(Duration::ZERO);
        }
        wait
    }

    /// A pass failed. Returns in how long the next one is due, if not at the regular time.
    fn failed(&mut self, error: PassError, context: &ConnectionContext) -> Option<Duration> {
        let connection = context.name();
        let failure = match error {
            PassError::Store(e) => {
                warn!(%connection, "cannot tell what was missed: {e}");
                context.store.suspect_read(&e);
                return None;
            }
            PassError::Backend(e) => e,
        };
        let first = self.log.is_new(failure.kind);
        self.failure = Some(LastFailure::listing(&failure, context.clock.unix()));
        // So does a proxy whose backend is being started again answer, whatever the backend has.
        if failure.kind == FailureKind::Http(404) && self.has_list != Some(true) {
            self.has_list = Some(false);
            if first {
                info!(%connection, "this backend shows no list of anomalies: what is missed cannot be fetched. Looking again every {} s.", NO_LIST_INTERVAL.as_secs());
            }
            return Some(NO_LIST_INTERVAL);
        }
        if first {
            warn!(%connection, "cannot fetch what was missed: {failure}. {} Trying again.", failure.kind.hint());
        } else {
            debug!(%connection, "still cannot fetch what was missed: {failure}");
        }
        if first && failure.kind.ends_session() {
            return Some(NEW_SESSION_WAIT);
        }
        Some(self.interval.unwrap_or(AWAY_INTERVAL).min(AWAY_INTERVAL))
    }

    /// Raises an event when the list has not been readable for long, and when it is again. While the socket is away, it is that
    /// which is reported.
    fn report_outage(&mut self, open: bool, grace: Duration, context: &ConnectionContext) {
        let (connection, now) = (context.name().to_owned(), context.clock.now());
        let Some(failure) = &self.failure else {
            if let Some(outage) = self.outage.back(now) {
                let seconds = outage.as_secs();
                context.store.raise(HubEvent::ListBack { connection, seconds });
            }
            return;
        };
        if !open || self.has_list == Some(false) {
            return;
        }
        self.outage.lost(now);
        if let Some(outage) = self.outage.overdue(grace, now) {
            let (why, seconds) = (failure.what.clone(), outage.as_secs());
            let only = self.feed.feed() == Feed::List;
            context.store.raise(HubEvent::ListLost {
                connection,
                why,
                seconds,
                only,
            });
        }
    }

    /// Fetches the record of an Owl Eye detection, and makes do with the notification where that fails.
    /// `None` when too many are being fetched. Whoever awaits it calls [`Self::fetched`].
    pub(super) fn fetch(
        &mut self,
        record: NamedRecord,
        notified: Alert,
        context: &Rc<ConnectionContext>,
    ) -> Option<impl Future<Output = IncomingAlert<String>> + use<>> {
        if self.fetching >= MAX_FETCHES {
            self.request_recheck(context.clock.now());
            return None;
        }
        self.fetching += 1;
        let context = Rc::clone(context);
        Some(async move {
            match fetch(&context, &record.anomaly_id).await {
                Ok(incoming) => incoming,
                Err(e) => {
                    debug!(connection = %context.name(), "an Owl Eye detection stays without its picture: {e}");
                    let mut alert = notified;
                    alert.occurred_at = alert.occurred_at.map(|at| context.ours(at));
                    alert.picture = Picture::Missing(format!("the backend did not give it: {e}"));
                    IncomingAlert::fetched(alert, None)
                }
            }
        })
    }

    /// What [`Self::fetch`] began has ended.
    pub(super) fn fetched(&mut self) {
        self.fetching -= 1;
    }

    /// There will be no pass any more.
    pub(super) fn stop(&mut self) {
        self.schedule.disable();
    }
}

impl Drop for CatchUp {
    fn drop(&mut self) {
        self.unstored.forget(&self.connection);
    }
}

async fn fetch(
    context: &ConnectionContext,
    anomaly_id: &str,
) -> Result<IncomingAlert<String>, ConnectFailure> {
    let session = context.session(true).await.ok_or_else(|| ConnectFailure {
        kind: FailureKind::Login,
        detail: "there is no session".to_owned(),
    })?;
    let anomaly = context.api.anomaly(&session.token, anomaly_id).await?;
    Ok(record::incoming(context, &anomaly, Via::Live))
}

/// Names an alert in an annotation.
fn annotation(alert: AlertId, record: &str) -> Annotation {
    Annotation {
        alert,
        anomaly_id: record.to_owned(),
        shop_id: None,
        occurred_at: None,
    }
}
