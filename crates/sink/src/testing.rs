//! Runs a sink in a unit test, through the same functions that the host calls.
//!
//! ```
//! use watchpost_sink::testing::{Bench, alert};
//! # use watchpost_sink::{Alert, Call, Fail, Host, Sink};
//! # struct Bell;
//! # #[derive(serde::Deserialize, schemars::JsonSchema)]
//! # #[serde(deny_unknown_fields)]
//! # struct Config { rings: u8 }
//! # impl Sink for Bell {
//! #     type Config = Config;
//! #     fn create(_config: Config, _host: &Host) -> Result<Self, Fail> { Ok(Self) }
//! #     fn deliver(&mut self, _alert: &Alert<'_>, _call: &Call<'_>) -> Result<(), Fail> { Ok(()) }
//! # }
//!
//! let mut bell = Bench::<Bell>::create(r#"{"rings": 3}"#, std::env::temp_dir()).unwrap();
//! bell.deliver(&alert("1")).unwrap();
//!
//! let error = Bench::<Bell>::create(r#"{"rings": "many"}"#, std::env::temp_dir()).unwrap_err();
//! assert!(error.to_string().starts_with("bad configuration: /rings: invalid type"));
//! ```
//!
//! What only a process of its own can show (a crash, a deadline that passes) is not for here.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ffi::{c_char, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use watchpost_sink_abi as abi;

pub use crate::conformance::conformance;
pub use crate::samples::{Sample, samples};
use crate::{Alert, Fail, Frame, Severity, Sink, export, shim};

/// A picture for a [`TestAlert`].
#[derive(Clone, Debug)]
pub struct TestFrame {
    /// Media type.
    pub mime: String,
    /// File name.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// Pixels, 0 when not known.
    pub width: u32,
    /// Pixels, 0 when not known.
    pub height: u32,
}

/// An alert to deliver. Change what matters to the test.
#[derive(Clone, Debug)]
pub struct TestAlert {
    /// Its id.
    pub id: String,
    /// Its severity.
    pub severity: Severity,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
    /// Its JSON.
    pub json: String,
    /// When it was received: milliseconds since 1970 UTC.
    pub unix_ms: u64,
    /// See [`Alert::utc_offset_s`].
    pub utc_offset_s: i32,
    /// Its pictures.
    pub frames: Vec<TestFrame>,
}

/// An alert without a picture, received on 1 January 2026 at 00:00 UTC.
pub fn alert(id: &str) -> TestAlert {
    TestAlert {
        id: id.into(),
        severity: Severity::High,
        title: "Abnormal behaviour".into(),
        text: "A person climbs the fence at the gate.".into(),
        json: format!("{{\"id\":\"{id}\",\"kind\":\"anomaly\",\"camera\":{{\"id\":\"gate\"}}}}"),
        unix_ms: 1_767_225_600_000,
        utc_offset_s: 0,
        frames: Vec::new(),
    }
}

