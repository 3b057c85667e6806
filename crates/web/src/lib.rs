//! The HTTP face of a running hub: the control socket, HTTP on a unix socket in the data directory, which `watchpost
//! status` and `watchpost alerts` talk to; and the address at which programs post alerts.
//!
//! It knows the hub by its handle alone, and neither the backend nor the plugins.

#![forbid(unsafe_code)]

mod areas;
mod control;
mod inbound;
mod panic;
mod problem;
mod program;
mod silences;

pub use areas::{AreasAnswer, ArmAreas, NamedAreas, PostponeAreas, TestAreas};
pub use control::{ControlError, Deferred, SOCKET_NAME, serve_control};
pub use inbound::{InboundServer, ListenError, Prepared};
pub use panic::{PanicAnswer, RaisePanic};
pub use problem::Problem;
pub use program::{
    ConfigurationStatus, NotReloaded, Program, ProgramStatus, RefusedReload, Reloaded, Reloading, Status,
};
pub use silences::{BeginSilence, ExtendSilence, SilenceAnswer};
