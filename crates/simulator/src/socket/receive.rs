//! What a client sends on its alert socket, and what comes of it.

use std::sync::atomic::Ordering;

use actix_http::ws::Item;
use actix_web_actors::ws::CloseCode;
use serde_json::Value;
use uuid::Uuid;

use super::{Context, MAX_CLIENT_MESSAGE_BYTES, Session, SessionState, Waiting};
use crate::{owl, wire};

impl Session {
    pub(super) fn assemble(&mut self, item: Item, ctx: &mut Context) {
        let (piece, last) = match item {
            Item::FirstText(piece) => {
                self.assembling = Some((Vec::new(), false));
                (piece, false)
            }
            Item::FirstBinary(piece) => {
                self.assembling = Some((Vec::new(), true));
                (piece, false)
            }
            Item::Continue(piece) => (piece, false),
            Item::Last(piece) => (piece, true),
        };
        let Some((whole, binary)) = &mut self.assembling else {
            return;
        };
        if whole.len() + piece.len() > MAX_CLIENT_MESSAGE_BYTES {
            return self.close(Some(CloseCode::Size.into()), ctx);
        }
        whole.extend_from_slice(&piece);
        if !last {
            return;
        }
        let (whole, binary) = (std::mem::take(whole), *binary);
        self.assembling = None;
        match String::from_utf8(whole) {
            _ if binary => self.violate_protocol(),
            Ok(text) => self.receive(&text, ctx),
            Err(_) => self.close(Some(CloseCode::Invalid.into()), ctx),
        }
    }

    pub(super) fn receive(&mut self, text: &str, ctx: &mut Context) {
        if !self.is_open() {
            return;
        }
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            return;
        };
        let Value::Object(message) = message else {
            return self.violate_protocol();
        };
        match message.get("type").and_then(Value::as_str) {
            Some("ping") => {
                self.beat(|stats| stats.pings_received += 1);
                if self.backend.pongs.load(Ordering::Relaxed) {
                    ctx.text(wire::pong(self.backend.now(), self.backend.options.local_offset));
                }
            }
            Some("pong") => {
                self.beat(|_| ());
                let after = self.open_pings.pop_front().map(|sent| sent.elapsed());
                self.backend.state().ledger.pong(after);
            }
            Some("ack") => self.acknowledge(message.get("stream_id"), message.get("id")),
            Some("owl_eye_detection") => {
                if let Some(text) = message
                    .get("data")
                    .and_then(|data| owl::report(&self.backend, data))
                {
                    self.backend.state().ledger.stats.notifications += 1;
                    ctx.text(text);
                }
            }
            _ => {}
        }
    }

    /// JSON that is no object, or a binary message: the real handler ends and leaves the socket open.
    pub(super) fn violate_protocol(&mut self) {
        if self.is_open() && self.backend.options.faithful {
            self.state = SessionState::Blackholed;
            self.backend.deregister(&self.user);
        }
    }

    fn beat(&self, count: impl FnOnce(&mut crate::Stats)) {
        let now = self.backend.now();
        let mut state = self.backend.state();
        state.slots.heartbeat(&self.user, now);
        count(&mut state.ledger.stats);
    }

    fn acknowledge(&mut self, stream: Option<&Value>, id: Option<&Value>) {
        let stream = stream
            .and_then(Value::as_str)
            .and_then(|text| Uuid::try_parse(text).ok());
        let queue = stream.and_then(|stream| self.waiting.get_mut(&stream));
        let found = queue.and_then(|queue| match id.and_then(Value::as_u64) {
            Some(id) => {
                let index = queue.iter().position(|waiting| waiting.id == Some(id))?;
                queue.remove(index)
            }
            None => queue.pop_front(),
        });
        let at = self.backend.elapsed();
        let ledger = &mut self.backend.state().ledger;
        match found {
            Some(Waiting {
                seq, repeated: false, ..
            }) => ledger.acknowledged(seq, at),
            Some(_) => {}
            None => ledger.stats.stray_acks += 1,
        }
    }
}
