//! The task that stands beside one child: it owns the process and the ends of its channels.
//!
//! Every change of state happens here, in one place and one after the other. What is made of it is decided by
//! [`Parent`], what a start means to its caller in [`start`](crate::start).

mod ending;

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};
use watchpost_sinkhost_protocol::limits::{CANCEL_GRACE, DROP_GRACE, KILL_GRACE, MAX_REPLY_BYTES};
use watchpost_sinkhost_protocol::{
    Incoming, LogLevel, Note, Outcome, Outgoing, Receiver, ToChild, encode_to_child,
};

use crate::ExitKind;
use crate::clock;
use crate::outbox::Outbox;
use crate::output::Output;
use crate::parent::{Due, Parent};
use crate::process::Process;
use crate::request::Command;
use crate::share::{Conduct, Given, Seen, Share, ShareWatch};
use crate::spawn::Spawned;

/// Packets taken before other things get their turn.
const PACKETS_A_TURN: usize = 64;
/// Bytes of messages taken before other things get their turn.
const BYTES_A_TURN: usize = 2 * MAX_REPLY_BYTES;

/// When to give a child its share again that could not be given.
const GIVE_AGAIN: Duration = Duration::from_millis(20);

/// What the log of a sink says of one that is slowed down and goes on.
const SLOWED_DOWN: &str =
    "the plugin keeps processors busy and answers few calls: for a while it gets what others leave";

