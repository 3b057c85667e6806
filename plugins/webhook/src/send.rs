//! One request and its answer: credentials, signature, redirects, time limits, and what an error means.
//!
//! It knows nothing of alerts and of what a service makes of a request.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::ClientConfig;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{self, Request as HttpRequest, header};
use url::Url;
use watchpost_sink::http::{self as meaning, Class};
use watchpost_sink::net::{Cause, Unreachable, is_cancelled, tls};
use watchpost_sink::{Call, Fail};

use crate::answer::Answer;
use crate::config::Config;
use crate::credentials::Credentials;
use crate::head::Head;
use crate::transport::{Connections, Exchange, Sent, Unresolved};

/// How much of an answer is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// How long the rest of an answer may take when its status has said all.
const MAX_REST: Duration = Duration::from_secs(1);

/// Sends requests for one sink.
#[derive(Debug)]
pub(crate) struct HttpSender {
    agent: Agent,
    exchange: Exchange,
    credentials: Credentials,
    redirects: u32,
    timeout: Duration,
}

/// A request that can be sent more than once.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: http::Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the site's credentials and headers stay away, as it goes to another server than the site has named.
    pub(crate) omit_credentials: bool,
    /// Whether the answer's body says what the status does not: whether it is done.
    pub(crate) body_decides: bool,
    /// Whether it only prepares the message, which another request sends.
    pub(crate) prepares: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// All of the request was sent: the server may have done it.
    Unanswered {
        /// What came instead of an answer.
        why: String,
        /// Whether that is the end of the connection.
        closed: bool,
    },
    /// The connection ended in the middle of the request.
    Interrupted(Fail),
    /// Everything else.
    Failed(Fail),
}

impl From<Fail> for NoAnswer {
    fn from(fail: Fail) -> Self {
        Self::Failed(fail)
    }
}

impl NoAnswer {
    /// What it comes to for a question that may be asked again.
    pub(crate) fn into_fail(self) -> Fail {
        match self {
            Self::Unanswered { why, .. } => Fail::retry(why),
            Self::Interrupted(fail) | Self::Failed(fail) => fail,
        }
    }
}

impl Request {
    /// A request without a body.
    pub(crate) fn new(method: http::Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            body: Vec::new(),
            omit_credentials: false,
            body_decides: false,
            prepares: false,
        }
    }

    /// A POST of these bytes.
    pub(crate) fn post(url: Url, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            body,
            ..Self::new(http::Method::POST, url)
        }
        .header("Content-Type", content_type)
    }

    /// A POST of a JSON document.
    pub(crate) fn post_json(url: Url, document: &Value) -> Self {
        Self::post(url, "application/json", document.to_string().into_bytes())
    }

    /// Adds a header. Characters that a header cannot hold become blanks.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let value = value.replace(|c: char| c.is_control(), " ");
        self.headers.push((name.to_owned(), value));
        self
    }

    /// The same, whose answer's body says whether it is done.
    pub(crate) fn body_decides(mut self) -> Self {
        self.body_decides = true;
        self
    }

    /// The same, as one that only prepares the message.
    pub(crate) fn prepares(mut self) -> Self {
        self.prepares = true;
        self
    }
}

