//! Links in Markdown lead to files and headings that exist. Addresses in the net are not looked at: a test must not
//! depend on them.

use std::path::Path;

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use crate::files::{read, with_extension};
use crate::{Finding, expect_none};

#[test]
fn links_lead_somewhere() {
    let files = with_extension("md");
    assert!(!files.is_empty(), "no Markdown found");
    let findings: Vec<Finding> = files
        .iter()
        .flat_map(|file| dead_links(file, &read(file)))
        .collect();
    expect_none(&findings);
}

#[test]
fn the_documents_of_the_root_are_there() {
    let wanted = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md"];
    let missing = wanted.map(|name| watchpost_testkit::workspace_root().join(name));
    let missing: Vec<_> = missing.iter().filter(|path| !path.is_file()).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
}

fn dead_links(file: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (event, range) in Parser::new(text).into_offset_iter() {
        let (Event::Start(Tag::Link { dest_url: to, .. }) | Event::Start(Tag::Image { dest_url: to, .. })) =
            event
        else {
            continue;
        };
        if let Some(problem) = problem(file, text, &to) {
            let line = text[..range.start].matches('\n').count() + 1;
            findings.push(Finding::new(file, line, problem));
        }
    }
    findings
}

fn problem(file: &Path, text: &str, to: &str) -> Option<String> {
    if to.contains("://") || to.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = to.split_once('#').unwrap_or((to, ""));
    let target = file.parent().unwrap_or(Path::new("")).join(path);
    if !path.is_empty() && !target.exists() {
        return Some(format!("the link leads to {path}, which does not exist"));
    }
    let known = if path.is_empty() {
        anchors(text)
    } else {
        anchors(&read_if_file(&target))
    };
    if heading.is_empty() || known.iter().any(|anchor| anchor == heading) {
        return None;
    }
    Some(format!(
        "the link leads to the heading #{heading}; there are {}",
        known.join(", ")
    ))
}

fn read_if_file(path: &Path) -> String {
    if path.is_file() { read(path) } else { String::new() }
}

/// The names GitHub gives to a text's headings; a repeated one is reached by its first only.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut heading: Option<String> = None;
    for event in Parser::new(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => anchors.extend(heading.take().map(|text| slug(&text))),
            Event::Text(part) | Event::Code(part) => {
                if let Some(text) = &mut heading {
                    text.push_str(&part);
                }
            }
            _ => {}
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn dead_links_are_found_with_their_line() {
    let file = watchpost_testkit::workspace_root().join("CONTRIBUTING.md");
    let text = "# Two `words`, here\n\n[good](Cargo.toml) [net](https://example.com/x)\n\n\
                [anchor](#two-words-here)\n\n[gone](no/such.md)\n[lost](#three)\n";
    let found: Vec<String> = dead_links(&file, text).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "CONTRIBUTING.md:7: the link leads to no/such.md, which does not exist",
            "CONTRIBUTING.md:8: the link leads to the heading #three; there are two-words-here",
        ]
    );
}
