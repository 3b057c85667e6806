//! One alert socket as an actor, the only place that knows `actix-web-actors`.
//!
//! The actor runs inside the response body: it is polled only while the TCP connection takes more,
//! so a client that does not read stops it, and with it the maker of alerts, as in the real backend.
//! What it sends comes from elsewhere; it reads the client's messages and keeps the connection alive.

mod inbox;
mod receive;
mod send;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use actix::{Actor, ActorContext, ActorFutureExt as _, AsyncContext, StreamHandler, WrapFuture as _};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{self, CloseCode, CloseReason, Message, ProtocolError, WebsocketContext};
use futures_util::{Stream, stream};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use self::inbox::Inbox;
use crate::{
    backend::{Backend, MAX_WAITING_MESSAGES, Outgoing, SocketControl, SocketHandle},
    slots::SocketId,
    tcp::Tcp,
};

/// Longest message of a client; a longer one closes the socket with 1009.
const MAX_CLIENT_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Frames that the `fragment` fault makes of one alert.
const FRAGMENTS: usize = 3;
/// JSON pings remembered until their pong comes.
const MAX_OPEN_PINGS: usize = 64;

/// Turns a request into an alert socket, registered for its user. `bounce` closes it at once.
pub(crate) fn upgrade(
    backend: &Arc<Backend>,
    user: &str,
    bounce: bool,
    tcp: Option<Arc<Tcp>>,
    req: &HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    let (outbox, messages) = mpsc::channel(MAX_WAITING_MESSAGES);
    let control = watch::Sender::new(if bounce {
        SocketControl::Close
    } else {
        SocketControl::Run
    });
    let controls = control.subscribe();
    let id = backend.socket_opened(SocketHandle {
        user: user.to_owned(),
        outbox,
        control,
        tcp: tcp.clone(),
    });
    let session = Session {
        backend: backend.clone(),
        id,
        user: user.to_owned(),
        tcp,
        messages: Some(Inbox {
            receiver: messages,
            backend: backend.clone(),
        }),
        controls,
        state: SessionState::Open,
        waiting: HashMap::new(),
        open_pings: VecDeque::new(),
        keepalive_open: false,
        assembling: None,
        held: Vec::new(),
    };
    // A session that is not started deregisters itself when it is dropped.
    ws::WsResponseBuilder::new(session, req, body)
        .frame_size(MAX_CLIENT_MESSAGE_BYTES)
        .start()
        .unwrap_or_else(|error| error.error_response())
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SessionState {
    Open,
    /// Open, but only protocol pings are sent and answered.
    Blackholed,
    /// The close frame is sent; the registry hears of it when the client has closed its end.
    Closing,
}

/// An alert that waits for its acknowledgement.
struct Waiting {
    seq: u64,
    id: Option<u64>,
    /// The second copy of an alert sent twice.
    repeated: bool,
}

struct Session {
    backend: Arc<Backend>,
    id: SocketId,
    user: String,
    tcp: Option<Arc<Tcp>>,
    messages: Option<Inbox>,
    controls: watch::Receiver<SocketControl>,
    state: SessionState,
    /// By stream, oldest first: an acknowledgement names its stream and nothing more.
    waiting: HashMap<Uuid, VecDeque<Waiting>>,
    open_pings: VecDeque<Instant>,
    keepalive_open: bool,
    /// Frames of a message that is not complete, and whether it is binary.
    assembling: Option<(Vec<u8>, bool)>,
    /// What arrived when the server was frozen and the actor did not know it yet, to be taken up at the thaw.
    held: Vec<Held>,
}

/// Something put off by a freeze.
enum Held {
    Incoming(Result<Message, ProtocolError>),
    Outgoing(Outgoing),
}

type Context = WebsocketContext<Session>;

/// What changes a session from outside its socket.
#[derive(Debug, Clone, Copy)]
enum Signal {
    Frozen,
    SocketControl,
    PingNow,
}

impl Actor for Session {
    type Context = Context;

    fn started(&mut self, ctx: &mut Context) {
        if let Some(mut messages) = self.messages.take() {
            ctx.add_stream(stream::poll_fn(move |cx| messages.receiver.poll_recv(cx)));
        }
        ctx.add_stream(changes(self.backend.frozen.subscribe(), Signal::Frozen));
        ctx.add_stream(changes(self.controls.clone(), Signal::SocketControl));
        ctx.add_stream(changes(self.backend.ping_now.subscribe(), Signal::PingNow));
        ctx.run_interval(self.backend.options.heartbeat, Self::ping);
        ctx.run_interval(self.backend.options.keepalive, Self::keep_alive);
        // What was decided before this actor listened.
        self.apply_control(ctx);
        self.apply_freeze(ctx);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.state != SessionState::Closing {
            self.backend
                .socket_ended(self.id, self.state == SessionState::Open);
        }
    }
}

fn changes<T: Send + Sync + 'static>(
    receiver: watch::Receiver<T>,
    what: Signal,
) -> impl Stream<Item = Signal> + 'static {
    stream::unfold(receiver, move |mut receiver| async move {
        receiver.changed().await.ok()?;
        Some((what, receiver))
    })
}

