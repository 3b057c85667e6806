//! Reads the backend's list of anomalies back to a point in time. The list has no cursor: its pages shift as rows are
//! added. A row with an infinite score makes every page that holds it an HTTP 500, so pages are halved until it stands
//! alone. Most rows are those of alerts that are stored with their record: of these, no more than the name is kept, so that
//! a pass over many thousands needs little memory.

#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher as _;
use std::time::Duration;

use watchpost_core::{Checkpoint, ConnectFailure, FailureKind, ListedRow, MatchKey, Secret, UnixMillis};
use watchpost_store::PLACE_PREFIX;
use watchpost_visionguard::calls::cannot_be_shown;
use watchpost_visionguard::rest::{Anomaly, AnomalyPage};

use super::super::api::Answered;
use super::super::context::ConnectionContext;
use super::pass::PassError;
use crate::store::ReadError;

/// Rows on a page; the backend allows 500.
const PAGE_ROWS: u16 = 100;

/// Rows that are looked at first, and then: where little happens, the last one of them is old, and no more is read.
const FIRST_ROWS: [u16; 2] = [5, 25];

/// Rows by which a page overlaps the one before it, in case rows were removed meanwhile.
const OVERLAP_ROWS: u64 = 5;

/// Rows that one pass takes, the oldest ones: a hub that was away for months catches up in several.
const MAX_ROWS: usize = 20_000;

/// Bytes of answers whose rows one pass holds: some kilobytes a row, and notes may be long.
const MAX_KEPT_BYTES: usize = 64 << 20;

/// Rows that are looked at in one reading of the list, and how often it is asked for some: more is a list without end.
const MAX_SEEN_ROWS: usize = 500_000;
const MAX_REQUESTS: u32 = 20_000;

/// The list is read again when it changed while it had to be taken apart, but not more often than this.
const MAX_READINGS: u32 = 5;

/// A row of the list.
#[derive(Clone, Debug)]
pub(super) enum Row {
    /// The backend shows it.
    Shown(Shown),
    /// It does not. `place` names it, the same each time; it was recorded by `newest`.
    Unreadable { place: String, newest: UnixMillis },
}

/// A row that the backend shows, as it is kept.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    /// It may have been missed.
    Whole(Box<Anomaly>),
    /// It was stored when its page was read: it is neither missed nor looked for. `at` is when it happened, where it says.
    Stored { record: String, at: Option<UnixMillis> },
}

impl Row {
    /// Whether it needs no looking up any more.
    pub(super) fn is_stored(&self) -> bool {
        matches!(self, Self::Shown(Shown::Stored { .. }))
    }

    /// What the comparison needs of it; `otherwise` is when it happened where the row does not say.
    pub(super) fn listed(&self, otherwise: UnixMillis) -> ListedRow {
        match self {
            Self::Shown(shown) => ListedRow {
                record: shown.record().to_owned(),
                at: shown.at().unwrap_or(otherwise),
                key: shown.key(),
                readable: true,
            },
            Self::Unreadable { place, newest } => ListedRow {
                record: place.clone(),
                at: *newest,
                key: None,
                readable: false,
            },
        }
    }
}

/// What was read, newest first.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) rows: Vec<Row>,
    /// The backend's time when it was asked.
    pub(super) server_time: Option<UnixMillis>,
    /// Records on the pages that were read, older ones too, that a person has judged in the backend.
    pub(super) judged: Vec<String>,
    /// When there were more rows than one pass takes: the time of the newest of those that were kept.
    pub(super) known_to: Option<UnixMillis>,
}

/// The list of one shop, as it is asked for, and what is stored of it.
pub(super) trait ShopList {
    /// A page, newest first.
    async fn page(&self, limit: u16, offset: u64) -> Result<Answered<AnomalyPage>, ConnectFailure>;

    /// How long ago it was last known.
    fn known_before(&self) -> Duration;

    /// Whether the backend's database works.
    async fn can_count(&self) -> Result<(), ConnectFailure>;

    /// Which of these records belong to a stored alert.
    async fn stored(&self, records: Vec<String>) -> Result<HashSet<String>, ReadError>;
}

