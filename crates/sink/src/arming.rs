//! Arming and disarming at a sink: what people ask for, and how the areas are armed.

use std::ffi::c_void;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Deserialize;
use watchpost_sink_abi as abi;

use crate::{ArmAct, ArmOutcome, Host};

/// What a sink gets to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArmingNews {
    /// How the areas are armed now, in the order of the configuration.
    Areas(Vec<AreaStatus>),
    /// What came of what was asked for. It may come before [`Arming::ask`] has returned its number.
    Answer {
        /// By which it is known.
        ticket: u64,
        /// What.
        outcome: ArmOutcome,
        /// Why, in a sentence that may be empty.
        text: String,
    },
}

/// How an area is armed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AreaStatus {
    /// Its name.
    pub name: String,
    /// The modes in which it can be armed.
    pub modes: Vec<AreaMode>,
    /// Where it stands.
    pub state: AreaState,
    /// How it is armed, or will be when it is `arming`.
    pub mode: Option<AreaMode>,
    /// How it is armed while it is `arming` for another mode.
    pub from: Option<AreaMode>,
    /// When its state ends by itself: RFC 3339, in UTC.
    pub until: Option<String>,
    /// Since when: RFC 3339, in UTC.
    pub since: Option<String>,
    /// Who has armed or disarmed it last.
    pub by: Option<String>,
    /// The camera that has seen something, while it is pending or triggered.
    pub cause: Option<String>,
}

/// Where an area stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AreaState {
    /// What its cameras see is no alarm.
    Disarmed,
    /// People are leaving.
    Arming,
    /// What its cameras see is an alarm.
    Armed,
    /// Someone has come in, and may disarm it.
    Pending,
    /// Alarm.
    Triggered,
    /// Something that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A mode in which areas are armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are those of the configuration")]
pub enum AreaMode {
    Home,
    Away,
    Night,
}

/// Something that a person wants.
#[derive(Clone, Copy, Default)]
pub struct ArmRequest<'a> {
    /// Name of the area; empty: all, of which only those of the mode are armed.
    pub area: &'a str,
    /// What the person has typed; empty: nothing.
    pub code: &'a str,
    /// Whether to arm also what is not ready.
    pub force: bool,
    /// Whether no siren sounds for a panic.
    pub silent: bool,
}

impl fmt::Debug for ArmRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { area, force, .. } = self;
        f.debug_struct("ArmRequest")
            .field("area", area)
            .field("force", force)
            .finish_non_exhaustive()
    }
}

/// By which a sink arms and disarms, and is informed of it until this is dropped.
pub struct Arming {
    host: Host,
    arm: abi::Arm,
    take: *mut Take,
}

/// What is done with news.
type Take = Box<dyn FnMut(ArmingNews) + Send>;

// SAFETY: the extension's functions may be called on any thread; `take` is used by the host alone, on a thread at a time, and is
// `Send`.
unsafe impl Send for Arming {}
// SAFETY: as above.
unsafe impl Sync for Arming {}

impl Arming {
    /// The extension of this host, if the site grants it.
    pub(crate) fn of(host: &Host, take: impl FnMut(ArmingNews) + Send + 'static) -> Option<Self> {
        // SAFETY: the header says what the extension of this name is, and that it lives as long as the host.
        let arm = unsafe { abi::read(host.extension(abi::ARM)?.cast::<abi::Arm>()) };
        let take: Box<Take> = Box::new(Box::new(take));
        let arming = Self {
            host: host.clone(),
            arm,
            take: Box::into_raw(take),
        };
        let listener = abi::ArmListener {
            struct_size: size_of::<abi::ArmListener>() as u32,
            reserved: 0,
            private: arming.take.cast::<c_void>(),
            areas: Some(areas),
            answer: Some(answer),
        };
        arming.listen(Some(&listener));
        Some(arming)
    }

