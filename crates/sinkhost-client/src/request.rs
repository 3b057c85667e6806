//! What the handle asks of the task, and the form a request takes on its way to the child.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use watchpost_sinkhost_protocol::limits::{MAX_FRAMES, MAX_QUEUED, MAX_TEXT_BYTES};
use watchpost_sinkhost_protocol::{AlertDoc, ArmOutcome, Outgoing, ToChild, encode_to_child};

use crate::Job;
use crate::calls::{Call, CallKind};
use crate::text::one_line;

/// From the handle to the task.
#[derive(Debug)]
pub(crate) enum Command {
    /// Have this done.
    Call(Call, Request),
    /// Cancel this call.
    Cancel { call_id: u64 },
    /// Answer what it has asked for of areas.
    Answer {
        ticket: u64,
        outcome: ArmOutcome,
        text: String,
    },
    /// Show it how the areas are armed.
    Areas(String),
    /// End the child.
    Stop { grace: Duration },
    /// End the child at once, for this reason.
    Kill { why: String },
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

    /// What the bookkeeping needs of it.
    pub(crate) fn call(&self) -> Call {
        match self {
            Self::Deliver(job) => Call::new(job.call_id, job.timeout, job.frames.len(), CallKind::Deliver),
            Self::Probe { call_id, timeout } => Call::new(*call_id, *timeout, 0, CallKind::Probe),
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
                let alert = with_title_of_one_line(&alert);
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

/// The contract promises plugins a title of one line; what a camera's name makes of it is not in our hand.
fn with_title_of_one_line(alert: &AlertDoc) -> Cow<'_, AlertDoc> {
    let title = one_line(&alert.title, alert.title.len());
    if title == alert.title {
        return Cow::Borrowed(alert);
    }
    Cow::Owned(AlertDoc {
        title,
        ..alert.clone()
    })
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

    /// How many they are.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A call is over.
    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a call was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotQueued {
    /// The child has exited.
    #[error("the plugin's process is gone; restart it")]
    Gone,
    /// There are [`MAX_QUEUED`] calls already.
    #[error("the plugin has {MAX_QUEUED} calls to do already; wait for one to be done")]
    Full,
    /// More than [`MAX_FRAMES`] pictures.
    #[error("an alert has at most {MAX_FRAMES} pictures, not {0}")]
    TooManyFrames(usize),
    /// The alert's texts are too large.
    #[error("an alert has at most {MAX_TEXT_BYTES} bytes of text, not {0}")]
    TooLarge(usize),
    /// The number is one of the child's own.
    #[error("a call's number is below 2^63, not {0}")]
    BadCallId(u64),
}
