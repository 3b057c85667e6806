//! `[[expect]]`: what raises an alert now and then.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_core::{About, Expectation, Schedule};

use super::RouteMatch;
use crate::{TimeSpan, forms};

/// `[[expect]]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectSettings {
    /// What messages call it, such as `Back door`. Unique.
    #[schemars(with = "forms::Text")]
    pub name: String,
    /// For how long it may raise nothing: a minute at least. When the hub has not run meanwhile it waits for another hour, for what
    /// is being fetched then.
    pub every: TimeSpan,
    /// Alerts that show that it works, such as `{ camera = "Back door" }`: one that meets every condition. The keys are those of
    /// `[route.match]`. Without any, all that cameras raise.
    #[serde(default, rename = "match")]
    pub matches: RouteMatch,
}

impl ExpectSettings {
    /// The same in the words of the domain. `schedules` are all that there are, `about` is what its events are about.
    pub fn expectation(&self, schedules: &[Arc<Schedule>], about: About) -> Expectation {
        Expectation {
            name: self.name.clone(),
            matches: self.matches.conditions(schedules),
            every: self.every.into(),
            about,
        }
    }
}
