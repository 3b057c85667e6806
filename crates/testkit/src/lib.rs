//! What Watchpost's end-to-end tests share: built binaries and plugins, running hubs and backends, captured messages.
//!
//! Everything here is the real thing, run as a process of its own. The crate refuses to know the hub's Rust types:
//! a test sees what an operator sees, which is the configuration, the command line, the log and the files.

mod answers;
mod artefacts;
mod authority;
mod backend;
mod c_plugins;
mod gpio_machine;
mod http_server;
mod hub;
mod line;
mod mosquitto;
mod nginx;
mod process;
mod scripted_smtp;
mod service_machine;
mod skip;
mod smtp_server;
mod state_dir;
mod traces;
mod wait;

pub mod fixtures;

pub use answers::{count, deliveries, own_memory_kib, sink};
pub use artefacts::{Artefacts, artefacts, workspace_root};
pub use authority::Authority;
pub use backend::Backend;
pub use c_plugins::{hostile_plugin, hostile_plugin_dir, hostile_plugin_ids, panicking_plugin};
pub use gpio_machine::GpioMachine;
pub use http_server::{Behavior, HttpAnswer, HttpPart, HttpRequest, HttpServer};
pub use hub::{Hub, HubSetup};
pub use line::Line;
pub use mosquitto::{Mosquitto, Published, Subscriber};
pub use nginx::Nginx;
pub use process::{Process, Signal, is_root};
pub use scripted_smtp::{ScriptedSmtp, SmtpAnswer};
pub use service_machine::ServiceMachine;
pub use skip::{Need, skip_because, skip_without};
pub use smtp_server::{SMTP_PASSWORD, SMTP_USER, SmtpServer};
pub use state_dir::state_dir;
pub use tempfile::TempDir;
pub use toml::{Table, Value as Toml, toml};
pub use traces::{traces_wanted, tracing_files};
pub use wait::{PATIENCE, eventually};
