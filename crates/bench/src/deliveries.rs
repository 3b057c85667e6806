//! When sinks had finished with each alert, as the store recorded it: read after the hub has ended.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use watchpost_core::{AlertKind, DeliveryState};
use watchpost_store::{Filter, Store, StoreOptions};

use crate::payload::sequence_of;

/// Alerts asked for at once.
const PAGE: u32 = 500;

/// How long each alert took from the wire until this sink's outcome was known, in steps of a millisecond, which is what
/// the store keeps. An alert that was not delivered is an error. What the hub says of itself came over no wire.
pub(crate) fn read(data_dir: &Path, sink: &str, sent_unix_ns: &[u64]) -> Result<Vec<Duration>> {
    let (store, _) = Store::open(StoreOptions::new(data_dir))?;
    let mut reader = store.reader_factory()()?;
    let mut times = Vec::new();
    let mut filter = Filter {
        limit: PAGE,
        ..Filter::default()
    };
    loop {
        let page = reader.list(&filter)?;
        let Some(last) = page.last() else { return Ok(times) };
        filter.before = Some(last.alert.id);
        let received = page.iter().filter(|listed| listed.alert.kind != AlertKind::Hub);
        for listed in received {
            let stored = reader
                .get(listed.alert.id)?
                .context("an alert vanished while it was read")?;
            let delivery = stored
                .deliveries
                .iter()
                .find(|delivery| delivery.sink == sink && delivery.state == DeliveryState::Delivered)
                .with_context(|| format!("alert {} was not delivered to {sink}", stored.alert.id))?;
            let sequence = stored
                .alert
                .visionguard
                .as_ref()
                .and_then(|fields| fields.frame_number)
                .and_then(|number| u64::try_from(number).ok());
            let sent = sequence
                .and_then(sequence_of)
                .and_then(|sequence| sent_unix_ns.get(usize::try_from(sequence).ok()?))
                .with_context(|| format!("alert {} was never sent", stored.alert.id))?;
            let finished_at = delivery
                .finished_at
                .context("a delivery is done and has no time")?;
            let done = u64::try_from(finished_at.0)?.saturating_mul(1_000_000);
            times.push(Duration::from_nanos(done.saturating_sub(*sent)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefill;

    #[test]
    fn every_alert_has_its_own_time() {
        let dir = tempfile::tempdir().unwrap();
        prefill::fill(dir.path(), 1_203).unwrap();
        // Sent in 1970, so that each time is the moment of the outcome; the store's alerts are ten seconds apart.
        let mut times = read(dir.path(), "archive", &vec![0; 1_203]).unwrap();
        times.sort();
        assert_eq!(times.len(), 1_203);
        assert_eq!(times[1_202] - times[0], Duration::from_secs(12_020));
    }

    #[test]
    fn what_was_not_delivered_or_not_sent_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        prefill::fill(dir.path(), 3).unwrap();
        let error = |sink, sent: &[u64]| read(dir.path(), sink, sent).unwrap_err().to_string();
        assert!(error("siren", &[0; 3]).contains("was not delivered to siren"));
        assert!(error("archive", &[0; 2]).contains("was never sent"));
    }
}
