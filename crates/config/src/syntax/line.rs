//! A line that is not TOML: characters that only look right, comments of other languages, `:` for `=`, keys of two
//! words. Values are looked at in `value`.

use std::ops::Range;

use super::{Explanation, header, value};
use crate::mask::HIDDEN;

/// A line of the text.
pub(super) struct Line<'a> {
    /// Where it begins in the text.
    pub(super) start: usize,
    /// Without its end.
    pub(super) text: &'a str,
    /// The same with its secrets hidden, byte for byte.
    pub(super) masked: &'a str,
}

/// Typographic quotation marks, which word processors and web pages put in place of plain ones.
const QUOTATION_MARKS: &str = "“”„‟‘’‚‛«»‹›″′´`";

/// Characters that look like a space or like nothing.
const INVISIBLE: [(char, &str); 9] = [
    ('\u{a0}', "a no-break space"),
    ('\u{202f}', "a narrow no-break space"),
    ('\u{2007}', "a figure space"),
    ('\u{3000}', "an ideographic space"),
    ('\u{200b}', "a zero-width space"),
    ('\u{200d}', "a zero-width joiner"),
    ('\u{feff}', "a byte order mark"),
    ('\u{200e}', "a left-to-right mark"),
    ('\u{ad}', "a soft hyphen"),
];

/// What begins a comment in other languages.
const FOREIGN_COMMENTS: [&str; 6] = ["//", "/*", ";", "--", "<!--", "REM "];

impl<'a> Line<'a> {
    /// The line around this byte.
    pub(super) fn around(text: &'a str, masked: &'a str, at: usize) -> Self {
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        // What is missing at the end of the file is missing in its last line.
        let at = if at == text.len() {
            text.trim_end().len()
        } else {
            at
        };
        let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[start..]
            .find('\n')
            .map_or(text.len(), |newline| start + newline);
        Self {
            start,
            text: text[start..end].trim_end_matches('\r'),
            masked: masked[start..end].trim_end_matches('\r'),
        }
    }

    /// Bytes before its first word.
    pub(super) fn indentation(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    /// What may be shown of these bytes of it; `None` when there is a secret among them.
    pub(super) fn shown(&self, span: Range<usize>) -> Option<&'a str> {
        self.masked
            .get(span)
            .map(str::trim)
            .filter(|shown| !shown.contains(HIDDEN))
    }

    /// From its first word to its last.
    pub(super) fn words(&self) -> Range<usize> {
        self.start + self.indentation()..self.start + self.text.trim_end().len()
    }
}

/// Whether a setting or a table begins here.
pub(super) fn begins_a_setting(rest: &str) -> bool {
    let line = rest.lines().next().unwrap_or_default().trim_start();
    let is_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let key = &line[..line.find(|c| !is_key(c)).unwrap_or(line.len())];
    let header = line.starts_with("[[") || line.starts_with('[') && header::path_of(line.trim()).is_some();
    header || !key.is_empty() && line[key.len()..].trim_start().starts_with('=')
}

/// A character outside the quotes that only looks like one that may stand there.
pub(super) fn stray_character(line: &Line<'_>) -> Option<Explanation> {
    let mut quoted: Option<char> = None;
    let mut escaped = false;
    for (at, c) in line.text.char_indices() {
        match quoted {
            Some(_) if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(quote) if c == quote => quoted = None,
            Some(_) => {}
            None if c == '#' => return None,
            None if matches!(c, '"' | '\'') => quoted = Some(c),
            None => {
                let span = line.start + at..line.start + at + c.len_utf8();
                if QUOTATION_MARKS.contains(c) {
                    return Some(quotation_mark(line, span, c));
                }
                if let Some((_, name)) = INVISIBLE.iter().find(|(invisible, _)| *invisible == c) {
                    let message = format!(
                        "there is {name} (U+{:04X}) here, which cannot be seen",
                        u32::from(c)
                    );
                    return Some(Explanation::new(span, message, "here").help(
                        "delete it and write a plain space: it often comes from copying out of a web page",
                    ));
                }
            }
        }
    }
    None
}

fn quotation_mark(line: &Line<'_>, span: Range<usize>, mark: char) -> Explanation {
    let message = format!(
        "`{mark}` (U+{:04X}) is not the quotation mark that a string needs",
        u32::from(mark)
    );
    let plain: String = line
        .masked
        .trim()
        .chars()
        .map(|c| if QUOTATION_MARKS.contains(c) { '"' } else { c })
        .collect();
    let help = if plain.contains(HIDDEN) {
        "write plain quotation marks, `\"`, on both sides".to_owned()
    } else {
        format!("write plain quotation marks: `{plain}`")
    };
    Explanation::new(span, message, "not a plain quotation mark").help(help)
}

