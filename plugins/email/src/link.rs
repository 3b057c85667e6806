//! A connection to the mail server: opened, encrypted, logged in; and what it means when that fails.
//!
//! Whatever goes wrong before a mail is begun has nothing to do with the alert, so it is always worth another try.

use std::error::Error as _;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, commands};
use watchpost_sink::{Call, Fail};

use crate::config::{Config, Mechanism, Secret, Security};

/// How long to wait before the next try with a password that was refused: servers lock those out who hurry.
const AFTER_REFUSED_LOGIN: Duration = Duration::from_secs(300);

/// What is kept of a call's time for giving the answer.
const MARGIN: Duration = Duration::from_millis(500);

/// Waits within opening a connection: greeting, hello, and a farewell when one of these fails.
const WAITS_TO_OPEN: u32 = 4;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// The key of the configuration that may be to blame, as a JSON pointer.
    pointer: Option<&'static str>,
    why: String,
    after: Option<Duration>,
}

/// Opens connections.
pub(crate) struct Door {
    server: String,
    port: u16,
    security: Security,
    tls: Option<TlsParameters>,
    hello: ClientId,
    login: Option<Account>,
    timeout: Duration,
}

struct Account {
    user: String,
    password: Password,
    how: Option<Mechanism>,
}

enum Password {
    Given(Secret),
    InFile(std::path::PathBuf),
}

/// An open connection, logged in.
pub(crate) struct Link {
    connection: SmtpConnection,
    /// When it was last of use.
    pub(crate) used: Instant,
    timeout: Duration,
}

impl Trouble {
    fn new(why: impl std::fmt::Display) -> Self {
        Self {
            pointer: None,
            why: why.to_string(),
            after: None,
        }
    }

