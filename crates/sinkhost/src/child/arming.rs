//! The plugin's part in arming: what it asks the hub for, within limits, and what it hears of that.

use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use watchpost_sink_abi as abi;
use watchpost_sinkhost_protocol::limits::{MAX_AREA_BYTES, MAX_CODE_BYTES, MAX_OPEN_ASKS};
use watchpost_sinkhost_protocol::{ArmAct, ArmMode, ArmOutcome, ArmRequest, AskLimit, Code, ToParent};

use super::port::Port;

/// The way between the plugin and the hub.
#[derive(Debug)]
pub(super) struct Arming {
    /// Whether the site lets this plugin arm.
    granted: bool,
    asks: Mutex<Asks>,
    /// Held while the plugin's functions run, so that they are called no more once another listener is there. Apart from `asks`,
    /// for they may ask.
    hearing: Mutex<Hearing>,
}

#[derive(Debug)]
struct Asks {
    /// Whether the plugin is created: before that the hub takes nothing from it.
    runs: bool,
    /// The number of the last request.
    last: u64,
    /// How many are not answered.
    open: usize,
    limit: AskLimit,
}

#[derive(Debug, Default)]
struct Hearing {
    listener: Option<Listener>,
    /// What was last heard of areas.
    areas: Option<String>,
}

#[derive(Debug)]
struct Listener(abi::ArmListener);

// SAFETY: the pointer is the plugin's, which the header obliges to bear its functions from another thread; we never follow it.
unsafe impl Send for Listener {}

impl Arming {
    pub(super) fn new(granted: bool) -> Self {
        let asks = Asks {
            runs: false,
            last: 0,
            open: 0,
            limit: AskLimit::new(Instant::now()),
        };
        Self {
            granted,
            asks: Mutex::new(asks),
            hearing: Mutex::default(),
        }
    }

    /// Whether the plugin may arm at all.
    pub(super) fn is_granted(&self) -> bool {
        self.granted
    }

    /// The plugin is created, and the hub knows it.
    pub(super) fn runs(&self) {
        self.asks().runs = true;
    }

    /// Passes on a request, and returns its number; 0 when that cannot be.
    pub(super) fn ask(&self, act: ArmAct, area: String, code: String, port: &Port) -> u64 {
        let mut asks = self.asks();
        let too_long = area.len() > MAX_AREA_BYTES || code.len() > MAX_CODE_BYTES;
        if too_long || !asks.runs || asks.open >= MAX_OPEN_ASKS || !asks.limit.admit(Instant::now()) {
            return 0;
        }
        asks.last += 1;
        asks.open += 1;
        let (ticket, code) = (asks.last, Code(code));
        // Still held: the hub is to hear of them in their order.
        port.send(&ToParent::Asked(ArmRequest {
            ticket,
            act,
            area,
            code,
        }));
        ticket
    }

    /// Has another listener, or none. The one before is called no more when this returns.
    pub(super) fn listen(&self, listener: Option<abi::ArmListener>) {
        let mut hearing = self.hearing();
        hearing.listener = listener.map(Listener);
        hearing.show_areas();
    }

    /// How the areas are armed.
    pub(super) fn areas(&self, json: String) {
        let mut hearing = self.hearing();
        hearing.areas = Some(json);
        hearing.show_areas();
    }

    /// What came of a request.
    pub(super) fn answered(&self, ticket: u64, outcome: ArmOutcome, text: &str) {
        let mut asks = self.asks();
        asks.open = asks.open.saturating_sub(1);
        drop(asks);
        if let Some(Listener(listener)) = &self.hearing().listener
            && let Some(answer) = listener.answer
        {
            let outcome = raw_outcome(outcome) as i32;
            // SAFETY: the plugin's own function with its own pointer; the text is valid for the call.
            unsafe { answer(listener.private, ticket, outcome, abi::Str::new(text)) }
        }
    }

    fn asks(&self) -> MutexGuard<'_, Asks> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hearing(&self) -> MutexGuard<'_, Hearing> {
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hearing {
    fn show_areas(&self) {
        if let (Some(Listener(listener)), Some(json)) = (&self.listener, &self.areas)
            && let Some(areas) = listener.areas
        {
            let private: *mut c_void = listener.private;
            // SAFETY: as for an answer.
            unsafe { areas(private, abi::Str::new(json)) }
        }
    }
}

/// What the plugin wants, if it is something that there is.
pub(super) fn act(request: &abi::ArmRequest) -> Option<ArmAct> {
    let force = request.flags & abi::ARM_FORCE != 0;
    let mode = match abi::ArmAct::from_raw(request.act)? {
        abi::ArmAct::ArmHome => ArmMode::Home,
        abi::ArmAct::ArmAway => ArmMode::Away,
        abi::ArmAct::ArmNight => ArmMode::Night,
        abi::ArmAct::Disarm => return Some(ArmAct::Disarm),
        abi::ArmAct::Panic => {
            let silent = request.flags & abi::PANIC_SILENT != 0;
            return Some(ArmAct::Panic { silent });
        }
    };
    Some(ArmAct::Arm { mode, force })
}

fn raw_outcome(outcome: ArmOutcome) -> abi::ArmOutcome {
    match outcome {
        ArmOutcome::Done => abi::ArmOutcome::Done,
        ArmOutcome::Noted => abi::ArmOutcome::Noted,
        ArmOutcome::NotReady => abi::ArmOutcome::NotReady,
        ArmOutcome::NeedsCode => abi::ArmOutcome::NeedsCode,
        ArmOutcome::WrongCode => abi::ArmOutcome::WrongCode,
        ArmOutcome::Locked => abi::ArmOutcome::Locked,
        ArmOutcome::Refused => abi::ArmOutcome::Refused,
    }
}
