//! The files of a configuration: which they are, and what stands in each. It knows no keys.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use toml::de::DeTable;

use crate::error::ConfigError;
use crate::mask::mask;
use crate::source::Sources;
use crate::tree::{Node, Value, table_from_toml};
use crate::{bounded, syntax, text};

/// The folder beside the main file whose files are merged into it.
const FRAGMENTS: &str = "conf.d";

/// More than any site needs; a larger file is another file, taken by mistake.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Ends of names in `conf.d` that are likely to be meant as `.toml`.
const NEARLY_TOML: [&str; 8] = ["conf", "cfg", "ini", "yaml", "yml", "json", "tml", "txt"];

/// The main file and the fragments beside it, in the order in which they are merged.
pub(crate) fn list(main: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let mut files = vec![main.to_owned()];
    files.extend(
        beside(main)?
            .into_iter()
            .filter(|path| path.extension() == Some(OsStr::new("toml"))),
    );
    files[1..].sort();
    Ok(files)
}

/// Files in `conf.d` that are not read, though they are likely to be meant.
pub(crate) fn passed_over(main: &Path) -> Vec<PathBuf> {
    let mut passed: Vec<PathBuf> = beside(main)
        .unwrap_or_default()
        .into_iter()
        .filter(|path| {
            let end = path.extension().and_then(OsStr::to_str).unwrap_or_default();
            end != "toml" && (end.eq_ignore_ascii_case("toml") || NEARLY_TOML.contains(&end))
        })
        .collect();
    passed.sort();
    passed
}

/// What is in `conf.d`, without hidden files.
fn beside(main: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let folder = main.parent().unwrap_or(Path::new("")).join(FRAGMENTS);
    let unreadable = |reason: io::Error| ConfigError::Unreadable {
        path: folder.clone(),
        help: match reason.kind() {
            io::ErrorKind::NotADirectory => {
                "it has to be a folder: the files `*.toml` in it are merged into the configuration".to_owned()
            }
            _ => "make the folder readable for the user that watchpost runs as".to_owned(),
        },
        reason,
    };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        // Without the main file's folder, the main file is what is missing.
        Err(e) if e.kind() == io::ErrorKind::NotADirectory && !folder.exists() => return Ok(Vec::new()),
        Err(e) => return Err(unreadable(e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// Reads a file; what is wrong with it as TOML is added to `errors`.
pub(crate) fn read(
    path: &Path,
    is_main: bool,
    sources: &mut Sources,
    errors: &mut Vec<ConfigError>,
) -> Option<Node> {
    let bytes = match bytes(path, is_main) {
        Ok(bytes) => bytes,
        Err(e) => {
            errors.push(e);
            return None;
        }
    };
    match text::decode(bytes) {
        Ok(text) => Some(parse(path, &text, sources, errors)),
        Err(wrong) => {
            let source = sources.add_file(path, &wrong.text);
            let finding = sources.finding(source.at(wrong.span), wrong.message);
            errors.push(finding.label("here").help(wrong.help).into());
            None
        }
    }
}

fn bytes(path: &Path, is_main: bool) -> Result<Vec<u8>, ConfigError> {
    let unreadable = |reason: io::Error| {
        let help = match reason.kind() {
            io::ErrorKind::NotFound if is_main => {
                "write one, or name another with `--config FILE`".to_owned()
            }
            io::ErrorKind::PermissionDenied => {
                "make it readable for the user that watchpost runs as".to_owned()
            }
            io::ErrorKind::IsADirectory => format!(
                "name a file in it, such as {}",
                path.join("watchpost.toml").display()
            ),
            _ => "expected a text file in TOML".to_owned(),
        };
        ConfigError::Unreadable {
            path: path.to_owned(),
            reason,
            help,
        }
    };
    bounded::read(path, MAX_FILE_BYTES).map_err(unreadable)
}

/// The data directory that the files name, line by line: of what is wrong in the others nothing is said. `None` where none
/// names one.
pub(crate) fn data_dir(main: &Path) -> Option<PathBuf> {
    let files = list(main).unwrap_or_else(|_| vec![main.to_owned()]);
    let named = |path: &PathBuf| {
        let text = text::decode(bytes(path, path == main).ok()?).ok()?;
        text.lines().filter_map(data_dir_in).next_back()
    };
    files.iter().filter_map(named).next_back()
}

/// No other key has this name, so the table that it stands in does not matter.
fn data_dir_in(line: &str) -> Option<PathBuf> {
    let table: toml::Table = line.parse().ok()?;
    let hub = table.get("hub").and_then(|hub| hub.get("data_dir"));
    let dir = table.get("data_dir").or(hub)?.as_str()?;
    Some(PathBuf::from(dir))
}

/// What a text says, as far as it is TOML.
pub(crate) fn parse(path: &Path, text: &str, sources: &mut Sources, errors: &mut Vec<ConfigError>) -> Node {
    let source = sources.add_file(path, text);
    let (table, syntax_errors) = DeTable::parse_recoverable(text);
    for explanation in syntax::explain(text, &mask(text), &syntax_errors) {
        let mut finding = sources
            .finding(source.at(explanation.span), explanation.message)
            .label(explanation.label);
        if let Some((span, words)) = explanation.also {
            finding = finding.also(source.at(span), &words);
        }
        errors.push(match explanation.help {
            Some(help) => finding.help(help).into(),
            None => finding.into(),
        });
    }
    Node {
        value: Value::Table(table_from_toml(table.get_ref(), source)),
        origin: source.at(0..0),
    }
}