    fn at(pointer: &'static str, why: impl std::fmt::Display) -> Self {
        Self {
            pointer: Some(pointer),
            ..Self::new(why)
        }
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

impl Door {
    /// Reads what opening takes; nothing is connected to.
    ///
    /// # Errors
    /// The certificates are not to be had.
    pub(crate) fn new(config: &Config) -> Result<Self, Fail> {
        let tls = match config.security {
            Security::None => None,
            Security::Starttls | Security::Tls => Some(tls(config)?),
        };
        let login = config.user.clone().and_then(|user| {
            let file = config.password_file.clone().map(Password::InFile);
            let password = config.password.clone().map(Password::Given).or(file)?;
            Some(Account {
                user,
                password,
                how: config.login,
            })
        });
        Ok(Self {
            server: config.server.clone(),
            port: config.port(),
            security: config.security,
            tls,
            hello: hello(config.hello.clone()),
            login,
            timeout: config.timeout,
        })
    }

    /// Connects, encrypts and logs in.
    ///
    /// # Errors
    /// Any of these failed.
    pub(crate) fn open(&self, call: &Call<'_>) -> Result<Link, Trouble> {
        let mut link = self.connect(call)?;
        if let (Security::Starttls, Some(tls)) = (self.security, &self.tls) {
            link.be_patient(call).map_err(Trouble::new)?;
            let upgraded = link.connection.starttls(tls, &self.hello);
            upgraded.map_err(|error| self.explain(&error))?;
        }
        if let Some(account) = &self.login {
            link.be_patient(call).map_err(Trouble::new)?;
            self.log_in(account, &mut link)?;
        }
        Ok(link)
    }

    fn connect(&self, call: &Call<'_>) -> Result<Link, Trouble> {
        let (server, port) = (&self.server, self.port);
        let addresses: Vec<SocketAddr> = match (server.as_str(), port).to_socket_addrs() {
            Ok(addresses) => addresses.collect(),
            Err(error) => {
                return Err(Trouble::new(format_args!(
                    "the name {server} is not found: {error}"
                )));
            }
        };
        let tls = self.tls.as_ref().filter(|_| self.security == Security::Tls);
        let mut last = Trouble::new(format_args!("the name {server} has no address"));
        for address in addresses {
            let timeout = patience(call, self.timeout, WAITS_TO_OPEN).map_err(Trouble::new)?;
            match SmtpConnection::connect(address, Some(timeout), &self.hello, tls, None) {
                Ok(connection) => {
                    return Ok(Link {
                        connection,
                        used: Instant::now(),
                        timeout: self.timeout,
                    });
                }
                Err(error) => last = self.explain(&error),
            }
        }
        Err(last)
    }

    fn log_in(&self, account: &Account, link: &mut Link) -> Result<(), Trouble> {
        let password = match &account.password {
            Password::Given(Secret(password)) => password.clone(),
            Password::InFile(path) => read_password(path)?,
        };
        let credentials = Credentials::new(account.user.clone(), password);
        let Err(error) = link
            .connection
            .auth(Mechanism::offered(account.how), &credentials)
        else {
            return Ok(());
        };
        let (server, user) = (&self.server, &account.user);
        if error.is_permanent() {
            let why = format!(
                "{server} refuses the login of {user}: {}; correct user and password",
                said(&error)
            );
            return Err(Trouble {
                after: Some(AFTER_REFUSED_LOGIN),
                ..Trouble::at("/password", why)
            });
        }
        if error.is_client() {
            let why = format!("{server} does not offer this kind of login ({})", said(&error));
            return Err(Trouble::at("/login", why));
        }
        Err(self.explain(&error))
    }

    /// What happened, and what to do about it.
    fn explain(&self, error: &Error) -> Trouble {
        let (server, port) = (&self.server, self.port);
        if let Some(tls) = tls_cause(error) {
            return explain_tls(server, &tls);
        }
        if error.is_client() {
            let why =
                format!("{server} offers no STARTTLS on port {port}; try security = \"tls\" with port 465");
            return Trouble::at("/security", why);
        }
        let why = match (error.status(), io_cause(error)) {
            (Some(_), _) => format!("{server} says: {}", said(error)),
            (None, Some(error)) if is_timeout(error) => {
                format!("{server} does not answer in time on port {port}")
            }
            (None, _) if self.security == Security::Starttls && error.is_response() => format!(
                "{server} hangs up or speaks no SMTP on port {port}: {}; if it expects encryption at once, set security \
                 = \"tls\"",
                said(error)
            ),
            (None, _) => format!("{server} is not to be reached on port {port}: {}", said(error)),
        };
        Trouble::new(why)
    }
}

impl Link {
    /// Says something and reads the answer.
    pub(crate) fn say(&mut self, call: &Call<'_>, command: impl std::fmt::Display) -> Result<(), Refusal> {
        self.be_patient(call).map_err(Refusal::OutOfTime)?;
        self.connection.command(command).map_err(Refusal::Said)?;
        self.used = Instant::now();
        Ok(())
    }

    /// Says goodbye, without waiting long for an answer.
    pub(crate) fn close(mut self) {
        const FAREWELL: Duration = Duration::from_secs(1);
        // Whether it hears that or not, the connection is closed.
        if self.connection.set_timeout(Some(FAREWELL)).is_ok() {
            let _ = self.connection.command(commands::Quit);
        }
    }

    fn be_patient(&mut self, call: &Call<'_>) -> Result<(), &'static str> {
        let timeout = patience(call, self.timeout, 1)?;
        self.connection
            .set_timeout(Some(timeout))
            .map_err(|_| "the connection is gone")
    }
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

/// How long to wait for an answer if `waits` of them may follow each other.
fn patience(call: &Call<'_>, timeout: Duration, waits: u32) -> Result<Duration, &'static str> {
    if call.cancelled() {
        return Err("the call was cancelled");
    }
    let Some(left) = call.remaining() else {
        return Ok(timeout);
    };
    match left.saturating_sub(MARGIN) / waits {
        Duration::ZERO => Err("there is no time left; set a longer timeout for this sink"),
        left => Ok(left.min(timeout)),
    }
}

fn tls(config: &Config) -> Result<TlsParameters, Fail> {
    let mut tls =
        TlsParametersBuilder::new(config.server.clone()).certificate_store(CertificateStore::Default);
    if let Some(path) = &config.ca_file {
        let shown = path.display();
        let bad = |why: &dyn std::fmt::Display| Fail::bad_config("/ca_file", format_args!("{shown}: {why}"));
        let pem = std::fs::read(path).map_err(|error| bad(&error))?;
        if !pem.windows(PEM_BEGIN.len()).any(|bytes| bytes == PEM_BEGIN) {
            return Err(bad(&"there is no certificate in it; it has to be PEM"));
        }
        tls = tls.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| bad(&error))?);
    }
    tls.build().map_err(|error| {
        Fail::bad_config(
            "/ca_file",
            format_args!("the certificates are of no use: {error}"),
        )
    })
}

/// How a certificate begins in a PEM file.
const PEM_BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

fn hello(name: Option<String>) -> ClientId {
    let name = name.or_else(|| {
        let system = rustix::system::uname();
        system.nodename().to_str().ok().map(str::to_owned)
    });
    let fits = |name: &String| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
    };
    name.filter(fits).map_or_else(ClientId::default, ClientId::Domain)
}

fn read_password(path: &std::path::Path) -> Result<String, Trouble> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Trouble::at("/password_file", format_args!("{shown} cannot be read: {error}")))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(Trouble::at("/password_file", format_args!("{shown} is empty"))),
        password => Ok(password.to_owned()),
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
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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
