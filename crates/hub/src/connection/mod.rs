//! One `[[connection]]`: the actor that owns its socket. It reads always, hands alerts to the store and
//! acknowledges what the store has on disk. When to connect and when to give up is
//! [`watchpost_core::Link`]'s to say; what a message means is [`intake`]'s.

mod assemble;
mod dial;
mod intake;
mod report;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_http::ws::{self, CloseCode, Frame, Message as WsMessage, ProtocolError};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, info, warn};
use watchpost_config::ConnectionSettings;
use watchpost_core::{
    AlertIds, BackoffPolicy, CloseReason, ConnectFailure, FailureKind, HeartbeatPolicy, Link, LinkEffect,
    LinkEvent, LinkPolicy, LinkState, Moment,
};
use watchpost_visionguard::outgoing;

use self::assemble::{Assembled, Assembler};
use self::dial::{Dialer, WebSocket};
use self::intake::{Intake, Understood};
pub use self::report::{ConnectionReport, ConnectionState, Counters, LastFailure};
use crate::clock::Clock;
use crate::store::{Accept, StoreHandle, Stored, StoredAs};

/// How long the server may take for its half of the close handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Messages that may wait to be written. They are short; a server that lets so many pile up while it
/// sends alerts does not read at all.
const MAX_OUTBOX_MESSAGES: usize = 65_536;

/// What a connection needs from the rest of the hub.
#[derive(Clone)]
pub(crate) struct ConnectionParts {
    pub(crate) settings: Arc<ConnectionSettings>,
    pub(crate) clock: Clock,
    pub(crate) store: StoreHandle,
    pub(crate) ids: Arc<AlertIds>,
}

/// The actor. It lives on an arbiter of its own, so that nothing else can keep it from reading.
pub(crate) struct Connection {
    settings: Arc<ConnectionSettings>,
    clock: Clock,
    link: Link,
    dialer: Rc<Dialer>,
    intake: Intake,
    store: StoreHandle,
    assembler: Assembler,
    attempt: Option<SpawnHandle>,
    socket: Option<Socket>,
    wake: Option<(Moment, SpawnHandle)>,
    /// Size of the alerts that the store has not confirmed yet.
    in_hand_bytes: usize,
    in_hand: usize,
    counters: Counters,
    last_failure: Option<LastFailure>,
    /// Said once for a repeated failure.
    logged_failure: Option<FailureKind>,
    /// Why the socket is about to end, once that is known.
    ending: String,
    stopping: Option<Vec<oneshot::Sender<()>>>,
}

/// An open socket: two futures of the actor that own its halves.
struct Socket {
    outbox: mpsc::UnboundedSender<WsMessage>,
    /// How many messages the writer has not taken yet.
    queued: Rc<Cell<usize>>,
    reader: SpawnHandle,
    writer: SpawnHandle,
}

impl Connection {
    pub(crate) fn new(parts: ConnectionParts) -> Self {
        let ConnectionParts {
            settings,
            clock,
            store,
            ids,
        } = parts;
        let max_message = usize::try_from(settings.max_message.0).unwrap_or(usize::MAX);
        Self {
            link: Link::new(link_policy(&settings), fastrand::u64(..)),
            dialer: Dialer::new(&settings),
            intake: Intake::new(&settings, ids),
            assembler: Assembler::new(max_message),
            settings,
            clock,
            store,
            attempt: None,
            socket: None,
            wake: None,
            in_hand_bytes: 0,
            in_hand: 0,
            counters: Counters::default(),
            last_failure: None,
            logged_failure: None,
            ending: String::new(),
            stopping: None,
        }
    }

