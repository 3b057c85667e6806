//! The network between hub and backend: streams in memory with latency, bandwidth and every way to break, all in virtual
//! time. It knows nothing of what goes over them.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_rt::net::{ActixStream, Ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// What a direction holds before its writer has to wait, in bytes: a socket's buffers.
const WINDOW_BYTES: usize = 256 << 10;

/// What holds for all connections now.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// One way.
    pub latency: Duration,
    pub bytes_per_second: u64,
    /// Nothing arrives before then; what was sent meanwhile is sent again by TCP.
    pub hole_until: Instant,
    /// The server's port is closed.
    pub refused: bool,
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

struct State {
    weather: Weather,
    listener: mpsc::UnboundedSender<Side>,
    open: Vec<Weak<Mutex<Wire>>>,
    /// When something last arrived at the hub that is watched.
    heard: Instant,
}

/// Both directions of one connection.
struct Wire {
    /// To the server, to the hub.
    pipes: [Pipe; 2],
    /// Nothing on the way knows of this connection any more: what is sent vanishes without a word.
    severed: bool,
    reset: bool,
    /// Nothing arrives over it before then.
    stuck_until: Instant,
}

#[derive(Default)]
struct Pipe {
    /// With the time when each piece has left the sender's line, on top of which comes the latency, and how much of it was read.
    pieces: VecDeque<(Instant, Vec<u8>, usize)>,
    bytes: usize,
    line_free_at: Option<Instant>,
    /// The writer has ended it, and the end has left the line then.
    ended: bool,
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn wake(&mut self) {
        self.reader
            .take()
            .into_iter()
            .chain(self.writer.take())
            .for_each(Waker::wake);
    }
}

/// One end of a connection.
pub struct Side {
    network: Network,
    wire: Arc<Mutex<Wire>>,
    /// The direction that it writes to.
    out: usize,
    /// Whether it is the connection of another client than the hub that is watched.
    pub rival: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Network {
    /// A network with good weather, and where the server finds its connections.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Side>) {
        let (listener, incoming) = mpsc::unbounded_channel();
        let weather = Weather {
            latency: Duration::from_millis(3),
            bytes_per_second: 12_500_000,
            hole_until: Instant::now(),
            refused: false,
        };
        let state = State {
            weather,
            listener,
            open: Vec::new(),
            heard: Instant::now(),
        };
        (Self(Arc::new(Mutex::new(state))), incoming)
    }

    pub fn weather(&self) -> Weather {
        lock(&self.0).weather
    }

    /// Changes the weather; whoever waits looks again.
    pub fn change(&self, change: impl FnOnce(&mut Weather)) {
        change(&mut lock(&self.0).weather);
        self.each(|wire| wire.pipes.iter_mut().for_each(Pipe::wake));
    }

    /// All connections end with a reset.
    pub fn reset(&self) {
        self.each(|wire| {
            wire.reset |= !wire.severed;
            wire.pipes.iter_mut().for_each(Pipe::wake);
        });
    }

    /// All connections are forgotten by something between the two ends.
    pub fn sever(&self) {
        self.each(|wire| wire.severed = true);
    }

    /// Nothing arrives before then over the connections that are open.
    pub fn stick(&self, until: Instant) {
        self.each(|wire| wire.stuck_until = until);
    }

    /// When something last arrived at the hub that is watched.
    pub fn heard(&self) -> Instant {
        lock(&self.0).heard
    }

    fn each(&self, mut act: impl FnMut(&mut Wire)) {
        let open: Vec<_> = {
            let mut state = lock(&self.0);
            state.open.retain(|wire| wire.strong_count() > 0);
            state.open.iter().filter_map(Weak::upgrade).collect()
        };
        for wire in open {
            act(&mut lock(&wire));
        }
    }

    /// Connects to the server, as far as it is reached.
    pub async fn connect(&self, rival: bool) -> io::Result<Side> {
        loop {
            let weather = self.weather();
            if weather.hole_until <= Instant::now() {
                break;
            }
            // What asks for a connection is sent again about every second.
            sleep(Duration::from_secs(1)).await;
        }
        sleep(self.weather().latency * 2).await;
        if self.weather().refused {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let wire = Arc::new(Mutex::new(Wire {
            pipes: Default::default(),
            severed: false,
            reset: false,
            stuck_until: Instant::now(),
        }));
        let mut state = lock(&self.0);
        state.open.push(Arc::downgrade(&wire));
        let side = |out| Side {
            network: self.clone(),
            wire: Arc::clone(&wire),
            out,
            rival,
            timer: None,
        };
        let sent = state.listener.send(side(1));
        sent.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(side(0))
    }
}

impl Side {
    fn wait_until(&mut self, at: Instant, cx: &mut Context<'_>) {
        let mut timer = Box::pin(sleep_until(at));
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        self.timer = Some(timer);
    }
}

impl AsyncRead for Side {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let weather = self.network.weather();
        let wire = Arc::clone(&self.wire);
        let mut wire = lock(&wire);
        if wire.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let (severed, held_until) = (wire.severed, weather.hole_until.max(wire.stuck_until));
        let pipe = &mut wire.pipes[1 - self.out];
        pipe.reader = Some(cx.waker().clone());
        if severed {
            return Poll::Pending;
        }
        let Some((sent, piece, read)) = pipe.pieces.front_mut() else {
            if pipe.ended && held_until > Instant::now() {
                self.wait_until(held_until, cx);
                return Poll::Pending;
            }
            return if pipe.ended {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
        };
        let arrives = (*sent + weather.latency).max(held_until);
        if arrives > Instant::now() {
            self.wait_until(arrives, cx);
            return Poll::Pending;
        }
        let taken = (piece.len() - *read).min(buf.remaining());
        buf.put_slice(&piece[*read..*read + taken]);
        *read += taken;
        if *read == piece.len() {
            pipe.pieces.pop_front();
        }
        pipe.bytes -= taken;
        if self.out == 0 && !self.rival {
            lock(&self.network.0).heard = Instant::now();
        }
        pipe.writer.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Side {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let weather = self.network.weather();
        let mut wire = lock(&self.wire);
        if wire.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        // That the other end is gone has to arrive too.
        let is_held = weather.hole_until.max(wire.stuck_until) > Instant::now();
        let is_silent = wire.severed || is_held;
        let pipe = &mut wire.pipes[self.out];
        if pipe.reader_gone && !is_silent {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let taken = bytes.len().min(WINDOW_BYTES.saturating_sub(pipe.bytes));
        if taken == 0 && !bytes.is_empty() {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let (now, rate) = (Instant::now(), weather.bytes_per_second.max(1));
        let on_line = Duration::from_micros(taken as u64 * 1_000_000 / rate);
        let sent = pipe.line_free_at.unwrap_or(now).max(now) + on_line;
        pipe.line_free_at = Some(sent);
        pipe.pieces.push_back((sent, bytes[..taken].to_vec(), 0));
        pipe.bytes += taken;
        pipe.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let pipe = &mut lock(&self.wire).pipes[self.out];
        pipe.ended = true;
        pipe.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let (mut wire, out) = (lock(&self.wire), self.out);
        let [to, from] = [out, 1 - out];
        wire.pipes[to].ended = true;
        wire.pipes[from].reader_gone = true;
        wire.pipes.iter_mut().for_each(Pipe::wake);
    }
}

impl ActixStream for Side {
    fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::READABLE))
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::WRITABLE))
    }
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Side")
    }
}
