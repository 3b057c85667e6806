//! The plugin's table, and the macro that exports it.

use std::ffi::CStr;
use std::ptr;

use watchpost_sink_abi as abi;

use crate::{Sink, shim};

/// Makes a type that is a [`Sink`] the one this library exports.
///
/// ```text
/// export_sink!(Bell, id: "bell", name: "Bell", summary: "Rings a bell on a serial line.");
/// ```
///
/// `id` is what the configuration calls it: lower case letters, digits, `-` and `_`. The plugin's version is that of
/// the package.
#[macro_export]
macro_rules! export_sink {
    ($sink:ty, id: $id:literal, name: $name:literal, summary: $summary:literal $(,)?) => {
        /// The one symbol of a Watchpost sink plugin.
        #[allow(
            non_upper_case_globals,
            unsafe_code,
            reason = "the plugin contract fixes the symbol's name"
        )]
        #[unsafe(no_mangle)]
        pub static watchpost_sink_v1: $crate::__private::Plugin = $crate::__private::plugin::<$sink>(
            $crate::__private::c_text(concat!($id, "\0")),
            $crate::__private::c_text(concat!($name, "\0")),
            $crate::__private::c_text(concat!(env!("CARGO_PKG_VERSION"), "\0")),
            $crate::__private::c_text(concat!($summary, "\0")),
        );
    };
}

/// A literal that ends in zero as a C text, at compile time.
#[doc(hidden)]
pub const fn c_text(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("the texts of export_sink! must not contain a zero byte"),
    }
}

/// The table of a sink.
#[doc(hidden)]
pub const fn plugin<S: Sink>(
    id: &'static CStr,
    name: &'static CStr,
    version: &'static CStr,
    summary: &'static CStr,
) -> abi::Plugin {
    abi::Plugin {
        id: id.as_ptr(),
        name: name.as_ptr(),
        version: version.as_ptr(),
        summary: if summary.is_empty() {
            ptr::null()
        } else {
            summary.as_ptr()
        },
        sdk: c_text(concat!("watchpost-sink ", env!("CARGO_PKG_VERSION"), "\0")).as_ptr(),
        describe: Some(shim::describe::<S>),
        validate: Some(shim::validate::<S>),
        create: Some(shim::create::<S>),
        deliver: Some(shim::deliver::<S>),
        flush: if S::FLUSHES { Some(shim::flush::<S>) } else { None },
        probe: if S::PROBES { Some(shim::probe::<S>) } else { None },
        cancel: Some(shim::cancel::<S>),
        destroy: Some(shim::destroy::<S>),
        ..abi::Plugin::EMPTY
    }
}
