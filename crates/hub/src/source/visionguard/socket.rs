//! The open socket of a connection: its two halves, its heartbeat, and how it ends. What its frames mean is the
//! connection's to say.

use std::cell::Cell;
use std::rc::Rc;

use actix::prelude::*;
use actix_http::ws::{Frame, Message as WsMessage, ProtocolError};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use watchpost_core::MonotonicTime;

use super::fragments::{Assembled, FragmentAssembler};
use super::heartbeat::{EndHeartbeat, Heartbeat, Received};
use super::transport::WebSocket;

/// Messages that may wait to be written. They are short; a server that lets so many pile up while it
/// sends alerts does not read at all.
const MAX_OUTBOX_MESSAGES: usize = 65_536;

/// Answers to pings are not queued behind so many messages.
const MAX_BEFORE_PONG: usize = 1_024;

/// An open socket: two futures of the actor that own its halves.
pub(super) struct Socket {
    number: u64,
    outbox: mpsc::UnboundedSender<WsMessage>,
    /// How many messages the writer has not taken yet.
    queued: Rc<Cell<usize>>,
    reader: SpawnHandle,
    writer: SpawnHandle,
    fragments: FragmentAssembler,
    heartbeat: Addr<Heartbeat>,
    /// Why the socket is about to end, once that is known.
    close_reason: String,
}

/// What ended the half that writes: nothing, when everything was sent.
pub(super) type Written = Result<(), ProtocolError>;

impl Socket {
    /// Lets an actor read and write a socket that was just opened. `written` is called when the half that writes ends.
    pub(super) fn open<A>(
        number: u64,
        socket: WebSocket,
        max_message: usize,
        heartbeat: Addr<Heartbeat>,
        ctx: &mut Context<A>,
        written: fn(Written, &mut A, &mut Context<A>),
    ) -> Self
    where
        A: Actor<Context = Context<A>> + StreamHandler<Result<Frame, ProtocolError>>,
    {
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
            Ok(())
        };
        let writer = ctx.spawn(actix::fut::wrap_future::<_, A>(write).map(written));
        Self {
            number,
            outbox,
            queued,
            reader: ctx.add_stream(stream),
            writer,
            fragments: FragmentAssembler::new(max_message),
            heartbeat,
            close_reason: String::new(),
        }
    }

    /// Which socket of the connection it is, counted from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Its heartbeat.
    pub(super) fn heartbeat(&self) -> &Addr<Heartbeat> {
        &self.heartbeat
    }

    /// Puts messages together.
    pub(super) fn assemble(&mut self, frame: &Frame) -> Assembled {
        self.fragments.push(frame)
    }

    /// A message was received: the only sign of life there is. Control frames prove nothing, because the backend's web
    /// server goes on with them when the backend itself has dropped the connection.
    pub(super) fn heard(&self, at: MonotonicTime, pong: bool) {
        self.heartbeat.do_send(Received { at, pong });
    }

    /// Queues a message; whether there was room for it.
    pub(super) fn send(&self, message: WsMessage) -> bool {
        if self.queued.get() >= MAX_OUTBOX_MESSAGES {
            return false;
        }
        self.queued.set(self.queued.get() + 1);
        // Fails only when the writer has ended, which reports itself.
        let _ = self.outbox.send(message);
        true
    }

    /// Answers a ping of the WebSocket's own. The answer is a copy: what was received is a part of a buffer that may be as
    /// large as a message, and would keep it for as long as the server does not read. Then the latest pings get no answer.
    pub(super) fn pong(&mut self, payload: &[u8]) {
        if self.queued.get() < MAX_BEFORE_PONG {
            self.send(WsMessage::Pong(Bytes::copy_from_slice(payload)));
        }
    }

    /// Notes why it is about to end.
    pub(super) fn set_close_reason(&mut self, reason: String) {
        self.close_reason = reason;
    }

    /// Why it was about to end.
    pub(super) fn take_close_reason(&mut self) -> String {
        std::mem::take(&mut self.close_reason)
    }

    /// Sends what is queued and reads no more: what comes after a broken frame cannot be understood.
    pub(super) fn stop_reading<A: Actor<Context = Context<A>>>(&mut self, ctx: &mut Context<A>) {
        ctx.cancel_future(self.reader);
        // The writer ends when it has sent what is queued and its last sender is gone.
        self.outbox = mpsc::unbounded_channel().0;
    }

    /// Drops it as it is.
    pub(super) fn end<A: Actor<Context = Context<A>>>(self, ctx: &mut Context<A>) {
        ctx.cancel_future(self.reader);
        ctx.cancel_future(self.writer);
        self.heartbeat.do_send(EndHeartbeat);
    }
}
