//! Which hub a command is about: the options that all commands have in common.

use std::path::{Path, PathBuf};

use clap::Args;
use watchpost_config::{Loaded, Settings, TimeZone};

use crate::diagnostics;
use crate::exit::Failure;

/// Where the configuration is when nothing else is said.
const DEFAULT_CONFIG: &str = "/etc/watchpost/watchpost.toml";

/// Which hub. Both options stand before or after any command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// The configuration file [default: /etc/watchpost/watchpost.toml]. Files in `conf.d` beside it are merged in, and
    /// then variables such as `WATCHPOST__HUB__LOG=debug`.
    #[arg(long, short, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The data directory of the running hub, instead of the configuration file.
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
}

/// The hub that a command asks.
#[derive(Debug)]
pub(crate) struct RunningHub {
    /// The data directory, where the control socket is.
    pub(crate) data_dir: PathBuf,
    /// The time zone in which times are shown: that of the site, or this machine's where no configuration says it.
    pub(crate) zone: TimeZone,
    /// The configuration, where the command goes by one.
    pub(crate) settings: Option<Settings>,
}

/// What a command needs of the [`Target`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Neither a configuration nor a running hub.
    Nothing,
    /// The configuration.
    Config,
    /// The running hub, which either option finds.
    Hub,
}

impl Target {
    /// Refuses options that the command would ignore.
    ///
    /// # Errors
    /// What to change in the command line.
    pub(crate) fn check(&self, needs: Needs) -> Result<(), String> {
        match (needs, &self.config, &self.data_dir) {
            (Needs::Nothing, Some(_), _) => Err("this command reads no configuration: leave `--config` out".to_owned()),
            (Needs::Nothing | Needs::Config, _, Some(_)) => Err(
                "this command does not ask the running hub: leave `--data-dir` out, and name the configuration with `--config`"
                    .to_owned(),
            ),
            (Needs::Hub, Some(_), Some(_)) => {
                Err("`--config` and `--data-dir` both say which hub: leave one out".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The configuration file.
    pub(crate) fn config_file(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG))
    }

    /// Loads the configuration; what is wrong with it goes to standard error, with places.
    ///
    /// # Errors
    /// [`Failure::Config`].
    pub(crate) fn load(&self) -> anyhow::Result<Loaded> {
        watchpost_config::load(self.config_file()).map_err(|errors| {
            for error in errors.errors() {
                diagnostics::say(error);
            }
            Failure::Config(errors.to_string()).into()
        })
    }

    /// The running hub. The configuration is loaded once, if it is this that says where the hub's data are.
    ///
    /// # Errors
    /// When the configuration cannot be loaded.
    pub(crate) fn running_hub(&self) -> anyhow::Result<RunningHub> {
        if let Some(data_dir) = &self.data_dir {
            return Ok(RunningHub {
                data_dir: data_dir.clone(),
                zone: TimeZone::system(),
                settings: None,
            });
        }
        // A siren must be stopped also while the file is being edited.
        let loaded = self.load().map_err(|error| {
            error.context(
                "the hub was not asked, for its `data_dir` stands in the configuration: give it by `--data-dir DIR`",
            )
        })?;
        Ok(RunningHub {
            data_dir: loaded.settings.hub.data_dir.clone(),
            zone: loaded.settings.hub.time_zone(),
            settings: Some(loaded.settings),
        })
    }
}
