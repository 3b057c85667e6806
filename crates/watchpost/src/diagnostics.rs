//! Shows errors and warnings that have a place in the configuration.

use std::io::{self, IsTerminal as _, Write as _};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use crate::out;

/// Columns of an error report.
const REPORT_WIDTH: usize = 110;

/// Shows an error with its place on standard error: with colours for a person, without for a file.
pub(crate) fn say(error: &dyn Diagnostic) {
    let theme = if io::stderr().is_terminal() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    say_report(&rendered(error, theme));
}

/// An error with its place as text, without colours, for whoever asked from elsewhere.
pub(crate) fn report(error: &dyn Diagnostic) -> String {
    rendered(error, GraphicalTheme::unicode_nocolor())
}

/// Shows what [`report`] made in another process.
pub(crate) fn say_report(report: &str) {
    let _ = writeln!(io::stderr(), "{}", escaped_but_colours(report));
}

fn rendered(error: &dyn Diagnostic, theme: GraphicalTheme) -> String {
    let mut text = String::new();
    // Writing to a string fails only when the error's own Display does.
    let _ = GraphicalReportHandler::new_themed(theme)
        .with_width(REPORT_WIDTH)
        .render_report(&mut text, error);
    text
}

/// The report with its own colours and line ends; everything else that a terminal would obey is escaped, since a plugin's
/// words may stand in it.
fn escaped_but_colours(report: &str) -> String {
    let mut safe = String::with_capacity(report.len());
    let mut rest = report;
    while let Some(c) = rest.chars().next() {
        let length = match colour_length(rest) {
            0 if c == '\n' => 1,
            0 => {
                safe.push_str(&out::escaped(&rest[..c.len_utf8()]));
                rest = &rest[c.len_utf8()..];
                continue;
            }
            length => length,
        };
        safe.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    safe
}

/// The length of the colour sequence (SGR, as in `ESC [ 1 ; 31 m`) that a text begins with, or 0.
fn colour_length(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\u{1b}[") else {
        return 0;
    };
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';');
    match end {
        Some(end) if parameters[end..].starts_with('m') => 2 + end + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::escaped_but_colours;

    #[test]
    fn colours_stay_and_commands_do_not() {
        let report = "\u{1b}[1;31mred\u{1b}[0m ü\n\u{1b}[2Jgone\u{7}";
        assert_eq!(
            escaped_but_colours(report),
            "\u{1b}[1;31mred\u{1b}[0m ü\n\\u{1b}[2Jgone\\u{7}"
        );
    }
}
