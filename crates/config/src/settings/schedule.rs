//! `[[schedule]]`: when rules hold.

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_core::Window;

use crate::forms;

/// `[[schedule]]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSettings {
    /// What routes call it: letters, digits, `-`, `_` and `.`, unique.
    #[schemars(with = "forms::Name")]
    pub name: String,
    /// When it is open: days and times such as `mon-fri 22:00-06:00`, or several. Days are `mon` to `sun`, `holiday`, `workdays`
    /// (Monday to Friday), `weekend` and `daily` (all, holidays too), with commas between them; without days, daily. The
    /// start belongs to it, the end does not. What ends before it starts ends on the next day, and belongs to the day on which
    /// it starts. Where clocks are set forward, a time that they pass over is the next instant; where they are set back, a time
    /// that they show twice is meant the first time.
    #[schemars(with = "Vec<forms::Window>", extend("x-one" = true))]
    pub open: Vec<Window>,
}
