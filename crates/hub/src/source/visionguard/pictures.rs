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

use super::super::LastFailure;
use super::context::ConnectionContext;
use super::credentials::Session;
use crate::clock::Clock;

/// Pictures that are looked up in the store at once. One that is more urgent waits for so many.
const MAX_AT_ONCE: u32 = 8;

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
    /// Why one could not be fetched the last time, until one could.
    failure: Option<LastFailure>,
}

/// How a pass ended.
pub(super) enum PicturesEnded {
    /// Nothing is due before that; nothing at all is left where there is no such time.
    Next {
        at: Option<UnixMillis>,
        /// How the last attempt went, if one was made.
        last: Option<Result<(), ConnectFailure>>,
    },
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
            failure: None,
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
            PicturesEnded::Next { at, last } => {
                self.pauses = 0;
                match (at, last) {
                    // What is gone is not asked for again, and so nothing is wrong once none is left.
                    (None, _) | (_, Some(Ok(()))) => self.failed(None, connection, clock),
                    (_, Some(Err(failure))) => self.failed(Some(&failure), connection, clock),
                    // Why those that are left could not be fetched is still so.
                    (Some(_), None) => {}
                }
                if let Some(at) = at {
                    self.schedule
                        .request(clock.now(), clock.unix().until(at).max(MIN_WAIT));
                }
            }
            PicturesEnded::Paused(wait, failure) => {
                self.pauses = self.pauses.saturating_add(1);
                self.failed(Some(&failure), connection, clock);
                self.schedule.request(clock.now(), wait);
            }
        }
    }

    /// Notes what is wrong, or that nothing is.
    fn failed(&mut self, failure: Option<&ConnectFailure>, connection: &str, clock: Clock) {
        self.failure = failure.map(|failure| LastFailure::fetching_picture(failure, clock.unix()));
        match failure {
            None => self.log.clear(),
            Some(failure) if self.log.is_new(failure.kind) => {
                info!(%connection, "pictures of alerts cannot be fetched and are asked for again: {failure}");
            }
            Some(_) => {}
        }
    }

    /// Why a picture could not be fetched the last time, while some are still to be.
    pub(super) fn failure(&self) -> Option<&LastFailure> {
        self.failure.as_ref()
    }

    /// There will be no pass any more.
    pub(super) fn stop(&mut self) {
        self.schedule.disable();
    }
}

/// Fetches what is due, one picture after the other: each is on disk before the next one takes up memory.
async fn pass(context: Rc<ConnectionContext>, open: bool, pauses: u32) -> PicturesEnded {
    let mut session: Option<Session> = None;
    let mut last = None;
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
                return PicturesEnded::Next {
                    at: Some(now + SESSION_WAIT),
                    last,
                };
            };
            let Fetched {
                outcome,
                failure,
                pause,
            } = fetch(&context, &current, &wanted, pauses).await;
            if failure
                .as_ref()
                .is_some_and(|failure| failure.kind.ends_session())
            {
                context.credentials.forget(&current);
            }
            let result = PictureResult {
                alert: wanted.alert,
                outcome,
            };
            // Fails only when the writer has ended.
            let _ = context.store.picture(result).await;
            match (pause, failure) {
                (Some(wait), Some(failure)) => return PicturesEnded::Paused(wait, failure),
                (_, failure) => last = Some(failure.map_or(Ok(()), Err)),
            }
        }
    }
    let name = context.name().to_owned();
    let next = context.readers.read(move |reader| reader.next_picture(&name));
    let next = next.await.unwrap_or_else(|e| {
        context.store.suspect_read(&e);
        Some(context.clock.unix())
    });
    PicturesEnded::Next { at: next, last }
}

/// What became of an attempt.
struct Fetched {
    outcome: PictureOutcome,
    /// Why it failed, if it is to be made again.
    failure: Option<ConnectFailure>,
    /// How long no other is to be made, if it failed so.
    pause: Option<Duration>,
}

/// One attempt.
async fn fetch(context: &ConnectionContext, session: &Session, wanted: &PictureDue, pauses: u32) -> Fetched {
    let failure = match context.api.picture(&session.token, &wanted.source).await {
        Ok(bytes) => return ended(checked(bytes.to_vec(), context.limits)),
        Err(failure) => failure,
    };
    debug!(connection = %context.name(), alert = %wanted.alert, "a picture could not be fetched: {failure}");
    let (wait, pauses) = match PictureRetry::after(failure.kind, wanted.attempts, pauses) {
        PictureRetry::Gone => {
            return ended(PictureOutcome::Gone(format!(
                "the backend did not give it: {failure}"
            )));
        }
        PictureRetry::After(wait) => (wait, false),
        // A token that has expired is no fault of the picture's.
        PictureRetry::Pause(_) if failure.kind.ends_session() && pauses == 0 => (Duration::ZERO, true),
        PictureRetry::Pause(wait) => (wait, true),
    };
    Fetched {
        outcome: PictureOutcome::Later(context.clock.unix() + wait),
        failure: Some(failure),
        pause: pauses.then_some(wait),
    }
}

/// It needs no further attempt.
fn ended(outcome: PictureOutcome) -> Fetched {
    Fetched {
        outcome,
        failure: None,
        pause: None,
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

#[cfg(test)]
mod tests {
    use watchpost_core::FailureKind;

    use super::*;

    #[test]
    fn why_pictures_are_missing_is_known_until_one_was_fetched_or_none_is_left() {
        let clock = Clock::start();
        let failed = || {
            Some(Err(ConnectFailure {
                kind: FailureKind::Http(500),
                detail: "HTTP 500".into(),
            }))
        };
        let later = Some(clock.unix() + Duration::from_secs(5));
        for (at, last, known) in [
            (later, None, true),
            (later, failed(), true),
            (later, Some(Ok(())), false),
            (None, failed(), false),
            (None, None, false),
        ] {
            let mut pictures = Pictures::new(clock.now());
            for ended in [
                PicturesEnded::Next {
                    at: later,
                    last: failed(),
                },
                PicturesEnded::Next { at, last },
            ] {
                pictures.finish(ended, "shop", clock);
            }
            assert_eq!(pictures.failure().is_some(), known, "{at:?}");
        }
    }
}
