//! Runs one sink plugin in a process of its own, and is the parent's handle to it.
//!
//! A plugin is foreign code: it may crash, hang, exit or flood its output. So the hub never loads one. It starts
//! the program `watchpost-sinkhost` for each sink and speaks with it over a socket; that child, and nothing
//! else, calls `dlopen`. What happens there comes back as [`Event`]s, a crash and a missed deadline among them.
//!
//! ```no_run
//! # async fn run(launch: watchpost_sinkhost::Launch, job: watchpost_sinkhost::Job)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use watchpost_sinkhost::{Event, Host};
//!
//! let (host, mut events) = Host::start(launch).await?;
//! host.deliver(job)?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Done { call_id, outcome, .. } => println!("{call_id}: {outcome}"),
//!         Event::Exited(exit) => println!("the plugin {}; to do again: {:?}", exit.how, exit.unfinished),
//!         Event::Begun { .. } | Event::Acknowledged { .. } | Event::Log { .. } => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! Before it loads the plugin the child shuts itself in, as the [`Launch`]'s [`grants`](sandbox::Grants) say.
//!
//! The parent's side needs a tokio runtime and knows nothing of alerts beyond the words of the plugin contract:
//! when to try again, and when to start a dead plugin anew, is for its caller to decide.

mod child;
mod error;
mod event;
mod file;
mod frame;
mod info;
mod job;
mod limit;
mod limits;
mod message;
mod packet;
mod parent;
mod scan;

pub mod sandbox;

pub use error::{Error, LoadFault, Stage};
pub use event::{Event, Exit, ExitKind, LogLevel, Note, Outcome};
pub use frame::{FrameFd, FrameMeta};
pub use info::PluginInfo;
pub use job::{AlertDoc, Job, Severity};
pub use limits::{CANCEL_GRACE, DROP_GRACE, INSPECT_TIMEOUT, MAX_FRAMES, MAX_LINE_BYTES, MAX_QUEUED, WINDOW};
pub use parent::{EventStream, Host, Launch, NotQueued, inspect, validate};

#[doc(hidden)]
pub use child::main as child_main;

/// The private protocol's decoders, for fuzzing.
#[doc(hidden)]
pub mod wire {
    pub use crate::message::{decode_to_child, decode_to_parent};
}

/// File name of the plugin that a configuration calls `name`: `libwatchpost_<name>.so`.
pub fn plugin_file_name(name: &str) -> String {
    format!("libwatchpost_{}.so", name.replace('-', "_"))
}
