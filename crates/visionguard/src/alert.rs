//! An alert as the backend says it, in either of its two shapes. What it matters is for the hub to say.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::fields::{Field, Object};
use crate::reader::{MAX_TEXT_BYTES, Reader, Reading, Scalar, number, read_text};
use crate::{BoundingBox, Defect, ParseOptions, Picture, PictureProblem, Timestamp, TimestampText};

/// One alert. Only text with JSON escapes is copied; all else borrows from the message.
///
/// The wire puts most fields into `result`, the documentation puts them at the top and into `details`. Every
/// field is looked for at the top, then in `result`, then in `details`.
#[derive(Debug)]
pub struct Alert<'a> {
    /// The message's own id, if it had one (the wire has none).
    pub source_id: Option<SourceId>,
    /// The user the alert was sent to.
    pub user_id: Option<Cow<'a, str>>,
    /// The camera stream, `"unknown"` when not given. The backend makes a new one for every session.
    pub stream_id: Cow<'a, str>,
    /// The person within the stream, 0 when not given.
    pub person_id: i64,
    /// The normality score, negative on the wire and the lower the more abnormal. Always finite.
    pub score: Option<f64>,
    /// How sure the backend is. On the wire always the word `Low`, whatever the score.
    pub confidence: Option<Confidence<'a>>,
    /// The class the AI chose, for instance `Abnormal`.
    pub classification: Option<Cow<'a, str>>,
    /// The state of the anomaly, `"unknown"` when not given.
    pub status: Cow<'a, str>,
    /// Where the person stands; normally absent, and then nothing is drawn into the picture either.
    pub bbox: Option<BoundingBox>,
    /// Number of the video frame shown.
    pub frame_number: Option<i64>,
    /// First video frame of the judged sequence.
    pub start_frame: Option<i64>,
    /// Last video frame of the judged sequence.
    pub end_frame: Option<i64>,
    /// Number of the judged sequence within the stream.
    pub sequence_id: Option<i64>,
    /// When it happened. Only the documented shape has it.
    pub timestamp: Option<TimestampText<'a>>,
    /// Body poses as raw JSON, only with [`ParseOptions::keep_pose`].
    pub pose: Option<&'a RawValue>,
    /// The picture, or why the message has none. To be used as
    /// `alert.picture.and_then(|picture| picture.decode(limits))`.
    pub picture: Result<Picture<'a>, PictureProblem>,
    /// Fields that had to be left out because of their type.
    pub defects: Vec<Defect>,
}

/// The id a message gave itself. It remembers whether it was a number, so that an acknowledgement can say
/// it in the same type, digit for digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceId {
    text: String,
    is_number: bool,
}

/// How sure the backend is, in the form it chose to say it.
#[derive(Clone, Debug, PartialEq)]
pub enum Confidence<'a> {
    /// A number, always finite; the documented shape has it, without naming a scale.
    Number(f64),
    /// A word: `High`, `Medium` or `Low` on the wire.
    Word(Cow<'a, str>),
}

/// Stands for a name or a state that the message does not give, as in the backend's own frontend.
const UNKNOWN: &str = "unknown";

impl<'a> Alert<'a> {
    pub(crate) fn read(object: &Object<'a>, options: ParseOptions) -> Self {
        let mut top = Reader::new([Some(object), None, None]);
        let result = top.object(object, Field::Result);
        let details = top.object(object, Field::Details);
        // Objects within have other things' ids and pictures, so these two count at the top only.
        let source_id = top.first(Field::Id, "a number or text", source_id);
        let picture = picture(&mut top);

        let mut reader = Reader::new([Some(object), result, details]);
        reader.defects = top.defects;
        Self {
            source_id,
            user_id: reader.text(Field::UserId),
            stream_id: reader.text(Field::StreamId).unwrap_or(Cow::Borrowed(UNKNOWN)),
            person_id: reader.integer(Field::PersonId).unwrap_or(0),
            score: reader.number(Field::Score),
            confidence: reader.first(Field::Confidence, "a number or a word", confidence),
            classification: reader.text(Field::Classification),
            status: reader.text(Field::Status).unwrap_or(Cow::Borrowed(UNKNOWN)),
            bbox: bounding_box(&mut reader),
            frame_number: reader.integer(Field::FrameNumber),
            start_frame: reader.integer(Field::StartFrame),
            end_frame: reader.integer(Field::EndFrame),
            sequence_id: reader.integer(Field::SequenceId),
            timestamp: reader.text(Field::Timestamp).map(TimestampText),
            pose: if options.keep_pose {
                reader.raw(Field::PoseDict)
            } else {
                None
            },
            picture,
            defects: reader.defects,
        }
    }

    /// When it happened, where the message tells: a time without a zone is of one that it does not name.
    pub fn happened(&self) -> Option<OffsetDateTime> {
        match self.timestamp.as_ref()?.parse()? {
            Timestamp::Zoned(time) => Some(time),
            Timestamp::Naive(_) => None,
        }
    }

    /// The body poses, if they are kept.
    pub fn poses(&self) -> Option<Value> {
        serde_json::from_str(self.pose?.get()).ok()
    }

    /// What the body poses take up, in bytes of JSON.
    pub fn pose_bytes(&self) -> usize {
        self.pose.map_or(0, |pose| pose.get().len())
    }
}

fn source_id(scalar: Scalar<'_>) -> Reading<SourceId> {
    match scalar {
        Scalar::Number(token) if token.len() <= MAX_TEXT_BYTES => Reading::Value(SourceId {
            text: token.to_owned(),
            is_number: true,
        }),
        scalar => read_text(scalar).map(SourceId::from_text),
    }
}

fn confidence(scalar: Scalar<'_>) -> Reading<Confidence<'_>> {
    match scalar {
        Scalar::Number(token) => number(token).map(Confidence::Number),
        scalar => read_text(scalar).map(Confidence::Word),
    }
}

fn bounding_box(reader: &mut Reader<'_, '_>) -> Option<BoundingBox> {
    let expected = "an object of the numbers x, y, w and h";
    reader.first_raw(Field::Bbox, expected, |raw| match Scalar::of(raw) {
        Scalar::Null => Reading::Absent,
        Scalar::Object => serde_json::from_str(raw.get()).map_or(Reading::Wrong, Reading::Value),
        // Four numbers in an array may as well be two corners.
        _ => Reading::Wrong,
    })
}

/// The wire's field first, then the documented one.
fn picture<'a>(top: &mut Reader<'_, 'a>) -> Result<Picture<'a>, PictureProblem> {
    let format = top.text(Field::FrameFormat);
    let mut problem = PictureProblem::Absent;
    for field in [Field::AnnotatedFrame, Field::Frame] {
        match top.raw(field).map(Scalar::of) {
            None => {}
            Some(Scalar::Text(quoted)) => return Ok(Picture { quoted, format }),
            Some(other) => problem = PictureProblem::NotText { found: other.kind() },
        }
    }
    Err(problem)
}

impl SourceId {
    /// An id that is text.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_number: false,
        }
    }

    /// Its text; a number's digits as they were sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it was a JSON number.
    pub fn is_number(&self) -> bool {
        self.is_number
    }
}

impl From<i64> for SourceId {
    fn from(number: i64) -> Self {
        Self {
            text: number.to_string(),
            is_number: true,
        }
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for SourceId {
    /// In the JSON type it was received in.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_number {
            // A raw value keeps digits that no Rust number could hold.
            let token: &RawValue = serde_json::from_str(&self.text).map_err(serde::ser::Error::custom)?;
            token.serialize(serializer)
        } else {
            serializer.serialize_str(&self.text)
        }
    }
}
