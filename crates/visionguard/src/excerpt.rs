//! The beginning of a message for a log line, without pictures, tokens and passwords.
//!
//! It works on any bytes, because what has to be shown is what could not be parsed. It rather leaves out too
//! much than too little: every long run of base64 or URL characters goes, wherever it stands.

use std::fmt::Write;

/// How much of a message is looked at, in bytes.
pub const EXCERPT_BYTES: usize = 200;

/// Longest run of base64 or URL characters that is shown, in bytes: a UUID has 36, a token more than 100.
const MAX_RUN_BYTES: usize = 63;

/// Names that end so hold a secret.
const SECRET_ENDINGS: [&str; 5] = ["token", "password", "secret", "authorization", "bearer"];

/// These names hold a picture.
const PICTURE_NAMES: [&str; 4] = ["annotated_frame", "frame", "frame_data", "image"];

/// Shows the first [`EXCERPT_BYTES`] of `text`, with `<n bytes left out>` in place of what no log may hold,
/// and the whole length where there is more. The result is one line.
pub fn excerpt(text: &[u8]) -> String {
    let mut shown = Excerpt {
        text,
        at: 0,
        out: String::new(),
        after_secret_name: false,
    };
    while shown.at < text.len().min(EXCERPT_BYTES) {
        shown.step();
    }
    if shown.at < text.len() {
        let _ = write!(shown.out, "… ({} bytes in all)", text.len());
    }
    shown.out
}

struct Excerpt<'a> {
    text: &'a [u8],
    at: usize,
    out: String,
    /// The last word named a secret, and only separators have come since.
    after_secret_name: bool,
}

impl Excerpt<'_> {
    fn step(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let run = rest.iter().take_while(|byte| is_run(**byte)).count();
        match rest.first() {
            _ if run > 0 => self.run(rest, run),
            // Between a name and its value stands one quote, or with the name's own two.
            Some(b'"') if self.after_secret_name && rest.get(1).is_some_and(|next| !is_separator(*next)) => {
                self.show('"');
                let inside = rest.get(1..).unwrap_or_default();
                self.leave_out(end_of_string(inside));
                self.after_secret_name = false;
            }
            Some(byte) if is_separator(*byte) || matches!(byte, b'"' | b'=') => self.show(char::from(*byte)),
            _ => self.other(rest),
        }
    }

    /// Characters of words, numbers, tokens and base64.
    fn run(&mut self, rest: &[u8], length: usize) {
        let run = rest.get(..length.min(MAX_RUN_BYTES)).unwrap_or_default();
        let run = String::from_utf8_lossy(run);
        let word = run.trim_matches('\\').to_ascii_lowercase();
        if word.is_empty() && length <= MAX_RUN_BYTES {
            // A backslash before the quote of JSON within JSON.
            self.show('\\');
        } else if self.after_secret_name && !matches!(word.as_str(), "null" | "true" | "false") {
            self.value(rest);
        } else if length > MAX_RUN_BYTES || word.starts_with("eyj") {
            self.leave_out(length);
            self.after_secret_name = false;
        } else {
            let shown = run.get(..EXCERPT_BYTES - self.at).unwrap_or(&run);
            self.out.push_str(shown);
            self.at += shown.len();
            self.after_secret_name = PICTURE_NAMES.contains(&word.as_str())
                || SECRET_ENDINGS.iter().any(|end| word.ends_with(end));
        }
    }

    /// A secret without quotes, or within quotes that were taken for others.
    fn value(&mut self, rest: &[u8]) {
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b',' | b'&' | b'}' | b'\n'));
        self.leave_out(end.unwrap_or(rest.len()));
        self.after_secret_name = false;
    }

    /// Punctuation, text beyond ASCII, and bytes that are no text.
    fn other(&mut self, rest: &[u8]) {
        if self.after_secret_name && !matches!(rest.first(), Some(b'{' | b'[' | b',' | b'}' | b']' | b'&')) {
            return self.value(rest);
        }
        self.after_secret_name &= matches!(rest.first(), Some(b'{' | b'['));
        // Looking no further than the window keeps this cheap on a message of many megabytes.
        let near = rest.get(..EXCERPT_BYTES).unwrap_or(rest);
        let broken = near.utf8_chunks().take_while(|chunk| chunk.valid().is_empty());
        let broken: usize = broken.map(|chunk| chunk.invalid().len()).sum();
        if broken > 0 {
            return self.leave_out(broken);
        }
        if let Some(c) = near
            .utf8_chunks()
            .next()
            .and_then(|chunk| chunk.valid().chars().next())
        {
            self.show(c);
        }
    }

    fn show(&mut self, c: char) {
        self.at += c.len_utf8();
        if c.is_control() {
            self.out.extend(c.escape_default());
        } else {
            self.out.push(c);
        }
    }

    fn leave_out(&mut self, length: usize) {
        let _ = write!(self.out, "<{length} bytes left out>");
        self.at += length;
    }
}

fn is_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'.' | b'-' | b'%' | b'~' | b'\\')
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b':' | b'\'' | b' ' | b'\t' | b'\r' | b'\n')
}

/// Length of a JSON string's inside, up to its closing quote or the end.
fn end_of_string(inside: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = inside
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found;
        if inside.get(at) == Some(&b'"') {
            return at;
        }
        at += 2;
    }
    inside.len()
}
