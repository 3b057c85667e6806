//! The shapes behind the backend's REST addresses. It makes no request.
//!
//! Only what identifies a thing is required: a field that a later backend leaves out, or fills with something else, costs its
//! value and not the reply; and a row that cannot be read at all costs no other. Timestamps stay text; [`Timestamp::parse`](crate::Timestamp::parse) reads them.

use std::fmt;
use std::time::Duration;

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use time::{OffsetDateTime, UtcOffset};

use watchpost_core::Secret;

use crate::{BoundingBox, Claims, Timestamp};

/// Body of `POST /auth/login`, as JSON. The e-mail's local part is case-sensitive.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it all")]
pub struct LoginRequest {
    pub email: String,
    pub password: Secret,
}

/// The reply to a login. When the token expires stands in the token: see [`Claims`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenResponse {
    /// For the alert socket and as Bearer; lives 60 minutes by default.
    pub access_token: Secret,
    /// There is no address to refresh at, but the backend accepts it wherever it accepts the other, for 7
    /// days.
    #[serde(default, deserialize_with = "or_default")]
    pub refresh_token: Option<Secret>,
    /// `bearer`.
    #[serde(default, deserialize_with = "or_default")]
    pub token_type: String,
    /// Whose it is.
    pub user: User,
}

impl TokenResponse {
    /// How long the token lives, if it says so.
    pub fn lifetime(&self) -> Option<Duration> {
        Claims::peek(self.access_token.expose()).ok()?.lifetime()
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// UUID, to stand in the alert socket's address letter for letter.
    pub id: String,
    /// What they are called.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// With the domain in lower case.
    #[serde(default, deserialize_with = "or_default")]
    pub email: String,
    /// `OWNER` or `MANAGER`.
    #[serde(default, deserialize_with = "or_default")]
    pub role: String,
}

/// A shop, as `GET /shops` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shop {
    /// UUID.
    pub id: String,
    /// What it is called.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
}

/// Body of `PATCH /api/anomalies/{id}`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AnomalyChange<'a> {
    /// `pending`, `acknowledged`, `resolved` or `false_positive`.
    pub status: &'a str,
}

impl AnomalyChange<'static> {
    /// A person has seen it.
    pub const ACKNOWLEDGED: Self = Self {
        status: "acknowledged",
    };
}

/// The reply of `GET /ws/connections/{user_id}`: how the backend sees the user's socket. A 404 says that it
/// sees none, and that no alert would arrive. Times are the server's local ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// Whose it is.
    pub user_id: String,
    /// True in every reply.
    #[serde(default, deserialize_with = "or_default")]
    pub connected: bool,
    /// Tells one socket from the next.
    #[serde(default, deserialize_with = "or_default")]
    pub connected_at: Option<String>,
    /// Its age in seconds.
    #[serde(default, deserialize_with = "or_default")]
    pub uptime_seconds: Option<f64>,
    /// When the last JSON ping or pong arrived there.
    #[serde(default, deserialize_with = "or_default")]
    pub last_heartbeat: Option<String>,
    /// How long ago that was, in seconds.
    #[serde(default, deserialize_with = "or_default")]
    pub seconds_since_heartbeat: Option<f64>,
}

impl Connection {
    /// Its age, as the server counts it.
    pub fn age(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.uptime_seconds?).ok()
    }
}

/// A page of anomalies, newest first. There is no cursor: pages shift as rows arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnomalyPage {
    /// How many there are on all pages.
    #[serde(default, deserialize_with = "or_default")]
    pub total: u64,
    /// Those on this page; `None` for a row that cannot be read.
    #[serde(deserialize_with = "rows")]
    pub anomalies: Vec<Option<Anomaly>>,
}

