//! The life of one connection to a backend, as a state machine: when to connect, when an attempt has failed, how
//! long to wait. Whether the other side is alive is [`HeartbeatMachine`](crate::HeartbeatMachine)'s to say. It knows no sockets; whoever owns one performs the effects and reports the events.

use std::time::Duration;

use crate::{Backoff, BackoffPolicy, CloseReason, ConnectFailure, MonotonicTime, SubscriptionLoss};

/// The waits of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkPolicy {
    /// An attempt that has not opened the link by then has failed.
    pub connect_timeout: Duration,
    /// How long to wait for the other side's half of the close handshake before dropping the socket.
    pub close_timeout: Duration,
    /// Waits between attempts.
    pub backoff: BackoffPolicy,
    /// A link that has been open for this long has proved itself: the next failure counts as the first.
    /// Without it, a server that accepts and closes at once would be asked in a tight loop.
    pub stable_after: Duration,
    /// How long to stay away when another client fights for the same alerts.
    pub contest_pause: Duration,
}

/// What happened to the link.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkEvent {
    /// Begin.
    Start,
    /// The moment that [`Link::deadline`] named may have come.
    Wake,
    /// The attempt succeeded: the link is open.
    Opened,
    /// The attempt failed.
    Failed(ConnectFailure),
    /// We must close, for this reason.
    Close(CloseReason),
    /// The socket is gone, whoever began it. The text says how, for the status.
    Closed(String),
    /// What the link waits for is there: do not wait any longer.
    RetryNow,
    /// Close for good.
    Stop,
}

/// What the owner of the socket must do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEffect {
    /// Begin attempt number `attempt`, counted from 1 since the start.
    Connect {
        /// Number of this attempt.
        attempt: u64,
    },
    /// Cancel the attempt in flight.
    Abandon,
    /// Send a close frame and report [`LinkEvent::Closed`] when the socket is gone.
    Close(CloseReason),
    /// Drop the socket as it is.
    Drop,
}

/// Where the link stands.
#[derive(Debug)]
pub enum LinkState {
    /// Not begun.
    Idle,
    /// An attempt is in flight since then.
    Connecting {
        /// When it began.
        since: MonotonicTime,
    },
    /// Open.
    Open {
        /// Since when.
        since: MonotonicTime,
        /// Whether it has been open long enough to be trusted.
        stable: bool,
    },
    /// Our close frame is out.
    Closing {
        /// Since when.
        since: MonotonicTime,
        /// Whether this is the end.
        for_good: bool,
        /// How long to stay away at the least.
        pause: Duration,
    },
    /// Waiting to try again.
    Waiting {
        /// Until when.
        until: MonotonicTime,
    },
    /// Closed for good.
    Stopped,
}

/// One link: at any time there is at most one socket or one attempt.
#[derive(Debug)]
pub struct Link {
    policy: LinkPolicy,
    backoff: Backoff,
    state: LinkState,
    attempts: u64,
}

