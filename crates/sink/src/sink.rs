//! The trait a plugin implements.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Alert, Call, Description, Fail, Host};

/// A handle that asks a call to return soon, from another thread: it gets the call's number.
pub type Canceller = Arc<dyn Fn(u64) + Send + Sync>;

/// A sink: created from its configuration, given alerts, dropped at the end.
///
/// All calls come from one thread, one at a time.
pub trait Sink: Sized + 'static {
    /// The `[sink.config]` table of the site's configuration. Use `deny_unknown_fields`, so that a typing error
    /// is found, and document the fields.
    type Config: DeserializeOwned + JsonSchema;

    /// Whether deliveries count only after [`flush`](Self::flush).
    const FLUSHES: bool = false;

    /// Whether [`probe`](Self::probe) does something.
    const PROBES: bool = false;

    /// Checks what the types of the configuration cannot say. It may read files that the configuration names, and
    /// touches nothing else. Comes before [`create`](Self::create) too. Say where it is wrong with [`Fail::bad_config`].
    fn check(_config: &Self::Config) -> Result<(), Fail> {
        Ok(())
    }

    /// Makes the instance.
    fn create(config: Self::Config, host: &Host) -> Result<Self, Fail>;

    /// Hands on one alert.
    fn deliver(&mut self, alert: &Alert<'_>, call: &Call<'_>) -> Result<(), Fail>;

    /// Makes the deliveries since the last flush last; only with [`FLUSHES`](Self::FLUSHES). Comes after one
    /// delivery when there is time, after up to 64 or 20 ms of them under load. A failure counts for every
    /// delivery since the last flush that was `Ok`.
    fn flush(&mut self, _call: &Call<'_>) -> Result<(), Fail> {
        Ok(())
    }

    /// Tries whether a delivery would work, without making one; only with [`PROBES`](Self::PROBES).
    fn probe(&mut self, _call: &Call<'_>) -> Result<(), Fail> {
        Err(Fail::unsupported())
    }

    /// A way to interrupt a call at its deadline, for a sink that waits where it cannot poll
    /// [`Call::cancelled`]. Asked for once, after [`create`](Self::create).
    fn canceller(&self) -> Option<Canceller> {
        None
    }

    /// What to tell of this sink besides the schema of its configuration.
    fn description() -> Description {
        Description::default()
    }
}
