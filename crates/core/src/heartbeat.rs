//! Whether the other side is still there: pings out, signs of life in.

use std::time::Duration;

use crate::Moment;

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
pub enum Beat {
    /// Nothing before the next deadline.
    Quiet,
    /// Send a ping now.
    Ping,
    /// Nothing was heard for this long: give the link up.
    Dead(Duration),
}

/// The heartbeat of one open link.
///
/// A hub that was itself stalled (a suspended laptop, a starved core) finds its timeout passed without
/// having listened. That is no evidence against the peer: it then gets one more interval in which
/// whatever waits in the socket can be read.
#[derive(Debug)]
pub struct Heartbeat {
    policy: HeartbeatPolicy,
    last_heard: Moment,
    last_step: Moment,
    next_ping: Moment,
    ping_sent: Option<Moment>,
    reprieve: Option<Moment>,
    round_trip: Option<Duration>,
}

impl Heartbeat {
    /// Begins with the link's opening, which is itself a sign of life.
    pub fn new(policy: HeartbeatPolicy, now: Moment) -> Self {
        Self {
            policy,
            last_heard: now,
            last_step: now,
            next_ping: now + policy.interval,
            ping_sent: None,
            reprieve: None,
            round_trip: None,
        }
    }

    /// Any message came in.
    pub fn heard(&mut self, now: Moment) {
        self.last_heard = now;
        self.reprieve = None;
    }

    /// A pong came in, which also measures the round trip.
    pub fn pong(&mut self, now: Moment) {
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
    pub fn last_heard(&self) -> Moment {
        self.last_heard
    }

    /// When [`Self::step`] wants to be called again at the latest.
    pub fn deadline(&self) -> Moment {
        self.next_ping.min(self.dead_at())
    }

    /// Looks at the clock.
    pub fn step(&mut self, now: Moment) -> Beat {
        let overslept = now.since(self.last_step) > self.policy.interval + self.policy.interval / 2;
        self.last_step = now;
        if now >= self.dead_at() {
            if !overslept {
                return Beat::Dead(now.since(self.last_heard));
            }
            self.reprieve = Some(now + self.policy.interval);
        }
        if now < self.next_ping {
            return Beat::Quiet;
        }
        // Counted from now and not from the missed moment: a stall must not end in a burst of pings.
        self.next_ping = now + self.policy.interval;
        self.ping_sent = Some(now);
        Beat::Ping
    }

    fn dead_at(&self) -> Moment {
        let believed = self.last_heard + self.policy.timeout;
        self.reprieve.map_or(believed, |until| believed.max(until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: HeartbeatPolicy = HeartbeatPolicy {
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(60),
    };

    fn at(seconds: u64) -> Moment {
        Moment::since_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn pings_each_interval_and_gives_up_after_the_timeout() {
        let mut heart = Heartbeat::new(POLICY, at(0));
        let beats: Vec<Beat> = [29, 30, 31, 59, 60].map(|s| heart.step(at(s))).into();
        let dead = Beat::Dead(Duration::from_secs(60));
        assert_eq!(beats, [Beat::Quiet, Beat::Ping, Beat::Quiet, Beat::Quiet, dead]);
    }

    #[test]
    fn any_message_is_a_sign_of_life() {
        let mut heart = Heartbeat::new(POLICY, at(0));
        for second in 0..600 {
            if second % 45 == 0 {
                heart.heard(at(second));
            }
            assert!(
                !matches!(heart.step(at(second)), Beat::Dead(_)),
                "dead at {second}"
            );
        }
    }

    #[test]
    fn measures_the_round_trip() {
        let mut heart = Heartbeat::new(POLICY, at(0));
        assert_eq!(heart.step(at(30)), Beat::Ping);
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
        let mut heart = Heartbeat::new(POLICY, at(0));
        assert_eq!(heart.step(at(30)), Beat::Ping);
        assert_eq!(
            heart.step(at(500)),
            Beat::Ping,
            "the hub slept, so the peer is asked once more"
        );
        assert_eq!(heart.step(at(529)), Beat::Quiet);
        assert_eq!(heart.step(at(530)), Beat::Dead(Duration::from_secs(530)));
    }
}
