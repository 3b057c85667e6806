//! `watchpost explain`: why an alert went where it went, as it was written down when it came in.

use actix_rt::System;
use clap::Args;
use watchpost_config::TimeZone;
use watchpost_core::AlertId;
use watchpost_hub::{DeliveryRecord, Explanation, SinkExplanation};

use crate::client::HubClient;
use crate::commands::alerts::acknowledged;
use crate::out;
use crate::target::{RunningHub, Target};

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The alert's number.
    id: AlertId,
    /// Print JSON: one document, with a stable code for each reason.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(target: &Target, args: &ExplainArgs) -> anyhow::Result<()> {
    let RunningHub { data_dir, zone, .. } = target.running_hub()?;
    System::new().block_on(async {
        let hub = HubClient::new(&data_dir);
        let explanation: Explanation = hub.get(&format!("/v1/alerts/{}/explain", args.id)).await?;
        if args.json {
            return out::json(&explanation);
        }
        show(&explanation, &zone)
    })
}

fn show(explanation: &Explanation, zone: &TimeZone) -> anyhow::Result<()> {
    out::line(&explanation.title)?;
    let by = explanation.acknowledged_by.as_ref();
    if explanation.acknowledged_at.is_some() {
        let taken = acknowledged(explanation.acknowledged_at, by, zone);
        out::line(format_args!("acknowledged {taken}"))?;
    }
    if explanation.unmatched {
        out::line("no route takes it")?;
    }
    if explanation.sinks.is_empty() {
        out::line("there was no sink when it came in")?;
    }
    for SinkExplanation {
        sink, why, delivery, ..
    } in &explanation.sinks
    {
        out::line("")?;
        match delivery {
            None => out::line(format_args!("{sink}: not sent"))?,
            Some(delivery) => out::line(format_args!("{sink}: {}", outcome(delivery, zone)))?,
        }
        out::line(format_args!("  because {why}"))?;
        let error = delivery.as_ref().and_then(|delivery| delivery.error.as_ref());
        if let Some(error) = error {
            out::line(format_args!("  last said: {error}"))?;
        }
    }
    Ok(())
}

/// What became of a delivery so far.
fn outcome(delivery: &DeliveryRecord, zone: &TimeZone) -> String {
    let attempts = out::count(delivery.attempts.into(), "attempt");
    let mut text = format!("{} after {attempts}", delivery.state);
    for (word, time) in [
        ("", delivery.finished_at),
        ("next ", delivery.due_at),
        (
            "expires ",
            delivery.expires_at.filter(|_| delivery.finished_at.is_none()),
        ),
    ] {
        if let Some(time) = time {
            text += &format!(", {word}{}", zone.show(time.0));
        }
    }
    text
}
