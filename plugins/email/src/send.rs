//! Hands a mail to the server: over the connection of the mail before, if that is still fresh, or over a new one.

use std::time::Duration;

use lettre::Address;
use watchpost_sink::{Call, Fail};

use crate::config::Config;
use crate::connector::Connector;
use crate::reply::{Class, Reply};
use crate::session::{Broken, Handed, Session};

/// How long a connection is kept for the next mail. Servers close idle ones after some minutes, routers forget them.
const KEEP: Duration = Duration::from_secs(30);

/// After how many tries over which the connection broke in the middle of the mail it is taken to be too large: some
/// servers close the connection instead of saying so.
pub(crate) const MAX_INTERRUPTED: u32 = 2;

/// The way to the server.
pub(crate) struct Sender {
    from: Address,
    connector: Connector,
    kept: Option<Session>,
}

/// Who has been given a mail.
#[derive(Debug, Default)]
pub(crate) struct Recipients {
    /// They have it.
    pub(crate) taken: Vec<Address>,
    /// The server will never take it for these, and says why.
    pub(crate) refused: Vec<(Address, Fail)>,
    /// The server does not take it for these now, and says why.
    pub(crate) deferred: Vec<(Address, Fail)>,
}

/// Why no recipient has been given a mail, as far as it is known.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// The server would take a smaller one.
    TooLarge(Fail),
    /// The server has seen the mail and does not want it.
    Unwanted(Fail),
    /// All of it was sent, and there is no answer: the server may have it.
    Unanswered {
        /// What came instead.
        why: String,
        /// Whether that is the end of the connection.
        closed: bool,
    },
    /// Everything else.
    Failed(Fail),
}

impl From<Fail> for NotSent {
    fn from(fail: Fail) -> Self {
        Self::Failed(fail)
    }
}

impl Sender {
    /// Reads what sending takes; nothing is connected to.
    ///
    /// # Errors
    /// See [`Connector::new`].
    pub(crate) fn new(config: &Config) -> Result<Self, Fail> {
        Ok(Self {
            from: config.from.0.email.clone(),
            connector: Connector::new(config)?,
            kept: None,
        })
    }

    /// Sends a mail, as [`crate::mail::compose`] makes it, to as many of `recipients` as the server takes it for.
    ///
    /// # Errors
    /// No recipient has it, or it is not known.
    pub(crate) fn send(
        &mut self,
        mail: &str,
        recipients: &[Address],
        call: &Call<'_>,
    ) -> Result<Recipients, NotSent> {
        let mut session = self.session(call)?;
        if let Err(not_sent) = self.begin(&mut session, mail.len(), call) {
            if let NotSent::TooLarge(_) = not_sent {
                // A smaller one follows.
                self.kept = Some(session);
            }
            return Err(not_sent);
        }
        let mut outcome = Recipients::default();
        for address in recipients {
            let reply = session.say(call, format_args!("RCPT TO:<{address}>"));
            let reply = reply.map_err(|broken| self.connector.broken(&session, broken))?;
            match reply.class() {
                // The size was said with the sender, and some servers think of it only now.
                _ if reply.is_too_large() => {
                    let fail = self.connector.server().refuses_mail(&reply);
                    self.kept = Some(session);
                    return Err(NotSent::TooLarge(fail));
                }
                Class::Accepted => outcome.taken.push(address.clone()),
                Class::Passing if reply.code == 421 => {
                    return Err(self.refuses_recipient(address, &reply).into());
                }
                Class::Passing => outcome
                    .deferred
                    .push((address.clone(), self.refuses_recipient(address, &reply))),
                Class::Refused => outcome
                    .refused
                    .push((address.clone(), self.refuses_recipient(address, &reply))),
            }
        }
        if outcome.taken.is_empty() {
            // Nothing was handed over, so there is nothing to take back but the envelope.
            if session.say(call, "RSET").is_ok() {
                self.kept = Some(session);
            }
            return Ok(outcome);
        }
        self.hand_over(session, mail, call)?;
        Ok(outcome)
    }

    /// Tries everything but a mail, over a new connection.
    ///
    /// # Errors
    /// The server is not there, or does not let this sender in.
    pub(crate) fn probe(&mut self, call: &Call<'_>) -> Result<(), Fail> {
        self.close();
        let mut session = self.connector.open(call)?;
        let sender = self.say_sender(&mut session, None, call);
        self.accepted(&session, sender)?;
        let reset = session.say(call, "RSET");
        reset.map_err(|broken| self.connector.broken(&session, broken))?;
        self.kept = Some(session);
        Ok(())
    }

