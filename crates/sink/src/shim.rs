//! Between C and the [`Sink`] trait: pointers become references, results become outcomes, and no panic gets out.

use std::any::Any;
use std::cell::OnceCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use watchpost_sink_abi as abi;

use crate::{Alert, Call, Canceller, Fail, Frame, Host, Level, Outcome, Sink};

/// What the host's instance pointer leads to.
struct Instance<S> {
    sink: S,
    host: Host,
    /// Used by another thread while the rest is in use, so never reached through a reference to the whole.
    canceller: Option<Canceller>,
    /// A panic went through it; what it was doing is half done.
    panicked: bool,
}

pub(crate) unsafe extern "C" fn describe<S: Sink>(reply: *mut abi::Reply) -> i32 {
    // SAFETY: the host passes a reply that is valid for the call.
    unsafe {
        answer(reply, || {
            note(reply, "", &crate::describe::describe::<S>().to_string());
            Ok(())
        })
    }
}

pub(crate) unsafe extern "C" fn validate<S: Sink>(config: abi::Str, reply: *mut abi::Reply) -> i32 {
    // SAFETY: the host passes a text and a reply that are valid for the call.
    unsafe { answer(reply, || S::check(&parse::<S::Config>(config.bytes())?)) }
}

pub(crate) unsafe extern "C" fn create<S: Sink>(
    host: *const abi::Host,
    config: abi::Str,
    _call: *const abi::Call,
    instance: *mut *mut c_void,
    reply: *mut abi::Reply,
) -> i32 {
    let make = || {
        // SAFETY: the host passes a text that is valid for the call, and itself, which outlives the instance.
        let (config, host) = unsafe { (parse::<S::Config>(config.bytes())?, Host::from_raw(host)) };
        let (Some(host), false) = (host, instance.is_null()) else {
            return Err(null_pointer("create"));
        };
        S::check(&config)?;
        let sink = S::create(config, &host)?;
        let canceller = sink.canceller();
        let made = Box::into_raw(Box::new(Instance {
            sink,
            host,
            canceller,
            panicked: false,
        }));
        // SAFETY: not null, and the host passes a place to put the instance.
        unsafe { instance.write(made.cast()) };
        Ok(())
    };
    // SAFETY: the host passes a reply that is valid for the call.
    unsafe { answer(reply, make) }
}

pub(crate) unsafe extern "C" fn deliver<S: Sink>(
    instance: *mut c_void,
    alert: *const abi::Alert,
    call: *const abi::Call,
    reply: *mut abi::Reply,
) -> i32 {
    // SAFETY: the host passes what `create` made, and pointers that are valid for the call.
    unsafe {
        with_instance::<S>("deliver", instance, call, reply, |sink, call| {
            match alert.is_null() {
                true => Err(null_pointer("deliver")),
                false => sink.deliver(&view(&abi::read(alert)), call),
            }
        })
    }
}

pub(crate) unsafe extern "C" fn flush<S: Sink>(
    instance: *mut c_void,
    call: *const abi::Call,
    reply: *mut abi::Reply,
) -> i32 {
    // SAFETY: as for `deliver`.
    unsafe { with_instance::<S>("flush", instance, call, reply, S::flush) }
}

pub(crate) unsafe extern "C" fn probe<S: Sink>(
    instance: *mut c_void,
    call: *const abi::Call,
    reply: *mut abi::Reply,
) -> i32 {
    // SAFETY: as for `deliver`.
    unsafe { with_instance::<S>("probe", instance, call, reply, S::probe) }
}

pub(crate) unsafe extern "C" fn cancel<S: Sink>(instance: *mut c_void, call_id: u64) {
    if instance.is_null() {
        return;
    }
    // SAFETY: the instance lives until `destroy`, which does not overlap; this field alone is borrowed, and
    // nothing writes to it.
    let canceller = unsafe { &(*instance.cast::<Instance<S>>()).canceller };
    if let Some(canceller) = canceller {
        // The panic hook has written to stderr what there is to say.
        let _ = catch_unwind(AssertUnwindSafe(|| canceller(call_id))).map_err(std::mem::forget);
    }
}

pub(crate) unsafe extern "C" fn destroy<S: Sink>(instance: *mut c_void) {
    if instance.is_null() {
        return;
    }
    // SAFETY: made by `create` with `Box::into_raw`, and the host calls this once, last.
    let instance = unsafe { Box::from_raw(instance.cast::<Instance<S>>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(instance))).map_err(std::mem::forget);
}

