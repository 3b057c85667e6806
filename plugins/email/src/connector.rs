//! Opens connections to the mail server: reached, encrypted, logged in.
//!
//! It knows nothing of mails. How long the system looks up a name is its own affair.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use watchpost_sink::net::{Stream, tls};
use watchpost_sink::{Call, Fail, Secret, secret};

use crate::config::{Config, Mechanism, Security, is_host_name};
use crate::error::Server;
use crate::reply::Class;
use crate::session::{Broken, Session, Waits};

/// How long the network may take to reach the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens connections.
pub(crate) struct Connector {
    server: Server,
    tls: Option<Arc<ClientConfig>>,
    ehlo_name: Option<String>,
    login: Option<Account>,
    waits: Waits,
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

impl Connector {
    /// Reads what opening takes; nothing is connected to.
    ///
    /// # Errors
    /// The certificates cannot be read.
    pub(crate) fn new(config: &Config) -> Result<Self, Fail> {
        let files = tls::Files {
            ca_file: config.ca_file.as_deref(),
            ..tls::Files::default()
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
            server: Server::new(config),
            tls: match config.security {
                Security::None => None,
                Security::Starttls | Security::Tls => Some(files.client_config()?),
            },
            ehlo_name: config.ehlo_name.clone().or_else(host_name),
            login,
            waits: config.waits(),
        })
    }

    /// The server, for messages.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Connects, encrypts and logs in. Nothing of it depends on an alert, so every failure keeps it.
    ///
    /// # Errors
    /// Any of these failed.
    pub(crate) fn open(&self, call: &Call<'_>) -> Result<Session, Fail> {
        let wait = call.wait(CONNECT_TIMEOUT)?;
        let unreachable = |error| self.server.unreachable(error);
        let mut stream = Stream::connect(&self.server.name, self.server.port, &wait).map_err(unreachable)?;
        if let (Security::Tls, Some(config)) = (self.server.security, &self.tls) {
            stream = stream.encrypt(Arc::clone(config)).map_err(unreachable)?;
        }
        let mut session = Session::new(stream, self.waits);
        let greeting = session.greeting(call);
        let greeting = greeting.map_err(|broken| self.broken(&session, broken))?;
        if greeting.class() != Class::Accepted {
            return Err(self.server.no_service(&greeting));
        }
        self.hello(&mut session, call)?;
        if let (Security::Starttls, Some(config)) = (self.server.security, &self.tls) {
            session = self.encrypt(session, config, call)?;
        }
        if let Some(account) = &self.login {
            self.log_in(account, &mut session, call)?;
        }
        Ok(session)
    }

    fn hello(&self, session: &mut Session, call: &Call<'_>) -> Result<(), Fail> {
        let name = self.ehlo_name.clone().unwrap_or_else(|| session.own_address());
        let reply = session.hello(call, &name);
        let reply = reply.map_err(|broken| self.broken(session, broken))?;
        match reply.class() {
            Class::Accepted => Ok(()),
            _ => Err(self.server.refuses_name(&name, &reply)),
        }
    }

    fn encrypt(
        &self,
        mut session: Session,
        config: &Arc<ClientConfig>,
        call: &Call<'_>,
    ) -> Result<Session, Fail> {
        if !session.offers().starttls {
            return Err(self.server.offers_no_encryption(None));
        }
        let reply = session.say(call, "STARTTLS");
        let reply = reply.map_err(|broken| self.broken(&session, broken))?;
        if reply.class() != Class::Accepted {
            return Err(self.server.offers_no_encryption(Some(&reply)));
        }
        let encrypted = session.encrypt(Arc::clone(config));
        let mut session = encrypted.map_err(|error| self.server.unreachable(error))?;
        self.hello(&mut session, call)?;
        Ok(session)
    }

    fn log_in(&self, account: &Account, session: &mut Session, call: &Call<'_>) -> Result<(), Fail> {
        let password = match &account.password {
            Password::Given(secret) => secret.reveal().to_owned(),
            // At every login: it may have been renewed.
            Password::InFile(path) => secret::read("/password_file", path).map_err(Fail::kept)?,
        };
        let how = Mechanism::choose(account.how, &session.offers().logins)
            .ok_or_else(|| self.server.offers_other_logins(&session.offers().logins))?;
        let reply = session.log_in(call, how, &account.user, &password);
        let reply = reply.map_err(|broken| self.broken(session, broken))?;
        match reply.class() {
            Class::Accepted if reply.code / 100 == 2 => Ok(()),
            _ => Err(self.server.refuses_login(&account.user, &reply)),
        }
    }

    /// What it means that a step of opening got no reply.
    pub(crate) fn broken(&self, session: &Session, broken: Broken) -> Fail {
        match broken {
            Broken::NoTime(fail) => fail,
            Broken::NoReply(no_reply) => match session.explain(&no_reply) {
                Some(unreachable) => self.server.hung_up(unreachable),
                None => self.server.speaks_no_smtp(&no_reply),
            },
        }
    }
}

/// The machine's name, if it is one that a mail server takes: with its domain.
fn host_name() -> Option<String> {
    let system = rustix::system::uname();
    let name = system.nodename().to_str().ok()?;
    (name.contains('.') && is_host_name(name)).then(|| name.to_owned())
}
