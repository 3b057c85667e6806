//! `watchpost check`: everything that can be found out without connecting anywhere.

use actix_rt::System;
use watchpost_config::{Loaded, SinkSettings};
use watchpost_hub::{PluginError, PluginInfo, check_plugin, find_plugin, needs};
use watchpost_visionguard::Backend;

use crate::exit::Failure;
use crate::target::Target;
use crate::{diagnostics, out, siblings};

pub(crate) fn run(target: &Target) -> anyhow::Result<()> {
    let loaded = target.load()?;
    let host_binary = siblings::sinkhost_binary()?;
    let mut errors = check_addresses(&loaded);
    for warning in loaded.warnings() {
        diagnostics::say(&warning);
    }
    for (number, sink) in loaded.settings.sink.iter().enumerate() {
        let plugin = System::new().block_on(async {
            let file = find_plugin(&sink.plugin, &loaded.settings.hub.plugin_dirs)?;
            check_plugin(&host_binary, &file, &sink.config).await
        });
        match plugin {
            Ok(info) => {
                warn_of_grants(&loaded, number, sink, &info);
                out::line(format_args!(
                    "sink {}: {} {}, ok",
                    sink.name, info.name, info.version
                ))?;
            }
            Err(error) => errors += report(&loaded, number, sink, error),
        }
    }
    match errors {
        0 => {
            let (connections, sinks) = (loaded.settings.connection.len(), loaded.settings.sink.len());
            Ok(out::line(format_args!(
                "{}: ok ({connections} connections, {sinks} sinks)",
                target.config_file().display()
            ))?)
        }
        1 => Err(Failure::Config("1 error".to_owned()).into()),
        many => Err(Failure::Config(format!("{many} errors")).into()),
    }
}

fn check_addresses(loaded: &Loaded) -> usize {
    let mut errors = 0;
    for (number, connection) in loaded.settings.connection.iter().enumerate() {
        let Some(url) = &connection.url else { continue };
        if let Err(error) = Backend::parse(url) {
            diagnostics::say(&loaded.error_at(&format!("/connection/{number}/url"), error.to_string(), None));
            errors += 1;
        }
    }
    errors
}

/// Warns of what the plugin says it needs and is not granted, and of what is granted and not there.
fn warn_of_grants(loaded: &Loaded, number: usize, sink: &SinkSettings, info: &PluginInfo) {
    let missing: Vec<String> = needs(info, &sink.config)
        .iter()
        .filter(|need| !need.is_granted(&sink.sandbox))
        .map(|need| need.access.to_string())
        .collect();
    let at = format!("/sink/{number}/sandbox");
    if !missing.is_empty() {
        let name = &sink.name;
        let message = format!(
            "sink {name}: its plugin says that it needs to {}, which is not granted",
            missing.join(" and to ")
        );
        let help = format!("`watchpost sink grant {name}` prints the lines that grant it");
        diagnostics::say(&loaded.warning_at(&at, message, help));
    }
    for (key, paths) in [("read", &sink.sandbox.read), ("write", &sink.sandbox.write)] {
        for (index, path) in paths.iter().enumerate() {
            if path.exists() || key == "write" && path.starts_with(&loaded.settings.hub.data_dir) {
                continue;
            }
            let message = format!("sink {}: {} is granted and not there", sink.name, path.display());
            let help = "create it or plug it in: without it the sink does not start";
            diagnostics::say(&loaded.warning_at(&format!("{at}/{key}/{index}"), message, help));
        }
    }
}

/// Shows what is wrong with a plugin at its place in the configuration. Returns how many errors it was.
fn report(loaded: &Loaded, number: usize, sink: &SinkSettings, error: PluginError) -> usize {
    match error {
        PluginError::Config(faults) => {
            let count = faults.len().max(1);
            for fault in faults {
                diagnostics::say(&loaded.sink_config_error(number, &fault.pointer, &fault.message, None));
            }
            count
        }
        other => {
            let message = format!("sink {}: {other}", sink.name);
            diagnostics::say(&loaded.error_at(&format!("/sink/{number}/plugin"), message, None));
            1
        }
    }
}
