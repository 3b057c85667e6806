//! Packets on their way to the child, as fast as the socket takes them.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;
use watchpost_sinkhost_protocol::Outgoing;

use crate::clock;

/// When to try again to pass file descriptors of which the kernel has too many in flight.
const TOO_MANY_FDS_PAUSE: Duration = Duration::from_millis(20);

/// What the socket has not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Packets that go before any request.
    urgent: VecDeque<Outgoing>,
    /// The packet the socket had no room for.
    blocked: Option<Outgoing>,
    /// When to try it again although no event will wake us.
    pause_until: Option<Instant>,
}

impl Outbox {
    /// Puts a packet before all that are not yet being sent.
    pub(crate) fn push_urgently(&mut self, packet: Outgoing) {
        self.urgent.push_back(packet);
    }

    /// Whether the socket's room is waited for.
    pub(crate) fn waits_for_room(&self) -> bool {
        self.blocked.is_some() && self.pause_until.is_none()
    }

    /// When to send again.
    pub(crate) fn pause_until(&self) -> Option<Instant> {
        self.pause_until
    }

    /// Sends what the socket takes: urgent packets, then those that `next` makes.
    pub(crate) fn send(&mut self, socket: &AsyncFd<OwnedFd>, mut next: impl FnMut() -> Option<Outgoing>) {
        let now = clock::now();
        self.pause_until.take_if(|until| now >= *until);
        while self.pause_until.is_none() {
            let waiting = self.blocked.take().or_else(|| self.urgent.pop_front());
            let Some(packet) = waiting.or_else(&mut next) else {
                return;
            };
            match socket.try_io(Interest::WRITABLE, |socket| packet.send(socket)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = Some(packet);
                    return;
                }
                Err(error) if error.raw_os_error() == Some(Errno::TOOMANYREFS.raw_os_error()) => {
                    self.blocked = Some(packet);
                    self.pause_until = Some(now + TOO_MANY_FDS_PAUSE);
                }
                // The child has closed its end; reading will show it too.
                Err(_) => return,
            }
        }
    }
}
