//! What all parts of a connection work with: its settings, the backend, who the hub is there, and the store.

use std::cell::Cell;
use std::sync::Arc;

use watchpost_config::ConnectionSettings;
use watchpost_core::{AlertIds, ClockSkew, UnixMillis};
use watchpost_visionguard::PictureLimits;

use super::api::Api;
use super::credentials::{Credentials, Session};
use crate::clock::Clock;
use crate::store::{ReadError, Readers, StoreHandle};

/// Shared by the parts of one connection, and by what they have in flight.
pub(super) struct ConnectionContext {
    pub(super) settings: Arc<ConnectionSettings>,
    pub(super) clock: Clock,
    pub(super) api: Api,
    pub(super) credentials: Credentials,
    pub(super) store: StoreHandle,
    pub(super) readers: Readers,
    pub(super) ids: Arc<AlertIds>,
    /// How far the backend's clock is from this machine's, as it was last seen.
    pub(super) skew: Cell<Option<ClockSkew>>,
    /// What a picture may measure.
    pub(super) limits: PictureLimits,
}

impl ConnectionContext {
    /// Name of the connection.
    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }

    /// A time that the backend gave, by this machine's clock.
    pub(super) fn ours(&self, theirs: UnixMillis) -> UnixMillis {
        self.skew.get().unwrap_or_default().ours(theirs)
    }

    /// An answer to what was asked at `asked` has just come, given at `theirs` by the backend's clock, if it says so.
    pub(super) fn saw_clock(&self, asked: UnixMillis, theirs: Option<UnixMillis>) {
        let known = self.skew.get().unwrap_or_default();
        let answered = self.clock.unix();
        self.skew
            .set(theirs.map(|theirs| known.seen(asked, answered, theirs)));
    }

    /// Acknowledges the alerts of records that a person has judged in the backend.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn acknowledge_judged(&self, records: Vec<String>) -> Result<(), ReadError> {
        if records.is_empty() {
            return Ok(());
        }
        let alerts = self
            .readers
            .read(move |reader| reader.unacknowledged(&records))
            .await?;
        for alert in alerts {
            self.store.acknowledge_from(alert, self.name());
        }
        Ok(())
    }

    /// Who the hub is, for a request beside the socket. While that is not open, only a session that needs no login will
    /// do: each attempt to open it logs in once, and nothing else does.
    pub(super) async fn session(&self, open: bool) -> Option<Session> {
        if open {
            self.credentials.at_hand(&self.api).await.ok()
        } else {
            self.credentials.still_good()
        }
    }
}

/// A limit in bytes as this machine counts.
pub(super) fn bytes(limit: watchpost_config::ByteSize) -> usize {
    usize::try_from(limit.0).unwrap_or(usize::MAX)
}
