//! Marks records in the backend as acknowledged whose alerts were acknowledged here. What is pending stands in the store,
//! so that it is done also after a restart.

use std::rc::Rc;
use std::time::Duration;

use tracing::{debug, warn};
use watchpost_core::{ConnectFailure, MonotonicTime, PassSchedule, UnixMillis, WriteBackRetry};
use watchpost_store::{WriteBack as Due, WriteBackResult};

use super::context::ConnectionContext;
use super::credentials::Session;
use crate::clock::Clock;

/// The shortest wait for what is due: the results of a pass are on their way to the store, or the backend cannot be asked.
const MIN_WAIT: Duration = Duration::from_secs(2);

/// Records that one pass changes.
const MAX_AT_ONCE: u32 = 16;

/// The writing back of one connection.
#[derive(Debug)]
pub(super) struct WriteBack {
    schedule: PassSchedule,
}

impl WriteBack {
    pub(super) fn new(enabled: bool, now: MonotonicTime) -> Self {
        let mut schedule = PassSchedule::new(enabled);
        schedule.request(now, Duration::ZERO);
        Self { schedule }
    }

    /// The store has something that may be due.
    pub(super) fn woken(&mut self, now: MonotonicTime) {
        self.schedule.request(now, Duration::ZERO);
    }

    /// When [`Self::begin`] is to be called.
    pub(super) fn deadline(&self) -> Option<MonotonicTime> {
        self.schedule.deadline()
    }

    /// Makes a pass, if one is due. Whoever awaits it calls [`Self::finish`].
    pub(super) fn begin(
        &mut self,
        context: &Rc<ConnectionContext>,
        open: bool,
    ) -> Option<impl Future<Output = Option<UnixMillis>> + use<>> {
        if !self.schedule.begin(context.clock.now()) {
            return None;
        }
        Some(pass(Rc::clone(context), open))
    }

    /// The pass has ended. `next_due` is when the next report is due, as far as a time decides that.
    pub(super) fn finish(&mut self, clock: Clock, next_due: Option<UnixMillis>) {
        self.schedule.finish();
        if let Some(at) = next_due {
            self.schedule
                .request(clock.now(), clock.unix().until(at).max(MIN_WAIT));
        }
    }

    /// There will be no pass any more.
    pub(super) fn stop(&mut self) {
        self.schedule.disable();
    }
}

/// Reports what is due. Returns when the next report is due.
async fn pass(context: Rc<ConnectionContext>, open: bool) -> Option<UnixMillis> {
    let (name, now) = (context.name().to_owned(), context.clock.unix());
    let reports = context
        .readers
        .read(move |reader| reader.write_backs(&name, now, MAX_AT_ONCE));
    match reports.await {
        Ok(due) => report(&context, open, due).await,
        Err(e) => context.store.suspect_read(&e),
    }
    let name = context.name().to_owned();
    let next = context.readers.read(move |reader| reader.next_write_back(&name));
    next.await.unwrap_or_else(|e| {
        context.store.suspect_read(&e);
        Some(context.clock.unix())
    })
}

async fn report(context: &ConnectionContext, open: bool, due: Vec<Due>) {
    if due.is_empty() {
        return;
    }
    let Some(session) = context.session(open).await else {
        return;
    };
    for item in due {
        let outcome = acknowledge(context, &session, &item.anomaly_id).await;
        let retry_at = match outcome {
            Ok(()) => None,
            Err(e) => {
                if e.kind.ends_session() {
                    context.credentials.forget(&session);
                }
                let retry = WriteBackRetry::after(e.kind, item.attempts, item.scored);
                log(context.name(), &item, retry, &e);
                again_at(retry, context.clock.unix())
            }
        };
        context.store.written_back(WriteBackResult {
            alert: item.alert,
            retry_at,
        });
    }
}

/// Marks a record as acknowledged that no person has judged yet: what a person set stays.
async fn acknowledge(
    context: &ConnectionContext,
    session: &Session,
    anomaly_id: &str,
) -> Result<(), ConnectFailure> {
    let record = context.api.anomaly(&session.token, anomaly_id).await?;
    if !record.is_pending() {
        return Ok(());
    }
    context.api.acknowledge(&session.token, anomaly_id).await
}

fn again_at(retry: WriteBackRetry, now: UnixMillis) -> Option<UnixMillis> {
    match retry {
        WriteBackRetry::After(wait) => Some(now + wait),
        WriteBackRetry::Unknowable | WriteBackRetry::Refused => None,
    }
}

fn log(connection: &str, item: &Due, retry: WriteBackRetry, failure: &ConnectFailure) {
    let alert = item.alert;
    match retry {
        WriteBackRetry::After(_) => {
            debug!(%connection, %alert, "the record will be marked as acknowledged later: {failure}");
        }
        WriteBackRetry::Unknowable => {
            debug!(%connection, %alert, "the backend cannot show the record, which stays as it is: {failure}");
        }
        WriteBackRetry::Refused => {
            warn!(%connection, %alert, "the record cannot be marked as acknowledged: {failure}");
        }
    }
}
