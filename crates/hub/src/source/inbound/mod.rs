//! Alerts that programs post over HTTP, as a source: any camera system with a webhook can feed the hub.
//!
//! The web server reads requests and hands over what is in them ([`InboundHandle::post`]); the answer comes when the
//! alert is on disk. What a document means is `document`'s to say.

mod actor;
mod document;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use actix::Addr;
use subtle::ConstantTimeEq as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use watchpost_config::ConnectionSettings;
use watchpost_core::AlertId;
use watchpost_visionguard::PictureLimits;

use self::actor::Offer;
pub(crate) use self::actor::{Inbound, InboundParts};

/// What a program posted.
#[derive(Clone, Debug, Default)]
pub struct Posted {
    /// The alert as JSON.
    pub document: Vec<u8>,
    /// Its picture as a JPEG file, where that did not come within the document.
    pub picture: Option<Vec<u8>>,
    /// What the program calls this request (`Idempotency-Key`): a second one of the same name is the same alert.
    pub key: Option<String>,
}

/// An alert that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub id: AlertId,
    /// Whether it had been posted before.
    pub duplicate: bool,
}

/// Why a posted alert was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The document is not what was expected.
    #[error("{problem}")]
    Invalid {
        /// Where, as a JSON pointer (RFC 6901).
        pointer: String,
        /// What is wrong there, and what was expected.
        problem: String,
    },
    /// As much is in flight as the connection's `intake_buffer` allows.
    #[error("more alerts arrive than can be stored: try again")]
    Busy,
    /// The hub is stopping, or the source is being restarted.
    #[error("the hub does not take alerts now: try again")]
    Unavailable,
}

/// A connection of `kind = "inbound"`, for the web server. Clones are handles to the same one.
#[derive(Clone)]
pub struct InboundHandle(Arc<Shared>);

/// All inbound connections, for the web server. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct InboundHandles(Arc<RwLock<Vec<InboundHandle>>>);

/// Memory that is set aside for one request, until it is dropped.
#[derive(Debug, Default)]
pub struct Reservation(Option<OwnedSemaphorePermit>);

/// What requests take up in memory is counted in this many bytes.
const BUDGET_UNIT_BYTES: u64 = 1_024;

struct Shared {
    settings: Arc<ConnectionSettings>,
    /// What requests may take up in memory.
    budget: Arc<Semaphore>,
    /// The actor as it lives now.
    address: Mutex<Option<Addr<Inbound>>>,
}

impl InboundHandle {
    pub(crate) fn new(settings: Arc<ConnectionSettings>) -> Self {
        let bytes = settings.intake_buffer.0.max(settings.max_message.0);
        let units = usize::try_from(bytes.div_ceil(BUDGET_UNIT_BYTES)).unwrap_or(usize::MAX);
        Self(Arc::new(Shared {
            settings,
            budget: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))),
            address: Mutex::new(None),
        }))
    }

    /// Name of the connection.
    pub fn name(&self) -> &str {
        &self.0.settings.name
    }

    /// Whether this is its token, as that is now. It takes as long for a wrong one as for the right one.
    ///
    /// # Errors
    /// When its token cannot be read.
    pub fn admits(&self, token: &str) -> Result<bool, watchpost_config::ConfigError> {
        let Some(secret) = &self.0.settings.token else {
            return Ok(false);
        };
        let secret = secret.read()?;
        Ok(secret.expose().as_bytes().ct_eq(token.as_bytes()).into())
    }

    /// The largest request, in bytes.
    pub fn max_message(&self) -> u64 {
        self.0.settings.max_message.0
    }

    /// Sets memory aside for so many bytes more of a request: as much as `intake_buffer` allows, and one request always.
    ///
    /// # Errors
    /// [`PostError::Busy`] when too much is in memory.
    pub fn reserve(&self, held: &mut Reservation, bytes: u64) -> Result<(), PostError> {
        let units = u32::try_from(bytes.div_ceil(BUDGET_UNIT_BYTES)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.0.budget)
            .try_acquire_many_owned(units)
            .map_err(|_| PostError::Busy)?;
        match &mut held.0 {
            Some(held) => held.merge(permit),
            None => held.0 = Some(permit),
        }
        Ok(())
    }

    /// Has an alert stored. The answer comes when it is on disk.
    ///
    /// # Errors
    /// When it is not an alert, or cannot be taken now.
    pub async fn post(&self, posted: Posted) -> Result<Accepted, PostError> {
        let alert = document::read(&posted, self.limits())?;
        let address = self
            .0
            .address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let address = address.ok_or(PostError::Unavailable)?;
        let (done, answer) = oneshot::channel();
        address.do_send(Offer { alert, done });
        answer.await.unwrap_or(Err(PostError::Unavailable))
    }

    fn limits(&self) -> PictureLimits {
        PictureLimits {
            max_bytes: usize::try_from(self.0.settings.max_picture.0).unwrap_or(usize::MAX),
            ..PictureLimits::default()
        }
    }

    fn set_address(&self, address: Option<Addr<Inbound>>) {
        *self.0.address.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }
}

impl InboundHandles {
    /// All of them.
    pub(crate) fn all(&self) -> Vec<InboundHandle> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// This one takes the place of the one with its name.
    pub(crate) fn put(&self, handle: InboundHandle) {
        let mut handles = self.0.write().unwrap_or_else(PoisonError::into_inner);
        handles.retain(|other| other.name() != handle.name());
        handles.push(handle);
    }

    /// Forgets those that are wanted no more: nothing can be posted to them from now on.
    pub(crate) fn retain(&self, wanted: impl Fn(&str) -> bool) {
        let mut handles = self.0.write().unwrap_or_else(PoisonError::into_inner);
        handles.retain(|handle| wanted(handle.name()));
    }
}

impl fmt::Debug for InboundHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InboundHandle").field(&self.name()).finish()
    }
}
