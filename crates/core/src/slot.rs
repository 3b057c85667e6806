//! Whether the backend still sends a user's alerts to our socket. It gives them to the last one who connected as that
//! user, and to no one once either socket has ended, while the remaining one looks fine.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::MonotonicTime;

/// The first look after a connect comes this soon.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// After a connect the slot is looked at more often for this long: the server takes up to 50 s to notice that an earlier
/// socket is gone, and then forgets the new one with it.
const TIGHT_FOR: Duration = Duration::from_secs(90);

/// By how much more often.
const TIGHT_FACTOR: u32 = 4;

/// A server that does not know the question is asked this often whether it does: a proxy answers for it at times.
const UNKNOWABLE_INTERVAL: Duration = Duration::from_secs(600);

/// Bad news is looked at once more after this long before it is believed.
const CONFIRM_AFTER: Duration = Duration::from_millis(250);

/// A socket that was, when the server was asked, younger than ours by more than this is another one: what two clocks
/// may differ by over the life of a socket that is looked at for the first time.
const AGE_TOLERANCE: Duration = Duration::from_millis(100);

/// The slot lost as often within [`CONTEST_WINDOW`], the last time to a client that has it, means that two fight for it:
/// the one that closes its socket to reconnect has the other forgotten.
const CONTEST_LOSSES: usize = 3;

/// See [`CONTEST_LOSSES`].
const CONTEST_WINDOW: Duration = Duration::from_secs(600);

/// What the server says of the slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotStatus {
    /// A socket has it.
    Held {
        /// The server's word for when that socket was opened, which tells one from the next.
        connected_at: Option<String>,
        /// How old it is.
        age: Option<Duration>,
    },
    /// No socket has it.
    Free,
    /// The server does not know the question.
    Unknowable,
    /// There was no answer.
    Unclear,
}

/// Why alerts would not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionLoss {
    /// The server knows no socket of this user.
    Forgotten,
    /// Another client connected as the same user.
    TakenOver,
    /// Other clients did so again and again.
    Contested,
}

/// What a look at the slot amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotVerdict {
    /// Alerts come here.
    Ours,
    /// It is not certain yet.
    Open,
    /// They do not: reconnect.
    SubscriptionLost(SubscriptionLoss),
    /// The slot was left to another client, which has gone.
    Vacant,
    /// The server cannot say, which is news. It is asked again much later.
    Off,
}

/// Watches the slot of one connection.
#[derive(Debug)]
pub struct SlotWatch {
    interval: Duration,
    off: bool,
    open: Option<Open>,
    /// The slot is left to another client, and is looked at next then.
    yielding: Option<MonotonicTime>,
    /// What the server called our last socket.
    last_ours: Option<String>,
    losses: VecDeque<(MonotonicTime, SubscriptionLoss)>,
}

#[derive(Debug)]
struct Open {
    since: MonotonicTime,
    next: MonotonicTime,
    ours: Option<String>,
    doubted: bool,
    verified: bool,
}

