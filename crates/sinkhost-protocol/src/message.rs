//! What parent and child say to each other, and its form in bytes.
//!
//! The protocol is private: both ends are built from the same files, and each message begins with a fingerprint
//! of them, so ends of different releases notice at once and say so. Decoding is a pure function of bytes that
//! accepts anything; how packets travel is [`packet`](crate::packet)'s business.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::sandbox::{Enforced, Grants};
use crate::{
    AlertDoc, ArmOutcome, ArmRequest, FrameMeta, LoadFault, LogLevel, Note, Outcome, PluginInfo, Stage,
};

/// Call ids from here on are the child's own; the hub's are below.
pub const FIRST_OWN_CALL: u64 = 1 << 63;

/// Hash of the files whose types travel, the first eight bytes of each packet.
const FINGERPRINT: u64 = fingerprint(&[
    include_bytes!("message.rs"),
    include_bytes!("alert.rs"),
    include_bytes!("arm.rs"),
    include_bytes!("fault.rs"),
    include_bytes!("frame.rs"),
    include_bytes!("info.rs"),
    include_bytes!("outcome.rs"),
    include_bytes!("sandbox/enforced.rs"),
    include_bytes!("sandbox/grants.rs"),
]);
/// Length of what stands before the message in each packet.
const HEADER_BYTES: usize = 8;

/// From parent to child.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToChild<'a> {
    /// The first message: what to load, in which sandbox, and what for.
    Load {
        /// Path of the library.
        plugin: String,
        /// What the process may do from then on.
        grants: Box<Grants>,
        /// What it and the processes it starts can be known by, if it may start any.
        mark: Option<u32>,
        /// What to do with it.
        task: Task,
    },
    /// Try a delivery. As many file descriptors as `frames` come along.
    Deliver {
        /// The hub's number.
        call_id: u64,
        /// Counting from 1.
        attempt: u32,
        /// From the beginning of the call.
        timeout: Duration,
        /// The alert.
        alert: Cow<'a, AlertDoc>,
        /// About each picture, with its length in bytes.
        frames: Vec<(FrameMeta, u64)>,
    },
    /// Try whether a delivery would work.
    Probe {
        /// The hub's number.
        call_id: u64,
        /// From the beginning of the call.
        timeout: Duration,
    },
    /// Cancel this call.
    Cancel {
        /// The hub's number, or the child's own.
        call_id: u64,
    },
    /// How the areas are armed, as a document: only for a plugin that may arm.
    Areas(String),
    /// What came of what was asked for.
    Answered {
        /// The number of the request.
        ticket: u64,
        /// What.
        outcome: ArmOutcome,
        /// Why, in a sentence.
        text: String,
    },
    /// Give a sign of life. The thread that receives answers, whatever the plugin does.
    Ping,
    /// Finish the call in flight, destroy the instance and leave.
    Stop,
}

/// What a child is started for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Task {
    /// Say what the plugin is.
    Inspect,
    /// Check a configuration.
    Validate {
        /// A JSON object.
        config: String,
    },
    /// Hold a configuration against the schema by which the plugin describes it.
    CheckSchema {
        /// A JSON Schema.
        schema: String,
        /// A JSON object.
        config: String,
    },
    /// Run an instance.
    Run {
        /// A JSON object.
        config: String,
        /// Name of the sink.
        instance: String,
        /// Directory for the instance's own files.
        state_dir: String,
        /// Version of the hub.
        hub_version: String,
        /// For `create`.
        timeout: Duration,
    },
}

/// From child to parent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToParent {
    /// The next step towards the answer has begun.
    Reached(Stage),
    /// The sandbox is in force, as far as this machine has it.
    Confined(Enforced),
    /// The sandbox cannot be put in force, and why. The child leaves.
    Unconfined(String),
    /// The plugin's file or table is of no use. The child leaves.
    Unloadable(LoadFault),
    /// The plugin is loaded; when inspecting, the description as JSON comes along, and this is the answer.
    Loaded(Box<PluginInfo>, Option<String>),
    /// Answer to validating and running: the plugin's outcome and notes.
    Answer(Outcome, Vec<Note>),
    /// This call is now with the plugin. If another one was and was not `Done`, it awaits the flush.
    Begun {
        /// The number given, or one of the child's own.
        call_id: u64,
    },
    /// These calls are over.
    Done {
        /// Their numbers, oldest first.
        call_ids: Vec<u64>,
        /// How they all ended.
        outcome: Outcome,
        /// What there is to say about it.
        notes: Vec<Note>,
    },
    /// A person has acknowledged the alert of this call at the sink.
    Acknowledged {
        /// The number given.
        call_id: u64,
    },
    /// A person at the plugin wants something of areas.
    Asked(ArmRequest),
    /// A line for the log.
    Log(LogLevel, String),
    /// The answer to a ping.
    Pong,
}

