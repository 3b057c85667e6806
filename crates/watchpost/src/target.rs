//! Which hub a command is about: the options that all commands have in common.

use std::path::{Path, PathBuf};

use actix_rt::System;
use clap::Args;
use watchpost_config::{ConfigErrors, Loaded, Settings, TimeZone};
use watchpost_web::Status;

use crate::client::HubClient;
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
        watchpost_config::load(self.config_file()).map_err(|errors| refused(&errors))
    }

    /// The configuration: that of the running hub, where its data directory is given.
    ///
    /// # Errors
    /// When no hub answers there, and as [`Self::load`].
    pub(crate) fn load_of_hub(&self) -> anyhow::Result<Loaded> {
        let Some(data_dir) = &self.data_dir else {
            return self.load();
        };
        let config = Some(configuration_of(data_dir)?);
        Self {
            config,
            data_dir: None,
        }
        .load()
    }

    /// The running hub. The configuration is loaded once, if it is this that says where the hub's data are.
    ///
    /// # Errors
    /// When the configuration cannot be loaded, and no hub that goes by it is found.
    pub(crate) fn running_hub(&self) -> anyhow::Result<RunningHub> {
        if let Some(data_dir) = &self.data_dir {
            return Ok(RunningHub::at(data_dir.clone()));
        }
        let errors = match watchpost_config::load(self.config_file()) {
            Ok(loaded) => {
                return Ok(RunningHub {
                    data_dir: loaded.settings.hub.data_dir.clone(),
                    zone: loaded.settings.hub.time_zone(),
                    settings: Some(loaded.settings),
                });
            }
            Err(errors) => errors,
        };
        // A siren must be stopped also while the file is being edited.
        if let Some(data_dir) = self.hub_in_spite_of_mistakes() {
            diagnostics::say_report(&format!(
                "{}: {errors}, which `watchpost check` shows; asking the hub that runs by it in {}",
                self.config_file().display(),
                data_dir.display()
            ));
            return Ok(RunningHub::at(data_dir));
        }
        Err(refused(&errors).context(
            "the hub was not asked, for its `data_dir` stands in the configuration: give it by `--data-dir DIR`",
        ))
    }

    /// The data directory of a hub that says that it runs by our configuration file, which cannot be loaded. Another one is
    /// never asked to do anything.
    fn hub_in_spite_of_mistakes(&self) -> Option<PathBuf> {
        let data_dir = watchpost_config::likely_data_dir(self.config_file());
        let runs_by = configuration_of(&data_dir).ok()?;
        let same = canonical(&runs_by) == canonical(self.config_file());
        same.then_some(data_dir)
    }
}

impl RunningHub {
    /// The one that has this data directory, without its configuration.
    fn at(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            zone: TimeZone::system(),
            settings: None,
        }
    }
}

/// The configuration file that the hub with this data directory runs by.
fn configuration_of(data_dir: &Path) -> anyhow::Result<PathBuf> {
    let status: Status = System::new().block_on(HubClient::new(data_dir).get("/v1/status"))?;
    Ok(status.program.configuration.file.into())
}

/// The path as it can be compared, also where there is no file now.
fn canonical(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.canonicalize().unwrap_or(absolute)
}

/// Says what is wrong.
fn refused(errors: &ConfigErrors) -> anyhow::Error {
    for error in errors.errors() {
        diagnostics::say(error);
    }
    Failure::Config(errors.to_string()).into()
}
