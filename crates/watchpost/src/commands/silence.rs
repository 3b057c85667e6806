//! `watchpost silence`: not to hear of some alerts for a while, why, and until when.

use actix_rt::System;
use clap::{Args, Subcommand};
use watchpost_config::{TimeSpan, TimeZone, not_there};
use watchpost_core::{AlertKind, Severity, Silence, SilenceId, SilenceMatch};
use watchpost_web::{BeginSilence, ExtendSilence, SilenceAnswer};

use crate::client::HubClient;
use crate::target::{RunningHub, Target};
use crate::{out, values};

#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct SilenceArgs {
    #[command(subcommand)]
    command: Option<SilenceCommand>,
    /// What it is about, as `KEY=VALUE`: connection, camera, area, stream, kind or status, and `*` and `?` in names; or
    /// `severity_at_most`, above which alerts are heard all the same. Several of one key are alternatives, of different
    /// keys all must be met. Without a kind, it is about what cameras raise.
    #[arg(long = "match", value_name = "KEY=VALUE", required = true)]
    matches: Vec<String>,
    /// How long it lasts, such as `2h`; 7 days at most.
    #[arg(long = "for", value_name = "DURATION", required = true)]
    lasts: Option<TimeSpan>,
    /// Why, for those who come later.
    #[arg(long, value_name = "TEXT", required = true)]
    why: Option<String>,
    /// The sink that it holds for, or several. Without any, all but archives, which keep the record.
    #[arg(long, value_name = "NAME")]
    sink: Vec<String>,
    /// Print JSON: one document.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum SilenceCommand {
    /// List the silences that are not over.
    List,
    /// Have one last so long from now on, longer or shorter than it would.
    Extend {
        /// Its number.
        id: SilenceId,
        /// How long it lasts from now on.
        #[arg(long = "for", value_name = "DURATION")]
        lasts: TimeSpan,
    },
    /// End one. What it has held back is summed up, as at the end of its time.
    End {
        /// Its number.
        id: SilenceId,
    },
}

pub(crate) fn run(target: &Target, args: &SilenceArgs) -> anyhow::Result<()> {
    let RunningHub { data_dir, zone, .. } = target.running_hub()?;
    let begin = match &args.command {
        Some(_) if !args.matches.is_empty() || args.why.is_some() => {
            anyhow::bail!("`--match` and `--why` begin a silence: leave them out, or the command after them")
        }
        Some(_) => None,
        None => Some(args.begin().map_err(anyhow::Error::msg)?),
    };
    System::new().block_on(async {
        let hub = HubClient::new(&data_dir);
        let answer: SilenceAnswer = match (&args.command, &begin) {
            (Some(SilenceCommand::List) | None, None) => SilenceAnswer {
                silences: hub.get("/v1/silences").await?,
                ..SilenceAnswer::default()
            },
            (_, Some(begin)) => hub.post_json("/v1/silences", begin).await?,
            (Some(SilenceCommand::Extend { id, lasts }), None) => {
                let body = ExtendSilence {
                    millis: values::millis(*lasts),
                };
                hub.post_json(&format!("/v1/silences/{id}/extend"), &body).await?
            }
            (Some(SilenceCommand::End { id }), None) => {
                hub.post_json(&format!("/v1/silences/{id}/end"), &()).await?
            }
        };
        if args.json {
            return out::json(&answer);
        }
        if let Some(deferred) = &answer.deferred {
            return Ok(out::line(deferred)?);
        }
        if answer.silences.is_empty() {
            out::line("there is no silence")?;
        }
        answer
            .silences
            .iter()
            .try_for_each(|silence| show(silence, &zone))
    })
}

impl SilenceArgs {
    fn begin(&self) -> Result<BeginSilence, String> {
        let mut matches = SilenceMatch {
            sink: self.sink.clone(),
            ..SilenceMatch::default()
        };
        for condition in &self.matches {
            add(&mut matches, condition)?;
        }
        let why = self.why.clone().unwrap_or_default();
        if why.trim().is_empty() {
            return Err("say why, so that those who come later know: `--why \"painters\"`".to_owned());
        }
        Ok(BeginSilence {
            matches,
            millis: self.lasts.map_or(0, values::millis),
            why,
        })
    }
}

/// Adds a condition that was written as `KEY=VALUE`.
fn add(matches: &mut SilenceMatch, condition: &str) -> Result<(), String> {
    const KEYS: [&str; 7] = [
        "connection",
        "camera",
        "area",
        "stream",
        "kind",
        "status",
        "severity_at_most",
    ];
    let (key, value) = condition
        .split_once('=')
        .ok_or_else(|| format!("`{condition}` is not of the form KEY=VALUE, such as camera=Back*"))?;
    let value = value.trim().to_owned();
    if value.is_empty() {
        return Err(format!("`{condition}` has no value"));
    }
    match key.trim() {
        "connection" => matches.connection.push(value),
        "camera" => matches.camera.push(value),
        "area" => matches.area.push(value),
        "stream" => matches.stream.push(value),
        "status" => matches.status.push(value),
        "kind" => matches.kind.push(values::word::<AlertKind>(&value)?),
        "severity_at_most" => matches.severity_at_most = Some(values::word::<Severity>(&value)?),
        other => return Err(not_there("condition", other, KEYS)),
    }
    Ok(())
}

pub(crate) fn show(silence: &Silence, zone: &TimeZone) -> anyhow::Result<()> {
    let Silence {
        id,
        matches,
        from,
        until,
        why,
        by,
        held,
        ..
    } = silence;
    out::line(format_args!(
        "silence {id}: {matches}, from {} until {}",
        zone.show(from.0),
        zone.show(until.0)
    ))?;
    out::line(format_args!("  {why}, by {by}"))?;
    if let Some(held) = held {
        let alerts = out::count(held.count, "alert");
        out::line(format_args!(
            "  {alerts} held back, the last of {}",
            zone.show(held.to.0)
        ))?;
    }
    Ok(())
}
