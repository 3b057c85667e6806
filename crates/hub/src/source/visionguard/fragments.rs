//! Puts fragmented WebSocket messages together (RFC 6455, section 5.4), which awc leaves to its caller.

use actix_http::ws::{Frame, Item};
use bytes::{Bytes, BytesMut};

/// A message of which not all fragments have come.
#[derive(Debug)]
enum Partial {
    Text(BytesMut),
    /// Binary messages mean nothing to the hub, but their fragments must be counted.
    Binary(usize),
}

/// Collects the fragments of one message at a time.
#[derive(Debug)]
pub(super) struct FragmentAssembler {
    partial: Option<Partial>,
    max_bytes: usize,
}

/// What a frame amounts to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Assembled {
    /// A whole text message.
    Text(Bytes),
    /// A whole binary message.
    Binary,
    /// A control frame, or a part of something that goes on.
    Other,
    /// The message grew over the limit.
    TooLarge,
    /// A fragment that belongs to nothing, or a message that begins inside another.
    OutOfOrder,
}

impl FragmentAssembler {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            partial: None,
            max_bytes,
        }
    }

    /// Takes the next frame of the socket.
    pub(super) fn push(&mut self, frame: &Frame) -> Assembled {
        match frame {
            Frame::Text(_) | Frame::Binary(_) if self.partial.is_some() => Assembled::OutOfOrder,
            Frame::Text(text) => Assembled::Text(text.clone()),
            Frame::Binary(_) => Assembled::Binary,
            Frame::Continuation(item) => self.fragment(item),
            Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_) => Assembled::Other,
        }
    }

    fn fragment(&mut self, item: &Item) -> Assembled {
        let (part, last) = match (item, &self.partial) {
            (Item::FirstText(part), None) => {
                self.partial = Some(Partial::Text(BytesMut::new()));
                (part, false)
            }
            (Item::FirstBinary(part), None) => {
                self.partial = Some(Partial::Binary(0));
                (part, false)
            }
            (Item::Continue(part), Some(_)) => (part, false),
            (Item::Last(part), Some(_)) => (part, true),
            _ => return Assembled::OutOfOrder,
        };
        let size = match &mut self.partial {
            Some(Partial::Text(text)) => {
                text.extend_from_slice(part);
                text.len()
            }
            Some(Partial::Binary(size)) => {
                *size += part.len();
                *size
            }
            None => 0,
        };
        if size > self.max_bytes {
            self.partial = None;
            return Assembled::TooLarge;
        }
        if !last {
            return Assembled::Other;
        }
        match self.partial.take() {
            Some(Partial::Text(text)) => Assembled::Text(text.freeze()),
            _ => Assembled::Binary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: fn(Bytes) -> Item, part: &'static str) -> Frame {
        Frame::Continuation(kind(Bytes::from_static(part.as_bytes())))
    }

    #[test]
    fn fragments_become_one_message_with_control_frames_between() {
        let mut assembler = FragmentAssembler::new(100);
        assert_eq!(assembler.push(&item(Item::FirstText, "{\"ty")), Assembled::Other);
        assert_eq!(assembler.push(&Frame::Ping(Bytes::new())), Assembled::Other);
        assert_eq!(assembler.push(&item(Item::Continue, "pe\":")), Assembled::Other);
        assert_eq!(
            assembler.push(&item(Item::Last, "1}")),
            Assembled::Text("{\"type\":1}".into())
        );
        assert_eq!(
            assembler.push(&Frame::Text("x".into())),
            Assembled::Text("x".into())
        );
    }

    #[test]
    fn limits_and_order_are_kept() {
        let mut assembler = FragmentAssembler::new(5);
        assert_eq!(assembler.push(&item(Item::Last, "x")), Assembled::OutOfOrder);
        assert_eq!(
            assembler.push(&item(Item::FirstBinary, "12345")),
            Assembled::Other
        );
        assert_eq!(assembler.push(&Frame::Text("x".into())), Assembled::OutOfOrder);
        assert_eq!(assembler.push(&item(Item::Last, "6")), Assembled::TooLarge);
    }
}
