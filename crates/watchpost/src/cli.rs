//! The command line. Its help texts are its documentation.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use watchpost_core::AlertId;

use crate::commands::deliveries::DeliveriesArgs;
use crate::commands::demo::DemoArgs;
use crate::commands::simulate::SimulateArgs;
use crate::exit;

/// Watchpost keeps a connection to a VisionGuard backend, stores every alert, acknowledges it, and hands
/// it to sinks: plugins that file it, sound a siren, send a mail.
#[derive(Debug, Parser)]
#[command(version, after_help = exit::HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the hub until it gets SIGTERM or SIGINT.
    Run(ConfigArgs),
    /// Check the configuration and load every plugin it names, without connecting anywhere.
    Check(ConfigArgs),
    /// Show how the running hub is: connected, storing, delivering?
    Status(StatusArgs),
    /// List, show, dismiss and clear the alerts of the running hub.
    Alerts(AlertsArgs),
    /// List, show, retry and drop deliveries: what became of the alerts at the sinks.
    Deliveries(DeliveriesArgs),
    /// Find out why it does not connect, why no alerts come or why they are not delivered. Changes nothing.
    Doctor(DoctorArgs),
    /// What sinks may do.
    #[command(subcommand)]
    Sink(SinkCommand),
    /// Run a VisionGuard backend that makes up alerts, to try and test Watchpost with.
    Simulate(SimulateArgs),
    /// Show Watchpost at work: a simulated backend, the hub and the archive sink in a temporary directory.
    Demo(DemoArgs),
}

/// Which configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file. Files in `conf.d` beside it are merged in, and then variables such as
    /// `WATCHPOST__HUB__LOG=debug`.
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "/etc/watchpost/watchpost.toml"
    )]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print one JSON document: a list of what was checked, `pass`, `warn`, `fail` or `skip`, and the hint.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SinkCommand {
    /// Print the `[sink.sandbox]` to paste that grants a sink what its plugin says it needs.
    Grant {
        /// The sink.
        name: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// Which running hub.
#[derive(Clone, Debug, Args)]
pub(crate) struct HubArgs {
    /// Its configuration file, which says where its data directory is.
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "/etc/watchpost/watchpost.toml"
    )]
    config: PathBuf,
    /// Its data directory, instead of the configuration file.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
}

impl HubArgs {
    /// The data directory, where the control socket is.
    pub(crate) fn data_dir(&self) -> anyhow::Result<PathBuf> {
        match &self.data_dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(crate::commands::load(&self.config)?.settings.hub.data_dir.clone()),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) hub: HubArgs,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AlertsArgs {
    #[command(flatten)]
    pub(crate) hub: HubArgs,
    /// Print JSON: one document for `show`, one an alert and line for `list`.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// List the newest alerts that nobody has dismissed.
    List {
        /// How many at the most, instead of the configured `store.recent`.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: Option<u32>,
        /// Dismissed and cleared ones too.
        #[arg(long)]
        all: bool,
    },
    /// Show one alert and what became of its deliveries.
    Show {
        /// Its number.
        id: AlertId,
        /// Write its picture to this file, `-` for standard output.
        #[arg(long, value_name = "FILE")]
        picture: Option<PathBuf>,
    },
    /// Take one alert off the live list. It stays in the store.
    Dismiss {
        /// Its number.
        id: AlertId,
    },
    /// Take all alerts off the live list. They stay in the store.
    Clear,
}
