//! Lists as backends have them, without one.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::cell::Cell;

use super::*;

fn row(id: &str, second: u32) -> Option<Anomaly> {
    let json = serde_json::json!({ "id": id, "timestamp": format!("2026-11-23T01:00:{second:02}") });
    Some(serde_json::from_value(json).unwrap())
}

fn whole(anomaly: Anomaly) -> Shown {
    Shown::Whole(Box::new(anomaly))
}

fn shown(raw: Vec<Option<Anomaly>>) -> Vec<String> {
    let raw = raw.into_iter().map(|row| row.map(whole)).collect();
    let rows = placed(raw, "shop", Some(UnixMillis(0)), false);
    rows.into_iter()
        .map(|row| match row {
            Row::Shown(Shown::Whole(anomaly)) => anomaly.id,
            Row::Shown(Shown::Stored { record, .. }) => record,
            Row::Unreadable { place, newest } => format!("{place} by {newest}"),
        })
        .collect()
}

#[test]
fn a_hidden_row_keeps_its_name_when_rows_are_added() {
    let before = shown(vec![None, row("b", 2), None, None, row("a", 1)]);
    assert_eq!(
        before,
        [
            "after:b:1 by 1970-01-01T00:00:00.000Z",
            "b",
            "after:a:2 by 2026-11-23T01:00:02.000Z",
            "after:a:1 by 2026-11-23T01:00:02.000Z",
            "a",
        ]
    );
    let after = shown(vec![
        row("c", 3),
        None,
        None,
        row("b", 2),
        None,
        None,
        row("a", 1),
    ]);
    assert_eq!(
        after[1..3],
        [
            "after:b:2 by 2026-11-23T01:00:03.000Z",
            "after:b:1 by 2026-11-23T01:00:03.000Z"
        ]
    );
    assert_eq!(after[3..], before[1..]);
}

#[test]
fn in_a_list_that_does_not_stand_still_nothing_is_named() {
    let rows = placed(vec![None, row("a", 1).map(whole)], "shop", None, true);
    assert_eq!(rows.len(), 1);
}

#[test]
fn hidden_rows_of_two_shops_have_names_of_their_own() {
    let name = |shop: &str| match &placed(vec![None], shop, None, false)[..] {
        [Row::Unreadable { place, .. }] => place.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (name("s-1"), name("s-2")),
        ("after:s-1:1".to_owned(), "after:s-2:1".to_owned())
    );
}

/// A list of `rows` rows, numbered from the oldest, one a second. Row `n` cannot be shown if `hidden` says so.
struct Made {
    rows: Cell<u64>,
    /// How many rows there are of each second.
    rows_a_second: u64,
    /// Seconds since the newest.
    quiet: u64,
    /// Rows that are added after each page.
    growth: u64,
    hidden: fn(u64) -> bool,
    /// Whether the store has the record.
    stored: fn(u64) -> bool,
    pages: Cell<u64>,
    database: bool,
}

const START: i64 = 1_795_396_590;

impl Made {
    fn of(rows: u64) -> Self {
        Self {
            rows: Cell::new(rows),
            rows_a_second: 1,
            quiet: 0,
            growth: 0,
            hidden: |_| false,
            stored: |_| false,
            pages: Cell::new(0),
            database: true,
        }
    }
}

fn failed() -> ConnectFailure {
    ConnectFailure {
        kind: watchpost_core::FailureKind::Http(500),
        detail: String::new(),
    }
}

fn second(number: u64) -> i64 {
    START + i64::try_from(number).unwrap()
}

impl ShopList for Made {
    async fn page(&self, limit: u16, offset: u64) -> Result<Answered<AnomalyPage>, ConnectFailure> {
        let total = self.rows.get();
        self.pages.set(self.pages.get() + 1);
        self.rows.set(total + self.growth);
        let newest_first = (0..total).rev().skip(usize::try_from(offset).unwrap());
        let numbers: Vec<u64> = newest_first.take(limit.into()).collect();
        if !self.database || numbers.iter().any(|&number| (self.hidden)(number)) {
            return Err(failed());
        }
        let row = |number: u64| {
            let at = second(number / self.rows_a_second);
            let at = time::OffsetDateTime::from_unix_timestamp(at).unwrap();
            let at = UnixMillis::from(at).to_string();
            let json = serde_json::json!({ "id": number.to_string(), "timestamp": at.trim_end_matches('Z') });
            Some(serde_json::from_value(json).unwrap())
        };
        Ok(Answered {
            value: AnomalyPage {
                total,
                anomalies: numbers.into_iter().map(row).collect(),
            },
            server_time: Some(UnixMillis(
                second(total / self.rows_a_second + self.quiet) * 1_000,
            )),
            bytes: 0,
        })
    }

