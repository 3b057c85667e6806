//! `[[inhibit]]`: what is not sent while a condition holds from which it follows.

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_core::{
    About, AboutMatch, ConditionKind, FollowUp, Inhibition, Inhibitions, Label, SourceMatch, TargetMatch,
    is_pattern, name_matches,
};

use super::{ExpectSettings, Settings};
use crate::forms;

/// `[[inhibit]]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InhibitSettings {
    /// What it is called in explanations. Without it, its number.
    #[schemars(with = "Option<forms::Name>")]
    pub name: Option<String>,
    /// The condition: `{ status = "link_lost" }`, a connection that is away, or `{ status = "quiet", expect = "Whole shop" }`, an
    /// `[[expect]]` that nothing comes from.
    pub source_match: InhibitSource,
    /// The events that are not sent while it holds: `{ status = "quiet" }` or `{ status = "login_refused" }`. They are stored, and go to
    /// sinks that keep the record. What cameras see, a panic and a tamper are never inhibited.
    pub target_match: InhibitTarget,
    /// What both must have in common: `connection`, `camera` or `area`, or several. An event that lacks one is sent. An `[[expect]]`
    /// has those that its `match` names once, without `*` or `?`: its connection also where its `[[camera]]` says it, or where there
    /// is one connection only; its area also where its camera has one.
    #[schemars(with = "Vec<forms::LabelWord>", extend("x-one" = true))]
    pub equal: Vec<Label>,
}

/// `[inhibit.source_match]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InhibitSource {
    /// The word for the condition, or several: `link_lost` or `quiet`.
    #[schemars(with = "Vec<forms::ConditionWord>", extend("x-one" = true))]
    pub status: Vec<ConditionKind>,
    /// The name of the connection that it is about, or several. In this and other names `*` stands for any characters and `?` for one.
    #[serde(default)]
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub connection: Vec<String>,
    /// The name of the camera that it is about, or several.
    #[serde(default)]
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub camera: Vec<String>,
    /// The area that it is about, or several.
    #[serde(default)]
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub area: Vec<String>,
    /// The name of the `[[expect]]` that it is about, or several.
    #[serde(default)]
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub expect: Vec<String>,
}

/// `[inhibit.target_match]`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InhibitTarget {
    /// The word for the event, or several: `quiet` or `login_refused`.
    #[schemars(with = "Vec<forms::FollowUpWord>", extend("x-one" = true))]
    pub status: Vec<FollowUp>,
    /// The name of the connection that it is about, or several. In this and other names `*` stands for any characters and `?` for one.
    #[serde(default)]
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub connection: Vec<String>,
    /// The name of the camera that it is about, or several.
    #[serde(default)]
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub camera: Vec<String>,
    /// The area that it is about, or several.
    #[serde(default)]
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub area: Vec<String>,
    /// The name of the `[[expect]]` that it is about, or several.
    #[serde(default)]
    #[schemars(with = "Vec<forms::Reference>", extend("x-one" = true))]
    pub expect: Vec<String>,
}

impl InhibitSettings {
    /// The same in the words of the domain.
    fn inhibition(&self, number: usize) -> Inhibition {
        let InhibitSource {
            status,
            connection,
            camera,
            area,
            expect,
        } = self.source_match.clone();
        let source = SourceMatch {
            conditions: status,
            about: AboutMatch {
                connection,
                camera,
                area,
                expect,
            },
        };
        let InhibitTarget {
            status,
            connection,
            camera,
            area,
            expect,
        } = self.target_match.clone();
        let target = TargetMatch {
            events: status,
            about: AboutMatch {
                connection,
                camera,
                area,
                expect,
            },
        };
        let name = self.name.clone();
        Inhibition {
            name: name.unwrap_or_else(|| format!("number {number}")),
            source,
            target,
            equal: self.equal.clone(),
        }
    }
}

/// What is not sent while a condition holds, in the words of the domain.
pub(super) fn inhibitions(settings: &Settings) -> Inhibitions {
    let rules = settings.inhibit.iter().enumerate();
    let connections = settings.connection.iter();
    Inhibitions {
        rules: rules.map(|(i, inhibit)| inhibit.inhibition(i + 1)).collect(),
        connections: connections.map(|connection| connection.name.clone()).collect(),
        link_grace: settings.hub.link_grace.into(),
    }
}

/// What an `[[expect]]` is about, where that is one connection, camera or area.
pub(super) fn about(settings: &Settings, expect: &ExpectSettings) -> About {
    let matches = &expect.matches;
    let camera = only(&matches.camera);
    let known = settings
        .camera
        .iter()
        .find(|known| Some(&known.name) == camera.as_ref());
    let seen_over = known.map_or(&[][..], |camera| &camera.matches.connection);
    let connections = match matches.connection.as_slice() {
        [] => seen_over,
        named => named,
    };
    About {
        connection: only_connection(settings, connections),
        area: only(&matches.area).or_else(|| settings.area_of(known?)),
        camera,
        ..About::default()
    }
}

/// The connection of which these are the names, with `*` and `?`, if it is one only. Without any it may be each.
fn only_connection(settings: &Settings, names: &[String]) -> Option<String> {
    let is_named =
        |connection: &str| names.is_empty() || names.iter().any(|name| name_matches(name, connection));
    let connections = settings.connection.iter().map(|connection| &connection.name);
    let mut named = connections.filter(|connection| is_named(connection));
    let first = named.next()?;
    named.next().is_none().then(|| first.clone())
}

/// The name in a list, if there is one only, and no pattern.
fn only(names: &[String]) -> Option<String> {
    match names {
        [name] if !is_pattern(name) => Some(name.clone()),
        _ => None,
    }
}
