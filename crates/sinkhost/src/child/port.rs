//! The child's end of the socket. Any thread may send.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use watchpost_sinkhost_protocol::{
    LogLevel, LogLimit, Outgoing, Receiver, ToChild, ToParent, decode_to_child, encode_to_parent,
};

/// The socket, and the limit on log lines.
#[derive(Debug)]
pub(super) struct Port {
    socket: OwnedFd,
    limit: Mutex<LogLimit>,
}

impl Port {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            limit: Mutex::new(LogLimit::new(Instant::now())),
        }
    }

    /// The descriptor, not to be closed.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends a message, waiting for room. When the parent is gone the receiving thread ends the process.
    pub(super) fn send(&self, message: &ToParent) {
        let _ =
            Outgoing::new(encode_to_parent(message), Vec::new()).and_then(|packet| packet.send(&self.socket));
    }

    /// Whether the parent's end is closed.
    pub(super) fn is_closed(&self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok() && fds[0].revents().contains(PollFlags::HUP)
    }

    /// Waits for a message. `None` when the parent is gone, or is none of ours.
    pub(super) fn receive(&self, receiver: &mut Receiver) -> Option<(ToChild<'static>, Vec<OwnedFd>)> {
        let packet = receiver.receive(&self.socket).ok()??;
        let message = decode_to_child(&packet.message).ok()?;
        Some((message, packet.fds))
    }

    /// Sends a line of log, if there have not been too many.
    pub(super) fn log(&self, level: LogLevel, line: String) {
        let admitted = self.limit().admit(Instant::now(), line.len());
        let Some(suppressed) = admitted else { return };
        self.report_suppressed(suppressed);
        self.send(&ToParent::Log(level, line));
    }

    /// Reports the lines that were suppressed since the last one, for no other will follow.
    pub(super) fn end_log(&self) {
        let suppressed = self.limit().take_suppressed();
        self.report_suppressed(suppressed);
    }

    fn report_suppressed(&self, count: u64) {
        if count > 0 {
            self.send(&ToParent::Log(LogLevel::Warn, LogLimit::sentence(count)));
        }
    }

    fn limit(&self) -> MutexGuard<'_, LogLimit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says it to a person who started the program by hand.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
