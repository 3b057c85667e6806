//! The settings by which the hub runs now, for whoever looks at them each time and need not be restarted for a new one.

use std::sync::{Arc, PoisonError, RwLock};

use watchpost_config::Settings;

/// The settings as they are now. Clones see every change.
#[derive(Clone, Debug)]
pub(crate) struct CurrentSettings(Arc<RwLock<Arc<Settings>>>);

impl CurrentSettings {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self(Arc::new(RwLock::new(settings)))
    }

    /// What they are now.
    pub(crate) fn get(&self) -> Arc<Settings> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on they are these.
    pub(crate) fn set(&self, settings: Arc<Settings>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "the document below is right")]
impl Default for CurrentSettings {
    fn default() -> Self {
        Self::new(Arc::new(serde_json::from_str(r#"{"connection": []}"#).unwrap()))
    }
}
