//! One request and its answer: credentials, signature, redirects, time limits, and what an error means.
//!
//! It knows nothing of alerts and of what a service makes of a request.

use std::io::ErrorKind;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use ureq::Agent;
use ureq::http::{self, Request as HttpRequest, header};
use url::Url;
use watchpost_sink::{Call, Fail, http::judge};

use crate::config::Config;
use crate::credentials::Credentials;
use crate::tls;

/// How much of an answer is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// How much of an answer is told, in characters.
const TOLD_CHARS: usize = 200;

/// What is left of the call's time for all that is not waiting.
const RESERVE: Duration = Duration::from_millis(200);

/// Sends requests for one sink.
#[derive(Debug)]
pub(crate) struct Courier {
    agent: Agent,
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
    /// Whether the site's credentials and headers stay away, as it goes to somebody else.
    pub(crate) bare: bool,
}

/// What a server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    retry_after: Option<String>,
    location: Option<String>,
}

impl Request {
    /// A request without a body.
    pub(crate) fn new(method: http::Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            body: Vec::new(),
            bare: false,
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
}

impl Courier {
    /// Reads the files that the configuration names.
    pub(crate) fn new(config: &Config, credentials: Credentials) -> Result<Self, Fail> {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("watchpost-webhook/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls::config(config)?)
            .build()
            .new_agent();
        Ok(Self {
            agent,
            credentials,
            redirects: config.redirects,
            timeout: config.timeout,
        })
    }

    /// Sends a request and waits for the answer, whatever its status.
    ///
    /// # Errors
    /// When there is no answer, or it leads elsewhere.
    pub(crate) fn send(&self, request: &Request, call: &Call<'_>) -> Result<Answer, Fail> {
        let mut url = request.url.clone();
        for left in (0..=self.redirects).rev() {
            let answer = self.exchange(request, &url, call)?;
            if !(300..400).contains(&answer.status) || answer.status == 304 {
                return Ok(answer);
            }
            url = follow(&url, &answer, left)?;
        }
        Err(Fail::permanent(
            "the server redirects without end; correct the url",
        ))
    }

    /// Sends a request; an answer other than 2xx is a failure.
    pub(crate) fn deliver(&self, request: &Request, call: &Call<'_>) -> Result<Answer, Fail> {
        let answer = self.send(request, call)?;
        answer.judge()?;
        Ok(answer)
    }

    fn exchange(&self, request: &Request, url: &Url, call: &Call<'_>) -> Result<Answer, Fail> {
        let mut builder = HttpRequest::builder().method(&request.method).uri(url.as_str());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if !request.bare {
            if let Some(authorization) = self.credentials.authorization() {
                builder = builder.header(header::AUTHORIZATION, authorization);
            }
            if let Some(id) = value_of(request, "Idempotency-Key") {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default()
                    .as_secs();
                for (name, value) in self.credentials.sign(id, now, &request.body) {
                    builder = builder.header(name, value);
                }
            }
        }
        let timeout = self.patience(call)?;
        let answer = if request.body.is_empty() && request.method != http::Method::POST {
            let built = builder.body(()).map_err(|_| impossible())?;
            self.agent.run(limited(&self.agent, built, timeout))
        } else {
            let built = builder.body(request.body.as_slice()).map_err(|_| impossible())?;
            self.agent.run(limited(&self.agent, built, timeout))
        };
        self.read(answer.map_err(|e| explain(url, &e))?, url)
    }

    fn read(&self, mut answer: http::Response<ureq::Body>, url: &Url) -> Result<Answer, Fail> {
        let text_of = |name| {
            let value = answer.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let (retry_after, location) = (text_of(header::RETRY_AFTER), text_of(header::LOCATION));
        let status = answer.status().as_u16();
        let body = answer
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER_BYTES)
            .lossy_utf8(true);
        let text = match body.read_to_string() {
            Ok(text) => self.credentials.hide(&text),
            // It is done or refused already; what is left of the answer changes nothing.
            Err(ureq::Error::BodyExceedsLimit(_)) => String::new(),
            Err(e) if (200..300).contains(&status) => return Err(explain(url, &e)),
            Err(_) => String::new(),
        };
        Ok(Answer {
            status,
            text,
            retry_after,
            location,
        })
    }

    /// How long the next request may take.
    fn patience(&self, call: &Call<'_>) -> Result<Duration, Fail> {
        if call.cancelled() {
            return Err(Fail::retry("it was called off"));
        }
        let Some(remaining) = call.remaining() else {
            return Ok(self.timeout);
        };
        match remaining.checked_sub(RESERVE).filter(|left| !left.is_zero()) {
            Some(left) => Ok(left.min(self.timeout)),
            None => Err(Fail::retry(
                "no time was left for the next request; raise the sink's timeout",
            )),
        }
    }
}

impl Answer {
    /// Whether it says that all is done.
    pub(crate) fn judge(&self) -> Result<(), Fail> {
        let told: String = self
            .text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(TOLD_CHARS)
            .collect();
        judge(self.status, self.retry_after.as_deref(), &told, SystemTime::now())
    }

