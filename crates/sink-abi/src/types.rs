//! The structs of the header, field for field.

use core::ffi::{c_char, c_void};
use core::ptr;

/// `wp_str`: UTF-8, not terminated. `ptr` is null only if `len` is 0.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Str {
    /// First byte.
    pub ptr: *const c_char,
    /// Length in bytes.
    pub len: usize,
}

impl Str {
    /// Borrows a text for as long as the caller keeps it alive.
    pub const fn new(text: &str) -> Self {
        Self {
            ptr: text.as_ptr().cast(),
            len: text.len(),
        }
    }

    /// The bytes, empty for a null pointer.
    ///
    /// # Safety
    /// `ptr` is null, or valid for reads of `len` bytes for the whole of `'a`.
    pub const unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() {
            return &[];
        }
        // SAFETY: not null, and the caller vouches for the rest.
        unsafe { core::slice::from_raw_parts(self.ptr.cast(), self.len) }
    }
}

/// `wp_reply`: where a call puts its explanation.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Reply {
    /// `sizeof` at the host.
    pub struct_size: u32,
    /// None defined.
    pub flags: u32,
    /// Milliseconds; 0 leaves it to the host. Counts with [`Outcome::Retry`](crate::Outcome::Retry) only.
    pub retry_after_ms: u64,
    /// The host's.
    pub private: *mut c_void,
    /// Adds a sentence; `where_` is empty or a JSON pointer into the configuration.
    pub note: Option<unsafe extern "C" fn(reply: *mut Reply, where_: Str, text: Str)>,
}

/// `wp_call`: about one call.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Call {
    /// `sizeof` at the host.
    pub struct_size: u32,
    /// 1 for the first try at this alert; 0 outside `deliver`.
    pub attempt: u32,
    /// Unique within the process.
    pub call_id: u64,
    /// Nanoseconds of `CLOCK_MONOTONIC`; 0 for never.
    pub deadline_ns: u64,
}

/// `wp_frame`: one picture.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Frame {
    /// Media type.
    pub mime: Str,
    /// File name without a directory.
    pub name: Str,
    /// The bytes, in read-only memory.
    pub data: *const u8,
    /// Length in bytes.
    pub len: usize,
    /// Pixels, 0 when not known.
    pub width: u32,
    /// Pixels, 0 when not known.
    pub height: u32,
}

/// `wp_alert`: one alert.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Alert {
    /// `sizeof` at the host.
    pub struct_size: u32,
    /// See [`Severity::from_raw`](crate::Severity::from_raw).
    pub severity: u32,
    /// When it happened, as far as is known: milliseconds since 1970 UTC.
    pub unix_ms: u64,
    /// The same on every retry; letters, digits, `-` and `_` only.
    pub id: Str,
    /// One line.
    pub title: Str,
    /// A sentence or more.
    pub text: Str,
    /// The whole alert as a JSON object.
    pub json: Str,
    /// The first of `frame_count` pictures.
    pub frames: *const Frame,
    /// How many pictures.
    pub frame_count: usize,
    /// Bytes from one frame to the next.
    pub frame_stride: usize,
    /// Seconds that the clocks at the site are ahead of UTC at `unix_ms`.
    pub utc_offset_s: isize,
}

/// `wp_host`: what the plugin may ask of its host.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Host {
    /// `sizeof` at the host.
    pub struct_size: u32,
    /// The host's major version.
    pub abi_major: u16,
    /// The host's minor version.
    pub abi_minor: u16,
    /// The host's.
    pub private: *mut c_void,
    /// Version of Watchpost.
    pub hub_version: Str,
    /// Name of the `[[sink]]`.
    pub instance: Str,
    /// An existing directory, writable for this instance alone.
    pub state_dir: Str,
    /// Writes a line to the log. Any thread.
    pub log: Option<unsafe extern "C" fn(host: *const Host, level: i32, line: Str)>,
    /// 1 when the call should give up now. Any thread.
    pub cancelled: Option<unsafe extern "C" fn(host: *const Host, call_id: u64) -> i32>,
    /// An extension by name, or null. Any thread.
    pub extension: Option<unsafe extern "C" fn(host: *const Host, id: *const c_char) -> *const c_void>,
}

/// `WP_ACKNOWLEDGE`: the name of the host's extension [`Acknowledge`].
pub const ACKNOWLEDGE: &core::ffi::CStr = c"watchpost.acknowledge/1";

/// `wp_acknowledge`: an extension of the host by which a plugin reports that a person has acknowledged an alert.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Acknowledge {
    /// `sizeof` at the host.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Acknowledges the alert of a call that is in flight. Any thread.
    pub acknowledge: Option<unsafe extern "C" fn(host: *const Host, call_id: u64)>,
}

/// `WP_ARM`: the name of the host's extension [`Arm`].
pub const ARM: &core::ffi::CStr = c"watchpost.arm/1";

