//! The command line as a whole. Each command's own arguments stand in its file.

use clap::{Parser, Subcommand};

use crate::commands::alerts::AlertsArgs;
use crate::commands::areas::{AreasArgs, ArmArgs, DisarmArgs, TestModeArgs};
use crate::commands::cameras::CamerasArgs;
use crate::commands::code::CodeCommand;
use crate::commands::deliveries::DeliveriesArgs;
use crate::commands::demo::DemoArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::explain::ExplainArgs;
use crate::commands::panic::PanicArgs;
use crate::commands::reload::ReloadArgs;
use crate::commands::routes::RoutesArgs;
use crate::commands::silence::SilenceArgs;
use crate::commands::simulate::SimulateArgs;
use crate::commands::sink::SinkCommand;
use crate::commands::status::StatusArgs;
use crate::exit;
use crate::target::{Needs, Target};

/// Watchpost keeps a connection to a VisionGuard backend, stores every alert, sends its receipt, and hands
/// it to sinks: plugins that file it, sound a siren, send a mail.
#[derive(Debug, Parser)]
#[command(version, after_help = exit::HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the hub until it gets SIGTERM or SIGINT.
    Run,
    /// Have the running hub go by its configuration as it is now. All of it is checked first; one mistake, and nothing
    /// changes. Only what is changed restarts.
    Reload(ReloadArgs),
    /// Check the configuration and load every plugin it names, without connecting anywhere.
    Check,
    /// Show how the running hub is: connected, storing, delivering?
    Status(StatusArgs),
    /// List, show, acknowledge, dismiss and clear the alerts of the running hub.
    Alerts(AlertsArgs),
    /// List the cameras of the newest alerts, and what to write to name those that have no name.
    Cameras(CamerasArgs),
    /// Say why each sink got an alert or did not, and what became of it there. Or, of an alert that has not happened, where it
    /// would go by the configuration: `--camera "Back door" --score -2.5 --at "2026-12-24 23:10"`.
    Explain(ExplainArgs),
    /// Try the routes of the configuration on a table of cases.
    Routes(RoutesArgs),
    /// Do not hear of some alerts for a while: `--match camera=Back* --for 2h --why "painters"`. List, extend and end silences.
    Silence(SilenceArgs),
    /// Arm areas, so that what their cameras see is an alarm: `arm night`, or `arm --area Yard`. People have `exit_delay` to leave.
    Arm(ArmArgs),
    /// Disarm areas. What sounds is silenced, what was about to sound does not, and who got the alarm hears that it is cancelled.
    Disarm(DisarmArgs),
    /// Call for help: an alarm whatever is armed, without any delay, which goes to every sink unless routes say otherwise.
    Panic(PanicArgs),
    /// Try the cameras of an area: what they see is recorded, and neither sounds nor is sent. It ends by itself.
    TestMode(TestModeArgs),
    /// List the areas: how they are armed, by whom, what keeps them from being ready, and which alarms are in memory.
    Areas(AreasArgs),
    /// Codes of persons, by which they arm and disarm.
    #[command(subcommand)]
    Code(CodeCommand),
    /// List, show, retry and drop deliveries: what became of the alerts at the sinks.
    Deliveries(DeliveriesArgs),
    /// Find out why it does not connect, why no alerts come or why they are not delivered. Changes nothing.
    Doctor(DoctorArgs),
    /// What sinks may do.
    #[command(subcommand)]
    Sink(SinkCommand),
    /// Run a VisionGuard backend that makes up alerts, to try and test Watchpost with.
    #[command(disable_help_flag = true)]
    Simulate(SimulateArgs),
    /// Show Watchpost at work: a simulated backend, the hub and the archive sink in a temporary directory.
    Demo(DemoArgs),
}

impl Command {
    /// What it needs to know of the hub.
    pub(crate) fn needs(&self) -> Needs {
        match self {
            Self::Run | Self::Check | Self::Routes(_) | Self::Sink(_) => Needs::Config,
            Self::Explain(args) => args.needs(),
            Self::Reload(_)
            | Self::Status(_)
            | Self::Alerts(_)
            | Self::Cameras(_)
            | Self::Doctor(_)
            | Self::Silence(_)
            | Self::Arm(_)
            | Self::Disarm(_)
            | Self::Panic(_)
            | Self::TestMode(_)
            | Self::Areas(_)
            | Self::Deliveries(_) => Needs::Hub,
            Self::Code(_) | Self::Simulate(_) | Self::Demo(_) => Needs::Nothing,
        }
    }
}
