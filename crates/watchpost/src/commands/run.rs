//! `watchpost run`: the hub as a service.

use std::sync::Arc;

use actix_rt::System;
use anyhow::Context as _;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};
use watchpost_config::{Loaded, Settings};
use watchpost_hub::{Hub, find_plugin};
use watchpost_web::{InboundServer, Program, ProgramStatus, Reloading, serve_control};

use crate::logging::Log;
use crate::reload::{Configuration, Reloader, Reloads};
use crate::siblings::{self, Programs};
use crate::target::Target;

pub(crate) fn run(target: &Target) -> anyhow::Result<()> {
    let loaded = target.load()?;
    // Whoever asks the hub for it may be in another folder.
    let file = std::path::absolute(target.config_file())?;
    let configuration = Configuration::new(file, &loaded);
    let hub = &loaded.settings.hub;
    let log = Log::start(&hub.log, hub.log_format, hub.time_zone()).context("[hub] log")?;
    for finding in loaded.inspect() {
        warn!("{}", finding.line());
    }
    let runtime = watchpost_hub::runtime().context("the hub cannot be started")?;
    let outcome = System::with_tokio_rt(|| runtime).block_on(serve(loaded, configuration, log.clone()));
    log.flush();
    outcome
}

/// What the control socket is shown of this program.
struct Service {
    log: Log,
    programs: Programs,
    configuration: Configuration,
    reloads: Reloads,
}

impl Program for Service {
    fn status(&self) -> ProgramStatus {
        ProgramStatus {
            lost_log_lines: self.log.lost_lines(),
            replaced: self.programs.replaced(),
            configuration: self.configuration.status(),
        }
    }

    fn reload(&self) -> Reloading {
        Box::pin(self.reloads.clone().reload())
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

/// Says which plugins are not there, before anything connects.
fn plugins_that_lack(settings: &Settings) {
    for sink in &settings.sink {
        match find_plugin(&sink.plugin, &settings.hub.plugin_dirs) {
            Ok(file) if file.exists() => {}
            Ok(file) => error!(sink = %sink.name, "there is no plugin at {}", file.display()),
            Err(why) => error!(sink = %sink.name, "{why}"),
        }
    }
}

async fn serve(loaded: Loaded, configuration: Configuration, log: Log) -> anyhow::Result<()> {
    raise_open_files();
    // Before anything else, so that no signal finds us half started.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let (data_dir, listen) = (loaded.settings.hub.data_dir.clone(), loaded.settings.listen());
    let (host_binary, programs) = (siblings::sinkhost_binary()?, Programs::now()?);
    plugins_that_lack(&loaded.settings);
    let hub = Hub::start(loaded.settings, host_binary.clone()).await?;
    let mut inbound = InboundServer::new(hub.clone());
    inbound.switch(inbound.prepare(listen)?).await?;
    let reloads = Reloader {
        hub: hub.clone(),
        inbound,
        log: log.clone(),
        programs: programs.clone(),
        configuration: configuration.clone(),
        host_binary,
    }
    .start();
    let service = Service {
        log,
        programs,
        configuration,
        reloads: reloads.clone(),
    };
    let control = serve_control(hub.clone(), Arc::new(service), &data_dir)?;
    let control_handle = control.handle();
    actix_rt::spawn(control);
    info!(data_dir = %data_dir.display(), "watchpost {} is running", env!("CARGO_PKG_VERSION"));
    let name = loop {
        tokio::select! {
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
            _ = hang_up.recv() => {
                info!("got SIGHUP: reloading the configuration");
                reloads.request();
            }
        }
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
