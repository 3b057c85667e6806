//! All that Watchpost knows of the VisionGuard backend: wire messages, tolerant parsing, REST shapes.
//!
//! Bytes in, values out. It opens no socket, reads no clock, and knows neither the hub nor its store.
//!
//! - [`Parser`] reads what comes over the alert socket; [`outgoing`] writes what goes back.
//! - [`Picture::decode`] turns a message's base64 into a JPEG whose shape has been checked.
//! - [`Backend`] builds addresses; [`calls`] asks at them and reads the answers, whose shapes are in [`rest`].
//! - [`Claims`] peeks into a token; [`explain_refusal`] says what a refused alert socket means.
//! - [`without_secrets`] takes out of a refusal what it repeats of a request.
//! - [`excerpt`] shows the beginning of a message in a log line, without pictures and tokens.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod message;

mod alert;
mod notification;
mod picture;
mod timestamp;

pub mod calls;
pub mod outgoing;
pub mod rest;

mod address;
mod claims;
mod refusal;

mod echo;
mod error;
mod excerpt;

mod fields;
mod jpeg;
mod nonfinite;
mod reader;

pub use address::{AddressError, AlertUrl, Backend};
pub use alert::{Alert, Confidence, SourceId};
pub use claims::{Claims, TokenProblem};
pub use echo::{hidden, without_secrets};
pub use error::{Defect, ParseError};
pub use excerpt::{EXCERPT_BYTES, excerpt};
pub use message::{Message, ParseOptions, Parser};
pub use notification::{Detection, MAX_DETECTIONS, Metadata, NamedRecord, Notification, NotificationKind};
pub use picture::{JpegFrame, Picture, PictureLimits, PictureProblem};
pub use reader::MAX_TEXT_BYTES;
pub use refusal::explain_refusal;
pub use timestamp::{Timestamp, TimestampText};
/// The same rectangle on the wire and in the domain.
pub use watchpost_core::BoundingBox;
