//! A backend that does nothing but send prebuilt alerts as fast as, or as evenly as, it is commanded to, and that
//! matches the acknowledgements.
//!
//! It shares two cores with what it measures, so it is built to cost little: no message is assembled or copied while
//! it fires, and one thread serves one client. It refuses to know who that client is.

mod flight;
mod handshake;
mod session;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use tokio::net::TcpListener;
use tokio::sync::mpsc as orders;
use tokio::task::LocalSet;

pub(crate) use self::flight::Tally;
pub(crate) use self::handshake::TOKEN;
use self::session::Order;
use crate::payload::{Message, PictureText};

/// How many alerts may be in flight, if a load does not say otherwise.
pub(crate) const WINDOW: usize = 256;

/// How fast alerts are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As fast as they are acknowledged.
    Flood,
    /// As fast as the socket takes them, whether they are acknowledged or not, as the real backend does.
    OpenLoop,
    /// This many a second, at even distances.
    PerSecond(f64),
}

/// What to fire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// How fast.
    pub(crate) pace: Pace,
    /// How many alerts may be unacknowledged.
    pub(crate) window: usize,
    /// How long to fire before it counts.
    pub(crate) warm_up: Duration,
    /// How long it counts.
    pub(crate) measure: Duration,
    /// After how many alerts it ends at the latest.
    pub(crate) most: u64,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct RunResult {
    /// The counts.
    pub(crate) tally: Tally,
    /// When the first alert was sent.
    pub(crate) began: Instant,
    /// From then until the last acknowledgement.
    pub(crate) took: Duration,
    /// How long it counted.
    pub(crate) measured: Duration,
    /// When each alert was sent, in nanoseconds since 1970, by its sequence number.
    pub(crate) sent_unix_ns: Vec<u64>,
}

impl RunResult {
    /// Acknowledged alerts a second while the measurement ran.
    pub(crate) fn rate(&self) -> f64 {
        self.tally.in_window as f64 / self.measured.as_secs_f64()
    }
}

/// The server, on a port of its own. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Firehose {
    address: SocketAddr,
    orders: Option<orders::UnboundedSender<Order>>,
    connected: mpsc::Receiver<Instant>,
    thread: Option<JoinHandle<()>>,
}

impl Firehose {
    /// Listens on a free port.
    pub(crate) fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let (orders, mut received_orders) = orders::unbounded_channel();
        let (tell_connected, connected) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("firehose".into())
            .spawn(move || {
                let serving = serve(listener, &mut received_orders, &tell_connected);
                LocalSet::new().block_on(&runtime, serving);
            })?;
        Ok(Self {
            address,
            orders: Some(orders),
            connected,
            thread: Some(thread),
        })
    }

    /// The backend's address as a client's configuration has it.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Waits until the next client has shaken hands, and says when that was.
    pub(crate) fn wait_connected(&self, at_most: Duration) -> Result<Instant> {
        self.connected
            .recv_timeout(at_most)
            .map_err(|_| anyhow!("no client connected to the firehose within {at_most:?}"))
    }

    /// Fires at the connected client and waits until every alert is acknowledged.
    pub(crate) fn fire(&self, picture: &PictureText, load: Load) -> Result<RunResult> {
        let messages = (0..load.window)
            .map(|slot| Message::new(slot, picture))
            .collect::<Result<Vec<_>>>()?;
        let (reply, answer) = mpsc::channel();
        self.orders
            .as_ref()
            .and_then(|orders| {
                orders
                    .send(Order {
                        messages,
                        load,
                        reply,
                    })
                    .ok()
            })
            .context("the firehose has ended")?;
        answer
            .recv()
            .context("the client disconnected before all alerts were acknowledged")?
    }
}

impl Drop for Firehose {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// One client after the other, until no orders can come any more.
async fn serve(
    listener: TcpListener,
    orders: &mut orders::UnboundedReceiver<Order>,
    connected: &mpsc::Sender<Instant>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            order = orders.recv() => match order {
                Some(order) => { order.refuse("no client is connected"); continue }
                None => return,
            },
        };
        let Ok((mut stream, _)) = accepted else { continue };
        if handshake::accept(&mut stream).await.is_err() {
            continue;
        }
        if connected.send(Instant::now()).is_err() || session::run(stream, orders).await.is_break() {
            return;
        }
    }
}
