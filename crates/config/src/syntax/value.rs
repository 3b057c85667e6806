//! The value of a setting that is not TOML: strings without quotes, `yes`, `30s`, `C:\Users`, quotes that are not closed.

use std::ops::Range;

use super::Explanation;
use super::line::Line;

/// Words that people write for `true` and `false`, and for nothing.
const YES: [&str; 6] = ["yes", "on", "y", "true", "enabled", "enable"];
const NO: [&str; 6] = ["no", "off", "n", "false", "disabled", "disable"];
const NOTHING: [&str; 6] = ["null", "none", "nil", "undefined", "~", "default"];

/// What is wrong with the value that begins at this byte of a line. `at` is where the parser noticed.
pub(super) fn explain(
    line: &Line<'_>,
    key: &str,
    from: usize,
    at: &Range<usize>,
    message: &str,
) -> Option<Explanation> {
    let blank = line.text[from..].len() - line.text[from..].trim_start().len();
    let from = from + blank;
    let value = line.text[from..].trim_end();
    let place = line.start + from;
    match value.chars().next() {
        None | Some('#') => Some(
            Explanation::new(
                line.words(),
                format!("`{key}` has no value"),
                "a value is missing",
            )
            .help("write a value, or remove the line for the default"),
        ),
        Some(sign @ ('=' | '>')) => {
            let message = format!("between `{key}` and its value stands `={sign}`");
            Some(Explanation::new(place - 1..place + 1, message, "here").help("write `=`"))
        }
        Some(quote @ ('"' | '\'')) => string(line, key, from, value, quote, at, message),
        Some('[' | '{') => inner(line, key, at, message).or_else(|| trailing(line, key, from, at, message)),
        Some(_) => bare(line, key, from, value),
    }
}

/// What is wrong with a value in quotes.
fn string(
    line: &Line<'_>,
    key: &str,
    from: usize,
    value: &str,
    quote: char,
    at: &Range<usize>,
    message: &str,
) -> Option<Explanation> {
    let place = line.start + from;
    if message.contains("unicode") || message.contains("escape") {
        return escape(line, key, from, value, at);
    }
    if message.starts_with("invalid basic string") || message.starts_with("invalid literal string") {
        let message = format!("the quotation mark that opens the value of `{key}` is not closed");
        let help = match line.shown(from..from + value.len()) {
            Some(shown) => format!(
                "write `{key} = {}{quote}`",
                shown.trim_end_matches([',', ';', '“', '”'])
            ),
            None => format!("write `{quote}` at its end"),
        };
        return Some(
            Explanation::new(
                place..place + value.len(),
                message,
                format!("opened with `{quote}`, never closed"),
            )
            .help(help),
        );
    }
    trailing(line, key, from, at, message)
}

/// `"C:\Users"`: a backslash in double quotes begins an escape.
fn escape(line: &Line<'_>, key: &str, from: usize, value: &str, at: &Range<usize>) -> Option<Explanation> {
    let noticed = at.start.saturating_sub(line.start).min(line.text.len());
    let slash = line.text.get(..noticed)?.rfind('\\')?;
    let escape: String = line.text[slash..].chars().take(2).collect();
    let span = line.start + slash..line.start + slash + escape.len();
    let message = format!("in double quotes a backslash begins an escape, and `{escape}` here is none");
    let content = value.trim_end_matches(',').trim_matches('"');
    let help = match line.shown(from..from + value.len()) {
        Some(_) if !content.contains('\'') && !content.contains('"') => {
            format!("write single quotes, in which it is an ordinary character: `{key} = '{content}'`")
        }
        _ => "write single quotes, in which it is an ordinary character, or `\\\\`".to_owned(),
    };
    Some(Explanation::new(span, message, "not an escape").help(help))
}

/// More on the line after a value.
fn trailing(
    line: &Line<'_>,
    key: &str,
    from: usize,
    at: &Range<usize>,
    message: &str,
) -> Option<Explanation> {
    if !message.starts_with("unexpected key or value") {
        return None;
    }
    let noticed = at.start.checked_sub(line.start)?;
    let rest = line.text.get(noticed..)?.trim();
    let noticed = noticed + line.text[noticed..].len() - line.text[noticed..].trim_start().len();
    let span = line.start + noticed..line.start + noticed + rest.len();
    let value = line.shown(from..noticed);
    if matches!(rest, "," | ";") {
        let help = value.map_or("remove it".to_owned(), |value| format!("write `{key} = {value}`"));
        let message = format!("`{rest}` does not belong at the end of a line");
        return Some(Explanation::new(span, message, "remove this").help(help));
    }
    let message = format!("the line goes on after the value of `{key}`");
    let help = if rest.starts_with("//") || rest.starts_with(';') {
        "comments begin with `#`"
    } else if line.text[from..].starts_with('"') && rest.ends_with('"') && !rest.contains('=') {
        "a quotation mark within a value is written `\\\"`; or write single quotes around the value"
    } else {
        "write one setting a line"
    };
    Some(Explanation::new(span, message, "this is too much").help(help))
}