    /// Gives the link an event and does what it says.
    fn step(&mut self, event: LinkEvent, ctx: &mut Context<Self>) {
        match self.link.step(self.clock.now(), event) {
            None => {}
            Some(LinkEffect::Connect { attempt }) => self.connect(attempt, ctx),
            Some(LinkEffect::Abandon) => {
                if let Some(attempt) = self.attempt.take() {
                    ctx.cancel_future(attempt);
                }
                if !matches!(self.link.state(), LinkState::Stopped) {
                    let detail = "the server did not answer in time".to_owned();
                    self.note_failure(ConnectFailure {
                        kind: FailureKind::Timeout,
                        detail,
                    });
                }
            }
            Some(LinkEffect::Ping) => {
                self.counters.pings_sent += 1;
                let ping = outgoing::ping(self.clock.utc());
                self.send(WsMessage::Text(ping.into()), ctx);
            }
            Some(LinkEffect::Close(reason)) => self.close(reason, ctx),
            Some(LinkEffect::Drop) => self.drop_socket(ctx),
        }
        if let LinkState::Stopped = self.link.state() {
            ctx.stop();
        }
        self.arm(ctx);
    }

    /// Sees to it that [`LinkEvent::Wake`] comes in time. A wake that comes too early does nothing, so
    /// the timer need not be moved with every message heard.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let Some(deadline) = self.link.deadline() else {
            return;
        };
        if let Some((at, timer)) = self.wake {
            if at <= deadline {
                return;
            }
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later(deadline.since(self.clock.now()), |this, ctx| {
            this.wake = None;
            this.step(LinkEvent::Wake, ctx);
        });
        self.wake = Some((deadline, timer));
    }

    fn connect(&mut self, attempt: u64, ctx: &mut Context<Self>) {
        debug!(connection = %self.settings.name, attempt, "connecting");
        let dialer = Rc::clone(&self.dialer);
        let token = self.settings.token.read();
        let dial = async move {
            let token = token.map_err(|e| ConnectFailure {
                kind: FailureKind::Credentials,
                detail: e.to_string(),
            })?;
            dialer.dial(token).await
        };
        let attempt = dial.into_actor(self).map(|outcome, this, ctx| {
            this.attempt = None;
            match outcome {
                Ok(socket) => this.opened(socket, ctx),
                Err(failure) => {
                    this.note_failure(failure.clone());
                    this.step(LinkEvent::Failed(failure), ctx);
                }
            }
        });
        self.attempt = Some(ctx.spawn(attempt));
    }

    fn opened(&mut self, socket: WebSocket, ctx: &mut Context<Self>) {
        info!(connection = %self.settings.name, attempt = self.link.attempts(), "connected");
        self.counters.opened += 1;
        self.last_failure = None;
        let (mut sink, stream) = socket.split();
        let (outbox, mut queue) = mpsc::unbounded_channel::<WsMessage>();
        let queued = Rc::new(Cell::new(0));
        let taken = Rc::clone(&queued);
        let write = async move {
            while let Some(message) = queue.recv().await {
                sink.feed(message).await?;
                taken.set(taken.get() - 1);
                if queue.is_empty() {
                    sink.flush().await?;
                }
            }
            Ok::<(), ProtocolError>(())
        };
        let writer = ctx.spawn(write.into_actor(self).map(|outcome, this, ctx| {
            let how = match outcome {
                Ok(()) => std::mem::take(&mut this.ending),
                Err(e) => format!("writing failed: {e}"),
            };
            this.closed(how, ctx);
        }));
        let reader = ctx.add_stream(stream);
        self.assembler = Assembler::new(usize::try_from(self.settings.max_message.0).unwrap_or(usize::MAX));
        self.socket = Some(Socket {
            outbox,
            reader,
            writer,
            queued,
        });
        self.step(LinkEvent::Opened, ctx);
    }

    fn send(&mut self, message: WsMessage, ctx: &mut Context<Self>) {
        let Some(socket) = &self.socket else { return };
        if socket.queued.get() >= MAX_OUTBOX_MESSAGES {
            return self.closed("the server sends but does not read".to_owned(), ctx);
        }
        socket.queued.set(socket.queued.get() + 1);
        // Fails only when the writer has ended, which reports itself.
        let _ = socket.outbox.send(message);
    }

    /// Begins the close handshake.
    fn close(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        match reason {
            CloseReason::Stopping => info!(connection = %self.settings.name, "closing: {reason}"),
            _ => {
                warn!(connection = %self.settings.name, "closing the connection: {reason}");
                self.counters.given_up += 1;
            }
        }
        let code = CloseCode::from(reason.code());
        self.send(WsMessage::Close(Some(code.into())), ctx);
        if let CloseReason::TooLarge { .. } | CloseReason::Protocol = reason {
            self.stop_reading(ctx);
        }
    }

    /// The server's close frame has come: as the answer to ours, or of its own will.
    fn peer_closes(&mut self, reason: Option<ws::CloseReason>, ctx: &mut Context<Self>) {
        if let LinkState::Open { .. } = self.link.state() {
            let text = reason
                .as_ref()
                .and_then(|reason| reason.description.clone())
                .unwrap_or_default();
            let code = reason.as_ref().map_or(1005, |reason| u16::from(reason.code));
            self.ending = format!("the server closed it with code {code} {text}")
                .trim_end()
                .to_owned();
            self.send(WsMessage::Close(reason), ctx);
        }
        self.stop_reading(ctx);
    }

    /// What comes after a broken frame cannot be understood: say our last word and go.
    fn stop_reading(&mut self, ctx: &mut Context<Self>) {
        if let Some(socket) = &mut self.socket {
            ctx.cancel_future(socket.reader);
            // The writer ends when it has sent what is queued and its last sender is gone.
            socket.outbox = mpsc::unbounded_channel().0;
        }
    }

    /// The socket has ended, by whichever side.
    fn closed(&mut self, how: String, ctx: &mut Context<Self>) {
        if self.socket.is_none() {
            return;
        }
        self.drop_socket(ctx);
        if let LinkState::Open { .. } = self.link.state() {
            warn!(connection = %self.settings.name, "connection lost: {how}");
            self.last_failure = Some(LastFailure::lost(&how, self.clock.unix()));
        }
        self.step(LinkEvent::Closed(how), ctx);
    }

    fn drop_socket(&mut self, ctx: &mut Context<Self>) {
        if let Some(socket) = self.socket.take() {
            ctx.cancel_future(socket.reader);
            ctx.cancel_future(socket.writer);
        }
    }

    fn note_failure(&mut self, failure: ConnectFailure) {
        let name = &self.settings.name;
        if self.logged_failure == Some(failure.kind) {
            debug!(connection = %name, "still cannot connect: {failure}");
        } else {
            warn!(connection = %name, "cannot connect: {failure}. {} Trying again.", failure.kind.cure());
            self.logged_failure = Some(failure.kind);
        }
        self.counters.failed_attempts += 1;
        self.last_failure = Some(LastFailure::connecting(&failure, self.clock.unix()));
    }

    fn message(&mut self, text: &Bytes, ctx: &mut Context<Self>) {
        match self.intake.understand(text, self.clock, &mut self.counters) {
            Understood::Ping => {
                let pong = outgoing::pong(self.clock.utc());
                self.counters.pings_answered += 1;
                self.send(WsMessage::Text(pong.into()), ctx);
            }
            Understood::Pong => self.step(LinkEvent::Pong, ctx),
            Understood::Alert(arrival) => self.accept(*arrival, ctx),
            Understood::Nothing => {}
        }
    }

    fn accept(&mut self, arrival: intake::Arrived, ctx: &mut Context<Self>) {
        self.counters.received += 1;
        let limit = usize::try_from(self.settings.intake_buffer.0).unwrap_or(usize::MAX);
        let full = self.in_hand > 0 && self.in_hand_bytes + arrival.bytes > limit;
        if full || self.stopping.is_some() {
            // Dropped without an acknowledgement: reading must go on, or the server stalls for its user.
            if full && self.counters.dropped == 0 {
                error!(
                    connection = %self.settings.name,
                    "alerts come faster than the store can take them: those beyond intake_buffer = {} are dropped unacknowledged",
                    self.settings.intake_buffer
                );
            }
            self.counters.dropped += 1;
            return;
        }
        self.in_hand += 1;
        self.in_hand_bytes += arrival.bytes;
        let intake::Arrived {
            alert,
            frame,
            ack,
            bytes,
        } = arrival;
        let reply = ctx.address().recipient();
        self.store.accept(Accept {
            alert,
            frame,
            ack,
            bytes,
            reply,
        });
    }

    /// When stopping: closes the link once the store has confirmed everything.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        if self.stopping.is_some() && self.in_hand == 0 {
            self.step(LinkEvent::Stop, ctx);
        }
    }
}

