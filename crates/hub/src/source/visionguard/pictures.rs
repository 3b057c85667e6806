//! Fetches the pictures of alerts that came without them: those of the backend's list, and of Owl Eye. An alert does not wait
//! for its picture. What is still to be fetched stands in the store, so that it is fetched also after a restart.

use std::rc::Rc;
use std::time::Duration;

use tracing::{debug, info};
use watchpost_core::{
    ConnectFailure, FailureLog, MonotonicTime, PassSchedule, Picture, PictureRetry, UnixMillis,
};
use watchpost_store::{PictureDue, PictureOutcome, PictureResult};
use watchpost_visionguard::{JpegFrame, PictureLimits};

use super::context::ConnectionContext;
use super::credentials::Session;
use crate::clock::Clock;

/// Pictures that are looked up in the store at once.
const MAX_AT_ONCE: u32 = 64;

/// The shortest wait for what is due.
const MIN_WAIT: Duration = Duration::from_secs(2);

/// How long it waits for a session. The next connect brings one.
const SESSION_WAIT: Duration = Duration::from_secs(30);

/// The fetching of one connection's pictures.
#[derive(Debug)]
pub(super) struct Pictures {
    schedule: PassSchedule,
    /// Passes in a row that had to be broken off.
    pauses: u32,
    log: FailureLog,
}

/// How a pass ended.
pub(super) enum PicturesEnded {
    /// Nothing is due before that.
    Next(Option<UnixMillis>),
    /// No picture can be fetched now.
    Paused(Duration, ConnectFailure),
}

impl Pictures {
    /// Begins with what an earlier run has left.
    pub(super) fn new(now: MonotonicTime) -> Self {
        let mut schedule = PassSchedule::new(true);
        schedule.request(now, Duration::ZERO);
        Self {
            schedule,
            pauses: 0,
            log: FailureLog::default(),
        }
    }

    /// There may be more to fetch. A pause is kept.
    pub(super) fn woken(&mut self, now: MonotonicTime) {
        if self.pauses == 0 {
            self.schedule.request(now, Duration::ZERO);
        }
    }

    /// The socket was opened: the backend answers again.
    pub(super) fn opened(&mut self, now: MonotonicTime) {
        self.pauses = 0;
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
    ) -> Option<impl Future<Output = PicturesEnded> + use<>> {
        if !self.schedule.begin(context.clock.now()) {
            return None;
        }
        Some(pass(Rc::clone(context), open, self.pauses))
    }

    /// The pass has ended.
    pub(super) fn finish(&mut self, ended: PicturesEnded, connection: &str, clock: Clock) {
        self.schedule.finish();
        match ended {
            PicturesEnded::Next(next) => {
                self.pauses = 0;
                self.log.clear();
                if let Some(at) = next {
                    self.schedule
                        .request(clock.now(), clock.unix().until(at).max(MIN_WAIT));
                }
            }
            PicturesEnded::Paused(wait, failure) => {
                self.pauses = self.pauses.saturating_add(1);
                if self.log.is_new(failure.kind) {
                    info!(%connection, "pictures of alerts cannot be fetched and are asked for again: {failure}");
                }
                self.schedule.request(clock.now(), wait);
            }
        }
    }

    /// There will be no pass any more.
    pub(super) fn stop(&mut self) {
        self.schedule.disable();
    }
}

/// Fetches what is due, one picture after the other: each is on disk before the next one takes up memory.
async fn pass(context: Rc<ConnectionContext>, open: bool, pauses: u32) -> PicturesEnded {
    let mut session: Option<Session> = None;
    loop {
        let (name, now) = (context.name().to_owned(), context.clock.unix());
        let due = context
            .readers
            .read(move |reader| reader.pictures_due(&name, now, MAX_AT_ONCE));
        let due = match due.await {
            Ok(due) if due.is_empty() => break,
            Ok(due) => due,
            Err(e) => {
                context.store.suspect_read(&e);
                break;
            }
        };
        for wanted in due {
            if session.is_none() {
                session = context.session(open).await;
            }
            let Some(current) = session.clone() else {
                return PicturesEnded::Next(Some(now + SESSION_WAIT));
            };
            let (outcome, paused) = fetch(&context, &current, &wanted, pauses).await;
            if let Some((_, failure)) = &paused
                && failure.kind.ends_session()
            {
                context.credentials.forget(&current);
            }
            let result = PictureResult {
                alert: wanted.alert,
                outcome,
            };
            // Fails only when the writer has ended.
            let _ = context.store.picture(result).await;
            if let Some((wait, failure)) = paused {
                return PicturesEnded::Paused(wait, failure);
            }
        }
    }
    let name = context.name().to_owned();
    let next = context.readers.read(move |reader| reader.next_picture(&name));
    PicturesEnded::Next(next.await.unwrap_or_else(|e| {
        context.store.suspect_read(&e);
        Some(context.clock.unix())
    }))
}

/// One attempt: what became of it, and how long no other is to be made, if it failed so.
async fn fetch(
    context: &ConnectionContext,
    session: &Session,
    wanted: &PictureDue,
    pauses: u32,
) -> (PictureOutcome, Option<(Duration, ConnectFailure)>) {
    let failure = match context.api.picture(&session.token, &wanted.source).await {
        Ok(bytes) => return (checked(bytes.to_vec(), context.limits), None),
        Err(failure) => failure,
    };
    debug!(connection = %context.name(), alert = %wanted.alert, "a picture could not be fetched: {failure}");
    let later = |wait| PictureOutcome::Later(context.clock.unix() + wait);
    match PictureRetry::after(failure.kind, wanted.attempts, pauses) {
        PictureRetry::Gone => (
            PictureOutcome::Gone(format!("the backend did not give it: {failure}")),
            None,
        ),
        PictureRetry::After(wait) => (later(wait), None),
        // A token that has expired is no fault of the picture's.
        PictureRetry::Pause(_) if failure.kind.ends_session() && pauses == 0 => {
            (later(Duration::ZERO), Some((Duration::ZERO, failure)))
        }
        PictureRetry::Pause(wait) => (later(wait), Some((wait, failure))),
    }
}

fn checked(bytes: Vec<u8>, limits: PictureLimits) -> PictureOutcome {
    match JpegFrame::parse(bytes, limits) {
        Ok(jpeg) => PictureOutcome::Fetched {
            picture: Picture::Jpeg {
                bytes: u32::try_from(jpeg.bytes.len()).unwrap_or(u32::MAX),
                width: jpeg.width,
                height: jpeg.height,
            },
            frame: jpeg.bytes,
        },
        Err(problem) => PictureOutcome::Gone(problem.to_string()),
    }
}