impl StreamHandler<Signal> for Session {
    fn handle(&mut self, what: Signal, ctx: &mut Context) {
        match what {
            Signal::Frozen => {
                self.apply_freeze(ctx);
            }
            Signal::SocketControl => self.apply_control(ctx),
            Signal::PingNow => self.ping(ctx),
        }
    }

    /// The backend ends its side when the socket is gone from its list; the socket follows by itself.
    fn finished(&mut self, _: &mut Context) {}
}

impl StreamHandler<Outgoing> for Session {
    fn handle(&mut self, message: Outgoing, ctx: &mut Context) {
        if self.apply_freeze(ctx) {
            return self.held.push(Held::Outgoing(message));
        }
        let live = self.is_open();
        let at = self.backend.elapsed();
        let mut state = self.backend.state();
        let stats = &mut state.ledger.stats;
        match message {
            Outgoing::Alert { .. } if !live => stats.unsent += 1,
            _ if !live => {}
            Outgoing::Alert {
                seq,
                stream,
                id,
                text,
                mode,
            } => {
                state.ledger.sent(seq, at);
                drop(state);
                self.alert(
                    ctx,
                    Waiting {
                        seq,
                        id,
                        repeated: false,
                    },
                    stream,
                    text,
                    mode,
                );
            }
            Outgoing::Text(text) => ctx.text(text),
            Outgoing::Notification(text) => {
                stats.notifications += 1;
                ctx.text(text);
            }
            Outgoing::Garbage(text) => {
                stats.garbage += 1;
                ctx.text(text);
            }
        }
    }

    fn finished(&mut self, _: &mut Context) {}
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Context) {
        if self.apply_freeze(ctx) {
            return self.held.push(Held::Incoming(message));
        }
        match message {
            Ok(Message::Ping(payload)) => ctx.pong(&payload),
            Ok(Message::Pong(_)) => self.keepalive_open = false,
            Ok(Message::Text(text)) => self.receive(&text, ctx),
            Ok(Message::Binary(_)) => self.violate_protocol(),
            Ok(Message::Continuation(item)) => self.assemble(item, ctx),
            Ok(Message::Close(reason)) => self.close(reason, ctx),
            Ok(Message::Nop) => {}
            Err(error) => {
                let code = match error {
                    ProtocolError::Overflow => CloseCode::Size,
                    // Only text that is no UTF-8 is reported in this way, and lost connections.
                    ProtocolError::Io(_) => CloseCode::Invalid,
                    _ => CloseCode::Protocol,
                };
                self.close(Some(code.into()), ctx);
            }
        }
    }

    /// The client has ended the connection without a close frame.
    fn finished(&mut self, ctx: &mut Context) {
        ctx.stop();
    }
}

impl Session {
    /// Whether it still receives and sends. A command to fall silent holds from the moment it is given,
    /// whatever the actor received before.
    fn is_open(&mut self) -> bool {
        if self.state == SessionState::Open && *self.controls.borrow() == SocketControl::Blackhole {
            self.state = SessionState::Blackholed;
        }
        self.state == SessionState::Open
    }

    fn apply_control(&mut self, ctx: &mut Context) {
        let control = *self.controls.borrow_and_update();
        match control {
            SocketControl::Run => {}
            SocketControl::Blackhole => {
                self.is_open();
            }
            SocketControl::Close => self.close(Some(CloseCode::Restart.into()), ctx),
            SocketControl::Aborted => ctx.stop(),
        }
    }

    /// Says nothing and hears nothing until the thaw, or until the connection is ended below.
    /// Answers whether that is so.
    fn apply_freeze(&mut self, ctx: &mut Context) -> bool {
        if !*self.backend.frozen.borrow() || *self.controls.borrow() == SocketControl::Aborted {
            return false;
        }
        let (mut frozen, mut controls) = (self.backend.frozen.subscribe(), self.controls.clone());
        let thaw = async move {
            tokio::select! {
                _ = frozen.wait_for(|frozen| !frozen) => {}
                _ = controls.wait_for(|control| *control == SocketControl::Aborted) => {}
            }
        };
        ctx.wait(thaw.into_actor(self).map(|(), session, ctx| {
            for held in std::mem::take(&mut session.held) {
                match held {
                    Held::Incoming(message) => StreamHandler::handle(session, message, ctx),
                    Held::Outgoing(message) => StreamHandler::handle(session, message, ctx),
                }
            }
        }));
        true
    }

    /// Sends the close frame and ends the server's side. A faithful server keeps the user registered
    /// until the client has ended its side too, or has let the time for it pass.
    fn close(&mut self, reason: Option<CloseReason>, ctx: &mut Context) {
        if self.state == SessionState::Closing {
            return;
        }
        let owned_slot = self.state == SessionState::Open;
        self.state = SessionState::Closing;
        ctx.close(reason);
        ctx.stop();
        let (backend, id) = (self.backend.clone(), self.id);
        match &self.tcp {
            Some(tcp) if backend.options.faithful => {
                let tcp = tcp.clone();
                actix_rt::spawn(async move {
                    tcp.wait_for_end(backend.options.linger).await;
                    backend.socket_ended(id, owned_slot);
                });
            }
            _ => backend.socket_ended(id, owned_slot),
        }
    }
}
