//! What is wrong with a text that is not TOML, in words for people who have never read the grammar: where the mistake
//! was made, which is seldom where the parser noticed it, and what to write instead. It knows no keys.
//!
//! Everything shown is taken from the masked text, in which secrets are stars and every byte has its place.

mod duplicate;
mod header;
mod line;
mod scan;
mod value;
mod whole;

use std::ops::Range;

use toml::de::{DeTable, Error};

use self::line::Line;

/// Errors shown of one file. The first is usually the cause of the others.
const MAX_SHOWN: usize = 3;

/// A mistake, explained.
#[derive(Debug)]
pub(crate) struct Explanation {
    /// Bytes of the text that are underlined.
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) label: String,
    pub(crate) help: Option<String>,
    /// Another place that belongs to it, with its label.
    pub(crate) also: Option<(Range<usize>, String)>,
    /// Whether what follows in the file is misread because of it.
    ends: bool,
}

impl Explanation {
    fn new(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            label: label.into(),
            help: None,
            also: None,
            ends: false,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.also = Some((span, label.into()));
        self
    }

    /// What follows is misread because of this.
    fn ends(mut self) -> Self {
        self.ends = true;
        self
    }
}

/// Explains the errors that the parser found in a text, of which `masked` is the same with its secrets hidden.
pub(crate) fn explain(text: &str, masked: &str, errors: &[Error]) -> Vec<Explanation> {
    if errors.is_empty() {
        return Vec::new();
    }
    if let Some(explanation) = whole::explain(text) {
        return vec![explanation];
    }
    let mut errors: Vec<(usize, &Error)> = errors
        .iter()
        .map(|error| (error.span().map_or(0, |span| span.start), error))
        .collect();
    errors.sort_by_key(|(at, _)| *at);
    let mut shown: Vec<Explanation> = Vec::new();
    let mut last_line = None;
    for (at, error) in errors {
        let line = Line::around(text, masked, at);
        if last_line == Some(line.start) || shown.len() == MAX_SHOWN {
            continue;
        }
        match explain_one(text, masked, &line, error) {
            Some(explanation) => {
                last_line = Some(line.start);
                let ends = explanation.ends;
                shown.push(explanation);
                if ends {
                    break;
                }
            }
            // An error without an explanation behind one that has one is most likely caused by it.
            None if shown.is_empty() => {
                last_line = Some(line.start);
                shown.push(unexplained(text, error));
            }
            None => {}
        }
    }
    shown
}

fn explain_one(text: &str, masked: &str, line: &Line<'_>, error: &Error) -> Option<Explanation> {
    let at = error.span().unwrap_or(0..0);
    let message = error.message();
    if let Some(explanation) = line::stray_character(line) {
        return Some(explanation);
    }
    if message.contains("duplicate key") || message.starts_with("cannot extend") {
        return duplicate::explain(text, &at, line);
    }
    if let Some(explanation) = unclosed(text, masked, &at, message) {
        return Some(explanation);
    }
    line::explain(line, &at, message)
}

/// An array or a string that is not closed: the parser notices some lines later.
fn unclosed(text: &str, masked: &str, at: &Range<usize>, message: &str) -> Option<Explanation> {
    let array = [
        "missing comma between",
        "unclosed array,",
        "unclosed inline table",
        "unexpected `=` in array",
    ]
    .iter()
    .any(|beginning| message.starts_with(beginning));
    let open = scan::open_at(text, at.start);
    if message.starts_with("invalid multi-line") {
        let scan::Open::String { start, quotes } = open? else {
            return None;
        };
        let message = format!("the text that begins here is not closed by `{quotes}`");
        return Some(
            Explanation::new(start..start + quotes.len(), message, "opened here")
                .help(format!("write `{quotes}` where the text ends"))
                .ends(),
        );
    }
    if !array {
        return None;
    }
    let scan::Open::Bracket { start, bracket } = open? else {
        return None;
    };
    let (closing, what) = if bracket == '[' {
        (']', "array")
    } else {
        ('}', "table")
    };
    let rest = text[at.start..].trim_start_matches([' ', '\t', '\r', '\n']);
    let new_line = text[at.start..text.len() - rest.len()].contains('\n');
    if rest.is_empty() || new_line && line::begins_a_setting(rest) {
        let message = format!("the {what} that is opened with `{bracket}` is not closed");
        return Some(
            Explanation::new(start..start + 1, message, "opened here")
                .help(format!("write `{closing}` after its last element"))
                .ends(),
        );
    }
    let next = text.len() - rest.len();
    let length = rest
        .find([' ', '\t', '\n', '\r', ',', ']', '}', '#'])
        .unwrap_or(rest.len())
        .max(1);
    let length = rest
        .char_indices()
        .map(|(i, c)| i + c.len_utf8())
        .find(|end| *end >= length)
        .unwrap_or(1);
    let shown = masked.get(next..next + length).unwrap_or_default();
    let elements = if bracket == '[' {
        "elements of an array are"
    } else {
        "pairs in `{ }` are"
    };
    let message = format!("a comma is missing before this: {elements} separated by commas");
    let help = if shown.starts_with(crate::mask::HIDDEN) {
        "write `,` before it".to_owned()
    } else {
        format!("write `, {shown}`")
    };
    Some(
        Explanation::new(next..next + length, message, "a comma is missing before it")
            .help(help)
            .ends(),
    )
}

/// In the parser's words.
fn unexplained(text: &str, error: &Error) -> Explanation {
    let (what, expected) = error
        .message()
        .split_once(", expected ")
        .unwrap_or((error.message(), ""));
    let span = error.span().unwrap_or(0..0);
    let span = span.start.min(text.len())..span.end.min(text.len());
    let explanation = Explanation::new(span, format!("this is not TOML: {what}"), "here");
    match expected {
        "" | "nothing" => explanation,
        _ => explanation.help(format!("expected {expected}")),
    }
}

/// The table of what can be read of a text.
fn readable(text: &str) -> toml::Spanned<DeTable<'_>> {
    DeTable::parse_recoverable(text).0
}
