//! A conversation with a mail server: greeting, encryption, login, and the commands that hand over a mail (RFC 5321).
//!
//! It knows nothing of mails and of what a refusal means for an alert.

use std::fmt;
use std::io::{BufReader, Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64_simd::STANDARD;
use rustls::ClientConfig;
use watchpost_sink::net::{Stream, Unreachable, Wait};
use watchpost_sink::{Call, Fail};

use crate::config::Mechanism;
use crate::reply::{Class, NoReply, Reply};

/// How much of a mail is written at a time, in bytes.
const BLOCK_BYTES: usize = 64 << 10;

/// How long the farewell may take: whether it is heard or not, the connection is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long to wait for a reply after the server has closed its side in the middle of a mail.
const LAST_WORD: Duration = Duration::from_secs(2);

/// How long a server may take for each of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waits {
    /// For the greeting, and for the answer to a command.
    pub(crate) command: Duration,
    /// For the answer to `DATA`.
    pub(crate) data: Duration,
    /// For taking a block of the mail.
    pub(crate) block: Duration,
    /// For the answer to the end of the mail.
    pub(crate) end: Duration,
}

impl Waits {
    /// What RFC 5321 wants in section 4.5.3.2, and why: a server that is hurried at the end has taken the mail, and gets
    /// it again.
    pub(crate) const STANDARD: Self = Self {
        command: Duration::from_secs(300),
        data: Duration::from_secs(120),
        block: Duration::from_secs(180),
        end: Duration::from_secs(600),
    };

    /// The same time for each.
    pub(crate) fn each(time: Duration) -> Self {
        Self {
            command: time,
            data: time,
            block: time,
            end: time,
        }
    }
}

/// Why a step was not done.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection broke, or something came that is no reply.
    NoReply(NoReply),
    /// Before the step could begin: the call was cancelled, or has no time left.
    NoTime(Fail),
}

impl From<NoReply> for Broken {
    fn from(no_reply: NoReply) -> Self {
        Self::NoReply(no_reply)
    }
}

/// What became of a mail that was begun to be handed over.
#[derive(Debug)]
pub(crate) enum Handed {
    /// The server has answered, for or against it.
    Answered(Reply),
    /// All of it was sent, and nothing that came back is an answer.
    Unanswered(NoReply),
    /// The connection broke before all of it was sent.
    Interrupted(NoReply),
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Session {
    stream: BufReader<Stream>,
    /// When it was last of use.
    pub(crate) used: Instant,
    waits: Waits,
    offers: Offers,
}

/// What a server says of itself in answer to EHLO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offers {
    /// It encrypts on demand.
    pub(crate) starttls: bool,
    /// It knows the parameter SIZE.
    pub(crate) knows_size: bool,
    /// The largest mail that it takes, in bytes.
    pub(crate) max_bytes: Option<usize>,
    /// Kinds of login, in capitals.
    pub(crate) logins: Vec<String>,
}

impl Session {
    /// Takes over a connection of which nothing has been read.
    pub(crate) fn new(stream: Stream, waits: Waits) -> Self {
        Self {
            stream: BufReader::new(stream),
            used: Instant::now(),
            waits,
            offers: Offers::default(),
        }
    }

    /// What the server said of itself last.
    pub(crate) fn offers(&self) -> &Offers {
        &self.offers
    }

    /// Reads the greeting.
    pub(crate) fn greeting(&mut self, call: &Call<'_>) -> Result<Reply, Broken> {
        self.limit(call, self.waits.command)?;
        Ok(Reply::read(&mut self.stream)?)
    }

    /// Says who we are, and reads what the server offers.
    pub(crate) fn hello(&mut self, call: &Call<'_>, name: &str) -> Result<Reply, Broken> {
        let reply = self.say(call, format_args!("EHLO {name}"))?;
        if matches!(reply.code, 500 | 502) {
            // Older than 1995: it offers nothing.
            return self.say(call, format_args!("HELO {name}"));
        }
        self.offers = Offers::read(&reply);
        Ok(reply)
    }

    /// Encrypts, after the server has said that it is ready.
    pub(crate) fn encrypt(self, config: Arc<ClientConfig>) -> Result<Self, Unreachable> {
        // What was read before encryption began is not to be trusted: it is dropped with the buffer.
        let stream = self.stream.into_inner().encrypt(config)?;
        Ok(Self::new(stream, self.waits))
    }

    /// Logs in.
    pub(crate) fn log_in(
        &mut self,
        call: &Call<'_>,
        how: Mechanism,
        user: &str,
        password: &str,
    ) -> Result<Reply, Broken> {
        let encode = |text: &str| STANDARD.encode_to_string(text);
        match how {
            Mechanism::Plain => {
                let both = encode(&format!("\0{user}\0{password}"));
                self.say(call, format_args!("AUTH PLAIN {both}"))
            }
            Mechanism::Login => {
                let mut reply = self.say(call, "AUTH LOGIN")?;
                for text in [user, password] {
                    if reply.code != 334 {
                        break;
                    }
                    reply = self.say(call, encode(text))?;
                }
                Ok(reply)
            }
            Mechanism::Xoauth2 => {
                let token = encode(&format!("user={user}\x01auth=Bearer {password}\x01\x01"));
                let reply = self.say(call, format_args!("AUTH XOAUTH2 {token}"))?;
                match reply.code {
                    // It says in a document why not, and refuses after an empty line.
                    334 => self.say(call, ""),
                    _ => Ok(reply),
                }
            }
        }
    }

