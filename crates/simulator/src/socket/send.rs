//! What the server sends on an alert socket: alerts whole or in pieces, pings of both kinds.

use std::{sync::atomic::Ordering, time::Instant};

use actix_http::ws::Item;
use actix_web_actors::ws::{CloseCode, CloseReason, Message};
use bytes::Bytes;
use bytestring::ByteString;
use uuid::Uuid;

use super::{Context, FRAGMENTS, MAX_OPEN_PINGS, Session, SessionState, Waiting};
use crate::{backend::SendMode, wire};

impl Session {
    pub(super) fn alert(
        &mut self,
        ctx: &mut Context,
        waiting: Waiting,
        stream: Uuid,
        text: ByteString,
        mode: SendMode,
    ) {
        let Waiting { seq, id, .. } = waiting;
        let queue = self.waiting.entry(stream).or_default();
        queue.push_back(waiting);
        if mode.twice {
            queue.push_back(Waiting {
                seq,
                id,
                repeated: true,
            });
            ctx.text(text.clone());
        }
        if !mode.fragmented {
            return ctx.text(text);
        }
        let bytes = text.into_bytes();
        let part = bytes.len().div_ceil(FRAGMENTS);
        for index in 0..FRAGMENTS {
            let range = (index * part).min(bytes.len())..((index + 1) * part).min(bytes.len());
            let piece: Bytes = bytes.slice(range);
            ctx.write_raw(Message::Continuation(match index {
                0 => Item::FirstText(piece),
                _ if index + 1 == FRAGMENTS => Item::Last(piece),
                _ => Item::Continue(piece),
            }));
        }
    }

    pub(super) fn ping(&mut self, ctx: &mut Context) {
        if !self.is_open() || !self.backend.pings.load(Ordering::Relaxed) {
            return;
        }
        if self.open_pings.len() == MAX_OPEN_PINGS {
            self.open_pings.pop_front();
        }
        self.open_pings.push_back(Instant::now());
        ctx.text(wire::ping(self.backend.now(), self.backend.options.local_offset));
        self.backend.state().ledger.stats.pings_sent += 1;
    }

    /// The protocol's own ping, which goes on whatever became of the handler above it.
    pub(super) fn keep_alive(&mut self, ctx: &mut Context) {
        if self.state == SessionState::Closing {
            return;
        }
        if self.keepalive_open {
            self.backend.state().ledger.stats.keepalive_timeouts += 1;
            let reason = CloseReason {
                code: CloseCode::Error,
                description: Some("keepalive ping timeout".to_owned()),
            };
            return self.close(Some(reason), ctx);
        }
        self.keepalive_open = true;
        ctx.ping(&fastrand::u32(..).to_be_bytes());
    }
}