/// The list at the backend.
pub(super) struct BackendList<'a> {
    pub(super) context: &'a ConnectionContext,
    pub(super) token: &'a Secret,
    pub(super) shop_id: &'a str,
    pub(super) known_before: Duration,
}

impl ShopList for BackendList<'_> {
    async fn page(&self, limit: u16, offset: u64) -> Result<Answered<AnomalyPage>, ConnectFailure> {
        let asked = self.context.clock.unix();
        let api = &self.context.api;
        let answer = api.anomalies(self.token, self.shop_id, limit, offset).await?;
        self.context.saw_clock(asked, answer.server_time);
        Ok(answer)
    }

    fn known_before(&self) -> Duration {
        self.known_before
    }

    async fn can_count(&self) -> Result<(), ConnectFailure> {
        self.context.api.can_count(self.token, self.shop_id).await
    }

    async fn stored(&self, records: Vec<String>) -> Result<HashSet<String>, ReadError> {
        let readers = &self.context.readers;
        readers.read(move |reader| reader.known_records(records)).await
    }
}

/// Reads a shop's rows since the checkpoint; without one, no more than it takes to learn the backend's time. `thorough` reads
/// more than it takes.
///
/// # Errors
/// When the backend does not answer, or cannot show anything at all, or the store cannot be read.
pub(super) async fn list(
    shop: &impl ShopList,
    shop_id: &str,
    checkpoint: Option<Checkpoint>,
    thorough: bool,
) -> Result<Listing, PassError> {
    let mut reading = 1;
    loop {
        let mut pages = Pages {
            shop,
            total: None,
            shifted: false,
            counted: false,
            server_time: None,
            dropped: false,
            requests: 0,
            page_bytes: 0,
            judged: Vec::new(),
        };
        let mut raw = None;
        if !thorough {
            for limit in FIRST_ROWS {
                raw = pages.read_newest(limit, checkpoint).await?;
                if raw.is_some() {
                    break;
                }
            }
        }
        let raw = match raw {
            Some(raw) => raw,
            None => pages.read(checkpoint).await?,
        };
        // Places are certain only in a list that stands still.
        if !pages.shifted || raw.iter().all(Option::is_some) || reading == MAX_READINGS {
            let known_to = raw.iter().flatten().find_map(Shown::at).filter(|_| pages.dropped);
            return Ok(Listing {
                rows: placed(raw, shop_id, pages.server_time, pages.shifted),
                server_time: pages.server_time,
                judged: pages.judged,
                known_to,
            });
        }
        reading += 1;
    }
}

fn happened(anomaly: &Anomaly) -> Option<UnixMillis> {
    anomaly.happened().map(UnixMillis::from)
}

impl Shown {
    fn record(&self) -> &str {
        match self {
            Self::Whole(anomaly) => &anomaly.id,
            Self::Stored { record, .. } => record,
        }
    }

    fn at(&self) -> Option<UnixMillis> {
        match self {
            Self::Whole(anomaly) => happened(anomaly),
            Self::Stored { at, .. } => *at,
        }
    }

    /// By what its alert is found; that of a stored one is known.
    fn key(&self) -> Option<MatchKey> {
        let Self::Whole(anomaly) = self else { return None };
        Some(MatchKey {
            stream_id: anomaly.stream_id()?.to_owned(),
            person_id: anomaly.person_id().unwrap_or(0),
            frame_number: anomaly.frame_number(),
        })
    }
}

struct Pages<'a, L> {
    shop: &'a L,
    total: Option<u64>,
    /// The list changed while it was read.
    shifted: bool,
    /// The backend has shown that its database works.
    counted: bool,
    server_time: Option<UnixMillis>,
    /// The newest rows were dropped, because there were too many.
    dropped: bool,
    /// How often the list was asked for.
    requests: u32,
    /// Length of the answers that the last page is of.
    page_bytes: usize,
    judged: Vec<String>,
}

