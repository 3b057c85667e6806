//! Names are unique, and what names something names what exists. What one value alone must be, `check` has seen to.

use serde_json::Value as Json;

use crate::error::ConfigError;
use crate::nearest::nearest;
use crate::source::Sources;
use crate::tree::Node;

/// Checks names and references, also in a configuration with other errors.
pub(crate) fn names(json: &Json, tree: &Node, sources: &Sources, errors: &mut Vec<ConfigError>) {
    let connections = unique("connection", json, tree, sources, errors);
    let sinks = unique("sink", json, tree, sources, errors);
    unique("route", json, tree, sources, errors);
    unique("camera", json, tree, sources, errors);
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
    for (i, route) in elements(&json["route"]).iter().enumerate() {
        let lists = [
            ("sinks".to_owned(), &route["sinks"], "sink", &sinks),
            (
                "match/connection".to_owned(),
                &route["match"]["connection"],
                "connection",
                &connections,
            ),
        ];
        for (key, names, kind, known) in lists {
            let pointer = format!("/route/{i}/{key}");
            if kind == "sink" && names.as_array().is_some_and(Vec::is_empty) {
                let finding = sources.finding(tree.locate(&pointer), "this route feeds no sink");
                errors.push(
                    finding
                        .label("empty")
                        .help("name a sink, or remove the route")
                        .into(),
                );
            }
            references(&pointer, names, (kind, known), tree, sources, errors);
        }
    }
}

/// Reports names that are not those of connections or sinks, and those that stand twice in a list.
fn references(
    pointer: &str,
    names: &Json,
    (kind, known): (&str, &[&str]),
    tree: &Node,
    sources: &Sources,
    errors: &mut Vec<ConfigError>,
) {
    for (j, name) in elements(names).iter().enumerate() {
        let Some(name) = name.as_str() else { continue };
        if elements(names)[..j].iter().any(|earlier| earlier == name) {
            let finding = sources.finding(
                tree.locate(&format!("{pointer}/{j}")),
                format!("`{name}` is named twice here"),
            );
            errors.push(finding.label("again").help("remove one of the two").into());
            continue;
        }
        if known.contains(&name) {
            continue;
        }
        // One name may stand there without its array.
        let one = format!("{pointer}/{j}");
        let origin = tree
            .find(&one)
            .map_or_else(|| tree.locate(pointer), |node| node.origin);
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if known.is_empty() => format!("add a `[[{kind}]]` of this name"),
            None => format!("these are there: {}", known.join(", ")),
        };
        let finding = sources.finding(origin, format!("there is no {kind} `{name}`"));
        errors.push(
            finding
                .label(format!("no `[[{kind}]]` has this name"))
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
            let finding = sources.finding(origin, format!("there are two {kind}s of the name `{name}`"));
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

fn elements(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}
