//! What the parent wants: a thread of its own receives it, the main thread takes it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use watchpost_sinkhost_protocol::limits::DROP_GRACE;
use watchpost_sinkhost_protocol::{AlertDoc, FrameMeta, Note, Outcome, Receiver, ToChild, ToParent};

use super::arming::Arming;
use super::current::Current;
use super::instance::CallInfo;
use super::port::Port;
use super::streams::leave;

/// Stack of the listening thread, on which the plugin's `cancel` runs too.
const STACK_BYTES: usize = 256 << 10;

/// A call to make.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) info: CallInfo,
    pub(super) what: What,
}

/// Which.
#[derive(Debug)]
pub(super) enum What {
    Deliver {
        alert: Box<AlertDoc>,
        frames: Vec<(FrameMeta, u64)>,
        fds: Vec<OwnedFd>,
    },
    Probe,
}

/// The calls that wait. The parent's window bounds them.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
    current: &'static Current,
    arming: &'static Arming,
}

#[derive(Debug, Default)]
struct State {
    work: VecDeque<Work>,
    stop: bool,
}

impl Inbox {
    pub(super) fn new(current: &'static Current, arming: &'static Arming) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            current,
            arming,
        }
    }

    /// Waits for the next call; `None`: it is time to leave.
    pub(super) fn wait(&self) -> Option<Work> {
        let state = self.lock();
        let waiting = |state: &mut State| state.work.is_empty() && !state.stop;
        let mut state = self
            .changed
            .wait_while(state, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        if state.stop { None } else { self.take(&mut state) }
    }

    /// The next call, if it is a delivery and is there already.
    pub(super) fn take_delivery(&self) -> Option<Work> {
        let mut state = self.lock();
        let next = state.work.front()?;
        if state.stop || !matches!(next.what, What::Deliver { .. }) {
            return None;
        }
        self.take(&mut state)
    }

    /// Takes the next call and sets it pending in one step: a cancel finds it here or there.
    fn take(&self, state: &mut State) -> Option<Work> {
        let work = state.work.pop_front()?;
        self.current.set_pending(work.info.call_id);
        Some(work)
    }

    fn push(&self, work: Work) {
        self.lock().work.push_back(work);
        self.changed.notify_one();
    }

    fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_one();
    }

    fn remove(&self, call_id: u64) -> bool {
        let mut state = self.lock();
        let before = state.work.len();
        state.work.retain(|work| work.info.call_id != call_id);
        state.work.len() < before
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread that receives from the parent.
pub(super) fn listen(port: &'static Port, mut receiver: Receiver, inbox: &'static Inbox) -> io::Result<()> {
    let receive = move || {
        while let Some((message, fds)) = port.receive(&mut receiver) {
            handle_message(message, fds, port, inbox);
        }
        // The parent is gone. The plugin may end in peace, but not for ever.
        inbox.stop();
        thread::spawn(move || inbox.current.cancel(None));
        thread::sleep(DROP_GRACE);
        leave(1)
    };
    thread::Builder::new()
        .name("listen".into())
        .stack_size(STACK_BYTES)
        .spawn(receive)
        .map(drop)
}

fn handle_message(message: ToChild<'static>, fds: Vec<OwnedFd>, port: &Port, inbox: &Inbox) {
    match message {
        ToChild::Deliver {
            call_id,
            attempt,
            timeout,
            alert,
            frames,
        } => inbox.push(Work {
            info: CallInfo {
                call_id,
                attempt,
                timeout,
            },
            what: What::Deliver {
                alert: Box::new(alert.into_owned()),
                frames,
                fds,
            },
        }),
        ToChild::Probe { call_id, timeout } => {
            inbox.push(Work {
                info: CallInfo {
                    call_id,
                    attempt: 0,
                    timeout,
                },
                what: What::Probe,
            });
        }
        ToChild::Cancel { call_id } if inbox.remove(call_id) => port.send(&ToParent::Done {
            call_ids: vec![call_id],
            outcome: Outcome::Retry { after: None },
            notes: vec![Note::new("cancelled before it began")],
        }),
        ToChild::Cancel { call_id } => inbox.current.cancel(Some(call_id)),
        // A second plugin in one process is what this process is there to prevent.
        ToChild::Load { .. } => {}
        ToChild::Areas(json) => inbox.arming.areas(json),
        ToChild::Answered {
            ticket,
            outcome,
            text,
        } => inbox.arming.answered(ticket, outcome, &text),
        ToChild::Ping => port.send(&ToParent::Pong),
        ToChild::Stop => inbox.stop(),
    }
}
