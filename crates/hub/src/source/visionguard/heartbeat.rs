//! The heartbeat of one open socket, as an actor: when it pings and when it takes the other side for dead is
//! [`watchpost_core::HeartbeatMachine`]'s to say.
//!
//! It lives on its connection's arbiter, so that it is stuck when the connection is, and it knows of no sign of life but
//! what the connection passes on: a heartbeat that lives while its connection is stuck proves nothing.

use std::time::Duration;

use actix::prelude::*;
use watchpost_core::{HeartbeatAction, HeartbeatMachine, HeartbeatPolicy, MonotonicTime};

use super::super::Alarm;
use crate::clock::Clock;

/// The actor.
pub(super) struct Heartbeat {
    machine: HeartbeatMachine,
    clock: Clock,
    alarm: Alarm,
    /// Number of the socket, which is repeated in each beat.
    socket: u64,
    beats: Recipient<Beat>,
}

/// What the heartbeat of a socket wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub(super) struct Beat {
    /// Which socket.
    pub(super) socket: u64,
    pub(super) kind: BeatKind,
}

/// See [`Beat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BeatKind {
    /// Send a ping.
    Ping,
    /// Nothing was received for this long: close the socket.
    Dead(Duration),
}

impl Heartbeat {
    /// Starts the heartbeat of a socket that has just been opened.
    pub(super) fn begin(
        policy: HeartbeatPolicy,
        socket: u64,
        clock: Clock,
        beats: Recipient<Beat>,
    ) -> Addr<Self> {
        let heartbeat = Self {
            machine: HeartbeatMachine::new(policy, clock.now()),
            clock,
            alarm: Alarm::default(),
            socket,
            beats,
        };
        heartbeat.start()
    }

    fn ring(&mut self, ctx: &mut Context<Self>) {
        self.alarm.rang();
        let kind = match self.machine.step(self.clock.now()) {
            HeartbeatAction::Quiet => None,
            HeartbeatAction::Ping => Some(BeatKind::Ping),
            HeartbeatAction::Dead(silence) => Some(BeatKind::Dead(silence)),
        };
        if let Some(kind) = kind {
            let socket = self.socket;
            self.beats.do_send(Beat { socket, kind });
        }
        if let Some(BeatKind::Dead(_)) = kind {
            return ctx.stop();
        }
        self.arm(ctx);
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        let deadline = Some(self.machine.deadline());
        self.alarm.arm(deadline, self.clock, ctx, Self::ring);
    }
}

impl Actor for Heartbeat {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.arm(ctx);
    }
}

/// A message was received, whatever it was.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Received {
    /// When.
    pub(super) at: MonotonicTime,
    /// Whether it was the answer to a ping.
    pub(super) pong: bool,
}

impl Handler<Received> for Heartbeat {
    type Result = ();

    fn handle(&mut self, Received { at, pong }: Received, _: &mut Self::Context) {
        if pong {
            self.machine.pong(at);
        } else {
            self.machine.heard(at);
        }
    }
}

/// Asks for the signs of life.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Pulse")]
pub(super) struct ReportPulse;

/// The signs of life of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pulse {
    /// When anything was last received.
    pub(super) last_heard: MonotonicTime,
    /// The last measured time from ping to pong.
    pub(super) round_trip: Option<Duration>,
}

impl Handler<ReportPulse> for Heartbeat {
    type Result = MessageResult<ReportPulse>;

    fn handle(&mut self, _: ReportPulse, _: &mut Self::Context) -> Self::Result {
        MessageResult(Pulse {
            last_heard: self.machine.last_heard(),
            round_trip: self.machine.round_trip(),
        })
    }
}

/// The socket is gone: end.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct EndHeartbeat;

impl Handler<EndHeartbeat> for Heartbeat {
    type Result = ();

    fn handle(&mut self, _: EndHeartbeat, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
