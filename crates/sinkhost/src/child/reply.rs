//! Asking the plugin something that it answers with an outcome and notes.

use std::ffi::c_void;
use std::time::Duration;

use watchpost_sink_abi as abi;
use watchpost_sinkhost_protocol::limits::{MAX_NOTE_BYTES, MAX_NOTES};
use watchpost_sinkhost_protocol::{Note, Outcome};

/// What the plugin has noted so far.
struct Notes {
    notes: Vec<Note>,
    max_bytes: usize,
}

/// Makes a reply, lets `call` have it and reads what became of it.
pub(super) fn ask(call: impl FnOnce(*mut abi::Reply) -> i32) -> (Outcome, Vec<Note>) {
    ask_for(MAX_NOTE_BYTES, call)
}

/// The same with notes of up to `max_bytes`.
pub(super) fn ask_for(max_bytes: usize, call: impl FnOnce(*mut abi::Reply) -> i32) -> (Outcome, Vec<Note>) {
    let mut collected = Notes {
        notes: Vec::new(),
        max_bytes,
    };
    let mut reply = abi::Reply {
        struct_size: size_of::<abi::Reply>() as u32,
        flags: 0,
        retry_after_ms: 0,
        private: (&raw mut collected).cast::<c_void>(),
        note: Some(note),
    };
    let raw = call(&raw mut reply);
    let outcome = match abi::Outcome::from_raw(raw) {
        abi::Outcome::Ok => Outcome::Ok,
        abi::Outcome::Retry => {
            let after = Some(Duration::from_millis(reply.retry_after_ms)).filter(|after| !after.is_zero());
            Outcome::Retry { after }
        }
        abi::Outcome::Permanent => Outcome::Permanent,
        abi::Outcome::BadConfig => Outcome::BadConfig,
        abi::Outcome::Fatal => Outcome::Fatal,
        abi::Outcome::Unsupported => Outcome::Unsupported,
    };
    if !(0..=5).contains(&raw) {
        collected.notes.push(Note::new(format!(
            "the plugin answered {raw}, which is no outcome; taken for WP_RETRY"
        )));
    }
    (outcome, collected.notes)
}

unsafe extern "C" fn note(reply: *mut abi::Reply, where_: abi::Str, text: abi::Str) {
    if reply.is_null() {
        return;
    }
    // SAFETY: the header says that `reply` is the one the plugin was called with; `ask_for` keeps it and the
    // collected alive for the call, and a reply is used by one thread only.
    let collected = unsafe { &mut *(*reply).private.cast::<Notes>() };
    if collected.notes.len() == MAX_NOTES {
        return;
    }
    // SAFETY: the header says that both texts are valid for this call.
    let (pointer, text) = unsafe {
        (
            text_of(where_, MAX_NOTE_BYTES),
            text_of(text, collected.max_bytes),
        )
    };
    collected.notes.push(Note { pointer, text });
}

/// Copies a text up to `max_bytes`; what is not UTF-8 is replaced.
///
/// # Safety
/// `text` is valid for reads.
pub(super) unsafe fn text_of(text: abi::Str, max_bytes: usize) -> String {
    // SAFETY: as the caller says.
    let bytes = unsafe { text.bytes() };
    let mut copy = String::from_utf8_lossy(&bytes[..bytes.len().min(max_bytes)]).into_owned();
    // A replacement is longer than the byte it stands for.
    let end = (0..=max_bytes.min(copy.len()))
        .rev()
        .find(|end| copy.is_char_boundary(*end));
    copy.truncate(end.unwrap_or(0));
    copy
}
