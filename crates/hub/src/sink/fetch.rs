//! Takes due deliveries from the store, with their pictures in memory that the child can map. It blocks.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use tracing::error;
use watchpost_core::{AlertId, AlertKind, DeliveryState, Picture, Severity, UnixMillis};
use watchpost_sinkhost::{AlertDoc, FrameFd, FrameMeta};
use watchpost_store::{DeliveryUpdate, DueDelivery, FrameRef, Reader, StoreError};

use crate::notifier::Stops;
use crate::store::{CachedReader, Readers};

/// What to take.
pub(super) struct Wanted {
    pub(super) sink: String,
    pub(super) now: UnixMillis,
    /// Most deliveries.
    pub(super) limit: usize,
    /// Stop when their pictures have reached this size.
    pub(super) max_bytes: u64,
    /// In flight already.
    pub(super) skip: BTreeSet<AlertId>,
    /// What must not be started.
    pub(super) stops: Stops,
    /// Whether the sink's deliveries are cancelled once their alert is acknowledged.
    pub(super) cancel_on_acknowledge: bool,
}

/// What was taken.
pub(super) struct Fetched {
    pub(super) jobs: Vec<Job>,
    /// Those that grew too old.
    pub(super) expired: Vec<DeliveryUpdate>,
    /// When the next is due, if nothing is due now.
    pub(super) next_due: Option<UnixMillis>,
    /// There may be more that is due now.
    pub(super) more: bool,
}

/// A delivery that is ready for the child.
pub(super) struct Job {
    pub(super) alert: AlertId,
    pub(super) kind: AlertKind,
    pub(super) received_at: UnixMillis,
    /// Attempts before this one.
    pub(super) attempts: u32,
    pub(super) frame_bytes: u64,
    pub(super) document: Arc<AlertDoc>,
    pub(super) frames: Vec<FrameFd>,
}

/// What of the stored document the contract wants in fields of its own.
#[derive(Deserialize)]
struct Head {
    kind: AlertKind,
    title: String,
    text: String,
    severity: Severity,
    received_at: UnixMillis,
    picture: Picture,
}

/// Takes what is due, oldest first. Gives the reader back for the next time.
pub(super) fn fetch(
    reader: Option<CachedReader>,
    readers: &Readers,
    wanted: &Wanted,
) -> Result<(CachedReader, Fetched), StoreError> {
    let mut reader = readers.current(reader)?;
    let skip =
        |alert| wanted.skip.contains(&alert) || wanted.stops.cover(alert, wanted.cancel_on_acknowledge);
    let due = reader.due(&wanted.sink, wanted.now, wanted.limit, &skip)?;
    let mut fetched = Fetched {
        jobs: Vec::new(),
        expired: Vec::new(),
        next_due: None,
        more: false,
    };
    if due.is_empty() {
        fetched.next_due = reader.next_due(&wanted.sink, &skip)?;
        return Ok((reader, fetched));
    }
    fetched.more = due.len() == wanted.limit;
    let mut bytes = 0;
    for delivery in due {
        if delivery.expires_at.is_some_and(|end| end <= wanted.now) {
            fetched.expired.push(expiry(&wanted.sink, &delivery, wanted.now));
            continue;
        }
        if bytes >= wanted.max_bytes {
            fetched.more = true;
            break;
        }
        let job = job(&mut reader, delivery)?;
        bytes += job.frame_bytes;
        fetched.jobs.push(job);
    }
    Ok((reader, fetched))
}

fn expiry(sink: &str, delivery: &DueDelivery, now: UnixMillis) -> DeliveryUpdate {
    DeliveryUpdate {
        alert: delivery.alert,
        sink: sink.to_owned(),
        state: DeliveryState::Expired,
        attempts: delivery.attempts,
        due_at: now,
        error: Some("it grew older than max_age before it could be delivered".to_owned()),
    }
}

fn job(reader: &mut Reader, delivery: DueDelivery) -> Result<Job, StoreError> {
    let DueDelivery {
        alert,
        attempts,
        body,
        frame,
        ..
    } = delivery;
    let head = Head::of(alert, &body);
    let frames: Vec<FrameFd> = frame
        .and_then(|frame| mapped(reader, alert, &frame, &head))
        .into_iter()
        .collect();
    Ok(Job {
        alert,
        kind: head.kind,
        received_at: head.received_at,
        attempts,
        frame_bytes: frames.iter().map(FrameFd::len).sum(),
        document: Arc::new(AlertDoc {
            id: alert.to_string(),
            severity: severity(head.severity),
            title: head.title,
            text: head.text,
            json: body,
            unix_ms: u64::try_from(head.received_at.0).unwrap_or(0),
        }),
        frames,
    })
}

impl Head {
    /// A document that this version cannot read is delivered all the same: something did happen.
    fn of(alert: AlertId, body: &str) -> Self {
        serde_json::from_str(body).unwrap_or_else(|e| {
            error!(%alert, "the stored document is damaged, it is delivered as it is: {e}");
            Self {
                kind: AlertKind::Anomaly,
                title: format!("Alert {alert}"),
                text: "What is stored of this alert is damaged.".to_owned(),
                severity: Severity::High,
                received_at: UnixMillis(i64::try_from(alert.0 / 1_000).unwrap_or(0)),
                picture: Picture::Missing(String::new()),
            }
        })
    }
}

/// The picture in memory that the child can map. An alert must not wait for a picture that cannot be read.
fn mapped(reader: &mut Reader, alert: AlertId, frame: &FrameRef, head: &Head) -> Option<FrameFd> {
    let (width, height) = match head.picture {
        Picture::Jpeg { width, height, .. } => (width, height),
        Picture::Missing(_) => (0, 0),
    };
    let meta = FrameMeta {
        mime: "image/jpeg".to_owned(),
        name: format!("{alert}.jpg"),
        width,
        height,
    };
    let bytes = reader.read_frame(frame).map_err(|e| e.to_string());
    let mapped = bytes.and_then(|bytes| FrameFd::from_bytes(meta, &bytes).map_err(|e| e.to_string()));
    mapped
        .inspect_err(|why| error!(%alert, "delivered without its picture: {why}"))
        .ok()
}

fn severity(severity: Severity) -> watchpost_sinkhost::Severity {
    match severity {
        Severity::Low => watchpost_sinkhost::Severity::Low,
        Severity::Medium => watchpost_sinkhost::Severity::Medium,
        Severity::High => watchpost_sinkhost::Severity::High,
        Severity::Critical => watchpost_sinkhost::Severity::Critical,
    }
}
