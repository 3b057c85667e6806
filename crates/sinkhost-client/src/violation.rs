//! What a child can send that no child of this release sends.

use watchpost_sinkhost_protocol::limits::{
    MAX_AREA_BYTES, MAX_CODE_BYTES, MAX_DESCRIPTION_BYTES, MAX_INFO_BYTES, MAX_LINE_BYTES, MAX_NOTE_BYTES,
    MAX_NOTES,
};
use watchpost_sinkhost_protocol::{Note, Outcome, ToParent};

/// Why a child is ended for what it has sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    /// A call that it does not have.
    #[error("it reports on call {0}, which it does not have")]
    UnknownCall(u64),
    /// A call that is not next.
    #[error("it begins call {0} out of turn")]
    OutOfTurn(u64),
    /// More than one acknowledgement.
    #[error("it acknowledges the alert of call {0} twice")]
    AcknowledgedTwice(u64),
    /// An acknowledgement without the grant.
    #[error("it acknowledges an alert, which `[sink.sandbox]` does not let it")]
    AcknowledgeNotGranted,
    /// A wish about areas without the grant.
    #[error("it asks to arm or disarm, which `[sink.sandbox]` does not let it")]
    ArmNotGranted,
    /// A wish whose number is not next.
    #[error("it asks to arm or disarm under number {0}, which is out of turn")]
    AskedOutOfTurn(u64),
    /// More wishes than it may have.
    #[error("it asks to arm or disarm more often than its limit lets through")]
    AskFlood,
    /// A message whose turn it is not.
    #[error("it reports {0} out of order")]
    OutOfOrder(&'static str),
    /// An answer to no question.
    #[error("it answers a ping that was not sent")]
    UnaskedPong,
    /// Too many notes.
    #[error("it sends {0} notes with an outcome; {MAX_NOTES} are the limit")]
    TooManyNotes(usize),
    /// A text that is too long.
    #[error("it sends {what} of {bytes} bytes; {limit} are the limit")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// More log lines than it may send.
    #[error("it sends more log lines than its limit lets through")]
    LogFlood,
    /// Files that no message takes along.
    #[error("it sends {0} open files, which no message takes along")]
    Files(usize),
    /// An outcome that is the parent's to give.
    #[error("it reports an outcome that only its parent gives")]
    ForeignOutcome,
}

/// No text of a message is longer than its kind may be, and no list.
pub(crate) fn check_size(message: &ToParent) -> Result<(), Violation> {
    match message {
        ToParent::Loaded(info, description) => {
            for text in [&info.id, &info.name, &info.version, &info.summary, &info.sdk] {
                // What is not UTF-8 is replaced by what takes three bytes.
                check_len("a text about itself", text, MAX_INFO_BYTES * 3)?;
            }
            check_len(
                "a description",
                description.as_deref().unwrap_or(""),
                MAX_DESCRIPTION_BYTES,
            )
        }
        ToParent::Answer(outcome, notes) | ToParent::Done { outcome, notes, .. } => {
            if *outcome == Outcome::TimedOut {
                return Err(Violation::ForeignOutcome);
            }
            check_notes(notes)
        }
        ToParent::Asked(request) => {
            check_len("the name of an area", &request.area, MAX_AREA_BYTES)?;
            check_len("a code", &request.code.0, MAX_CODE_BYTES)
        }
        ToParent::Log(_, line) => check_len("a log line", line, MAX_LINE_BYTES),
        ToParent::Unconfined(reason) => check_len("a reason", reason, MAX_NOTE_BYTES),
        ToParent::Unloadable(fault) => check_len("a fault", &fault.to_string(), MAX_NOTE_BYTES),
        ToParent::Reached(_)
        | ToParent::Confined(_)
        | ToParent::Begun { .. }
        | ToParent::Acknowledged { .. }
        | ToParent::Pong => Ok(()),
    }
}

fn check_notes(notes: &[Note]) -> Result<(), Violation> {
    // The host adds one of its own to an outcome that is none.
    if notes.len() > MAX_NOTES + 1 {
        return Err(Violation::TooManyNotes(notes.len()));
    }
    for note in notes {
        check_len("a note", &note.text, MAX_NOTE_BYTES)?;
        check_len("a note's pointer", &note.pointer, MAX_NOTE_BYTES)?;
    }
    Ok(())
}

fn check_len(what: &'static str, text: &str, limit: usize) -> Result<(), Violation> {
    match text.len() {
        bytes if bytes > limit => Err(Violation::TooLong { what, bytes, limit }),
        _ => Ok(()),
    }
}