    /// Asks for something, and gives the number by which the answer comes. `None`: it is not passed on, as the sink is still being
    /// created, or too much was asked for.
    pub fn ask(&self, act: ArmAct, request: ArmRequest<'_>) -> Option<u64> {
        let request = abi::ArmRequest {
            struct_size: size_of::<abi::ArmRequest>() as u32,
            act: act as u32,
            flags: if request.force { abi::ARM_FORCE } else { 0 }
                | if request.silent { abi::PANIC_SILENT } else { 0 },
            reserved: 0,
            area: abi::Str::new(request.area),
            code: abi::Str::new(request.code),
        };
        // SAFETY: the host lives, and the request does for the call.
        let ticket = unsafe { (self.arm.ask?)(self.host.raw(), &raw const request) };
        (ticket > 0).then_some(ticket)
    }

    fn listen(&self, listener: Option<&abi::ArmListener>) {
        if let Some(listen) = self.arm.listen {
            let listener = listener.map_or(std::ptr::null(), std::ptr::from_ref);
            // SAFETY: the host lives, and copies the listener.
            unsafe { listen(self.host.raw(), listener) }
        }
    }
}

impl Drop for Arming {
    fn drop(&mut self) {
        self.listen(None);
        // SAFETY: made by `Box::into_raw`, and the host uses it no more.
        drop(unsafe { Box::from_raw(self.take) });
    }
}

impl fmt::Debug for Arming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arming").finish_non_exhaustive()
    }
}

impl Host {
    /// By which people arm and disarm at this sink, where the site grants it (`[sink.sandbox] arm`). `take` gets what there is to know
    /// from now on, on another thread, and has to return at once.
    pub fn arming(&self, take: impl FnMut(ArmingNews) + Send + 'static) -> Option<Arming> {
        Arming::of(self, take)
    }
}

#[derive(Deserialize)]
struct Document {
    areas: Vec<AreaStatus>,
}

unsafe extern "C" fn areas(private: *mut c_void, json: abi::Str) {
    // SAFETY: the host passes back what it got, and a text that is valid for the call.
    let text = unsafe { String::from_utf8_lossy(json.bytes()) };
    // Keys are only ever added, so it can be read; what cannot is no news.
    if let Ok(Document { areas }) = serde_json::from_str(&text) {
        // SAFETY: as above.
        unsafe { pass_on(private, ArmingNews::Areas(areas)) }
    }
}

unsafe extern "C" fn answer(private: *mut c_void, ticket: u64, outcome: i32, text: abi::Str) {
    // SAFETY: the host passes back what it got, and a text that is valid for the call.
    unsafe {
        let news = ArmingNews::Answer {
            ticket,
            outcome: ArmOutcome::from_raw(outcome),
            text: String::from_utf8_lossy(text.bytes()).into_owned(),
        };
        pass_on(private, news);
    }
}

/// # Safety
/// `private` is that of a listener that lives, which the host calls on one thread at a time.
unsafe fn pass_on(private: *mut c_void, news: ArmingNews) {
    // SAFETY: as the caller says.
    let take = unsafe { &mut *private.cast::<Take>() };
    // The panic hook has written to stderr what there is to say.
    let _ = catch_unwind(AssertUnwindSafe(|| take(news))).map_err(std::mem::forget);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_a_later_version_is_read() {
        let json = r#"{"areas":[{"name":"Yard","modes":["away"],"state":"asleep","soon":1}],"more":{}}"#;
        let Document { areas } = serde_json::from_str(json).unwrap();
        assert_eq!(areas[0].state, AreaState::Unknown);
        let json = r#"{"areas":[{"name":"Yard","modes":["home","away"],"state":"pending","mode":"away","until":"2026-01-01T00:00:30.000Z",
            "since":"2026-01-01T00:00:00.000Z","by":"Anna at sink panel","cause":"Door"}]}"#;
        let Document { areas } = serde_json::from_str(json).unwrap();
        assert_eq!(
            (areas[0].state, areas[0].mode),
            (AreaState::Pending, Some(AreaMode::Away))
        );
    }

    #[test]
    fn a_code_is_not_shown() {
        let request = ArmRequest {
            code: "4711",
            ..ArmRequest::default()
        };
        assert!(!format!("{request:?}").contains("4711"));
    }
}
