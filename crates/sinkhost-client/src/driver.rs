//! The task that stands beside one child: it owns the process and the ends of its channels.
//!
//! Every change of state happens here, in one place and one after the other. What becomes of a call is decided in
//! [`calls`](crate::calls), what a start means to its caller in [`start`](crate::start).

mod ending;

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};
use watchpost_sinkhost_protocol::limits::{CANCEL_GRACE, DROP_GRACE};
use watchpost_sinkhost_protocol::sandbox::Enforced;
use watchpost_sinkhost_protocol::{
    DecodeError, FIRST_OWN_CALL, Incoming, LogLevel, Note, Outcome, Outgoing, PluginInfo, Receiver, Stage,
    ToChild, ToParent, decode_to_parent, encode_to_child,
};

use crate::answer::Answer;
use crate::calls::{Calls, DeadlineAction, UnknownCall, after_deadline};
use crate::journal::Journal;
use crate::outbox::Outbox;
use crate::output::Output;
use crate::request::{Command, Queued, Request};
use crate::spawn::{Process, Spawned};
use crate::{Event, ExitKind};

/// Packets taken before other things get their turn.
const PACKETS_A_TURN: usize = 64;

/// The task's state.
#[derive(Debug)]
pub(crate) struct Driver {
    process: Process,
    socket: AsyncFd<OwnedFd>,
    receiver: Receiver,
    stdout: Output,
    stderr: Output,
    commands: mpsc::UnboundedReceiver<Command>,
    queued: Queued,
    journal: Journal,
    /// Taken once the start has succeeded or failed.
    answer: Option<oneshot::Sender<Answer>>,
    /// How far the start has come.
    stage: Stage,
    info: Option<PluginInfo>,
    enforced: Enforced,
    /// Whether `Loaded` is all that was asked for.
    inspecting: bool,
    calls: Calls<Request>,
    outbox: Outbox,
    socket_open: bool,
    stopping: Option<Stopping>,
    /// Set when the process was killed: why.
    killed: Option<ExitKind>,
}

/// The child is expected to leave.
#[derive(Debug)]
struct Stopping {
    /// Whether it was asked to, or has just closed its socket.
    requested: bool,
    /// When the call in flight is to be cancelled; `None` once it was.
    cancel_at: Option<Instant>,
    kill_at: Instant,
}

/// What the task was woken for.
enum Wake {
    Exited,
    Readable,
    /// The socket may have room, or a point in time has come.
    Try,
    Stdout,
    Stderr,
    Command(Option<Command>),
}

impl Driver {
    pub(crate) fn new(
        child: Spawned,
        startup: Duration,
        inspecting: bool,
        commands: mpsc::UnboundedReceiver<Command>,
        queued: Queued,
        events: mpsc::UnboundedSender<Event>,
        answer: oneshot::Sender<Answer>,
    ) -> Self {
        let now = Instant::now();
        Self {
            process: child.process,
            socket: child.socket,
            receiver: Receiver::new(),
            stdout: Output::new(child.stdout),
            stderr: Output::new(child.stderr),
            commands,
            queued,
            journal: Journal::new(events, now),
            answer: Some(answer),
            stage: Stage::Starting,
            info: None,
            enforced: Enforced::default(),
            inspecting,
            calls: Calls::starting(now, startup),
            outbox: Outbox::default(),
            socket_open: true,
            stopping: None,
            killed: None,
        }
    }

    /// Stays with the child until it is reaped. `first` is the first message it gets.
    pub(crate) async fn run(mut self, first: ToChild<'static>) -> ExitKind {
        self.send_urgently(&first);
        loop {
            self.pump();
            // Whatever is ready all the time, the others on this thread get their turn, and deadlines are checked.
            consume_budget().await;
            match self.wait().await {
                Wake::Exited => return self.finish(),
                Wake::Readable => self.read_socket(),
                Wake::Try => self.check_deadlines(Instant::now()),
                Wake::Stdout => {
                    let lines = self.stdout.read(Instant::now());
                    self.journal.log_all(LogLevel::Info, lines);
                }
                Wake::Stderr => {
                    let lines = self.stderr.read(Instant::now());
                    self.journal.log_all(LogLevel::Warn, lines);
                }
                Wake::Command(command) => self.handle_command(command),
            }
        }
    }

