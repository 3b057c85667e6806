//! `[[expect]]`: what raises an alert now and then.

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_core::Expectation;

use super::{RouteMatch, Settings};
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

impl Settings {
    /// What raises an alert now and then, in the words of the domain.
    pub fn expectations(&self) -> Vec<Expectation> {
        let schedules = self.schedules();
        let expected = self.expect.iter().map(|expect| Expectation {
            name: expect.name.clone(),
            matches: expect.matches.conditions(&schedules),
            every: expect.every.into(),
        });
        expected.collect()
    }
}