impl TestAlert {
    /// Lets `look` have it as a sink sees it, for what is tested without a sink.
    pub fn with<T>(&self, look: impl FnOnce(&Alert<'_>) -> T) -> T {
        let mut frames = Vec::new();
        for frame in &self.frames {
            frames.push(Frame {
                mime: Cow::Borrowed(&frame.mime),
                name: Cow::Borrowed(&frame.name),
                bytes: &frame.bytes,
                width: frame.width,
                height: frame.height,
            });
        }
        look(&Alert {
            id: Cow::Borrowed(&self.id),
            severity: self.severity,
            title: Cow::Borrowed(&self.title),
            text: Cow::Borrowed(&self.text),
            json: Cow::Borrowed(&self.json),
            parsed: OnceCell::new(),
            unix_ms: self.unix_ms,
            utc_offset_s: self.utc_offset_s,
            frames,
        })
    }
}

/// A sink on the bench, dropped with it.
pub struct Bench<S: Sink> {
    table: abi::Plugin,
    instance: *mut c_void,
    host: Box<abi::Host>,
    state: Box<HostState>,
    next_call: u64,
    _sink: PhantomData<S>,
}

/// What the host's functions work on, and the texts it lends.
#[derive(Debug)]
struct HostState {
    log: Mutex<Vec<String>>,
    cancelled: Mutex<Option<u64>>,
    state_dir: String,
}

impl<S: Sink> Bench<S> {
    /// Creates the sink from a configuration in JSON.
    pub fn create(config: &str, state_dir: impl Into<PathBuf>) -> Result<Self, Fail> {
        let state_dir = state_dir.into().to_string_lossy().into_owned();
        let state = Box::new(HostState {
            log: Mutex::default(),
            cancelled: Mutex::default(),
            state_dir,
        });
        let host = Box::new(abi::Host {
            struct_size: size_of::<abi::Host>() as u32,
            abi_major: abi::ABI_MAJOR,
            abi_minor: abi::ABI_MINOR,
            private: ptr::from_ref(&*state).cast_mut().cast(),
            hub_version: abi::Str::new("0.0.0-test"),
            instance: abi::Str::new("test"),
            state_dir: abi::Str::new(&state.state_dir),
            log: Some(log),
            cancelled: Some(cancelled),
            extension: Some(extension),
        });
        let table = export::plugin::<S>(c"test", c"Test", c"0", c"");
        let mut bench = Self {
            table,
            instance: ptr::null_mut(),
            host,
            state,
            next_call: 1,
            _sink: PhantomData,
        };
        bench.call(0, |bench, call, reply| {
            let create = bench.table.create?;
            let mut instance = ptr::null_mut();
            // SAFETY: the host lives as long as the bench, the rest for the call.
            let raw = unsafe {
                create(
                    &raw const *bench.host,
                    abi::Str::new(config),
                    call,
                    &raw mut instance,
                    reply,
                )
            };
            bench.instance = instance;
            Some(raw)
        })?;
        Ok(bench)
    }

    /// Checks a configuration in JSON without creating the sink.
    pub fn check(config: &str) -> Result<(), Fail> {
        // SAFETY: text and reply are valid for the call.
        ask(|reply| Some(unsafe { shim::validate::<S>(abi::Str::new(config), reply) }))
    }

    /// What the sink tells of itself.
    pub fn describe() -> serde_json::Value {
        crate::describe::describe::<S>()
    }

    /// Delivers an alert, as the first attempt.
    pub fn deliver(&mut self, alert: &TestAlert) -> Result<(), Fail> {
        self.deliver_again(alert, 1)
    }

    /// Delivers an alert as this attempt, of which the first is 1.
    pub fn deliver_again(&mut self, alert: &TestAlert, attempt: u32) -> Result<(), Fail> {
        let frames: Vec<abi::Frame> = alert.frames.iter().map(TestFrame::as_abi).collect();
        let alert = abi::Alert {
            struct_size: size_of::<abi::Alert>() as u32,
            severity: alert.severity as u32,
            unix_ms: alert.unix_ms,
            id: abi::Str::new(&alert.id),
            title: abi::Str::new(&alert.title),
            text: abi::Str::new(&alert.text),
            json: abi::Str::new(&alert.json),
            frames: frames.as_ptr(),
            frame_count: frames.len(),
            frame_stride: size_of::<abi::Frame>(),
            utc_offset_s: isize::try_from(alert.utc_offset_s).unwrap_or(0),
        };
        self.call(attempt, |bench, call, reply| {
            let deliver = bench.table.deliver?;
            // SAFETY: the instance is created, the rest is valid for the call.
            Some(unsafe { deliver(bench.instance, &raw const alert, call, reply) })
        })
    }