impl Actor for Connection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.step(LinkEvent::Start, ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        for done in self.stopping.take().into_iter().flatten() {
            let _ = done.send(());
        }
    }
}

impl StreamHandler<Result<Frame, ProtocolError>> for Connection {
    fn handle(&mut self, frame: Result<Frame, ProtocolError>, ctx: &mut Self::Context) {
        let limit = self.settings.max_message.0;
        let frame = match frame {
            Ok(frame) => frame,
            Err(ProtocolError::Overflow) => {
                return self.step(LinkEvent::Refuse(CloseReason::TooLarge { limit }), ctx);
            }
            Err(ProtocolError::Io(e)) => return self.closed(format!("reading failed: {e}"), ctx),
            Err(e) => {
                debug!(connection = %self.settings.name, "{e}");
                return self.step(LinkEvent::Refuse(CloseReason::Protocol), ctx);
            }
        };
        self.step(LinkEvent::Heard, ctx);
        match self.assembler.push(&frame) {
            Assembled::Text(text) => self.message(&text, ctx),
            Assembled::Binary => self.counters.ignored += 1,
            Assembled::TooLarge => self.step(LinkEvent::Refuse(CloseReason::TooLarge { limit }), ctx),
            Assembled::OutOfOrder => self.step(LinkEvent::Refuse(CloseReason::Protocol), ctx),
            Assembled::Other => match frame {
                Frame::Ping(payload) => self.send(WsMessage::Pong(payload), ctx),
                Frame::Close(reason) => self.peer_closes(reason, ctx),
                _ => {}
            },
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        self.closed("the server ended the connection without a close".to_owned(), ctx);
    }
}

/// The store has the alerts on disk, or could not take them: tells the connection they came over.
impl Handler<Stored> for Connection {
    type Result = ();

