//! The task's last act: what a dead child has left is read, the process reaped, and every open call accounted for.

use std::io;
use std::sync::Arc;

use watchpost_sinkhost_protocol::{LogLevel, Note, Outcome};

use super::{Driver, Stopping};
use crate::answer::Answer;
use crate::clock;
use crate::request::Command;
use crate::{Event, Exit, ExitKind};

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
        self.journal.log_all(LogLevel::Info, &stdout);
        self.journal.log_all(LogLevel::Warn, &stderr);
        self.journal.end_log();

        let (stage, output) = (self.stage, self.journal.take_tail());
        self.answer(Answer::Died {
            stage,
            how: how.clone(),
            output,
        });
        self.close(how.clone());
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

    fn close(mut self, how: ExitKind) {
        // After closing, `Host::deliver` refuses; what was accepted before is reported here.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Call(call, request) = command {
                self.calls.push(call, request);
            }
        }
        let Self { calls, journal, .. } = self;
        let closed = calls.close(how == ExitKind::TimedOut);
        for call_id in closed.timed_out {
            let notes = Arc::new([Note::new(
                "not done by its deadline, nor when cancelled; its process was killed",
            )]);
            journal.emit(Event::Done {
                call_id,
                outcome: Outcome::TimedOut,
                notes,
            });
        }
        let exit = Exit {
            how,
            blamed: closed.blamed,
            unfinished: closed.unfinished,
        };
        journal.emit(Event::Exited(exit));
    }
}