/// A row of the backend's database. Times are UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented where the name does not say it")]
pub struct Anomaly {
    /// UUID.
    #[serde(deserialize_with = "text")]
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub shop_id: Option<String>,
    /// When it happened.
    #[serde(default, deserialize_with = "or_default")]
    pub timestamp: String,
    #[serde(default, deserialize_with = "or_default")]
    pub location: Option<String>,
    /// `low`, `medium`, `high` or `critical`; always `low` for cameras.
    #[serde(default, deserialize_with = "or_default")]
    pub severity: Option<String>,
    /// `pending`, `acknowledged`, `resolved` or `false_positive`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub description: Option<String>,
    /// Path of the picture on the backend; it needs the Bearer header, and is not the alert's file.
    #[serde(default, deserialize_with = "or_default")]
    pub image_url: Option<String>,
    /// `suspicious_behavior` or `owl_eye_intrusion`.
    #[serde(default, deserialize_with = "or_default")]
    pub anomaly_type: Option<String>,
    /// The score without its sign, so not within 0 to 1.
    #[serde(default, deserialize_with = "or_default")]
    pub confidence_score: Option<f64>,
    #[serde(default, deserialize_with = "or_default")]
    pub resolved_by: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub resolved_at: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub notes: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub extra_data: Option<ExtraData>,
    #[serde(default, deserialize_with = "or_default")]
    pub created_at: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub updated_at: Option<String>,
}

/// The backend's word for an anomaly of its night watch.
const OWL_EYE: &str = "owl_eye_intrusion";

/// Begins a place that the backend made up; the first digits of the stream's id follow.
const MADE_UP_PLACE: &str = "Stream ";

impl Anomaly {
    /// When it happened. The backend writes UTC without saying so.
    pub fn happened(&self) -> Option<OffsetDateTime> {
        Some(Timestamp::parse(&self.timestamp)?.at(UtcOffset::UTC))
    }

    /// Whether no person has judged it yet. A row that does not say so counts as judged.
    pub fn is_pending(&self) -> bool {
        self.status
            .as_deref()
            .is_some_and(|status| status.eq_ignore_ascii_case("pending"))
    }

    /// Whether a person has judged it: acknowledged, resolved, or found to be a false positive.
    pub fn is_judged(&self) -> bool {
        let is = |word: &str| {
            let status = self.status.as_deref();
            status.is_some_and(|status| status.eq_ignore_ascii_case(word))
        };
        is("acknowledged") || is("resolved") || is("false_positive")
    }

    /// Whether the night watch saw it, and no camera's AI.
    pub fn is_owl_eye(&self) -> bool {
        self.anomaly_type.as_deref() == Some(OWL_EYE)
    }

    /// The stream, where the row says it.
    pub fn stream_id(&self) -> Option<&str> {
        self.extra_data.as_ref()?.stream_id.as_deref()
    }

    /// The person, whether the row has a number or the tracker's text.
    pub fn person_id(&self) -> Option<i64> {
        let id = self.extra_data.as_ref()?.person_id.as_ref()?;
        id.as_i64().or_else(|| id.as_str()?.trim().parse().ok())
    }

    /// The number of the video frame shown.
    pub fn frame_number(&self) -> Option<i64> {
        self.extra_data.as_ref()?.frame_number
    }

    /// The first video frame of the sequence that was judged.
    pub fn start_frame(&self) -> Option<i64> {
        self.extra_data.as_ref()?.start_frame
    }

    /// Where it happened, if the row says. The backend makes up a place of the stream's id where it knows none.
    pub fn place(&self) -> Option<&str> {
        let made_up = |place: &str| {
            let begins = place.strip_prefix(MADE_UP_PLACE);
            begins.is_some_and(|id| self.stream_id().is_some_and(|stream| stream.starts_with(id)))
        };
        self.location
            .as_deref()
            .filter(|place| !place.is_empty() && !made_up(place))
    }

    /// The class that the AI chose.
    pub fn classification(&self) -> Option<&str> {
        self.extra_data.as_ref()?.classification.as_deref()
    }

    /// Where the person stands.
    pub fn bbox(&self) -> Option<BoundingBox> {
        self.extra_data.as_ref()?.bbox
    }