/// The rows that are kept of a list, the oldest ones.
#[derive(Debug, Default)]
struct Kept {
    rows: VecDeque<(Option<Shown>, usize)>,
    bytes: usize,
}

impl Kept {
    /// Takes the next older row, which is of so many bytes. Whether newer ones had to go for it.
    fn push(&mut self, row: Option<Shown>, bytes: usize) -> bool {
        self.rows.push_back((row, bytes));
        self.bytes += bytes;
        let mut dropped = false;
        while self.rows.len() > MAX_ROWS || self.bytes > MAX_KEPT_BYTES && self.rows.len() > 1 {
            let first = self.rows.pop_front();
            self.bytes -= first.map_or(0, |(_, bytes)| bytes);
            dropped = true;
        }
        dropped
    }

    fn into_rows(self) -> Vec<Option<Shown>> {
        self.rows.into_iter().map(|(row, _)| row).collect()
    }
}

impl<L: ShopList> Pages<'_, L> {
    /// So many of the newest rows, if they reach back to the checkpoint.
    async fn read_newest(
        &mut self,
        limit: u16,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Option<Vec<Option<Shown>>>, PassError> {
        let mut page = self.page(0, limit).await?;
        let since = self.since(checkpoint);
        let is_old = |row: &Option<Anomaly>| {
            let at = row.as_ref().and_then(happened);
            at.is_some_and(|at| at < since)
        };
        match page.iter().position(is_old) {
            Some(first) => page.truncate(first + 1),
            None if page.len() < usize::from(limit) => {}
            None => return Ok(None),
        }
        let mut seen = HashSet::new();
        let mut rows = self.without_stored(page, since).await?;
        rows.retain(|row| {
            row.as_ref()
                .is_none_or(|shown| seen.insert(shown.record().to_owned()))
        });
        Ok(Some(rows))
    }

    /// From when rows are of interest.
    fn since(&self, checkpoint: Option<Checkpoint>) -> UnixMillis {
        checkpoint.map_or(UnixMillis(i64::MAX), |checkpoint| {
            let server_time = self.server_time.unwrap_or(checkpoint.0);
            checkpoint.since(server_time, self.shop.known_before())
        })
    }

    /// Rows from the newest to the first one before the checkpoint, that one included; `None` for one that is not shown.
    async fn read(&mut self, checkpoint: Option<Checkpoint>) -> Result<Vec<Option<Shown>>, PassError> {
        let mut kept = Kept::default();
        // By their hashes: an id is as long as the backend likes.
        let (mut seen, hasher) = (HashSet::new(), RandomState::new());
        let mut rows_seen = 0;
        let mut whole = true;
        let mut offset = 0_u64;
        loop {
            let page = self.page(offset, PAGE_ROWS).await?;
            let since = self.since(checkpoint);
            let last = page.len() < usize::from(PAGE_ROWS);
            let row_bytes = self.page_bytes / page.len().max(1);
            rows_seen += page.len();
            let mut advanced = false;
            for row in self.without_stored(page, since).await? {
                let (mut old, mut bytes) = (false, row_bytes);
                if let Some(shown) = &row {
                    if !seen.insert(hasher.hash_one(shown.record())) {
                        continue;
                    }
                    old = shown.at().is_some_and(|at| at < since);
                    if let Shown::Stored { record, .. } = shown {
                        bytes = record.len();
                    }
                }
                advanced = true;
                whole &= row.is_some();
                self.dropped |= kept.push(row, bytes);
                if old {
                    return Ok(kept.into_rows());
                }
            }
            // A page without a new row: the list does not end, or shrinks as fast as it is read.
            if last || !advanced {
                return Ok(kept.into_rows());
            }
            if rows_seen > MAX_SEEN_ROWS {
                return Err(endless().into());
            }
            // Rows that cannot be shown cannot be distinguished, so pages that hold some do not overlap.
            offset += u64::from(PAGE_ROWS) - if whole { OVERLAP_ROWS } else { 0 };
        }
    }

    /// Lets go of the rows of a page that are stored. What happened before `since` is not compared.
    async fn without_stored(
        &self,
        page: Vec<Option<Anomaly>>,
        since: UnixMillis,
    ) -> Result<Vec<Option<Shown>>, ReadError> {
        let compared = page
            .iter()
            .flatten()
            .filter(|anomaly| happened(anomaly).is_none_or(|at| at >= since));
        let records: Vec<String> = compared.map(|anomaly| anomaly.id.clone()).collect();
        let mut stored = HashSet::new();
        if !records.is_empty() {
            stored = self.shop.stored(records).await?;
        }
        let mut keep = |anomaly: Anomaly| match stored.take(&anomaly.id) {
            Some(record) => Shown::Stored {
                record,
                at: happened(&anomaly),
            },
            None => Shown::Whole(Box::new(anomaly)),
        };
        Ok(page.into_iter().map(|row| row.map(&mut keep)).collect())
    }

    /// One page, taken apart as far as needed.
    async fn page(&mut self, offset: u64, limit: u16) -> Result<Vec<Option<Anomaly>>, ConnectFailure> {
        let mut rows = Vec::new();
        let mut spans = vec![(offset, limit)];
        self.page_bytes = 0;
        while let Some((offset, limit)) = spans.pop() {
            self.requests += 1;
            if self.requests > MAX_REQUESTS {
                return Err(endless());
            }
            match self.shop.page(limit, offset).await {
                Ok(answer) => {
                    self.page_bytes += answer.bytes;
                    self.server_time = self.server_time.or(answer.server_time);
                    let page = answer.value;
                    self.shifted |= self.total.is_some_and(|total| total != page.total);
                    self.total = Some(page.total);
                    let whole = page.anomalies.len() >= usize::from(limit);
                    let readable = page.anomalies.iter().flatten();
                    let judged = readable.filter(|anomaly| anomaly.is_judged());
                    let room = MAX_ROWS.saturating_sub(self.judged.len());
                    self.judged
                        .extend(judged.take(room).map(|anomaly| anomaly.id.clone()));
                    rows.extend(page.anomalies);
                    if !whole {
                        break;
                    }
                }
                Err(e) if cannot_be_shown(&e) && limit > 1 => {
                    let half = limit / 2;
                    spans.push((offset + u64::from(half), limit - half));
                    spans.push((offset, half));
                }
                Err(e) if cannot_be_shown(&e) => {
                    // Without its database the backend answers so to everything.
                    if !self.counted {
                        self.shop.can_count().await?;
                        self.counted = true;
                    }
                    rows.push(None);
                }
                Err(e) => return Err(e),
            }
        }
        Ok(rows)
    }
}

