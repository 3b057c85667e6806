//! `watchpost reload`: has the running hub go by its configuration as that is now.

use actix_rt::System;
use clap::Args;
use watchpost_web::{Problem, Reloaded};

use crate::client::HubClient;
use crate::exit::Failure;
use crate::reload::summary;
use crate::target::Target;
use crate::{diagnostics, out};

#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    /// Print one JSON document: what was changed, or why nothing was.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(target: &Target, args: &ReloadArgs) -> anyhow::Result<()> {
    let data_dir = target.running_hub()?.data_dir;
    let answer: Result<Reloaded, Problem> =
        System::new().block_on(HubClient::new(&data_dir).try_post("/v1/reload"))?;
    let reloaded = match answer {
        Ok(reloaded) => reloaded,
        Err(problem) => {
            if args.json {
                out::json(&problem)?;
            }
            for report in &problem.reports {
                diagnostics::say_report(report);
            }
            let why = problem.detail;
            anyhow::ensure!(!problem.reports.is_empty(), "not reloaded: {why}");
            let failure = format!("not reloaded, and the hub goes on with the configuration it has: {why}");
            return Err(Failure::Config(failure).into());
        }
    };
    if args.json {
        return out::json(&reloaded);
    }
    for warning in &reloaded.warnings {
        diagnostics::say_report(warning);
    }
    for line in summary(&reloaded) {
        out::line(line)?;
    }
    Ok(out::line(format_args!("{}: reloaded", reloaded.file))?)
}
