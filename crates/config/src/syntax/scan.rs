//! Which brackets and multi-line texts are open at a place: enough of TOML's grammar for that, and no more.

/// What is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// `[` of an array or `{` of an inline table.
    Bracket { start: usize, bracket: char },
    /// A text of several lines.
    String { start: usize, quotes: &'static str },
}

/// The innermost that is open before this byte.
pub(super) fn open_at(text: &str, end: usize) -> Option<Open> {
    let bytes = &text.as_bytes()[..end.min(text.len())];
    let mut open: Vec<Open> = Vec::new();
    let (mut at, mut value) = (0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'#' => at += line_end(&bytes[at..]),
            b'"' | b'\'' => match string(bytes, at) {
                Ok(length) => at += length,
                Err(quotes) => return Some(Open::String { start: at, quotes }),
            },
            b'=' => (at, value) = (at + 1, true),
            bracket @ (b'[' | b'{') if value || !open.is_empty() => {
                let bracket = char::from(bracket);
                open.push(Open::Bracket { start: at, bracket });
                at += 1;
            }
            b']' | b'}' => {
                open.pop();
                at += 1;
            }
            b'\n' => {
                value &= !open.is_empty();
                at += 1;
            }
            _ => at += 1,
        }
    }
    open.pop()
}

/// Length of the string that begins here; one of a single line ends with the line at the latest. Or the quotes of one
/// of several lines that has no end.
fn string(bytes: &[u8], at: usize) -> Result<usize, &'static str> {
    let rest = &bytes[at..];
    for quotes in ["\"\"\"", "'''"] {
        if rest.starts_with(quotes.as_bytes()) {
            let inner = &rest[3..];
            return inner
                .windows(3)
                .position(|three| three == quotes.as_bytes())
                .map(|end| end + 6)
                .ok_or(quotes);
        }
    }
    let quote = rest[0];
    let mut escaped = false;
    for (i, byte) in rest.iter().enumerate().skip(1) {
        match byte {
            b'\n' => return Ok(i),
            _ if escaped => escaped = false,
            b'\\' if quote == b'"' => escaped = true,
            byte if *byte == quote => return Ok(i + 1),
            _ => {}
        }
    }
    Ok(rest.len())
}

fn line_end(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_open_bracket_or_text_is_found() {
        let bracket = |start, bracket| Some(Open::Bracket { start, bracket });
        for (text, open) in [
            ("a = 1\n", None),
            ("a = [1, 2]\n", None),
            ("a = [1,\n2", bracket(4, '[')),
            ("[[sink]]\na = [", bracket(13, '[')),
            ("[sink", None),
            ("a = { b = [\"]\"", bracket(10, '[')),
            ("a = [ # ]\n", bracket(4, '[')),
            ("a = { b = 1 }", None),
            ("a = \"[\n", None),
            (
                "a = '''\nb = [",
                Some(Open::String {
                    start: 4,
                    quotes: "'''",
                }),
            ),
        ] {
            assert_eq!(open_at(text, text.len()), open, "{text:?}");
        }
    }
}
