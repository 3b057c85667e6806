//! Shows errors and warnings that have a place in the configuration.

use std::io::{self, IsTerminal as _, Write as _};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

/// Columns of an error report.
const REPORT_WIDTH: usize = 110;

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
