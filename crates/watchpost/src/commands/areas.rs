//! `watchpost arm`, `watchpost disarm` and `watchpost areas`: what is armed, and who wants that.

use actix_rt::System;
use clap::{Args, Subcommand};
use watchpost_config::{TimeSpan, TimeZone};
use watchpost_core::{AreaState, Cause, Followed, Mode};
use watchpost_hub::AreaReport;
use watchpost_web::{AreasAnswer, ArmAreas, NamedAreas, PostponeAreas, TestAreas};

use crate::client::HubClient;
use crate::target::{RunningHub, Target};
use crate::{out, values};

#[derive(Debug, Args)]
pub(crate) struct ArmArgs {
    /// How: home, away or night.
    #[arg(default_value = "away", value_parser = mode)]
    mode: Mode,
    /// The area that is armed, or several. Without any, all that are armed in this mode, and the others are disarmed.
    #[arg(long = "area", value_name = "NAME")]
    areas: Vec<String>,
    /// Have the schedule that is about to arm do so this much later, such as `30m`, and arm nothing now.
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["force", "mode"])]
    postpone: Option<TimeSpan>,
    /// Arm also what is not ready. What keeps it from that is listed, and bypassed until it is disarmed.
    #[arg(long)]
    force: bool,
    /// Print JSON: one document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DisarmArgs {
    /// The area that is disarmed, or several. Without any, all.
    #[arg(long = "area", value_name = "NAME")]
    areas: Vec<String>,
    /// Print JSON: one document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TestModeArgs {
    /// The area that is tried, or several.
    #[arg(required = true, value_name = "AREA")]
    areas: Vec<String>,
    /// How long at most: 8 hours at the longest. It ends by itself then.
    #[arg(
        long = "for",
        value_name = "DURATION",
        default_value = "1h",
        conflicts_with = "end"
    )]
    lasts: TimeSpan,
    /// End it now.
    #[arg(long)]
    end: bool,
    /// Print JSON: one document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AreasArgs {
    #[command(subcommand)]
    command: Option<AreasCommand>,
    /// Print JSON: one document.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum AreasCommand {
    /// List the areas, how they are armed and what keeps them from being ready. The same as without a command.
    List,
    /// Remember no more what has triggered them.
    Seen {
        /// The area, or several. Without any, all.
        #[arg(long = "area", value_name = "NAME")]
        areas: Vec<String>,
    },
}

/// Reads how to arm. Who gives the name of an area instead hears how.
fn mode(text: &str) -> Result<Mode, String> {
    values::word(text).map_err(|_| {
        format!("expected home, away or night; to arm an area of this name: watchpost arm --area {text}")
    })
}

pub(crate) fn arm(target: &Target, args: &ArmArgs) -> anyhow::Result<()> {
    let areas = args.areas.clone();
    if let Some(lasts) = args.postpone {
        let body = PostponeAreas {
            areas,
            millis: values::millis(lasts),
        };
        return ask(target, args.json, async |hub| {
            hub.post_json("/v1/areas/postpone", &body).await
        });
    }
    let body = ArmAreas {
        mode: args.mode,
        areas,
        force: args.force,
    };
    ask(target, args.json, async |hub| {
        hub.post_json("/v1/areas/arm", &body).await
    })
}

pub(crate) fn disarm(target: &Target, args: &DisarmArgs) -> anyhow::Result<()> {
    let areas = args.areas.clone();
    let body = NamedAreas { areas };
    ask(target, args.json, async |hub| {
        hub.post_json("/v1/areas/disarm", &body).await
    })
}

pub(crate) fn test_mode(target: &Target, args: &TestModeArgs) -> anyhow::Result<()> {
    let body = TestAreas {
        areas: args.areas.clone(),
        millis: (!args.end).then(|| values::millis(args.lasts)),
    };
    ask(target, args.json, async |hub| {
        hub.post_json("/v1/areas/test", &body).await
    })
}

