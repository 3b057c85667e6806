//! Write a sink plugin for Watchpost in Rust.
//!
//! A sink gets every alert that is routed to it: it sounds a siren, sends a mail, files the picture. It is
//! a shared library that Watchpost runs in a process of its own, so it cannot hurt the hub or other sinks. This
//! is a whole one:
//!
//! ```
//! use std::io::Write as _;
//!
//! use watchpost_sink::{Alert, Call, Fail, Host, Severity, Sink, export_sink};
//!
//! /// Rings a bell on a serial line.
//! struct Bell { line: std::fs::File }
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// The serial line, for instance `/dev/ttyUSB0`.
//!     line: std::path::PathBuf,
//! }
//!
//! impl Sink for Bell {
//!     type Config = Config;
//!
//!     fn create(config: Config, _host: &Host) -> Result<Self, Fail> {
//!         Ok(Self { line: std::fs::File::options().write(true).open(config.line)? })
//!     }
//!
//!     fn deliver(&mut self, alert: &Alert<'_>, _call: &Call<'_>) -> Result<(), Fail> {
//!         let rings = if alert.severity() >= Severity::High { 3 } else { 1 };
//!         Ok(self.line.write_all("\x07".repeat(rings).as_bytes())?)
//!     }
//! }
//!
//! export_sink!(Bell, id: "bell", name: "Bell", summary: "Rings a bell on a serial line.");
//! # fn main() {}
//! ```
//!
//! The crate needs `crate-type = ["cdylib"]`, and its file the name `libwatchpost_<id>.so`: call the package
//! `watchpost-<id>`. The field docs of `Config` become what `watchpost check` shows of it.
//!
//! - An `io::Error` means "try again later"; [`Fail`] has the other ways to say no.
//! - An alert comes at least once: after a crash or a power cut the same one, with the same
//!   [`id`](Alert::id), may come again.
//! - A panic is caught and ends the instance; Watchpost makes another. An `abort` or a crash ends the process,
//!   and Watchpost starts another.
//! - [`units`] reads sizes and durations, [`secret`] passwords and tokens, [`Grant`] tells a missing grant from a missing
//!   permission, and [`Unanswered`] remembers what was sent and not answered.
//! - The feature `template` has texts that a site writes itself, `net` connections to servers, `http` what an HTTP answer
//!   means, `picture` pictures that a receiver takes, `process` programs that end with the plugin.
//! - [`testing`] runs a sink in a unit test, and tells whether it keeps the contract.
//!
//! The contract behind this, for other languages, is `watchpost_sink.h` in the crate `watchpost-sink-abi`.
#![allow(unsafe_code, reason = "this crate is the border to C")]

mod alert;
mod arming;
mod call;
mod clock;
mod conformance;
mod describe;
mod export;
mod fail;
mod grant;
mod host;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "picture")]
pub mod picture;
#[cfg(feature = "process")]
pub mod process;
mod samples;
pub mod secret;
mod shim;
mod sink;
#[cfg(feature = "template")]
mod template;
pub mod testing;
mod unanswered;
pub mod words;

pub use alert::{Alert, Frame};
pub use arming::{AreaMode, AreaState, AreaStatus, ArmRequest, Arming, ArmingNews};
pub use call::Call;
pub use describe::{Description, Needs};
pub use fail::Fail;
pub use grant::Grant;
pub use host::{Host, Level};
pub use secret::Secret;
pub use serde_json;
pub use sink::{Canceller, Sink};
#[cfg(feature = "template")]
pub use template::Template;
pub use unanswered::Unanswered;
pub use watchpost_sink_abi::{ArmAct, ArmOutcome, Outcome, Severity};
pub use watchpost_units as units;

#[doc(hidden)]
pub mod __private {
    pub use crate::export::{c_text, plugin};
    pub use watchpost_sink_abi::Plugin;
}
