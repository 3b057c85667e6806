//! Why there is no connection, in words, and what of the configuration may be to blame.

use std::fmt;
use std::io::{self, ErrorKind};

use crate::Fail;

use super::{is_cancelled, tls};

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    kind: Cause,
    words: String,
}

/// What kind of reason it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The name is not known.
    Name,
    /// The sandbox does not let this sink connect to the port.
    NotGranted,
    /// The machine is there and takes no connection at the port.
    Refused,
    /// There is no answer.
    Silent,
    /// The call was cancelled.
    Cancelled,
    /// Something answers that does not speak TLS.
    NotTls,
    /// The server's certificate comes from an authority that is not trusted.
    Authority,
    /// The server's certificate is for other names.
    OtherName,
    /// The server's certificate is not valid today.
    Dates,
    /// The server's certificate cannot be used at all.
    Certificate,
    /// The server wants a certificate of this client.
    ClientCertificate,
    /// The connection broke.
    Broken,
}

impl Unreachable {
    /// A reason of this kind, in words.
    pub fn new(kind: Cause, words: impl fmt::Display) -> Self {
        Self {
            kind,
            words: words.to_string(),
        }
    }

    /// What an error of a connection to `host` means.
    pub fn from_io(error: &io::Error, host: &str, port: u16) -> Self {
        if let Some(tls) = tls::of(error) {
            return tls::explain(tls, host);
        }
        if is_cancelled(error) {
            return Self::new(Cause::Cancelled, error);
        }
        match error.kind() {
            ErrorKind::PermissionDenied => Self::new(Cause::NotGranted, crate::grant::connect(port)),
            ErrorKind::ConnectionRefused => Self::new(
                Cause::Refused,
                format_args!("{host} takes no connections at port {port}; does the server run?"),
            ),
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Self::new(
                Cause::Silent,
                format_args!("{host} does not answer in time on port {port}"),
            ),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Self::new(
                Cause::Broken,
                format_args!("{host} closed the connection on port {port}"),
            ),
            _ => Self::new(
                Cause::Broken,
                format_args!("the connection to {host} on port {port} broke: {error}"),
            ),
        }
    }

    /// What kind of reason it is.
    pub fn cause(&self) -> Cause {
        self.kind
    }

    /// What becomes of an alert: it is kept and tried again. Where a key of the configuration is to blame, `key` gives its
    /// pointer.
    #[must_use]
    pub fn into_fail(self, key: impl FnOnce(Cause) -> Option<&'static str>) -> Fail {
        let pointer = match self.kind {
            // Neither is in the plugin's own table.
            Cause::NotGranted | Cause::Cancelled | Cause::Silent | Cause::Broken => None,
            kind => key(kind),
        };
        match (pointer, self.kind) {
            (Some(pointer), _) => Fail::misconfigured(pointer, self.words),
            (None, Cause::NotGranted) => Fail::misconfigured("", self.words),
            (None, _) => Fail::retry(self.words),
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Unreachable {}
