//! One client's socket: a reader that matches acknowledgements, and a writer that fires.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail};
use fastwebsockets::{
    Frame, OpCode, Payload, Role, WebSocketError, WebSocketRead, WebSocketWrite, after_handshake_split,
};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout_at;

use super::flight::Flight;
use super::{Load, Pace, RunResult};
use crate::payload::{Message, acknowledged_slot};

/// A client that acknowledges nothing for this long has failed the measurement.
const STALL: Duration = Duration::from_secs(20);

/// An open-loop load is over when nothing has been acknowledged for this long.
const QUIET: Duration = Duration::from_secs(2);

/// An order to fire.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) messages: Vec<Message>,
    pub(super) load: Load,
    pub(super) reply: mpsc::Sender<Result<RunResult>>,
}

impl Order {
    /// Answers with an error.
    pub(super) fn refuse(self, why: &str) {
        // Who gave the order may be gone, and then no one misses the answer.
        let _ = self.reply.send(Err(anyhow!("{why}")));
    }
}

/// What reader and writer share.
struct Shared {
    flight: RefCell<Flight>,
    replies: RefCell<Vec<Reply>>,
    /// Tells the writer that one of the two above has changed.
    changed: Notify,
}

/// What the reader asks the writer to send.
enum Reply {
    JsonPong,
    Pong(Vec<u8>),
    /// The client is gone or has said goodbye.
    Close,
}

/// Serves one client. Breaks when no orders can come any more.
pub(super) async fn run(stream: TcpStream, orders: &mut UnboundedReceiver<Order>) -> ControlFlow<()> {
    // Small messages must not wait for company.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    let (mut read, write) = after_handshake_split(read, write, Role::Server);
    read.set_auto_close(false);
    read.set_auto_pong(false);
    let shared = Rc::new(Shared {
        flight: RefCell::new(Flight::new(0)),
        replies: RefCell::default(),
        changed: Notify::new(),
    });
    let reader = tokio::task::spawn_local(read_all(read, Rc::clone(&shared)));
    let mut writer = Writer {
        socket: write,
        shared,
    };
    let flow = loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { break ControlFlow::Break(()) };
                let result = writer.fire(order.messages, order.load).await;
                let failed = result.is_err();
                let _ = order.reply.send(result);
                if failed {
                    break ControlFlow::Continue(());
                }
            }
            () = writer.shared.changed.notified() => {
                if writer.reply().await.is_err() {
                    break ControlFlow::Continue(());
                }
            }
        }
    };
    reader.abort();
    flow
}

async fn read_all(mut socket: WebSocketRead<OwnedReadHalf>, shared: Rc<Shared>) {
    let mut send_nothing = |_: Frame<'_>| async { Ok::<(), WebSocketError>(()) };
    loop {
        let reply = match socket.read_frame(&mut send_nothing).await {
            Ok(frame) => match frame.opcode {
                OpCode::Text => text_reply(&frame.payload, &shared),
                OpCode::Ping => Some(Reply::Pong(frame.payload.to_vec())),
                OpCode::Close => Some(Reply::Close),
                _ => None,
            },
            Err(_) => Some(Reply::Close),
        };
        let ended = matches!(reply, Some(Reply::Close));
        shared.replies.borrow_mut().extend(reply);
        shared.changed.notify_one();
        if ended {
            return;
        }
    }
}

fn text_reply(text: &[u8], shared: &Shared) -> Option<Reply> {
    if let Some(slot) = acknowledged_slot(text) {
        shared.flight.borrow_mut().acknowledged(slot, Instant::now());
        return None;
    }
    memchr::memmem::find(text, br#""ping""#).map(|_| Reply::JsonPong)
}

struct Writer {
    socket: WebSocketWrite<OwnedWriteHalf>,
    shared: Rc<Shared>,
}

impl Writer {
    async fn fire(&mut self, mut messages: Vec<Message>, load: Load) -> Result<RunResult> {
        let began = Instant::now();
        let (from, to) = (began + load.warm_up, began + load.warm_up + load.measure);
        *self.shared.flight.borrow_mut() = Flight::new(messages.len());
        self.shared.flight.borrow_mut().measure(from, to);
        let mut sent_unix_ns = Vec::new();
        while Instant::now() < to && (sent_unix_ns.len() as u64) < load.most {
            if let Pace::PerSecond(rate) = load.pace {
                let due = began + Duration::from_secs_f64(sent_unix_ns.len() as f64 / rate);
                self.wait_until(due).await?;
            }
            let slot = match load.pace {
                Pace::OpenLoop => self.any_slot()?,
                Pace::Flood | Pace::PerSecond(_) => self.free_slot().await?,
            };
            let sequence = sent_unix_ns.len() as u64;
            sent_unix_ns.push(unix_ns());
            if let Some(message) = messages.get_mut(slot) {
                self.shared.flight.borrow_mut().sent(slot, Instant::now());
                let text = Payload::Borrowed(message.numbered(sequence));
                self.socket.write_frame(Frame::text(text)).await?;
            }
            // The reader's turn: a socket that can always be written to would otherwise starve it.
            tokio::task::yield_now().await;
        }
        self.drain(load.pace).await?;
        let took = began.elapsed();
        let tally = self.shared.flight.borrow_mut().finish();
        Ok(RunResult {
            tally,
            began,
            took,
            measured: load.measure,
            sent_unix_ns,
        })
    }

    /// Waits for the acknowledgements that are still to come.
    async fn drain(&mut self, pace: Pace) -> Result<()> {
        while self.shared.flight.borrow().in_flight() > 0 {
            match pace {
                Pace::Flood | Pace::PerSecond(_) => self.wait_for_change().await?,
                Pace::OpenLoop => match tokio::time::timeout(QUIET, self.shared.changed.notified()).await {
                    Ok(()) => self.reply().await?,
                    Err(_) => break,
                },
            }
        }
        Ok(())
    }

    fn any_slot(&self) -> Result<usize> {
        self.shared
            .flight
            .borrow_mut()
            .take_or_abandon()
            .context("a load needs a window of at least one")
    }

    async fn free_slot(&mut self) -> Result<usize> {
        loop {
            let slot = self.shared.flight.borrow_mut().take();
            match slot {
                Some(slot) => return Ok(slot),
                None => self.wait_for_change().await?,
            }
        }
    }

    async fn wait_until(&mut self, due: Instant) -> Result<()> {
        while timeout_at(due.into(), self.shared.changed.notified())
            .await
            .is_ok()
        {
            self.reply().await?;
        }
        Ok(())
    }

    async fn wait_for_change(&mut self) -> Result<()> {
        if tokio::time::timeout(STALL, self.shared.changed.notified())
            .await
            .is_err()
        {
            let in_flight = self.shared.flight.borrow().in_flight();
            bail!("the client acknowledged nothing for {STALL:?}, with {in_flight} alerts in flight");
        }
        self.reply().await
    }

    /// Sends what the reader asks for.
    async fn reply(&mut self) -> Result<()> {
        let replies = self.shared.replies.take();
        for reply in replies {
            let frame = match reply {
                Reply::JsonPong => Frame::text(Payload::Borrowed(br#"{"type":"pong"}"#)),
                Reply::Pong(payload) => Frame::pong(payload.into()),
                Reply::Close => {
                    // Whether the farewell arrives makes no difference to the measurement.
                    let _ = self.socket.write_frame(Frame::close(1000, b"")).await;
                    bail!("the client closed its socket")
                }
            };
            self.socket.write_frame(frame).await?;
        }
        Ok(())
    }
}

fn unix_ns() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}
