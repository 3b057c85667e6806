//! Fetches what did not come over the socket: after every gap, and now and then to be sure.
//!
//! The backend's list of anomalies is compared with the store. A row that came over the socket gives its alert what it
//! lacked; one that did not becomes an alert that came `via` the list. How far the list is known is kept with the alerts,
//! so that nothing is missed while the hub itself is away.

mod fetch;
mod judge;
mod listing;
mod record;

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{debug, info, warn};
use watchpost_config::ConnectionSettings;
use watchpost_core::{AlertIds, ConnectFailure, FailureKind, LinkState, MonotonicTime, UnixMillis, Via};
use watchpost_store::{Annotation, Reader, StoreError};
use watchpost_visionguard::PictureLimits;

use self::fetch::picture;
pub(super) use self::fetch::told_of;
use self::judge::{Bounds, Judged, judge};
use self::listing::{Listing, Row, list};
use super::Connection;
use super::credentials::{Credentials, Session};
use super::intake::Arrived;
use crate::backend::Api;
use crate::clock::Clock;
use crate::store::{Readers, StoreHandle};

/// Rows that are younger may still be on their way over the socket.
pub(super) const SETTLE: Duration = Duration::from_secs(10);

/// Each time, the list is read again from this long before the point up to which it is known: rows do not appear in
/// the very order of their times.
const OVERLAP: Duration = Duration::from_secs(120);

/// Between passes while the socket is not open: what happens meanwhile comes this late.
pub(super) const AWAY_INTERVAL: Duration = Duration::from_secs(30);

/// While the connection's buffer is full, it is asked this often whether there is room.
const ROOM_INTERVAL: Duration = Duration::from_millis(200);

/// When the next pass is due.
#[derive(Debug, Default)]
pub(super) struct Backfill {
    due: Option<MonotonicTime>,
    timer: Option<(MonotonicTime, SpawnHandle)>,
    running: bool,
    /// Unreadable rows of the pass before.
    unreadable: HashSet<String>,
    /// Said once for a repeated failure.
    complained: Option<FailureKind>,
    off: bool,
}

/// What a pass works with.
pub(super) struct Pass {
    pub(super) api: Rc<Api>,
    pub(super) settings: Arc<ConnectionSettings>,
    pub(super) store: StoreHandle,
    pub(super) readers: Readers,
    pub(super) ids: Arc<AlertIds>,
    pub(super) limits: PictureLimits,
    pub(super) clock: Clock,
    session: Session,
    /// How long the socket has been open, if it is: what happened before cannot come over it any more.
    open_for: Option<Duration>,
    unreadable: HashSet<String>,
    to: Addr<Connection>,
}

/// How a pass went.
struct Passed {
    missed: usize,
    look_again: bool,
    unreadable: HashSet<String>,
}

/// Why a pass failed.
enum PassError {
    Backend(ConnectFailure),
    Store(StoreError),
}

/// An alert that was missed, for the connection to store. Given back when there is no room for it yet.
#[derive(Message)]
#[rtype(result = "Option<Box<Arrived>>")]
pub(super) struct Missed(Box<Arrived>);

impl Handler<Missed> for Connection {
    type Result = MessageResult<Missed>;

    fn handle(&mut self, Missed(arrived): Missed, ctx: &mut Self::Context) -> Self::Result {
        if self.has_room_for(arrived.bytes) && self.stopping.is_none() {
            self.accept(*arrived, ctx);
            return MessageResult(None);
        }
        MessageResult(Some(arrived))
    }
}