    /// Ends the kept connection.
    pub(crate) fn close(&mut self) {
        if let Some(session) = self.kept.take() {
            session.close();
        }
    }

    /// A connection over which no mail has been begun.
    fn session(&mut self, call: &Call<'_>) -> Result<Session, NotSent> {
        if let Some(mut session) = self.kept.take().filter(|kept| kept.used.elapsed() < KEEP)
            && session.is_idle()
            // The server may have closed it in the meantime, or take no more mails over it.
            && session.say(call, "RSET").is_ok_and(|reply| reply.class() == Class::Accepted)
        {
            return Ok(session);
        }
        Ok(self.connector.open(call)?)
    }

    /// Begins a mail of so many bytes, if the server takes mails of that size.
    fn begin(&self, session: &mut Session, bytes: usize, call: &Call<'_>) -> Result<(), NotSent> {
        let server = self.connector.server();
        if let Some(max) = session.offers().max_bytes.filter(|max| bytes > *max) {
            return Err(NotSent::TooLarge(Fail::permanent(format_args!(
                "{} takes mails of up to {max} bytes, and this one has {bytes}",
                server.name
            ))));
        }
        let size = session.offers().knows_size.then_some(bytes);
        let reply = self.say_sender(session, size, call);
        match &reply {
            Ok(reply) if reply.is_too_large() => Err(NotSent::TooLarge(server.refuses_mail(reply))),
            _ => Ok(self.accepted(session, reply)?),
        }
    }

    fn say_sender(
        &self,
        session: &mut Session,
        bytes: Option<usize>,
        call: &Call<'_>,
    ) -> Result<Reply, Broken> {
        let from = &self.from;
        match bytes {
            None => session.say(call, format_args!("MAIL FROM:<{from}>")),
            Some(bytes) => {
                let reply = session.say(call, format_args!("MAIL FROM:<{from}> SIZE={bytes}"))?;
                // It says that it knows the parameter, and then does not.
                if matches!(reply.code, 501 | 555) {
                    return session.say(call, format_args!("MAIL FROM:<{from}>"));
                }
                Ok(reply)
            }
        }
    }

    fn accepted(&self, session: &Session, reply: Result<Reply, Broken>) -> Result<(), Fail> {
        let reply = reply.map_err(|broken| self.connector.broken(session, broken))?;
        match reply.class() {
            Class::Accepted => Ok(()),
            _ => Err(self.connector.server().refuses_sender(&self.from, &reply)),
        }
    }

    fn hand_over(&mut self, mut session: Session, mail: &str, call: &Call<'_>) -> Result<(), NotSent> {
        let server = self.connector.server();
        let reply = session.begin_data(call);
        let reply = reply.map_err(|broken| self.connector.broken(&session, broken))?;
        match reply.class() {
            Class::Accepted => {}
            _ if reply.is_too_large() => return Err(NotSent::TooLarge(server.refuses_mail(&reply))),
            _ => return Err(server.refuses_data(&reply).into()),
        }
        let handed = session.hand_over(call, mail);
        let handed = handed.map_err(|broken| self.connector.broken(&session, broken))?;
        match handed {
            Handed::Answered(reply) if reply.code / 100 == 2 => {
                self.kept = Some(session);
                Ok(())
            }
            Handed::Answered(reply) if reply.class() == Class::Accepted => Err(NotSent::Unanswered {
                why: format!("{} answered {reply}", server.name),
                closed: false,
            }),
            Handed::Answered(reply) => {
                let fail = server.refuses_mail(&reply);
                let not_sent = match reply.class() {
                    _ if reply.is_too_large() => NotSent::TooLarge(fail),
                    Class::Refused if fail.outcome() == watchpost_sink::Outcome::Permanent => {
                        NotSent::Unwanted(fail)
                    }
                    _ => NotSent::Failed(fail),
                };
                session.close();
                Err(not_sent)
            }
            Handed::Unanswered(why) => Err(NotSent::Unanswered {
                closed: why.is_closed(),
                why: format!("{}: {why}", server.name),
            }),
            Handed::Interrupted(why) => {
                let fail = Fail::retry(format_args!(
                    "{} closed the connection in the middle of the mail: {why}",
                    server.name
                ));
                Err(if call.attempt() > MAX_INTERRUPTED {
                    NotSent::TooLarge(fail)
                } else {
                    NotSent::Failed(fail)
                })
            }
        }
    }

    fn refuses_recipient(&self, address: &Address, reply: &Reply) -> Fail {
        self.connector.server().refuses_recipient(address, reply)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.close();
    }
}
