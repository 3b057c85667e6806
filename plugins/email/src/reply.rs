//! A server's reply: its code, and what it says. It is read as bytes, and its code alone says what it means: texts come in
//! every language and encoding.

use std::fmt;
use std::io::{self, BufRead, Read as _};

/// Longest reply that is read, in bytes. The greeting of a server that says a lot about itself has some kilobytes.
const MAX_REPLY_BYTES: u64 = 64 << 10;

/// How much of what a server says is shown, in characters.
const MAX_SHOWN_CHARS: usize = 300;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Its code, such as 250.
    pub(crate) code: u16,
    /// What follows the code, a line each.
    pub(crate) lines: Vec<String>,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum NoReply {
    /// The connection broke, the wait is over, or the call was cancelled.
    Io(io::Error),
    /// Something came that begins with no code.
    Unreadable(String),
}

/// What a refusal means for whoever sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// 2xx and 3xx.
    Accepted,
    /// 4xx: later it may be accepted.
    Passing,
    /// 5xx, and whatever is no code of the standard.
    Refused,
}

impl Reply {
    /// Reads one, whose lines may be many.
    pub(crate) fn read(stream: &mut impl BufRead) -> Result<Self, NoReply> {
        let mut rest = stream.take(MAX_REPLY_BYTES);
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            let read = rest.read_until(b'\n', &mut line);
            // A code that came counts, also where the end of its line never comes.
            if line.len() < 4 && !line.ends_with(b"\n") {
                read.map_err(NoReply::Io)?;
                return Err(NoReply::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            let Some((code, goes_on, text)) = parse(&line) else {
                return Err(NoReply::Unreadable(shown(&String::from_utf8_lossy(&line))));
            };
            lines.push(String::from_utf8_lossy(text).into_owned());
            if !goes_on {
                return Ok(Self { code, lines });
            }
        }
    }

    /// What its code means.
    pub(crate) fn class(&self) -> Class {
        match self.code {
            200..=399 => Class::Accepted,
            400..=499 => Class::Passing,
            _ => Class::Refused,
        }
    }

    /// Subject and detail of its enhanced code (RFC 3463): `3.4` of `5.3.4`.
    fn detail(&self) -> Option<&str> {
        let first = self.lines.first()?.split_whitespace().next()?;
        let (class, detail) = first.split_once('.')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (subject, number) = detail.split_once('.')?;
        (matches!(class, "2" | "4" | "5") && digits(subject) && digits(number)).then_some(detail)
    }

    /// Whether the mail is larger than the server, or a mailbox on it, takes: RFC 5321 section 4.2.3, RFC 1870 section 6,
    /// RFC 3463 sections 3.3 and 3.4. Servers that know neither say so in words.
    pub(crate) fn is_too_large(&self) -> bool {
        if self.class() == Class::Accepted || self.is_mailbox_full() {
            return false;
        }
        let words = self.lines.join(" ").to_ascii_lowercase();
        const SAY_SO: [&str; 7] = [
            "message size",
            "size limit",
            "too large",
            "too big",
            "max size",
            "maximum size",
            "exceeds",
        ];
        matches!(self.code, 523 | 552)
            || matches!(self.detail(), Some("3.4" | "2.3"))
            || SAY_SO.iter().any(|said| words.contains(said))
    }

    /// Whether the mailbox is full, which its owner has to mend: also said with the code for what is too large.
    pub(crate) fn is_mailbox_full(&self) -> bool {
        self.class() != Class::Accepted && self.detail() == Some("2.2")
    }
}

impl NoReply {
    /// Whether the other side closed the connection.
    pub(crate) fn is_closed(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        matches!(self, Self::Io(error) if matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, shown(&self.lines.join(" ")))
    }
}

impl fmt::Display for NoReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::TimedOut => f.write_str("no answer in time"),
            Self::Io(_) if self.is_closed() => f.write_str("the connection was closed"),
            Self::Io(error) => error.fmt(f),
            Self::Unreadable(said) => write!(f, "what came is no reply of a mail server: {said}"),
        }
    }
}

/// Code, whether another line follows, and the text of a line.
fn parse(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    let text = rest.get(1..).unwrap_or_default().trim_ascii_end();
    Some((code, rest.first() == Some(&b'-'), text))
}

/// On one line, without what a terminal would obey.
pub(crate) fn shown(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    line.chars().take(MAX_SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Reply, String> {
        Reply::read(&mut io::BufReader::new(bytes)).map_err(|error| error.to_string())
    }

    fn reply(text: &str) -> Reply {
        read(format!("{text}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn codes_are_read_whatever_follows_them() {
        for (bytes, code, shown) in [
            (&b"250 fine\r\n"[..], 250, "250 fine"),
            (b"250\r\n", 250, "250 "),
            (b"250\n", 250, "250 "),
            (b"250-a\r\n250-b\r\n250 c\r\n", 250, "250 a b c"),
            // Latin-1, a code of no standard, no blank, no end of the line before the connection closed.
            (b"550 kein Empf\xe4nger\r\n", 550, "550 kein Empf\u{fffd}nger"),
            (b"699 odd\r\n", 699, "699 odd"),
            (b"250fine\r\n", 250, "250 ine"),
            (b"354\tgo\x1b[31m on\r\n", 354, "354 go [31m on"),
            (b"250 ok", 250, "250 ok"),
        ] {
            let reply = read(bytes).unwrap();
            assert_eq!((reply.code, reply.to_string().as_str()), (code, shown));
        }
    }

    #[test]
    fn what_has_no_code_is_no_reply() {
        assert!(
            read(b"HTTP/1.1 400 Bad Request\r\n")
                .unwrap_err()
                .contains("is no reply")
        );
        assert!(read(b"\r\n").unwrap_err().contains("is no reply"));
        assert!(read(b"").unwrap_err().contains("closed"));
        assert!(read(b"250-more\r\n").unwrap_err().contains("closed"));
        let endless = b"250-x\r\n".repeat(20_000);
        assert!(read(&endless).is_err());
    }

    #[test]
    fn what_is_too_large_is_said_in_many_ways() {
        for text in [
            "552 size",
            "552 5.3.4 message too big",
            "554 5.3.4 no",
            "550 5.2.3 no",
            "523 no",
            "500 5.3.4 no",
            "550 message size exceeds the limit",
            "452 4.3.4 no",
            "550 the Message is Too Large",
        ] {
            assert!(reply(text).is_too_large(), "{text}");
        }
        for text in [
            "552 5.2.2 mailbox full",
            "550 5.1.1 no such user",
            "554 5.7.1 spam",
            "250 message size ok",
            "451 4.7.1 greylisted",
        ] {
            assert!(!reply(text).is_too_large(), "{text}");
        }
        assert!(reply("552 5.2.2 over quota").is_mailbox_full());
    }
}
