//! `watchpost check`: everything that can be found out without connecting anywhere.

use actix_rt::System;
use watchpost_config::{Loaded, SinkSettings};
use watchpost_hub::{PluginError, check_plugin, find_plugin};
use watchpost_visionguard::Backend;

use crate::cli::ConfigArgs;
use crate::exit::Failure;
use crate::{commands, out};

pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<()> {
    let loaded = commands::load(&args.config)?;
    let host_binary = commands::sinkhost_binary()?;
    let mut errors = check_addresses(&loaded);
    for warning in loaded.warnings() {
        commands::say(&warning);
    }
    for (number, sink) in loaded.settings.sink.iter().enumerate() {
        let plugin = System::new().block_on(async {
            let file = find_plugin(&sink.plugin, &loaded.settings.hub.plugin_dirs)?;
            check_plugin(&host_binary, &file, &sink.config).await
        });
        match plugin {
            Ok(info) => out::line(format_args!(
                "sink {}: {} {}, ok",
                sink.name, info.name, info.version
            ))?,
            Err(error) => errors += report(&loaded, number, sink, error),
        }
    }
    match errors {
        0 => {
            let (connections, sinks) = (loaded.settings.connection.len(), loaded.settings.sink.len());
            Ok(out::line(format_args!(
                "{}: ok ({connections} connections, {sinks} sinks)",
                args.config.display()
            ))?)
        }
        1 => Err(Failure::Config("1 error".to_owned()).into()),
        many => Err(Failure::Config(format!("{many} errors")).into()),
    }
}

fn check_addresses(loaded: &Loaded) -> usize {
    let mut errors = 0;
    for (number, connection) in loaded.settings.connection.iter().enumerate() {
        if let Err(error) = Backend::parse(&connection.url) {
            commands::say(&loaded.error_at(&format!("/connection/{number}/url"), error.to_string(), None));
            errors += 1;
        }
    }
    errors
}

/// Shows what is wrong with a plugin at its place in the configuration. Returns how many errors it was.
fn report(loaded: &Loaded, number: usize, sink: &SinkSettings, error: PluginError) -> usize {
    match error {
        PluginError::Config(faults) => {
            let count = faults.len().max(1);
            for fault in faults {
                commands::say(&loaded.sink_config_error(number, &fault.pointer, &fault.message, None));
            }
            count
        }
        other => {
            let message = format!("sink {}: {other}", sink.name);
            commands::say(&loaded.error_at(&format!("/sink/{number}/plugin"), message, None));
            1
        }
    }
}
