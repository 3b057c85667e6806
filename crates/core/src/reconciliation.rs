//! Compares the backend's list of records with what is stored: which rows came over the socket, which were missed, and
//! up to when all is known. It does no I/O: the caller brings the rows and what the store has.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use crate::{AlertId, UnixMillis};

/// Rows that are younger may still be on their way over the socket.
pub const SETTLE: Duration = Duration::from_secs(10);

/// Each time, the list is read again from this long before the checkpoint: rows do not appear in the very order of
/// their times.
const OVERLAP: Duration = Duration::from_secs(120);

/// An alert and its record lie at most this far apart: the backend writes the record after it has sent the alert, and
/// clocks drift.
const SLACK: Duration = Duration::from_secs(300);

/// The user's shops are asked for at least this often, and so a new one is found so late.
pub const SHOPS_INTERVAL: Duration = Duration::from_secs(300);

/// What happened in a new shop so long before the others were known may not have been seen.
const NEW_SHOP_OVERLAP: Duration = Duration::from_secs(2 * SHOPS_INTERVAL.as_secs());

/// The checkpoint moves by at least this much: each time it is written to the disk.
const CHECKPOINT_STEP: Duration = Duration::from_secs(60);

/// What an alert and its record have in common: stream, person and number of the video frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatchKey {
    /// The stream.
    pub stream_id: String,
    /// The person within it.
    pub person_id: i64,
    /// The number of the video frame.
    pub frame_number: Option<i64>,
}

/// A row of the backend's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRow {
    /// Name of the record; for one that the backend cannot show, the name of its place in the list.
    pub record: String,
    /// When it happened, by the backend's clock; for one that it cannot show, a time by which it had.
    pub at: UnixMillis,
    /// What it has in common with its alert. `None` where the backend does not say, or cannot show the row.
    pub key: Option<MatchKey>,
    /// Whether the backend can show it.
    pub readable: bool,
}

/// A stored alert that came over the socket, and of which no record is known or whose record the backend cannot show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// Which.
    pub alert: AlertId,
    /// By what it is found.
    pub key: MatchKey,
    /// Whether it came with a score that is a number. The backend cannot show the record of one that did not.
    pub scored: bool,
    /// The record, where that is known already.
    pub record: Option<String>,
    /// The shop that its stream belongs to, where that is known.
    pub shop: Option<String>,
    /// Whether a row that the backend cannot show has been matched with it.
    pub placed: bool,
}

/// By what rows are judged.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Rows from before this, by the backend's clock, are of no interest.
    pub since: UnixMillis,
    /// Rows from before this, by the backend's clock, come over the socket no more.
    pub settled: UnixMillis,
    /// What the backend's clock shows. A row from after that was written while it was ahead, and waits for nothing.
    pub now: UnixMillis,
    /// This machine's clock minus the backend's, in milliseconds.
    pub skew_ms: i64,
    /// Unreadable rows that were there the last time.
    pub unreadable: HashSet<String>,
    /// The shop whose list it is.
    pub shop: String,
    /// Whether the connection sees no other.
    pub only_shop: bool,
}

/// What follows from a comparison. Rows are named by their index in the list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Rows that were missed, oldest first.
    pub missed: Vec<usize>,
    /// Rows whose alert came over the socket, with that alert.
    pub matched: Vec<(usize, AlertId)>,
    /// Unreadable rows that are there and not known.
    pub unreadable: HashSet<String>,
    /// Something was too young to be judged: the list is to be read again soon.
    pub needs_recheck: bool,
}

/// A comparison that waits for the alerts it is to be made with.
#[derive(Debug)]
pub struct Reconciliation<'a> {
    rows: &'a [ListedRow],
    bounds: Bounds,
    /// Rows that are not stored, oldest first.
    unknown: Vec<usize>,
}

impl<'a> Reconciliation<'a> {
    /// Begins with a list, newest first, and with the records of it that are stored.
    pub fn new(rows: &'a [ListedRow], bounds: Bounds, stored: &HashSet<&str>) -> Self {
        let is_unknown =
            |(_, row): &(usize, &ListedRow)| row.at >= bounds.since && !stored.contains(row.record.as_str());
        let unknown = rows.iter().enumerate().rev().filter(is_unknown);
        Self {
            unknown: unknown.map(|(index, _)| index).collect(),
            rows,
            bounds,
        }
    }