/// An element of an array or of an inline table.
fn inner(line: &Line<'_>, key: &str, at: &Range<usize>, message: &str) -> Option<Explanation> {
    let start = at.start.checked_sub(line.start)?;
    let colon = line.text.get(start..).is_some_and(|rest| rest.starts_with(':'));
    if message.starts_with("missing assignment") || colon && message.starts_with("invalid unquoted key") {
        let colon = line
            .text
            .get(..=start.min(line.text.len().saturating_sub(1)))?
            .rfind(':')?;
        let span = line.start + colon..line.start + colon + 1;
        let explanation = Explanation::new(
            span,
            "within `{ }` too, `=` stands between a key and its value",
            "`:` is not `=`",
        );
        return Some(explanation.help("write `=`"));
    }
    if message.contains("escape") || message.contains("unicode") {
        let before = line.text.get(..start)?;
        let open = before.rfind(['"'])?;
        let end = line.text[open + 1..]
            .find('"')
            .map_or(line.text.len(), |end| open + end + 2);
        return escape(line, key, open, &line.text[open..end], at).map(|explanation| Explanation {
            help: Some("write single quotes, in which it is an ordinary character".to_owned()),
            ..explanation
        });
    }
    if !message.starts_with("string values must be quoted") {
        return None;
    }
    let end = at.end.checked_sub(line.start)?.min(line.text.len());
    let word = line.text.get(start..end)?;
    let word = &word[..word.find([',', ']', '}']).unwrap_or(word.len())];
    let span = start..start + word.trim_end().len();
    bare_word(line, key, span, false)
}

/// A value without quotes.
fn bare(line: &Line<'_>, key: &str, from: usize, value: &str) -> Option<Explanation> {
    let value = value.split('#').next().unwrap_or_default().trim_end();
    let value = value.strip_suffix([',', ';']).unwrap_or(value);
    let number = value.parse::<f64>().is_ok_and(f64::is_finite)
        && !value.starts_with(['0', '+', '.'])
        && !value.ends_with('.');
    if number || matches!(value, "true" | "false") {
        let span = line.start + from + value.len()..line.start + line.text.trim_end().len();
        let message = format!("the line goes on after the value of `{key}`");
        return Some(Explanation::new(span, message, "remove this").help(format!("write `{key} = {value}`")));
    }
    bare_word(line, key, from..from + value.len(), true)
}

/// `whole`: whether it is all of the value.
fn bare_word(line: &Line<'_>, key: &str, span: Range<usize>, whole: bool) -> Option<Explanation> {
    let place = line.start + span.start..line.start + span.end;
    let Some(word) = line.shown(span).map(|word| word.trim_end_matches(['"', '\''])) else {
        let message = format!("the value of `{key}` is not in quotes");
        return Some(Explanation::new(place, message, "not in quotes").help("write it in quotes: `\"…\"`"));
    };
    let small = word.to_lowercase();
    let write = |value: &str| {
        if whole {
            format!("write `{key} = {value}`")
        } else {
            format!("write `{value}`")
        }
    };
    let explained = |message: String, label: &str, help: String| {
        Some(Explanation::new(place.clone(), message, label).help(help))
    };
    if YES.contains(&small.as_str()) || NO.contains(&small.as_str()) {
        let right = if YES.contains(&small.as_str()) {
            "true"
        } else {
            "false"
        };
        return explained(
            format!("`{word}` is neither `true` nor `false`"),
            "not a value",
            format!("{}, or \"{word}\" in quotes where text is meant", write(right)),
        );
    }
    if NOTHING.contains(&small.as_str()) {
        return explained(
            format!("`{word}` is not a value"),
            "not a value",
            format!("remove the line: `{key}` then has its default"),
        );
    }
    if word.starts_with('$') || word.starts_with("%") {
        return explained(
            format!("`{word}` is not expanded: no shell reads this file"),
            "a variable",
            "write the value itself; a secret may be named by its variable, as in `password_env = \"NAME\"`"
                .to_owned(),
        );
    }
    if let Some(number) = number_like(word) {
        return explained(
            format!("`{word}` is not a number as it is written here"),
            "not a number",
            write(&number),
        );
    }
    if word.starts_with('(') {
        return explained(
            format!("`{word}` is not a value"),
            "not a value",
            "a list stands in `[ ]`, its elements separated by commas".to_owned(),
        );
    }
    let quote = if word.contains('\\') || word.contains('"') {
        '\''
    } else {
        '"'
    };
    explained(
        format!("the value of `{key}` is text, and text stands in quotes"),
        "not in quotes",
        write(&format!("{quote}{word}{quote}")),
    )
}

/// The number that is meant by `1,5`, `007`, `.5` or `50%`.
fn number_like(word: &str) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(share) = word.strip_suffix('%').filter(|share| digits(share)) {
        return share.parse::<f64>().ok().map(|share| (share / 100.0).to_string());
    }
    // `1,000` is a thousand in one language, and one in another; with a 0 before it, it is no thousand.
    if let Some((whole, rest)) = word.split_once(',')
        && digits(whole)
        && !whole.starts_with('0')
        && rest.split(',').all(|group| group.len() == 3 && digits(group))
    {
        return Some(format!("{whole}{}", rest.replace(',', "")));
    }
    if let Some((whole, fraction)) = word
        .split_once(',')
        .filter(|(whole, fraction)| digits(whole) && digits(fraction))
    {
        return Some(format!("{whole}.{fraction}"));
    }
    let bare = word.replace(['_', '\''], "");
    if digits(&bare) {
        let number = bare.trim_start_matches('0');
        return Some(if number.is_empty() {
            "0".to_owned()
        } else {
            number.to_owned()
        });
    }
    if word.strip_prefix('.').is_some_and(digits) {
        return Some(format!("0{word}"));
    }
    word.strip_suffix('.')
        .filter(|whole| digits(whole))
        .map(|whole| format!("{whole}.0"))
}
