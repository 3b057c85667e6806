//! The program `watchpost-sinkhost`: it loads one sink plugin, in a process of its own, and runs it for its parent.
//!
//! A plugin is foreign code: it may crash, hang, exit or flood its output. So the hub never loads one. It starts this
//! program for each sink and speaks with it over a socket (`watchpost-sinkhost-client`); this process, and no other,
//! calls `dlopen`. Before it does, it sandboxes itself as the parent's first message says.
//!
//! It is a library only so that its tests can reach the [`sandbox`]. It links no runtime, and knows nothing of the
//! hub beyond the messages of `watchpost-sinkhost-protocol`.

mod child;
mod scan;

pub mod sandbox;

pub use child::main;
