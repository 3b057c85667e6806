//! The head of an answer, read from the bytes themselves and with forbearance.
//!
//! A server that has done what it was asked says so in the status, and what follows may be anything: a header that no
//! standard knows, two hundred of them, half a body. The status counts all the same, or it would be asked again for ever.

/// How much of an answer is kept to find its head, in bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 64 << 10;

/// What can be found of an answer's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its status.
    pub(crate) status: u16,
    /// The header `Retry-After`.
    pub(crate) retry_after: Option<String>,
    /// The header `Location`.
    pub(crate) location: Option<String>,
}

/// The head that these bytes begin with, after those of interim answers (1xx). `None` if they begin otherwise.
pub(crate) fn find(mut bytes: &[u8]) -> Option<Head> {
    loop {
        let status = status(bytes)?;
        if status >= 200 {
            return Some(Head {
                status,
                retry_after: header(bytes, "retry-after"),
                location: header(bytes, "location"),
            });
        }
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        bytes = &bytes[end + 4..];
    }
}

/// `HTTP/1.1 200`; what follows is for people.
fn status(bytes: &[u8]) -> Option<u16> {
    let line = bytes.strip_prefix(b"HTTP/")?;
    let blank = line.iter().position(|byte| *byte == b' ')?;
    let rest = line[blank..].trim_ascii_start();
    let digits = rest.get(..3)?;
    let ends = rest.get(3).is_none_or(|byte| !byte.is_ascii_digit());
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (ends && (100..=999).contains(&status)).then_some(status)
}

fn header(bytes: &[u8], wanted: &str) -> Option<String> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let head = String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]);
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim()
            .eq_ignore_ascii_case(wanted)
            .then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_found_whatever_follows() {
        for (bytes, status) in [
            (&b"HTTP/1.1 200 OK\r\n\r\n"[..], Some(200)),
            (b"HTTP/1.1 200\r\nServer : x\r\n\r\n", Some(200)),
            (b"HTTP/1.1 204 \xe4\xf6\r\nA: b\r\n folded\r\n", Some(204)),
            (b"HTTP/1.0 503 Busy\n", Some(503)),
            (
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\n\r\n",
                Some(201),
            ),
            (
                b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 413 No\r\n",
                Some(413),
            ),
            (b"HTTP/1.1 100 Continue\r\n\r\n", None),
            (b"HTTP/1.1 2000 OK\r\n", None),
            (b"220 mail.example ESMTP\r\n", None),
            (b"", None),
        ] {
            assert_eq!(find(bytes).map(|head| head.status), status, "{bytes:?}");
        }
    }

    #[test]
    fn two_headers_are_found_in_any_writing() {
        let head =
            find(b"HTTP/1.1 429 Slow\r\nRETRY-AFTER : 7\r\nlocation:/x\r\n\r\nRetry-After: 9").unwrap();
        assert_eq!(head.retry_after.as_deref(), Some("7"));
        assert_eq!(head.location.as_deref(), Some("/x"));
    }
}
