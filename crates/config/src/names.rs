//! Names are unique, and what names something names what exists. What one value alone must be, `check` has seen to.

use serde_json::Value as Json;
use watchpost_core::name_matches;

use crate::error::ConfigError;
use crate::nearest::nearest;
use crate::source::Sources;
use crate::tree::Node;

/// Checks names and references, also in a configuration with other errors.
pub(crate) fn names(json: &Json, tree: &Node, sources: &Sources, errors: &mut Vec<ConfigError>) {
    let connections = unique("connection", json, tree, sources, errors);
    let sinks = unique("sink", json, tree, sources, errors);
    unique("route", json, tree, sources, errors);
    let expected = unique("expect", json, tree, sources, errors);
    let schedules = unique("schedule", json, tree, sources, errors);
    let cameras = unique("camera", json, tree, sources, errors);
    unique("person", json, tree, sources, errors);
    let armed = unique("area", json, tree, sources, errors);
    let policies = policies(json, &sinks, tree, sources, errors);
    for (i, camera) in elements(&json["camera"]).iter().enumerate() {
        let connection = &camera["match"]["connection"];
        let pointer = format!("/camera/{i}/match/connection");
        references(
            &pointer,
            connection,
            ("connection", &connections),
            tree,
            sources,
            errors,
        );
    }
    let known = Known {
        connections,
        cameras,
        areas: areas(json, armed),
        schedules,
        open: elements(&json["connection"])
            .iter()
            .any(|connection| connection["kind"] == "inbound"),
    };
    for (i, area) in elements(&json["area"]).iter().enumerate() {
        for (n, arm) in elements(&area["arm"]).iter().enumerate() {
            let pointer = format!("/area/{i}/arm/{n}/schedule");
            let known = ("schedule", known.schedules.as_slice());
            references(&pointer, &arm["schedule"], known, tree, sources, errors);
        }
        for key in ["camera", "delayed"].into_iter().filter(|_| !known.open) {
            let pointer = format!("/area/{i}/{key}");
            let known = ("camera", known.cameras.as_slice());
            references(&pointer, &area[key], known, tree, sources, errors);
        }
    }
    for (i, route) in elements(&json["route"]).iter().enumerate() {
        let (pointer, names) = (format!("/route/{i}/sinks"), &route["sinks"]);
        feeds(route, &pointer, tree, sources, errors);
        references(&pointer, names, ("sink", &sinks), tree, sources, errors);
        let pointer = format!("/route/{i}/policy");
        let known_policies = ("policy", policies.as_slice());
        references(&pointer, &route["policy"], known_policies, tree, sources, errors);
        if !known.open {
            let (pointer, names) = (
                format!("/route/{i}/confirm/overlapping"),
                &route["confirm"]["overlapping"],
            );
            references(&pointer, names, ("camera", &known.cameras), tree, sources, errors);
        }
        let pointer = format!("/route/{i}/match");
        known.conditions(&pointer, &route["match"], tree, sources, errors);
    }
    for (i, expect) in elements(&json["expect"]).iter().enumerate() {
        let pointer = format!("/expect/{i}/match");
        known.conditions(&pointer, &expect["match"], tree, sources, errors);
    }
    known.inhibitions(json, &expected, tree, sources, errors);
}

/// The names of policies. The sinks of their steps exist.
fn policies<'a>(
    json: &'a Json,
    sinks: &[&str],
    tree: &Node,
    sources: &Sources,
    errors: &mut Vec<ConfigError>,
) -> Vec<&'a str> {
    for (i, policy) in elements(&json["policy"]).iter().enumerate() {
        for (n, step) in elements(&policy["step"]).iter().enumerate() {
            let pointer = format!("/policy/{i}/step/{n}/sinks");
            references(&pointer, &step["sinks"], ("sink", sinks), tree, sources, errors);
        }
    }
    unique("policy", json, tree, sources, errors)
}

/// A route has a sink or a policy.
fn feeds(route: &Json, pointer: &str, tree: &Node, sources: &Sources, errors: &mut Vec<ConfigError>) {
    let feeds_none = match route.get("sinks") {
        Some(sinks) => sinks.as_array().is_some_and(Vec::is_empty),
        None => true,
    };
    if feeds_none && route["policy"].is_null() {
        let finding = sources.finding(tree.locate(pointer), "this route feeds no sink");
        let help = "name a sink or a `policy`, or remove the route";
        errors.push(finding.label("empty").help(help).into());
    }
}

/// What conditions may name.
struct Known<'a> {
    connections: Vec<&'a str>,
    cameras: Vec<&'a str>,
    areas: Vec<&'a str>,
    schedules: Vec<&'a str>,
    /// Whether other programs may post alerts of cameras and areas that no `[[camera]]` names.
    open: bool,
}

