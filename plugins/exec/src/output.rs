//! What a program prints: its lines in the log, the last one kept as what it has to say. Knows no processes.

use watchpost_sink::{Host, Level};

/// Lines of one run that go to the log.
const MAX_LINES: usize = 50;

/// How much of a line is kept, in bytes.
const MAX_LINE_BYTES: usize = 500;

/// The lines of one run.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    host: &'a Host,
    line: Vec<u8>,
    last: String,
    lines: usize,
}

impl<'a> Output<'a> {
    pub(crate) fn new(host: &'a Host) -> Self {
        Self {
            host,
            line: Vec::new(),
            last: String::new(),
            lines: 0,
        }
    }

    /// Takes what was read.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => self.end_line(),
                _ if self.line.len() < MAX_LINE_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
    }

    /// There is no more. Gives the last line that is not empty.
    pub(crate) fn end(mut self) -> String {
        self.end_line();
        if self.lines > MAX_LINES {
            let more = self.lines - MAX_LINES;
            self.host
                .log(Level::Info, format_args!("the program printed {more} lines more"));
        }
        self.last
    }

    fn end_line(&mut self) {
        let text = String::from_utf8_lossy(&self.line)
            .replace(|c: char| c.is_control(), " ")
            .trim()
            .to_owned();
        self.line.clear();
        if text.is_empty() {
            return;
        }
        self.lines += 1;
        if self.lines <= MAX_LINES {
            self.host.log(Level::Info, &text);
        }
        self.last = text;
    }
}
