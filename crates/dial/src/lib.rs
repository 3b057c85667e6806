//! How a server is reached, for hub and plugins alike: in which order its addresses are tried ([`Race`]), whom to trust and
//! what is wrong with a certificate ([`trust`]).
//!
//! It opens no socket and reads no clock: the hub drives it with futures, a plugin with poll(2).

#![forbid(unsafe_code)]

pub mod trust;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// Time after which the next address is tried beside those in flight: RFC 8305, section 8.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The attempts at the addresses of one name, as RFC 8305 ("Happy Eyeballs") has it: both families in turn, each next
/// address a quarter of a second after the one before, and the first that answers wins. So an address that drops packets
/// costs that quarter of a second, and nothing of what the others have. Times are counted from the beginning.
#[derive(Clone, Debug)]
pub struct Race {
    waiting: VecDeque<SocketAddr>,
    /// When the next one is due.
    next: Duration,
}

impl Race {
    /// Over these addresses, in the order in which the system prefers them.
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self {
            waiting: interleaved(addresses),
            next: Duration::ZERO,
        }
    }

    /// The address to try now, beside those in flight; to be called until there is none.
    pub fn begin(&mut self, now: Duration) -> Option<SocketAddr> {
        if now < self.next {
            return None;
        }
        let address = self.waiting.pop_front()?;
        self.next = now + ATTEMPT_DELAY;
        Some(address)
    }

    /// An attempt has failed: the next one need not wait.
    pub fn failed(&mut self) {
        self.next = Duration::ZERO;
    }

    /// When [`Self::begin`] has the next address; `None` when all were tried.
    pub fn due(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(self.next)
    }
}

/// The families in turn, beginning with the one that the system puts first: RFC 8305, section 4.
fn interleaved(addresses: impl IntoIterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut first: VecDeque<SocketAddr> = VecDeque::new();
    let mut other = VecDeque::new();
    for address in addresses {
        match first.front() {
            Some(front) if front.is_ipv4() != address.is_ipv4() => other.push_back(address),
            _ => first.push_back(address),
        }
    }
    let mut all = VecDeque::new();
    while let Some(address) = first.pop_front().or_else(|| other.pop_front()) {
        all.push_back(address);
        all.extend(other.pop_front());
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn families_take_turns() {
        for (given, wanted) in [
            (
                &["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1", "127.0.0.2:1"][..],
                &["[::1]:1", "127.0.0.1:1", "[::2]:1", "127.0.0.2:1", "[::3]:1"][..],
            ),
            (&["127.0.0.1:1", "[::1]:1"], &["127.0.0.1:1", "[::1]:1"]),
            (&["127.0.0.1:1", "127.0.0.2:1"], &["127.0.0.1:1", "127.0.0.2:1"]),
        ] {
            assert_eq!(Vec::from(interleaved(of(given))), of(wanted));
        }
    }

    #[test]
    fn one_is_tried_a_quarter_of_a_second_after_the_other_and_at_once_after_a_failure() {
        let [a, b, c] = of(&["127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"])[..] else {
            panic!("three")
        };
        let mut race = Race::new([a, b, c]);
        assert_eq!(race.begin(ms(10)), Some(a));
        assert_eq!((race.begin(ms(10)), race.due()), (None, Some(ms(260))));
        assert_eq!(race.begin(ms(259)), None);
        assert_eq!(race.begin(ms(260)), Some(b));
        race.failed();
        assert_eq!(race.begin(ms(270)), Some(c));
        assert_eq!((race.begin(ms(9_000)), race.due()), (None, None));
    }

    proptest! {
        #[test]
        fn every_address_is_tried_once_and_none_waits_for_an_answer(
            v4 in prop::collection::vec(any::<[u8; 4]>(), 0..8),
            v6 in prop::collection::vec(any::<[u8; 16]>(), 0..8),
            six_first: bool,
        ) {
            let four: Vec<SocketAddr> = v4.iter().map(|&ip| (ip, 1).into()).collect();
            let six: Vec<SocketAddr> = v6.iter().map(|&ip| (ip, 1).into()).collect();
            let given = if six_first { [six, four].concat() } else { [four, six].concat() };
            let mut race = Race::new(given.clone());
            let mut tried = Vec::new();
            let mut now = Duration::ZERO;
            while let Some(due) = race.due() {
                now = now.max(due);
                tried.extend(race.begin(now));
            }
            let number = u32::try_from(given.len().saturating_sub(1)).unwrap();
            prop_assert_eq!(now, ATTEMPT_DELAY * number);
            prop_assert_eq!(tried.first(), given.first());
            let sorted = |mut all: Vec<SocketAddr>| { all.sort(); all };
            prop_assert_eq!(sorted(tried), sorted(given));
        }
    }
}