impl SlotWatch {
    /// Looks every `interval`, and more often after a connect.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            off: false,
            open: None,
            yielding: None,
            last_ours: None,
            losses: VecDeque::new(),
        }
    }

    /// Our socket was opened.
    pub fn opened(&mut self, now: MonotonicTime) {
        self.yielding = None;
        self.open = Some(Open {
            since: now,
            next: now + FIRST_LOOK.min(self.interval),
            ours: None,
            doubted: false,
            verified: false,
        });
    }

    /// Our socket is gone.
    pub fn closed(&mut self) {
        if let Some(open) = self.open.take() {
            self.last_ours = open.ours;
        }
    }

    /// What the server called the socket before this one: until it no longer does, a new one would be forgotten with it.
    pub fn previous(&self) -> Option<&str> {
        self.last_ours.as_deref()
    }

    /// When to look next; `None` while there is nothing to look after.
    pub fn deadline(&self) -> Option<MonotonicTime> {
        let open = self.open.as_ref().map(|open| open.next);
        open.or(self.yielding)
    }

    /// Whether the last look found our socket, and no later one has cast doubt on it.
    pub fn verified(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.verified)
    }

    /// Whether the server cannot tell.
    pub fn is_off(&self) -> bool {
        self.off
    }

    /// Judges what was seen, having asked then.
    pub fn seen(&mut self, asked: MonotonicTime, now: MonotonicTime, sight: SlotStatus) -> SlotVerdict {
        let interval = self.interval;
        let Some(open) = &mut self.open else {
            return self.yielded(now, &sight);
        };
        let tight = now.since(open.since) < TIGHT_FOR;
        open.next = now + if tight { interval / TIGHT_FACTOR } else { interval };
        let loss = match sight {
            SlotStatus::Unknowable => {
                open.verified = false;
                open.next = now + UNKNOWABLE_INTERVAL.max(interval);
                return match std::mem::replace(&mut self.off, true) {
                    true => SlotVerdict::Open,
                    false => SlotVerdict::Off,
                };
            }
            SlotStatus::Unclear => {
                open.verified = false;
                return SlotVerdict::Open;
            }
            SlotStatus::Held { connected_at, age } => {
                self.off = false;
                let younger = age.is_some_and(|age| age + AGE_TOLERANCE < asked.since(open.since));
                let other = match &open.ours {
                    Some(ours) => connected_at.as_ref() != Some(ours),
                    None => younger,
                };
                if !other {
                    open.ours = connected_at;
                    open.doubted = false;
                    open.verified = true;
                    return SlotVerdict::Ours;
                }
                SubscriptionLoss::TakenOver
            }
            SlotStatus::Free => {
                self.off = false;
                SubscriptionLoss::Forgotten
            }
        };
        open.verified = false;
        if !open.doubted {
            open.doubted = true;
            open.next = now + CONFIRM_AFTER;
            return SlotVerdict::Open;
        }
        SlotVerdict::SubscriptionLost(self.judged(now, loss))
    }

    fn judged(&mut self, now: MonotonicTime, loss: SubscriptionLoss) -> SubscriptionLoss {
        self.losses.push_back((now, loss));
        self.losses.retain(|(loss, _)| now.since(*loss) < CONTEST_WINDOW);
        // A client that has gone, and had the hub forgotten by it, does not fight any more.
        if loss != SubscriptionLoss::TakenOver || self.losses.len() < CONTEST_LOSSES {
            return loss;
        }
        self.losses.clear();
        self.yielding = Some(now + self.interval);
        SubscriptionLoss::Contested
    }

    fn yielded(&mut self, now: MonotonicTime, sight: &SlotStatus) -> SlotVerdict {
        if self.yielding.is_none() {
            return SlotVerdict::Open;
        }
        if *sight == SlotStatus::Free {
            self.yielding = None;
            return SlotVerdict::Vacant;
        }
        self.yielding = Some(now + self.interval);
        SlotVerdict::Open
    }
}

