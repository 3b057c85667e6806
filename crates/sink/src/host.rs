//! What a sink may ask of the process it runs in.

use std::ffi::{CStr, c_void};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use watchpost_sink_abi as abi;

/// A handle to the host. Clone it into threads at will; they must have ended when the sink is dropped.
#[derive(Clone)]
pub struct Host {
    raw: *const abi::Host,
    known: abi::Host,
    texts: Arc<Texts>,
}

#[derive(Debug)]
struct Texts {
    hub_version: String,
    instance: String,
    state_dir: PathBuf,
}

// SAFETY: the header allows the host's functions on any thread, and the host outlives the instance.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

/// How loud a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something is lost.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Something the operator may want to know.
    Info,
    /// For the author of the plugin.
    Debug,
}

impl Host {
    /// # Safety
    /// `raw` is null or a host that lives until the instance is destroyed.
    pub(crate) unsafe fn from_raw(raw: *const abi::Host) -> Option<Self> {
        if raw.is_null() {
            return None;
        }
        // SAFETY: not null, and as the caller says.
        let known = unsafe { abi::read(raw) };
        // SAFETY: the header says that the texts live as long as the host.
        let text = |text: abi::Str| unsafe { String::from_utf8_lossy(text.bytes()).into_owned() };
        let texts = Texts {
            hub_version: text(known.hub_version),
            instance: text(known.instance),
            state_dir: text(known.state_dir).into(),
        };
        Some(Self {
            raw,
            known,
            texts: Arc::new(texts),
        })
    }

    /// Writes a line to Watchpost's log, under this sink's name. What is printed to stdout and stderr goes there
    /// too.
    pub fn log(&self, level: Level, line: impl fmt::Display) {
        let line = line.to_string();
        let level = match level {
            Level::Error => abi::level::ERROR,
            Level::Warn => abi::level::WARN,
            Level::Info => abi::level::INFO,
            Level::Debug => abi::level::DEBUG,
        };
        if let Some(log) = self.known.log {
            // SAFETY: the host lives, and the line does for the call.
            unsafe { log(self.raw, level, abi::Str::new(&line)) }
        }
    }

    /// Version of Watchpost.
    pub fn hub_version(&self) -> &str {
        &self.texts.hub_version
    }

    /// The name of the `[[sink]]` this instance is for.
    pub fn instance(&self) -> &str {
        &self.texts.instance
    }

    /// An existing directory which this instance alone may write to.
    pub fn state_dir(&self) -> &Path {
        &self.texts.state_dir
    }

    /// The host's extension of this name, which is not null and lives as long as the host.
    pub(crate) fn extension(&self, name: &CStr) -> Option<*const c_void> {
        // SAFETY: the host lives, and the name is a C string.
        let found = unsafe { (self.known.extension?)(self.raw, name.as_ptr()) };
        (!found.is_null()).then_some(found)
    }

    pub(crate) fn raw(&self) -> *const abi::Host {
        self.raw
    }

    pub(crate) fn acknowledge(&self, call_id: u64) -> bool {
        let Some(found) = self.extension(abi::ACKNOWLEDGE) else {
            return false;
        };
        // SAFETY: the header says what the extension of this name is, and that it lives as long as the host.
        let found = unsafe { &*found.cast::<abi::Acknowledge>() };
        let Some(acknowledge) = found.acknowledge else {
            return false;
        };
        // SAFETY: the host lives.
        unsafe { acknowledge(self.raw, call_id) };
        true
    }

    pub(crate) fn is_cancelled(&self, call_id: u64) -> bool {
        // SAFETY: the host lives.
        self.known
            .cancelled
            .is_some_and(|cancelled| unsafe { cancelled(self.raw, call_id) } != 0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").field(&self.texts).finish()
    }
}
