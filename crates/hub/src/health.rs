//! What is wrong on the site now, for whoever wants to arm it. Each part says of itself how it is; nothing here asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use watchpost_core::Blocker;

/// What is wrong, by part. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<Mutex<BTreeMap<Part, String>>>);

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
        match fault {
            Some(why) => drop(parts.insert(part, why)),
            None => drop(parts.remove(&part)),
        }
    }

    /// All that is wrong now.
    pub(crate) fn faults(&self) -> Vec<Blocker> {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let blocker = |(part, why): (&Part, &String)| match part {
            Part::Connection(name) => Blocker::Connection {
                name: name.clone(),
                why: why.clone(),
            },
            Part::Sink(name) => Blocker::Sink {
                name: name.clone(),
                why: why.clone(),
            },
        };
        parts.iter().map(blocker).collect()
    }
}
