//! Reads files and environment into settings, or into the list of all that is wrong with them.

use std::env;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::check::{At, Checker, Findings};
use crate::environment::{self, PREFIX, SEPARATOR};
use crate::error::{ConfigError, ConfigErrors};
use crate::loaded::Loaded;
use crate::mask::is_secret_key;
use crate::source::Sources;
use crate::tree::Node;
use crate::{ConfigFiles, HubSettings, Settings, files, names, rules};

/// Environment variables, by name.
pub type Variables = Vec<(String, String)>;

/// Where systemd puts credentials, in the environment of the service.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Loads the configuration from a main file, the files of `conf.d` beside it, and the environment of this
/// process.
///
/// # Errors
/// All that is wrong with it, as far as it can be seen without loading a plugin.
pub fn load(file: &Path) -> Result<Loaded, ConfigErrors> {
    let ours = |name: &str| name == CREDENTIALS || name.starts_with(&format!("{PREFIX}_"));
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

/// The data directory of a configuration that cannot be loaded, as far as it can be known: the one that it names nevertheless,
/// or else the default one.
pub fn likely_data_dir(file: &Path) -> PathBuf {
    env::var_os(format!("{PREFIX}{SEPARATOR}HUB{SEPARATOR}DATA_DIR"))
        .map(PathBuf::from)
        .or_else(|| files::data_dir(file))
        .unwrap_or_else(|| HubSettings::default().data_dir)
}

/// Loads the configuration with these environment variables instead of the process's own.
///
/// # Errors
/// All that is wrong with it, as far as it can be seen without loading a plugin.
pub fn load_with(file: &Path, variables: Variables) -> Result<Loaded, ConfigErrors> {
    let mut sources = Sources::default();
    let mut errors = Vec::new();
    let mut tree = None;
    // Before they are read: what changes meanwhile is newer than what was read.
    let read = ConfigFiles::now(file);
    for path in files::list(file).map_err(|e| ConfigErrors(vec![e]))? {
        let Some(node) = files::read(&path, path == file, &mut sources, &mut errors) else {
            continue;
        };
        match &mut tree {
            None => tree = Some(node),
            Some(tree) => tree.merge(node),
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
    let others = variables
        .iter()
        .map(|(name, _)| name.clone())
        .filter(|name| name.starts_with(PREFIX) && !name.starts_with(&prefix))
        .collect();
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
            variables: others,
            read,
        }),
        None => Err(ConfigErrors(errors)),
    }
}

/// The settings. What the checker let pass and serde still refuses is reported where it stands.
fn settings(json: Json, tree: &Node, sources: &Sources, errors: &mut Vec<ConfigError>) -> Option<Settings> {
    match serde_path_to_error::deserialize::<_, Settings>(json) {
        Ok(settings) => {
            for broken in rules::broken(&settings) {
                let at = At::pointer(tree, &broken.pointer);
                let of_table = broken.pointer.ends_with(|c: char| c.is_ascii_digit());
                let message = if of_table {
                    format!("{at} {}", broken.problem)
                } else {
                    format!("`{}` in {} {}", at.key(), at.parent(), broken.problem)
                };
                let finding = sources.finding(tree.locate(&broken.pointer), message);
                errors.push(finding.label("here").help(broken.help).into());
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

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn the_data_directory_is_found_in_spite_of_mistakes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("watchpost.toml");
        for (text, expected) in [
            ("[hub]\ndata_dir = '/data'\nlog = 5\n", "/data"),
            ("[hub\ndata_dir = '/data'\n", "/data"),
            ("[hub]\nlog = \"inf\ndata_dir = '/data'\n[[sink]\n", "/data"),
            (
                "[[sink]]\nname = 'a'\n[hub]\nlog = \n[web\n",
                "/var/lib/watchpost",
            ),
        ] {
            fs::write(&file, text).unwrap();
            assert!(load_with(&file, Vec::new()).is_err(), "{text}");
            assert_eq!(likely_data_dir(&file), Path::new(expected), "{text}");
        }
        fs::create_dir(dir.path().join("conf.d")).unwrap();
        fs::write(dir.path().join("conf.d/site.toml"), "hub.data_dir = '/site'").unwrap();
        assert_eq!(likely_data_dir(&file), Path::new("/site"), "as they are merged");
        fs::remove_file(&file).unwrap();
        assert_eq!(likely_data_dir(&file), Path::new("/site"));
    }

    /// What the schema says and what serde wants are one, so nothing gets here through the front door.
    #[test]
    fn what_serde_refuses_has_its_place_and_shows_no_secret() {
        let text = "[hub]\nshutdown_grace = 5\n[[connection]]\ntoken = 12345\n";
        let (mut sources, mut errors) = (Sources::default(), Vec::new());
        let tree = files::parse(Path::new("a.toml"), text, &mut sources, &mut errors);
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
