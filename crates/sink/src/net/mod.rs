//! Connections of a plugin to a server: to whichever of its addresses answers, encrypted where that is wanted, with limits
//! on waiting, and with every error in words.
//!
//! It knows nothing of what is said over a connection.

mod dial;
mod stream;
pub mod tls;
mod unreachable;
mod wait;

pub use dial::connect;
pub use stream::{Stream, server_name};
pub use unreachable::{Cause, Unreachable};
pub use wait::{Wait, is_cancelled};