    /// Says a command and reads the reply.
    pub(crate) fn say(&mut self, call: &Call<'_>, command: impl fmt::Display) -> Result<Reply, Broken> {
        let wait = self.waits.command;
        self.say_and_wait(call, command, wait)
    }

    /// Hands over a mail, as [`crate::mail::compose`] makes it, after `DATA` was accepted.
    pub(crate) fn hand_over(&mut self, call: &Call<'_>, mail: &str) -> Result<Handed, Broken> {
        for block in mail.as_bytes().chunks(BLOCK_BYTES) {
            self.limit(call, self.waits.block)?;
            let stream = self.stream.get_mut();
            if let Err(error) = stream.write_all(block).and_then(|()| stream.flush()) {
                return Ok(self.last_word(NoReply::Io(error)));
            }
        }
        let end = match call.wait(self.waits.end) {
            Ok(wait) => wait,
            Err(fail) => return Ok(Handed::Unanswered(NoReply::Unreadable(fail.to_string()))),
        };
        self.stream.get_mut().set_wait(end);
        Ok(match Reply::read(&mut self.stream) {
            Ok(reply) => {
                self.used = Instant::now();
                Handed::Answered(reply)
            }
            Err(no_reply) => Handed::Unanswered(no_reply),
        })
    }

    /// Says `DATA`.
    pub(crate) fn begin_data(&mut self, call: &Call<'_>) -> Result<Reply, Broken> {
        let wait = self.waits.data;
        self.say_and_wait(call, "DATA", wait)
    }

    /// Whether it can be used for another mail.
    pub(crate) fn is_idle(&self) -> bool {
        self.stream.buffer().is_empty() && self.stream.get_ref().is_idle()
    }

    /// Says goodbye, without waiting long for an answer.
    pub(crate) fn close(mut self) {
        let stream = self.stream.get_mut();
        stream.set_wait(Wait::of(FAREWELL));
        if stream
            .write_all(b"QUIT\r\n")
            .and_then(|()| stream.flush())
            .is_ok()
        {
            let _ = self.stream.read(&mut [0; 64]);
        }
    }

    /// What an error of the connection means.
    pub(crate) fn explain(&self, no_reply: &NoReply) -> Option<Unreachable> {
        match no_reply {
            NoReply::Io(error) => Some(self.stream.get_ref().explain(error)),
            NoReply::Unreadable(_) => None,
        }
    }

    /// The address that this machine has on the connection, as RFC 5321 writes it in place of a name.
    pub(crate) fn own_address(&self) -> String {
        match self.stream.get_ref().local_addr().map(|address| address.ip()) {
            Ok(std::net::IpAddr::V4(ip)) => format!("[{ip}]"),
            Ok(std::net::IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
            Err(_) => "[127.0.0.1]".to_owned(),
        }
    }

    fn say_and_wait(
        &mut self,
        call: &Call<'_>,
        command: impl fmt::Display,
        wait: Duration,
    ) -> Result<Reply, Broken> {
        self.limit(call, wait)?;
        let stream = self.stream.get_mut();
        let line = format!("{command}\r\n");
        stream
            .write_all(line.as_bytes())
            .and_then(|()| stream.flush())
            .map_err(NoReply::Io)?;
        let reply = Reply::read(&mut self.stream)?;
        self.used = Instant::now();
        Ok(reply)
    }

    /// A server that has had enough says why before it closes the connection.
    fn last_word(&mut self, broken: NoReply) -> Handed {
        self.stream.get_mut().set_wait(Wait::of(LAST_WORD));
        match Reply::read(&mut self.stream) {
            Ok(reply) if reply.class() != Class::Accepted => Handed::Answered(reply),
            _ => Handed::Interrupted(broken),
        }
    }

    fn limit(&mut self, call: &Call<'_>, time: Duration) -> Result<(), Broken> {
        let wait = call.wait(time).map_err(Broken::NoTime)?;
        self.stream.get_mut().set_wait(wait);
        Ok(())
    }
}

impl Offers {
    fn read(reply: &Reply) -> Self {
        let mut offers = Self::default();
        for line in reply.lines.iter().skip(1) {
            // Some write `AUTH=PLAIN`, as an old draft had it.
            let line = line.replace('=', " ").to_ascii_uppercase();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("STARTTLS") => offers.starttls = true,
                Some("SIZE") => {
                    offers.knows_size = true;
                    // Zero: no limit (RFC 1870, section 4).
                    let max = words.next().and_then(|number| number.parse().ok());
                    offers.max_bytes = max.filter(|max| *max > 0);
                }
                Some("AUTH") => offers.logins.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_are_those_of_the_standard() {
        // RFC 5321, sections 4.5.3.2.1 to 4.5.3.2.6.
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let Waits {
            command,
            data,
            block,
            end,
        } = Waits::STANDARD;
        assert_eq!(
            [command, data, block, end],
            [minutes(5), minutes(2), minutes(3), minutes(10)]
        );
    }

    #[test]
    fn what_a_server_offers_is_read_in_any_writing() {
        let reply = Reply {
            code: 250,
            lines: [
                "mail.example",
                "SIZE 100000",
                "auth=LOGIN Plain",
                "StartTLS",
                "AUTH XOAUTH2",
            ]
            .map(String::from)
            .to_vec(),
        };
        let offers = Offers::read(&reply);
        assert_eq!(offers.max_bytes, Some(100_000));
        assert!(offers.starttls);
        assert_eq!(offers.logins, ["LOGIN", "PLAIN", "XOAUTH2"]);
        let endless = Reply {
            code: 250,
            lines: vec!["SIZE 5".into(), "SIZE 0".into()],
        };
        assert_eq!(Offers::read(&endless).max_bytes, None);
    }
}
