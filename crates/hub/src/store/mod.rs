//! The way to the store: the actor that owns the writer thread, and a handle to the thread.
//!
//! Whoever holds the handle sends commands and hears when they are on disk. The queue before the writer has no limit of
//! its own: connections bound it by bytes, sinks by their window, and operators by a number.

mod actor;
mod command;
mod disk;
mod handle;
mod in_hand;
mod intake;
mod queue;
mod readers;
mod relay;
mod state;
mod storage;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use self::actor::AlertStore;
pub(crate) use self::command::{
    Accept, Answer, PolicyAnswer, Receipt, ReceiptToken, RecordOutcomes, Recorded, Released, Stored,
    StoredAs, WriterPolicy,
};
#[cfg(test)]
pub(crate) use self::command::{Command, Control, Join, PolicyChange};
pub(crate) use self::handle::StoreHandle;
pub(crate) use self::readers::{CachedReader, ReadError, Readers};
pub(crate) use self::state::StoreState;
pub use self::storage::Storage;
pub(crate) use self::writer::WriterParts;
