//! What a hub stands on: the machine's clocks, its network, its threads, its disk and the programs that run plugins. All of
//! the hub is written against [`Platform`], and the product runs on [`Machine`]. Another platform can be a whole world in
//! virtual time on one thread, in which the same actors run and the same bytes are parsed.

use std::fmt;
use std::io::{self, IoSlice};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_rt::net::{ActixStream, Ready};
use actix_tls::connect::{ConnectError, ConnectInfo};
use awc::http::Uri;
use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use watchpost_config::SinkSettings;
use watchpost_store::Store;

use crate::clock::{MachineClock, WallClock};
use crate::dial::connect;
use crate::sink::Launcher;
use crate::store::Storage;

/// What a hub stands on. One for each start of a hub: what it counts and remembers ends with the hub's process.
pub trait Platform: Send + Sync {
    /// The clock on the wall. The monotonic one is tokio's, which can be paused.
    fn wall_clock(&self) -> &'static dyn WallClock;

    /// Opens a connection to the server that is named in the request.
    fn connect(&self, request: ConnectInfo<Uri>) -> Connecting;

    /// Where the hub's parts run.
    fn threads(&self) -> Threads;

    /// What the writer writes to: this store, or something in front of it.
    fn storage(&self, store: Store) -> Box<dyn Storage>;

    /// What starts the children of a sink; `None` for the program `watchpost-sinkhost`.
    fn launcher(&self, sink: &SinkSettings) -> Option<Arc<dyn Launcher>>;
}

/// A connection on its way.
pub type Connecting = LocalBoxFuture<'static, Result<Stream, ConnectError>>;

/// This machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine;

impl Platform for Machine {
    fn wall_clock(&self) -> &'static dyn WallClock {
        MachineClock::get()
    }

    fn connect(&self, request: ConnectInfo<Uri>) -> Connecting {
        Box::pin(async { connect(request).await.map(Stream::new) })
    }

    fn threads(&self) -> Threads {
        Threads::Own
    }

    fn storage(&self, store: Store) -> Box<dyn Storage> {
        Box::new(store)
    }

    fn launcher(&self, _: &SinkSettings) -> Option<Arc<dyn Launcher>> {
        None
    }
}

/// Where the hub's parts run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// Each on a thread of its own, so that none can keep another from its work.
    Own,
    /// All on the thread that starts the hub, in an order that is the same each time.
    Shared,
}

/// What was to be done has panicked.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the thread that did it died")]
pub(crate) struct Died;

impl Threads {
    /// Does what may block.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Died> {
        self.run_on(&Handle::current(), work).await
    }

    /// Does what may block, on a thread of that runtime where there are threads.
    pub(crate) async fn run_on<T: Send + 'static>(
        self,
        runtime: &Handle,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Died> {
        match self {
            Self::Own => runtime.spawn_blocking(work).await.map_err(|_| Died),
            Self::Shared => catch_unwind(AssertUnwindSafe(work)).map_err(|_| Died),
        }
    }
}

/// What a connection to a server is, below TLS.
pub trait Io: ActixStream + fmt::Debug + 'static {}

impl<T: ActixStream + fmt::Debug + 'static> Io for T {}

/// A connection to a server, below TLS.
#[derive(Debug)]
pub struct Stream(Box<dyn Io>);

impl Stream {
    /// A connection, whatever it is made of.
    pub fn new(io: impl Io) -> Self {
        Self(Box::new(io))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

impl ActixStream for Stream {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.0.poll_read_ready(cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.0.poll_write_ready(cx)
    }
}
