//! What travels of the sandbox: what a site grants a plugin, and what of it holds on this machine. How it is put in
//! force is the child's to know.

mod enforced;
mod grants;
mod system;

pub use enforced::{Enforced, Gap, Part, join_gaps};
pub use grants::{DEFAULT_MEMORY_BYTES, DEFAULT_OPEN_FILES, Grants, Ports, RunAs};
pub use system::{COMMON, LIBRARIES, PROGRAMS, is_of_the_system};