/// What is wrong with a line, as far as the line alone shows it.
pub(super) fn explain(line: &Line<'_>, at: &Range<usize>, message: &str) -> Option<Explanation> {
    let text = line.text.trim();
    if text.is_empty() {
        return None;
    }
    if let Some(comment) = FOREIGN_COMMENTS
        .iter()
        .find(|comment| text.starts_with(**comment))
    {
        let explanation = Explanation::new(
            line.words(),
            "this is not a comment here",
            format!("begins with `{}`", comment.trim()),
        );
        return Some(explanation.help("comments begin with `#`"));
    }
    if ["<<<<<<<", "=======", ">>>>>>>"]
        .iter()
        .any(|marker| text.starts_with(marker))
    {
        let explanation = Explanation::new(
            line.words(),
            "this marks a conflict between two versions of the file",
            "a conflict marker",
        );
        return Some(
            explanation
                .help("choose one of the versions and remove the lines with `<<<<`, `====` and `>>>>`")
                .ends(),
        );
    }
    if text.starts_with('[') {
        return header::explain(line);
    }
    match assignment(line.text) {
        Some(equals) => setting(line, equals, at, message),
        None => without_equals(line, message),
    }
}

/// Where the first `=` outside of quotes stands.
fn assignment(text: &str) -> Option<usize> {
    let mut quoted = None;
    for (at, c) in text.char_indices() {
        match quoted {
            Some(quote) if c == quote => quoted = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quoted = Some(c),
            None if c == '=' => return Some(at),
            None => {}
        }
    }
    None
}

fn setting(line: &Line<'_>, equals: usize, at: &Range<usize>, message: &str) -> Option<Explanation> {
    let key = line.text[..equals].trim();
    let span = line.start + line.indentation()..line.start + line.indentation() + key.len();
    if key.is_empty() {
        let explanation = Explanation::new(line.words(), "before `=` stands no key", "a key is missing");
        return Some(explanation.help("write `key = value`"));
    }
    if let Some(bare) = key.strip_suffix(':') {
        let message = format!("between `{}` and its value stands `:=`", bare.trim());
        return Some(Explanation::new(span, message, "here").help("write `=`"));
    }
    // A key that is hidden is no key, but a part of a secret.
    line.shown(span.start - line.start..span.end - line.start)?;
    if let Some(item) = key.strip_prefix("- ") {
        let message = "`-` begins an element of a list in YAML, and not in TOML";
        let help = format!(
            "write `{} = …`, and a line `[[…]]` before each element",
            item.trim()
        );
        return Some(Explanation::new(span, message, "here").help(help));
    }
    if let Some(word) = ["export ", "set ", "let ", "var "]
        .iter()
        .find(|word| key.starts_with(**word))
    {
        let name = key[word.len()..].trim();
        let message = format!(
            "`{}` is a shell's word, and no shell reads this file",
            word.trim()
        );
        return Some(Explanation::new(span, message, "here").help(format!("write `{name} = …`")));
    }
    if !key.contains(['"', '\'']) && key.contains(char::is_whitespace) && !key.contains('.') {
        let joined: String = key.split_whitespace().collect::<Vec<_>>().join("_");
        let message = format!("a key is one word, and `{key}` is not");
        return Some(
            Explanation::new(span, message, "more than one word")
                .help(format!("write `{joined} = …`, or put two settings on two lines")),
        );
    }
    let odd = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' '));
    if !key.contains(['"', '\''])
        && let Some(c) = key.chars().find(odd)
    {
        let message = format!("the key `{key}` contains {c:?} (U+{:04X})", u32::from(c));
        return Some(
            Explanation::new(span, message, "not a key")
                .help("keys are made of the letters a to z, digits, `_` and `-`"),
        );
    }
    value::explain(line, key, equals + 1, at, message)
}

fn without_equals(line: &Line<'_>, message: &str) -> Option<Explanation> {
    let text = line.text.trim();
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let item = text.strip_prefix("- ").unwrap_or(text);
    let bare = item.trim_start_matches(['"', '\'']);
    let key = &bare[..bare.find(|c| !is_key(c)).unwrap_or(bare.len())];
    if key.is_empty() || !(message.contains('=') || message.contains("key")) {
        return None;
    }
    let after = bare[key.len()..].trim_start_matches(['"', '\'']).trim_start();
    let from = line.text.len() - after.len() - (line.text.len() - line.text.trim_end().len());
    let shown = line.shown(from..line.text.trim_end().len());
    let whole = line.words();
    if let Some(value) = after.strip_prefix(':') {
        let value = shown
            .map(|_| value.trim().trim_end_matches(','))
            .filter(|value| !value.is_empty());
        let message = format!("between `{key}` and its value stands `:` and not `=`");
        let help = value.map_or(format!("write `{key} = …`"), |value| {
            format!("write `{key} = {}`", quoted(value))
        });
        return Some(Explanation::new(whole, message, "`:` is not `=`").help(help));
    }
    if after.is_empty() || after.starts_with('#') {
        let message = format!("`{key}` has no value");
        return Some(
            Explanation::new(whole, message, "a value is missing")
                .help(format!("write `{key} = …`, or `[{key}]` for a table")),
        );
    }
    let message = format!("`=` is missing after `{key}`");
    let help = shown.map_or(format!("write `{key} = …`"), |value| {
        format!("write `{key} = {}`", quoted(value))
    });
    Some(Explanation::new(whole, message, "`=` is missing").help(help))
}

/// A value as it has to be written: in quotes unless it is something else than a string.
fn quoted(value: &str) -> String {
    let plain = value.starts_with(['"', '\'', '[', '{'])
        || matches!(value, "true" | "false")
        || value.parse::<f64>().is_ok_and(f64::is_finite);
    if plain {
        value.to_owned()
    } else {
        format!("\"{value}\"")
    }
}
