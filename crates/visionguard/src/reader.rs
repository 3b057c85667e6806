//! Tolerant reading of raw fields: the first place that has a value of the right type wins.
//!
//! A value of the wrong type becomes a [`Defect`] and counts as absent. It knows no message's meaning.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::Defect;
use crate::fields::{Field, Node, Object};

/// Longest text taken for a name, a word or a sentence, in bytes; a longer one is a defect. Pictures have
/// their own limit.
pub const MAX_TEXT_BYTES: usize = 4096;

/// A raw JSON value by its type. Text is what stands between the quotes, escapes and all.
pub(crate) enum Scalar<'a> {
    Null,
    Bool,
    Number(&'a str),
    Text(&'a str),
    Array,
    Object,
}

/// What came of reading a value.
pub(crate) enum Reading<T> {
    /// It is this.
    Value(T),
    /// It says that there is none: null, an empty text, NaN.
    Absent,
    /// It is of the wrong type.
    Wrong,
}

/// Reads fields from up to three objects, in the order given, and collects the defects.
pub(crate) struct Reader<'o, 'a> {
    places: [Option<&'o Object<'a>>; 3],
    pub(crate) defects: Vec<Defect>,
}

impl<T> Reading<T> {
    pub(crate) fn map<U>(self, into: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Value(value) => Reading::Value(into(value)),
            Self::Absent => Reading::Absent,
            Self::Wrong => Reading::Wrong,
        }
    }
}

impl<'a> Scalar<'a> {
    pub(crate) fn of(raw: &'a RawValue) -> Self {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Bool,
            Some(b'"') => Self::Text(text.get(1..text.len() - 1).unwrap_or_default()),
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object,
            _ => Self::Number(text),
        }
    }

    /// What it is, in words for a log line.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Number(_) => "a number",
            Self::Text(text) if text.len() > MAX_TEXT_BYTES => "a longer text",
            Self::Text(_) => "text",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

impl<'o, 'a> Reader<'o, 'a> {
    pub(crate) fn new(places: [Option<&'o Object<'a>>; 3]) -> Self {
        Self {
            places,
            defects: Vec::new(),
        }
    }

    /// The object in `field` of `object`, for use as a place to read from.
    pub(crate) fn object(&mut self, object: &'o Object<'a>, field: Field) -> Option<&'o Object<'a>> {
        match object.node(field)? {
            Node::Object(object) => return Some(object),
            Node::Other("null") => {}
            Node::Other(found) => self.defects.push(Defect {
                field: field.name(),
                expected: "an object",
                found,
            }),
        }
        None
    }

    /// The first value that `read` accepts.
    pub(crate) fn first<T>(
        &mut self,
        field: Field,
        expected: &'static str,
        read: impl Fn(Scalar<'a>) -> Reading<T>,
    ) -> Option<T> {
        self.first_raw(field, expected, |raw| read(Scalar::of(raw)))
    }

    /// The first raw value that `read` accepts.
    pub(crate) fn first_raw<T>(
        &mut self,
        field: Field,
        expected: &'static str,
        read: impl Fn(&'a RawValue) -> Reading<T>,
    ) -> Option<T> {
        for place in self.places.into_iter().flatten() {
            let Some(raw) = place.value(field) else { continue };
            match read(raw) {
                Reading::Value(value) => return Some(value),
                Reading::Absent => {}
                Reading::Wrong => {
                    let found = Scalar::of(raw).kind();
                    self.defects.push(Defect {
                        field: field.name(),
                        expected,
                        found,
                    });
                }
            }
        }
        None
    }

    /// The raw JSON of the first value there is.
    pub(crate) fn raw(&self, field: Field) -> Option<&'a RawValue> {
        self.places
            .into_iter()
            .flatten()
            .find_map(|place| place.value(field).filter(|v| v.get() != "null"))
    }

    /// Text of at most [`MAX_TEXT_BYTES`]. An empty one counts as absent, as it does in the backend's own
    /// frontend.
    pub(crate) fn text(&mut self, field: Field) -> Option<Cow<'a, str>> {
        self.first(field, "valid text of at most 4096 bytes", read_text)
    }

    /// A whole number, or text that holds one: the backend's tracker numbers persons with text.
    pub(crate) fn integer(&mut self, field: Field) -> Option<i64> {
        self.first(field, "a whole number of 64 bits", |scalar| match scalar {
            Scalar::Number(token) | Scalar::Text(token) => integer(token.trim()),
            Scalar::Null => Reading::Absent,
            _ => Reading::Wrong,
        })
    }

    /// A finite number, or text that holds one. Infinite and NaN count as absent.
    pub(crate) fn number(&mut self, field: Field) -> Option<f64> {
        self.first(field, "a number", |scalar| match scalar {
            Scalar::Number(token) | Scalar::Text(token) => number(token.trim()),
            Scalar::Null => Reading::Absent,
            _ => Reading::Wrong,
        })
    }
}

/// Reads text as [`Reader::text`] does.
pub(crate) fn read_text(scalar: Scalar<'_>) -> Reading<Cow<'_, str>> {
    match scalar {
        Scalar::Null | Scalar::Text("") => Reading::Absent,
        Scalar::Text(quoted) if quoted.len() <= MAX_TEXT_BYTES => {
            unescape(quoted).map_or(Reading::Wrong, Reading::Value)
        }
        _ => Reading::Wrong,
    }
}

/// The text that stands between two quotes of valid JSON; `None` when an escape is half a surrogate pair.
pub(crate) fn unescape(quoted: &str) -> Option<Cow<'_, str>> {
    if quoted.contains('\\') {
        serde_json::from_str(&format!("\"{quoted}\""))
            .ok()
            .map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(quoted))
    }
}

/// Reads a number's token; too great counts as infinite and so as absent.
pub(crate) fn number(token: &str) -> Reading<f64> {
    match token.parse::<f64>() {
        Ok(number) if number.is_finite() => Reading::Value(number),
        Ok(_) => Reading::Absent,
        Err(_) if token.is_empty() => Reading::Absent,
        Err(_) => Reading::Wrong,
    }
}

fn integer(token: &str) -> Reading<i64> {
    /// Up to here every whole number has its own `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Ok(integer) = token.parse() {
        return Reading::Value(integer);
    }
    match number(token) {
        #[allow(clippy::cast_possible_truncation, reason = "whole and within the exact range")]
        Reading::Value(number) if number.fract() == 0.0 && number.abs() <= EXACT => {
            Reading::Value(number as i64)
        }
        Reading::Absent => Reading::Absent,
        Reading::Value(_) | Reading::Wrong => Reading::Wrong,
    }
}
