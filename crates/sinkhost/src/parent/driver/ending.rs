//! The task's last act: a dead child's remains are taken, the process reaped and the books closed.

use std::io;

use tokio::time::Instant;

use super::{Command, Driver, Stopping};
use crate::parent::start::Answer;
use crate::{Event, Exit, ExitKind, LogLevel, Note, Outcome};

impl Driver {
    /// Takes what the dead child has left, reaps it and closes the books.
    pub(super) fn finish(mut self) -> ExitKind {
        while self.socket_open {
            match self.receiver.receive(self.socket.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                received => {
                    self.take(received);
                }
            }
        }
        let now = Instant::now();
        let how = self.how_it_ended();
        let (stdout, stderr) = (self.stdout.finish(now), self.stderr.finish(now));
        self.journal.log_all(LogLevel::Info, stdout);
        self.journal.log_all(LogLevel::Warn, stderr);
        self.journal.end_log();

        let (stage, output) = (self.stage, self.journal.take_tail());
        self.answer(Answer::Died {
            stage,
            how: how.clone(),
            output,
        });
        self.close_books(how.clone());
        how
    }

    fn how_it_ended(&mut self) -> ExitKind {
        match (self.process.reap(), self.killed.take(), &self.stopping) {
            // Only a kill that was needed counts: it may have left by itself just before.
            (ExitKind::Signal(9), Some(why), _) => why,
            (ExitKind::Code(0), _, Some(Stopping { told: true, .. })) => ExitKind::Stopped,
            (how, _, _) => how,
        }
    }

    fn close_books(mut self, how: ExitKind) {
        // After closing, `Host::deliver` says that nobody is there; what was taken before is told of here.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Call(call, request) = command {
                self.calls.push(call, request);
            }
        }
        let Self { calls, journal, .. } = self;
        let closed = calls.close(how == ExitKind::TimedOut);
        for call_id in closed.late {
            let notes = vec![Note::new(
                "not done by its deadline, nor when asked to give up; its process was killed",
            )];
            journal.tell(Event::Done {
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
        journal.tell(Event::Exited(exit));
    }
}
