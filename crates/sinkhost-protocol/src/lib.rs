//! What `watchpost-sinkhost` and its parent say to each other.
//!
//! Both ends are built from this crate: the messages and their form in bytes, the packets that carry them, the
//! pictures that travel as sealed memory, the grants of the sandbox, and the limits that the child keeps and the
//! parent checks. The protocol is private; ends of different releases notice at once and say so.
//!
//! Nothing here starts a process, loads a library or knows a runtime.

mod alert;
mod arm;
mod fault;
mod frame;
mod info;
mod log_limit;
mod message;
mod outcome;
mod packet;

pub mod limits;
pub mod sandbox;

pub use alert::{AlertDoc, Severity};
pub use arm::{ASK_COST, ArmAct, ArmMode, ArmOutcome, ArmRequest, AskLimit, Code};
pub use fault::{LoadFault, Stage};
pub use frame::{FrameFd, FrameMeta};
pub use info::PluginInfo;
pub use log_limit::LogLimit;
pub use message::{
    DecodeError, FIRST_OWN_CALL, Task, ToChild, ToParent, decode_to_child, decode_to_parent, encode_to_child,
    encode_to_parent,
};
pub use outcome::{LogLevel, Note, Outcome};
pub use packet::{Incoming, Outgoing, Receiver};