    /// Flushes; at once `Ok` for a sink that does not.
    pub fn flush(&mut self) -> Result<(), Fail> {
        self.call(0, |bench, call, reply| {
            let Some(flush) = bench.table.flush else {
                return Some(abi::Outcome::Ok as i32);
            };
            // SAFETY: the instance is created, the rest is valid for the call.
            Some(unsafe { flush(bench.instance, call, reply) })
        })
    }

    /// Probes.
    pub fn probe(&mut self) -> Result<(), Fail> {
        self.call(0, |bench, call, reply| {
            let probe = bench.table.probe?;
            // SAFETY: the instance is created, the rest is valid for the call.
            Some(unsafe { probe(bench.instance, call, reply) })
        })
    }

    /// Lets the next call find itself cancelled.
    pub fn cancel_next(&mut self) {
        *self
            .state
            .cancelled
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(self.next_call);
    }

    /// The lines the sink has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.state
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn call(
        &mut self,
        attempt: u32,
        make: impl FnOnce(&mut Self, *const abi::Call, *mut abi::Reply) -> Option<i32>,
    ) -> Result<(), Fail> {
        let struct_size = size_of::<abi::Call>() as u32;
        let call = abi::Call {
            struct_size,
            attempt,
            call_id: self.next_call,
            deadline_ns: 0,
        };
        self.next_call += 1;
        ask(|reply| make(self, &raw const call, reply))
    }
}

impl<S: Sink> Drop for Bench<S> {
    fn drop(&mut self) {
        if let (Some(destroy), false) = (self.table.destroy, self.instance.is_null()) {
            // SAFETY: created, and this is the last call.
            unsafe { destroy(self.instance) }
        }
    }
}

impl<S: Sink> fmt::Debug for Bench<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl TestFrame {
    fn as_abi(&self) -> abi::Frame {
        abi::Frame {
            mime: abi::Str::new(&self.mime),
            name: abi::Str::new(&self.name),
            data: self.bytes.as_ptr(),
            len: self.bytes.len(),
            width: self.width,
            height: self.height,
        }
    }
}

/// Makes a reply and reads it. `None`: the sink does not have that function.
fn ask(make: impl FnOnce(*mut abi::Reply) -> Option<i32>) -> Result<(), Fail> {
    let mut notes: Vec<(String, String)> = Vec::new();
    let mut reply = abi::Reply {
        struct_size: size_of::<abi::Reply>() as u32,
        flags: 0,
        retry_after_ms: 0,
        private: (&raw mut notes).cast(),
        note: Some(note),
    };
    match make(&raw mut reply) {
        Some(raw) => shim::result(raw, reply.retry_after_ms, notes),
        None => Err(Fail::unsupported()),
    }
}

unsafe extern "C" fn note(reply: *mut abi::Reply, where_: abi::Str, text: abi::Str) {
    // SAFETY: called by the shim with the reply of `ask` and texts that are valid for the call.
    unsafe {
        let own = |text: abi::Str| String::from_utf8_lossy(text.bytes()).into_owned();
        (*(*reply).private.cast::<Vec<(String, String)>>()).push((own(where_), own(text)));
    }
}

unsafe extern "C" fn log(host: *const abi::Host, _level: i32, line: abi::Str) {
    // SAFETY: called by `Host` with the bench's host and a text that is valid for the call.
    let (state, line) = unsafe {
        (
            &*(*host).private.cast::<HostState>(),
            String::from_utf8_lossy(line.bytes()),
        )
    };
    state
        .log
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(line.into_owned());
}

unsafe extern "C" fn cancelled(host: *const abi::Host, call_id: u64) -> i32 {
    // SAFETY: called by `Host` with the bench's host.
    let state = unsafe { &*(*host).private.cast::<HostState>() };
    (*state.cancelled.lock().unwrap_or_else(PoisonError::into_inner) == Some(call_id)).into()
}

unsafe extern "C" fn extension(_host: *const abi::Host, _id: *const c_char) -> *const c_void {
    ptr::null()
}