    fn known_before(&self) -> Duration {
        Duration::ZERO
    }

    async fn can_count(&self) -> Result<(), ConnectFailure> {
        if self.database { Ok(()) } else { Err(failed()) }
    }

    async fn stored(&self, records: Vec<String>) -> Result<HashSet<String>, ReadError> {
        let stored = records
            .into_iter()
            .filter(|record| (self.stored)(record.parse().unwrap()));
        Ok(stored.collect())
    }
}

fn since(number: u64) -> Option<Checkpoint> {
    Some(Checkpoint(UnixMillis(second(number) * 1_000)))
}

fn numbers(listing: &Listing) -> Vec<u64> {
    let readable = listing.rows.iter().filter_map(|row| match row {
        Row::Shown(Shown::Whole(anomaly)) => anomaly.id.parse().ok(),
        Row::Shown(Shown::Stored { record, .. }) => record.parse().ok(),
        Row::Unreadable { .. } => None,
    });
    readable.collect()
}

#[actix::test]
async fn of_a_list_that_is_too_long_the_oldest_rows_come_first_and_none_is_skipped() {
    let shop = Made::of(45_000);
    let (mut from, mut seen) = (0, std::collections::BTreeSet::new());
    for passes in 1.. {
        let listing = list(&shop, "shop", since(from), true).await.unwrap();
        let found = numbers(&listing);
        assert!(found.len() <= MAX_ROWS);
        seen.extend(found.iter().copied());
        let server_time = listing.server_time.unwrap();
        let known_to = listing.known_to.unwrap_or(server_time);
        let checkpoint = Checkpoint::after(since(from), known_to, server_time).unwrap();
        if listing.known_to.is_none() {
            assert_eq!(passes, 3, "20,000 rows a pass");
            break;
        }
        from = u64::try_from(checkpoint.0.0 / 1_000 - START).unwrap();
    }
    assert_eq!(seen.len(), 45_000);
}

#[actix::test]
async fn more_rows_in_a_minute_than_a_pass_takes_are_read_in_several() {
    let shop = Made {
        rows_a_second: 1_000,
        quiet: 600,
        ..Made::of(50_000)
    };
    let (mut from, mut seen) = (since(0), std::collections::BTreeSet::new());
    for _ in 0..4 {
        let listing = list(&shop, "shop", from, true).await.unwrap();
        seen.extend(numbers(&listing));
        let server_time = listing.server_time.unwrap();
        let known_to = listing.known_to.unwrap_or(server_time);
        from = Checkpoint::after(from, known_to, server_time).or(from);
    }
    assert_eq!(seen.len(), 50_000);
}

#[actix::test]
async fn rows_that_cannot_be_shown_hide_no_other() {
    let hidden = |number: u64| matches!(number, 0 | 37 | 38 | 120 | 199);
    let shop = Made {
        hidden,
        ..Made::of(200)
    };
    let listing = list(&shop, "shop", since(0), true).await.unwrap();
    let expected: Vec<u64> = (0..200).rev().filter(|&number| !hidden(number)).collect();
    assert_eq!(numbers(&listing), expected);
    let places: Vec<&str> = listing
        .rows
        .iter()
        .filter_map(|row| match row {
            Row::Unreadable { place, .. } => Some(place.as_str()),
            Row::Shown(_) => None,
        })
        .collect();
    assert_eq!(
        places,
        [
            "after:198:1",
            "after:119:1",
            "after:36:2",
            "after:36:1",
            "after:shop:1"
        ]
    );
}

