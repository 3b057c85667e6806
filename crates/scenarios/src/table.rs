//! The files of scenarios, and their lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::Act;

/// Where the text of an act begins.
pub const TEXT_AT: usize = 14;

/// How much deeper what follows from it stands.
const DEEPER: &str = "  ";

/// A file of scenarios.
pub struct Table(String);

/// One of them.
pub struct Scenario<'a> {
    /// What it shows.
    pub title: &'a str,
    /// The title of its site.
    pub site: &'a str,
    /// The configurations of all sites of the file, by their titles.
    pub sites: BTreeMap<&'a str, &'a str>,
    lines: Vec<&'a str>,
}

/// A line of one.
pub enum Line<'a> {
    /// What is done, and how that is written.
    Act(Act, &'a str),
    /// What follows.
    Follows(&'a str),
}

impl Table {
    /// The file of this name.
    pub fn read(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tables")
            .join(name);
        Self(fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    /// The same of a text.
    pub fn of(text: String) -> Self {
        Self(text)
    }

    /// The names of all files.
    pub fn names() -> Vec<String> {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tables");
        let files = fs::read_dir(dir).expect("the tables");
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// What it has, in its order.
    pub fn scenarios(&self) -> Vec<Scenario<'_>> {
        let mut scenarios = Vec::new();
        self.each(|scenario| {
            scenarios.push(scenario);
            String::new()
        });
        scenarios
    }

    /// Its text, with each scenario as `play` gives it back.
    pub fn rewritten<'a>(&'a self, mut play: impl FnMut(Scenario<'a>) -> String) -> String {
        self.each(&mut play)
    }

    /// The text as it stands.
    pub fn text(&self) -> &str {
        &self.0
    }

    fn each<'a>(&'a self, mut play: impl FnMut(Scenario<'a>) -> String) -> String {
        let sites: BTreeMap<&str, &str> = self.0.split("\n## ").skip(1).map(site).collect();
        let (mut out, mut lines) = (String::new(), self.0.lines());
        let (mut site, mut title) = ("", "");
        while let Some(line) = lines.next() {
            let _ = writeln!(out, "{line}");
            if let Some(of_site) = line.strip_prefix("## ") {
                (site, title) = (of_site, of_site);
            }
            title = line.strip_prefix("### ").unwrap_or(title);
            if line == "```text" {
                let lines = lines.by_ref().take_while(|line| *line != "```").collect();
                let sites = sites.clone();
                let scenario = Scenario {
                    title,
                    site,
                    sites,
                    lines,
                };
                let _ = writeln!(out, "{}```", play(scenario));
            }
        }
        out
    }
}

/// The title of a section, and the configuration in it.
fn site(section: &str) -> (&str, &str) {
    let (title, rest) = section.split_once('\n').unwrap();
    let toml = rest
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    (
        title,
        toml.unwrap_or_else(|| panic!("{title} has no configuration")),
    )
}

impl<'a> Scenario<'a> {
    /// Its lines, each with its time unless that is the one before.
    pub fn lines(&self) -> impl Iterator<Item = (Option<&'a str>, Line<'a>)> {
        self.lines.iter().map(|line| {
            let (time, text) = line.split_at_checked(TEXT_AT).unwrap_or((line, ""));
            let (time, follows) = (time.trim(), text.strip_prefix(DEEPER));
            let line = match follows {
                Some(follows) => Line::Follows(follows.trim()),
                None => {
                    let act = Act::parse(text.trim_end());
                    Line::Act(act.unwrap_or_else(|why| panic!("{line}\n{why}")), text.trim_end())
                }
            };
            (Some(time).filter(|time| !time.is_empty()), line)
        })
    }
}

/// A line as it stands in a table.
pub fn write(time: &str, follows: bool, text: &str) -> String {
    let deeper = if follows { DEEPER } else { "" };
    format!("{time:<TEXT_AT$}{deeper}{text}\n")
}