    fn handle(&mut self, stored: Stored, ctx: &mut Self::Context) {
        for receipt in stored.receipts {
            self.in_hand -= 1;
            self.in_hand_bytes -= receipt.bytes;
            match receipt.outcome {
                StoredAs::New => self.counters.stored += 1,
                StoredAs::Duplicate => self.counters.duplicates += 1,
                StoredAs::Lost => {
                    self.counters.dropped += 1;
                    continue;
                }
            }
            if self.socket.is_some() {
                self.counters.acknowledged += 1;
                self.send(WsMessage::Text(receipt.ack.into()), ctx);
            }
        }
        self.finish(ctx);
    }
}

/// Asks how a connection is.
#[derive(Debug, Message)]
#[rtype(result = "ConnectionReport")]
pub(crate) struct ReportConnection;

impl Handler<ReportConnection> for Connection {
    type Result = MessageResult<ReportConnection>;

    fn handle(&mut self, _: ReportConnection, _: &mut Self::Context) -> Self::Result {
        MessageResult(ConnectionReport::new(
            &self.settings,
            &self.link,
            self.clock,
            self.counters.clone(),
            self.last_failure.clone(),
        ))
    }
}

/// Tells a connection to take no more alerts, to wait for those in hand, and to close. The sender given
/// is used when the socket is closed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StopConnection(pub(crate) oneshot::Sender<()>);

impl Handler<StopConnection> for Connection {
    type Result = ();

    fn handle(&mut self, StopConnection(done): StopConnection, ctx: &mut Self::Context) {
        self.stopping.get_or_insert_default().push(done);
        self.finish(ctx);
    }
}

fn link_policy(settings: &ConnectionSettings) -> LinkPolicy {
    let ConnectionSettings {
        reconnect, heartbeat, ..
    } = settings;
    LinkPolicy {
        connect_timeout: settings.connect_timeout.into(),
        close_timeout: CLOSE_TIMEOUT,
        backoff: BackoffPolicy {
            initial: reconnect.initial.into(),
            max: reconnect.max.into(),
            jitter: reconnect.jitter,
        },
        stable_after: reconnect.stable_after.into(),
        heartbeat: HeartbeatPolicy {
            interval: heartbeat.interval.into(),
            timeout: heartbeat.timeout.into(),
        },
    }
}
