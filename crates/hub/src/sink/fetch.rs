//! Takes due deliveries from the store, with their pictures in memory that the child can map. It blocks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tracing::error;
use watchpost_config::TimeZone;
use watchpost_core::{AlertId, AlertKind, DueDelivery, Expired, Fetched, Picture, Severity, UnixMillis};
use watchpost_sinkhost_client::{AlertDoc, FrameFd, FrameMeta};
use watchpost_store::{FrameRef, Reader, StoreError};

use super::Wanted;
use crate::notifier::MemoryDelivery;

/// What a message says that could not wait for its picture.
const PICTURE_PENDING: &str = " (Its picture could not be fetched yet.)";

/// What the child gets of a delivery.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) document: Arc<AlertDoc>,
    pub(crate) frames: Vec<FrameFd>,
}

/// What of the stored document the contract wants in fields of its own.
#[derive(Deserialize)]
struct Head {
    kind: AlertKind,
    title: String,
    text: String,
    severity: Severity,
    received_at: UnixMillis,
    occurred_at: Option<UnixMillis>,
    picture: Picture,
}

/// Takes what is due for this sink, oldest first. `zone`: that of the site.
pub(super) fn fetch(
    reader: &mut Reader,
    sink: &str,
    zone: &TimeZone,
    wanted: &Wanted,
) -> Result<Fetched<Payload>, StoreError> {
    let skip = |alert, cancel_on_acknowledge| {
        wanted.skip.contains(&alert) || wanted.stops.cover(alert, cancel_on_acknowledge)
    };
    let due = reader.due(sink, wanted.now, wanted.limit, &skip)?;
    let mut fetched = Fetched {
        due: Vec::new(),
        expired: Vec::new(),
        next_due: None,
        more: false,
    };
    if due.is_empty() {
        fetched.next_due = reader.next_due(sink, &skip)?;
        return Ok(fetched);
    }
    // Read once more afterwards, if only to know when the next is due.
    fetched.more = true;
    let (mut bytes, steps) = (0, reader.clock_steps()?);
    for delivery in due {
        let expires_at = delivery.expires_at.map(|end| steps.moved(delivery.alert, end));
        if expires_at.is_some_and(|end| end <= wanted.now) {
            fetched.expired.push(Expired {
                alert: delivery.alert,
                attempts: delivery.attempts,
            });
            continue;
        }
        if bytes >= wanted.max_bytes {
            break;
        }
        let delivery = load(reader, zone, delivery, |alert, received_at| {
            steps.moved(alert, received_at).until(wanted.now)
        });
        bytes += delivery.frame_bytes;
        fetched.due.push(delivery);
    }
    Ok(fetched)
}

fn load(
    reader: &mut Reader,
    zone: &TimeZone,
    delivery: watchpost_store::DueDelivery,
    age: impl FnOnce(AlertId, UnixMillis) -> Duration,
) -> DueDelivery<Payload> {
    let watchpost_store::DueDelivery {
        alert,
        attempts,
        cancel_on_acknowledge,
        body,
        frame,
        ..
    } = delivery;
    let head = Head::of(alert, &body);
    let frame = frame.and_then(|frame| mapped(reader, alert, &frame, &head.picture));
    let known = Known {
        attempts,
        age: age(alert, head.received_at),
        cancel_on_acknowledge,
    };
    delivery_of(alert, head, body, frame, zone, known)
}

/// A delivery that the store cannot take now.
pub(super) fn from_memory(
    delivery: MemoryDelivery,
    zone: &TimeZone,
    now: UnixMillis,
) -> Option<DueDelivery<Payload>> {
    let MemoryDelivery {
        alert,
        frame,
        cancel_on_acknowledge,
    } = delivery;
    let id = alert.id;
    let body = serde_json::to_string(&alert)
        .inspect_err(|why| error!(alert = %id, "not delivered from memory: {why}"))
        .ok()?;
    let head = Head::of(id, &body);
    let known = Known {
        attempts: 0,
        age: head.received_at.until(now),
        cancel_on_acknowledge,
    };
    Some(delivery_of(id, head, body, frame, zone, known))
}

/// What is known of a delivery beside its alert.
struct Known {
    attempts: u32,
    age: Duration,
    cancel_on_acknowledge: bool,
}

/// A delivery with what the child gets.
fn delivery_of(
    alert: AlertId,
    head: Head,
    body: String,
    frame: Option<FrameFd>,
    zone: &TimeZone,
    known: Known,
) -> DueDelivery<Payload> {
    let frames: Vec<FrameFd> = frame.into_iter().collect();
    let frame_bytes = frames.iter().map(FrameFd::len).sum();
    let happened = head.happened_at();
    let unix_ms = u64::try_from(happened.0).unwrap_or(0);
    let document = Arc::new(AlertDoc {
        id: alert.to_string(),
        severity: severity(head.severity),
        title: head.title,
        text: match head.picture.is_pending() {
            true => format!("{}{PICTURE_PENDING}", head.text),
            false => head.text,
        },
        json: body,
        unix_ms,
        utc_offset_s: zone.offset_seconds(happened.0),
    });
    DueDelivery {
        alert,
        kind: head.kind,
        age: known.age,
        attempts: known.attempts,
        cancel_on_acknowledge: known.cancel_on_acknowledge,
        frame_bytes,
        payload: Payload { document, frames },
    }
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
                occurred_at: None,
                picture: Picture::Missing(String::new()),
            }
        })
    }

    /// See [`watchpost_core::Alert::happened_at`].
    fn happened_at(&self) -> UnixMillis {
        self.occurred_at.unwrap_or(self.received_at).min(self.received_at)
    }
}

/// The picture in memory that the child can map. An alert must not wait for a picture that cannot be read.
fn mapped(reader: &mut Reader, alert: AlertId, frame: &FrameRef, picture: &Picture) -> Option<FrameFd> {
    let mapped = FrameFd::filled(meta(alert, picture), frame.len(), |bytes| {
        reader.read_frame_into(frame, bytes).map_err(io::Error::other)
    });
    mapped
        .inspect_err(|why| error!(%alert, "delivered without its picture: {why}"))
        .ok()
}

/// A picture that is in memory, in memory that the child can map.
pub(crate) fn copied(alert: AlertId, bytes: &[u8], picture: &Picture) -> Option<FrameFd> {
    FrameFd::from_bytes(meta(alert, picture), bytes)
        .inspect_err(|why| error!(%alert, "delivered without its picture: {why}"))
        .ok()
}

fn meta(alert: AlertId, picture: &Picture) -> FrameMeta {
    let (width, height) = match *picture {
        Picture::Jpeg { width, height, .. } => (width, height),
        Picture::Pending { .. } | Picture::Missing(_) => (0, 0),
    };
    FrameMeta {
        mime: "image/jpeg".to_owned(),
        name: format!("{alert}.jpg"),
        width,
        height,
    }
}

fn severity(severity: Severity) -> watchpost_sinkhost_client::Severity {
    match severity {
        Severity::Low => watchpost_sinkhost_client::Severity::Low,
        Severity::Medium => watchpost_sinkhost_client::Severity::Medium,
        Severity::High => watchpost_sinkhost_client::Severity::High,
        Severity::Critical => watchpost_sinkhost_client::Severity::Critical,
    }
}
