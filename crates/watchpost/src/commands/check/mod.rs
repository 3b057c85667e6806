//! `watchpost check`: everything that can be found out without connecting anywhere.

mod exclusive;
mod lasting;
mod sinks;

use std::path::Path;

use actix_rt::System;
use watchpost_config::{ConfigError, Loaded};
use watchpost_visionguard::Backend;

use crate::exit::Failure;
use crate::target::Target;
use crate::{diagnostics, out, siblings};

/// What was found.
#[derive(Default)]
pub(crate) struct Report {
    /// Errors and warnings.
    pub(crate) findings: Vec<ConfigError>,
    /// The sinks that can run, a line for each.
    passed: Vec<String>,
}

impl Report {
    fn say(&mut self, finding: ConfigError) {
        self.findings.push(finding);
    }

    /// How many errors there are.
    pub(crate) fn errors(&self) -> usize {
        self.findings
            .iter()
            .filter(|finding| !finding.is_warning())
            .count()
    }

    /// Both kinds, counted: `1 error, 2 warnings`. Empty when there is none.
    pub(crate) fn summary(&self) -> String {
        let errors = self.errors();
        let counts = [(errors, "error"), (self.findings.len() - errors, "warning")];
        let counted = counts.into_iter().filter(|(number, _)| *number > 0);
        counted
            .map(|(number, what)| count(number, what))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Everything that can be found out about a configuration without connecting anywhere, for the user that this process
/// runs as. Takes an actix system.
pub(crate) async fn check(loaded: &Loaded, host_binary: &Path) -> Report {
    let mut report = Report::default();
    for finding in loaded.inspect() {
        report.say(finding);
    }
    addresses(loaded, &mut report);
    areas(loaded, &mut report);
    sinks::check(loaded, host_binary, &mut report).await;
    report
}

pub(crate) fn run(target: &Target) -> anyhow::Result<()> {
    let loaded = target.load()?;
    let host_binary = siblings::sinkhost_binary()?;
    let report = System::new().block_on(check(&loaded, &host_binary));
    for finding in &report.findings {
        diagnostics::say(finding);
    }
    for line in &report.passed {
        out::line(line)?;
    }
    if report.errors() > 0 {
        return Err(Failure::Config(report.summary()).into());
    }
    let warnings = match report.findings.len() {
        0 => String::new(),
        warnings => format!(", {}", count(warnings, "warning")),
    };
    let settings = &loaded.settings;
    Ok(out::line(format_args!(
        "{}: ok ({}, {}{warnings})",
        target.config_file().display(),
        count(settings.connection.len(), "connection"),
        count(settings.sink.len(), "sink"),
    ))?)
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// Cameras that raise an alarm whatever is armed.
fn areas(loaded: &Loaded, report: &mut Report) {
    let settings = &loaded.settings;
    for (number, camera) in settings.always_armed() {
        let at = format!("/camera/{number}");
        report.say(match &camera.area {
            Some(area) => loaded.warning_at(
                &format!("{at}/area"),
                format!(
                    "there is no [[area]] `{area}`, so camera `{}` is armed always",
                    camera.name
                ),
                "add an [[area]] of this name, unless that is meant",
            ),
            None => loaded.warning_at(
                &format!("{at}/name"),
                format!(
                    "camera `{}` is of no [[area]], and so is armed always",
                    camera.name
                ),
                "name it in the `camera` of an [[area]], unless that is meant",
            ),
        });
    }
}

fn addresses(loaded: &Loaded, report: &mut Report) {
    for (number, connection) in loaded.settings.connection.iter().enumerate() {
        let Some(url) = &connection.url else { continue };
        if let Err(error) = Backend::parse(url) {
            report.say(loaded.error_at(&format!("/connection/{number}/url"), error.to_string(), None));
        }
    }
}