/// `wp_arm_request`: something that a person wants of areas.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ArmRequest {
    /// `sizeof` at the plugin.
    pub struct_size: u32,
    /// An [`ArmAct`](crate::ArmAct).
    pub act: u32,
    /// [`ARM_FORCE`](crate::ARM_FORCE), [`PANIC_SILENT`](crate::PANIC_SILENT) or 0.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
    /// Name of an area; empty: all.
    pub area: Str,
    /// What was typed; empty: nothing.
    pub code: Str,
}

/// `wp_arm_listener`: what a plugin gets to know of areas, on a thread of the host's.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ArmListener {
    /// `sizeof` at the plugin.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The plugin's, passed back.
    pub private: *mut c_void,
    /// How the areas are armed, as JSON.
    pub areas: Option<unsafe extern "C" fn(private: *mut c_void, json: Str)>,
    /// What came of what was asked for: an [`ArmOutcome`](crate::ArmOutcome).
    pub answer: Option<unsafe extern "C" fn(private: *mut c_void, ticket: u64, outcome: i32, text: Str)>,
}

/// `wp_arm`: an extension of the host by which people arm and disarm at a plugin.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Arm {
    /// `sizeof` at the host.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Asks for something. Returns the number of the answer, or 0. Any thread.
    pub ask: Option<unsafe extern "C" fn(host: *const Host, request: *const ArmRequest) -> u64>,
    /// Who is informed from now on, or null. Returns when the one before is called no more. Any thread.
    pub listen: Option<unsafe extern "C" fn(host: *const Host, listener: *const ArmListener)>,
}

/// `wp_plugin`: what the plugin is and what it can do.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Plugin {
    /// [`MAGIC`](crate::MAGIC)
    pub magic: u32,
    /// `sizeof` at the plugin.
    pub struct_size: u32,
    /// Major version the plugin was made for.
    pub abi_major: u16,
    /// Minor version the plugin was made for.
    pub abi_minor: u16,
    /// Least minor version it needs of the host.
    pub min_host_minor: u16,
    /// 0
    pub reserved: u16,
    /// Capability bits; none defined.
    pub caps: u64,
    /// As in `libwatchpost_<id>.so`.
    pub id: *const c_char,
    /// For a person.
    pub name: *const c_char,
    /// Of the plugin.
    pub version: *const c_char,
    /// One sentence, or null.
    pub summary: *const c_char,
    /// What it was made with, or null.
    pub sdk: *const c_char,
    /// Describes the configuration.
    pub describe: Option<unsafe extern "C" fn(reply: *mut Reply) -> i32>,
    /// Checks a configuration without I/O.
    pub validate: Option<unsafe extern "C" fn(config: Str, reply: *mut Reply) -> i32>,
    /// Makes an instance.
    pub create: Option<
        unsafe extern "C" fn(
            host: *const Host,
            config: Str,
            call: *const Call,
            instance: *mut *mut c_void,
            reply: *mut Reply,
        ) -> i32,
    >,
    /// Hands on one alert.
    pub deliver: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            alert: *const Alert,
            call: *const Call,
            reply: *mut Reply,
        ) -> i32,
    >,
    /// Commits the deliveries since the last flush.
    pub flush:
        Option<unsafe extern "C" fn(instance: *mut c_void, call: *const Call, reply: *mut Reply) -> i32>,
    /// Tries whether a delivery would work.
    pub probe:
        Option<unsafe extern "C" fn(instance: *mut c_void, call: *const Call, reply: *mut Reply) -> i32>,
    /// Asks a call to return soon. Another thread.
    pub cancel: Option<unsafe extern "C" fn(instance: *mut c_void, call_id: u64)>,
    /// Ends the instance.
    pub destroy: Option<unsafe extern "C" fn(instance: *mut c_void)>,
    /// An extension by name, or null.
    pub extension: Option<unsafe extern "C" fn(id: *const c_char) -> *const c_void>,
}

impl Plugin {
    /// A plugin of this crate's version that can do nothing yet: the base for a struct update.
    pub const EMPTY: Self = Self {
        magic: crate::MAGIC,
        struct_size: size_of::<Self>() as u32,
        abi_major: crate::ABI_MAJOR,
        abi_minor: crate::ABI_MINOR,
        min_host_minor: 0,
        reserved: 0,
        caps: 0,
        id: ptr::null(),
        name: ptr::null(),
        version: ptr::null(),
        summary: ptr::null(),
        sdk: ptr::null(),
        describe: None,
        validate: None,
        create: None,
        deliver: None,
        flush: None,
        probe: None,
        cancel: None,
        destroy: None,
        extension: None,
    };
}

// SAFETY: a plugin is static and never written to; what its pointers lead to is so too (header, OWNERSHIP).
unsafe impl Sync for Plugin {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl Send for Plugin {}
