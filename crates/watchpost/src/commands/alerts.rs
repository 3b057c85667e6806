//! `watchpost alerts`: what came in, for people and scripts.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use actix_rt::System;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use watchpost_config::TimeZone;
use watchpost_core::{Actor, Alert, AlertId, AlertKind, Camera, Picture, Severity, UnixMillis, Via};
use watchpost_hub::{AlertEntry, AlertPage, AlertQuery};

use crate::client::HubClient;
use crate::target::{RunningHub, Target};
use crate::{out, values};

#[derive(Debug, Args)]
pub(crate) struct AlertsArgs {
    /// Print JSON: one document for `show`, one an alert and line for `list`.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// List the newest alerts that are not dismissed.
    List {
        /// How many at most, instead of the configured `store.recent`.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: Option<u32>,
        /// Dismissed and cleared ones too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        which: Which,
    },
    /// Show one alert and what became of its deliveries.
    Show {
        /// Its number.
        id: AlertId,
        /// Write its picture to this file, `-` for standard output.
        #[arg(long, value_name = "FILE")]
        picture: Option<PathBuf>,
    },
    /// Say that a person has taken an alert: what sounds for it stops, and policies that are about it end. It stays listed.
    Acknowledge {
        /// Its number.
        id: AlertId,
        /// The person has got it at this sink, as policies with `require = "all"` ask.
        #[arg(long, value_name = "SINK")]
        at: Option<String>,
    },
    /// Acknowledge an alert and take it off the live list. It stays in the store.
    Dismiss {
        /// Its number.
        id: AlertId,
    },
    /// Dismiss all alerts that are on the live list. They stay in the store.
    Clear,
}

/// Which alerts: those that meet every condition given.
#[derive(Clone, Debug, Args)]
struct Which {
    /// Those of the camera of this name, or whose id begins like this.
    #[arg(long, value_name = "CAMERA")]
    camera: Option<String>,
    /// Those received at this time or later: `2026-11-23T18:00:00Z`, or `2h` for two hours ago.
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    since: Option<UnixMillis>,
    /// Those received before this time.
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    until: Option<UnixMillis>,
    /// Those of this kind: anomaly, owl_eye, notice, hub, panic or tamper.
    #[arg(long, value_parser = values::word::<AlertKind>)]
    kind: Option<AlertKind>,
    /// Those that matter as much or more: low, medium, high or critical.
    #[arg(long, value_parser = values::word::<Severity>)]
    severity: Option<Severity>,
    /// Those older than this one: the last of the page before.
    #[arg(long, value_name = "ALERT")]
    before: Option<AlertId>,
}

pub(crate) fn run(target: &Target, args: &AlertsArgs) -> anyhow::Result<()> {
    let RunningHub { data_dir, zone, .. } = target.running_hub()?;
    System::new().block_on(async {
        let hub = HubClient::new(&data_dir);
        match &args.command {
            AlertsCommand::List { limit, all, which } => {
                list(&hub, &zone, &which.query(*limit, *all), args.json).await
            }
            AlertsCommand::Show { id, picture } => {
                show(&hub, &zone, *id, picture.as_deref(), args.json).await
            }
            AlertsCommand::Acknowledge { id, at } => {
                let done = format!("alert {id} is acknowledged");
                let path = format!("/v1/alerts/{id}/acknowledge");
                let query: Vec<_> = at.iter().map(|at| ("at", at)).collect();
                command(&hub, (&path, &query), &done, args.json).await
            }
            AlertsCommand::Dismiss { id } => {
                let done = format!("alert {id} is dismissed");
                let path = format!("/v1/alerts/{id}/dismiss");
                command(&hub, (&path, &()), &done, args.json).await
            }
            AlertsCommand::Clear => {
                let done = "the live list is empty";
                command(&hub, ("/v1/alerts/clear", &()), done, args.json).await
            }
        }
    })
}

/// Has something done, and says what was done, or that it is recorded later.
async fn command(
    hub: &HubClient,
    (path, query): (&str, &impl Serialize),
    done: &str,
    json: bool,
) -> anyhow::Result<()> {
    match hub.post(path, query).await? {
        Some(deferred) if json => out::json(&deferred),
        Some(deferred) => Ok(out::line(deferred.deferred)?),
        None => Ok(out::line(done)?),
    }
}

impl Which {
    fn query(&self, limit: Option<u32>, all: bool) -> AlertQuery {
        AlertQuery {
            limit,
            all,
            before: self.before,
            camera: self.camera.clone(),
            kind: self.kind,
            severity: self.severity,
            since: self.since,
            until: self.until,
        }
    }
}

