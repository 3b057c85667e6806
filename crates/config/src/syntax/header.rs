//! Headers of tables, `[hub]` and `[[sink]]`: what can be wrong with their brackets.

use super::Explanation;
use super::line::Line;

/// The keys of a header, if the line is one.
pub(super) fn path_of(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix('[')?;
    let inner = inner.strip_prefix('[').unwrap_or(inner);
    let inner = &inner[..inner.find(']')?];
    let keys = inner
        .split('.')
        .map(|key| key.trim().trim_matches(['"', '\'']).to_owned());
    Some(keys.collect()).filter(|keys: &Vec<String>| keys.iter().all(|key| !key.is_empty()))
}

/// What is wrong with a line that begins with `[`.
pub(super) fn explain(line: &Line<'_>) -> Option<Explanation> {
    let text = line.text.trim();
    let start = line.start + line.indentation();
    let opened = text.len() - text.trim_start_matches('[').len();
    let rest = &text[opened..];
    let is_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\'');
    let key = rest.trim_start();
    let key = &key[..key.find(|c| !is_key(c)).unwrap_or(key.len())];
    let after = rest.trim_start()[key.len()..].trim_start();
    let closed = after.len() - after.trim_start_matches(']').len();
    let tail = after.trim_start_matches(']').trim();
    let whole = start..start + text.len();
    if key.is_empty() {
        let explanation = Explanation::new(whole, "this table has no name", "a name is missing");
        return Some(explanation.help("write for instance `[hub]` or `[[sink]]`"));
    }
    let right = |brackets: usize| format!("{}{key}{}", "[".repeat(brackets), "]".repeat(brackets));
    if opened > 2 {
        let explanation = Explanation::new(whole, "a table's name stands in one or two brackets", "too many");
        return Some(explanation.help(format!("write `{}` or `{}`", right(1), right(2))));
    }
    if !tail.is_empty() && closed == 0 {
        let message = format!("the name of a table is one word, and `{tail}` follows it");
        let message = if tail.starts_with(is_key) {
            message
        } else {
            format!("`]` is missing after `{key}`")
        };
        return Some(Explanation::new(whole, message, "here").help(format!("write `{}`", right(opened))));
    }
    if closed != opened {
        let message = format!("{opened} opening and {closed} closing brackets");
        let help = if closed == 0 || opened > closed {
            format!("write `{}`", right(opened))
        } else {
            format!("write `{}`, or `{}` for one of several", right(1), right(2))
        };
        return Some(Explanation::new(whole, message, "the brackets do not match").help(help));
    }
    if !tail.is_empty() && !tail.starts_with('#') {
        let at = start + text.len() - tail.len();
        let message = format!("after `{}` its line must end", right(opened));
        let explanation = Explanation::new(at..start + text.len(), message, "this follows it");
        return Some(explanation.help("write what follows on lines of its own"));
    }
    None
}
