//! The commands to a running simulator, in-process or as JSON over HTTP.
//! It is the vocabulary alone.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::Instead;

/// One command. As JSON: `{"do":"send","count":3}`, `{"do":"kill","how":"reset"}`, `{"do":"freeze"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Command {
    /// Make this many alerts now. Done when they were handed to a socket or recorded as unsent.
    Send {
        /// Number of alerts.
        count: u64,
        /// Of which camera, counted from 0; without it, of all in turn.
        #[serde(default)]
        camera: Option<usize>,
    },
    /// Send a notification as the REST interface of the backend makes it.
    Notify {
        /// Its title.
        title: String,
        /// Its text.
        message: String,
    },
    /// A browser in sentry mode sees a person: a row of its own, and a notification that no alert comes before.
    OwlEye {
        /// How many persons it sees.
        persons: u32,
    },
    /// Another client connects as the same user: it gets the alerts, and the sockets that are open get none and do not
    /// notice. When it goes, the user is registered no more.
    Takeover {
        /// How long it stays, in seconds.
        #[serde(deserialize_with = "stay", skip_serializing)]
        for_seconds: Duration,
    },
    /// Send this text as it is to the registered socket.
    SendText {
        /// The text of the message.
        text: String,
    },
    /// Send a JSON ping on every socket now.
    Ping,
    /// Neither read nor write any more; sockets stay open. The control routes still answer.
    Freeze,
    /// End a freeze.
    Thaw,
    /// End all alert sockets. The server stays up.
    Kill {
        /// In which way.
        how: CloseMode,
    },
    /// What becomes of new alert sockets.
    Handshakes {
        /// From now on.
        mode: Handshakes,
    },
    /// What becomes of requests for pictures.
    Pictures {
        /// From now on.
        mode: PictureMode,
    },
    /// Answer some requests in another way than the backend's from now on.
    Answer(Instead),
    /// End every [`Command::Answer`].
    AnswerAsEver,
    /// Set the clock of the server so far ahead of this machine's, in seconds; behind it where negative.
    Clock {
        /// By how much.
        ahead_seconds: f64,
    },
    /// What goes wrong by chance from now on, as in `--fault`; empty for nothing.
    Faults {
        /// Names and chances.
        are: String,
    },
    /// The database stops answering, or answers again: requests and handshakes are 500, alerts go out and are not recorded.
    Database {
        /// Whether it answers.
        up: bool,
    },
    /// A person judges the newest pending rows.
    Judge {
        /// How many.
        rows: usize,
        /// `acknowledged`, `resolved` or `false_positive`.
        status: String,
    },
    /// All tokens that were given are refused from now on.
    RevokeTokens,
    /// The accounts see the first shops only, so many.
    ShowShops {
        /// How many.
        count: usize,
    },
    /// Switch the JSON pings of the server on or off.
    Pings {
        /// Whether they are sent.
        on: bool,
    },
    /// Switch the answers to JSON pings of the client on or off.
    Pongs {
        /// Whether they are sent.
        on: bool,
    },
    /// Drop all registrations: sockets stay open with pings and pongs, alerts do not come.
    DropRegistration,
    /// Drop all registrations and send nothing more on the sockets, which stay open.
    Blackhole,
    /// The user is deleted and made again with the same e-mail address: another id. Its tokens are refused, and the
    /// sockets that are open get nothing more.
    RemakeUser,
    /// Stop and start making alerts at the set rate. `send` works all the same.
    Alerts {
        /// Whether they are made.
        on: bool,
    },
    /// Leave new requests and handshakes without an answer; open sockets go on. The control routes still answer.
    Hang,
    /// End a [`Command::Hang`].
    Unhang,
    /// End all sockets and stop listening: connects are refused. Rows and accounts stay.
    Down {
        /// How the sockets end.
        how: CloseMode,
        /// Come up again after this time, in seconds; without it, by [`Command::Up`] only, which needs
        /// an in-process caller.
        #[serde(
            default,
            deserialize_with = "seconds",
            rename = "for_seconds",
            skip_serializing
        )]
        restart_after: Option<Duration>,
    },
    /// Listen again on the same port.
    Up,
}

/// How a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseMode {
    /// TCP reset.
    Reset,
    /// End of stream without a close frame, as when the process is killed.
    Eof,
    /// Close frame 1012 and then end of stream, as when the process is asked to terminate.
    Close,
}

/// What becomes of a new alert socket whose token is good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handshakes {
    /// It is accepted.
    #[default]
    Accept,
    /// 403.
    Forbid,
    /// 500, as with the database down.
    Fail,
    /// Accepted and closed at once with 1012.
    Bounce,
}

/// What becomes of a request for a picture whose token is good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureMode {
    /// It is given.
    #[default]
    Serve,
    /// 500.
    Fail,
    /// 404, as when the file was removed.
    Gone,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let seconds = Option::<f64>::deserialize(deserializer)?;
    seconds
        .map(Duration::try_from_secs_f64)
        .transpose()
        .map_err(serde::de::Error::custom)
}

fn stay<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    seconds(deserializer)?.ok_or_else(|| serde::de::Error::custom("expected a number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_json() {
        let read = |text| serde_json::from_str::<Command>(text);
        assert_eq!(
            read(r#"{"do":"send","count":3}"#).unwrap(),
            Command::Send {
                count: 3,
                camera: None
            }
        );
        assert_eq!(read(r#"{"do":"freeze"}"#).unwrap(), Command::Freeze);
        assert_eq!(
            read(r#"{"do":"kill","how":"reset"}"#).unwrap(),
            Command::Kill {
                how: CloseMode::Reset
            }
        );
        assert_eq!(
            read(r#"{"do":"down","how":"eof","for_seconds":1.5}"#).unwrap(),
            Command::Down {
                how: CloseMode::Eof,
                restart_after: Some(Duration::from_millis(1500))
            }
        );
        assert_eq!(
            read(r#"{"do":"handshakes","mode":"bounce"}"#).unwrap(),
            Command::Handshakes {
                mode: Handshakes::Bounce
            }
        );
        assert!(
            read(r#"{"do":"explode"}"#)
                .unwrap_err()
                .to_string()
                .contains("unknown variant `explode`")
        );
        assert!(read(r#"{"do":"down","how":"eof","for_seconds":-1}"#).is_err());
    }
}
