//! Hands a mail to the server: over the connection of the mail before, if that is still fresh, or over a new one.

use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::commands::{Data, Mail, Noop, Rcpt, Rset};
use watchpost_sink::{Call, Fail};

use crate::config::Config;
use crate::link::{Door, Link};
use crate::trouble::{Refusal, Trouble};

/// How long a connection is kept for the next mail. Servers close idle ones after some minutes, routers forget them.
const KEEP: Duration = Duration::from_secs(30);

/// The way to the server.
pub(crate) struct Sender {
    server: String,
    from: Address,
    door: Door,
    kept: Option<Link>,
}

/// Who has been given a mail.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    /// They have it.
    pub(crate) taken: Vec<Address>,
    /// The server will never take it for these, and says why.
    pub(crate) never: Vec<(Address, Fail)>,
    /// The server does not take it for these now, and says why.
    pub(crate) later: Vec<(Address, Fail)>,
}

/// Why nobody has been given a mail.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// The server would take a smaller one.
    TooLarge(Fail),
    /// Everything else.
    Failed(Fail),
}

impl From<NotSent> for Fail {
    fn from(not_sent: NotSent) -> Self {
        let (NotSent::TooLarge(fail) | NotSent::Failed(fail)) = not_sent;
        fail
    }
}

impl From<Trouble> for NotSent {
    fn from(trouble: Trouble) -> Self {
        Self::Failed(trouble.into())
    }
}

impl Sender {
    /// Reads what sending takes; nothing is connected to.
    ///
    /// # Errors
    /// See [`Door::new`].
    pub(crate) fn new(config: &Config) -> Result<Self, Fail> {
        Ok(Self {
            server: config.server.clone(),
            from: config.from.0.email.clone(),
            door: Door::new(config)?,
            kept: None,
        })
    }

    /// Sends a mail, as [`crate::mail::compose`] makes it, to as many of `recipients` as the server takes it for.
    ///
    /// # Errors
    /// Nobody has it, or nobody knows: the connection may have broken before the server's last word.
    pub(crate) fn send(
        &mut self,
        mail: &str,
        recipients: &[Address],
        call: &Call<'_>,
    ) -> Result<Receipt, NotSent> {
        let mut link = self.begin(call)?;
        let mut receipt = Receipt::default();
        for address in recipients {
            match link.say(call, Rcpt::new(address.clone(), Vec::new())) {
                Ok(()) => receipt.taken.push(address.clone()),
                Err(refusal) if refusal.is_answer() => {
                    let list = if refusal.is_permanent() {
                        &mut receipt.never
                    } else {
                        &mut receipt.later
                    };
                    list.push((address.clone(), refusal.into_fail(&self.server)));
                }
                Err(refusal) => return Err(self.failed(link, refusal)),
            }
        }
        let handed = if receipt.taken.is_empty() {
            link.say(call, Rset)
        } else {
            link.say(call, Data).and_then(|()| link.say(call, mail))
        };
        if let Err(refusal) = handed {
            return Err(self.failed(link, refusal));
        }
        self.kept = Some(link);
        Ok(receipt)
    }

    /// Tries everything but a mail, over a new connection.
    ///
    /// # Errors
    /// The server is not there, or does not let this sender in.
    pub(crate) fn probe(&mut self, call: &Call<'_>) -> Result<(), Fail> {
        self.close();
        let mut link = self.door.open(call).map_err(Trouble::into_probe)?;
        let tried = link.say(call, Noop).and_then(|()| {
            link.say(call, Mail::new(Some(self.from.clone()), Vec::new()))?;
            link.say(call, Rset)
        });
        match tried {
            Ok(()) => {
                self.kept = Some(link);
                Ok(())
            }
            Err(refusal) => Err(self.failed(link, refusal).into()),
        }
    }

    /// Ends the kept connection.
    pub(crate) fn close(&mut self) {
        if let Some(link) = self.kept.take() {
            link.close();
        }
    }

    /// A connection on which a mail has been begun.
    fn begin(&mut self, call: &Call<'_>) -> Result<Link, NotSent> {
        let mail = || Mail::new(Some(self.from.clone()), Vec::new());
        if let Some(mut link) = self.kept.take().filter(|link| link.used.elapsed() < KEEP) {
            // The server may have closed it in the meantime, or take no more mails over it.
            if link.say(call, mail()).is_ok() {
                return Ok(link);
            }
        }
        let mut link = self.door.open(call)?;
        match link.say(call, mail()) {
            Ok(()) => Ok(link),
            Err(refusal) => Err(self.failed(link, refusal)),
        }
    }

    /// Ends a connection in the middle of a mail.
    fn failed(&self, link: Link, refusal: Refusal) -> NotSent {
        if refusal.is_answer() {
            link.close();
        }
        let as_what = if refusal.is_too_large() {
            NotSent::TooLarge
        } else {
            NotSent::Failed
        };
        as_what(refusal.into_fail(&self.server))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.close();
    }
}
