//! `watchpost check`: everything that can be found out without connecting anywhere.

mod exclusive;
mod lasting;
mod sinks;

use watchpost_config::{ConfigError, Loaded};
use watchpost_visionguard::Backend;

use crate::exit::Failure;
use crate::target::Target;
use crate::{diagnostics, out, siblings};

/// Says what is wrong, and counts it.
#[derive(Default)]
struct Report {
    errors: usize,
    warnings: usize,
}

impl Report {
    fn say(&mut self, finding: &ConfigError) {
        diagnostics::say(finding);
        if finding.is_warning() {
            self.warnings += 1;
        } else {
            self.errors += 1;
        }
    }
}

pub(crate) fn run(target: &Target) -> anyhow::Result<()> {
    let loaded = target.load()?;
    let host_binary = siblings::sinkhost_binary()?;
    let mut report = Report::default();
    for finding in loaded.inspect() {
        report.say(&finding);
    }
    addresses(&loaded, &mut report);
    sinks::check(&loaded, &host_binary, &mut report)?;
    let warnings = match report.warnings {
        0 => String::new(),
        warnings => format!(", {}", count(warnings, "warning")),
    };
    if report.errors > 0 {
        let errors = count(report.errors, "error");
        return Err(Failure::Config(format!("{errors}{warnings}")).into());
    }
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

fn addresses(loaded: &Loaded, report: &mut Report) {
    for (number, connection) in loaded.settings.connection.iter().enumerate() {
        let Some(url) = &connection.url else { continue };
        if let Err(error) = Backend::parse(url) {
            report.say(&loaded.error_at(&format!("/connection/{number}/url"), error.to_string(), None));
        }
    }
}
