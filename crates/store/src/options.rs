//! Where the store is and how much it keeps.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::frames::FRAME_BLOCK_BYTES;

/// Usual size of a file of the frame log, in bytes: large enough that a new one is rare, small enough that
/// an SD card can spare two.
pub const DEFAULT_SEGMENT_SIZE: u64 = 64 << 20;

/// Smallest size of a file of the frame log, in bytes.
const MIN_SEGMENT_BYTES: u64 = 64 << 10;

/// With a limit on the size of the store, a file of the frame log takes at most this part of it: space is
/// given back by whole files.
const MIN_SEGMENTS_IN_LIMIT: u64 = 8;

/// Where the store is and how much it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// The data directory. Made if it does not exist.
    pub dir: PathBuf,
    /// Size of the frame log's files, in bytes. Raised to 64 KiB, and lowered to an eighth of
    /// [`Retention::max_size`] as that is when the store is opened.
    pub segment_size: u64,
    /// Names of the sinks whose deliveries an acknowledgement cancels. Only deliveries of a store that is older than schema 3
    /// take it from here, once: every other delivery says so itself.
    pub cancel_on_acknowledge: Vec<String>,
    /// What may change while it is open.
    pub policy: StorePolicy,
}

/// What of [`StoreOptions`] may change while the store is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorePolicy {
    /// What may be removed.
    pub retention: Retention,
    /// Names of the connections whose backend learns of acknowledgements.
    pub write_back: Vec<String>,
    /// Names of the sinks there are: what waits for another keeps no alert from retention. `None`: for whatever sink a
    /// delivery waits, its alert is kept.
    pub sinks: Option<BTreeSet<String>>,
}

/// Limits beyond which the oldest alerts are removed. Alerts that have pending deliveries to a sink that there is never
/// are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Alerts received longer ago than this may go.
    pub keep_for: Option<Duration>,
    /// Most alerts.
    pub keep_max: Option<u64>,
    /// Most bytes on disk: the files of the frame log, one spare among them, and the used part of the
    /// database.
    pub max_size: Option<u64>,
}

impl StoreOptions {
    /// Keeps everything, in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_size: DEFAULT_SEGMENT_SIZE,
            cancel_on_acknowledge: Vec::new(),
            policy: StorePolicy::default(),
        }
    }

    /// The size that new segments get.
    pub(crate) fn effective_segment_size(&self) -> u64 {
        let most = self
            .policy
            .retention
            .max_size
            .map_or(u64::MAX, |size| size / MIN_SEGMENTS_IN_LIMIT);
        let size = self.segment_size.min(most).max(MIN_SEGMENT_BYTES);
        size / FRAME_BLOCK_BYTES * FRAME_BLOCK_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_fit_into_a_small_limit() {
        let size = |segment_size, max_size| {
            let retention = Retention {
                max_size,
                ..Retention::default()
            };
            let policy = StorePolicy {
                retention,
                ..StorePolicy::default()
            };
            StoreOptions {
                segment_size,
                policy,
                ..StoreOptions::new("x")
            }
            .effective_segment_size()
        };
        assert_eq!(size(DEFAULT_SEGMENT_SIZE, None), 64 << 20);
        assert_eq!(size(DEFAULT_SEGMENT_SIZE, Some(128 << 20)), 16 << 20);
        assert_eq!(size(1, Some(1)), 64 << 10);
        assert_eq!(size((1 << 20) + 1, None), 1 << 20);
    }
}
