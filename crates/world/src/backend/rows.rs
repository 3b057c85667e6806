//! What the backend records of an anomaly.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Key;
use super::wire::naive;

/// How far a person has dealt with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Pending,
    Acknowledged,
    Resolved,
    FalsePositive,
}

impl Status {
    pub const ALL: [Self; 4] = [
        Self::Pending,
        Self::Acknowledged,
        Self::Resolved,
        Self::FalsePositive,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::FalsePositive => "false_positive",
        }
    }
}

/// A row of the database.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: String,
    /// The number that its alert has on the wire.
    pub number: u64,
    pub shop: usize,
    pub shop_id: String,
    pub stream_id: String,
    pub person: i64,
    pub frame: i64,
    /// By the backend's clock.
    pub at: OffsetDateTime,
    /// With it the row cannot be written as JSON.
    pub infinite: bool,
    pub status: Status,
    /// A person has set it, and no hub.
    pub judged: bool,
    pub picture: Vec<u8>,
}

impl Row {
    /// What tells it from all others.
    pub fn key(&self) -> Key {
        (self.stream_id.clone(), self.person, self.frame)
    }

    pub fn json(&self) -> Value {
        let at = naive(self.at);
        json!({
            "id": self.id, "shop_id": self.shop_id, "timestamp": at,
            "location": format!("Stream {}", &self.stream_id[..8]),
            "severity": "low", "status": self.status.word(),
            "description": format!("Anomalous behavior detected (Person ID: {}, Confidence: Low)", self.person),
            "image_url": format!("/api/anomalies/frames/{}/{}.jpg", self.shop_id, self.id),
            "anomaly_type": "suspicious_behavior", "confidence_score": 1.5,
            "resolved_by": null, "resolved_at": null, "notes": null,
            "extra_data": {
                "person_id": self.person, "start_frame": self.frame - 29, "end_frame": self.frame - 18,
                "frame_number": self.frame, "bbox": null, "classification": "Abnormal", "stream_id": self.stream_id,
            },
            "created_at": at, "updated_at": at,
        })
    }
}