impl Connection {
    /// Has a pass made after this long, or sooner if one is due sooner.
    pub(super) fn backfill_in(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        if !self.settings.backfill.enabled || self.backfill.off || self.stopping.is_some() {
            return;
        }
        let due = self.clock.now() + wait;
        let due = self.backfill.due.map_or(due, |earlier| earlier.min(due));
        self.backfill.due = Some(due);
        if self.backfill.running {
            return;
        }
        if let Some((at, timer)) = self.backfill.timer.take() {
            if at <= due {
                self.backfill.timer = Some((at, timer));
                return;
            }
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later(due.since(self.clock.now()), |this, ctx| {
            this.backfill.timer = None;
            this.pass(ctx);
        });
        self.backfill.timer = Some((due, timer));
    }

    fn pass(&mut self, ctx: &mut Context<Self>) {
        self.backfill.due = None;
        self.backfill.running = true;
        let open_for = match self.link.state() {
            LinkState::Open { since, .. } => Some(self.clock.now().since(*since)),
            _ => None,
        };
        let (api, credentials) = (Rc::clone(&self.api), Rc::clone(&self.credentials));
        let parts = (
            self.settings.clone(),
            self.store.clone(),
            self.readers.clone(),
            self.ids.clone(),
        );
        let (settings, store, readers, ids) = parts;
        let (limits, clock, to) = (self.intake.limits(), self.clock, ctx.address());
        let unreadable = std::mem::take(&mut self.backfill.unreadable);
        let work = async move {
            let session = session(&api, &credentials, open_for.is_some()).await?;
            let pass = Pass {
                api,
                settings,
                store,
                readers,
                ids,
                limits,
                clock,
                session: session.clone(),
                open_for,
                unreadable,
                to,
            };
            let outcome = pass.run().await;
            if matches!(&outcome, Err(PassError::Backend(e)) if e.kind == FailureKind::Unauthorized) {
                credentials.forget(&session);
            }
            Some(outcome)
        };
        ctx.spawn(work.into_actor(self).map(|outcome, this, ctx| {
            this.backfill.running = false;
            this.passed(outcome, ctx);
        }));
    }

    fn passed(&mut self, outcome: Option<Result<Passed, PassError>>, ctx: &mut Context<Self>) {
        let open = matches!(self.link.state(), LinkState::Open { .. });
        let regular = if open {
            self.settings.backfill.interval.into()
        } else {
            AWAY_INTERVAL
        };
        let connection = &self.settings.name;
        let mut wait = regular;
        match outcome {
            // The next connect brings a session, and a pass.
            None => {}
            Some(Ok(passed)) => {
                self.backfill.complained = None;
                self.backfill.unreadable = passed.unreadable;
                if passed.missed > 0 {
                    info!(%connection, missed = passed.missed, "fetched anomalies that had not come over the connection");
                }
                if passed.look_again {
                    // The backend tells its time in whole seconds.
                    wait = SETTLE + Duration::from_secs(1);
                }
            }
            Some(Err(PassError::Store(e))) => {
                warn!(%connection, "cannot tell what was missed: {e}");
                self.store.suspect(&e);
            }
            Some(Err(PassError::Backend(e))) if e.kind == FailureKind::Http(404) => {
                info!(%connection, "this backend has no list of anomalies: what is missed cannot be fetched");
                self.backfill.off = true;
            }
            Some(Err(PassError::Backend(e))) => {
                if self.backfill.complained == Some(e.kind) {
                    debug!(%connection, "still cannot fetch what was missed: {e}");
                } else {
                    warn!(%connection, "cannot fetch what was missed: {e}. {} Trying again.", e.kind.hint());
                    self.backfill.complained = Some(e.kind);
                }
                wait = regular.min(AWAY_INTERVAL);
            }
        }
        self.backfill_in(wait, ctx);
    }
}

/// Who we are. While the socket is not open, only a session that needs no login will do: each attempt to open it logs
/// in once, and nothing else does.
pub(super) async fn session(api: &Api, credentials: &Credentials, open: bool) -> Option<Session> {
    if open {
        credentials.at_hand(api).await.ok()
    } else {
        credentials.still_good()
    }
}

impl Pass {
    async fn run(mut self) -> Result<Passed, PassError> {
        let name = self.settings.name.clone();
        let horizon = self.read(move |reader| reader.horizon(&name)).await?;
        let shops = self.shops().await?;
        let mut passed = Passed {
            missed: 0,
            look_again: false,
            unreadable: HashSet::new(),
        };
        let mut next: Option<UnixMillis> = None;
        for shop in &shops {
            let since = horizon.unwrap_or(UnixMillis(i64::MAX));
            let asked = self.clock.unix();
            let listing = list(&self.api, &self.session.token, shop, since).await?;
            let server_time = listing.server_time.unwrap_or(asked);
            next = Some(next.map_or(server_time, |next| next.min(server_time)));
            if horizon.is_none() {
                // The hub's first time here: what was before is not its own.
                continue;
            }
            let judged = self.judge(listing, since, asked, server_time).await?;
            passed.missed += judged.missed.len();
            passed.look_again |= judged.look_again;
            passed.unreadable.extend(judged.unreadable);
            for annotation in judged.annotations {
                self.store.annotate(annotation);
            }
            for row in judged.missed {
                self.fetch(row).await;
            }
        }
        let known = match horizon {
            None => next,
            // Rows that are to be judged the next time must be read again.
            Some(_) if !passed.unreadable.is_empty() => None,
            Some(_) => next.map(|next| next - SETTLE - OVERLAP),
        };
        if let Some(at) = known.filter(|at| horizon.is_none_or(|horizon| *at > horizon)) {
            self.store.horizon(&self.settings.name, at);
        }
        Ok(passed)
    }

