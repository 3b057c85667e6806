//! `watchpost alerts`: what came in, for people and scripts.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use actix_rt::System;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use watchpost_core::{Alert, AlertId, Camera, Picture};
use watchpost_hub::AlertEntry;

use crate::client::HubClient;
use crate::out;
use crate::target::Target;

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

/// What is asked for.
#[derive(Serialize)]
struct ListQuery {
    limit: Option<u32>,
    all: bool,
}

pub(crate) fn run(target: &Target, args: &AlertsArgs) -> anyhow::Result<()> {
    let data_dir = target.data_dir()?;
    System::new().block_on(async {
        let hub = HubClient::new(&data_dir);
        match &args.command {
            AlertsCommand::List { limit, all } => list(&hub, *limit, *all, args.json).await,
            AlertsCommand::Show { id, picture } => show(&hub, *id, picture.as_deref(), args.json).await,
            AlertsCommand::Dismiss { id } => hub.post(&format!("/v1/alerts/{id}/dismiss")).await,
            AlertsCommand::Clear => hub.post("/v1/alerts/clear").await,
        }
    })
}

async fn list(hub: &HubClient, limit: Option<u32>, all: bool, json: bool) -> anyhow::Result<()> {
    let entries: Vec<AlertEntry> = hub.get_with("/v1/alerts", &ListQuery { limit, all }).await?;
    for entry in &entries {
        if json {
            out::json(entry)?;
            continue;
        }
        let alert = &entry.alert;
        let late = if alert.late { "  (late)" } else { "" };
        let dismissed = if entry.dismissed { "  (dismissed)" } else { "" };
        out::line(format_args!(
            "{}  {}  {:8}  {}: {}{late}{dismissed}",
            alert.id,
            alert.happened_at(),
            alert.severity,
            alert.connection,
            alert.title
        ))?;
    }
    if entries.is_empty() && !json {
        out::line("no alerts")?;
    }
    Ok(())
}

/// When it happened, and when it was received where that differs by more than people would notice.
fn happened(alert: &Alert) -> String {
    let happened = alert.happened_at();
    if alert.late {
        format!(
            "{happened}, late: received {} via {}",
            alert.received_at, alert.via
        )
    } else {
        happened.to_string()
    }
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

async fn show(hub: &HubClient, id: AlertId, picture: Option<&Path>, json: bool) -> anyhow::Result<()> {
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
    out::line(format_args!("{}\n{}\n", alert.title, alert.text))?;
    let picture = match &alert.picture {
        Picture::Jpeg { bytes, width, height } => format!("{width}x{height}, {bytes} bytes"),
        Picture::Missing(why) => format!("none: {why}"),
    };
    for (what, value) in [
        ("alert", alert.id.to_string()),
        ("happened", happened(alert)),
        ("connection", alert.connection.clone()),
        ("camera", camera(alert)),
        ("severity", alert.severity.to_string()),
        ("picture", picture),
        ("dismissed", if entry.dismissed { "yes" } else { "no" }.to_owned()),
    ] {
        out::line(format_args!("{what:12}{value}"))?;
    }
    for delivery in &entry.deliveries {
        let error = delivery
            .error
            .as_ref()
            .map(|error| format!(": {error}"))
            .unwrap_or_default();
        out::line(format_args!(
            "{:12}{} after {} attempts{error}",
            delivery.sink, delivery.state, delivery.attempts
        ))?;
    }
    Ok(())
}
