//! `watchpost deliveries`: what became of the alerts at the sinks, and having it made good.

use actix_rt::System;
use clap::{Args, Subcommand};
use watchpost_config::TimeZone;
use watchpost_core::{AlertId, DeliveryState, UnixMillis};
use watchpost_hub::{Changed, DeliveryQuery, DeliveryRecord};

use crate::client::HubClient;
use crate::target::{RunningHub, Target};
use crate::{out, values};

#[derive(Debug, Args)]
pub(crate) struct DeliveriesArgs {
    /// Print JSON: one document a delivery and line, or the number of those changed.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: DeliveriesCommand,
}

#[derive(Debug, Subcommand)]
enum DeliveriesCommand {
    /// List deliveries, those of the newest alerts first.
    List {
        #[command(flatten)]
        which: Which,
        /// How many at most, instead of the configured `store.recent`.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: Option<u32>,
    },
    /// Show the deliveries of one alert with all that is known of them.
    Show {
        /// The alert's number.
        alert: AlertId,
    },
    /// Make deliveries again at once that are dead, dropped or expired, or wait for a retry, however old they are.
    Retry {
        #[command(flatten)]
        which: WhichOrAll,
    },
    /// Drop deliveries that are pending. Their alerts stay in the store.
    Drop {
        #[command(flatten)]
        which: WhichOrAll,
    },
}

/// Which deliveries: those that meet every condition given.
#[derive(Clone, Debug, Args)]
#[group(id = "condition", multiple = true)]
struct Which {
    /// Those of this alert.
    #[arg(value_name = "ALERT")]
    alert: Option<AlertId>,
    /// Those to this sink.
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Those in this state: pending, delivered, dead, expired or dropped.
    #[arg(long, value_parser = values::word::<DeliveryState>)]
    state: Option<DeliveryState>,
    /// Those of alerts that came in at this time or later: `2026-11-23T18:00:00Z`, or `2h` for two hours ago.
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    since: Option<UnixMillis>,
    /// Those of alerts that came in before this time.
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    until: Option<UnixMillis>,
}

/// The same, where nothing said must not mean everything.
#[derive(Clone, Debug, Args)]
struct WhichOrAll {
    #[command(flatten)]
    which: Which,
    /// All there are. Without it, say which.
    #[arg(long, conflicts_with = "condition", required_unless_present = "condition")]
    all: bool,
}

pub(crate) fn run(target: &Target, args: &DeliveriesArgs) -> anyhow::Result<()> {
    let RunningHub { data_dir, zone, .. } = target.running_hub()?;
    System::new().block_on(async {
        let hub = HubClient::new(&data_dir);
        match &args.command {
            DeliveriesCommand::List { which, limit } => list(&hub, &zone, which, *limit, args.json).await,
            DeliveriesCommand::Show { alert } => show(&hub, &zone, *alert, args.json).await,
            DeliveriesCommand::Retry { which } => {
                change(&hub, "retry", "to be made again", which, args.json).await
            }
            DeliveriesCommand::Drop { which } => change(&hub, "drop", "dropped", which, args.json).await,
        }
    })
}

async fn list(
    hub: &HubClient,
    zone: &TimeZone,
    which: &Which,
    limit: Option<u32>,
    json: bool,
) -> anyhow::Result<()> {
    let query = DeliveryQuery {
        limit,
        ..which.query()
    };
    let found: Vec<DeliveryRecord> = hub.get_with("/v1/deliveries", &query).await?;
    if json {
        return found.iter().try_for_each(out::json);
    }
    if found.is_empty() {
        return Ok(out::line("no deliveries")?);
    }
    out::fitted(format_args!(
        "{:16}  {:12}  {:9}  {:8}  {}",
        "ALERT", "SINK", "STATE", "ATTEMPTS", "NEXT OR ENDED"
    ))?;
    for delivery in &found {
        let time = delivery.finished_at.or(delivery.due_at);
        let time = time.map(|time| zone.show(time.0));
        out::fitted(format_args!(
            "{:16}  {:12}  {:9}  {:8}  {}",
            delivery.alert.to_string(),
            delivery.sink,
            delivery.state.to_string(),
            delivery.attempts,
            time.unwrap_or_default(),
        ))?;
        if let Some(error) = &delivery.error {
            out::fitted(format_args!("{:18}{error}", ""))?;
        }
    }
    Ok(())
}

async fn show(hub: &HubClient, zone: &TimeZone, alert: AlertId, json: bool) -> anyhow::Result<()> {
    let query = DeliveryQuery {
        alert: Some(alert),
        limit: Some(1_000),
        ..DeliveryQuery::default()
    };
    let found: Vec<DeliveryRecord> = hub.get_with("/v1/deliveries", &query).await?;
    anyhow::ensure!(
        !found.is_empty(),
        "there is no delivery of alert {alert}: it went to no sink, or it has grown too old. `watchpost deliveries list` shows what there is."
    );
    for delivery in &found {
        if json {
            out::json(delivery)?;
            continue;
        }
        out::line(format_args!("{}", delivery.sink))?;
        let time = |time: Option<UnixMillis>| time.map(|time| zone.show(time.0));
        for (what, value) in [
            ("state", Some(delivery.state.to_string())),
            ("attempts", Some(delivery.attempts.to_string())),
            ("next attempt", time(delivery.due_at)),
            ("expires", time(delivery.expires_at)),
            ("ended", time(delivery.finished_at)),
            ("last error", delivery.error.clone()),
        ] {
            if let Some(value) = value {
                out::line(format_args!("  {what:14}{value}"))?;
            }
        }
    }
    Ok(())
}

async fn change(
    hub: &HubClient,
    verb: &str,
    done: &str,
    which: &WhichOrAll,
    json: bool,
) -> anyhow::Result<()> {
    let query = which.which.query();
    let changed: Changed = hub.post_with(&format!("/v1/deliveries/{verb}"), &query).await?;
    if json {
        return out::json(&changed);
    }
    if let Some(deferred) = changed.deferred {
        return Ok(out::line(deferred)?);
    }
    let deliveries = out::count(changed.changed, "delivery");
    Ok(out::line(format_args!("{deliveries} {done}"))?)
}

impl Which {
    fn query(&self) -> DeliveryQuery {
        DeliveryQuery {
            alert: self.alert,
            sink: self.sink.clone(),
            state: self.state,
            since: self.since,
            until: self.until,
            limit: None,
        }
    }
}
