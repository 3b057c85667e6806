//! The HTTP face of a running hub. For now it is the control socket: HTTP on a unix socket in the data
//! directory, which `watchpost status` and `watchpost alerts` talk to.
//!
//! It knows the hub by its handle alone, and neither the backend nor the plugins.

#![forbid(unsafe_code)]

mod control;
mod problem;

pub use control::{ControlError, SOCKET_NAME, serve_control};
pub use problem::Problem;
