//! `[[route]]`: which alerts go where.

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_core::{AlertKind, Severity};

use crate::{TimeSpan, forms};

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
    /// How long after the alert came in it is delivered, so that what is handled by then need not be: a sink with
    /// `cancel_on_acknowledge = true` does not get what was acknowledged before. Of several routes to a sink the earliest
    /// time counts. Without it, at once.
    pub delay: Option<TimeSpan>,
    /// Whether the routes after it are not asked for an alert that it takes.
    #[serde(default)]
    pub stop: bool,
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

impl RouteMatch {
    /// Whether it takes all that cameras raise.
    pub(crate) fn takes_all(&self) -> bool {
        let Self {
            connection,
            kind,
            stream,
            severity,
        } = self;
        let every_kind = kind.is_empty() || AlertKind::OF_CAMERAS.iter().all(|raised| kind.contains(raised));
        every_kind
            && connection.is_empty()
            && stream.is_empty()
            && severity.is_none_or(|least| least == Severity::Low)
    }

    /// Whether it takes nothing but what cameras raise.
    pub(crate) fn takes_cameras_only(&self) -> bool {
        self.kind.iter().all(|kind| AlertKind::OF_CAMERAS.contains(kind))
    }
}
