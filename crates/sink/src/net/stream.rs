//! A connection that is read and written with limits on waiting, encrypted or not.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{Cause, Unreachable, Wait, dial};

/// An open connection. Every wait is limited by the [`Wait`] that was set last.
#[derive(Debug)]
pub struct Stream {
    host: String,
    port: u16,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Plain(Timed),
    Encrypted(Box<StreamOwned<ClientConnection, Timed>>),
    /// While it is being encrypted, and for ever if that fails.
    Gone,
}

/// A socket whose reads and writes end with the wait.
#[derive(Debug)]
struct Timed {
    socket: TcpStream,
    wait: Wait,
}

impl Stream {
    /// Connects to the first address of the name that answers.
    ///
    /// # Errors
    /// See [`dial::connect`].
    pub fn connect(host: &str, port: u16, wait: &Wait) -> Result<Self, Unreachable> {
        let socket = dial::connect(host, port, wait)?;
        let wait = wait.clone();
        Ok(Self {
            host: host.to_owned(),
            port,
            kind: Kind::Plain(Timed { socket, wait }),
        })
    }

    /// Encrypts what goes over it from now on.
    ///
    /// # Errors
    /// The server is not trusted, wants a certificate, or speaks no TLS.
    pub fn encrypt(mut self, config: Arc<ClientConfig>) -> Result<Self, Unreachable> {
        let name = server_name(&self.host)?;
        let mut session = ClientConnection::new(config, name)
            .map_err(|error| Unreachable::new(Cause::NotTls, format_args!("no encryption: {error}")))?;
        let Kind::Plain(mut timed) = std::mem::replace(&mut self.kind, Kind::Gone) else {
            return Err(self.explain(&ErrorKind::AlreadyExists.into()));
        };
        while session.is_handshaking() {
            if let Err(error) = session.complete_io(&mut timed) {
                return Err(match error.kind() {
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => Unreachable::new(
                        Cause::NotTls,
                        format_args!(
                            "{} closed the connection when encryption began on port {}",
                            self.host, self.port
                        ),
                    ),
                    _ => self.explain(&error),
                });
            }
        }
        self.kind = Kind::Encrypted(Box::new(StreamOwned::new(session, timed)));
        Ok(self)
    }

    /// Sets the limit of all that follows.
    pub fn set_wait(&mut self, wait: Wait) {
        match &mut self.kind {
            Kind::Plain(timed) => timed.wait = wait,
            Kind::Encrypted(stream) => stream.sock.wait = wait,
            Kind::Gone => {}
        }
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.kind, Kind::Encrypted(_))
    }

    /// Whether the other side has neither closed it nor said anything that was not asked for.
    pub fn is_idle(&self) -> bool {
        let socket = match &self.kind {
            Kind::Plain(timed) => &timed.socket,
            Kind::Encrypted(stream) => &stream.sock.socket,
            Kind::Gone => return false,
        };
        let peeked = socket.set_nonblocking(true).and_then(|()| socket.peek(&mut [0]));
        let idle = matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock);
        socket.set_nonblocking(false).is_ok() && idle
    }

    /// The address that this machine has on it.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.kind {
            Kind::Plain(timed) => timed.socket.local_addr(),
            Kind::Encrypted(stream) => stream.sock.socket.local_addr(),
            Kind::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// What an error of this connection means.
    pub fn explain(&self, error: &io::Error) -> Unreachable {
        Unreachable::from_io(error, &self.host, self.port)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::Plain(timed) => timed.read(buffer),
            Kind::Encrypted(stream) => match stream.read(buffer) {
                // Many servers close without the farewell of TLS; what was said before it is whole all the same where
                // the protocol says so itself, as SMTP and HTTP do.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            },
            Kind::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::Plain(timed) => timed.write(bytes),
            Kind::Encrypted(stream) => stream.write(bytes),
            Kind::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.kind {
            Kind::Plain(timed) => timed.flush(),
            Kind::Encrypted(stream) => stream.flush(),
            Kind::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }
}

impl Timed {
    /// Repeats what a socket does until it is done or the wait is over.
    fn patiently<T>(&mut self, mut act: impl FnMut(&mut TcpStream) -> io::Result<T>) -> io::Result<T> {
        loop {
            let step = Some(self.wait.step()?);
            self.socket.set_read_timeout(step)?;
            self.socket.set_write_timeout(step)?;
            match act(&mut self.socket) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                done => return done,
            }
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.patiently(|socket| socket.read(buffer))
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|socket| socket.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// The name that a server's certificate has to be for.
pub fn server_name(host: &str) -> Result<ServerName<'static>, Unreachable> {
    ServerName::try_from(host.to_owned()).map_err(|_| {
        let why = format_args!("`{host}` is no name that a certificate can be for");
        Unreachable::new(Cause::OtherName, why)
    })
}
