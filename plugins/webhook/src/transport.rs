//! The bytes below HTTP: the SDK's connections for the HTTP library, and what was seen of an answer.
//!
//! It knows nothing of requests. All waiting is limited by the wait that is set, whatever the library thinks.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use watchpost_sink::net::{Stream, Unreachable, Wait};

use crate::head::{Head, MAX_HEAD_BYTES, find};

/// Buffers of a connection, in bytes.
const BUFFER_BYTES: usize = 16 << 10;

/// What one request and its connection share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    wait: Option<Wait>,
    /// The beginning of the answer.
    answer: Vec<u8>,
    sent: Sent,
}

/// How much of a request was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Nothing, as far as is known.
    #[default]
    Nothing,
    /// A part, and then the connection broke.
    Part,
    /// All of it.
    All,
}

impl Exchange {
    /// Begins a request, which may take this long.
    pub(crate) fn begin(&self, wait: Wait) {
        *self.lock() = State {
            wait: Some(wait),
            ..State::default()
        };
    }

    /// Shortens the wait to this much from now on.
    pub(crate) fn hurry(&self, time: Duration) {
        let mut state = self.lock();
        let left = state.wait.as_ref().and_then(|wait| wait.left().ok());
        if left.is_none_or(|left| left > time) {
            state.wait = Some(Wait::of(time));
        }
    }

    /// The head of the answer, if one has come.
    pub(crate) fn head(&self) -> Option<Head> {
        find(&self.lock().answer)
    }

    /// How much of the request was sent.
    pub(crate) fn sent(&self) -> Sent {
        self.lock().sent
    }

    fn wait(&self) -> Wait {
        self.lock()
            .wait
            .clone()
            .unwrap_or_else(|| Wait::of(Duration::ZERO))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes connections.
pub(crate) struct Connections {
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) exchange: Exchange,
}

impl Connector<()> for Connections {
    type Out = Connection;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Connection>, Error> {
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let usual = if details.needs_tls() { 443 } else { 80 };
        let port = details.uri.port_u16().unwrap_or(usual);
        let wait = self.exchange.wait();
        let mut stream = Stream::connect(host, port, &wait).map_err(unreachable)?;
        if details.needs_tls() {
            let config = self.tls.clone().ok_or(Error::TlsRequired)?;
            stream = stream.encrypt(config).map_err(unreachable)?;
        }
        Ok(Some(Connection {
            stream,
            buffers: LazyBuffers::new(BUFFER_BYTES, BUFFER_BYTES),
            exchange: self.exchange.clone(),
            broken: None,
        }))
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

/// Leaves names to the SDK, which tries all of their addresses.
#[derive(Debug)]
pub(crate) struct Unresolved;

impl Resolver for Unresolved {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut none = self.empty();
        none.push(([0, 0, 0, 0], 0).into());
        Ok(none)
    }
}

/// One connection.
pub(crate) struct Connection {
    stream: Stream,
    buffers: LazyBuffers,
    exchange: Exchange,
    /// Why the request could not be sent to its end.
    broken: Option<io::Error>,
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        if self.broken.is_some() {
            return Ok(());
        }
        self.stream.set_wait(self.exchange.wait());
        let output = &self.buffers.output()[..amount];
        // A server that has had enough of a request answers and closes the connection: the answer is read first.
        self.broken = self
            .stream
            .write_all(output)
            .and_then(|()| self.stream.flush())
            .err();
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        self.stream.set_wait(self.exchange.wait());
        self.exchange.lock().sent = match self.broken {
            None => Sent::All,
            Some(_) => Sent::Part,
        };
        let read = self.stream.read(self.buffers.input_append_buf());
        let count = match (read, self.broken.take()) {
            (Ok(0) | Err(_), Some(error)) | (Err(error), None) => return Err(Error::Io(error)),
            (Ok(count), broken) => {
                self.broken = broken;
                count
            }
        };
        let input = self.buffers.input_append_buf();
        let mut state = self.exchange.lock();
        let room = MAX_HEAD_BYTES.saturating_sub(state.answer.len());
        state.answer.extend_from_slice(&input[..count.min(room)]);
        drop(state);
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.broken.is_none() && self.stream.is_idle()
    }

    fn is_tls(&self) -> bool {
        self.stream.is_encrypted()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.stream).finish()
    }
}

fn unreachable(why: Unreachable) -> Error {
    Error::Other(Box::new(why))
}
