//! Alerts as the outside asks for them: filtered, a page at a time, with a count of what is left.

use serde::{Deserialize, Serialize};
use watchpost_core::{Alert, AlertId, AlertKind, Severity, UnixMillis};
use watchpost_store::{Filter, Reader, StoreError, StoredAlert};

use crate::handle::AlertEntry;

/// Alerts read at once.
const BATCH: u32 = 1_000;

/// Alerts looked at for one page. What lies beyond is left for the next one.
const MAX_EXAMINED: usize = 50_000;

/// Alerts looked at beyond a full page, to say how many more there are.
const MAX_COUNTED: usize = 2_000;

/// Which alerts to list: those that meet every condition given, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertQuery {
    /// How many at most; `None` means as many as the live list has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Those that were dismissed or cleared too.
    #[serde(default)]
    pub all: bool,
    /// Those older than this one: the last of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<AlertId>,
    /// Those of the camera of this name, or whose id begins like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// Those of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AlertKind>,
    /// Those that matter as much or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Those received at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixMillis>,
    /// Those received before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixMillis>,
}

/// A page of alerts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertPage {
    /// The alerts, newest first.
    pub alerts: Vec<AlertEntry>,
    /// How many older ones meet the conditions too.
    pub more: u64,
    /// Whether there may be more than counted: the hub has not looked at all of them.
    pub at_least: bool,
}

impl AlertQuery {
    fn admits(&self, alert: &Alert) -> bool {
        let camera = |wanted: &str| {
            alert
                .camera
                .as_ref()
                .is_some_and(|camera| camera.name.as_deref() == Some(wanted) || camera.id.starts_with(wanted))
        };
        self.camera.as_deref().is_none_or(camera)
            && self.kind.is_none_or(|kind| alert.kind == kind)
            && self.severity.is_none_or(|severity| alert.severity >= severity)
            && self.since.is_none_or(|since| alert.received_at >= since)
            && self.until.is_none_or(|until| alert.received_at < until)
            && self.before.is_none_or(|before| alert.id < before)
    }

    /// An alert older than this cannot be meant, nor any that is older still.
    fn is_past(&self, alert: &Alert) -> bool {
        self.since.is_some_and(|since| alert.received_at < since)
    }
}

/// Reads a page of at most `limit` alerts.
pub(crate) fn page(reader: &mut Reader, query: &AlertQuery, limit: usize) -> Result<AlertPage, StoreError> {
    let mut page = AlertPage::default();
    let mut before = query.before;
    let (mut examined, mut beyond) = (0, 0);
    loop {
        let batch = batch(reader, query, before)?;
        // The live list is one batch.
        let last_batch = !query.all || batch.len() < BATCH as usize;
        page.at_least = !query.all && batch.len() == MAX_EXAMINED;
        before = batch.last().map(|stored| stored.alert.id);
        for stored in batch {
            examined += 1;
            if query.is_past(&stored.alert) {
                page.at_least = false;
                return Ok(page);
            }
            let full = page.alerts.len() == limit;
            beyond += usize::from(full);
            match (query.admits(&stored.alert), full) {
                (false, _) => {}
                (true, false) => page.alerts.push(stored.into()),
                (true, true) => page.more += 1,
            }
        }
        if last_batch {
            return Ok(page);
        }
        if examined >= MAX_EXAMINED || beyond >= MAX_COUNTED {
            page.at_least = true;
            return Ok(page);
        }
    }
}

fn batch(
    reader: &mut Reader,
    query: &AlertQuery,
    before: Option<AlertId>,
) -> Result<Vec<StoredAlert>, StoreError> {
    if query.all {
        return reader.list(&Filter {
            limit: BATCH,
            before,
            ..Filter::default()
        });
    }
    reader.live(u32::try_from(MAX_EXAMINED).unwrap_or(u32::MAX))
}
