//! `[web]`: where the hub serves HTTP.

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::forms;

/// `[web]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebSettings {
    /// Address and port to listen on, if there is a connection of `kind = "inbound"`. It is plain HTTP: from other
    /// machines, reach it through a proxy with TLS. Its port is closed to all sinks, whatever they are granted.
    #[schemars(with = "forms::Listen")]
    pub listen: SocketAddr,
}

impl Default for WebSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)),
        }
    }
}
