//! The child's life: loads one plugin and does what the parent says, until asked to stop.
//!
//! The main thread is the plugin's; a second one receives from the parent, so that a call can be cancelled while it
//! runs. All state lives as long as the process, and the process ends by `_exit`: neither the plugin's
//! destructors nor an unloaded library can then trip over threads that still run.
#![allow(unsafe_code, reason = "this is where foreign code is loaded and called")]

mod arming;
mod current;
mod host;
mod inbox;
mod instance;
mod load;
mod port;
mod reply;
mod sandbox;
mod schema;
mod streams;
mod work;

use std::path::Path;

use watchpost_sinkhost_protocol::limits::MAX_MESSAGE_BYTES;
use watchpost_sinkhost_protocol::sandbox::Grants;
use watchpost_sinkhost_protocol::{Note, Outcome, Receiver, Stage, Task, ToChild, ToParent};

use crate::scan::scan;
use arming::Arming;
use current::Current;
use inbox::Inbox;
use instance::Instance;
use load::Plugin;
use port::Port;

/// Exit code when a person started the program.
const NOT_BY_HAND: i32 = 2;

/// The whole life of the child.
pub fn main() -> ! {
    let Some(socket) = streams::take_socket() else {
        let version = env!("CARGO_PKG_VERSION");
        port::complain(&format!(
            "watchpost-sinkhost {version} runs a plugin for Watchpost, which starts it; \
             to try a plugin by hand use `watchpost check`."
        ));
        streams::leave(NOT_BY_HAND);
    };
    // A session of its own, without a terminal: neither Ctrl-C nor a group of the hub's reaches in or out. It fails for
    // what leads a group already, which a program that Watchpost starts does not.
    let _ = rustix::process::setsid();
    streams::line_buffer_stdout();
    let port: &'static Port = Box::leak(Box::new(Port::new(socket)));
    // Before anything is understood: a parent of another release sees it by this.
    port.send(&ToParent::Reached(Stage::Starting));
    let mut receiver = Receiver::new(MAX_MESSAGE_BYTES);
    match port.receive(&mut receiver) {
        Some((
            ToChild::Load {
                plugin,
                grants,
                mark,
                task,
            },
            _,
        )) => {
            if sandbox::enter(port, &grants, mark) {
                serve(port, receiver, Path::new(&plugin), &grants, task);
            }
        }
        Some(_) | None => streams::leave(1),
    }
    streams::leave(0)
}

fn serve(port: &'static Port, receiver: Receiver, path: &Path, grants: &Grants, task: Task) {
    port.send(&ToParent::Reached(Stage::Loading));
    let plugin = match scan(path).and_then(|()| Plugin::load(path)) {
        Ok(plugin) => plugin,
        Err(fault) => return port.send(&ToParent::Unloadable(fault)),
    };
    match task {
        Task::Inspect => {
            port.send(&ToParent::Reached(Stage::Describing));
            port.send(&ToParent::Loaded(Box::new(plugin.info()), plugin.describe()));
        }
        Task::Validate { config } => {
            port.send(&ToParent::Loaded(Box::new(plugin.info()), None));
            port.send(&ToParent::Reached(Stage::Validating));
            let (outcome, notes) = match plugin.validate(&config) {
                (Outcome::Unsupported, _) => (Outcome::Ok, Vec::new()),
                answer => answer,
            };
            port.send(&ToParent::Answer(outcome, notes));
        }
        Task::CheckSchema { schema, config } => {
            port.send(&ToParent::Loaded(Box::new(plugin.info()), None));
            port.send(&ToParent::Reached(Stage::Validating));
            let (outcome, notes) = schema::check(&schema, &config);
            port.send(&ToParent::Answer(outcome, notes));
        }
        Task::Run {
            config,
            instance,
            state_dir,
            hub_version,
            timeout,
        } => {
            port.send(&ToParent::Loaded(Box::new(plugin.info()), None));
            port.send(&ToParent::Reached(Stage::Creating));
            let current = Current::new(plugin.cancel(), grants.acknowledge);
            let current: &'static Current = Box::leak(Box::new(current));
            let arming: &'static Arming = Box::leak(Box::new(Arming::new(grants.arm)));
            let inbox: &'static Inbox = Box::leak(Box::new(Inbox::new(current, arming)));
            if let Err(error) = inbox::listen(port, receiver, inbox) {
                let note = Note::new(format!("cannot start a thread: {error}"));
                return port.send(&ToParent::Answer(Outcome::Retry { after: None }, vec![note]));
            }
            let host = host::leak(port, (current, arming), hub_version, instance, state_dir);
            match Instance::create(plugin, host, current, &config, timeout) {
                Ok(mut instance) => {
                    port.send(&ToParent::Answer(Outcome::Ok, Vec::new()));
                    arming.runs();
                    work::work(port, inbox, current, &mut instance);
                    arming.listen(None);
                    instance.destroy();
                    port.end_log();
                }
                Err((outcome, notes)) => port.send(&ToParent::Answer(outcome, notes)),
            }
        }
    }
}
