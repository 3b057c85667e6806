//! One file a command.

pub(crate) mod alerts;
pub(crate) mod check;
pub(crate) mod deliveries;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod run;
pub(crate) mod simulate;
pub(crate) mod sink;
pub(crate) mod status;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use watchpost_config::Loaded;

use crate::exit::Failure;

/// Columns of an error report.
const REPORT_WIDTH: usize = 110;

/// Loads the configuration; what is wrong with it goes to standard error, with places.
pub(crate) fn load(file: &Path) -> anyhow::Result<Loaded> {
    watchpost_config::load(file).map_err(|errors| {
        for error in errors.errors() {
            say(error);
        }
        Failure::Config(errors.to_string()).into()
    })
}

/// The program that runs plugins, which stands beside this one.
pub(crate) fn sinkhost_binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find out where this program is")?;
    let binary = own.with_file_name("watchpost-sinkhost");
    anyhow::ensure!(
        binary.exists(),
        "{} is missing: it runs the plugins and must be installed beside watchpost",
        binary.display()
    );
    Ok(binary)
}

/// Shows an error with its place on standard error: with colours for a person, without for a file.
pub(crate) fn say(error: &dyn Diagnostic) {
    let theme = if io::stderr().is_terminal() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let mut text = String::new();
    // Writing to a string fails only when the error's own Display does.
    let _ = GraphicalReportHandler::new_themed(theme)
        .with_width(REPORT_WIDTH)
        .render_report(&mut text, error);
    let _ = writeln!(io::stderr(), "{text}");
}
