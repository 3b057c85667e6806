//! What is wrong on the site now, for whoever wants to arm it. Each part says of itself how it is; nothing here asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use watchpost_core::Blocker;

/// What is wrong, by part. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<Mutex<BTreeMap<Part, Fault>>>);

/// Why a part does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    why: String,
    /// It was found out, and is not only not known yet.
    is_proven: bool,
}

/// A part that may not work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// A connection, which gets no alerts.
    Connection(String),
    /// A sink, which cannot deliver.
    Sink(String),
}

impl Health {
    /// The part works, or does not for this reason.
    pub(crate) fn set(&self, part: Part, fault: Option<String>) {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_proven = true;
        match fault {
            Some(why) => drop(parts.insert(part, Fault { why, is_proven })),
            None => drop(parts.remove(&part)),
        }
    }

    /// It is not known yet whether the part works, for this reason.
    pub(crate) fn set_unknown(&self, part: Part, why: String) {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_proven = false;
        parts.insert(part, Fault { why, is_proven });
    }

    /// All that is wrong now, or not known to be well, for a person who wants to arm the site.
    pub(crate) fn faults(&self) -> Vec<Blocker> {
        self.blockers(|_| true)
    }

    /// All that is known to be wrong now. What has not had the time to say how it is after a start of the hub must not keep an
    /// area from being armed that was on its way to that.
    pub(crate) fn proven(&self) -> Vec<Blocker> {
        self.blockers(|fault| fault.is_proven)
    }

    fn blockers(&self, counts: impl Fn(&Fault) -> bool) -> Vec<Blocker> {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let blocker = |(part, Fault { why, .. }): (&Part, &Fault)| match part {
            Part::Connection(name) => Blocker::Connection {
                name: name.clone(),
                why: why.clone(),
            },
            Part::Sink(name) => Blocker::Sink {
                name: name.clone(),
                why: why.clone(),
            },
        };
        parts
            .iter()
            .filter(|(_, fault)| counts(fault))
            .map(blocker)
            .collect()
    }
}
