//! What it means when the server cannot be reached, or says no.
//!
//! Whatever goes wrong before a mail is begun has nothing to do with the alert, so it is always worth another try.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use lettre::transport::smtp::Error;
use watchpost_sink::Fail;

use crate::config::Security;

/// How much of what a server says is told, in characters.
const MAX_SAID: usize = 300;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// The key of the configuration that may be to blame, as a JSON pointer.
    pointer: Option<&'static str>,
    why: String,
    after: Option<Duration>,
}

/// Why something was not done on an open connection.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The server's answer, or none.
    Said(Error),
    /// The call has to end.
    OutOfTime(&'static str),
}

impl Refusal {
    /// Whether the server has answered, and the connection can go on.
    pub(crate) fn is_answer(&self) -> bool {
        // 421: the server closes the connection after it.
        matches!(self, Self::Said(error) if error.status().is_some_and(|code| code.to_string() != "421"))
    }

    /// Whether the mail is larger than the server takes: RFC 5321, section 4.2.3, and RFC 1870, section 6.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self, Self::Said(error) if error.status().is_some_and(|code| code.to_string() == "552"))
    }

    /// What it means for a mail: a 5xx is for ever, but for one that asks for a login.
    pub(crate) fn into_fail(self, server: &str) -> Fail {
        let error = match self {
            Self::OutOfTime(why) => return Fail::retry(why),
            Self::Said(error) => error,
        };
        let said = said(&error);
        let code = error.status().map(|code| code.to_string()).unwrap_or_default();
        match code.as_str() {
            "530" | "534" | "535" => Fail::retry(format_args!(
                "{server} wants a login: {said}; set user and password"
            ))
            .after(AFTER_REFUSED_LOGIN),
            _ if error.is_permanent() => Fail::permanent(format_args!("{server} refuses the mail: {said}")),
            _ if error.is_transient() => {
                Fail::retry(format_args!("{server} does not take the mail now: {said}"))
            }
            _ if io_cause(&error).is_some_and(is_timeout) => {
                Fail::retry(format_args!("{server} did not answer in time"))
            }
            _ => Fail::retry(format_args!("{server} hung up: {said}")),
        }
    }

    /// The answer as the server gave it.
    pub(crate) fn is_permanent(&self) -> bool {
        matches!(self, Self::Said(error) if error.is_permanent())
    }
}

/// How long to wait before the next try with a password that was refused: servers lock those out who hurry.
const AFTER_REFUSED_LOGIN: Duration = Duration::from_secs(300);

impl Trouble {
    pub(crate) fn new(why: impl std::fmt::Display) -> Self {
        Self {
            pointer: None,
            why: why.to_string(),
            after: None,
        }
    }

    pub(crate) fn at(pointer: &'static str, why: impl std::fmt::Display) -> Self {
        Self {
            pointer: Some(pointer),
            ..Self::new(why)
        }
    }

    /// What happened, and what to do about it.
    pub(crate) fn of(error: &Error, server: &str, port: u16, security: Security) -> Self {
        if let Some(tls) = tls_cause(error) {
            return explain_tls(server, &tls);
        }
        if error.is_client() {
            let why = format_args!(
                "{server} offers no STARTTLS on port {port}; try security = \"tls\" with port 465"
            );
            return Self::at("/security", why);
        }
        Self::new(match (error.status(), io_cause(error)) {
            (Some(_), _) => format!("{server} says: {}", said(error)),
            (None, Some(error)) if is_timeout(error) => {
                format!("{server} does not answer in time on port {port}")
            }
            (None, Some(error)) if error.kind() == io::ErrorKind::PermissionDenied => format!(
                "not allowed to connect to port {port} ({error}); give the sink the grant: `watchpost sink grant` prints \
                 it"
            ),
            (None, _) if security == Security::Starttls && error.is_response() => format!(
                "{server} hangs up or speaks no SMTP on port {port}: {}; if it expects encryption at once, set security \
                 = \"tls\"",
                said(error)
            ),
            (None, _) => format!("{server} is not to be reached on port {port}: {}", said(error)),
        })
    }

    /// The same for a login, which `None` says is not to blame.
    pub(crate) fn of_login(error: &Error, server: &str, user: &str) -> Option<Self> {
        let said = said(error);
        if error.is_permanent() {
            let why = format_args!("{server} refuses the login of {user}: {said}; correct user and password");
            return Some(Self {
                after: Some(AFTER_REFUSED_LOGIN),
                ..Self::at("/password", why)
            });
        }
        let why = format_args!("{server} does not offer this kind of login ({said})");
        error.is_client().then(|| Self::at("/login", why))
    }

    /// For the operator who asks whether it works.
    pub(crate) fn into_probe(self) -> Fail {
        match self.pointer {
            Some(pointer) => Fail::bad_config(pointer, self.why),
            None => Fail::retry(self.why),
        }
    }
}

/// For an alert, which waits until the trouble is over.
impl From<Trouble> for Fail {
    fn from(trouble: Trouble) -> Self {
        let fail = Self::retry(trouble.why);
        match trouble.after {
            Some(after) => fail.after(after),
            None => fail,
        }
    }
}

/// What the server said, on one line; or what the library has to say.
fn said(error: &Error) -> String {
    let text = match (error.status(), error.source()) {
        (Some(code), Some(source)) => format!("{code} {source}"),
        (Some(code), None) => code.to_string(),
        (None, Some(source)) => source.to_string(),
        (None, None) => error.to_string(),
    };
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    line.chars().take(MAX_SAID).collect()
}

fn io_cause(error: &Error) -> Option<&io::Error> {
    error.source()?.downcast_ref::<io::Error>()
}

fn is_timeout(error: &io::Error) -> bool {
    // A socket with a timeout says "would block" when it passes.
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

fn tls_cause(error: &Error) -> Option<rustls::Error> {
    io_cause(error)?
        .get_ref()?
        .downcast_ref::<rustls::Error>()
        .cloned()
}

fn explain_tls(server: &str, error: &rustls::Error) -> Trouble {
    use rustls::CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else {
        let why =
            format!("{server} and this machine find no common encryption: {error}; check port and security");
        return Trouble::at("/security", why);
    };
    match bad {
        Bad::UnknownIssuer | Bad::BadSignature => Trouble::at(
            "/ca_file",
            format_args!(
                "the certificate of {server} comes from nobody this machine trusts; name its authority in ca_file"
            ),
        ),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Trouble::at(
            "/server",
            format_args!(
                "the certificate is not for {server}: {error}; write the server as its certificate does"
            ),
        ),
        Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            Trouble::new(format_args!(
                "the certificate of {server} is not valid now: {error}; renew it, or set this machine's clock"
            ))
        }
        _ => Trouble::new(format_args!("the certificate of {server} is no good: {error}")),
    }
}
