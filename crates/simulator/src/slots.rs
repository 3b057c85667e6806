//! Who is registered for alerts: one slot per user, with the two faults of the real registry
//! (a second connect replaces the first silently; whichever socket ends empties the slot).
//! It is pure bookkeeping and knows nothing of sockets but their numbers.

use std::collections::BTreeMap;

use time::OffsetDateTime;

/// Number of a socket since the start of the simulator.
pub(crate) type SocketId = u64;

/// One registered user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) socket: SocketId,
    pub(crate) connected_at: OffsetDateTime,
    /// Moves on a JSON ping or pong of the client only.
    pub(crate) last_heartbeat: OffsetDateTime,
}

/// The registry, by user id as it stands in the path.
#[derive(Debug)]
pub(crate) struct Slots {
    faithful: bool,
    by_user: BTreeMap<String, Slot>,
}

impl Slots {
    pub(crate) fn new(faithful: bool) -> Self {
        Self {
            faithful,
            by_user: BTreeMap::new(),
        }
    }

    /// Registers a socket. Answers the socket that has to be closed for it: a faithful registry
    /// leaves the replaced one open without alerts, a sane one does not.
    pub(crate) fn connect(&mut self, user: &str, socket: SocketId, now: OffsetDateTime) -> Option<SocketId> {
        let slot = Slot {
            socket,
            connected_at: now,
            last_heartbeat: now,
        };
        let replaced = self.by_user.insert(user.to_owned(), slot);
        replaced.map(|slot| slot.socket).filter(|_| !self.faithful)
    }

    /// A socket has ended. A faithful registry deletes by user, whichever socket it was.
    pub(crate) fn end(&mut self, user: &str, socket: SocketId) {
        if self.faithful || self.by_user.get(user).is_some_and(|slot| slot.socket == socket) {
            self.by_user.remove(user);
        }
    }

    /// Takes the user out, the socket stays.
    pub(crate) fn deregister(&mut self, user: &str) {
        self.by_user.remove(user);
    }

    pub(crate) fn clear(&mut self) {
        self.by_user.clear();
    }

    pub(crate) fn heartbeat(&mut self, user: &str, now: OffsetDateTime) {
        if let Some(slot) = self.by_user.get_mut(user) {
            slot.last_heartbeat = now;
        }
    }

    pub(crate) fn get(&self, user: &str) -> Option<&Slot> {
        self.by_user.get(user)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Slot)> {
        self.by_user.iter().map(|(user, slot)| (user.as_str(), slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    #[test]
    fn a_faithful_registry_replaces_silently_and_deletes_by_user() {
        let mut slots = Slots::new(true);
        assert_eq!(slots.connect("u", 1, NOW), None);
        assert_eq!(slots.connect("u", 2, NOW), None, "the first one is left open");
        assert_eq!(slots.get("u").unwrap().socket, 2);
        slots.end("u", 1);
        assert_eq!(
            slots.get("u"),
            None,
            "the end of the old socket empties the slot of the new one"
        );
    }

    #[test]
    fn a_sane_registry_closes_the_replaced_and_keeps_the_newer() {
        let mut slots = Slots::new(false);
        assert_eq!(slots.connect("u", 1, NOW), None);
        assert_eq!(slots.connect("u", 2, NOW), Some(1));
        slots.end("u", 1);
        assert_eq!(slots.get("u").unwrap().socket, 2);
        slots.end("u", 2);
        assert_eq!(slots.get("u"), None);
    }
}
