//! Reads files and environment into settings, or into the list of all that is wrong with them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde_json::Value as Json;
use toml::de::DeTable;

use crate::check::{Checker, Findings};
use crate::environment::{self, PREFIX, SEPARATOR};
use crate::error::{ConfigError, ConfigErrors};
use crate::loaded::Loaded;
use crate::mask::is_secret_key;
use crate::source::Sources;
use crate::tree::{Node, Value, table_from_toml};
use crate::{Settings, names};

/// Environment variables, by name.
pub type Variables = Vec<(String, String)>;

/// The folder beside the main file whose files are merged into it.
const FRAGMENTS: &str = "conf.d";

/// Where systemd puts credentials, in the environment of the service.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// More than any site needs; a larger file is another file, taken by mistake.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Syntax errors shown of one file. The first is usually the cause of the others.
const MAX_SYNTAX_ERRORS: usize = 3;

/// Loads the configuration from a main file, the files of `conf.d` beside it, and the environment of this
/// process.
///
/// # Errors
/// All that is wrong with it, as far as it can be seen without loading a plugin.
pub fn load(file: &Path) -> Result<Loaded, ConfigErrors> {
    let ours = |name: &str| name == CREDENTIALS || name.starts_with(&format!("{PREFIX}{SEPARATOR}"));
    let mut variables = Variables::new();
    let mut errors = Vec::new();
    for (name, value) in env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) if ours(&name) => variables.push((name, value)),
            (Ok(name), Err(_)) if ours(&name) => {
                let mut sources = Sources::default();
                let origin = sources.add_variable(name).at(0..0);
                errors.push(sources.finding(origin, "its value is not UTF-8 text").into());
            }
            _ => {}
        }
    }
    if errors.is_empty() {
        load_with(file, variables)
    } else {
        Err(ConfigErrors(errors))
    }
}

/// Loads the configuration with these environment variables instead of the process's own.
///
/// # Errors
/// All that is wrong with it, as far as it can be seen without loading a plugin.
pub fn load_with(file: &Path, variables: Variables) -> Result<Loaded, ConfigErrors> {
    let mut sources = Sources::default();
    let mut errors = Vec::new();
    let mut tree = None;
    for path in files(file).map_err(|e| ConfigErrors(vec![e]))? {
        match read(&path, path == file) {
            Ok(text) => {
                let node = parse(&path, &text, &mut sources, &mut errors);
                match &mut tree {
                    None => tree = Some(node),
                    Some(tree) => tree.merge(node),
                }
            }
            Err(e) => errors.push(e),
        }
    }
    let Some(mut tree) = tree.filter(|_| errors.is_empty()) else {
        return Err(ConfigErrors(errors));
    };
    let credentials = variables
        .iter()
        .find(|(name, _)| name == CREDENTIALS)
        .map(|(_, dir)| PathBuf::from(dir));
    let prefix = format!("{PREFIX}{SEPARATOR}");
    let overlays = variables
        .into_iter()
        .filter(|(name, _)| name.starts_with(&prefix));
    environment::apply(&mut tree, overlays, &mut sources, &mut errors);
    let mut checker = Checker {
        found: Findings {
            sources: &sources,
            errors,
        },
        credentials,
    };
    let json = checker.root(&tree);
    let mut errors = checker.found.errors;
    names::names(&json, &tree, &sources, &mut errors);
    let settings = if errors.is_empty() {
        settings(json, &tree, &sources, &mut errors)
    } else {
        None
    };
    errors.sort_by_key(ConfigError::order);
    match settings {
        Some(settings) => Ok(Loaded {
            settings,
            tree,
            sources,
        }),
        None => Err(ConfigErrors(errors)),
    }
}