    /// Between which times, by this machine's clock, the alerts were received that are needed; `None` when none are.
    pub fn window(&self) -> Option<(UnixMillis, UnixMillis)> {
        let unknown = || self.unknown.iter().map(|index| &self.rows[*index]);
        let (oldest, newest) = (unknown().next()?.at, unknown().next_back()?.at);
        // Of a row that cannot be shown only the latest possible time is known.
        let oldest = if unknown().any(|row| !row.readable) {
            self.bounds.since.min(oldest)
        } else {
            oldest
        };
        let here = |there: UnixMillis| UnixMillis(there.0.saturating_add(self.bounds.skew_ms));
        Some((here(oldest) - SLACK, here(newest) + SLACK))
    }

    /// Compares the rows with those alerts, which are given oldest first.
    pub fn reconcile(self, unmatched: Vec<Unmatched>) -> Reconciled {
        let mut index = MatchIndex::new(unmatched, self.rows, &self.bounds);
        let mut outcome = Reconciled::default();
        for number in self.unknown {
            let row = &self.rows[number];
            let alert = if row.readable {
                index.take(row)
            } else {
                index.take_unscored()
            };
            if let Some(alert) = alert {
                outcome.matched.push((number, alert));
                continue;
            }
            let settled = if row.readable {
                row.at < self.bounds.settled || row.at > self.bounds.now + SETTLE
            } else {
                outcome.unreadable.insert(row.record.clone());
                self.bounds.unreadable.contains(&row.record)
            };
            if settled {
                outcome.missed.push(number);
            } else {
                outcome.needs_recheck = true;
            }
        }
        outcome
    }
}

/// Alerts that came over the socket and whose records are looked for, oldest first.
struct MatchIndex {
    keyed: HashMap<MatchKey, VecDeque<AlertId>>,
    /// Those without a score whose records are known by name, and which the backend cannot show.
    unscored: VecDeque<AlertId>,
}

impl MatchIndex {
    fn new(unmatched: Vec<Unmatched>, rows: &[ListedRow], bounds: &Bounds) -> Self {
        let readable = rows.iter().filter(|row| row.readable);
        let shown: HashSet<&str> = readable.map(|row| row.record.as_str()).collect();
        let mut index = Self {
            keyed: HashMap::new(),
            unscored: VecDeque::new(),
        };
        for alert in unmatched {
            // Only its notification proves that an alert has a row: it is sent when that is written, and while the backend's
            // database is down there is none. An alert without a row must not hide one that was missed, nor must one of
            // another shop: of the two errors, a placeholder too many is the lesser.
            let record = alert.record.as_deref();
            let hidden = record.is_some_and(|record| !shown.contains(record));
            let of_shop = alert
                .shop
                .as_ref()
                .map_or(bounds.only_shop, |shop| *shop == bounds.shop);
            if !alert.scored && hidden && !alert.placed && of_shop {
                index.unscored.push_back(alert.alert);
            }
            if alert.record.is_none() {
                index.keyed.entry(alert.key).or_default().push_back(alert.alert);
            }
        }
        index
    }

    /// The alert of a row that is shown.
    fn take(&mut self, row: &ListedRow) -> Option<AlertId> {
        self.keyed.get_mut(row.key.as_ref()?)?.pop_front()
    }

    /// The alert of a row that cannot be shown.
    fn take_unscored(&mut self) -> Option<AlertId> {
        self.unscored.pop_front()
    }
}

/// Up to when all is known, by the backend's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint(pub UnixMillis);

impl Checkpoint {
    /// From when the list is to be read, if the backend's clock shows `server_time` and the list was last known so long ago, as
    /// far as that is known.
    pub fn since(self, server_time: UnixMillis, known_before: Duration) -> UnixMillis {
        // A clock that was ahead, and is right again, would hide all rows until it is there once more, and those that were
        // recorded by the right one before it was looked at.
        self.0.min(server_time - SETTLE - OVERLAP - known_before)
    }

    /// From when a shop without a checkpoint is to be read, if the connection has `others`: it is new, and what happened there
    /// since shops were last looked for has been seen by no one. `None` where there are none, for what was before the hub came is
    /// not its own.
    pub fn of_new_shop(others: impl IntoIterator<Item = UnixMillis>) -> Option<Self> {
        let newest = others.into_iter().max()?;
        Some(Self(newest - NEW_SHOP_OVERLAP))
    }