impl Known<'_> {
    /// Checks the names in what inhibits and what is inhibited.
    fn inhibitions(
        &self,
        json: &Json,
        expected: &[&str],
        tree: &Node,
        sources: &Sources,
        errors: &mut Vec<ConfigError>,
    ) {
        unique("inhibit", json, tree, sources, errors);
        for (i, inhibit) in elements(&json["inhibit"]).iter().enumerate() {
            for side in ["source_match", "target_match"] {
                let pointer = format!("/inhibit/{i}/{side}");
                self.conditions(&pointer, &inhibit[side], tree, sources, errors);
                let (pointer, names) = (format!("{pointer}/expect"), &inhibit[side]["expect"]);
                references(&pointer, names, ("expect", expected), tree, sources, errors);
            }
        }
    }

    /// Checks the names in the conditions of a rule, and in what is nested in them.
    fn conditions(
        &self,
        pointer: &str,
        conditions: &Json,
        tree: &Node,
        sources: &Sources,
        errors: &mut Vec<ConfigError>,
    ) {
        for (key, known, open) in [
            ("connection", &self.connections, false),
            ("schedule", &self.schedules, false),
            ("camera", &self.cameras, self.open),
            ("area", &self.areas, self.open),
        ] {
            if !open {
                let pointer = format!("{pointer}/{key}");
                references(&pointer, &conditions[key], (key, known), tree, sources, errors);
            }
        }
        for key in ["any", "not"] {
            for (i, nested) in elements(&conditions[key]).iter().enumerate() {
                self.conditions(&format!("{pointer}/{key}/{i}"), nested, tree, sources, errors);
            }
        }
    }
}

/// The areas that cameras watch, and those that are armed.
fn areas<'a>(json: &'a Json, armed: Vec<&'a str>) -> Vec<&'a str> {
    let areas = elements(&json["camera"]).iter();
    let areas = areas.filter_map(|camera| camera["area"].as_str());
    let mut areas: Vec<&str> = areas.chain(armed).collect();
    areas.sort_unstable();
    areas.dedup();
    areas
}

/// Reports names that nothing has, patterns that no name matches, and what stands twice in a list.
fn references(
    pointer: &str,
    names: &Json,
    (kind, known): (&str, &[&str]),
    tree: &Node,
    sources: &Sources,
    errors: &mut Vec<ConfigError>,
) {
    // A key for one name holds no list.
    let names = match names {
        Json::String(_) => std::slice::from_ref(names),
        list => elements(list),
    };
    for (j, name) in names.iter().enumerate() {
        let Some(name) = name.as_str() else { continue };
        if names[..j].iter().any(|earlier| earlier == name) {
            let finding = sources.finding(
                tree.locate(&format!("{pointer}/{j}")),
                format!("`{name}` is named twice here"),
            );
            errors.push(finding.label("again").help("remove one of the two").into());
            continue;
        }
        if known.iter().any(|known| name_matches(name, known)) {
            continue;
        }
        let origin = tree.locate(&format!("{pointer}/{j}"));
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if known.is_empty() && kind == "area" => "give a [[camera]] this `area`".to_owned(),
            None if known.is_empty() => format!("add a `[[{kind}]]` of this name"),
            None => format!("these are there: {}", known.join(", ")),
        };
        let finding = sources.finding(origin, format!("there is no {kind} `{name}`"));
        errors.push(
            finding
                .label(match kind {
                    "area" => "no `[[camera]]` watches it".to_owned(),
                    kind => format!("no `[[{kind}]]` has this name"),
                })
                .help(help)
                .into(),
        );
    }
}

/// The names of all elements, and an error for each that was there before.
fn unique<'a>(
    kind: &str,
    json: &'a Json,
    tree: &Node,
    sources: &Sources,
    errors: &mut Vec<ConfigError>,
) -> Vec<&'a str> {
    let mut names: Vec<(&str, usize)> = Vec::new();
    for (i, element) in elements(&json[kind]).iter().enumerate() {
        let Some(name) = element["name"].as_str() else {
            continue;
        };
        if let Some((_, first)) = names.iter().find(|(earlier, _)| *earlier == name) {
            let first = tree.locate(&format!("/{kind}/{first}/name"));
            let origin = tree.locate(&format!("/{kind}/{i}/name"));
            let finding = sources.finding(
                origin,
                format!("there are two {} of the name `{name}`", plural(kind)),
            );
            let help = format!(
                "give each its own name; the first is at {}",
                sources.location(first)
            );
            errors.push(
                finding
                    .label("again here")
                    .also(first, "first here")
                    .help(help)
                    .into(),
            );
        }
        names.push((name, i));
    }
    names.into_iter().map(|(name, _)| name).collect()
}

/// The word for several of a kind.
fn plural(kind: &str) -> String {
    match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{kind}s"),
    }
}

fn elements(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}
