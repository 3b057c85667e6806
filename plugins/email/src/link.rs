//! A connection to the mail server: opened, encrypted, logged in.
//!
//! It knows nothing of mails. A server that is silent is given up before the call has to end; how long the system looks
//! up a name is its own affair.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, commands};
use watchpost_sink::{Call, Fail};

use crate::config::{Config, Mechanism, Secret, Security, is_host_name};
use crate::trouble::{Refusal, Trouble};

/// What is kept of a call's time for giving the answer.
const MARGIN: Duration = Duration::from_millis(500);

/// Waits that may follow each other in each step of opening: at most three answers, and one to the farewell when one of
/// them does not come.
const WAITS_TO_OPEN: u32 = 4;

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
    InFile(PathBuf),
}

/// An open connection, logged in.
pub(crate) struct Link {
    connection: SmtpConnection,
    /// When it was last of use.
    pub(crate) used: Instant,
    timeout: Duration,
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
            port: config.port,
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
            link.be_patient(call, WAITS_TO_OPEN).map_err(Trouble::new)?;
            let upgraded = link.connection.starttls(tls, &self.hello);
            upgraded.map_err(|error| self.explain(&error))?;
        }
        if let Some(account) = &self.login {
            link.be_patient(call, WAITS_TO_OPEN).map_err(Trouble::new)?;
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
        let blamed = Trouble::of_login(&error, &self.server, &account.user);
        Err(blamed.unwrap_or_else(|| self.explain(&error)))
    }

    fn explain(&self, error: &Error) -> Trouble {
        Trouble::of(error, &self.server, self.port, self.security)
    }
}

impl Link {
    /// Says something and reads the answer.
    pub(crate) fn say(&mut self, call: &Call<'_>, command: impl std::fmt::Display) -> Result<(), Refusal> {
        self.be_patient(call, 1).map_err(Refusal::OutOfTime)?;
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

    fn be_patient(&mut self, call: &Call<'_>, waits: u32) -> Result<(), &'static str> {
        let timeout = patience(call, self.timeout, waits)?;
        self.connection
            .set_timeout(Some(timeout))
            .map_err(|_| "the connection is gone")
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
    name.filter(|name| is_host_name(name))
        .map_or_else(ClientId::default, ClientId::Domain)
}

fn read_password(path: &Path) -> Result<String, Trouble> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Trouble::at("/password_file", format_args!("{shown} cannot be read: {error}")))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(Trouble::at("/password_file", format_args!("{shown} is empty"))),
        password => Ok(password.to_owned()),
    }
}