impl Link {
    /// A link that waits for [`LinkEvent::Start`]; `seed` fixes the jitter of its waits.
    pub fn new(policy: LinkPolicy, seed: u64) -> Self {
        Self {
            policy,
            backoff: Backoff::new(policy.backoff, seed),
            state: LinkState::Idle,
            attempts: 0,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> &LinkState {
        &self.state
    }

    /// Attempts begun since the start.
    pub fn attempts(&self) -> u64 {
        self.attempts
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// When [`LinkEvent::Wake`] is due; `None` when only an event from outside can move the link.
    pub fn deadline(&self) -> Option<MonotonicTime> {
        match &self.state {
            LinkState::Idle | LinkState::Stopped => None,
            LinkState::Connecting { since } => Some(*since + self.policy.connect_timeout),
            LinkState::Closing { since, .. } => Some(*since + self.policy.close_timeout),
            LinkState::Waiting { until } => Some(*until),
            LinkState::Open { since, stable } => (!stable).then(|| *since + self.policy.stable_after),
        }
    }

    /// Takes one event and says what to do about it. Events that come too late to matter, such as the
    /// outcome of an abandoned attempt, do nothing.
    pub fn step(&mut self, now: MonotonicTime, event: LinkEvent) -> Option<LinkEffect> {
        match event {
            LinkEvent::Start => matches!(self.state, LinkState::Idle).then(|| self.connect(now)),
            LinkEvent::Wake => self.wake(now),
            LinkEvent::Opened => self.opened(now),
            LinkEvent::Failed(_) => {
                if let LinkState::Connecting { .. } = self.state {
                    self.wait(now, Duration::ZERO);
                }
                None
            }
            LinkEvent::Close(reason) => self.close(now, reason),
            LinkEvent::Closed(_) => {
                match self.state {
                    LinkState::Closing { for_good: true, .. } => self.state = LinkState::Stopped,
                    LinkState::Closing { pause, .. } => self.wait(now, pause),
                    LinkState::Open { .. } => self.wait(now, Duration::ZERO),
                    _ => {}
                }
                None
            }
            LinkEvent::RetryNow => matches!(self.state, LinkState::Waiting { .. }).then(|| self.connect(now)),
            LinkEvent::Stop => self.stop(now),
        }
    }

    fn connect(&mut self, now: MonotonicTime) -> LinkEffect {
        self.attempts += 1;
        self.state = LinkState::Connecting { since: now };
        LinkEffect::Connect {
            attempt: self.attempts,
        }
    }

    fn opened(&mut self, now: MonotonicTime) -> Option<LinkEffect> {
        match self.state {
            LinkState::Connecting { .. } => {
                self.state = LinkState::Open {
                    since: now,
                    stable: false,
                };
                None
            }
            // The attempt was abandoned and succeeded after all: two sockets would take each other's slot.
            _ => Some(LinkEffect::Drop),
        }
    }

    fn wait(&mut self, now: MonotonicTime, at_least: Duration) {
        self.state = LinkState::Waiting {
            until: now + self.backoff.fail().max(at_least),
        };
    }

    fn close(&mut self, now: MonotonicTime, reason: CloseReason) -> Option<LinkEffect> {
        let LinkState::Open { .. } = self.state else {
            return None;
        };
        self.state = LinkState::Closing {
            since: now,
            for_good: reason == CloseReason::Stopping,
            pause: match reason {
                CloseReason::SubscriptionLost(SubscriptionLoss::Contested) => self.policy.contest_pause,
                _ => Duration::ZERO,
            },
        };
        Some(LinkEffect::Close(reason))
    }

    fn stop(&mut self, now: MonotonicTime) -> Option<LinkEffect> {
        match &mut self.state {
            LinkState::Open { .. } => self.close(now, CloseReason::Stopping),
            LinkState::Closing { for_good, .. } => {
                *for_good = true;
                None
            }
            LinkState::Connecting { .. } => {
                self.state = LinkState::Stopped;
                Some(LinkEffect::Abandon)
            }
            LinkState::Idle | LinkState::Waiting { .. } | LinkState::Stopped => {
                self.state = LinkState::Stopped;
                None
            }
        }
    }

    fn wake(&mut self, now: MonotonicTime) -> Option<LinkEffect> {
        let due = self.deadline().is_some_and(|deadline| now >= deadline);
        if !due {
            return None;
        }
        match &mut self.state {
            LinkState::Idle | LinkState::Stopped => None,
            LinkState::Waiting { .. } => Some(self.connect(now)),
            LinkState::Connecting { .. } => {
                self.wait(now, Duration::ZERO);
                Some(LinkEffect::Abandon)
            }
            LinkState::Closing { for_good: true, .. } => {
                self.state = LinkState::Stopped;
                Some(LinkEffect::Drop)
            }
            LinkState::Closing { pause, .. } => {
                let pause = *pause;
                self.wait(now, pause);
                Some(LinkEffect::Drop)
            }
            LinkState::Open { stable, .. } => {
                *stable = true;
                self.backoff.reset();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureKind;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const POLICY: LinkPolicy = LinkPolicy {
        connect_timeout: secs(10),
        close_timeout: secs(5),
        backoff: BackoffPolicy {
            initial: secs(1),
            max: secs(30),
            jitter: 0.0,
        },
        stable_after: secs(10),
        contest_pause: secs(300),
    };

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::since_origin(secs(seconds))
    }

    fn refused() -> LinkEvent {
        LinkEvent::Failed(ConnectFailure {
            kind: FailureKind::Refused,
            detail: "port 1".into(),
        })
    }

    fn gone() -> LinkEvent {
        LinkEvent::Closed("EOF".into())
    }

    /// Runs one attempt after another against a server that treats each the same way, and returns the
    /// waits between the end of one attempt and the beginning of the next.
    fn waits(
        link: &mut Link,
        mut now: MonotonicTime,
        rounds: usize,
        fate: impl Fn(&mut Link, MonotonicTime) -> MonotonicTime,
    ) -> Vec<u64> {
        let mut waits = Vec::new();
        for _ in 0..rounds {
            let ended = fate(link, now);
            now = link.deadline().unwrap();
            assert_eq!(link.step(at(0), LinkEvent::Wake), None, "never before its time");
            waits.push(now.since(ended).as_secs());
            assert!(matches!(
                link.step(now, LinkEvent::Wake),
                Some(LinkEffect::Connect { .. })
            ));
        }
        waits
    }

    #[test]
    fn failures_are_followed_by_doubling_waits() {
        let mut link = Link::new(POLICY, 0);
        assert_eq!(
            link.step(at(0), LinkEvent::Start),
            Some(LinkEffect::Connect { attempt: 1 })
        );
        let fate = |link: &mut Link, now| {
            assert_eq!(link.step(now, refused()), None);
            now
        };
        assert_eq!(waits(&mut link, at(0), 7, fate), [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn accept_then_close_is_no_tight_loop_but_a_stable_link_starts_over() {
        let mut link = Link::new(POLICY, 0);
        link.step(at(0), LinkEvent::Start);
        let slammed = |link: &mut Link, now| {
            link.step(now, LinkEvent::Opened);
            link.step(now, gone());
            now
        };
        assert_eq!(waits(&mut link, at(0), 4, slammed), [1, 2, 4, 8]);
        let stable = |link: &mut Link, now| {
            link.step(now, LinkEvent::Opened);
            let stable = now + secs(10);
            assert_eq!(link.step(stable, LinkEvent::Wake), None);
            link.step(stable, gone());
            stable
        };
        assert_eq!(waits(&mut link, at(100), 3, stable), [1, 1, 1]);
    }

    #[test]
    fn one_attempt_at_a_time_and_a_late_success_is_dropped() {
        let mut link = Link::new(POLICY, 0);
        link.step(at(0), LinkEvent::Start);
        assert_eq!(link.step(at(1), LinkEvent::Start), None);
        assert_eq!(link.step(at(10), LinkEvent::Wake), Some(LinkEffect::Abandon));
        assert_eq!(link.step(at(10), LinkEvent::Opened), Some(LinkEffect::Drop));
        assert_eq!(
            link.step(at(11), LinkEvent::Wake),
            Some(LinkEffect::Connect { attempt: 2 })
        );
    }

    #[test]
    fn silence_closes_then_drops_then_waits() {
        let mut link = Link::new(POLICY, 0);
        link.step(at(0), LinkEvent::Start);
        link.step(at(0), LinkEvent::Opened);
        link.step(at(10), LinkEvent::Wake);
        assert_eq!(link.deadline(), None, "a stable link waits for events only");
        let silent = CloseReason::Silent(secs(60));
        assert_eq!(
            link.step(at(60), LinkEvent::Close(silent)),
            Some(LinkEffect::Close(silent))
        );
        assert_eq!(link.step(at(65), LinkEvent::Wake), Some(LinkEffect::Drop));
        assert_eq!(link.deadline(), Some(at(66)));
    }

    #[test]
    fn a_fight_for_the_alerts_is_left_to_the_other_for_a_while() {
        let mut link = Link::new(POLICY, 0);
        link.step(at(0), LinkEvent::Start);
        let mut now = at(0);
        for why in [SubscriptionLoss::TakenOver, SubscriptionLoss::Contested] {
            link.step(now, LinkEvent::Opened);
            link.step(now, LinkEvent::Close(CloseReason::SubscriptionLost(why)));
            link.step(now, gone());
            let next = link.deadline().unwrap();
            let expected = if why == SubscriptionLoss::Contested {
                300
            } else {
                1
            };
            assert_eq!(next.since(now), secs(expected), "{why:?}");
            now = next;
            link.step(now, LinkEvent::Wake);
        }
    }

    #[test]
    fn stopping_ends_every_state() {
        let mut open = Link::new(POLICY, 0);
        open.step(at(0), LinkEvent::Start);
        open.step(at(0), LinkEvent::Opened);
        assert_eq!(
            open.step(at(1), LinkEvent::Stop),
            Some(LinkEffect::Close(CloseReason::Stopping))
        );
        open.step(at(1), gone());
        assert!(matches!(open.state(), LinkState::Stopped));

        let mut connecting = Link::new(POLICY, 0);
        connecting.step(at(0), LinkEvent::Start);
        assert_eq!(connecting.step(at(1), LinkEvent::Stop), Some(LinkEffect::Abandon));
        assert_eq!(connecting.deadline(), None);

        let mut waiting = Link::new(POLICY, 0);
        waiting.step(at(0), LinkEvent::Start);
        waiting.step(at(0), refused());
        assert_eq!(waiting.step(at(0), LinkEvent::Stop), None);
        assert_eq!(waiting.step(at(99), LinkEvent::Wake), None, "it stays stopped");
    }
}