    /// The score as the alert has it: negative, and the lower the more abnormal. The row has it without its sign.
    pub fn score(&self) -> Option<f64> {
        let score = self.confidence_score.filter(|score| score.is_finite())?;
        (!self.is_owl_eye()).then_some(-score)
    }
}

/// What ties a row to its alert. All null for Owl Eye but the stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the same as in the alert")]
pub struct ExtraData {
    #[serde(deserialize_with = "or_default")]
    pub stream_id: Option<String>,
    /// A number; the tracker's own form of it is text.
    #[serde(deserialize_with = "or_default")]
    pub person_id: Option<Value>,
    #[serde(deserialize_with = "or_default")]
    pub start_frame: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub end_frame: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub frame_number: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub bbox: Option<BoundingBox>,
    #[serde(deserialize_with = "or_default")]
    pub classification: Option<String>,
}

/// A value, or the default where something else stands in its place.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// An id, which may be a number.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) if !text.is_empty() => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(de::Error::custom("expected a name")),
    }
}

/// The rows of a page.
fn rows<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Option<Anomaly>>, D::Error> {
    let rows = Vec::<Box<RawValue>>::deserialize(deserializer)?;
    Ok(rows
        .into_iter()
        .map(|row| serde_json::from_str(row.get()).ok())
        .collect())
}

/// The body of a refusal, in any of the backend's three forms. A 422 repeats the request, password included,
/// so that part is not even read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorBody {
    /// `{"detail":…}`: text, or FastAPI's list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
    /// The kind of error, for instance `Not Found`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// A sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The fields that were refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<FieldError>,
}

/// A field of a request that was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FieldError {
    /// Where, for instance `body -> email`.
    pub field: String,
    /// Why.
    pub message: String,
}

/// What is shown of a refusal, in characters.
const MAX_SHOWN_CHARS: usize = 300;

impl ErrorBody {
    /// Reads the body of a reply; one that is no JSON, such as a proxy's page, leaves all empty.
    pub fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// Whether this is its reason.
    pub(crate) fn says(&self, reason: &str) -> bool {
        self.detail.as_ref().and_then(Value::as_str) == Some(reason)
    }
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.detail.as_ref().and_then(Value::as_str).map(str::to_owned);
        let fields = self
            .details
            .iter()
            .map(|error| format!("{}: {}", error.field, error.message));
        let parts: Vec<String> = [detail, self.error.clone(), self.message.clone()]
            .into_iter()
            .flatten()
            .chain(fields)
            .collect();
        if parts.is_empty() {
            return f.write_str("no reason given");
        }
        let shown: String = parts.join("; ").chars().take(MAX_SHOWN_CHARS).collect();
        f.write_str(&shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_another_type_costs_its_value_and_a_broken_row_no_other() {
        let page = r#"{"total":"many","anomalies":[
            {"id":"a","timestamp":"2026-11-23T01:16:30","confidence_score":"Infinity","notes":{"by":"me"},
             "extra_data":{"stream_id":"s","person_id":"7","frame_number":12.5,"start_frame":3,"bbox":"none"}},
            {"id":18446744073709551615,"timestamp":null,"extra_data":[1]},
            {"timestamp":"2026-11-23T01:16:30"}, null]}"#;
        let page: AnomalyPage = serde_json::from_str(page).unwrap();
        let [Some(first), Some(second), None, None] = &page.anomalies[..] else {
            panic!("{page:?}")
        };
        assert_eq!(page.total, 0);
        assert_eq!((first.stream_id(), first.person_id()), (Some("s"), Some(7)));
        assert_eq!((first.frame_number(), first.start_frame()), (None, Some(3)));
        assert_eq!((first.score(), first.happened().is_some()), (None, true));
        assert_eq!(second.id, "18446744073709551615");
        assert!(second.happened().is_none());
        let user: User = serde_json::from_str(r#"{"id":"u","name":null,"role":5}"#).unwrap();
        assert_eq!((user.id.as_str(), user.name.as_str()), ("u", ""));
    }
}
