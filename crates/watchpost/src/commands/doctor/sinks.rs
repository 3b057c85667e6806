//! Whether the plugins load, and whether what they deliver to is there.

use std::path::Path;

use watchpost_config::{Settings, SinkSettings};
use watchpost_hub::{HubStatus, Probe, SinkReport, SinkState, check_plugin, find_plugin, probe_sink};

use super::{OLDER_CONFIGURATION, Report, Running, queues};
use crate::commands::status::retiring;

pub(super) async fn check(
    report: &mut Report,
    settings: &Settings,
    host_binary: &Path,
    status: Option<&HubStatus>,
) {
    for sink in &settings.sink {
        report.begin(format!("sink {}", sink.name));
        let loads = match find_plugin(&sink.plugin, &settings.hub.plugin_dirs) {
            Ok(file) => check_plugin(host_binary, &file, &sink.config).await,
            Err(e) => Err(e),
        };
        match loads {
            Ok(info) => report.pass("plugin", format!("{} {} loads", info.name, info.version)),
            Err(e) => report.fail(
                "plugin",
                e.to_string(),
                "`watchpost check` shows the place in the configuration.",
            ),
        }
        let running = match Running::of(status, |status| {
            status.sinks.iter().find(|running| running.name == sink.name)
        }) {
            Running::Known(running) => running,
            Running::NoHub => {
                probe(report, settings, sink, host_binary).await;
                continue;
            }
            Running::Unknown => {
                report.warn(
                    "delivery",
                    "the running hub has an older configuration, without this sink",
                    OLDER_CONFIGURATION,
                );
                continue;
            }
        };
        if running.plugin_replaced {
            report.warn(
                "running plugin",
                "its file was replaced, and the old one runs",
                "`watchpost reload` has the sink run the new one.",
            );
        }
        delivery(report, running);
    }
}

/// Whether a running sink delivers.
fn delivery(report: &mut Report, running: &SinkReport) {
    let error = running
        .last_error
        .clone()
        .unwrap_or_else(|| "it does not say why".to_owned());
    let works = !running.retiring && matches!(running.state, SinkState::Running | SinkState::Starting);
    match running.state {
        _ if running.retiring => {
            let retiring = retiring(running, &report.zone);
            report.warn(
                "delivery",
                format!("goes by an older configuration{retiring}"),
                "Its successor starts when it has ended. Its alerts are kept.",
            );
        }
        SinkState::Running | SinkState::Starting => report.pass("delivery", "works"),
        SinkState::Down => report.fail(
            "delivery",
            format!("what it delivers to does not answer: {error}"),
            "See the troubleshooting of the plugin's README. Its alerts are kept, and it is probed now and then.",
        ),
        SinkState::Failed | SinkState::Stopping | SinkState::Stopped => report.fail(
            "delivery",
            format!("the plugin does not run: {error}"),
            "See the hub's log. Its alerts are kept.",
        ),
    }
    queues::of_sink(report, running, works);
}

/// Starts the plugin as the hub would, and has it try whether a delivery would work.
async fn probe(report: &mut Report, settings: &Settings, sink: &SinkSettings, host_binary: &Path) {
    let hub = &settings.hub;
    if !hub.data_dir.join("sinks").join(&sink.name).exists() {
        let why = "the hub has not run with this sink yet, so its folders may be missing";
        return report.skip("delivery", why);
    }
    // Without the links on the way there, for a sink's directory must not be one.
    let state = tempfile::tempdir().and_then(|dir| Ok((dir.path().canonicalize()?, dir)));
    let found = match state {
        Ok((path, _dir)) => probe_sink(sink, &hub.plugin_dirs, host_binary, &path).await,
        Err(e) => {
            return report.skip(
                "delivery",
                format!("there is no room for a temporary folder: {e}"),
            );
        }
    };
    match found {
        Ok(Probe::Works) => report.pass("delivery", "would work: the plugin has tried"),
        Ok(Probe::CannotTell) => report.skip("delivery", "the plugin cannot tell without an alert"),
        Ok(Probe::Fails(why)) => report.fail(
            "delivery",
            format!("would not work: {why}"),
            "See the troubleshooting of the plugin's README.",
        ),
        Err(why) => report.fail(
            "delivery",
            format!("the plugin does not start: {why}"),
            "See the plugin's README; what it may do stands under `[sink.sandbox]`.",
        ),
    }
}