/// Makes a call on an instance that is fit for it.
///
/// # Safety
/// `instance` is what [`create`] made for `S`, in no other call but `cancel`; `call` and `reply` are null or valid.
unsafe fn with_instance<S: Sink>(
    name: &str,
    instance: *mut c_void,
    call: *const abi::Call,
    reply: *mut abi::Reply,
    make: impl FnOnce(&mut S, &Call<'_>) -> Result<(), Fail>,
) -> i32 {
    let instance = instance.cast::<Instance<S>>();
    if instance.is_null() || call.is_null() {
        // SAFETY: as the caller says.
        return unsafe { answer(reply, || Err(null_pointer(name))) };
    }
    // SAFETY: the instance lives and no other call uses these fields; `cancel` uses only the canceller.
    let (sink, host, panicked) = unsafe {
        (
            &mut (*instance).sink,
            &(*instance).host,
            &mut (*instance).panicked,
        )
    };
    let run = || {
        if std::mem::replace(panicked, true) {
            return Err(Fail::fatal("the sink has panicked before"));
        }
        // SAFETY: not null, and as the caller says.
        let call = Call {
            raw: unsafe { abi::read(call) },
            host,
        };
        let result = make(sink, &call);
        *panicked = false;
        result
    };
    // SAFETY: as the caller says.
    let outcome = unsafe { answer(reply, run) };
    if *panicked {
        host.log(
            Level::Error,
            format_args!("the sink panicked in `{name}`; it is created again"),
        );
    }
    outcome
}

/// Runs what may fail or panic and turns the result into an outcome with notes.
///
/// # Safety
/// `reply` is null or valid for the call.
unsafe fn answer(reply: *mut abi::Reply, run: impl FnOnce() -> Result<(), Fail>) -> i32 {
    let fail = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => return Outcome::Ok as i32,
        Ok(Err(fail)) => fail,
        Err(payload) => Fail::fatal(format_args!("the sink panicked: {}", panic_message(payload))),
    };
    // SAFETY: as the caller says; the host's reply is at least that of version 1.0, which has both fields.
    unsafe {
        if let Some(reply) = reply.as_mut()
            && let Some(after) = fail.retry_after()
        {
            reply.retry_after_ms = u64::try_from(after.as_millis().max(1)).unwrap_or(u64::MAX);
        }
        fail.notes()
            .for_each(|(pointer, text)| note(reply, pointer, text));
    }
    fail.outcome() as i32
}

/// # Safety
/// `reply` is null or valid for the call.
unsafe fn note(reply: *mut abi::Reply, pointer: &str, text: &str) {
    // SAFETY: as the caller says; the texts live for the call.
    unsafe {
        if let Some(note) = reply.as_ref().and_then(|reply| reply.note) {
            note(reply, abi::Str::new(pointer), abi::Str::new(text));
        }
    }
}

/// What a panic said. The payload is forgotten: dropping it may panic again.
fn panic_message(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    std::mem::forget(payload);
    text.unwrap_or_else(|| "without a message".into())
}

fn null_pointer(function: &str) -> Fail {
    Fail::fatal(format_args!("the host called `{function}` with a null pointer"))
}

/// Reads a configuration; an error says where.
fn parse<C: DeserializeOwned>(config: &[u8]) -> Result<C, Fail> {
    let mut json = serde_json::Deserializer::from_slice(config);
    let parsed = serde_path_to_error::deserialize(&mut json);
    parsed.map_err(|error| Fail::bad_config(&pointer(error.path()), sentence(error.inner())))
}

/// The error without serde_json's line and column, which mean nothing to who wrote TOML.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// A path as JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        })
        .collect()
}

/// An alert as the sink sees it.
///
/// # Safety
/// What the alert points to is valid for `'a`.
unsafe fn view<'a>(alert: &abi::Alert) -> Alert<'a> {
    // SAFETY: as the caller says.
    let text = |text: abi::Str| unsafe { String::from_utf8_lossy(text.bytes()) };
    let count = if alert.frames.is_null() {
        0
    } else {
        alert.frame_count
    };
    let frames = (0..count).map(|index| {
        // SAFETY: the host has `frame_count` frames at this distance, each at least as long as ours.
        let frame = unsafe { alert.frames.byte_add(index * alert.frame_stride).read() };
        let bytes = abi::Str {
            ptr: frame.data.cast(),
            len: frame.len,
        };
        Frame {
            mime: text(frame.mime),
            name: text(frame.name),
            // SAFETY: as the caller says.
            bytes: unsafe { bytes.bytes() },
            width: frame.width,
            height: frame.height,
        }
    });
    Alert {
        frames: frames.collect(),
        id: text(alert.id),
        severity: abi::Severity::from_raw(alert.severity),
        title: text(alert.title),
        text: text(alert.text),
        json: text(alert.json),
        parsed: OnceCell::new(),
        unix_ms: alert.unix_ms,
        utc_offset_s: i32::try_from(alert.utc_offset_s).unwrap_or(0),
    }
}

/// Makes a [`Fail`] of an outcome and notes, for [`testing`](crate::testing).
pub(crate) fn result(raw: i32, retry_after_ms: u64, notes: Vec<(String, String)>) -> Result<(), Fail> {
    let after = Some(retry_after_ms)
        .filter(|ms| *ms > 0)
        .map(Duration::from_millis);
    match Outcome::from_raw(raw) {
        Outcome::Ok => Ok(()),
        outcome => Err(Fail::from_parts(outcome, after, notes)),
    }
}
