//! Why a message could not be read, and what was odd in one that could. Neither ever quotes the message.

use std::fmt;

/// Why a text is no message. It names places and expectations only; see [`excerpt`](crate::excerpt) for
/// what may be shown of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The bytes are not UTF-8.
    #[error("the message is not UTF-8 text: byte {offset} does not belong")]
    NotUtf8 {
        /// Index of the first offending byte.
        offset: usize,
    },
    /// The text is not JSON.
    #[error("the message is not JSON: {problem} at line {line} column {column} (byte {offset})")]
    Syntax {
        /// What the JSON reader found or expected.
        problem: String,
        /// Line, from 1.
        line: usize,
        /// Byte within the line, from 1.
        column: usize,
        /// Byte within the message, from 0.
        offset: usize,
    },
    /// The text is JSON but no object.
    #[error("the message is {found} where a JSON object was expected")]
    NotAnObject {
        /// What it is, in words.
        found: &'static str,
    },
    /// An object, but neither of a known type nor of an alert's shape.
    #[error("the message has no `type`, and none of an alert's fields (`result`, `details`, `frame`)")]
    NoType,
}

/// A field that was left out of a message because its value had the wrong type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Defect {
    /// The field's name on the wire.
    pub field: &'static str,
    /// What it should have been.
    pub expected: &'static str,
    /// What it was, without its content.
    pub found: &'static str,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` should be {}, but is {}",
            self.field, self.expected, self.found
        )
    }
}

impl ParseError {
    /// The JSON reader's error on `read`, in terms of the `text` that was received; `original` maps an
    /// offset in the one to the other.
    pub(crate) fn syntax(
        text: &str,
        read: &str,
        error: &serde_json::Error,
        original: impl Fn(usize) -> usize,
    ) -> Self {
        let line_start = match error.line().checked_sub(2) {
            Some(line_ends) => memchr::memchr_iter(b'\n', read.as_bytes())
                .nth(line_ends)
                .map_or(0, |end| end + 1),
            None => 0,
        };
        let offset = original(line_start + error.column().saturating_sub(1)).min(text.len());
        let before = text.as_bytes().get(..offset).unwrap_or_default();
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
        let mut problem = error.to_string();
        if let Some(place) = problem.rfind(" at line ") {
            problem.truncate(place);
        }
        Self::Syntax {
            problem,
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: offset - line_start + 1,
            offset,
        }
    }
}
