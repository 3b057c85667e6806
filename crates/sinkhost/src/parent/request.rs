//! What the handle asks of the task, and the form a request takes on its way to the child.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::calls::Call;
use crate::limits::MAX_QUEUED;
use crate::message::{ToChild, encode_to_child};
use crate::packet::Outgoing;
use crate::{Job, NotQueued};

/// From the handle to the task.
#[derive(Debug)]
pub(crate) enum Command {
    /// Have this done.
    Call(Call, Request),
    /// Give this up.
    Cancel { call_id: u64 },
    /// End the child.
    Stop { grace: Duration },
}

/// A call to be made, before it is bytes.
#[derive(Debug)]
pub(crate) enum Request {
    Deliver(Job),
    Probe { call_id: u64, timeout: Duration },
}

impl Request {
    /// The call's number.
    pub(crate) fn call_id(&self) -> u64 {
        self.call().id
    }

    /// Its line in the books.
    pub(crate) fn call(&self) -> Call {
        match self {
            Self::Deliver(job) => Call {
                id: job.call_id,
                timeout: job.timeout,
                frames: job.frames.len(),
            },
            Self::Probe { call_id, timeout } => Call {
                id: *call_id,
                timeout: *timeout,
                frames: 0,
            },
        }
    }

    /// Makes the packet that goes to the child.
    pub(crate) fn into_packet(self) -> io::Result<Outgoing> {
        match self {
            Self::Deliver(Job {
                call_id,
                attempt,
                timeout,
                alert,
                frames,
            }) => {
                let about = frames
                    .iter()
                    .map(|frame| (frame.meta().clone(), frame.len()))
                    .collect();
                let alert = Cow::Borrowed(&*alert);
                let message = ToChild::Deliver {
                    call_id,
                    attempt,
                    timeout,
                    alert,
                    frames: about,
                };
                Outgoing::new(encode_to_child(&message), frames)
            }
            Self::Probe { call_id, timeout } => {
                Outgoing::new(encode_to_child(&ToChild::Probe { call_id, timeout }), Vec::new())
            }
        }
    }
}

/// How many calls have been taken and are not over, counted on both sides of the channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queued(Arc<AtomicUsize>);

impl Queued {
    /// Counts a call, if there is room for it.
    pub(crate) fn enter(&self) -> Result<(), NotQueued> {
        let room = |count: usize| (count < MAX_QUEUED).then_some(count + 1);
        let entered = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room);
        entered.map(drop).map_err(|_| NotQueued::Full)
    }

    /// A call is over.
    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
