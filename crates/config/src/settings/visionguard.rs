//! `[visionguard]`: what holds of VisionGuard backends, whichever connection they are at.

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_core::SeverityTable;

/// `[visionguard]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VisionGuardSettings {
    /// How much an anomaly matters by its score, for the backend calls all of them low. What it calls more severe, such as an
    /// intruder that the night watch sees, stays so.
    pub severity: SeveritySettings,
}

/// `[visionguard.severity]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeveritySettings {
    /// A score below this is `medium`, and any other `low`. Scores are negative, and the lower the more abnormal.
    pub medium_below: f64,
    /// A score below this is `high`.
    pub high_below: f64,
    /// A score below this is `critical`.
    pub critical_below: f64,
}

impl Default for SeveritySettings {
    fn default() -> Self {
        let SeverityTable {
            medium_below,
            high_below,
            critical_below,
        } = SeverityTable::default();
        Self {
            medium_below,
            high_below,
            critical_below,
        }
    }
}

impl SeveritySettings {
    /// The same in the words of the domain.
    pub fn table(&self) -> SeverityTable {
        SeverityTable {
            medium_below: self.medium_below,
            high_below: self.high_below,
            critical_below: self.critical_below,
        }
    }
}
