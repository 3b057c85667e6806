//! `watchpost run`: the hub as a service.

use std::sync::Arc;

use actix_rt::System;
use anyhow::Context as _;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use watchpost_hub::Hub;
use watchpost_web::{Program, ProgramStatus, serve_control, serve_inbound};

use crate::logging::Log;
use crate::siblings;
use crate::target::Target;

pub(crate) fn run(target: &Target) -> anyhow::Result<()> {
    let loaded = target.load()?;
    let hub = &loaded.settings.hub;
    let log = Log::start(&hub.log, hub.log_format, &hub.time_zone()).context("[hub] log")?;
    for finding in loaded.inspect() {
        warn!("{}", finding.line());
    }
    let outcome = System::new().block_on(serve(loaded, log.clone()));
    log.flush();
    outcome
}

/// What the control socket is shown of this program.
struct Service {
    log: Log,
}

impl Program for Service {
    fn status(&self) -> ProgramStatus {
        ProgramStatus {
            lost_log_lines: self.log.lost_lines(),
        }
    }
}

/// Open files as many as the machine lets it have. Each picture on its way to a sink is one; and the kernel passes none on
/// while more are on their way than this limit, all of this user's counted, what a plugin never takes in among them.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // It goes on with what it has.
    let _ = setrlimit(Resource::Nofile, limit);
}

async fn serve(loaded: watchpost_config::Loaded, log: Log) -> anyhow::Result<()> {
    raise_open_files();
    // Before anything else, so that no signal finds us half started.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let data_dir = loaded.settings.hub.data_dir.clone();
    let listen = loaded.settings.web.listen;
    let hub = Hub::start(loaded.settings, siblings::sinkhost_binary()?)?;
    let control = serve_control(hub.clone(), Arc::new(Service { log }), &data_dir)?;
    let control_handle = control.handle();
    actix_rt::spawn(control);
    if !hub.inbound().is_empty() {
        actix_rt::spawn(serve_inbound(&hub, listen)?);
    }
    info!(data_dir = %data_dir.display(), "watchpost {} is running", env!("CARGO_PKG_VERSION"));
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    info!("got {name}: finishing what is in hand");
    let stopped = tokio::select! {
        stopped = hub.stop() => stopped,
        // Asked twice, whoever asks means it. What is unfinished is in the store and goes on at the next start.
        _ = interrupt.recv() => {
            warn!("got SIGINT again: not waiting");
            return Ok(());
        }
    };
    control_handle.stop(true).await;
    info!("stopped: {stopped}");
    Ok(())
}
