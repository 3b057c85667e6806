//! The C ABI between Watchpost and its sink plugins, version 1: the Rust mirror of
//! [`include/watchpost_sink.h`](https://docs.rs/crate/watchpost-sink-abi/latest/source/include/watchpost_sink.h).
//!
//! Every item here has the meaning its namesake has in the header, which is the contract and says who owns
//! what, what may run at the same time and how the layout may grow. This crate only repeats the layout and
//! reads structs of another age ([`read`]). It knows neither the hub nor the SDK and depends on nothing.
#![allow(unsafe_code, reason = "this crate is the border to C")]
#![no_std]

mod layout;
mod read;
mod types;
mod values;

pub use read::{Prefixed, read, read_plugin};
pub use types::{
    ACKNOWLEDGE, ARM, Acknowledge, Alert, Arm, ArmListener, ArmRequest, Call, Frame, Host, Plugin, Reply, Str,
};
pub use values::{ARM_FORCE, ArmAct, ArmOutcome, Outcome, PANIC_SILENT, Severity, level};

/// First field of every [`Plugin`]: `WPSK` in the memory order of a little-endian machine.
pub const MAGIC: u32 = 0x4B53_5057;
/// The major version this crate mirrors.
pub const ABI_MAJOR: u16 = 1;
/// The minor version this crate mirrors.
pub const ABI_MINOR: u16 = 0;
/// Name of the one symbol a plugin exports. It carries the major version.
pub const SYMBOL: &core::ffi::CStr = c"watchpost_sink_v1";
