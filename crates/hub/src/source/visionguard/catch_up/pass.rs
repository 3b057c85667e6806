//! One pass: reads the list of each shop, has it compared with the store, and stores what was missed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;
use std::time::Duration;

use actix::Recipient;
use tokio::time::sleep;
use watchpost_core::{
    AlertId, Bounds, Checkpoint, ConnectFailure, FailureKind, ListedRow, MonotonicTime, Reconciled,
    Reconciliation, SETTLE, UnixMillis, Unmatched, Via,
};
use watchpost_store::{Annotation, PLACE_PREFIX, Reader, ShopCheckpoint, StoreError};

use super::super::super::IncomingAlert;
use super::super::context::ConnectionContext;
use super::super::credentials::Session;
use super::listing::{BackendList, Listing, Row, Shown, list};
use super::unstored::{InHand, Unstored};
use super::{Missed, annotation, record};
use crate::store::ReadError;

/// While the connection's budget is spent, it is asked this often whether there is room.
const ROOM_INTERVAL: Duration = Duration::from_millis(200);

/// In the place of a shop: up to when it is known that the account sees none.
const NO_SHOP: &str = "";

/// What a pass works with.
pub(super) struct Pass {
    pub(super) context: Rc<ConnectionContext>,
    pub(super) session: RefCell<Session>,
    /// How long the socket has been open, if it is: what happened before cannot come over it any more.
    pub(super) open_for: Option<Duration>,
    /// How old a row has to be that the socket has not brought.
    pub(super) settle: Duration,
    /// The user's shops, where they are known.
    pub(super) shops: Option<Vec<String>>,
    /// More than the newest rows are read, for what a person has judged among them.
    pub(super) thorough: bool,
    pub(super) unstored: Unstored,
    pub(super) known: KnownLists,
    pub(super) unreadable: HashSet<String>,
    pub(super) to: Recipient<Missed>,
}

/// When the list of each shop was last known. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownLists(Rc<RefCell<BTreeMap<String, MonotonicTime>>>);

impl KnownLists {
    fn at(&self, shop: &str) -> Option<MonotonicTime> {
        self.0.borrow().get(shop).copied()
    }

    fn note(&self, shop: &str, at: MonotonicTime) {
        self.0.borrow_mut().insert(shop.to_owned(), at);
    }

    /// Forgets shops that there are no more.
    pub(super) fn retain(&self, shops: &[String]) {
        self.0.borrow_mut().retain(|shop, _| shops.contains(shop));
    }
}

/// How a pass went.
#[derive(Debug, Default)]
pub(super) struct PassReport {
    /// The shops whose lists were read.
    pub(super) shops: Vec<String>,
    /// Alerts that were fetched.
    pub(super) missed: usize,
    /// The streams of those of them that happened while the socket was open.
    pub(super) missed_live: BTreeSet<String>,
    /// Something was too young to be judged.
    pub(super) needs_recheck: bool,
    /// Why the list of a shop could not be read, while others could.
    pub(super) failure: Option<ConnectFailure>,
    /// There were more rows than one pass takes.
    pub(super) has_more: bool,
    /// Unreadable rows that are there and not known.
    pub(super) unreadable: HashSet<String>,
    /// Alerts that rows were matched with, which the store may not show yet: no row of another shop is theirs too.
    matched: HashSet<AlertId>,
}

/// Why a pass failed.
#[derive(Debug)]
pub(super) enum PassError {
    Backend(ConnectFailure),
    Store(ReadError),
}

impl Pass {
    pub(super) async fn run(self) -> Result<PassReport, PassError> {
        let name = self.context.name().to_owned();
        let checkpoints = self
            .context
            .readers
            .read(move |reader| reader.checkpoints(&name))
            .await?;
        let mut report = PassReport {
            shops: self.shops(&checkpoints).await?,
            ..PassReport::default()
        };
        let (mut failed, several) = (0, report.shops.len() > 1);
        for shop in report.shops.clone() {
            let others = || checkpoints.values().copied();
            let checkpoint = checkpoints
                .get(&shop)
                .map(|at| Checkpoint(*at))
                .or_else(|| Checkpoint::of_new_shop(others()));
            match self.shop(&shop, checkpoint, &mut report).await {
                Ok(()) => {}
                // What keeps one shop from being read may not keep the others.
                Err(PassError::Backend(e)) if several && !e.kind.ends_session() => {
                    failed += 1;
                    let detail = format!("shop {shop}: {}", e.detail);
                    report.failure = Some(ConnectFailure { detail, ..e });
                }
                Err(e) => return Err(e),
            }
        }
        match report.failure.take_if(|_| failed == report.shops.len()) {
            Some(failure) => Err(failure.into()),
            None => Ok(report),
        }
    }

