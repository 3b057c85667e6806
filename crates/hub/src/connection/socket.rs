//! The open socket of a connection: its two halves, the close handshake and its end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use actix_http::ws::{self, CloseCode, Message as WsMessage, ProtocolError};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tracing::{info, warn};
use watchpost_core::{CloseReason, LinkEvent, LinkState};

use super::assemble::Assembler;
use super::backfill::AWAY_INTERVAL;
use super::{Connection, LastFailure};
use crate::backend::WebSocket;

/// Messages that may wait to be written. They are short; a server that lets so many pile up while it
/// sends alerts does not read at all.
const MAX_OUTBOX_MESSAGES: usize = 65_536;

/// An open socket: two futures of the actor that own its halves.
pub(super) struct Socket {
    outbox: mpsc::UnboundedSender<WsMessage>,
    /// How many messages the writer has not taken yet.
    queued: Rc<Cell<usize>>,
    reader: SpawnHandle,
    writer: SpawnHandle,
}

impl Connection {
    pub(super) fn opened(&mut self, socket: WebSocket, ctx: &mut Context<Self>) {
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
        self.slot.opened(self.clock.now());
        self.step(LinkEvent::Opened, ctx);
        self.arm_slot(ctx);
        self.backfill_in(Duration::ZERO, ctx);
    }

    pub(super) fn send(&mut self, message: WsMessage, ctx: &mut Context<Self>) {
        let Some(socket) = &self.socket else { return };
        if socket.queued.get() >= MAX_OUTBOX_MESSAGES {
            return self.closed("the server sends but does not read".to_owned(), ctx);
        }
        socket.queued.set(socket.queued.get() + 1);
        // Fails only when the writer has ended, which reports itself.
        let _ = socket.outbox.send(message);
    }

    /// Begins the close handshake.
    pub(super) fn close(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
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
    pub(super) fn peer_closes(&mut self, reason: Option<ws::CloseReason>, ctx: &mut Context<Self>) {
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
    pub(super) fn stop_reading(&mut self, ctx: &mut Context<Self>) {
        if let Some(socket) = &mut self.socket {
            ctx.cancel_future(socket.reader);
            // The writer ends when it has sent what is queued and its last sender is gone.
            socket.outbox = mpsc::unbounded_channel().0;
        }
    }

    /// The socket has ended, by whichever side.
    pub(super) fn closed(&mut self, how: String, ctx: &mut Context<Self>) {
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

    pub(super) fn drop_socket(&mut self, ctx: &mut Context<Self>) {
        if let Some(socket) = self.socket.take() {
            ctx.cancel_future(socket.reader);
            ctx.cancel_future(socket.writer);
            self.slot.closed();
            self.pairing.clear();
            self.backfill_in(AWAY_INTERVAL, ctx);
            self.arm_slot(ctx);
        }
    }
}