async fn list(hub: &HubClient, zone: &TimeZone, query: &AlertQuery, json: bool) -> anyhow::Result<()> {
    let page: AlertPage = hub.get_with("/v1/alerts", query).await?;
    if json {
        return page.alerts.iter().try_for_each(out::json);
    }
    let Some(last) = page.alerts.last() else {
        return Ok(out::line("no alerts")?);
    };
    out::fitted(format_args!(
        "{:16}  {:19}  {:8}  {}",
        "ALERT", "HAPPENED", "SEVERITY", "CONNECTION: TITLE"
    ))?;
    for entry in &page.alerts {
        let alert = &entry.alert;
        let taken = match (entry.dismissed, entry.acknowledged_at) {
            (true, _) => "(dismissed) ",
            (false, Some(_)) => "(acknowledged) ",
            (false, None) => "",
        };
        let late = if alert.late { "(late) " } else { "" };
        out::fitted(format_args!(
            "{:16}  {}  {:8}  {taken}{late}{}: {}",
            alert.id.to_string(),
            zone.show(alert.happened_at().0),
            alert.severity.to_string(),
            alert.connection,
            alert.title
        ))?;
    }
    if page.more > 0 || page.at_least {
        let at_least = if page.at_least { "at least " } else { "" };
        let (more, id) = (page.more, last.alert.id);
        out::line(format_args!(
            "{at_least}{more} more: add `--before {id}` for the next"
        ))?;
    }
    Ok(())
}

/// When it happened, and when it was received where that differs by more than people would notice.
fn happened(alert: &Alert, zone: &TimeZone) -> String {
    let happened = zone.show(alert.happened_at().0);
    if alert.late {
        format!(
            "{happened}, late: received {} via {}",
            zone.show(alert.received_at.0),
            alert.via
        )
    } else {
        happened
    }
}

/// How and over which connections it came: what was fetched, how long after it happened.
pub(crate) fn came(
    via: Via,
    connection: &str,
    also_over: &[String],
    happened_at: UnixMillis,
    received_at: UnixMillis,
) -> String {
    let how = match via {
        Via::Live => format!("live over {connection}"),
        Via::List => {
            let seconds = happened_at.until(received_at).as_secs();
            format!("from the backend's list, over {connection}, {seconds} s after it happened")
        }
        Via::Inbound => format!("posted to {connection}"),
    };
    match also_over {
        [] => how,
        others => format!("{how}; also over {}", others.join(" and ")),
    }
}

/// When and by whom it was acknowledged.
pub(crate) fn acknowledged(at: Option<UnixMillis>, by: Option<&Actor>, zone: &TimeZone) -> String {
    let Some(at) = at else { return "no".to_owned() };
    let by = by.map(|by| format!(", by {by}")).unwrap_or_default();
    format!("{}{by}", zone.show(at.0))
}

fn camera(alert: &Alert) -> String {
    match &alert.camera {
        None => "none".to_owned(),
        Some(Camera {
            id, name: Some(name), ..
        }) => format!("{name} ({id})"),
        Some(camera) => camera.id.clone(),
    }
}

async fn show(
    hub: &HubClient,
    zone: &TimeZone,
    id: AlertId,
    picture: Option<&Path>,
    json: bool,
) -> anyhow::Result<()> {
    if let Some(file) = picture {
        let jpeg = hub.get_bytes(&format!("/v1/alerts/{id}/picture")).await?;
        if file == Path::new("-") {
            return Ok(io::stdout().write_all(&jpeg)?);
        }
        fs::write(file, jpeg).with_context(|| format!("cannot write the picture to {}", file.display()))?;
    }
    let entry: AlertEntry = hub.get(&format!("/v1/alerts/{id}")).await?;
    if json {
        return out::json(&entry);
    }
    let alert = &entry.alert;
    out::line(&alert.title)?;
    out::line(&alert.text)?;
    out::line("")?;
    let picture = match &alert.picture {
        Picture::Jpeg { bytes, width, height } => format!("{width}x{height}, {bytes} bytes"),
        Picture::Pending { .. } => "still being fetched".to_owned(),
        Picture::Missing(why) => format!("none: {why}"),
    };
    for (what, value) in [
        ("alert", alert.id.to_string()),
        ("happened", happened(alert, zone)),
        (
            "came",
            came(
                alert.via,
                &alert.connection,
                &alert.also_over,
                alert.happened_at(),
                alert.received_at,
            ),
        ),
        ("camera", camera(alert)),
        ("severity", alert.severity.to_string()),
        ("picture", picture),
        (
            "acknowledged",
            acknowledged(entry.acknowledged_at, entry.acknowledged_by.as_ref(), zone),
        ),
        ("dismissed", if entry.dismissed { "yes" } else { "no" }.to_owned()),
    ] {
        out::line(format_args!("{what:14}{value}"))?;
    }
    for delivery in &entry.deliveries {
        let error = delivery
            .error
            .as_ref()
            .map(|error| format!(": {error}"))
            .unwrap_or_default();
        out::line(format_args!(
            "{:14}{} after {}{error}",
            delivery.sink,
            delivery.state,
            out::count(delivery.attempts.into(), "attempt")
        ))?;
    }
    Ok(())
}