    /// Brings the store up to what the list of one shop says.
    async fn shop(
        &self,
        shop: &str,
        checkpoint: Option<Checkpoint>,
        report: &mut PassReport,
    ) -> Result<(), PassError> {
        let asked = self.context.clock.both();
        let token = self.session.borrow().token.clone();
        let known_before = self.known.at(shop).map(|at| asked.monotonic.since(at));
        let known_before = known_before.unwrap_or_default();
        let at_backend = BackendList {
            context: &self.context,
            token: &token,
            shop_id: shop,
            known_before,
        };
        let mut listing = list(&at_backend, shop, checkpoint, self.thorough).await?;
        let server_time = listing.server_time.unwrap_or(asked.unix);
        // Of a list that was too long, only the oldest rows are known.
        let known_to = listing.known_to.unwrap_or(server_time);
        let has_more = listing.known_to.is_some();
        report.has_more |= has_more;
        if self.context.settings.read_back {
            let judged = std::mem::take(&mut listing.judged);
            self.context.acknowledge_judged(judged).await?;
        }
        if let Some(checkpoint) = checkpoint {
            let unsettled = self
                .reconcile(
                    shop,
                    listing,
                    checkpoint.since(server_time, known_before),
                    server_time,
                    report,
                )
                .await?;
            // Rows that are to be judged the next time must be read again.
            if unsettled {
                return Ok(());
            }
        }
        self.set_checkpoint(shop, Checkpoint::after(checkpoint, known_to, server_time));
        if !has_more {
            self.known.note(shop, asked.monotonic);
        }
        Ok(())
    }

    /// The shops whose lists are to be read.
    async fn shops(&self, checkpoints: &BTreeMap<String, UnixMillis>) -> Result<Vec<String>, PassError> {
        let configured = &self.context.settings.backfill.shop_ids;
        if !configured.is_empty() {
            return Ok(configured.clone());
        }
        if let Some(shops) = &self.shops {
            return Ok(shops.clone());
        }
        let token = self.session.borrow().token.clone();
        let asked = self.context.clock.unix();
        let answer = self.context.api.shops(&token).await?;
        if answer.value.is_empty() {
            // What happens in a shop that is made later counts from here on.
            let previous = checkpoints.get(NO_SHOP).map(|at| Checkpoint(*at));
            let now = answer.server_time.unwrap_or(asked);
            self.set_checkpoint(NO_SHOP, Checkpoint::after(previous, now, now));
            return Err(ConnectFailure {
                kind: FailureKind::NoShop,
                detail: "the account sees none, so that nothing can be fetched".to_owned(),
            }
            .into());
        }
        Ok(answer.value.into_iter().map(|shop| shop.id).collect())
    }

    fn set_checkpoint(&self, shop: &str, checkpoint: Option<Checkpoint>) {
        if let Some(Checkpoint(at)) = checkpoint {
            self.context.store.checkpoint(ShopCheckpoint {
                connection: self.context.name().to_owned(),
                shop: shop.to_owned(),
                at,
            });
        }
    }

