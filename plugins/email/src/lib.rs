//! The email sink: sends every alert as a mail with its picture.
//!
//! It knows nothing of backends and other sinks. What a mail says is what the site's templates make of an alert.

mod config;
mod connector;
mod error;
mod mail;
mod reply;
mod send;
mod session;

use std::collections::BTreeMap;

use lettre::Address;
use watchpost_sink::picture::{Ladder, Limits, Pictures, Refused};
use watchpost_sink::{
    Alert, Call, Description, Fail, Host, Level, Needs, Outcome, Sink, Unanswered, export_sink,
};

use crate::config::{Config, Picture};
use crate::send::{MAX_INTERRUPTED, NotSent, Recipients, Sender};

/// How many alerts are remembered that only some of their recipients have.
const MAX_UNFINISHED: usize = 256;

/// One mail account.
struct Email {
    config: Config,
    host: Host,
    sender: Sender,
    ladder: Ladder,
    unanswered: Unanswered,
    /// Who needs no further try, by the alert's id: so that one address that is refused for the moment does not give
    /// the others the same mail again and again.
    unfinished: BTreeMap<String, Vec<Address>>,
}

impl Sink for Email {
    type Config = Config;

    const PROBES: bool = true;

    fn check(config: &Config) -> Result<(), Fail> {
        config.check()
    }

    fn create(config: Config, host: &Host) -> Result<Self, Fail> {
        Ok(Self {
            sender: Sender::new(&config)?,
            host: host.clone(),
            ladder: Ladder::default(),
            unanswered: Unanswered::load(host),
            unfinished: BTreeMap::new(),
            config,
        })
    }

    fn deliver(&mut self, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
        let mut done = self.unfinished.remove(alert.id()).unwrap_or_default();
        let mut open = self.config.recipients();
        open.retain(|address| !done.contains(address));
        let recipients = match self.send(alert, &open, call) {
            Ok(recipients) => recipients,
            Err(fail) => {
                self.remember(alert.id(), done);
                return Err(fail);
            }
        };
        let Recipients {
            mut taken,
            mut refused,
            mut deferred,
        } = recipients;
        done.append(&mut taken);
        if deferred.is_empty() && done.is_empty() {
            // No recipient at all: that is the configuration's fault, and no reason to lose the alert.
            let first = refused.pop().map(|(_, fail)| fail);
            return Err(first.unwrap_or_else(|| Fail::misconfigured("/to", "there is no recipient")));
        }
        for (address, fail) in refused {
            let line = format_args!("{address} does not get alert {}: {fail}", alert.id());
            self.host.log(Level::Warn, line);
            done.push(address);
        }
        let Some((_, fail)) = deferred.pop() else {
            return Ok(());
        };
        self.remember(alert.id(), done);
        Err(fail)
    }

    fn probe(&mut self, call: &Call<'_>) -> Result<(), Fail> {
        self.sender.probe(call).map_err(|fail| {
            let blamed = fail.notes().find(|(pointer, _)| !pointer.is_empty());
            let blamed = blamed.map(|(pointer, why)| Fail::bad_config(pointer, why));
            blamed.unwrap_or(fail)
        })
    }

    fn description() -> Description {
        let example = watchpost_sink::serde_json::json!({
            "server": "smtp.example.com",
            "port": 587,
            "user": "watchpost@example.com",
            "password_file": "/etc/watchpost/mail-password",
            "from": "Watchpost <watchpost@example.com>",
            "to": ["guard@example.com"],
        });
        let needs = Needs {
            read: vec!["config.ca_file".to_owned(), "config.password_file".to_owned()],
            connect: vec!["config.server:config.port".to_owned()],
            ..Needs::default()
        };
        Description::default().example(example).needs(needs)
    }
}

impl Email {
    /// Sends the alert with as much of its picture as the server takes.
    fn send(&mut self, alert: &Alert<'_>, to: &[Address], call: &Call<'_>) -> Result<Recipients, Fail> {
        let Self {
            config,
            host,
            sender,
            ladder,
            unanswered,
            ..
        } = self;
        let limits = match config.picture {
            Picture::None => Limits::bytes(0),
            _ => Limits::NONE,
        };
        let sent = ladder.send(alert, limits, |pictures| {
            let mut send = |pictures: &Pictures<'_>, place| {
                let mail = mail::compose(config, pictures, place, host.instance(), alert)?;
                sender.send(&mail, to, call)
            };
            let sent = match (send(&pictures, config.picture), config.picture) {
                // Half as large, and shown all the same.
                (Err(NotSent::TooLarge(_)), Picture::Both) if !pictures.list.is_empty() => {
                    send(&pictures, Picture::Inline)
                }
                (sent, _) => sent,
            };
            sent.map_err(|not_sent| match not_sent {
                NotSent::TooLarge(fail) => Refused::TooLarge(fail),
                NotSent::Unwanted(fail) => Refused::Unwanted(fail),
                NotSent::Unanswered { why, closed } => {
                    let fail = unanswered.sent(alert.id(), why);
                    // What is closed again and again is perhaps too much: a small mail is sent before that is known.
                    if closed && call.attempt() > MAX_INTERRUPTED {
                        Refused::Unwanted(fail)
                    } else {
                        Refused::Otherwise(fail)
                    }
                }
                NotSent::Failed(fail) => Refused::Otherwise(fail),
            })
        });
        if !matches!(&sent, Err(fail) if fail.outcome() == Outcome::Retry) {
            unanswered.settled(alert.id());
        }
        sent
    }

    fn remember(&mut self, id: &str, done: Vec<Address>) {
        if done.is_empty() {
            return;
        }
        self.unfinished.insert(id.to_owned(), done);
        if self.unfinished.len() > MAX_UNFINISHED {
            self.unfinished.pop_first();
        }
    }
}

export_sink!(Email, id: "email", name: "Email", summary: "Sends every alert as a mail with its picture.");

#[cfg(test)]
mod tests;
