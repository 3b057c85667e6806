//! A plugin's stdout or stderr, read line by line and never faster than is good for the hub.

use std::io;
use std::mem;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until};
use watchpost_sinkhost_protocol::limits::{MAX_LINE_BYTES, OUTPUT_BURST_BYTES, OUTPUT_REST};

/// Bytes of one read.
const CHUNK_BYTES: usize = 16 << 10;

/// The reading end.
#[derive(Debug)]
pub(crate) struct Output {
    /// `None` once the writing end is closed.
    pipe: Option<AsyncFd<OwnedFd>>,
    lines: Lines,
    /// Bytes that may still be read before a rest.
    budget: usize,
    rest_until: Option<Instant>,
}

impl Output {
    pub(crate) fn new(pipe: AsyncFd<OwnedFd>) -> Self {
        Self {
            pipe: Some(pipe),
            lines: Lines::default(),
            budget: OUTPUT_BURST_BYTES,
            rest_until: None,
        }
    }

    /// Waits until there is something to read and reading is allowed. For ever, once the pipe is closed.
    pub(crate) async fn ready(&self) {
        if let Some(until) = self.rest_until {
            sleep_until(until).await;
        }
        match &self.pipe {
            Some(pipe) => drop(pipe.readable().await),
            None => std::future::pending().await,
        }
    }

    /// Reads what there is, within the budget.
    pub(crate) fn read(&mut self, now: Instant) -> Vec<String> {
        self.read_with(now, |pipe, chunk| {
            pipe.try_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, &mut *chunk)?))
        })
    }

    /// Reads what a dead child has left, a last line without its end too.
    pub(crate) fn finish(&mut self, now: Instant) -> Vec<String> {
        self.rest_until = None;
        self.budget = OUTPUT_BURST_BYTES;
        // Past the reactor, which may not have noticed yet that there is something.
        let mut lines = self.read_with(now, |pipe, chunk| {
            Ok(rustix::io::read(pipe.get_ref(), &mut *chunk)?)
        });
        lines.extend(self.lines.finish());
        lines
    }

    fn read_with(
        &mut self,
        now: Instant,
        read_some: impl Fn(&AsyncFd<OwnedFd>, &mut [u8]) -> io::Result<usize>,
    ) -> Vec<String> {
        if self.rest_until.is_some_and(|until| now >= until) {
            self.rest_until = None;
            self.budget = OUTPUT_BURST_BYTES;
        }
        let mut lines = Vec::new();
        let mut chunk = [0; CHUNK_BYTES];
        while self.budget > 0 {
            let Some(pipe) = &self.pipe else { break };
            match read_some(pipe, &mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(len) => {
                    self.budget = self.budget.saturating_sub(len);
                    self.lines.feed(&chunk[..len], &mut lines);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.budget = OUTPUT_BURST_BYTES;
                    return lines;
                }
                Err(_) => self.pipe = None,
            }
        }
        if self.pipe.is_some() {
            self.rest_until = Some(now + OUTPUT_REST);
        }
        lines
    }
}

/// Cuts a stream of bytes into lines of bounded length.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
    /// The rest of a line that was cut is being skipped.
    skipping: bool,
}

impl Lines {
    fn feed(&mut self, mut bytes: &[u8], lines: &mut Vec<String>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end], lines);
            lines.extend(self.finish());
            self.skipping = false;
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes, lines);
    }

    fn extend(&mut self, bytes: &[u8], lines: &mut Vec<String>) {
        if self.skipping {
            return;
        }
        let room = MAX_LINE_BYTES - self.partial.len();
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room {
            lines.extend(self.finish());
            self.skipping = true;
        }
    }

    /// The line so far; an empty one is left out.
    fn finish(&mut self) -> Option<String> {
        let line = mem::take(&mut self.partial);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let (mut cutter, mut lines) = (Lines::default(), Vec::new());
        chunks.iter().for_each(|chunk| cutter.feed(chunk, &mut lines));
        lines.extend(cutter.finish());
        lines
    }

    #[test]
    fn lines_may_come_in_pieces() {
        assert_eq!(
            lines(&[b"on", b"e\ntwo\r\n\nth", b"ree"]),
            ["one", "two", "three"]
        );
    }

    #[test]
    fn a_line_without_end_is_cut_and_its_rest_skipped() {
        let long = vec![b'x'; MAX_LINE_BYTES * 3];
        let lines = lines(&[&long, &long, b"\nnext\n"]);
        assert_eq!(
            lines.iter().map(String::len).collect::<Vec<_>>(),
            [MAX_LINE_BYTES, 4]
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_all_the_same() {
        assert_eq!(lines(&[b"a\xffb\n"]), ["a\u{fffd}b"]);
    }
}
