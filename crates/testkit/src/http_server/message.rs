//! Requests and answers, read and written.

use std::io::Read;

use anyhow::{Context, Result, ensure};

/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The largest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 256 << 20;

/// Headers that a request may have.
const MAX_HEADERS: usize = 64;

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, such as `POST`.
    pub method: String,
    /// Path and query, such as `/hook?wait=true`.
    pub target: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A part of a `multipart/form-data` body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPart {
    /// The name of the field.
    pub name: String,
    /// The name of the file, if it is one.
    pub file: Option<String>,
    /// What it says of its type.
    pub mime: Option<String>,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// What to answer.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// What is sent instead of all that.
    raw: Option<Vec<u8>>,
    pub(super) behavior: Behavior,
}

/// How an answer is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    /// As it should be, and the connection stays open.
    #[default]
    Proper,
    /// Not at all, and the connection stays open.
    Silent,
    /// Not at all, and the connection is closed.
    Closed,
    /// Half of its bytes, and then this side of the connection is closed.
    Half,
    /// All of its bytes, and then nothing more; the connection stays open.
    Held,
    /// All of its bytes, and then the connection is closed.
    Ended,
}

impl HttpRequest {
    /// The value of a header; its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("the body is no JSON")
    }

    /// The parts of a `multipart/form-data` body, read to the letter of RFC 2046.
    pub fn parts(&self) -> Result<Vec<HttpPart>> {
        let kind = self.header("content-type").context("no media type")?;
        let boundary = kind
            .strip_prefix("multipart/form-data; boundary=")
            .context("not multipart")?;
        let mark = format!("\r\n--{boundary}").into_bytes();
        // So that the first boundary looks like the others.
        let body = [b"\r\n", self.body.as_slice()].concat();
        let mut rest = after(&body, &mark).context("no first boundary")?;
        let mut parts = Vec::new();
        while !rest.starts_with(b"--") {
            let inside = rest
                .strip_prefix(b"\r\n")
                .context("a boundary that does not end its line")?;
            let end = find(inside, &mark).context("a part without end")?;
            parts.push(part(&inside[..end])?);
            rest = &inside[end + mark.len()..];
        }
        ensure!(rest == b"--\r\n", "something follows the last boundary");
        Ok(parts)
    }
}

impl HttpAnswer {
    /// An answer without headers and body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            raw: None,
            behavior: Behavior::Proper,
        }
    }

    /// These bytes, which may be no answer at all.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            raw: Some(bytes.into()),
            ..Self::status(200)
        }
    }

    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same, given otherwise.
    #[must_use]
    pub fn behavior(mut self, behavior: Behavior) -> Self {
        self.behavior = behavior;
        self
    }
}

/// The bytes of an answer.
pub(super) fn written(answer: &HttpAnswer) -> Vec<u8> {
    if let Some(raw) = &answer.raw {
        return raw.clone();
    }
    let mut head = format!("HTTP/1.1 {} As Commanded\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if answer.status != 204 {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), &answer.body].concat()
}

/// One request. `None`: the client has closed the connection.
pub(super) fn read(stream: &mut impl Read) -> Result<Option<HttpRequest>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            ensure!(head.is_empty(), "the client left in the middle of a head");
            return Ok(None);
        }
        head.push(byte[0]);
        ensure!(head.len() <= MAX_HEAD_BYTES, "the head is too long");
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    ensure!(parsed.parse(&head)?.is_complete(), "half a head");
    let mut request = HttpRequest {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value).into_owned();
        request.headers.push((header.name.to_ascii_lowercase(), value));
    }
    ensure!(
        request.header("transfer-encoding").is_none(),
        "a body without a length"
    );
    let length = request
        .header("content-length")
        .map_or(Ok(0), str::parse::<usize>)?;
    ensure!(length <= MAX_BODY_BYTES, "the body is too large");
    request.body = vec![0; length];
    stream.read_exact(&mut request.body)?;
    Ok(Some(request))
}

fn part(bytes: &[u8]) -> Result<HttpPart> {
    let end = find(bytes, b"\r\n\r\n").context("a part without a head")?;
    let head = std::str::from_utf8(&bytes[..end])?;
    let value = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let disposition = value("Content-Disposition").context("a part without a disposition")?;
    let quoted = |key: &str| {
        let (_, rest) = disposition.split_once(&format!("; {key}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    Ok(HttpPart {
        name: quoted("name").context("a part without a name")?,
        file: quoted("filename"),
        mime: value("Content-Type").map(str::to_owned),
        bytes: bytes[end + 4..].to_vec(),
    })
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

fn after<'a>(bytes: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    find(bytes, part).map(|at| &bytes[at + part.len()..])
}
