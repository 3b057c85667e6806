//! The place where the process confines itself: after the parent's first message, which says what the site
//! grants, and before `dlopen`, which runs the plugin's constructors, and before any thread, for confinement
//! binds the calling thread and those it starts.

use watchpost_sinkhost_protocol::ToParent;
use watchpost_sinkhost_protocol::sandbox::Grants;

use super::port::Port;
use crate::sandbox::apply;

/// Confines the process to `grants` and reports to the parent. `false`: it could not be, and is of no use.
pub(super) fn enter(port: &Port, grants: &Grants, mark: Option<u32>) -> bool {
    match apply(grants, mark, &[port.socket()]) {
        // From here on it ends with its parent. One that has ended before has closed its end of the socket.
        Ok(_) if port.is_closed() => false,
        Ok(enforced) => {
            port.send(&ToParent::Confined(enforced));
            true
        }
        Err(error) => {
            port.send(&ToParent::Unconfined(error.to_string()));
            false
        }
    }
}
