//! A notice for people. Whether it repeats an alert is for the hub to find out.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use time::{OffsetDateTime, UtcOffset};

use crate::fields::{Field, Object};
use crate::reader::{Reader, Reading, Scalar};
use crate::{BoundingBox, Defect, TimestampText};

/// One notification. Anybody who reaches the backend can make it send one, so it proves nothing.
#[derive(Debug)]
pub struct Notification<'a> {
    /// Its id: the anomaly's UUID, or `notif_` and twelve digits when made over REST.
    pub notification_id: Option<Cow<'a, str>>,
    /// What it is about.
    pub kind: NotificationKind<'a>,
    /// Headline, empty when not given.
    pub title: Cow<'a, str>,
    /// A sentence, empty when not given.
    pub message: Cow<'a, str>,
    /// `low`, `medium`, `high` or `critical`.
    pub priority: Option<Cow<'a, str>>,
    /// When: UTC for anomalies, the server's local time for those made over REST.
    pub timestamp: Option<TimestampText<'a>>,
    /// A path in the backend's frontend.
    pub action_url: Option<Cow<'a, str>>,
    /// What it refers to; null for those made over REST.
    pub metadata: Option<Metadata<'a>>,
    /// Fields that had to be left out because of their type.
    pub defects: Vec<Defect>,
}

/// What a notification is about, by its `data.type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotificationKind<'a> {
    /// `alert`: follows an `anomaly_detected` of the same stream and person; or any notice made over REST.
    Alert,
    /// `owl_eye`: a person was there after hours. No `anomaly_detected` comes with it.
    OwlEye,
    /// Another word (`info`, `warning`, `success`, `error`), empty when not given.
    Other(Cow<'a, str>),
}

/// What a notification refers to.
#[derive(Debug, PartialEq)]
pub struct Metadata<'a> {
    /// The row in the backend's database.
    pub anomaly_id: Option<Cow<'a, str>>,
    /// The shop.
    pub shop_id: Option<Cow<'a, str>>,
    /// The camera stream.
    pub stream_id: Option<Cow<'a, str>>,
    /// The person within the stream.
    pub person_id: Option<i64>,
    /// How many persons an Owl Eye detection counted.
    pub num_persons: Option<i64>,
    /// The persons an Owl Eye detection saw, the first [`MAX_DETECTIONS`] of them.
    pub detections: Vec<Detection>,
}

/// The row of the backend's database that a notification announces, free of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRecord {
    /// The row's id.
    pub anomaly_id: String,
    /// The shop.
    pub shop_id: Option<String>,
    /// The camera stream.
    pub stream_id: Option<String>,
    /// The person within the stream.
    pub person_id: Option<i64>,
    /// When it happened.
    pub happened: Option<OffsetDateTime>,
}

/// One person an Owl Eye detection saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Where in the picture.
    pub bbox: Option<BoundingBox>,
    /// How sure the detector was, 0 to 1.
    pub confidence: Option<f64>,
}

/// Detections to keep of one notification; browsers send what they like.
pub const MAX_DETECTIONS: usize = 64;

impl<'a> Notification<'a> {
    pub(crate) fn read(object: &Object<'a>) -> Self {
        let mut outer = Reader::new([None, None, None]);
        let data = outer.object(object, Field::Data);
        let metadata = data.and_then(|data| outer.object(data, Field::Metadata));
        let mut inner = Reader::new([metadata, None, None]);
        let metadata = metadata.map(|_| Metadata::read(&mut inner));

        let mut reader = Reader::new([data, None, None]);
        reader.defects = outer.defects;
        reader.defects.append(&mut inner.defects);
        let kind = match reader.text(Field::Type) {
            Some(kind) if kind == "alert" => NotificationKind::Alert,
            Some(kind) if kind == "owl_eye" => NotificationKind::OwlEye,
            kind => NotificationKind::Other(kind.unwrap_or_default()),
        };
        Self {
            notification_id: reader.text(Field::NotificationId),
            kind,
            title: reader.text(Field::Title).unwrap_or_default(),
            message: reader.text(Field::Message).unwrap_or_default(),
            priority: reader.text(Field::Priority),
            timestamp: reader.text(Field::Timestamp).map(TimestampText),
            action_url: reader.text(Field::ActionUrl),
            metadata,
            defects: reader.defects,
        }
    }

    /// The row that it announces, if the backend made it itself: its own id is the row's then, and its time UTC. Those
    /// that any client can make over REST are numbered otherwise.
    pub fn record(&self) -> Option<NamedRecord> {
        let metadata = self.metadata.as_ref()?;
        let anomaly_id = metadata.anomaly_id.as_deref()?;
        if self.notification_id.as_deref() != Some(anomaly_id)
            || matches!(self.kind, NotificationKind::Other(_))
        {
            return None;
        }
        let at = self.timestamp.as_ref().and_then(TimestampText::parse);
        Some(NamedRecord {
            anomaly_id: anomaly_id.to_owned(),
            shop_id: metadata.shop_id.as_deref().map(str::to_owned),
            stream_id: metadata.stream_id.as_deref().map(str::to_owned),
            person_id: metadata.person_id,
            happened: at.map(|at| at.at(UtcOffset::UTC)),
        })
    }
}

impl NotificationKind<'_> {
    /// The backend's word for it, empty when not given.
    pub fn word(&self) -> &str {
        match self {
            Self::Alert => "alert",
            Self::OwlEye => "owl_eye",
            Self::Other(word) => word,
        }
    }
}

impl<'a> Metadata<'a> {
    fn read(reader: &mut Reader<'_, 'a>) -> Self {
        Self {
            anomaly_id: reader.text(Field::AnomalyId),
            shop_id: reader.text(Field::ShopId),
            stream_id: reader.text(Field::StreamId),
            person_id: reader.integer(Field::PersonId),
            num_persons: reader.integer(Field::NumPersons),
            detections: reader
                .first_raw(Field::Detections, "an array", detections)
                .unwrap_or_default(),
        }
    }
}

fn detections(raw: &RawValue) -> Reading<Vec<Detection>> {
    if let Scalar::Null = Scalar::of(raw) {
        return Reading::Absent;
    }
    let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
        return Reading::Wrong;
    };
    Reading::Value(list.into_iter().take(MAX_DETECTIONS).map(detection).collect())
}

/// One that says nothing still counts as seen.
fn detection(raw: &RawValue) -> Detection {
    let value: serde_json::Value = serde_json::from_str(raw.get()).unwrap_or_default();
    Detection {
        bbox: value
            .get("bbox")
            .and_then(|bbox| BoundingBox::deserialize(bbox).ok()),
        confidence: value.get("confidence").and_then(serde_json::Value::as_f64),
    }
}
