//! What a plugin says of itself. Its description travels as text and is parsed by the parent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A loaded plugin's own words and abilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginInfo {
    /// As in `libwatchpost_<id>.so`.
    pub id: String,
    /// For a person.
    pub name: String,
    /// Of the plugin.
    pub version: String,
    /// What it does, in a sentence; may be empty.
    pub summary: String,
    /// What it was made with; may be empty.
    pub sdk: String,
    /// Major and minor version of the contract it was made for.
    pub abi: (u16, u16),
    /// Whether deliveries count only after a flush.
    pub flushes: bool,
    /// Whether it can try its target without an alert.
    pub probes: bool,
    /// Whether its calls can be cancelled.
    pub cancels: bool,
    /// Whether it can check a configuration.
    pub validates: bool,
    /// `{"schema": …, "example": …, "needs": …}` as `wp_plugin.describe` gives it. Only
    /// inspecting asks for it.
    // Travels as text beside this struct: the wire format is not self-describing.
    #[serde(skip)]
    pub description: Option<Value>,
}

impl PluginInfo {
    /// The JSON Schema of its configuration.
    pub fn schema(&self) -> Option<&Value> {
        self.described("schema")
    }

    /// A configuration that works.
    pub fn example(&self) -> Option<&Value> {
        self.described("example")
    }

    /// Paths, network and devices it says it needs. Shown to the operator; grants nothing.
    pub fn needs(&self) -> Option<&Value> {
        self.described("needs")
    }

    fn described(&self, key: &str) -> Option<&Value> {
        self.description.as_ref()?.get(key)
    }
}