    /// Compares a list with the store, annotates the alerts that came, and stores those that did not. Returns whether there are
    /// rows that cannot be shown and are judged the next time.
    async fn reconcile(
        &self,
        shop: &str,
        listing: Listing,
        since: UnixMillis,
        server_time: UnixMillis,
        report: &mut PassReport,
    ) -> Result<bool, PassError> {
        // The header `Date` has whole seconds.
        let opened = self
            .open_for
            .map(|open| server_time - open - Duration::from_secs(2));
        let settled = (server_time - self.settle).max(opened.unwrap_or_default());
        let bounds = Bounds {
            since,
            settled,
            now: server_time,
            skew_ms: self.context.skew.get().unwrap_or_default().ahead_ms(),
            unreadable: self.unreadable.clone(),
            shop: shop.to_owned(),
            only_shop: report.shops.len() == 1,
        };
        let listed: Vec<_> = listing.rows.iter().map(|row| row.listed(settled)).collect();
        let known: Vec<_> = listing.rows.iter().map(Row::is_stored).collect();
        let name = self.context.name().to_owned();
        // Before the store is read, so that none is in neither.
        let in_hand = self.unstored.in_hand();
        let taken = report.matched.clone();
        let (listed, outcome) = self
            .context
            .readers
            .read(move |reader| {
                let rows = Rows {
                    listed: &listed,
                    known: &known,
                };
                let outcome = compare(reader, &name, rows, bounds, &in_hand, &taken)?;
                Ok((listed, outcome))
            })
            .await?;
        for (row, alert) in outcome.matched {
            report.matched.insert(alert);
            self.context.store.annotate(match &listing.rows[row] {
                Row::Shown(Shown::Whole(anomaly)) => Annotation {
                    shop_id: anomaly.shop_id.clone(),
                    occurred_at: Some(self.context.ours(listed[row].at)),
                    ..annotation(alert, &anomaly.id)
                },
                Row::Shown(Shown::Stored { record: name, .. }) | Row::Unreadable { place: name, .. } => {
                    annotation(alert, name)
                }
            });
        }
        report.missed += outcome.missed.len();
        if let Some(opened) = opened {
            // What happened around the opening may have been sent before it.
            let missed = outcome.missed.iter().map(|row| &listed[*row]);
            let live = missed.filter(|row| row.readable && row.at > opened + SETTLE);
            let streams = live.filter_map(|row| Some(row.key.as_ref()?.stream_id.clone()));
            report.missed_live.extend(streams);
        }
        report.needs_recheck |= outcome.needs_recheck;
        let unsettled = !outcome.unreadable.is_empty();
        report.unreadable.extend(outcome.unreadable);
        for row in outcome.missed {
            self.store(&listing.rows[row]).await;
        }
        Ok(unsettled)
    }

    /// Stores an alert that was missed.
    async fn store(&self, row: &Row) {
        let context = &self.context;
        let incoming = match row {
            Row::Shown(Shown::Stored { .. }) => return,
            Row::Unreadable { place, newest } => record::unreadable(context, place, *newest),
            Row::Shown(Shown::Whole(anomaly)) => record::incoming(context, anomaly, Via::List),
        };
        let mut waiting: Option<Box<IncomingAlert<String>>> = Some(Box::new(incoming));
        while let Some(incoming) = waiting.take() {
            // The connection ends a pass with itself, so it is always there to answer.
            waiting = self.to.send(Missed(incoming)).await.unwrap_or_default();
            if waiting.is_some() {
                sleep(ROOM_INTERVAL).await;
            }
        }
    }
}

/// What is compared.
#[derive(Clone, Copy)]
struct Rows<'a> {
    listed: &'a [ListedRow],
    /// Whether each was found in the store before.
    known: &'a [bool],
}

/// Brings the reconciliation what the store has, and what it has in hand.
fn compare(
    reader: &mut Reader,
    connection: &str,
    rows: Rows<'_>,
    bounds: Bounds,
    in_hand: &InHand,
    taken: &HashSet<AlertId>,
) -> Result<Reconciled, StoreError> {
    let mut stored = in_hand.records();
    for (row, known) in rows.listed.iter().zip(rows.known) {
        if *known || row.at >= bounds.since && reader.of_anomaly(&row.record)?.is_some() {
            stored.insert(row.record.as_str());
        }
    }
    let now = UnixMillis(bounds.now.0.saturating_add(bounds.skew_ms));
    let reconciliation = Reconciliation::new(rows.listed, bounds, &stored);
    let Some((from, to)) = reconciliation.window() else {
        return Ok(Reconciled::default());
    };
    let mut unmatched = Vec::new();
    for alert in reader.unmatched(connection, from, to, now)? {
        let of_a_place = alert
            .anomaly_id
            .as_deref()
            .is_some_and(|record| record.starts_with(PLACE_PREFIX));
        unmatched.push(Unmatched {
            placed: of_a_place || (!alert.scored && reader.has_place(alert.alert)?),
            alert: alert.alert,
            key: watchpost_core::MatchKey {
                stream_id: alert.stream_id,
                person_id: alert.person_id,
                frame_number: alert.frame_number,
            },
            scored: alert.scored,
            shop: alert.shop_id,
            record: alert.anomaly_id,
        });
    }
    let mut unmatched = in_hand.join(connection, unmatched, reader)?;
    unmatched.retain(|alert| !taken.contains(&alert.alert));
    Ok(reconciliation.reconcile(unmatched))
}

impl From<ConnectFailure> for PassError {
    fn from(e: ConnectFailure) -> Self {
        Self::Backend(e)
    }
}

impl From<ReadError> for PassError {
    fn from(e: ReadError) -> Self {
        Self::Store(e)
    }
}