    async fn wait(&mut self) -> Wake {
        let deadline = self.next_deadline();
        let listening = self.stopping.is_none();
        // A closed socket is always writable, and nothing is sent over it any more.
        let reading = self.socket_open;
        let writing = self.socket_open && self.outbox.waits_for_room();
        let Self {
            process,
            socket,
            stdout,
            stderr,
            commands,
            ..
        } = self;
        tokio::select! {
            () = process.exited() => Wake::Exited,
            _ = socket.readable(), if reading => Wake::Readable,
            _ = socket.writable(), if writing => Wake::Try,
            () = stdout.ready() => Wake::Stdout,
            () = stderr.ready() => Wake::Stderr,
            command = commands.recv(), if listening => Wake::Command(command),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => Wake::Try,
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        if self.killed.is_some() {
            return None;
        }
        let stop = self
            .stopping
            .as_ref()
            .map(|stopping| stopping.cancel_at.unwrap_or(stopping.kill_at));
        let pause = self.outbox.pause_until().filter(|_| self.socket_open);
        [self.calls.next_deadline(), stop, pause]
            .into_iter()
            .flatten()
            .min()
    }

    fn check_deadlines(&mut self, now: Instant) {
        match self.calls.check_deadline(now) {
            Some(DeadlineAction::Cancel(call_id)) => self.send_urgently(&ToChild::Cancel { call_id }),
            Some(DeadlineAction::Kill) => self.kill(ExitKind::TimedOut),
            None => {}
        }
        let Some(stopping) = &mut self.stopping else {
            return;
        };
        if stopping.cancel_at.take_if(|at| now >= *at).is_some()
            && let Some(call_id) = self.calls.running_id()
        {
            self.send_urgently(&ToChild::Cancel { call_id });
        } else if now >= stopping.kill_at {
            let closed = || ExitKind::ProtocolViolation("the plugin closed the socket of its process".into());
            let why = if stopping.requested {
                ExitKind::StopTimedOut
            } else {
                closed()
            };
            self.kill(why);
        }
    }

    fn handle_command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Call(call, request)) => self.calls.push(call, request),
            Some(Command::Cancel { call_id }) if self.calls.cancel_waiting(call_id) => {
                let notes = vec![Note::new("cancelled before it began")];
                self.emit_done(call_id, Outcome::Retry { after: None }, notes);
            }
            Some(Command::Cancel { call_id }) => self.send_urgently(&ToChild::Cancel { call_id }),
            Some(Command::Stop { grace }) => self.stop(grace),
            None => self.stop(DROP_GRACE),
        }
    }

    fn stop(&mut self, grace: Duration) {
        if self.stopping.is_none() {
            let (now, last) = (Instant::now(), CANCEL_GRACE.min(grace / 2));
            self.stopping = Some(Stopping {
                requested: true,
                cancel_at: Some(now + (grace - last)),
                kill_at: now + grace,
            });
            self.send_urgently(&ToChild::Stop);
        }
    }

    fn kill(&mut self, why: ExitKind) {
        if self.killed.is_none() {
            self.process.kill();
            self.killed = Some(why);
        }
    }

    fn send_urgently(&mut self, message: &ToChild<'_>) {
        match Outgoing::new(encode_to_child(message), Vec::new()) {
            Ok(packet) => self.outbox.push_urgently(packet),
            Err(error) => self.kill(ExitKind::ProtocolViolation(format!(
                "a message to it cannot be made: {error}"
            ))),
        }
    }

    /// Sends what the socket takes.
    fn pump(&mut self) {
        if !self.socket_open {
            return;
        }
        let dispatching = self.stopping.is_none() && self.killed.is_none();
        let Self {
            outbox,
            socket,
            calls,
            journal,
            queued,
            ..
        } = self;
        outbox.send(socket, || {
            if !dispatching {
                return None;
            }
            loop {
                let request = calls.dispatch()?;
                let call_id = request.call_id();
                match request.into_packet() {
                    Ok(packet) => return Some(packet),
                    Err(error) => {
                        // It was dispatched an instant ago, so it is known.
                        let _ = calls.done(&[call_id]);
                        queued.leave();
                        let notes = vec![Note::new(format!("cannot be sent to the plugin: {error}"))];
                        journal.emit(Event::Done {
                            call_id,
                            outcome: Outcome::Retry { after: None },
                            notes,
                        });
                    }
                }
            }
        });
    }

    fn read_socket(&mut self) {
        for _ in 0..PACKETS_A_TURN {
            let Self { socket, receiver, .. } = self;
            match socket.try_io(Interest::READABLE, |fd| receiver.receive(fd)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                received => {
                    if !self.take(received) {
                        return;
                    }
                }
            }
        }
    }

    /// Takes what was received; `false` when nothing more will come.
    fn take(&mut self, received: io::Result<Option<Incoming>>) -> bool {
        let wrong = match received {
            Ok(Some(packet)) => match decode_to_parent(&packet.message) {
                Ok(message) => match self.handle_message(message) {
                    Ok(()) => return true,
                    Err(UnknownCall(call_id)) => {
                        format!("it reports on call {call_id}, which it does not have")
                    }
                },
                Err(DecodeError::OtherRelease { .. })
                    if self.stage == Stage::Starting && self.answer.is_some() =>
                {
                    self.answer(Answer::OtherRelease);
                    "it is of another release".into()
                }
                Err(malformed) => malformed.to_string(),
            },
            Ok(None) => {
                // It is about to exit; but if the plugin has closed the socket, it never will.
                self.socket_open = false;
                let kill_at = Instant::now() + DROP_GRACE;
                self.stopping.get_or_insert(Stopping {
                    requested: false,
                    cancel_at: None,
                    kill_at,
                });
                return false;
            }
            // It died with packets unread. The kernel says so once, and what it had sent before can still be read.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return true,
            Err(error) => error.to_string(),
        };
        self.socket_open = false;
        self.kill(ExitKind::ProtocolViolation(wrong));
        false
    }

    fn handle_message(&mut self, message: ToParent) -> Result<(), UnknownCall> {
        match message {
            ToParent::Reached(stage) => self.stage = stage,
            ToParent::Confined(enforced) => self.enforced = enforced,
            ToParent::Unconfined(reason) => self.answer(Answer::Unconfined(reason)),
            ToParent::Unloadable(fault) => self.answer(Answer::Unloadable(fault)),
            ToParent::Loaded(info, description) if self.inspecting => {
                let enforced = std::mem::take(&mut self.enforced);
                self.answer(Answer::Ready(info, description, enforced));
            }
            ToParent::Loaded(info, _) => self.info = Some(*info),
            ToParent::Answer(Outcome::Ok, _) => {
                self.calls.started();
                if let Some(info) = self.info.take() {
                    let enforced = std::mem::take(&mut self.enforced);
                    self.answer(Answer::Ready(Box::new(info), None, enforced));
                }
            }
            ToParent::Answer(outcome, notes) => self.answer(Answer::Refused(outcome, notes)),
            ToParent::Begun { call_id } => {
                self.calls.begun(call_id, Instant::now())?;
                if call_id < FIRST_OWN_CALL {
                    self.journal.emit(Event::Begun { call_id });
                }
            }
            ToParent::Done {
                call_ids,
                outcome,
                notes,
            } => {
                let late = self.calls.done(&call_ids)?;
                for call_id in call_ids {
                    let outcome = if late == Some(call_id) {
                        after_deadline(outcome)
                    } else {
                        outcome
                    };
                    self.emit_done(call_id, outcome, notes.clone());
                }
            }
            ToParent::Acknowledged { call_id } => self.journal.emit(Event::Acknowledged { call_id }),
            ToParent::Log(level, line) => self.journal.log(level, line),
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer) {
        if let Some(asker) = self.answer.take() {
            self.journal.take_tail();
            // The caller may have stopped waiting; dropping the commands then ends the child.
            let _ = asker.send(answer);
        }
    }

    fn emit_done(&mut self, call_id: u64, outcome: Outcome, notes: Vec<Note>) {
        self.queued.leave();
        self.journal.emit(Event::Done {
            call_id,
            outcome,
            notes,
        });
    }
}
