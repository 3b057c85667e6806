//! What the plugin may ask of its host: the functions of `wp_host`.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use watchpost_sink_abi as abi;
use watchpost_sinkhost_protocol::limits::{MAX_AREA_BYTES, MAX_CODE_BYTES, MAX_LINE_BYTES};
use watchpost_sinkhost_protocol::{LogLevel, ToParent};

use super::arming::{self, Arming};
use super::current::Current;
use super::port::Port;
use super::reply::text_of;

/// What the functions work on.
struct Private {
    port: &'static Port,
    current: &'static Current,
    arming: &'static Arming,
}

/// Makes the plugin's host. It is never freed: a thread that the plugin forgot may still use it at the end.
pub(super) fn leak(
    port: &'static Port,
    (current, arming): (&'static Current, &'static Arming),
    hub_version: String,
    instance: String,
    state_dir: String,
) -> &'static abi::Host {
    let private: &'static Private = Box::leak(Box::new(Private {
        port,
        current,
        arming,
    }));
    Box::leak(Box::new(abi::Host {
        struct_size: size_of::<abi::Host>() as u32,
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        private: ptr::from_ref(private).cast_mut().cast::<c_void>(),
        hub_version: abi::Str::new(hub_version.leak()),
        instance: abi::Str::new(instance.leak()),
        state_dir: abi::Str::new(state_dir.leak()),
        log: Some(log),
        cancelled: Some(cancelled),
        extension: Some(extension),
    }))
}

/// # Safety
/// `host` is null or the one made by [`leak`].
unsafe fn private_of<'a>(host: *const abi::Host) -> Option<&'a Private> {
    // SAFETY: as the caller says; the host and what it points to are never freed and never written to.
    unsafe { host.as_ref()?.private.cast::<Private>().as_ref() }
}

unsafe extern "C" fn log(host: *const abi::Host, level: i32, line: abi::Str) {
    // SAFETY: the header says that the plugin passes the host it got and a valid text.
    let (private, text) = unsafe { (private_of(host), text_of(line, MAX_LINE_BYTES)) };
    let level = match level {
        abi::level::ERROR => LogLevel::Error,
        abi::level::WARN => LogLevel::Warn,
        abi::level::DEBUG => LogLevel::Debug,
        _ => LogLevel::Info,
    };
    if let Some(private) = private {
        private.port.log(level, text);
    }
}

unsafe extern "C" fn cancelled(host: *const abi::Host, call_id: u64) -> i32 {
    // SAFETY: the header says that the plugin passes the host it got.
    let private = unsafe { private_of(host) };
    private
        .is_some_and(|private| private.current.is_cancelled(call_id))
        .into()
}

unsafe extern "C" fn extension(host: *const abi::Host, id: *const c_char) -> *const c_void {
    // SAFETY: the header says that the plugin passes the host it got.
    let Some(private) = (unsafe { private_of(host) }) else {
        return ptr::null();
    };
    if id.is_null() {
        return ptr::null();
    }
    // SAFETY: not null, and the header says that the plugin passes a C string.
    match unsafe { CStr::from_ptr(id) } {
        id if id == abi::ACKNOWLEDGE && private.current.may_acknowledge() => (&raw const ACKNOWLEDGE).cast(),
        id if id == abi::ARM && private.arming.is_granted() => (&raw const ARM).cast(),
        _ => ptr::null(),
    }
}

static ACKNOWLEDGE: abi::Acknowledge = abi::Acknowledge {
    struct_size: size_of::<abi::Acknowledge>() as u32,
    reserved: 0,
    acknowledge: Some(acknowledge),
};

unsafe extern "C" fn acknowledge(host: *const abi::Host, call_id: u64) {
    // SAFETY: the header says that the plugin passes the host it got.
    if let Some(private) = unsafe { private_of(host) } {
        let send = || private.port.send(&ToParent::Acknowledged { call_id });
        private.current.acknowledge(call_id, send);
    }
}

static ARM: abi::Arm = abi::Arm {
    struct_size: size_of::<abi::Arm>() as u32,
    reserved: 0,
    ask: Some(ask),
    listen: Some(listen),
};

unsafe extern "C" fn ask(host: *const abi::Host, request: *const abi::ArmRequest) -> u64 {
    // SAFETY: the header says that the plugin passes the host it got.
    let private = unsafe { private_of(host) };
    let (Some(private), false) = (private, request.is_null()) else {
        return 0;
    };
    // SAFETY: not null, and the header says that it carries its size.
    let request = unsafe { abi::read(request) };
    // One byte more than there may be shows that there are too many.
    // SAFETY: the header says that the plugin passes valid texts.
    let (area, code) = unsafe {
        (
            text_of(request.area, MAX_AREA_BYTES + 1),
            text_of(request.code, MAX_CODE_BYTES + 1),
        )
    };
    let act = arming::act(&request);
    act.map_or(0, |act| private.arming.ask(act, area, code, private.port))
}

unsafe extern "C" fn listen(host: *const abi::Host, listener: *const abi::ArmListener) {
    // SAFETY: the header says that the plugin passes the host it got, and a listener that carries its size.
    unsafe {
        if let Some(private) = private_of(host) {
            let listener = (!listener.is_null()).then(|| abi::read(listener));
            private.arming.listen(listener);
        }
    }
}