pub(crate) fn run(target: &Target, args: &AreasArgs) -> anyhow::Result<()> {
    ask(target, args.json, async |hub| match &args.command {
        Some(AreasCommand::Seen { areas }) => {
            let areas = areas.clone();
            hub.post_json("/v1/areas/seen", &NamedAreas { areas }).await
        }
        Some(AreasCommand::List) | None => Ok(AreasAnswer {
            areas: hub.get("/v1/areas").await?,
            deferred: None,
        }),
    })
}

fn ask(
    target: &Target,
    json: bool,
    question: impl AsyncFnOnce(&HubClient) -> anyhow::Result<AreasAnswer>,
) -> anyhow::Result<()> {
    let RunningHub { data_dir, zone, .. } = target.running_hub()?;
    let answer = System::new().block_on(async { question(&HubClient::new(&data_dir)).await })?;
    if json {
        return out::json(&answer);
    }
    if let Some(deferred) = &answer.deferred {
        return Ok(out::line(deferred)?);
    }
    if answer.areas.is_empty() {
        out::line("there is no area")?;
    }
    answer.areas.iter().try_for_each(|area| show(area, &zone))
}

/// Where an area stands, in words.
fn state(state: &AreaState, zone: &TimeZone) -> String {
    let at = |at: watchpost_core::UnixMillis| zone.show(at.0);
    match state {
        AreaState::Disarmed => "disarmed".to_owned(),
        AreaState::Arming {
            mode,
            until,
            from: None,
            ..
        } => format!("arming, mode {mode} from {}", at(*until)),
        AreaState::Arming {
            mode,
            until,
            from: Some(from),
            ..
        } => format!("armed, mode {from}, and arming, mode {mode} from {}", at(*until)),
        AreaState::Armed { mode } => format!("armed, mode {mode}"),
        AreaState::Pending { mode, until, cause } => format!(
            "armed, mode {mode}; entry delay until {}, because of {}",
            at(*until),
            cause.camera
        ),
        AreaState::Triggered {
            mode, until, silent, ..
        } => {
            let after = match mode {
                Some(mode) => format!("armed again, mode {mode}"),
                None => "disarmed".to_owned(),
            };
            let silent = if *silent { " (silent panic)" } else { "" };
            format!("ALARM{silent} until {}, {after} then", at(*until))
        }
    }
}

pub(crate) fn show(report: &AreaReport, zone: &TimeZone) -> anyhow::Result<()> {
    let AreaReport {
        name,
        area,
        blockers,
        modes,
        shut,
    } = report;
    let modes: Vec<String> = modes.iter().map(Mode::to_string).collect();
    let at = |at: watchpost_core::UnixMillis| zone.show(at.0);
    let state = state(&area.state, zone);
    out::line(format_args!("area {name} ({}): {state}", modes.join(", ")))?;
    if let Some(by) = &area.by {
        out::line(format_args!("  since {}, by {by}", at(area.since)))?;
    }
    if let Some((at, mode)) = area.followed.as_ref().and_then(Followed::next_arm) {
        out::line(format_args!(
            "  by schedule: armed {}, mode {mode}",
            zone.show(at.0)
        ))?;
    }
    if area.messages_only {
        out::line(
            "  for messages only, as it is not known what was armed: nothing sounds until `watchpost arm`",
        )?;
    }
    for blocker in blockers {
        out::line(format_args!("  not ready: {blocker}"))?;
    }
    if let Some(test) = &area.test {
        out::line(format_args!(
            "  TEST MODE until {}, by {}: {} alerts so far, which neither sound nor are sent",
            at(test.until),
            test.by,
            test.count
        ))?;
    }
    for camera in shut {
        out::line(format_args!(
            "  no siren for {camera} any more: it has raised too many alarms (`swinger`)"
        ))?;
    }
    for blocker in &area.bypassed {
        out::line(format_args!("  bypassed: {blocker}"))?;
    }
    for Cause {
        alert,
        at: happened,
        camera,
    } in &area.memory
    {
        out::line(format_args!(
            "  alarm in memory: {camera}, {}, alert {alert}",
            at(*happened)
        ))?;
    }
    Ok(())
}
