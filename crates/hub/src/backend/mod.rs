//! The way to a backend and what can be asked of it over HTTP: beside the alert socket, and by `watchpost doctor`.
//!
//! Nothing here decides anything. A question is asked once, with a time limit, and its failure is said in words.

mod api;
mod diagnose;
mod transport;

pub use self::api::{Answered, Api, Slot};
pub use self::diagnose::diagnose;
pub(crate) use self::transport::{WebSocket, ping};
