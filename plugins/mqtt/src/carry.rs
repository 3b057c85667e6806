//! Hands the messages of one delivery over a connection, and says how far that came.
//!
//! It knows nothing of connecting and of who waits.

use watchpost_sink::Fail;

use crate::error::Refusal;
use crate::wire::{Event, Message, Wire};

/// How a delivery failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A message is larger than the broker takes; none after it was sent.
    TooLarge(Fail),
    /// The broker does not want a picture; no message after it was sent.
    PictureRefused(Fail),
    /// The connection ended while a picture was in flight.
    PictureInterrupted(Fail),
    /// Every message was sent, and the last was not acknowledged: the broker may have it.
    Unanswered(String),
    /// Everything else.
    Failed(Fail),
}

/// Why messages were not all carried.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The connection is well.
    Refused(Failure),
    /// The connection is of no use any more, for this reason.
    Broken(Failure, Fail),
}

impl Failure {
    /// What it comes to where there is nothing to try otherwise.
    pub(crate) fn into_fail(self) -> Fail {
        match self {
            Self::TooLarge(fail)
            | Self::PictureRefused(fail)
            | Self::PictureInterrupted(fail)
            | Self::Failed(fail) => fail,
            Self::Unanswered(why) => Fail::retry(why),
        }
    }
}

impl From<Fail> for Failure {
    fn from(fail: Fail) -> Self {
        Self::Failed(fail)
    }
}

/// How far messages have been carried.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The last of them was sent.
    pub(crate) last_sent: bool,
}

/// Sends messages, each when the one before it is acknowledged. A refusal is reported after the others are known, but for
/// that of a picture, after which nothing is sent.
///
/// One at a time is faster than all at once with a broker that has Nagle's algorithm on, as mosquitto does by default:
/// it would hold back a second acknowledgement until the system confirms the first, which takes 40 ms. A next
/// message confirms it at once.
pub(crate) async fn carry(
    wire: &mut Wire,
    messages: Vec<Message>,
    progress: &mut Progress,
) -> Result<(), Stopped> {
    let mut refusal = None;
    let last = messages.len().saturating_sub(1);
    for (index, message) in messages.into_iter().enumerate() {
        let picture = message.picture;
        if let Some(fail) = wire.too_large(&message) {
            return Err(Stopped::Refused(Failure::TooLarge(fail)));
        }
        wire.send(message)
            .map_err(|fail| Stopped::Broken(fail.clone().into(), fail))?;
        progress.last_sent = index == last;
        match answer(wire).await {
            Ok(Ok(())) => {}
            Ok(Err(Refusal {
                too_large: true,
                fail,
            })) => return Err(Stopped::Refused(Failure::TooLarge(fail))),
            Ok(Err(Refusal { fail, .. })) if picture => {
                return Err(Stopped::Refused(Failure::PictureRefused(fail)));
            }
            Ok(Err(Refusal { fail, .. })) => refusal = refusal.or(Some(fail)),
            Err(fail) => {
                let failure = match () {
                    () if picture => Failure::PictureInterrupted(fail.clone()),
                    () if index == last => Failure::Unanswered(reason(&fail)),
                    () => fail.clone().into(),
                };
                return Err(Stopped::Broken(failure, fail));
            }
        }
    }
    refusal.map_or(Ok(()), |fail| Err(Stopped::Refused(fail.into())))
}

/// What the broker answers to the message in flight; an error is the end of the connection.
async fn answer(wire: &mut Wire) -> Result<Result<(), Refusal>, Fail> {
    loop {
        match wire.next().await? {
            Event::Answered(verdict) => return Ok(verdict),
            // It is carried out when this is done.
            Event::Received(received) => wire.keep(received),
            Event::Open | Event::Subscribed(_) | Event::Other => {}
        }
    }
}

/// What a failure says, on one line.
pub(crate) fn reason(fail: &Fail) -> String {
    fail.notes().map(|(_, why)| why).collect::<Vec<_>>().join("; ")
}