    /// Where the checkpoint is to be set after a pass that knows all rows up to `known_to`, which is `server_time` unless there
    /// were too many; `None` where it is. `previous` is `None` the first time.
    pub fn after(previous: Option<Self>, known_to: UnixMillis, server_time: UnixMillis) -> Option<Self> {
        let Some(previous) = previous else {
            return Some(Self(server_time));
        };
        let next = Self(known_to.min(server_time - SETTLE - OVERLAP));
        // The rows beyond those that were too many are read next, however close they are.
        let truncated = known_to < server_time && next.0 > previous.0;
        let behind = next.0 >= previous.0 + CHECKPOINT_STEP;
        let ahead = previous.0 > server_time;
        (truncated || behind || ahead).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis(seconds * 1_000)
    }

    fn key(stream: &str, frame: i64) -> MatchKey {
        MatchKey {
            stream_id: stream.to_owned(),
            person_id: 1,
            frame_number: Some(frame),
        }
    }

    fn row(record: &str, seconds: i64, frame: i64) -> ListedRow {
        ListedRow {
            record: record.to_owned(),
            at: at(seconds),
            key: Some(key("door", frame)),
            readable: true,
        }
    }

    fn hidden(place: &str, seconds: i64) -> ListedRow {
        ListedRow {
            record: place.to_owned(),
            at: at(seconds),
            key: None,
            readable: false,
        }
    }

    fn came(id: u64, frame: i64, scored: bool) -> Unmatched {
        Unmatched {
            alert: AlertId(id),
            key: key("door", frame),
            scored,
            record: None,
            shop: None,
            placed: false,
        }
    }

    fn bounds() -> Bounds {
        Bounds {
            since: at(NOW - 3_600),
            settled: at(NOW - 10),
            now: at(NOW),
            skew_ms: 0,
            unreadable: HashSet::new(),
            shop: "corner".to_owned(),
            only_shop: true,
        }
    }

    fn reconcile(rows: &[ListedRow], bounds: Bounds, stored: &[&str], came: Vec<Unmatched>) -> Reconciled {
        Reconciliation::new(rows, bounds, &stored.iter().copied().collect()).reconcile(came)
    }

    #[test]
    fn rows_are_stored_matched_missed_or_too_young() {
        let rows = [
            row("young", NOW - 5, 9),
            row("came", NOW - 20, 2),
            row("missed", NOW - 30, 3),
            row("stored", NOW - 40, 4),
            row("old", NOW - 4_000, 5),
        ];
        let outcome = reconcile(&rows, bounds(), &["stored"], vec![came(7, 2, true)]);
        assert_eq!(outcome.matched, [(1, AlertId(7))]);
        assert_eq!(outcome.missed, [2]);
        assert!(outcome.needs_recheck);
    }

    #[test]
    fn rows_from_a_time_when_the_backends_clock_was_ahead_are_missed_at_once() {
        let rows = [row("ahead", NOW + 3_000, 1)];
        let outcome = reconcile(&rows, bounds(), &[], Vec::new());
        assert_eq!(outcome.missed, [0]);
        assert!(!outcome.needs_recheck);
    }

    #[test]
    fn the_window_holds_what_may_belong_to_the_rows_by_this_clock() {
        let rows = [row("b", NOW - 20, 2), row("a", NOW - 100, 1)];
        let skewed = Bounds {
            skew_ms: 5_000,
            ..bounds()
        };
        let window = |rows: &[ListedRow]| Reconciliation::new(rows, skewed.clone(), &HashSet::new()).window();
        assert_eq!(window(&rows), Some((at(NOW - 395), at(NOW + 285))));
        assert_eq!(window(&[]), None);
        assert_eq!(
            window(&[hidden("after:x:1", NOW - 20)]),
            Some((at(NOW - 3_895), at(NOW + 285)))
        );
    }

    #[test]
    fn two_alerts_of_one_key_belong_to_two_rows_in_order() {
        let rows = [row("second", NOW - 20, 2), row("first", NOW - 21, 2)];
        let outcome = reconcile(&rows, bounds(), &[], vec![came(1, 2, true), came(2, 2, true)]);
        assert_eq!(outcome.matched, [(1, AlertId(1)), (0, AlertId(2))]);
        assert_eq!(outcome.missed, [0; 0]);
    }

    /// One without a score, of whose record a notification has said the name.
    fn named(id: u64, frame: i64, record: &str) -> Unmatched {
        Unmatched {
            record: Some(record.to_owned()),
            ..came(id, frame, false)
        }
    }

