//! `watchpost doctor`: walks through everything that can be wrong between the cameras' backend and the sinks, and says
//! what to do about it. It changes nothing and shows no secret.

mod connection;
mod machine;
mod queues;
mod running_connection;
mod sinks;

use actix_rt::System;
use clap::Args;
use serde::Serialize;
use watchpost_config::TimeZone;
use watchpost_core::UnixMillis;
use watchpost_hub::HubStatus;
use watchpost_web::Status;

use crate::client::HubClient;
use crate::target::Target;
use crate::{out, siblings};

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print one JSON document: a list of what was checked, `pass`, `warn`, `fail` or `skip`, and the hint.
    #[arg(long)]
    json: bool,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Finding {
    /// It is well.
    Pass,
    /// It works, but an operator should look at it.
    Warn,
    /// It does not work.
    Fail,
    /// It could not be determined, or was not asked for a reason.
    Skip,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Line {
    /// What was looked at, such as `shop: login`.
    check: String,
    finding: Finding,
    /// What was found.
    text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// What is checked, as the running hub has it.
#[derive(Clone, Copy, Debug)]
enum Running<'a, T> {
    /// No hub runs.
    NoHub,
    /// It runs without it: by an older configuration.
    Unknown,
    /// It runs with it.
    Known(&'a T),
}

/// What to do about [`Running::Unknown`].
const OLDER_CONFIGURATION: &str = "`watchpost reload` has the hub go by the configuration as it is now.";

impl<'a, T> Running<'a, T> {
    fn of(status: Option<&'a HubStatus>, find: impl FnOnce(&'a HubStatus) -> Option<&'a T>) -> Self {
        match status {
            None => Self::NoHub,
            Some(status) => find(status).map_or(Self::Unknown, Self::Known),
        }
    }
}

/// All lines so far, under headings.
#[derive(Debug)]
struct Report {
    /// The site's: people compare the times with their own clocks.
    zone: TimeZone,
    part: String,
    lines: Vec<Line>,
}

impl Report {
    fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            part: String::new(),
            lines: Vec::new(),
        }
    }

    /// A time as it is shown.
    fn time(&self, at: UnixMillis) -> String {
        self.zone.show(at.0)
    }

    fn begin(&mut self, part: impl Into<String>) {
        self.part = part.into();
    }

    fn pass(&mut self, check: &str, text: impl Into<String>) {
        self.add(check, Finding::Pass, text, None);
    }

    fn skip(&mut self, check: &str, text: impl Into<String>) {
        self.add(check, Finding::Skip, text, None);
    }

    fn warn(&mut self, check: &str, text: impl Into<String>, hint: impl Into<String>) {
        self.add(check, Finding::Warn, text, Some(hint.into()));
    }

    fn fail(&mut self, check: &str, text: impl Into<String>, hint: impl Into<String>) {
        self.add(check, Finding::Fail, text, Some(hint.into()));
    }

    fn add(&mut self, check: &str, finding: Finding, text: impl Into<String>, hint: Option<String>) {
        self.lines.push(Line {
            check: format!("{}: {check}", self.part),
            finding,
            text: text.into(),
            hint,
        });
    }

    fn count(&self, finding: Finding) -> usize {
        self.lines.iter().filter(|line| line.finding == finding).count()
    }
}

pub(crate) fn run(target: &Target, args: &DoctorArgs) -> anyhow::Result<()> {
    let loaded = target.load_of_hub()?;
    let host_binary = siblings::sinkhost_binary()?;
    let report = System::new().block_on(async {
        let settings = &loaded.settings;
        let mut report = Report::new(settings.hub.time_zone());
        let hub = HubClient::new(&settings.hub.data_dir);
        let status: Option<Status> = hub.get("/v1/status").await.ok();
        machine::check(&mut report, &loaded, status.as_ref());
        let status = status.map(|status| status.hub);
        if let Some(status) = &status {
            queues::check(&mut report, settings, status);
        }
        for connection in &settings.connection {
            report.begin(&connection.name);
            connection::check(&mut report, connection, &hub).await;
        }
        sinks::check(&mut report, settings, &host_binary, status.as_ref()).await;
        report
    });
    show(&report, args.json)?;
    match report.count(Finding::Fail) {
        0 => Ok(()),
        1 => anyhow::bail!("1 check failed"),
        many => anyhow::bail!("{many} checks failed"),
    }
}

/// The time, to compare with the backend's.
fn now() -> UnixMillis {
    time::OffsetDateTime::now_utc().into()
}

fn show(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        return out::json(&report.lines);
    }
    for line in &report.lines {
        let word = match line.finding {
            Finding::Pass => "pass",
            Finding::Warn => "WARN",
            Finding::Fail => "FAIL",
            Finding::Skip => "skip",
        };
        out::line(format_args!("{word}  {}: {}", line.check, line.text))?;
        if let Some(hint) = &line.hint {
            out::line(format_args!("      {hint}"))?;
        }
    }
    out::line("")?;
    out::line(format_args!(
        "{} passed, {}, {} failed, {} skipped",
        report.count(Finding::Pass),
        out::count(report.count(Finding::Warn) as u64, "warning"),
        report.count(Finding::Fail),
        report.count(Finding::Skip),
    ))?;
    Ok(())
}
