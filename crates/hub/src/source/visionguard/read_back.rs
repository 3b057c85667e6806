//! Looks whether a person has judged in the backend what sounds here. Catching up sees that too, of the newest rows and at its own
//! pace; a siren does not wait for it.

use std::rc::Rc;
use std::time::Duration;

use tracing::debug;
use watchpost_core::{MonotonicTime, PassSchedule};

use super::context::ConnectionContext;
use crate::clock::Clock;

/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(3);

/// What was received longer ago does not sound any more, and is left to catching up.
const SOUNDS_FOR: Duration = Duration::from_secs(1_800);

/// Records that are asked for at a time, the newest.
const MAX_AT_ONCE: u32 = 16;

/// The looking of one connection.
#[derive(Debug)]
pub(super) struct ReadBack {
    schedule: PassSchedule,
}

impl ReadBack {
    pub(super) fn new(enabled: bool, now: MonotonicTime) -> Self {
        let mut schedule = PassSchedule::new(enabled);
        schedule.request(now, INTERVAL);
        Self { schedule }
    }

    /// When [`Self::begin`] is to be called.
    pub(super) fn deadline(&self) -> Option<MonotonicTime> {
        self.schedule.deadline()
    }

    /// Looks, if it is time. Whoever awaits it calls [`Self::finish`].
    pub(super) fn begin(
        &mut self,
        context: &Rc<ConnectionContext>,
        open: bool,
    ) -> Option<impl Future<Output = ()> + use<>> {
        let due = self.schedule.begin(context.clock.now());
        due.then(|| look(Rc::clone(context), open))
    }

    /// It has looked.
    pub(super) fn finish(&mut self, clock: Clock) {
        self.schedule.finish();
        self.schedule.request(clock.now(), INTERVAL);
    }

    /// It looks no more.
    pub(super) fn stop(&mut self) {
        self.schedule.disable();
    }
}

async fn look(context: Rc<ConnectionContext>, open: bool) {
    let (name, since) = (context.name().to_owned(), context.clock.unix() - SOUNDS_FOR);
    let sounding = context
        .readers
        .read(move |reader| reader.sounding(&name, since, MAX_AT_ONCE));
    let records = match sounding.await {
        Ok(records) if records.is_empty() => return,
        Ok(records) => records,
        Err(e) => return context.store.suspect_read(&e),
    };
    let Some(session) = context.session(open).await else {
        return;
    };
    let mut judged = Vec::new();
    for record in records {
        match context.api.anomaly(&session.token, &record).await {
            Ok(anomaly) if anomaly.is_judged() => judged.push(record),
            Ok(_) => {}
            Err(e) => {
                debug!(connection = %context.name(), "cannot look whether a person has judged {record}: {e}");
                if e.kind.ends_session() {
                    context.credentials.forget(&session);
                    break;
                }
            }
        }
    }
    if let Err(e) = context.acknowledge_judged(judged).await {
        context.store.suspect_read(&e);
    }
}
