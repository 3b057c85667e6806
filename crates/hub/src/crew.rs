//! The running parts of one kind: performs what their [`Roster`] says.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use watchpost_core::{Changes, MonotonicTime, Part, Roster};

/// A part of the hub that runs, whatever it is.
pub(crate) trait Running {
    /// Restarts it if it has died. To be called when one has, and at the time that is returned.
    fn check(&mut self, now: MonotonicTime) -> Option<MonotonicTime>;

    /// Has it begin nothing new and finish what it has in hand, from the time when the future is first polled; the future
    /// ends when it has.
    fn stop(&self) -> BoxFuture<'static, ()>;

    /// Ends whatever still runs of it.
    fn end(&self);
}

/// The parts of one kind, by name.
pub(crate) struct Crew<P, R: ?Sized> {
    roster: Roster<P>,
    running: BTreeMap<String, Box<R>>,
}

impl<P: Part, R: Running + ?Sized> Crew<P, R> {
    pub(crate) fn new() -> Self {
        Self {
            roster: Roster::default(),
            running: BTreeMap::new(),
        }
    }

    /// Has these parts wanted from now on, and starts those that are new. What is changed or wanted no more goes on until
    /// [`Self::retire`] is called.
    pub(crate) fn want(&mut self, parts: Vec<P>, start: impl Fn(P) -> Box<R>) -> Changes {
        let changes = self.roster.changes(&parts);
        for part in self.roster.want(parts) {
            self.running.insert(part.name().to_owned(), start(part));
        }
        changes
    }

    /// Has what is changed or wanted no more finish what it has in hand. When such a future ends, [`Self::ended`] is to
    /// be called.
    pub(crate) fn retire(&mut self) -> Vec<(String, BoxFuture<'static, ()>)> {
        let stop = |name: String| {
            let ended = self.running.get(&name)?.stop();
            Some((name, ended))
        };
        self.roster.retire().into_iter().filter_map(stop).collect()
    }

    /// A part has ended; its successor is started, if it has one. Returns whether it has.
    pub(crate) fn ended(&mut self, name: &str, start: impl FnOnce(P) -> Box<R>) -> bool {
        if let Some(ended) = self.running.remove(name) {
            ended.end();
        }
        let Some(next) = self.roster.ended(name) else {
            return false;
        };
        self.running.insert(name.to_owned(), start(next));
        true
    }

    /// Looks after all that have not been asked to end: one of those that dies has ended.
    /// Returns when to look again, if that is not only when another one has died.
    pub(crate) fn check(&mut self, now: MonotonicTime) -> Option<MonotonicTime> {
        let mut next = None;
        for (name, stopping) in self.roster.running() {
            if let Some(part) = self.running.get_mut(name).filter(|_| !stopping) {
                next = next.into_iter().chain(part.check(now)).min();
            }
        }
        next
    }

    /// All of them, in the order of the configuration; at the end those that are wanted no more. Each with whether it has
    /// been asked to end.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&R, bool)> {
        let names = self.roster.running();
        names.filter_map(|(name, stopping)| Some((self.running.get(name)?.as_ref(), stopping)))
    }
}

impl<P, R: ?Sized> Crew<P, R> {
    /// The parts, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &R> {
        self.running.values().map(Box::as_ref)
    }
}
