//! Marks records in the backend as acknowledged whose alerts were dismissed here. What is pending stands in the store,
//! so that it is done also after a restart.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tracing::{debug, warn};
use watchpost_core::{ConnectFailure, FailureKind, MonotonicTime, PassSchedule, UnixMillis, WriteBackRetry};
use watchpost_store::WriteBack as Due;

use super::context::ConnectionContext;
use super::credentials::Session;

/// How often the store is asked.
const INTERVAL: Duration = Duration::from_secs(2);

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
        schedule.request(now, INTERVAL);
        Self { schedule }
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
    ) -> Option<impl Future<Output = ()> + use<>> {
        if !self.schedule.begin(context.clock.now()) {
            return None;
        }
        Some(pass(Rc::clone(context), open))
    }

    /// The pass has ended.
    pub(super) fn finish(&mut self, now: MonotonicTime) {
        self.schedule.finish();
        self.schedule.request(now, INTERVAL);
    }

    /// There will be no pass any more.
    pub(super) fn stop(&mut self) {
        self.schedule.disable();
    }
}

async fn pass(context: Rc<ConnectionContext>, open: bool) {
    let (readers, name, now) = (
        context.readers.clone(),
        context.name().to_owned(),
        context.clock.unix(),
    );
    let due = spawn_blocking(move || readers.current(None)?.write_backs(&name, now, MAX_AT_ONCE));
    let due = match due.await {
        Ok(Ok(due)) if !due.is_empty() => due,
        Ok(Err(e)) => return context.store.suspect(&e),
        _ => return,
    };
    let Some(session) = context.session(open).await else {
        return;
    };
    for item in due {
        let outcome = acknowledge(&context, &session, &item.anomaly_id).await;
        let again_at = match outcome {
            Ok(()) => None,
            Err(e) => {
                if e.kind == FailureKind::Unauthorized {
                    context.credentials.forget(&session);
                }
                let retry = WriteBackRetry::after(e.kind, item.attempts);
                log(context.name(), &item, retry, &e);
                again_at(retry, context.clock.unix())
            }
        };
        context.store.written_back(item.alert, again_at);
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
        WriteBackRetry::ProbablyDone | WriteBackRetry::Refused => None,
    }
}

fn log(connection: &str, item: &Due, retry: WriteBackRetry, failure: &ConnectFailure) {
    let alert = item.alert;
    match retry {
        WriteBackRetry::After(_) => {
            debug!(%connection, %alert, "the record will be marked as acknowledged later: {failure}");
        }
        WriteBackRetry::ProbablyDone => {
            debug!(%connection, %alert, "the backend answers 500 to a change that it has probably made: {failure}");
        }
        WriteBackRetry::Refused => {
            warn!(%connection, %alert, "the record cannot be marked as acknowledged: {failure}");
        }
    }
}
