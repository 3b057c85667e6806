//! Whether the other side is still there: pings out, signs of life in.

use std::time::Duration;

use crate::MonotonicTime;

/// How often to ask and how long to believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatPolicy {
    /// Time between two pings of ours.
    pub interval: Duration,
    /// Without any sign of life for this long, the link counts as dead.
    pub timeout: Duration,
}

/// What the heartbeat wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatAction {
    /// Nothing before the next deadline.
    Quiet,
    /// Send a ping now.
    Ping,
    /// Nothing was heard for this long: close the link.
    Dead(Duration),
}

/// The heartbeat of one open link.
///
/// A hub that was itself stalled (a suspended laptop, a starved core) finds its timeout passed without
/// having listened. That is no evidence against the peer: it then gets one more interval in which
/// whatever waits in the socket can be read.
#[derive(Debug)]
pub struct HeartbeatMachine {
    policy: HeartbeatPolicy,
    last_heard: MonotonicTime,
    last_step: MonotonicTime,
    next_ping: MonotonicTime,
    ping_sent: Option<MonotonicTime>,
    grace_until: Option<MonotonicTime>,
    round_trip: Option<Duration>,
}

impl HeartbeatMachine {
    /// Begins with the link's opening, which is itself a sign of life.
    pub fn new(policy: HeartbeatPolicy, now: MonotonicTime) -> Self {
        Self {
            policy,
            last_heard: now,
            last_step: now,
            next_ping: now + policy.interval,
            ping_sent: None,
            grace_until: None,
            round_trip: None,
        }
    }

    /// Any message came in.
    pub fn heard(&mut self, now: MonotonicTime) {
        self.last_heard = now;
        self.grace_until = None;
    }

    /// A pong came in, which also measures the round trip.
    pub fn pong(&mut self, now: MonotonicTime) {
        self.heard(now);
        if let Some(sent) = self.ping_sent.take() {
            self.round_trip = Some(now.since(sent));
        }
    }

    /// The last measured time from ping to pong.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// When anything was last heard.
    pub fn last_heard(&self) -> MonotonicTime {
        self.last_heard
    }

    /// When [`Self::step`] wants to be called again at the latest.
    pub fn deadline(&self) -> MonotonicTime {
        self.next_ping.min(self.dead_at())
    }

    /// Looks at the clock.
    pub fn step(&mut self, now: MonotonicTime) -> HeartbeatAction {
        let was_stalled = now.since(self.last_step) > self.policy.interval + self.policy.interval / 2;
        self.last_step = now;
        if now >= self.dead_at() {
            if !was_stalled {
                return HeartbeatAction::Dead(now.since(self.last_heard));
            }
            self.grace_until = Some(now + self.policy.interval);
        }
        if now < self.next_ping {
            return HeartbeatAction::Quiet;
        }
        // Counted from now and not from the missed moment: a stall must not end in a burst of pings.
        self.next_ping = now + self.policy.interval;
        self.ping_sent = Some(now);
        HeartbeatAction::Ping
    }

    fn dead_at(&self) -> MonotonicTime {
        let believed = self.last_heard + self.policy.timeout;
        self.grace_until.map_or(believed, |until| believed.max(until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: HeartbeatPolicy = HeartbeatPolicy {
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(60),
    };

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::since_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn pings_each_interval_and_gives_up_after_the_timeout() {
        let mut heart = HeartbeatMachine::new(POLICY, at(0));
        let beats: Vec<HeartbeatAction> = [29, 30, 31, 59, 60].map(|s| heart.step(at(s))).into();
        let dead = HeartbeatAction::Dead(Duration::from_secs(60));
        assert_eq!(
            beats,
            [
                HeartbeatAction::Quiet,
                HeartbeatAction::Ping,
                HeartbeatAction::Quiet,
                HeartbeatAction::Quiet,
                dead
            ]
        );
    }

    #[test]
    fn any_message_is_a_sign_of_life() {
        let mut heart = HeartbeatMachine::new(POLICY, at(0));
        for second in 0..600 {
            if second % 45 == 0 {
                heart.heard(at(second));
            }
            assert!(
                !matches!(heart.step(at(second)), HeartbeatAction::Dead(_)),
                "dead at {second}"
            );
        }
    }

    #[test]
    fn measures_the_round_trip() {
        let mut heart = HeartbeatMachine::new(POLICY, at(0));
        assert_eq!(heart.step(at(30)), HeartbeatAction::Ping);
        heart.pong(at(34));
        assert_eq!(heart.round_trip(), Some(Duration::from_secs(4)));
        heart.pong(at(40));
        assert_eq!(
            heart.round_trip(),
            Some(Duration::from_secs(4)),
            "an unasked pong measures nothing"
        );
    }

    #[test]
    fn its_own_stall_is_not_held_against_the_peer() {
        let mut heart = HeartbeatMachine::new(POLICY, at(0));
        assert_eq!(heart.step(at(30)), HeartbeatAction::Ping);
        assert_eq!(
            heart.step(at(500)),
            HeartbeatAction::Ping,
            "the hub slept, so the peer is asked once more"
        );
        assert_eq!(heart.step(at(529)), HeartbeatAction::Quiet);
        assert_eq!(
            heart.step(at(530)),
            HeartbeatAction::Dead(Duration::from_secs(530))
        );
    }
}
