//! Packets over a SEQPACKET socket: bytes and file descriptors, whole or not at all.
//!
//! Bytes that would not fit into the socket's buffer travel in a memfd instead, which neither side's messages
//! need to know of. Whether the socket blocks is the caller's choice.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{SealFlags, fcntl_get_seals};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::FrameFd;
use crate::frame::sealed_memfd;
use crate::limits::{MAX_FRAMES, MAX_INLINE_BYTES};

/// First byte of a packet whose message follows in it.
const INLINE: u8 = 0;
/// First byte of a packet whose message is in its first file descriptor.
const SPILLED: u8 = 1;
/// File descriptors of one packet.
const MAX_FDS: usize = MAX_FRAMES + 1;
/// Room for one packet, its first byte included.
const PACKET_BYTES: usize = 1 + MAX_INLINE_BYTES;

/// A packet ready to be sent, as often as it takes.
#[derive(Debug)]
pub struct Outgoing {
    inline: Vec<u8>,
    spilled: Option<OwnedFd>,
    frames: Vec<FrameFd>,
}

impl Outgoing {
    /// Prepares a message and the pictures that go with it. Fails when a large message finds no memory.
    pub fn new(message: Vec<u8>, frames: Vec<FrameFd>) -> io::Result<Self> {
        if message.len() <= MAX_INLINE_BYTES {
            return Ok(Self {
                inline: message,
                spilled: None,
                frames,
            });
        }
        let memfd = sealed_memfd(&message)?;
        Ok(Self {
            inline: Vec::new(),
            spilled: Some(memfd),
            frames,
        })
    }

    /// Sends it. `WouldBlock` means that nothing was sent.
    pub fn send(&self, socket: impl AsFd) -> io::Result<()> {
        let kind = [if self.spilled.is_some() { SPILLED } else { INLINE }];
        let fds: Vec<BorrowedFd<'_>> = self
            .spilled
            .iter()
            .map(AsFd::as_fd)
            .chain(self.frames.iter().map(AsFd::as_fd))
            .collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "too many file descriptors for a packet",
            ));
        }
        let parts = [IoSlice::new(&kind), IoSlice::new(&self.inline)];
        rustix::io::retry_on_intr(|| sendmsg(&socket, &parts, &mut control, SendFlags::NOSIGNAL))?;
        Ok(())
    }
}

/// A packet that has arrived.
#[derive(Debug)]
pub struct Incoming {
    /// The message.
    pub message: Vec<u8>,
    /// The pictures that came along.
    pub fds: Vec<OwnedFd>,
}

/// Receives packets into a buffer of its own.
#[derive(Debug)]
pub struct Receiver {
    buffer: Box<[u8]>,
    max_bytes: usize,
}

impl Receiver {
    /// Allocates the buffer. A message of more than `max_bytes` is an error.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            buffer: vec![0; PACKET_BYTES].into_boxed_slice(),
            max_bytes,
        }
    }

    /// Takes one packet; `None` when the other end is closed.
    pub fn receive(&mut self, socket: impl AsFd) -> io::Result<Option<Incoming>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            let mut parts = [IoSliceMut::new(&mut self.buffer)];
            recvmsg(&socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
        })?;
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if received
            .flags
            .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
        {
            return Err(invalid(
                "a packet did not fit, or this process has too many files open",
            ));
        }
        match self.buffer[..received.bytes].split_first() {
            None => Ok(None),
            Some((&INLINE, message)) => Ok(Some(Incoming {
                message: message.to_vec(),
                fds,
            })),
            Some((&SPILLED, [])) if !fds.is_empty() => {
                let message = read_spilled(fds.remove(0), self.max_bytes)?;
                Ok(Some(Incoming { message, fds }))
            }
            Some(_) => Err(invalid("a packet of an unknown kind")),
        }
    }
}

/// Reads a message that takes memory of its own. Only that is read: any other file could make its reader wait.
fn read_spilled(memfd: OwnedFd, max_bytes: usize) -> io::Result<Vec<u8>> {
    let sealed = SealFlags::WRITE | SealFlags::SHRINK;
    if !fcntl_get_seals(&memfd).is_ok_and(|seals| seals.contains(sealed)) {
        return Err(invalid("a message in a file that is no sealed memory"));
    }
    let file = File::from(memfd);
    match usize::try_from(file.metadata()?.len()) {
        Ok(len) if len <= max_bytes => {
            let mut message = vec![0; len];
            file.read_exact_at(&mut message, 0)?;
            Ok(message)
        }
        _ => Err(invalid("a message is too large")),
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;
    use crate::FrameMeta;

    fn pair() -> (OwnedFd, OwnedFd) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
    }

    #[test]
    fn small_and_large_messages_arrive_as_they_were_sent() {
        let (near, far) = pair();
        let mut receiver = Receiver::new(3 << 20);
        for len in [1, MAX_INLINE_BYTES, MAX_INLINE_BYTES + 1, 3 << 20] {
            let message: Vec<u8> = (0..len).map(|index| (index % 253) as u8).collect();
            Outgoing::new(message.clone(), Vec::new())
                .unwrap()
                .send(&near)
                .unwrap();
            let arrived = receiver.receive(&far).unwrap().unwrap();
            assert!(arrived.message == message && arrived.fds.is_empty());
        }
        drop(near);
        assert!(receiver.receive(&far).unwrap().is_none());
    }

    #[test]
    fn as_many_pictures_as_allowed_come_along_with_a_large_message() {
        let (near, far) = pair();
        let meta = FrameMeta {
            mime: "image/jpeg".into(),
            name: "a.jpg".into(),
            width: 1,
            height: 1,
        };
        let frames: Vec<_> = (0..MAX_FRAMES as u8)
            .map(|byte| FrameFd::from_bytes(meta.clone(), &[byte]).unwrap())
            .collect();
        Outgoing::new(vec![7; 100_000], frames)
            .unwrap()
            .send(&near)
            .unwrap();
        let arrived = Receiver::new(100_000).receive(&far).unwrap().unwrap();
        assert_eq!(arrived.message.len(), 100_000);
        let first_bytes: Vec<u8> = arrived
            .fds
            .into_iter()
            .map(|fd| {
                let mut byte = [0];
                File::from(fd).read_exact_at(&mut byte, 0).unwrap();
                byte[0]
            })
            .collect();
        assert_eq!(first_bytes, (0..MAX_FRAMES as u8).collect::<Vec<_>>());
    }

    #[test]
    fn a_packet_of_another_kind_is_refused() {
        let (near, far) = pair();
        rustix::net::send(&near, &[9, 9], SendFlags::empty()).unwrap();
        assert!(Receiver::new(1).receive(&far).is_err());
    }

    #[test]
    fn a_message_that_is_too_large_is_refused() {
        let (near, far) = pair();
        Outgoing::new(vec![7; 100_000], Vec::new())
            .unwrap()
            .send(&near)
            .unwrap();
        let refused = Receiver::new(99_999).receive(&far).unwrap_err();
        assert_eq!(refused.to_string(), "a message is too large");
    }

    #[test]
    fn a_message_in_a_file_is_refused_unread() {
        let (near, far) = pair();
        let mut packet = Outgoing::new(vec![7; 100_000], Vec::new()).unwrap();
        packet.spilled = Some(File::open("/dev/zero").unwrap().into());
        packet.send(&near).unwrap();
        let refused = Receiver::new(100_000).receive(&far).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a message in a file that is no sealed memory"
        );
    }
}
