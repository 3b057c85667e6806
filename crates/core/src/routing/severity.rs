//! How much an alert matters by its score. VisionGuard calls every anomaly of a camera low, so without this no rule for
//! what is severe would ever take one.

use crate::{Alert, Severity};

/// From which score on an anomaly has which severity. VisionGuard's scores are negative, and the lower the more abnormal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeverityTable {
    /// Below this it is medium.
    pub medium_below: f64,
    /// Below this it is high.
    pub high_below: f64,
    /// Below this it is critical.
    pub critical_below: f64,
}

impl Default for SeverityTable {
    /// Beyond -3 the backend itself means to call an anomaly high.
    fn default() -> Self {
        Self {
            medium_below: -2.0,
            high_below: -3.0,
            critical_below: -5.0,
        }
    }
}

impl SeverityTable {
    /// The severity of a score.
    pub fn of(&self, score: f64) -> Severity {
        if score < self.critical_below {
            Severity::Critical
        } else if score < self.high_below {
            Severity::High
        } else if score < self.medium_below {
            Severity::Medium
        } else {
            Severity::Low
        }
    }

    /// Raises the severity of an alert of VisionGuard to that of its score. What its source calls more severe stays so.
    pub fn apply(&self, alert: &mut Alert) {
        if let Some(score) = alert.visionguard.as_ref().and(alert.details.score) {
            alert.severity = alert.severity.max(self.of(score));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sample;

    #[test]
    fn the_lower_the_score_the_higher_the_severity_and_a_limit_is_not_below_itself() {
        let table = SeverityTable::default();
        for (score, expected) in [
            (0.5, Severity::Low),
            (-2.0, Severity::Low),
            (-2.01, Severity::Medium),
            (-3.0, Severity::Medium),
            (-3.01, Severity::High),
            (-5.0, Severity::High),
            (-5.01, Severity::Critical),
            (f64::MIN, Severity::Critical),
        ] {
            assert_eq!(table.of(score), expected, "{score}");
        }
    }

    #[test]
    fn only_scores_of_visionguard_count_and_none_makes_an_alert_milder() {
        let of = |severity, score, own: bool| {
            let mut alert = sample(1);
            (alert.severity, alert.details.score) = (severity, score);
            alert.visionguard = alert.visionguard.filter(|_| own);
            SeverityTable::default().apply(&mut alert);
            alert.severity
        };
        assert_eq!(of(Severity::Low, Some(-4.0), true), Severity::High);
        assert_eq!(of(Severity::Critical, Some(-4.0), true), Severity::Critical);
        assert_eq!(of(Severity::Low, None, true), Severity::Low);
        assert_eq!(of(Severity::Low, Some(-4.0), false), Severity::Low);
    }
}
