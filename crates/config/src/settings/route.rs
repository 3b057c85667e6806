//! `[[route]]`: which alerts go where.

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_core::{AlertKind, Severity};

use crate::forms;

/// `[[route]]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// What it is called in explanations. Without it, its number.
    #[schemars(with = "Option<forms::Name>")]
    pub name: Option<String>,
    /// Which alerts it takes: those that meet every condition given here. Without any, all.
    #[serde(default, rename = "match")]
    pub matches: RouteMatch,
    /// Names of the sinks that it feeds.
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub sinks: Vec<String>,
}

/// `[route.match]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteMatch {
    /// The name of the connection that it came over, or several.
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub connection: Vec<String>,
    /// The kind of the alert, or several: `anomaly` from a camera, `owl_eye` from the night watch, `notice` for a
    /// message made over REST, `hub` for internal events of the hub. Without it, `anomaly` and `owl_eye`.
    #[schemars(with = "Vec<forms::KindWord>", extend("x-one" = true))]
    pub kind: Vec<AlertKind>,
    /// The id of the camera stream as the backend knows it, or several.
    #[schemars(with = "Vec<forms::Text>", extend("x-one" = true))]
    pub stream: Vec<String>,
    /// The least severity.
    #[schemars(with = "Option<forms::SeverityWord>")]
    pub severity: Option<Severity>,
}