/// The settings. What the checker let pass and serde still refuses is reported where it stands.
fn settings(json: Json, tree: &Node, sources: &Sources, errors: &mut Vec<ConfigError>) -> Option<Settings> {
    match serde_path_to_error::deserialize::<_, Settings>(json) {
        Ok(settings) => {
            for (pointer, problem, help) in names::values(&settings) {
                errors.push(
                    sources
                        .finding(tree.locate(&pointer), problem)
                        .label("here")
                        .help(help)
                        .into(),
                );
            }
            errors.is_empty().then_some(settings)
        }
        Err(e) => {
            let path = e.path().to_string();
            let pointer = format!("/{}", path.replace(['.', '['], "/").replace(']', ""));
            let secret = pointer.split('/').any(is_secret_key);
            let problem = if secret {
                "is not valid".to_owned()
            } else {
                e.inner().to_string()
            };
            let finding = sources.finding(tree.locate(&pointer), format!("`{path}`: {problem}"));
            errors.push(finding.label("here").into());
            None
        }
    }
}

/// The main file and the fragments beside it, in the order in which they are merged.
fn files(main: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let folder = main.parent().unwrap_or(Path::new("")).join(FRAGMENTS);
    let unreadable = |reason: io::Error| ConfigError::Unreadable {
        path: folder.clone(),
        reason,
        help: "make the folder readable for the user that watchpost runs as".to_owned(),
    };
    let mut files = vec![main.to_owned()];
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(files),
        Err(e) => return Err(unreadable(e)),
    };
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension() == Some(OsStr::new("toml")) && !hidden {
            files.push(path);
        }
    }
    files[1..].sort();
    Ok(files)
}

fn read(path: &Path, is_main: bool) -> Result<String, ConfigError> {
    let unreadable = |reason: io::Error| {
        let help = match reason.kind() {
            io::ErrorKind::NotFound if is_main => {
                "write one, or name another with `--config FILE`".to_owned()
            }
            io::ErrorKind::PermissionDenied => {
                "make it readable for the user that watchpost runs as".to_owned()
            }
            _ => "expected a text file in TOML".to_owned(),
        };
        ConfigError::Unreadable {
            path: path.to_owned(),
            reason,
            help,
        }
    };
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE_BYTES {
        let problem = format!("it has {size} bytes, expected at most {MAX_FILE_BYTES}");
        return Err(unreadable(io::Error::other(problem)));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        unreadable(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("line {line} is not UTF-8 text"),
        ))
    })
}

fn parse(path: &Path, text: &str, sources: &mut Sources, errors: &mut Vec<ConfigError>) -> Node {
    let source = sources.add_file(path, text);
    let (table, mut syntax_errors) = DeTable::parse_recoverable(text);
    syntax_errors.sort_by_key(|error| error.span().map(|span| span.start));
    for error in syntax_errors.iter().take(MAX_SYNTAX_ERRORS) {
        let origin = source.at(error.span().unwrap_or(0..0));
        let (what, expected) = error
            .message()
            .split_once(", expected ")
            .unwrap_or((error.message(), ""));
        let finding = sources.finding(origin, format!("this is not TOML: {what}"));
        errors.push(match expected {
            "" => finding.label("here").into(),
            _ => finding.label("here").help(format!("expected {expected}")).into(),
        });
    }
    Node {
        value: Value::Table(table_from_toml(table.get_ref(), source)),
        origin: source.at(0..0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What the schema says and what serde wants are one, so nothing gets here through the front door.
    #[test]
    fn what_serde_refuses_has_its_place_and_shows_no_secret() {
        let text = "[hub]\nshutdown_grace = 5\n[[connection]]\ntoken = 12345\n";
        let (mut sources, mut errors) = (Sources::default(), Vec::new());
        let tree = parse(Path::new("a.toml"), text, &mut sources, &mut errors);
        let connection = json!({ "name": "a", "url": "b", "user_id": "c", "token": { "inline": 12345 } });
        for json in [
            json!({ "hub": { "shutdown_grace": 5 } }),
            json!({ "connection": [connection] }),
        ] {
            assert!(settings(json, &tree, &sources, &mut errors).is_none());
        }
        let lines: Vec<String> = errors.iter().map(ConfigError::line).collect();
        assert_eq!(
            lines,
            [
                "a.toml:2:18: `hub.shutdown_grace`: invalid type: integer `5`, expected a string",
                "a.toml:4:9: `connection[0].token.inline`: is not valid",
            ]
        );
    }
}