fn endless() -> ConnectFailure {
    ConnectFailure {
        kind: FailureKind::Http(200),
        detail: format!(
            "the list of anomalies does not end: more than {MAX_SEEN_ROWS} rows or {MAX_REQUESTS} requests"
        ),
    }
}

/// Names the rows that are not shown by the next older one that is, which stays what it is when rows are added, or by the
/// shop where there is none.
fn placed(
    raw: Vec<Option<Shown>>,
    shop_id: &str,
    server_time: Option<UnixMillis>,
    shifted: bool,
) -> Vec<Row> {
    let mut rows = Vec::with_capacity(raw.len());
    let mut newest = server_time.unwrap_or_default();
    let mut hidden = 0_usize;
    for shown in raw {
        let Some(shown) = shown else {
            hidden += 1;
            continue;
        };
        rows.extend(places(shown.record(), hidden, newest, shifted));
        hidden = 0;
        newest = shown.at().unwrap_or(newest);
        rows.push(Row::Shown(shown));
    }
    rows.extend(places(shop_id, hidden, newest, shifted));
    rows
}

fn places(after: &str, hidden: usize, newest: UnixMillis, shifted: bool) -> impl Iterator<Item = Row> {
    // Counted from the older end, because that is where none is added.
    let hidden = if shifted { 0 } else { hidden };
    let after = after.to_owned();
    (1..=hidden).rev().map(move |number| Row::Unreadable {
        place: format!("{PLACE_PREFIX}{after}:{number}"),
        newest,
    })
}
