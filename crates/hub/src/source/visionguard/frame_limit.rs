//! The limit of a WebSocket frame, applied to the length that its header declares (RFC 6455, section 5.2). The library's own
//! codec looks at it when the frame is whole, which has taken the memory by then.

use actix_codec::{Decoder, Encoder};
use actix_http::ws::{Codec, Frame, Message, ProtocolError};
use bytes::BytesMut;

/// The bits of a header's second byte that are a length, or say that one of 2 or 8 bytes follows.
const LENGTH: u8 = 0x7f;
/// Two bytes of length follow.
const IN_TWO: u8 = 126;
/// Eight bytes of length follow.
const IN_EIGHT: u8 = 127;

/// The codec of a client's socket, with a limit.
#[derive(Debug)]
pub(crate) struct LimitedCodec {
    codec: Codec,
    max_bytes: u64,
}

impl LimitedCodec {
    /// Refuses frames of more than `max_bytes`.
    pub(super) fn new(codec: Codec, max_bytes: usize) -> Self {
        Self {
            codec,
            max_bytes: max_bytes as u64,
        }
    }
}

impl Decoder for LimitedCodec {
    type Item = Frame;
    type Error = ProtocolError;

    fn decode(&mut self, received: &mut BytesMut) -> Result<Option<Frame>, ProtocolError> {
        match declared(received) {
            Some(length) if length > self.max_bytes => Err(ProtocolError::Overflow),
            _ => self.codec.decode(received),
        }
    }
}

impl Encoder<Message> for LimitedCodec {
    type Error = ProtocolError;

    fn encode(&mut self, message: Message, out: &mut BytesMut) -> Result<(), ProtocolError> {
        self.codec.encode(message, out)
    }
}

/// The length of the frame that begins here, once enough of its header is there.
fn declared(received: &[u8]) -> Option<u64> {
    match received.get(1)? & LENGTH {
        IN_TWO => Some(u16::from_be_bytes(*received.get(2..)?.first_chunk()?).into()),
        IN_EIGHT => Some(u64::from_be_bytes(*received.get(2..)?.first_chunk()?)),
        short => Some(short.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Option<Frame>, ProtocolError> {
        let mut codec = LimitedCodec::new(Codec::new().client_mode().max_size(1_000), 1_000);
        codec.decode(&mut BytesMut::from(bytes))
    }

    #[test]
    fn what_is_declared_is_enough_to_refuse() {
        for header in [
            &[0x81, 126, 0x03, 0xe9][..],
            &[0x81, 127, 0, 0, 0, 0, 0x80, 0, 0, 0],
            &[0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0],
            &[0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(
                matches!(decode(header), Err(ProtocolError::Overflow)),
                "{header:?}"
            );
        }
    }

    #[test]
    fn what_is_within_the_limit_is_waited_for() {
        for header in [
            &[][..],
            &[0x81],
            &[0x81, 126, 0x03],
            &[0x81, 126, 0x03, 0xe8],
            &[0x81, 127, 0, 0],
        ] {
            assert!(matches!(decode(header), Ok(None)), "{header:?}");
        }
        let whole = decode(&[0x81, 2, b'h', b'i']);
        assert!(
            matches!(&whole, Ok(Some(Frame::Text(text))) if text == "hi"),
            "{whole:?}"
        );
    }
}
