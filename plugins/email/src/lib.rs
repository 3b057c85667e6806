//! The email sink: sends every alert as a mail with its picture.
//!
//! It knows nothing of backends and other sinks. What a mail says is what the site's templates make of an alert.

mod config;
mod link;
mod mail;
mod send;
mod trouble;

use std::collections::BTreeMap;

use lettre::Address;
use watchpost_sink::{Alert, Call, Description, Fail, Host, Level, Needs, Sink, export_sink};

use crate::config::Config;
use crate::send::{NotSent, Receipt, Sender};

/// How many alerts are remembered that only some of their recipients have.
const MAX_UNFINISHED: usize = 256;

/// One mail account.
struct Email {
    config: Config,
    host: Host,
    sender: Sender,
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
            unfinished: BTreeMap::new(),
            config,
        })
    }

    fn deliver(&mut self, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail> {
        let mut done = self.unfinished.remove(alert.id()).unwrap_or_default();
        let mut open = self.config.recipients();
        open.retain(|address| !done.contains(address));
        let mut receipt = match self.send(alert, &open, call) {
            Ok(receipt) => receipt,
            Err(fail) => {
                self.remember(alert.id(), done);
                return Err(fail);
            }
        };
        done.append(&mut receipt.taken);
        if receipt.later.is_empty() && done.is_empty() {
            let first = receipt.never.pop().map(|(_, fail)| fail);
            return Err(first.unwrap_or_else(|| Fail::permanent("there is nobody to send it to")));
        }
        for (address, fail) in receipt.never {
            let line = format_args!("{address} does not get alert {}: {fail}", alert.id());
            self.host.log(Level::Warn, line);
            done.push(address);
        }
        let Some((_, fail)) = receipt.later.pop() else {
            return Ok(());
        };
        self.remember(alert.id(), done);
        Err(fail)
    }

    fn probe(&mut self, call: &Call<'_>) -> Result<(), Fail> {
        self.sender.probe(call)
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
    fn send(&mut self, alert: &Alert<'_>, to: &[Address], call: &Call<'_>) -> Result<Receipt, Fail> {
        let mut picture = self.config.picture;
        loop {
            let mail = mail::compose(&self.config, picture, self.host.instance(), alert)?;
            match (self.sender.send(&mail, to, call), picture.less()) {
                (Err(NotSent::TooLarge(_)), Some(less)) if !alert.frames().is_empty() => picture = less,
                (sent, _) => return Ok(sent?),
            }
        }
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