    async fn shops(&self) -> Result<Vec<String>, PassError> {
        if !self.settings.backfill.shop_ids.is_empty() {
            return Ok(self.settings.backfill.shop_ids.clone());
        }
        let shops = self.api.shops(&self.session.token).await?;
        Ok(shops.into_iter().map(|shop| shop.id).collect())
    }

    async fn judge(
        &mut self,
        listing: Listing,
        since: UnixMillis,
        asked: UnixMillis,
        server_time: UnixMillis,
    ) -> Result<Judged, StoreError> {
        // The header `Date` has whole seconds.
        let opened = self
            .open_for
            .map(|open| server_time - open - Duration::from_secs(2));
        let settled = (server_time - SETTLE).max(opened.unwrap_or_default());
        let bounds = Bounds {
            connection: self.settings.name.clone(),
            since,
            settled,
            skew_ms: asked.0.saturating_sub(server_time.0),
            unreadable: std::mem::take(&mut self.unreadable),
        };
        self.read(move |reader| judge(reader, &listing.rows, &bounds))
            .await
    }

    /// Stores an alert that was missed.
    async fn fetch(&self, row: Row) {
        let now = self.clock.unix();
        let name = &self.settings.name;
        let (alert, frame) = match row {
            Row::Unreadable { place, newest } => {
                (record::unreadable(&place, newest, name, &self.ids, now), None)
            }
            Row::Readable(anomaly) => {
                let picture = picture(&self.api, &self.session, &anomaly).await;
                record::alert(&anomaly, name, Via::List, picture, self.limits, &self.ids, now)
            }
        };
        let mut waiting = Some(Box::new(Arrived::fetched(alert, frame)));
        while let Some(arrived) = waiting.take() {
            // The connection ends a pass with itself, so there is always somebody to answer.
            waiting = self.to.send(Missed(arrived)).await.unwrap_or_default();
            if waiting.is_some() {
                sleep(ROOM_INTERVAL).await;
            }
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = self.readers.clone();
        let answer = spawn_blocking(move || question(&mut *readers.current(None)?)).await;
        answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

/// When a notification of this time happened, which the backend writes in UTC.
pub(super) fn annotation_of(
    alert: watchpost_core::AlertId,
    anomaly_id: &str,
    shop_id: Option<&str>,
    timestamp: Option<watchpost_visionguard::Timestamp>,
) -> Annotation {
    Annotation {
        alert,
        anomaly_id: anomaly_id.to_owned(),
        shop_id: shop_id.map(str::to_owned),
        occurred_at: timestamp.map(|moment| moment.at(time::UtcOffset::UTC).into()),
    }
}

impl From<ConnectFailure> for PassError {
    fn from(e: ConnectFailure) -> Self {
        Self::Backend(e)
    }
}

impl From<StoreError> for PassError {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}