    #[test]
    fn a_hidden_row_belongs_to_an_alert_without_a_score_whose_record_is_not_shown() {
        let rows = [row("shown", NOW - 20, 2), hidden("after:a:1", NOW - 30)];
        let unscored = vec![came(1, 2, false), named(2, 3, "hidden")];
        let outcome = reconcile(&rows, bounds(), &[], unscored);
        assert_eq!(outcome.matched, [(1, AlertId(2)), (0, AlertId(1))]);
        let outcome = reconcile(&rows[1..], bounds(), &[], vec![came(2, 3, false)]);
        assert_eq!(outcome.matched, [], "it may have no row");
        let shown = reconcile(&rows, bounds(), &["shown"], vec![named(2, 3, "shown")]);
        assert_eq!(shown.matched, [], "its row is another one");
        let placed = Unmatched {
            placed: true,
            ..named(2, 3, "hidden")
        };
        let outcome = reconcile(&rows[1..], bounds(), &[], vec![placed]);
        assert_eq!(outcome.matched, [], "it has its place already");
    }

    #[test]
    fn a_hidden_row_never_takes_an_alert_of_another_shop() {
        let rows = [hidden("after:a:1", NOW - 30)];
        let several = Bounds {
            only_shop: false,
            ..bounds()
        };
        let of = |shop: Option<&str>| Unmatched {
            shop: shop.map(str::to_owned),
            ..named(1, 2, "hidden")
        };
        for (bounds, shop, matched) in [
            (&several, Some("corner"), true),
            (&several, Some("harbour"), false),
            (&several, None, false),
            (&bounds(), None, true),
            (&bounds(), Some("harbour"), false),
        ] {
            let outcome = reconcile(&rows, bounds.clone(), &[], vec![of(shop)]);
            assert_eq!(!outcome.matched.is_empty(), matched, "{shop:?}");
        }
    }

    #[test]
    fn a_hidden_row_is_missed_when_it_is_there_a_second_time() {
        let rows = [hidden("after:a:1", NOW - 30)];
        let first = reconcile(&rows, bounds(), &[], Vec::new());
        assert!(first.needs_recheck && first.missed.is_empty());
        let again = Bounds {
            unreadable: first.unreadable,
            ..bounds()
        };
        let second = reconcile(&rows, again, &[], Vec::new());
        assert!(!second.needs_recheck);
        assert_eq!(second.missed, [0]);
    }

    #[test]
    fn the_checkpoint_follows_the_backends_clock_in_both_directions() {
        let after = |previous: Option<i64>| {
            Checkpoint::after(previous.map(|at_| Checkpoint(at(at_))), at(NOW), at(NOW))
        };
        assert_eq!(after(None), Some(Checkpoint(at(NOW))));
        assert_eq!(after(Some(NOW - 600)), Some(Checkpoint(at(NOW - 130))));
        assert_eq!(after(Some(NOW - 100)), None);
        // The clock was an hour ahead when the checkpoint was set, and is right again.
        let ahead = Checkpoint(at(NOW + 3_470));
        assert_eq!(ahead.since(at(NOW), Duration::ZERO), at(NOW - 130));
        assert_eq!(ahead.since(at(NOW), Duration::from_secs(300)), at(NOW - 430));
        assert_eq!(after(Some(NOW + 3_470)), Some(Checkpoint(at(NOW - 130))));
    }

    #[test]
    fn a_list_that_was_too_long_moves_the_checkpoint_as_far_as_it_is_known_however_little_that_is() {
        let after = |known_to| Checkpoint::after(Some(Checkpoint(at(NOW - 600))), at(known_to), at(NOW));
        assert_eq!(after(NOW - 599), Some(Checkpoint(at(NOW - 599))));
        assert_eq!(after(NOW - 600), None);
        assert_eq!(
            after(NOW - 5),
            Some(Checkpoint(at(NOW - 130))),
            "they may still come"
        );
    }

    #[test]
    fn a_new_shop_is_read_from_when_the_others_are_known_and_the_first_ones_from_now() {
        let new = Checkpoint::of_new_shop([at(NOW - 9_000), at(NOW - 130)]);
        assert_eq!(new, Some(Checkpoint(at(NOW - 730))));
        assert_eq!(Checkpoint::of_new_shop([]), None);
    }
}