impl HttpSender {
    /// Reads the files that the configuration names.
    pub(crate) fn new(config: &Config, credentials: Credentials) -> Result<Self, Fail> {
        let exchange = Exchange::default();
        let settings = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("watchpost-webhook/", env!("CARGO_PKG_VERSION")))
            .build();
        let connections = Connections {
            tls: client_config(config)?,
            exchange: exchange.clone(),
        };
        Ok(Self {
            agent: Agent::with_parts(settings, connections, Unresolved),
            exchange,
            credentials,
            redirects: config.redirects,
            timeout: config.timeout,
        })
    }

    /// Sends a request and waits for the answer, whatever its status.
    ///
    /// # Errors
    /// When there is no answer, or it leads elsewhere.
    pub(crate) fn send(&self, request: &Request, call: &Call<'_>) -> Result<Answer, NoAnswer> {
        let mut url = request.url.clone();
        for left in (0..=self.redirects).rev() {
            let answer = self.exchange(request, &url, call)?;
            if !(300..400).contains(&answer.status) || answer.status == 304 {
                return Ok(answer);
            }
            url = follow(&url, &answer, left)?;
        }
        let why = "the server redirects without end; correct the address";
        Err(Fail::misconfigured("/url", why).into())
    }

    /// Asks something that has no effect; an answer other than 2xx is a failure.
    pub(crate) fn ask(&self, request: &Request, call: &Call<'_>) -> Result<Answer, Fail> {
        let answer = self.send(request, call).map_err(NoAnswer::into_fail)?;
        answer.judge()?;
        Ok(answer)
    }

    fn exchange(&self, request: &Request, url: &Url, call: &Call<'_>) -> Result<Answer, NoAnswer> {
        let mut builder = HttpRequest::builder().method(&request.method).uri(url.as_str());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if !request.omit_credentials {
            for (name, value) in self.own_headers(request) {
                builder = builder.header(name, value);
            }
        }
        self.exchange.begin(call.wait(self.timeout)?);
        let answer = if request.body.is_empty() && request.method != http::Method::POST {
            let built = builder.body(()).map_err(|_| impossible())?;
            self.agent.run(built)
        } else {
            let built = builder.body(request.body.as_slice()).map_err(|_| impossible())?;
            self.agent.run(built)
        };
        match (answer, self.exchange.head()) {
            (Ok(answer), head) => self.read(answer, head.unwrap_or_default(), request, url),
            // The library cannot read what came, but it has a status, and that is an answer.
            (Err(_), Some(head)) if !(request.body_decides && meaning::class(head.status) == Class::Done) => {
                Ok(self.answer(head, String::new()))
            }
            (Err(error), _) => Err(self.no_answer(url, &error)),
        }
    }

    fn own_headers(&self, request: &Request) -> Vec<(&str, String)> {
        let mut headers = Vec::new();
        if let Some(authorization) = self.credentials.authorization() {
            headers.push((header::AUTHORIZATION.as_str(), authorization.to_owned()));
        }
        if let Some(id) = value_of(request, "Idempotency-Key") {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.unwrap_or_default().as_secs();
            headers.extend(self.credentials.sign(id, now, &request.body));
        }
        headers
    }

    fn read(
        &self,
        mut answer: http::Response<ureq::Body>,
        head: Head,
        request: &Request,
        url: &Url,
    ) -> Result<Answer, NoAnswer> {
        let head = Head {
            status: answer.status().as_u16(),
            ..head
        };
        if !request.body_decides {
            self.exchange.hurry(MAX_REST);
        }
        let body = answer
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER_BYTES)
            .lossy_utf8(true);
        match body.read_to_string() {
            Ok(text) => Ok(self.answer(head, text)),
            Err(error) if request.body_decides && meaning::class(head.status) == Class::Done => {
                Err(self.no_answer(url, &error))
            }
            // It is done or refused already; what is left of the answer changes nothing.
            Err(_) => Ok(self.answer(head, String::new())),
        }
    }

    fn answer(&self, head: Head, text: String) -> Answer {
        Answer::new(head, text, &self.credentials)
    }

    /// Nothing was answered, or nothing that can be read. The address is shown without its path, which may be secret.
    fn no_answer(&self, url: &Url, error: &ureq::Error) -> NoAnswer {
        let origin = url.origin().ascii_serialization();
        let why = match error {
            ureq::Error::Other(inner) => match inner.downcast_ref::<Unreachable>() {
                Some(unreachable) => return unreachable.clone().into_fail(key).into(),
                None => format!("{origin} gave no proper answer"),
            },
            // These may hold the address.
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => return impossible().into(),
            ureq::Error::Io(error) if is_cancelled(error) => error.to_string(),
            ureq::Error::Io(error) => {
                let host = url.host_str().unwrap_or_default();
                let unreachable =
                    Unreachable::from_io(error, host, url.port_or_known_default().unwrap_or_default());
                if key(unreachable.cause()).is_some() {
                    return unreachable.into_fail(key).into();
                }
                match unreachable.cause() {
                    Cause::Silent => format!("{origin} did not answer in time"),
                    _ => format!("the connection to {origin} broke: {error}"),
                }
            }
            other => format!("{origin} gave no proper answer: {other}"),
        };
        match self.exchange.sent() {
            Sent::All => NoAnswer::Unanswered {
                why,
                closed: is_closed(error),
            },
            Sent::Part => NoAnswer::Interrupted(Fail::retry(why)),
            Sent::Nothing => Fail::retry(why).into(),
        }
    }
}

/// Whether an error is that the other side closed the connection.
fn is_closed(error: &ureq::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match error {
        ureq::Error::Io(error) => matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof),
        _ => false,
    }
}

/// Which key is to blame for what keeps from a server.
fn key(cause: Cause) -> Option<&'static str> {
    match cause {
        Cause::NotTls | Cause::OtherName => Some("/url"),
        Cause::Authority | Cause::Certificate => Some("/ca_file"),
        Cause::ClientCertificate => Some("/cert_file"),
        _ => None,
    }
}

/// The encryption that the configuration asks for.
fn client_config(config: &Config) -> Result<Option<Arc<ClientConfig>>, Fail> {
    let files = tls::Files {
        ca_file: config.ca_file.as_deref(),
        cert_file: config.cert_file.as_deref(),
        key_file: config.key_file.as_deref(),
    };
    match config.url.scheme() {
        "https" => files.client_config().map(Some),
        _ => Ok(None),
    }
}

/// Where a redirect leads to, with method and body as they were.
fn follow(from: &Url, answer: &Answer, left: u32) -> Result<Url, Fail> {
    let status = answer.status;
    let wrong = |why: &dyn std::fmt::Display| {
        Fail::misconfigured("/url", format_args!("the server answered {status} and {why}"))
    };
    let to = answer.location().and_then(|to| from.join(to).ok());
    let Some(to) = to else {
        return Err(wrong(&"does not say where to go"));
    };
    let origin = to.origin().ascii_serialization();
    if left == 0 {
        return Err(wrong(&format_args!(
            "leads to {origin}; write that address into `url`, or set `redirects`"
        )));
    }
    // What is secret goes to no server that the site has not named, and to none in the clear.
    let safe = to.host_str() == from.host_str() && (to.scheme() == "https" || from.scheme() == "http");
    if !safe || status == 303 {
        return Err(wrong(&format_args!(
            "leads to {origin}, where a message may not follow; correct `url`"
        )));
    }
    Ok(to)
}

fn value_of<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut headers = request.headers.iter();
    headers.find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

fn impossible() -> Fail {
    Fail::permanent("the request cannot be written; look at `url` and `headers`")
}