    /// A failure that passes, not before what the server says.
    pub(crate) fn later(&self, why: String) -> Fail {
        let too_many = judge(429, self.retry_after.as_deref(), "", SystemTime::now());
        let wait = too_many.err().and_then(|fail| fail.retry_after());
        let fail = Fail::retry(why);
        match wait {
            Some(wait) => fail.after(wait),
            None => fail,
        }
    }

    /// Whether the server is there, whatever it says of a question that it may not know.
    pub(crate) fn reachable(&self) -> Result<(), Fail> {
        if self.status < 500 || self.status == 501 {
            return Ok(());
        }
        self.judge()
    }

    /// What it says, as JSON. `Null` if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// Where a redirect leads to, with method and body as they were.
fn follow(from: &Url, answer: &Answer, left: u32) -> Result<Url, Fail> {
    let status = answer.status;
    let to = answer.location.as_deref().and_then(|to| from.join(to).ok());
    let Some(to) = to else {
        return Err(Fail::permanent(format_args!(
            "the server answered {status} and says not where to go"
        )));
    };
    let origin = to.origin().ascii_serialization();
    if left == 0 {
        return Err(Fail::permanent(format_args!(
            "the server answered {status} and leads to {origin}; write that address into `url`, or set `redirects`"
        )));
    }
    // What is secret goes to nobody whom the site has not named, and to nobody in the clear.
    let safe = to.host_str() == from.host_str() && (to.scheme() == "https" || from.scheme() == "http");
    if !safe || status == 303 {
        return Err(Fail::permanent(format_args!(
            "the server answered {status} and leads to {origin}, where a message may not follow; correct `url`"
        )));
    }
    Ok(to)
}

fn limited<S: ureq::AsSendBody>(agent: &Agent, request: HttpRequest<S>, timeout: Duration) -> HttpRequest<S> {
    agent
        .configure_request(request)
        .timeout_global(Some(timeout))
        .build()
}

fn value_of<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut headers = request.headers.iter();
    headers.find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

fn impossible() -> Fail {
    Fail::permanent("the request cannot be written; look at `url` and `headers`")
}

/// Nothing was answered, which may pass. The address is told without its path, which may be secret.
fn explain(url: &Url, error: &ureq::Error) -> Fail {
    let origin = url.origin().ascii_serialization();
    Fail::retry(match error {
        ureq::Error::HostNotFound => {
            format!("the name in {origin} was not found; look at the name, and at the network")
        }
        ureq::Error::Timeout(_) => format!("{origin} did not answer in time"),
        ureq::Error::Io(e) if e.kind() == ErrorKind::ConnectionRefused => {
            format!("{origin} takes no connections ({e}); does the service run?")
        }
        ureq::Error::Io(e) if e.kind() == ErrorKind::PermissionDenied => {
            format!("not allowed to connect to {origin} ({e}); grant its port under [sink.sandbox]")
        }
        ureq::Error::Io(e) if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            distrust(&origin, e)
        }
        ureq::Error::Io(e) => format!("the connection to {origin} broke: {e}"),
        ureq::Error::Rustls(e) => distrust(&origin, e),
        // These may hold the address.
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => return impossible(),
        other => format!("{origin} gave no proper answer: {other}"),
    })
}

fn distrust(origin: &str, error: &dyn std::error::Error) -> String {
    format!("no trust between {origin} and here ({error}); look at `ca_file`, `cert_file` and the clock")
}
