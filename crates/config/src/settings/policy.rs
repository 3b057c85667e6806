//! `[[policy]]`: who is to hear of an alert after whom, until a person acknowledges it.

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_core::{Policy, PolicyStep, Repeat, Require};

use crate::{TimeSpan, forms};

/// `[[policy]]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// What routes call it: letters, digits, `-`, `_` and `.`, unique.
    #[schemars(with = "forms::Name")]
    pub name: String,
    /// Who is to hear of an alert, one step after the other.
    #[serde(default)]
    pub step: Vec<PolicyStepSettings>,
    /// How often all steps are gone through once more when no one has acknowledged the alert.
    #[serde(default)]
    #[schemars(range(min = 0, max = 20))]
    pub loops: u32,
    /// How long the last step is left for an acknowledgement. After that the steps begin once more (`loops`), or the policy is exhausted,
    /// which is an event (`escalation_exhausted`).
    #[serde(default = "wait")]
    pub wait: TimeSpan,
    /// Whose acknowledgement ends it: `any`, or one at each of the sinks that had the alert (`all`): a button there, or `watchpost alerts
    /// acknowledge --at SINK`. With `all`, who has acknowledged it gets nothing more of it, and the others do. Without `--at` the command
    /// counts for all, and so does a judgement in the backend.
    #[serde(default)]
    #[schemars(with = "forms::RequireWord")]
    pub require: Require,
    /// How long an acknowledgement counts: unless the alert is dismissed by then, the policy begins again. Without it, for ever.
    pub ack_timeout: Option<TimeSpan>,
}

/// `[[policy.step]]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyStepSettings {
    /// How long after the step before, and for the first step after the alert. Without it, `5m`, and the first step at once: it gets the
    /// alert itself. A step that none of its sinks could be sent is not waited for.
    pub after: Option<TimeSpan>,
    /// Names of the sinks that get the message. What makes noise sounds by its route, and so is none of these.
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub sinks: Vec<String>,
    /// How long after its message it is sent once more, `max` times in all. Without it, once.
    pub repeat: Option<TimeSpan>,
    /// How often the message of a step with `repeat` is sent. Without it, `3`.
    #[schemars(range(min = 2, max = 100))]
    pub max: Option<u32>,
}

/// As it is usual: so long a step is left for an acknowledgement.
fn wait() -> TimeSpan {
    TimeSpan::from_secs(300)
}

/// How often the message of a step is sent that says only how soon.
const USUAL_MAX: u32 = 3;

impl PolicySettings {
    /// The same in the words of the domain.
    pub(super) fn policy(&self) -> Policy {
        let steps = self.step.iter().enumerate();
        Policy {
            name: self.name.clone(),
            steps: steps.map(|(place, step)| step.step(place == 0)).collect(),
            loops: self.loops,
            wait: self.wait.into(),
            require: self.require,
            ack_timeout: self.ack_timeout.map(Into::into),
        }
    }
}

impl PolicyStepSettings {
    fn step(&self, is_first: bool) -> PolicyStep {
        let usual = if is_first { TimeSpan::from_secs(0) } else { wait() };
        PolicyStep {
            after: self.after.unwrap_or(usual).into(),
            sinks: self.sinks.clone(),
            repeat: self.repeat.map(|every| Repeat {
                every: every.into(),
                max: self.max.unwrap_or(USUAL_MAX),
            }),
        }
    }
}
