//! About the call in flight.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use watchpost_sink_abi as abi;

use crate::Host;

/// The call a sink is in.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub(crate) raw: abi::Call,
    pub(crate) host: &'a Host,
}

impl Call<'_> {
    /// Its number, unique within the process.
    pub fn id(&self) -> u64 {
        self.raw.call_id
    }

    /// 1 for the first try at this alert, counting on.
    pub fn attempt(&self) -> u32 {
        self.raw.attempt
    }

    /// How long the call may still take: give it to whatever waits. Two seconds after that the process is
    /// killed. `None`: as long as it likes.
    pub fn remaining(&self) -> Option<Duration> {
        if self.raw.deadline_ns == 0 {
            return None;
        }
        let now = clock_gettime(ClockId::Monotonic);
        let now = now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs();
        Some(Duration::from_nanos(self.raw.deadline_ns.saturating_sub(now)))
    }

    /// Reports that a person has acknowledged this alert, for instance at a button. The call goes on, and what comes after
    /// the first report of a call counts for nothing. `false`: the site has not granted it (`[sink.sandbox] acknowledge`).
    pub fn acknowledge(&self) -> bool {
        self.host.acknowledge(self.raw.call_id)
    }

    /// Whether the call should end now. Cheap enough to ask in a loop.
    pub fn cancelled(&self) -> bool {
        self.host.is_cancelled(self.raw.call_id)
    }
}