impl fmt::Display for SubscriptionLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forgotten => {
                "the backend no longer knows this connection and would send no alert over it: another client of the same user has probably closed its own"
            }
            Self::TakenOver => {
                "another client, probably a browser, connected as the same user and gets the alerts: the backend sends them to one client a user"
            }
            Self::Contested => {
                "other clients take the alerts of this user again and again: close them, or give the hub a second account, which is fed from the backend's list every few seconds"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn at(millis: u64) -> MonotonicTime {
        MonotonicTime::since_origin(Duration::from_millis(millis))
    }

    fn held(connected_at: &str, age_ms: u64) -> SlotStatus {
        SlotStatus::Held {
            connected_at: Some(connected_at.to_owned()),
            age: Some(Duration::from_millis(age_ms)),
        }
    }

    /// Opens a socket at `now` that the server calls `name`, and sees it there.
    fn opened(watch: &mut SlotWatch, now: u64, name: &str) {
        watch.opened(at(now));
        assert_eq!(watch.deadline(), Some(at(now + 1_000)));
        assert_eq!(
            watch.seen(at(now + 1_000), at(now + 1_000), held(name, 1_000)),
            SlotVerdict::Ours
        );
        assert!(watch.verified());
    }

    /// Sees the same bad news twice.
    fn twice(watch: &mut SlotWatch, now: u64, sight: &SlotStatus) -> SlotVerdict {
        assert_eq!(watch.seen(at(now), at(now), sight.clone()), SlotVerdict::Open);
        assert!(!watch.verified());
        assert_eq!(watch.deadline(), Some(at(now + 250)), "looks again at once");
        watch.seen(at(now + 250), at(now + 250), sight.clone())
    }

    #[test]
    fn looks_are_frequent_after_a_connect_and_rare_later() {
        let mut watch = SlotWatch::new(INTERVAL);
        assert_eq!(watch.deadline(), None);
        opened(&mut watch, 0, "a");
        assert_eq!(watch.deadline(), Some(at(8_500)));
        assert_eq!(
            watch.seen(at(90_000), at(90_000), held("a", 90_000)),
            SlotVerdict::Ours
        );
        assert_eq!(watch.deadline(), Some(at(120_000)));
        watch.closed();
        assert_eq!(watch.deadline(), None);
        assert_eq!(watch.previous(), Some("a"));
    }

    #[test]
    fn a_socket_that_is_forgotten_or_replaced_has_lost_its_subscription() {
        let mut watch = SlotWatch::new(INTERVAL);
        opened(&mut watch, 0, "a");
        assert_eq!(
            twice(&mut watch, 9_000, &SlotStatus::Free),
            SlotVerdict::SubscriptionLost(SubscriptionLoss::Forgotten)
        );
        let mut watch = SlotWatch::new(INTERVAL);
        opened(&mut watch, 20_000, "b");
        assert_eq!(
            twice(&mut watch, 30_000, &held("c", 500)),
            SlotVerdict::SubscriptionLost(SubscriptionLoss::TakenOver)
        );
        // Replaced before the first look: the other one is younger than ours.
        watch.opened(at(40_000));
        assert_eq!(
            twice(&mut watch, 45_000, &held("d", 2_000)),
            SlotVerdict::SubscriptionLost(SubscriptionLoss::TakenOver)
        );
    }

    #[test]
    fn a_single_bad_look_or_no_answer_is_no_proof() {
        let mut watch = SlotWatch::new(INTERVAL);
        opened(&mut watch, 0, "a");
        assert_eq!(
            watch.seen(at(9_000), at(9_000), SlotStatus::Free),
            SlotVerdict::Open
        );
        assert_eq!(
            watch.seen(at(9_250), at(9_250), held("a", 9_250)),
            SlotVerdict::Ours
        );
        assert_eq!(
            watch.seen(at(17_000), at(17_000), SlotStatus::Unclear),
            SlotVerdict::Open
        );
        assert_eq!(
            watch.seen(at(25_000), at(25_000), held("a", 25_000)),
            SlotVerdict::Ours
        );
    }

    #[test]
    fn three_takeovers_in_ten_minutes_are_a_fight() {
        let mut watch = SlotWatch::new(INTERVAL);
        let mut takeover = |minute: u64| {
            let now = minute * 60_000;
            opened(&mut watch, now, "ours");
            twice(&mut watch, now + 9_000, &held("theirs", 1))
        };
        let verdicts = [0, 1, 12, 13, 14, 15].map(&mut takeover);
        let (other, fight) = (
            SlotVerdict::SubscriptionLost(SubscriptionLoss::TakenOver),
            SlotVerdict::SubscriptionLost(SubscriptionLoss::Contested),
        );
        assert_eq!(verdicts, [other, other, other, other, fight, other]);
    }

    #[test]
    fn a_client_that_leaves_does_not_fight() {
        let mut watch = SlotWatch::new(INTERVAL);
        let mut loss = |minute: u64, sight: &SlotStatus| {
            let now = minute * 60_000;
            opened(&mut watch, now, "ours");
            twice(&mut watch, now + 9_000, sight)
        };
        let theirs = held("theirs", 1);
        let verdicts = [
            loss(0, &theirs),
            loss(1, &theirs),
            loss(2, &SlotStatus::Free),
            loss(3, &SlotStatus::Free),
            loss(4, &theirs),
        ];
        let lost = SlotVerdict::SubscriptionLost;
        assert_eq!(
            verdicts,
            [
                lost(SubscriptionLoss::TakenOver),
                lost(SubscriptionLoss::TakenOver),
                lost(SubscriptionLoss::Forgotten),
                lost(SubscriptionLoss::Forgotten),
                lost(SubscriptionLoss::Contested),
            ]
        );
    }

    #[test]
    fn a_slot_that_was_left_to_another_is_taken_when_that_one_is_gone() {
        let mut watch = SlotWatch::new(INTERVAL);
        let mut now = 0;
        for _ in 0..3 {
            opened(&mut watch, now, "ours");
            twice(&mut watch, now + 9_000, &held("theirs", 1));
            watch.closed();
            now += 10_000;
        }
        let next = watch.deadline().unwrap();
        assert_eq!(watch.seen(next, next, held("theirs", 40_000)), SlotVerdict::Open);
        let next = watch.deadline().unwrap();
        assert_eq!(watch.seen(next, next, SlotStatus::Free), SlotVerdict::Vacant);
        assert_eq!(watch.deadline(), None);
    }

    #[test]
    fn a_backend_that_cannot_tell_is_asked_again_much_later() {
        let mut watch = SlotWatch::new(INTERVAL);
        watch.opened(at(0));
        assert_eq!(
            watch.seen(at(1_000), at(1_000), SlotStatus::Unknowable),
            SlotVerdict::Off
        );
        assert!(watch.is_off());
        assert_eq!(watch.deadline(), Some(at(601_000)));
        let again = watch.seen(at(601_000), at(601_000), SlotStatus::Unknowable);
        assert_eq!(again, SlotVerdict::Open, "said once");
        // It was a proxy that answered, or it is another backend by now.
        watch.closed();
        opened(&mut watch, 700_000, "a");
        assert!(!watch.is_off());
        assert_eq!(
            twice(&mut watch, 790_000, &SlotStatus::Free),
            SlotVerdict::SubscriptionLost(SubscriptionLoss::Forgotten)
        );
    }
}
