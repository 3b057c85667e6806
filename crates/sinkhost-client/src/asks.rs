//! What a plugin asks for of areas, as its parent has it: only where the site grants it, in order, and no more than a child lets
//! through.

use tokio::time::Instant;
use watchpost_sinkhost_protocol::AskLimit;
use watchpost_sinkhost_protocol::limits::MAX_OPEN_ASKS;

use crate::violation::Violation;

/// The bookkeeping.
#[derive(Debug)]
pub(crate) struct Asks {
    granted: bool,
    /// The number of the last request.
    last: u64,
    /// Those that are not answered.
    open: Vec<u64>,
    limit: AskLimit,
}

impl Asks {
    pub(crate) fn new(granted: bool, now: Instant) -> Self {
        Self {
            granted,
            last: 0,
            open: Vec::new(),
            limit: AskLimit::of_parent(now.into_std()),
        }
    }

    /// The plugin asks for something under this number.
    pub(crate) fn asked(&mut self, ticket: u64, now: Instant) -> Result<(), Violation> {
        if !self.granted {
            return Err(Violation::ArmNotGranted);
        }
        if self.last.checked_add(1) != Some(ticket) {
            return Err(Violation::AskedOutOfTurn(ticket));
        }
        if self.open.len() >= MAX_OPEN_ASKS || !self.limit.admit(now.into_std()) {
            return Err(Violation::AskFlood);
        }
        self.last = ticket;
        self.open.push(ticket);
        Ok(())
    }

    /// It is to be answered; whether it has asked for that, and was not answered yet.
    pub(crate) fn answer(&mut self, ticket: u64) -> bool {
        let place = self.open.iter().position(|open| *open == ticket);
        place.map(|place| self.open.remove(place)).is_some()
    }

    /// Whether it is to know how areas are armed.
    pub(crate) fn may_know(&self) -> bool {
        self.granted
    }
}