#[actix::test]
async fn a_list_that_grows_while_it_is_read_hides_no_row_that_was_there() {
    let shop = Made {
        growth: 3,
        ..Made::of(1_000)
    };
    let listing = list(&shop, "shop", since(0), true).await.unwrap();
    let seen: std::collections::BTreeSet<u64> = numbers(&listing).into_iter().collect();
    assert!((0..1_000).all(|number| seen.contains(&number)));
    assert_eq!(seen.len(), listing.rows.len(), "each row once");
}

#[actix::test]
async fn it_stops_at_the_first_row_that_is_known_and_without_a_database_at_once() {
    let shop = Made::of(10_000);
    let listing = list(&shop, "shop", since(9_990), true).await.unwrap();
    assert_eq!(shop.pages.get(), 2, "as far as the clocks may differ");
    assert_eq!(
        numbers(&listing)[..10],
        [
            9_999, 9_998, 9_997, 9_996, 9_995, 9_994, 9_993, 9_992, 9_991, 9_990
        ]
    );
    let down = Made {
        database: false,
        ..Made::of(10_000)
    };
    assert!(list(&down, "shop", since(0), true).await.is_err());
    assert!(down.pages.get() < 10, "{} pages", down.pages.get());
}

#[actix::test]
async fn of_rows_that_are_stored_no_more_than_the_name_and_the_time_is_kept() {
    let hidden = |number: u64| matches!(number, 37 | 38 | 120);
    let not_stored = |number: u64| matches!(number, 1 | 119 | 150);
    let seen = |listing: &Listing| -> Vec<ListedRow> {
        let listed = |row: &Row| ListedRow {
            key: None,
            ..row.listed(UnixMillis(0))
        };
        listing.rows.iter().map(listed).collect()
    };
    let all_whole = Made {
        hidden,
        ..Made::of(200)
    };
    let some_stored = Made {
        hidden,
        stored: |number| !matches!(number, 1 | 119 | 150),
        ..Made::of(200)
    };
    let whole = list(&all_whole, "shop", since(0), true).await.unwrap();
    let listing = list(&some_stored, "shop", since(0), true).await.unwrap();
    assert_eq!(seen(&listing), seen(&whole), "what is compared is the same");
    for row in &listing.rows {
        match row {
            Row::Shown(Shown::Whole(anomaly)) => assert!(not_stored(anomaly.id.parse().unwrap()), "{row:?}"),
            Row::Shown(Shown::Stored { record, .. }) => {
                assert!(!not_stored(record.parse().unwrap()), "{row:?}")
            }
            Row::Unreadable { .. } => {}
        }
    }
}

#[actix::test]
async fn rows_that_are_not_compared_are_not_looked_up() {
    let shop = Made {
        stored: |_| unreachable!("it happened before anything is compared"),
        ..Made::of(50)
    };
    let listing = list(&shop, "shop", None, true).await.unwrap();
    assert_eq!(numbers(&listing), [49]);
}

#[actix::test]
async fn where_little_happens_a_few_rows_tell_the_same_as_many() {
    let hidden = [|_| false, |number| matches!(number, 199 | 195 | 194)];
    for (from, hidden, least_pages) in [
        (197, hidden[0], 1),
        (196, hidden[0], 1),
        (197, hidden[1], 1),
        (100, hidden[0], 2),
        (100, hidden[1], 2),
    ] {
        let shop = || Made {
            quiet: 600,
            hidden,
            ..Made::of(200)
        };
        let (few, many) = (shop(), shop());
        let [quick, thorough] = [
            list(&few, "shop", since(from), false).await.unwrap(),
            list(&many, "shop", since(from), true).await.unwrap(),
        ];
        let listed = |listing: &Listing| -> Vec<ListedRow> {
            let rows = listing.rows.iter();
            rows.map(|row| row.listed(UnixMillis(0))).collect()
        };
        assert_eq!(listed(&quick), listed(&thorough), "from {from}");
        assert_eq!(quick.server_time, thorough.server_time);
        assert!(few.pages.get() >= least_pages);
    }
    let short = Made::of(3);
    let listing = list(&short, "shop", since(0), false).await.unwrap();
    assert_eq!((numbers(&listing), short.pages.get()), (vec![2, 1, 0], 1));
}