impl ToParent {
    /// The message in a word or two, for a sentence that begins with "it reports".
    #[must_use]
    pub fn subject(&self) -> &'static str {
        match self {
            Self::Reached(_) => "a step of its start",
            Self::Confined(_) | Self::Unconfined(_) => "its sandbox",
            Self::Unloadable(_) => "a plugin that cannot be loaded",
            Self::Loaded(..) => "a loaded plugin",
            Self::Answer(..) => "the outcome of its start",
            Self::Begun { .. } => "the beginning of a call",
            Self::Done { .. } => "the end of a call",
            Self::Acknowledged { .. } => "an acknowledgement",
            Self::Asked(_) => "what a person wants of areas",
            Self::Log(..) => "a log line",
            Self::Pong => "a sign of life",
        }
    }
}

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It was made by another release.
    #[error("the fingerprint of its protocol is {found:016x}, here it is {ours:016x}")]
    OtherRelease {
        /// What the packet begins with.
        found: u64,
        /// What it ought to begin with.
        ours: u64,
    },
    /// It is no message.
    #[error("a packet of {len} bytes is no message: {reason}")]
    Malformed {
        /// Bytes.
        len: usize,
        /// What was wrong.
        reason: String,
    },
}

/// Encodes a message for the child.
pub fn encode_to_child(message: &ToChild<'_>) -> Vec<u8> {
    encode(message)
}

/// Encodes a message for the parent.
pub fn encode_to_parent(message: &ToParent) -> Vec<u8> {
    encode(message)
}

/// Decodes what a parent sent. Accepts any bytes.
pub fn decode_to_child(bytes: &[u8]) -> Result<ToChild<'static>, DecodeError> {
    decode(bytes)
}

/// Decodes what a child sent. Accepts any bytes.
pub fn decode_to_parent(bytes: &[u8]) -> Result<ToParent, DecodeError> {
    decode(bytes)
}

fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let header = FINGERPRINT.to_le_bytes().to_vec();
    // Only a type whose length is not known beforehand can fail, and there is none here.
    postcard::to_extend(message, header).unwrap_or_default()
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let malformed = |reason: String| DecodeError::Malformed {
        len: bytes.len(),
        reason,
    };
    let Some((header, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(malformed("it ends within its header".into()));
    };
    let found = u64::from_le_bytes(*header);
    if found != FINGERPRINT {
        return Err(DecodeError::OtherRelease {
            found,
            ours: FINGERPRINT,
        });
    }
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(malformed(format!("{} bytes are left over", rest.len()))),
        Err(error) => Err(malformed(error.to_string())),
    }
}

/// The 64-bit FNV-1a hash (<http://www.isthe.com/chongo/tech/comp/fnv/>) over all files.
const fn fingerprint(files: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut file = 0;
    while file < files.len() {
        let mut index = 0;
        while index < files[file].len() {
            hash = (hash ^ files[file][index] as u64).wrapping_mul(0x100_0000_01b3);
            index += 1;
        }
        file += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Severity;

    #[test]
    fn an_alert_survives_encoding() {
        let alert = AlertDoc {
            id: "17".into(),
            severity: Severity::High,
            title: "Anomaly".into(),
            text: "A person climbs the fence.".into(),
            json: "{}".into(),
            unix_ms: 1_767_225_600_000,
            utc_offset_s: 3_600,
        };
        let meta = FrameMeta {
            mime: "image/jpeg".into(),
            name: "f.jpg".into(),
            width: 640,
            height: 480,
        };
        let message = ToChild::Deliver {
            call_id: 5,
            attempt: 2,
            timeout: Duration::from_millis(1500),
            alert: Cow::Borrowed(&alert),
            frames: vec![(meta, 300_000)],
        };
        assert_eq!(decode_to_child(&encode_to_child(&message)).unwrap(), message);
    }

    #[test]
    fn another_release_is_not_taken_for_a_malformed_packet() {
        let mut bytes = encode_to_parent(&ToParent::Begun { call_id: 1 });
        bytes[0] ^= 1;
        assert!(matches!(
            decode_to_parent(&bytes),
            Err(DecodeError::OtherRelease { .. })
        ));
        assert!(matches!(
            decode_to_parent(b"short"),
            Err(DecodeError::Malformed { .. })
        ));
        let mut long = encode_to_parent(&ToParent::Begun { call_id: 1 });
        long.push(0);
        assert!(matches!(
            decode_to_parent(&long),
            Err(DecodeError::Malformed { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = FINGERPRINT.to_le_bytes().to_vec();
            bytes.extend(body);
            if let Ok(message) = decode_to_child(&bytes) {
                prop_assert_eq!(decode_to_child(&encode_to_child(&message)).unwrap(), message);
            }
            if let Ok(message) = decode_to_parent(&bytes) {
                prop_assert_eq!(decode_to_parent(&encode_to_parent(&message)).unwrap(), message);
            }
        }
    }
}
