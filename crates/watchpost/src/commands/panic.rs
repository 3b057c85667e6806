//! `watchpost panic`: a person needs help.

use actix_rt::System;
use clap::Args;
use watchpost_web::{PanicAnswer, RaisePanic};

use crate::client::HubClient;
use crate::out;
use crate::target::{RunningHub, Target};

#[derive(Debug, Args)]
pub(crate) struct PanicArgs {
    /// The area where help is needed, or several. Without any, the whole site.
    #[arg(long = "area", value_name = "NAME")]
    areas: Vec<String>,
    /// Send messages only: no siren sounds, and none for what the cameras of these areas see while it lasts.
    #[arg(long)]
    silent: bool,
    /// What is the matter, for those who get it.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Print JSON: one document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(target: &Target, args: &PanicArgs) -> anyhow::Result<()> {
    let RunningHub { data_dir, .. } = target.running_hub()?;
    let body = RaisePanic {
        areas: args.areas.clone(),
        silent: args.silent,
        why: args.why.clone(),
    };
    let hub = HubClient::new(&data_dir);
    let answer: PanicAnswer = System::new().block_on(async { hub.post_json("/v1/panic", &body).await })?;
    if args.json {
        return out::json(&answer);
    }
    if let Some(deferred) = &answer.deferred {
        return Ok(out::line(deferred)?);
    }
    Ok(out::line(format_args!(
        "raised, as alert {alert}: `watchpost disarm` or `watchpost alerts acknowledge {alert}` stops what sounds",
        alert = answer.alert
    ))?)
}
