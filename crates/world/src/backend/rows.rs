//! What the backend records of an anomaly.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use super::Key;

/// A row is changed within this after it was read.
const CHANGED_AFTER_READING: Duration = Duration::from_secs(60);

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
    /// The same, as it is shown.
    pub at_text: String,
    /// When its camera had its turn.
    pub raised: Instant,
    /// By which of the backend's clocks.
    pub clock: u32,
    /// It was recorded by a clock that was behind, and that the hub has never seen.
    pub is_before_all: bool,
    /// With it the row cannot be written as JSON.
    pub infinite: bool,
    /// Its notification was held back.
    pub notified_late: bool,
    pub status: Status,
    /// When a person has set it, and no hub.
    pub judged: Option<Instant>,
    /// When a hub was last answered that no one had set it.
    pub seen_pending: Option<Instant>,
    pub picture: Vec<u8>,
}

impl Row {
    /// Whether a hub that changes it now could know that a person has set it. The backend has no way to change a row only if it
    /// is as it was read.
    pub fn is_known_to_be_judged(&self) -> bool {
        let read_before = |judged: Instant| {
            self.seen_pending
                .is_some_and(|seen| seen <= judged && seen.elapsed() < CHANGED_AFTER_READING)
        };
        self.judged.is_some_and(|judged| !read_before(judged))
    }

    /// What tells it from all others.
    pub fn key(&self) -> Key {
        (self.stream_id.clone(), self.person, self.frame)
    }

    /// As a question is answered. It is written without a tree of values: long lists of these are asked for all the time.
    pub fn json(&self) -> String {
        let at = &self.at_text;
        let (id, shop, stream, frame) = (&self.id, &self.shop_id, &self.stream_id, self.frame);
        let (status, person) = (self.status.word(), self.person);
        format!(
            r#"{{"id":"{id}","shop_id":"{shop}","timestamp":"{at}","location":"Stream {place}","severity":"low","status":"{status}","description":"Anomalous behavior detected (Person ID: {person}, Confidence: Low)","image_url":"/api/anomalies/frames/{shop}/{id}.jpg","anomaly_type":"suspicious_behavior","confidence_score":1.5,"resolved_by":null,"resolved_at":null,"notes":null,"extra_data":{{"person_id":{person},"start_frame":{start},"end_frame":{end},"frame_number":{frame},"bbox":null,"classification":"Abnormal","stream_id":"{stream}"}},"created_at":"{at}","updated_at":"{at}"}}"#,
            place = &stream[..8],
            start = frame - 29,
            end = frame - 18,
        )
    }
}
