//! A mail server that misbehaves as the test says: late, mute, unreadable, or gone in the middle of a mail.
//!
//! What a polite server does is `SmtpServer`'s to show. Nothing here knows what a mail says.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

/// The largest mail that is taken, in bytes.
const MAX_MAIL_BYTES: usize = 64 << 20;

/// What the server does at one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmtpAnswer {
    /// What a polite server would.
    Usual,
    /// Sends this, which may be no reply at all; a line end is added.
    Say(Vec<u8>),
    /// Sends this as it is and closes the connection.
    SayAndClose(Vec<u8>),
    /// Sends nothing, and keeps the connection until the client closes it.
    Silent,
    /// Closes the connection.
    Close,
}

impl SmtpAnswer {
    /// Sends this line.
    #[must_use]
    pub fn say(line: &str) -> Self {
        Self::Say(line.as_bytes().to_vec())
    }
}

/// A running server on a free port of the loopback interface. Dropping it ends it.
///
/// The script is asked at each step: with `""` for the greeting, the line of a command such as `EHLO name`, and `"."` when
/// a whole mail has been read.
pub struct ScriptedSmtp {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

type Script = Box<dyn FnMut(&str) -> SmtpAnswer + Send>;

struct Shared {
    state: Mutex<State>,
}

struct State {
    script: Script,
    /// After so many bytes of a mail the connection is reset.
    reset_beyond: usize,
    commands: Vec<String>,
    mails: Vec<Vec<u8>>,
    open: Vec<TcpStream>,
    stopped: bool,
}

impl ScriptedSmtp {
    /// Starts one that is polite.
    pub fn start() -> Result<Self> {
        Self::with(|_| SmtpAnswer::Usual)
    }

    /// Starts one with a script.
    pub fn with(script: impl FnMut(&str) -> SmtpAnswer + Send + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                script: Box::new(script),
                reset_beyond: MAX_MAIL_BYTES,
                commands: Vec::new(),
                mails: Vec::new(),
                open: Vec::new(),
                stopped: false,
            }),
        });
        let listening = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || listen(&listener, &shared)
        });
        Ok(Self {
            address,
            shared,
            listening: Some(listening),
        })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on it resets the connection when a mail has more bytes than this.
    pub fn reset_beyond(&self, bytes: usize) {
        self.shared.lock().reset_beyond = bytes;
    }

    /// From now on it does what this script says.
    pub fn script(&self, script: impl FnMut(&str) -> SmtpAnswer + Send + 'static) {
        self.shared.lock().script = Box::new(script);
    }

    /// The whole mails that it has read so far, whatever it answered.
    #[must_use]
    pub fn mails(&self) -> Vec<Vec<u8>> {
        self.shared.lock().mails.clone()
    }

    /// The commands so far.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.shared.lock().commands.clone()
    }
}

impl Drop for ScriptedSmtp {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        // The listener waits for a connection, so it gets one.
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
        for open in self.shared.lock().open.drain(..) {
            drop(open.shutdown(Shutdown::Both));
        }
        if let Some(listening) = self.listening.take() {
            drop(listening.join());
        }
    }
}

impl std::fmt::Debug for ScriptedSmtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedSmtp")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, step: &str) -> Vec<u8> {
        match step.split([' ', ':']).next().unwrap_or_default() {
            "" => b"220 mail.example ready".to_vec(),
            "EHLO" => b"250-mail.example\r\n250 8BITMIME".to_vec(),
            "DATA" => b"354 go on".to_vec(),
            "QUIT" => b"221 bye".to_vec(),
            _ => b"250 fine".to_vec(),
        }
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let mut state = shared.lock();
        if state.stopped {
            return;
        }
        state.open.extend(stream.try_clone().ok());
        drop(state);
        let shared = Arc::clone(shared);
        // A connection that breaks is part of the play.
        std::thread::spawn(move || drop(serve(&shared, stream)));
    }
}

fn serve(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut step = String::new();
    loop {
        let answer = (shared.lock().script)(&step);
        let sent = match answer {
            SmtpAnswer::Usual => shared.answer(&step),
            SmtpAnswer::Say(bytes) => bytes,
            SmtpAnswer::SayAndClose(bytes) => {
                (&stream).write_all(&bytes)?;
                return stream.shutdown(Shutdown::Both);
            }
            SmtpAnswer::Close => return stream.shutdown(Shutdown::Both),
            SmtpAnswer::Silent => {
                io::copy(&mut reader, &mut io::sink())?;
                return Ok(());
            }
        };
        (&stream).write_all(&[&sent, &b"\r\n"[..]].concat())?;
        if step == "DATA" && sent.starts_with(b"354") {
            let Some(mail) = read_mail(shared, &mut reader)? else {
                // What comes after that is answered with a reset.
                return stream.shutdown(Shutdown::Both);
            };
            shared.lock().mails.push(mail);
            step = ".".to_owned();
            continue;
        }
        step.clear();
        if reader.read_line(&mut step)? == 0 {
            return Ok(());
        }
        step.truncate(step.trim_end().len());
        shared.lock().commands.push(step.clone());
    }
}

/// A mail up to the line with a single dot, or nothing if it is too large.
fn read_mail(shared: &Shared, reader: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let limit = shared.lock().reset_beyond;
    let mut mail = Vec::new();
    loop {
        let at = mail.len();
        let room = u64::try_from(limit.saturating_sub(at) + 1).unwrap_or(u64::MAX);
        if reader.take(room).read_until(b'\n', &mut mail)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if mail.len() > limit {
            return Ok(None);
        }
        if &mail[at..] == b".\r\n" {
            return Ok(Some(mail));
        }
    }
}
