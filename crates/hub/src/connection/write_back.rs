//! Tells the backend of alerts that were dismissed here. What is to be told stands in the store, so that it is told
//! also after a restart.

use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use tokio::task::spawn_blocking;
use tracing::{debug, warn};
use watchpost_core::{ConnectFailure, FailureKind, LinkState, UnixMillis};
use watchpost_store::WriteBack;

use super::Connection;
use super::backfill::session;

/// How often the store is asked.
const INTERVAL: Duration = Duration::from_secs(2);

/// Alerts told of in one go.
const MAX_AT_ONCE: u32 = 16;

/// The first wait after a failure, which doubles.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Of a record with an infinite score the backend answers 500 although it took effect: so many tries are enough.
const MAX_TRIES_AT_500: u32 = 3;

/// What the backend calls an alert that somebody has seen.
const ACKNOWLEDGED: &str = "acknowledged";

impl Connection {
    /// Begins to look for what is to be told, if it is to be told at all.
    pub(super) fn arm_write_back(&mut self, ctx: &mut Context<Self>) {
        if self.settings.write_back && self.stopping.is_none() {
            ctx.run_later(INTERVAL, |this, ctx| this.write_back(ctx));
        }
    }

    fn write_back(&mut self, ctx: &mut Context<Self>) {
        let open = matches!(self.link.state(), LinkState::Open { .. });
        let (api, credentials) = (Rc::clone(&self.api), Rc::clone(&self.credentials));
        let (store, readers, clock) = (self.store.clone(), self.readers.clone(), self.clock);
        let name = self.settings.name.clone();
        let work = async move {
            let now = clock.unix();
            let connection = name.clone();
            let due = spawn_blocking(move || {
                let mut reader = readers.current(None)?;
                reader.write_backs(&connection, now, MAX_AT_ONCE)
            });
            let due = match due.await {
                Ok(Ok(due)) if !due.is_empty() => due,
                Ok(Err(e)) => return store.suspect(&e),
                _ => return,
            };
            let Some(session) = session(&api, &credentials, open).await else {
                return;
            };
            for item in due {
                let outcome = api
                    .set_status(&session.token, &item.anomaly_id, ACKNOWLEDGED)
                    .await;
                if matches!(&outcome, Err(e) if e.kind == FailureKind::Unauthorized) {
                    credentials.forget(&session);
                }
                store.written_back(item.alert, again_at(&name, &item, outcome, clock.unix()));
            }
        };
        ctx.spawn(
            work.into_actor(self)
                .map(|(), this, ctx| this.arm_write_back(ctx)),
        );
    }
}

/// When to try again; `None` when it is done, or will never be.
fn again_at(
    connection: &str,
    item: &WriteBack,
    outcome: Result<(), ConnectFailure>,
    now: UnixMillis,
) -> Option<UnixMillis> {
    let failure = outcome.err()?;
    let (alert, tries) = (item.alert, item.attempts + 1);
    match failure.kind {
        FailureKind::Http(500) if tries >= MAX_TRIES_AT_500 => {
            debug!(%connection, %alert, "the backend answers 500 to a change that it has probably made: {failure}");
            None
        }
        FailureKind::Http(400 | 404 | 405 | 422) => {
            warn!(%connection, %alert, "the backend cannot be told that the alert was dismissed: {failure}");
            None
        }
        _ => {
            debug!(%connection, %alert, "the backend is told later that the alert was dismissed: {failure}");
            let wait = FIRST_WAIT.saturating_mul(1 << item.attempts.min(16));
            Some(now + wait.min(LONGEST_WAIT))
        }
    }
}

#[cfg(test)]
mod tests {
    use watchpost_core::AlertId;

    use super::*;

    fn again(kind: Option<FailureKind>, attempts: u32) -> Option<u64> {
        let item = WriteBack {
            alert: AlertId(1),
            anomaly_id: "a".to_owned(),
            attempts,
        };
        let outcome = kind.map_or(Ok(()), |kind| {
            Err(ConnectFailure {
                kind,
                detail: String::new(),
            })
        });
        let at = again_at("shop", &item, outcome, UnixMillis(0))?;
        Some(u64::try_from(at.0).unwrap() / 1_000)
    }

    #[test]
    fn it_is_tried_until_it_is_done_but_not_what_never_will_be() {
        assert_eq!(again(None, 0), None);
        assert_eq!(again(Some(FailureKind::Refused), 0), Some(5));
        assert_eq!(again(Some(FailureKind::Refused), 3), Some(40));
        assert_eq!(again(Some(FailureKind::Refused), 40), Some(600));
        assert_eq!(again(Some(FailureKind::Http(500)), 1), Some(10));
        assert_eq!(again(Some(FailureKind::Http(500)), 2), None);
        assert_eq!(again(Some(FailureKind::Http(404)), 0), None);
    }
}
