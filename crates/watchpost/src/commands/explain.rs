//! `watchpost explain`: why an alert went where it went, as it was written down when it came in; or where one would go that
//! has not happened.

use actix_rt::System;
use clap::Args;
use watchpost_config::TimeZone;
use watchpost_core::{AlertId, UnixMillis};
use watchpost_hub::{
    DeliveryRecord, DryRun, Explanation, GroupDecision, HoldExplanation, SinkDecision, SinkExplanation,
};

use crate::client::HubClient;
use crate::commands::alerts::{acknowledged, came};
use crate::out;
use crate::sample::Sample;
use crate::target::{Needs, RunningHub, Target};
use crate::values;

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The alert's number.
    #[arg(required_unless_present = "sample", conflicts_with = "sample")]
    id: Option<AlertId>,
    #[command(flatten)]
    sample: Sample,
    /// Print JSON: one document, with a stable code for each reason.
    #[arg(long)]
    json: bool,
}

impl ExplainArgs {
    /// What it needs to know of the hub.
    pub(crate) fn needs(&self) -> Needs {
        match self.id {
            Some(_) => Needs::Hub,
            None => Needs::Config,
        }
    }
}

pub(crate) fn run(target: &Target, args: &ExplainArgs) -> anyhow::Result<()> {
    let Some(id) = args.id else {
        return dry_run(target, args);
    };
    let RunningHub { data_dir, zone, .. } = target.running_hub()?;
    System::new().block_on(async {
        let hub = HubClient::new(&data_dir);
        let explanation: Explanation = hub.get(&format!("/v1/alerts/{id}/explain")).await?;
        if args.json {
            return out::json(&explanation);
        }
        show(&explanation, &zone)
    })
}

/// Where an alert would go that has not happened.
fn dry_run(target: &Target, args: &ExplainArgs) -> anyhow::Result<()> {
    let settings = target.load()?.settings;
    let (zone, now) = (settings.hub.time_zone(), values::now());
    let alert = args.sample.alert(&settings, now).map_err(anyhow::Error::msg)?;
    let circumstances = args.sample.circumstances(&settings).map_err(anyhow::Error::msg)?;
    let decision = DryRun::new(&settings).decide(alert, circumstances);
    if args.json {
        return out::json(&decision);
    }
    let alert = &decision.alert;
    let at = zone.show(alert.received_at.0);
    out::line(format_args!(
        "{}, severity {}, at {at}",
        alert.title, alert.severity
    ))?;
    if decision.unmatched {
        out::line("no route takes it")?;
    }
    if decision.sinks.is_empty() {
        out::line("there is no sink")?;
    }
    for SinkDecision {
        sink,
        delivers,
        why,
        due_at,
        group,
        rate_limit,
        ..
    } in &decision.sinks
    {
        out::line("")?;
        let due = due_at.map_or_else(String::new, |due: UnixMillis| {
            format!(", at {}", zone.show(due.0))
        });
        match delivers {
            true => out::line(format_args!("{sink}: would be sent{due}"))?,
            false => out::line(format_args!("{sink}: would not be sent"))?,
        }
        out::line(format_args!("  because {why}"))?;
        if let Some(GroupDecision { key, until }) = group {
            let until = zone.show(until.0);
            out::line(format_args!(
                "  one message for what else comes{key} until {until}"
            ))?;
        }
        if let Some(rate) = rate_limit {
            out::line(format_args!(
                "  at most {rate}, and what is over that as one message (`rate_limit`)"
            ))?;
        }
    }
    Ok(())
}

fn show(explanation: &Explanation, zone: &TimeZone) -> anyhow::Result<()> {
    out::line(&explanation.title)?;
    out::line(format_args!(
        "came {}",
        came(
            explanation.via,
            &explanation.connection,
            &explanation.also_over,
            explanation.happened_at,
            explanation.received_at
        )
    ))?;
    if explanation.picture_pending {
        out::line("its picture is still being fetched; what waits for it goes as soon as it is there")?;
    }
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
        sink,
        why,
        delivery,
        hold,
        ..
    } in &explanation.sinks
    {
        out::line("")?;
        match (delivery, hold) {
            (Some(delivery), _) => out::line(format_args!("{sink}: {}", outcome(delivery, zone)))?,
            (None, Some(hold)) => out::line(format_args!("{sink}: {}", held(hold, zone)))?,
            (None, None) => out::line(format_args!("{sink}: not sent"))?,
        }
        out::line(format_args!("  because {why}"))?;
        let error = delivery.as_ref().and_then(|delivery| delivery.error.as_ref());
        if let Some(error) = error {
            out::line(format_args!("  last said: {error}"))?;
        }
    }
    Ok(())
}

/// What became of an alert that was held for a digest.
fn held(hold: &HoldExplanation, zone: &TimeZone) -> String {
    let at = |time: Option<UnixMillis>| time.map_or_else(String::new, |time| zone.show(time.0));
    let HoldExplanation {
        until,
        digest,
        let_go,
        ended_at,
    } = hold;
    match (digest, let_go, until) {
        (Some(digest), ..) => format!("summed up in alert {digest}, {}", at(*ended_at)),
        (None, Some(why), _) => format!("held, and let go {}: {why}", at(*ended_at)),
        (None, None, Some(_)) => format!("held until {}", at(*until)),
        (None, None, None) => "held for a digest".to_owned(),
    }
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
