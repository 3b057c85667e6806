//! What can go wrong with the simulator, each said so that one knows what to change.
//! It knows nothing of the faults played to clients: those are no errors here.

use std::net::SocketAddr;

/// A setting was refused, or the simulator could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A picture extent could not be read.
    #[error("{input:?} is no picture extent: expected WIDTHxHEIGHT in pixels, like 1280x720 ({reason})")]
    FrameSize {
        /// The text as given.
        input: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A number of bytes could not be read.
    #[error(
        "{input:?} is no picture size: expected a number of bytes with an optional unit, like 60KB or 2MB"
    )]
    PictureSize {
        /// The text as given.
        input: String,
    },
    /// One entry of a fault list could not be read.
    #[error("fault {entry:?}: {reason}")]
    Fault {
        /// The entry as given, between its commas.
        entry: String,
        /// What was expected instead.
        reason: String,
    },
    /// An option is out of its range.
    #[error("option {option} is {found}: expected {expected}")]
    Option {
        /// Name of the field of [`crate::Options`].
        option: &'static str,
        /// The value found.
        found: String,
        /// The values that work.
        expected: String,
    },
    /// The picture is larger than the size asked for, at the lowest quality too.
    #[error(
        "a picture of {frame} pixels takes at least {needed_bytes} bytes and {asked_bytes} were asked for: \
         choose a smaller frame or a larger picture size"
    )]
    PictureTooSmall {
        /// Extent of the picture, such as `1280x720`.
        frame: String,
        /// The bytes the scene needs at the lowest quality tried.
        needed_bytes: usize,
        /// The bytes asked for.
        asked_bytes: usize,
    },
    /// The listening address could not be taken.
    #[error("cannot listen on {address}: {source}; is another server running there?")]
    Listen {
        /// The address tried.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The certificate or its key could not be used.
    #[error(
        "the TLS certificate or key cannot be used: {reason}; expected PEM text, certificate first in its chain"
    )]
    Tls {
        /// What was found wrong.
        reason: String,
    },
    /// A picture could not be drawn or encoded.
    #[error("cannot draw a picture: {0}")]
    Draw(String),
    /// A token could not be signed.
    #[error("cannot sign a token: {0}")]
    Token(String),
    /// The server could not be brought up.
    #[error("cannot start the server: {0}")]
    Start(#[source] std::io::Error),
    /// How to connect could not be printed.
    #[error("cannot write to standard output: {0}")]
    Announce(#[source] std::io::Error),
    /// The simulator has stopped while a command was in flight.
    #[error("the simulator has stopped")]
    Stopped,
}
