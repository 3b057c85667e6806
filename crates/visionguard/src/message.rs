//! A message of the alert socket, read from its text. It decodes no picture.

use std::borrow::Cow;

use crate::fields::{Field, Node, Object};
use crate::reader::Reader;
use crate::{Alert, Notification, ParseError, TimestampText, nonfinite};

/// One message from the backend. It borrows from the text it was read from.
#[derive(Debug)]
pub enum Message<'a> {
    /// The backend asks for a sign of life; answer with [`outgoing::pong`](crate::outgoing::pong).
    Ping {
        /// The backend's local time, without zone.
        timestamp: Option<TimestampText<'a>>,
    },
    /// The answer to our ping. The backend echoes nothing of it.
    Pong {
        /// The backend's local time, without zone.
        timestamp: Option<TimestampText<'a>>,
    },
    /// A camera saw abnormal behaviour (`anomaly_detected`, or the documented shape without a type).
    Alert(Box<Alert<'a>>),
    /// A notice for people: the second word on an alert, an Owl Eye detection, or something else.
    Notification(Box<Notification<'a>>),
    /// A well-formed message of a type this version does not know: to count and to ignore.
    Unknown {
        /// Its `type`, empty when that was longer than [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES).
        kind: Cow<'a, str>,
    },
}

/// What a [`Parser`] keeps and what it drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// Keep `pose_dict` (30 KB a person) as raw JSON.
    pub keep_pose: bool,
}

/// Reads messages, and owns the buffer for those that are not quite JSON.
#[derive(Debug, Default)]
pub struct Parser {
    options: ParseOptions,
    scratch: String,
}

/// What the buffer for mended messages may keep between two of them, in bytes. They are rare.
const SCRATCH_KEEP_BYTES: usize = 1 << 20;

impl Parser {
    /// A parser with these options.
    pub fn new(options: ParseOptions) -> Self {
        Self {
            options,
            scratch: String::new(),
        }
    }

    /// Reads one message. Nothing of it is copied, the picture least of all, but for text with escapes.
    ///
    /// A Python backend may write `NaN`, `Infinity` or `-Infinity` where JSON has no word. Such a message
    /// is copied into the parser's buffer with `null` in their place, and borrows from there.
    ///
    /// # Errors
    /// When the text is not UTF-8, not JSON, not an object, or has neither a `type` nor an alert's fields.
    /// Fields of the wrong type are no error: see [`Alert::defects`].
    pub fn parse<'a>(&'a mut self, text: &'a [u8]) -> Result<Message<'a>, ParseError> {
        let text = std::str::from_utf8(text).map_err(|e| ParseError::NotUtf8 {
            offset: e.valid_up_to(),
        })?;
        let error = match serde_json::from_str::<Node<'a>>(text) {
            Ok(node) => return message(node, self.options),
            Err(error) => error,
        };
        self.scratch.clear();
        self.scratch.shrink_to(SCRATCH_KEEP_BYTES);
        if !nonfinite::replace(text, &mut self.scratch) {
            return Err(ParseError::syntax(text, text, &error, |offset| offset));
        }
        match serde_json::from_str::<Node<'a>>(&self.scratch) {
            Ok(node) => message(node, self.options),
            Err(error) => {
                let scratch = &self.scratch;
                Err(ParseError::syntax(text, scratch, &error, |o| {
                    nonfinite::original_offset(text, o)
                }))
            }
        }
    }
}

fn message(node: Node<'_>, options: ParseOptions) -> Result<Message<'_>, ParseError> {
    let object = match node {
        Node::Object(object) => object,
        Node::Other(found) => return Err(ParseError::NotAnObject { found }),
    };
    let mut reader = Reader::new([Some(&object), None, None]);
    let Some(kind) = reader.text(Field::Type) else {
        return if looks_like_an_alert(&object) {
            Ok(Message::Alert(Box::new(Alert::read(&object, options))))
        } else if object
            .value(Field::Type)
            .is_some_and(|value| value.get().starts_with('"'))
        {
            Ok(Message::Unknown {
                kind: Cow::Borrowed(""),
            })
        } else {
            Err(ParseError::NoType)
        };
    };
    Ok(match kind.as_ref() {
        "anomaly_detected" => Message::Alert(Box::new(Alert::read(&object, options))),
        "notification" => Message::Notification(Box::new(Notification::read(&object))),
        "ping" => Message::Ping {
            timestamp: reader.text(Field::Timestamp).map(TimestampText),
        },
        "pong" => Message::Pong {
            timestamp: reader.text(Field::Timestamp).map(TimestampText),
        },
        _ => Message::Unknown { kind },
    })
}

/// The documented alert has no `type`; what it must have is something to show.
fn looks_like_an_alert(object: &Object<'_>) -> bool {
    let has_object = |field| matches!(object.node(field), Some(Node::Object(_)));
    has_object(Field::Details)
        || has_object(Field::Result)
        || object.value(Field::Frame).is_some()
        || object.value(Field::AnnotatedFrame).is_some()
}
