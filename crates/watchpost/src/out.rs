//! The one printer: output for people and scripts, on standard output and standard error.
//!
//! What it prints may come from a backend, a camera's name or a plugin, so nothing in a line can end it, move the cursor
//! or change the terminal. Unlike `println!` it reports a closed pipe instead of panicking.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde::Serialize;
use unicode_width::UnicodeWidthChar as _;

/// Columns of a terminal that does not say how many it has.
const DEFAULT_COLUMNS: usize = 80;

/// Writes one line to standard output.
pub(crate) fn line(text: impl std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout(), "{}", escaped(&text.to_string()))
}

/// Writes each line of a text to standard output.
pub(crate) fn lines(text: &str) -> io::Result<()> {
    text.lines().try_for_each(line)
}

/// Writes a line, cut to the width of the terminal.
pub(crate) fn fitted(text: impl std::fmt::Display) -> io::Result<()> {
    let text = escaped(&text.to_string());
    writeln!(io::stdout(), "{}", cut(text.trim_end(), columns()))
}

/// Writes a value as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string(value)?;
    // Outside of strings there are none of these, so the escapes are JSON's own.
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    Ok(writeln!(io::stdout(), "{safe}")?)
}

/// Writes words of ours to standard error, where the cursor stays behind them.
pub(crate) fn prompt(words: &str) -> io::Result<()> {
    write!(io::stderr(), "{words}")
}

/// Writes each line of a text to standard error. What cannot be written is lost: there is no other place to say it.
pub(crate) fn error(text: &str) {
    for line in text.lines() {
        let _ = writeln!(io::stderr(), "{}", escaped(line));
    }
}

/// A number with its noun: `1 alert`, `2 alerts`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if noun.ends_with("sh") => format!("{noun}es"),
        None => format!("{noun}s"),
    };
    format!("{number} {}", if number == 1 { noun } else { &plural })
}

/// The text without anything that a terminal would obey or that could make it read otherwise.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => safe.extend(c.escape_default()),
            _ if is_unsafe(c) => safe.extend(c.escape_unicode()),
            _ => safe.push(c),
        }
    }
    safe
}

/// Control characters, those that reorder or hide text, and line separators.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text in at most so many columns, with `…` for what is cut off.
fn cut(text: &str, columns: usize) -> String {
    let width = |c: char| c.width().unwrap_or(0);
    if text.chars().map(width).sum::<usize>() <= columns {
        return text.to_owned();
    }
    let mut used = 0;
    let mut short: String = text
        .chars()
        .take_while(|&c| {
            used += width(c);
            used < columns
        })
        .collect();
    short.push('…');
    short
}

fn columns() -> usize {
    let asked = terminal_size::terminal_size_of(io::stdout());
    asked.map_or(DEFAULT_COLUMNS, |(width, _)| {
        usize::from(width.0).max(DEFAULT_COLUMNS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_line_reaches_the_terminal_as_a_command() {
        let nasty = "a\u{1b}[2J\u{7}\u{9b}31m\nb\r\tc\u{202e}d\u{200b}ü日";
        let safe = escaped(nasty);
        assert_eq!(safe, r"a\u{1b}[2J\u{7}\u{9b}31m\nb\r\tc\u{202e}d\u{200b}ü日");
        assert!(!safe.chars().any(is_unsafe));
    }

    #[test]
    fn lines_are_cut_at_columns_and_not_at_bytes() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("日本語です", 6), "日本…");
        assert_eq!(cut("日本語", 6), "日本語");
    }

    #[test]
    fn nouns_follow_their_number() {
        assert_eq!(
            [
                count(1, "connection"),
                count(2, "sink"),
                count(1, "delivery"),
                count(0, "delivery")
            ],
            ["1 connection", "2 sinks", "1 delivery", "0 deliveries"]
        );
    }
}
