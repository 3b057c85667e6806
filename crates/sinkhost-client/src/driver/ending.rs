//! The task's last act: what a dead child has left is read, the process reaped, and every open call accounted for.

use std::io;

use watchpost_sinkhost_protocol::LogLevel;

use super::{Driver, Stopping};
use crate::ExitKind;
use crate::clock;

impl Driver {
    /// Takes what the dead child has left, reaps it and accounts for its calls.
    pub(crate) async fn finish(mut self) -> ExitKind {
        while self.socket_open {
            match self.receiver.receive(self.socket.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                received => {
                    self.take(received);
                }
            }
        }
        let now = clock::now();
        let how = self.how_it_ended().await;
        let (stdout, stderr) = (self.stdout.finish(now), self.stderr.finish(now));
        self.parent.journal.log_all(now, LogLevel::Info, &stdout);
        self.parent.journal.log_all(now, LogLevel::Warn, &stderr);
        self.parent.bury(&how);
        // After closing, `Host::deliver` refuses; what was accepted before is reported here.
        self.commands.close();
        let Self {
            parent,
            mut commands,
            share,
            conduct,
            ..
        } = self;
        // Before anyone learns of its end, and starts another.
        conduct.keep(share, how != ExitKind::Stopped, now);
        parent.close(how.clone(), std::iter::from_fn(|| commands.try_recv().ok()));
        how
    }

    async fn how_it_ended(&mut self) -> ExitKind {
        match (self.process.end().await, self.killed.take(), &self.stopping) {
            // Only a kill that was needed counts: it may have left by itself just before.
            (ExitKind::Signal(9), Some((why, _)), _) => why,
            (ExitKind::Code(0), _, Some(Stopping { requested: true, .. })) => ExitKind::Stopped,
            (how, _, _) => how,
        }
    }
}
