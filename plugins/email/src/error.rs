//! What it means when the server cannot be reached, or says no, and which key may be to blame.
//!
//! Whatever is refused before the mail itself has been seen has nothing to do with the alert, so the alert is always kept.

use std::time::Duration;

use lettre::Address;
use watchpost_sink::Fail;
use watchpost_sink::net::{Cause, Unreachable};

use crate::config::{Config, Security};
use crate::reply::{Class, NoReply, Reply};

/// How long to wait before the next try with a password that was refused: servers lock those out who hurry.
const AFTER_REFUSED_LOGIN: Duration = Duration::from_secs(300);

/// The mail server, as messages name it.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    /// The key that holds the password, as a JSON pointer.
    password_key: &'static str,
}

impl Server {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            name: config.server.clone(),
            port: config.port,
            security: config.security,
            password_key: match config.password_file {
                Some(_) => "/password_file",
                None => "/password",
            },
        }
    }

    /// It is not reached, or not trusted.
    pub(crate) fn unreachable(&self, why: Unreachable) -> Fail {
        why.into_fail(|cause| match cause {
            Cause::NotTls => Some("/security"),
            Cause::Authority | Cause::Certificate => Some("/ca_file"),
            Cause::OtherName => Some("/server"),
            _ => None,
        })
    }

    /// It closed the connection, or was silent, where it should have spoken.
    pub(crate) fn hung_up(&self, why: Unreachable) -> Fail {
        let hint = match (self.security, why.cause()) {
            (Security::Starttls, Cause::Broken | Cause::Silent) => {
                "; if it expects encryption at once, set security = \"tls\""
            }
            _ => return self.unreachable(why),
        };
        Fail::retry(format_args!("{why}{hint}"))
    }

    /// What answers is no mail server.
    pub(crate) fn speaks_no_smtp(&self, said: &NoReply) -> Fail {
        let (name, port) = (&self.name, self.port);
        Fail::misconfigured(
            "/port",
            format_args!("{name} speaks no SMTP on port {port}; {said}; look at port and security"),
        )
    }

    /// The greeting is a refusal.
    pub(crate) fn no_service(&self, reply: &Reply) -> Fail {
        let name = &self.name;
        match reply.class() {
            Class::Passing => Fail::retry(format_args!("{name} takes no mail now: {reply}")),
            _ => Fail::misconfigured(
                "/server",
                format_args!("{name} takes no mail from this machine: {reply}"),
            ),
        }
    }

    /// The name that this machine calls itself by is refused.
    pub(crate) fn refuses_name(&self, name: &str, reply: &Reply) -> Fail {
        let server = &self.name;
        match reply.class() {
            Class::Passing => Fail::retry(format_args!(
                "{server} does not accept the name {name} now: {reply}"
            )),
            _ => Fail::misconfigured(
                "/ehlo_name",
                format_args!(
                    "{server} does not accept that this machine calls itself {name}: {reply}; set ehlo_name"
                ),
            ),
        }
    }

    /// It cannot encrypt, or not now.
    pub(crate) fn offers_no_encryption(&self, reply: Option<&Reply>) -> Fail {
        let (name, port) = (&self.name, self.port);
        match reply {
            Some(reply) if reply.class() == Class::Passing => {
                Fail::retry(format_args!("{name} does not encrypt now: {reply}"))
            }
            _ => Fail::misconfigured(
                "/security",
                format_args!(
                    "{name} offers no STARTTLS on port {port}; try security = \"tls\" with port 465"
                ),
            ),
        }
    }

    /// It offers other kinds of login, or none.
    pub(crate) fn offers_other_logins(&self, offered: &[String]) -> Fail {
        let name = &self.name;
        let offered = match offered {
            [] => "it offers none; leave out user and password".to_owned(),
            some => format!("it offers {}", some.join(", ").to_ascii_lowercase()),
        };
        Fail::misconfigured(
            "/login",
            format_args!("{name} does not offer this kind of login: {offered}"),
        )
    }

    /// It does not let this user in, or not now.
    pub(crate) fn refuses_login(&self, user: &str, reply: &Reply) -> Fail {
        let name = &self.name;
        match (reply.class(), reply.code) {
            (Class::Passing, code) if code != 432 => {
                Fail::retry(format_args!("{name} does not let {user} in now: {reply}"))
            }
            (_, 504) => Fail::misconfigured(
                "/login",
                format_args!("{name} does not know this kind of login: {reply}; set another login"),
            ),
            _ => Fail::misconfigured(
                self.password_key,
                format_args!("{name} refuses the login of {user}: {reply}; correct user and password"),
            )
            .after(AFTER_REFUSED_LOGIN),
        }
    }

    /// It does not take mails from this sender.
    pub(crate) fn refuses_sender(&self, from: &Address, reply: &Reply) -> Fail {
        let name = &self.name;
        self.refused_early(
            reply,
            "/from",
            format_args!("{name} takes no mail from {from}: {reply}"),
        )
    }

    /// It takes mails for none of the recipients.
    pub(crate) fn refuses_recipient(&self, to: &Address, reply: &Reply) -> Fail {
        let name = &self.name;
        if reply.is_mailbox_full() {
            return Fail::misconfigured("/to", format_args!("the mailbox of {to} is full: {reply}"))
                .after(AFTER_REFUSED_LOGIN);
        }
        self.refused_early(
            reply,
            "/to",
            format_args!("{name} takes no mail for {to}: {reply}"),
        )
    }

    /// It does not want a mail begun.
    pub(crate) fn refuses_data(&self, reply: &Reply) -> Fail {
        let name = &self.name;
        self.refused_early(reply, "", format_args!("{name} takes no mail: {reply}"))
    }

    /// It has seen the mail and does not take it.
    pub(crate) fn refuses_mail(&self, reply: &Reply) -> Fail {
        let name = &self.name;
        match reply.class() {
            _ if reply.is_mailbox_full() => {
                Fail::misconfigured("/to", format_args!("a mailbox is full: {reply}"))
                    .after(AFTER_REFUSED_LOGIN)
            }
            Class::Passing => Fail::retry(format_args!("{name} does not take the mail now: {reply}")),
            _ => match reply.code {
                530 | 534 | 535 | 538 => self.wants_login(reply),
                _ => Fail::permanent(format_args!("{name} refuses the mail: {reply}")),
            },
        }
    }

    /// A refusal before the mail was seen, for which `key` is to blame if the code names no other.
    fn refused_early(&self, reply: &Reply, key: &str, why: std::fmt::Arguments<'_>) -> Fail {
        match (reply.class(), reply.code) {
            (Class::Passing, _) => Fail::retry(why),
            // Some servers say what they think of EHLO only here.
            (_, 504) => Fail::misconfigured(
                "/ehlo_name",
                format_args!("{why}; set ehlo_name to a name with its domain"),
            ),
            (_, 530 | 534 | 535 | 538) => self.wants_login(reply),
            _ => Fail::misconfigured(key, why),
        }
    }

    fn wants_login(&self, reply: &Reply) -> Fail {
        let name = &self.name;
        Fail::misconfigured(
            "/user",
            format_args!("{name} wants a login: {reply}; set user and password"),
        )
        .after(AFTER_REFUSED_LOGIN)
    }
}
