//! Which call the plugin is in, shared by the thread that makes it and the one that may cancel it.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use watchpost_sinkhost_protocol::FIRST_OWN_CALL;

/// Stands for no call: it is no valid number.
const NONE: u64 = u64::MAX;

type CancelFn = unsafe extern "C" fn(instance: *mut c_void, call_id: u64);

/// The call in flight.
///
/// A call is set pending in the step that takes it out of the inbox, and begun when the plugin's code is next, so that
/// there is no instant at which a cancel finds it nowhere.
#[derive(Debug)]
pub(super) struct Current {
    running: Mutex<Running>,
    /// Read by the plugin from any thread, so it is apart from the lock.
    cancelled: AtomicU64,
    cancel: Option<CancelFn>,
    /// Whether the site lets this plugin acknowledge alerts.
    may_acknowledge: bool,
    /// The call whose alert may be acknowledged. Apart from `running`, which is held while the plugin's `cancel` runs.
    to_acknowledge: Mutex<Option<u64>>,
}

#[derive(Debug)]
struct Running {
    call_id: u64,
    /// Whether the plugin's code is called, so that its `cancel` may be.
    begun: bool,
    /// Null while there is none: until `create` has returned.
    instance: *mut c_void,
}

// SAFETY: the pointer is the plugin's, which the header obliges to bear `cancel` from another thread; we never
// follow it.
unsafe impl Send for Running {}

impl Current {
    pub(super) fn new(cancel: Option<CancelFn>, may_acknowledge: bool) -> Self {
        let running = Mutex::new(Running {
            call_id: NONE,
            begun: false,
            instance: std::ptr::null_mut(),
        });
        Self {
            running,
            cancelled: AtomicU64::new(NONE),
            cancel,
            may_acknowledge,
            to_acknowledge: Mutex::new(None),
        }
    }

    /// From here on `call_id` can be cancelled.
    pub(super) fn set_pending(&self, call_id: u64) {
        let mut running = self.lock();
        running.call_id = call_id;
        running.begun = false;
    }

    /// The plugin is called next, unless `false`: then the call was cancelled before. `instance` is null for
    /// `create`.
    pub(super) fn begin(&self, call_id: u64, instance: *mut c_void) -> bool {
        let mut running = self.lock();
        *running = Running {
            call_id,
            begun: true,
            instance,
        };
        *self.lock_to_acknowledge() = Some(call_id).filter(|id| self.may_acknowledge && *id < FIRST_OWN_CALL);
        !self.is_cancelled(call_id)
    }

    /// The call is over, and so is a cancel that overlapped it.
    pub(super) fn end(&self) {
        *self.lock_to_acknowledge() = None;
        self.lock().call_id = NONE;
    }

    /// Cancels `call_id` if it is in flight; any call in flight when `None`.
    pub(super) fn cancel(&self, call_id: Option<u64>) {
        // Held while the plugin's `cancel` runs, so that no other call begins and no instance is destroyed
        // under it.
        let running = self.lock();
        if running.call_id == NONE || call_id.is_some_and(|id| id != running.call_id) {
            return;
        }
        self.cancelled.store(running.call_id, Ordering::Release);
        if let Some(cancel) = self.cancel
            && running.begun
            && running.call_id != FIRST_OWN_CALL
        {
            // SAFETY: the instance lives: it is destroyed by the thread that makes the calls, after `end`.
            unsafe { cancel(running.instance, running.call_id) }
        }
    }

    /// Whether the plugin may acknowledge at all.
    pub(super) fn may_acknowledge(&self) -> bool {
        self.may_acknowledge
    }

    /// Has `send` report that the alert of this call is acknowledged: once a call, and while it is in flight, so that the
    /// parent hears of it before it hears of the call's end.
    pub(super) fn acknowledge(&self, call_id: u64, send: impl FnOnce()) {
        let mut to_acknowledge = self.lock_to_acknowledge();
        if to_acknowledge.take_if(|id| *id == call_id).is_some() {
            send();
        }
    }

    /// Whether this call was cancelled.
    pub(super) fn is_cancelled(&self, call_id: u64) -> bool {
        call_id != NONE && self.cancelled.load(Ordering::Acquire) == call_id
    }

    fn lock_to_acknowledge(&self) -> MutexGuard<'_, Option<u64>> {
        self.to_acknowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