/// The task's state.
#[derive(Debug)]
pub(crate) struct Driver {
    process: Process,
    socket: AsyncFd<OwnedFd>,
    receiver: Receiver,
    stdout: Output,
    stderr: Output,
    /// What is asked of the task.
    commands: mpsc::UnboundedReceiver<Command>,
    parent: Parent,
    outbox: Outbox,
    socket_open: bool,
    stopping: Option<Stopping>,
    /// Whether its handle may still ask for something.
    has_handle: bool,
    /// Set when the process was killed: why, and when.
    killed: Option<(ExitKind, Instant)>,
    share: ShareWatch,
    /// What of that is kept for the next child.
    conduct: Conduct,
    /// The share that the process has.
    given: Share,
    /// When to try again to give it another.
    give_at: Option<Instant>,
    /// Whether a share can be given on this machine.
    gives: bool,
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
        parent: Parent,
        commands: mpsc::UnboundedReceiver<Command>,
        conduct: Conduct,
    ) -> Self {
        Self {
            process: child.process,
            socket: child.socket,
            receiver: Receiver::new(MAX_REPLY_BYTES),
            stdout: Output::new(child.stdout),
            stderr: Output::new(child.stderr),
            commands,
            parent,
            outbox: Outbox::default(),
            socket_open: true,
            stopping: None,
            has_handle: true,
            killed: None,
            share: conduct.watch(clock::now()),
            conduct,
            given: Share::Equal,
            give_at: None,
            gives: true,
        }
    }

    /// Stays with the child until it is reaped. `first` is the first message it gets.
    pub(crate) async fn run(mut self, first: ToChild<'static>) -> ExitKind {
        self.send_urgently(&first);
        loop {
            self.pump();
            // Whatever is ready all the time, the others on this thread get their turn, and deadlines are checked.
            consume_budget().await;
            self.look_at_share(clock::now());
            match self.wait().await {
                Wake::Exited => return self.finish().await,
                Wake::Readable => self.read_socket(false),
                Wake::Try => self.check_deadlines(clock::now()),
                Wake::Stdout => {
                    let now = clock::now();
                    let lines = self.stdout.read(now);
                    self.parent.journal.log_all(now, LogLevel::Info, &lines);
                }
                Wake::Stderr => {
                    let now = clock::now();
                    let lines = self.stderr.read(now);
                    self.parent.journal.log_all(now, LogLevel::Warn, &lines);
                }
                Wake::Command(command) => self.handle_command(command),
            }
        }
    }

    async fn wait(&mut self) -> Wake {
        let deadline = self.next_deadline();
        // What does not die is left behind.
        let killed = self.killed.is_some();
        let listening = self.has_handle;
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
            () = sleep_until(deadline.unwrap_or_else(clock::now)), if killed => Wake::Exited,
            _ = socket.readable(), if reading => Wake::Readable,
            _ = socket.writable(), if writing => Wake::Try,
            () = stdout.ready() => Wake::Stdout,
            () = stderr.ready() => Wake::Stderr,
            command = commands.recv(), if listening => Wake::Command(command),
            () = sleep_until(deadline.unwrap_or_else(clock::now)), if deadline.is_some() && !killed => Wake::Try,
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        if let Some((_, at)) = &self.killed {
            return Some(*at + KILL_GRACE);
        }
        let stop = self
            .stopping
            .as_ref()
            .map(|stopping| stopping.cancel_at.unwrap_or(stopping.kill_at));
        let pause = self.outbox.pause_until().filter(|_| self.socket_open);
        let parent = self.parent.next_deadline(self.stopping.is_some());
        let at_work = self.parent.is_starting() || self.parent.calls.in_child() > 0;
        let look = self.share.next(at_work, self.parent.answered);
        [parent, stop, pause, look, self.give_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Looks what it uses of the processors, and gives it what it is to have.
    fn look_at_share(&mut self, now: Instant) {
        if self.killed.is_some() {
            return;
        }
        let mut worth_a_word = false;
        if self.share.is_due(now) {
            let seen = Seen {
                starting: self.parent.is_starting(),
                // One that is gone uses nothing any more.
                used: self.process.used().unwrap_or_default(),
                answered: self.parent.answered,
            };
            worth_a_word = self.share.look(now, seen);
        }
        self.give_share(now);
        if worth_a_word && self.gives {
            self.parent.journal.log(now, LogLevel::Warn, SLOWED_DOWN);
        }
    }

    /// Tried whenever something has come, for as long as it takes: a child that starts has no group of its own at first.
    fn give_share(&mut self, now: Instant) {
        let share = self.share.share(self.parent.is_starting());
        self.give_at = None;
        if share == self.given || !self.gives {
            return;
        }
        match self.process.give(share) {
            Given::Now => self.given = share,
            Given::NotYet => self.give_at = Some(now + GIVE_AGAIN),
            Given::Never => self.gives = false,
        }
    }

    fn check_deadlines(&mut self, now: Instant) {
        // A stall of this process is not the child's: what it has sent meanwhile counts first.
        self.read_socket(true);
        for due in self.parent.due(now, self.stopping.is_some()) {
            match due {
                Due::Cancel(call_id) => self.send_urgently(&ToChild::Cancel { call_id }),
                Due::Ping => self.send_urgently(&ToChild::Ping),
                Due::Kill(why) => self.kill(why),
            }
        }
        let Some(stopping) = &mut self.stopping else {
            return;
        };
        if stopping.cancel_at.take_if(|at| now >= *at).is_some()
            && let Some(call_id) = self.parent.calls.running_id()
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
            Some(Command::Call(call, request)) => self.parent.calls.push(call, request),
            Some(Command::Cancel { call_id }) => {
                if self.parent.cancel(call_id) {
                    self.send_urgently(&ToChild::Cancel { call_id });
                }
            }
            Some(Command::Answer {
                ticket,
                outcome,
                text,
            }) => {
                let answer = self.parent.answer_ask(ticket, outcome, &text);
                answer.iter().for_each(|answer| self.send_urgently(answer));
            }
            Some(Command::Areas(json)) => {
                let areas = self.parent.show_areas(json);
                areas.iter().for_each(|areas| self.send_urgently(areas));
            }
            Some(Command::Kill { why }) => self.kill(ExitKind::OverLimit(why)),
            Some(Command::Stop { grace }) => self.stop(grace),
            None => {
                self.has_handle = false;
                self.stop(DROP_GRACE);
            }
        }
    }

    /// Asks the child to leave within `grace`; a later request can shorten that only.
    fn stop(&mut self, grace: Duration) {
        let (now, last) = (clock::now(), CANCEL_GRACE.min(grace / 2));
        let (cancel_at, kill_at) = (now + (grace - last), now + grace);
        if let Some(stopping) = &mut self.stopping {
            stopping.kill_at = stopping.kill_at.min(kill_at);
            stopping.cancel_at = stopping.cancel_at.map(|at| at.min(cancel_at));
            return;
        }
        self.parent.calls.stop();
        self.stopping = Some(Stopping {
            requested: true,
            cancel_at: Some(cancel_at),
            kill_at,
        });
        self.send_urgently(&ToChild::Stop);
    }

    fn kill(&mut self, why: ExitKind) {
        if self.killed.is_none() {
            self.process.kill();
            self.killed = Some((why, clock::now()));
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
            parent,
            ..
        } = self;
        outbox.send(socket, || {
            if !dispatching {
                return None;
            }
            loop {
                let request = parent.calls.dispatch(clock::now())?;
                let call_id = request.call_id();
                match request.into_packet() {
                    Ok(packet) => return Some(packet),
                    Err(error) => {
                        parent.calls.undispatch(call_id);
                        let note = Note::new(format!("cannot be sent to the plugin: {error}"));
                        parent.end_call(call_id, Outcome::Retry { after: None }, [note].into());
                    }
                }
            }
        });
    }

    /// Takes what has come. The reactor may not have noticed yet that there is something; `past_reactor` looks anyway.
    fn read_socket(&mut self, past_reactor: bool) {
        let mut bytes = 0;
        for _ in 0..PACKETS_A_TURN {
            if !self.socket_open || bytes > BYTES_A_TURN {
                return;
            }
            let Self { socket, receiver, .. } = self;
            let received = if past_reactor {
                receiver.receive(socket.get_ref())
            } else {
                socket.try_io(Interest::READABLE, |fd| receiver.receive(fd))
            };
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                received => {
                    let packet = received.as_ref().ok().and_then(Option::as_ref);
                    bytes += packet.map_or(0, |packet| packet.message.len());
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
            Ok(Some(packet)) => match self.parent.take_packet(&packet, clock::now()) {
                Ok(()) => return true,
                Err(wrong) => wrong,
            },
            Ok(None) => {
                // It is about to exit; but if the plugin has closed the socket, it never will.
                self.socket_open = false;
                self.parent.calls.stop();
                let kill_at = clock::now() + DROP_GRACE;
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
}
