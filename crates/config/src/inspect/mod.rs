//! What is wrong with a configuration that is right in itself: files that are not there, variables that are not set,
//! sinks that get nothing. It looks at this machine as it is now, so the hub starts all the same; `watchpost check` fails.
//!
//! Of a plugin's configuration it knows one convention only: a key that ends in `_file` names a file to read.

mod folders;
mod pem;
mod reader;
mod secrets;
mod users;

use std::path::Path;

use watchpost_core::AlertKind;

use crate::environment;
use crate::error::{ConfigError, Finding};
use crate::files;
use crate::loaded::Loaded;
use crate::nearest::nearest;
use crate::secret::SecretSource;
use crate::tree::{Node, Value};

impl Loaded {
    /// Errors and warnings about what the configuration names and expects of this machine, for the user that this
    /// process runs as.
    pub fn inspect(&self) -> Vec<ConfigError> {
        let mut inspection = Inspection {
            loaded: self,
            found: Vec::new(),
        };
        inspection.names_of_variables();
        inspection.names_of_files();
        inspection.listen();
        inspection.routes();
        inspection.secrets();
        inspection.certificates();
        inspection.folders();
        inspection.files_of_plugins();
        users::users(&mut inspection);
        inspection.found
    }
}

/// What has been found.
struct Inspection<'a> {
    loaded: &'a Loaded,
    found: Vec<ConfigError>,
}

impl Inspection<'_> {
    fn finding(&self, pointer: &str, message: String, help: String) -> Finding {
        let origin = self.loaded.tree.locate(pointer);
        self.loaded
            .sources
            .finding(origin, message)
            .label("here")
            .help(help)
    }

    /// Something that keeps a part of the hub from its work.
    fn error(&mut self, pointer: &str, problem: impl AsRef<str>, help: impl Into<String>) {
        let message = format!("{} {}", self.loaded.describe(pointer), problem.as_ref());
        let finding = self.finding(pointer, message, help.into());
        self.found.push(finding.into());
    }

    /// Something that is better corrected.
    fn warning(&mut self, pointer: &str, problem: impl AsRef<str>, help: impl Into<String>) {
        let message = format!("{} {}", self.loaded.describe(pointer), problem.as_ref());
        let finding = self.finding(pointer, message, help.into());
        self.found.push(finding.warning().into());
    }

    /// Whether it was written: a default that is not there is no mistake.
    fn is_given(&self, pointer: &str) -> bool {
        self.loaded.tree.find(pointer).is_some()
    }

    /// Variables that set nothing, because their name has single underscores.
    fn names_of_variables(&mut self) {
        for name in &self.loaded.variables {
            let named = self
                .loaded
                .secrets()
                .any(|(_, secret)| matches!(secret, SecretSource::Env(env) if env == name));
            if let Some(meant) = environment::meant_by(name).filter(|_| !named) {
                self.found.push(ConfigError::Variable {
                    name: name.clone(),
                    meant,
                });
            }
        }
    }

    /// Files in `conf.d` that are not read because of their name.
    fn names_of_files(&mut self) {
        let main = self.loaded.files().next().map(Path::to_owned);
        for path in main.iter().flat_map(|main| files::passed_over(main)) {
            let right = path.with_extension("toml");
            self.found.push(ConfigError::NotRead { path, right });
        }
    }

    /// A port that programs cannot know.
    fn listen(&mut self) {
        if self.loaded.settings.web.listen.port() == 0 {
            let help = "give the port that programs post to; port 0 is for tests";
            self.warning(
                "/web/listen",
                "has port 0, which is another port at each start",
                help,
            );
        }
    }

    /// Sinks that no route names, and routes for what does not come.
    fn routes(&mut self) {
        let settings = &self.loaded.settings;
        if settings.route.is_empty() {
            return;
        }
        let named = |sink: &str| {
            settings
                .route
                .iter()
                .any(|route| route.sinks.iter().any(|name| name == sink))
        };
        for (i, sink) in settings
            .sink
            .iter()
            .enumerate()
            .filter(|(_, sink)| !named(&sink.name))
        {
            let message = format!("no route leads to sink `{}`: it gets no alert", sink.name);
            let help = "name it in the `sinks` of a [[route]], or remove it: where there are routes, a sink gets what they send to it and nothing else";
            let finding = self.finding(&format!("/sink/{i}/name"), message, help.to_owned());
            self.found.push(finding.into());
        }
        // What is confirmed is taken by the route that asks for it.
        let taken = |kind: &AlertKind| {
            let mut routes = settings.route.iter().filter(|route| route.confirm.is_none());
            routes.any(|route| route.matches.takes_all_unconfirmed(*kind))
        };
        if !AlertKind::OF_CAMERAS.iter().all(taken) {
            let pointer = format!("/route/{}", settings.route.len() - 1);
            let message = "the routes do not take every alert: what none of them matches goes to no sink";
            let help = "end with a [[route]] without `match`, unless that is meant; `watchpost status` counts such alerts";
            let finding = self.finding(&pointer, message.to_owned(), help.to_owned());
            self.found.push(finding.warning().into());
        }
        let accepts = settings
            .connection
            .iter()
            .any(|connection| connection.accept_notices);
        for (i, route) in settings.route.iter().enumerate() {
            if !route.matches.kind.is_empty()
                && route.matches.kind.iter().all(|kind| *kind == AlertKind::Notice)
                && !accepts
            {
                let help = "set `accept_notices = true` in a [[connection]], or remove the route";
                self.warning(
                    &format!("/route/{i}/match/kind"),
                    "is `notice`, and no connection accepts notices",
                    help,
                );
            }
        }
    }

    /// Certificate authorities of connections.
    fn certificates(&mut self) {
        for (i, connection) in self.loaded.settings.connection.iter().enumerate() {
            let Some(path) = &connection.ca_file else { continue };
            let pointer = format!("/connection/{i}/ca_file");
            if let Err((problem, help)) = pem::certificates(path) {
                self.error(&pointer, problem, help);
            } else if connection
                .url
                .as_ref()
                .is_some_and(|url| url.starts_with("http:") || url.starts_with("ws:"))
            {
                let help = "write https:// or wss:// in `url`, or remove `ca_file`";
                self.warning(&pointer, "is not used: `url` is not encrypted", help);
            }
        }
    }

    /// Files that plugins are to read.
    fn files_of_plugins(&mut self) {
        for i in 0..self.loaded.settings.sink.len() {
            let pointer = format!("/sink/{i}/config");
            if let Some(config) = self.loaded.tree.find(&pointer) {
                self.files_in(config, &pointer);
            }
        }
    }

    fn files_in(&mut self, node: &Node, pointer: &str) {
        let Value::Table(table) = &node.value else { return };
        for (key, entry) in table {
            let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            match &entry.node.value {
                Value::String(text) | Value::Untyped(text)
                    if key.ends_with("_file") && text.starts_with('/') =>
                {
                    self.file_of_plugin(key, Path::new(text), &pointer);
                }
                Value::String(_) if crate::mask::is_secret_key(key) => self.exposed_inline(&pointer),
                Value::Table(_) => self.files_in(&entry.node, &pointer),
                _ => {}
            }
        }
    }

    fn file_of_plugin(&mut self, key: &str, path: &Path, pointer: &str) {
        let result = match key {
            "ca_file" | "cert_file" => pem::certificates(path),
            "key_file" => pem::private_key(path),
            _ => {
                self.secret(pointer, &SecretSource::File(path.to_owned()));
                return;
            }
        };
        if let Err((problem, help)) = result {
            self.error(pointer, problem, help);
        } else if key == "key_file" && SecretSource::File(path.to_owned()).exposure().is_some() {
            let shown = path.display();
            let problem = format!("names {shown}, a private key that every user of this machine can read");
            self.warning(pointer, problem, format!("run `chmod o-rwx {shown}`"));
        }
    }

    /// What is there instead of a file that is not, if something there has a similar name.
    fn similar(path: &Path) -> Option<String> {
        let wanted = path.file_name()?.to_str()?;
        let names: Vec<String> = path
            .parent()?
            .read_dir()
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        nearest(wanted, names.iter().map(String::as_str)).map(str::to_owned)
    }
}

/// Why a file that is named cannot be read, after the words for the key; and what to do.
fn unreadable(path: &Path, error: &std::io::Error) -> (String, String) {
    let shown = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            let help = match Inspection::similar(path) {
                Some(near) => format!("did you mean `{near}`, which is there?"),
                None => "create the file, or correct the path".to_owned(),
            };
            (format!("names {shown}, which does not exist"), help)
        }
        std::io::ErrorKind::IsADirectory => (
            format!("names {shown}, which is a folder"),
            "name a file".to_owned(),
        ),
        std::io::ErrorKind::NotADirectory => (
            format!("names {shown}, and a part of this path is a file"),
            "correct the path".to_owned(),
        ),
        std::io::ErrorKind::PermissionDenied => {
            let user = reader::this_user();
            (
                format!("names {shown}, which {user} cannot read"),
                format!(
                    "if the hub runs as {user} too, make it readable for it; otherwise run the check as the hub's user"
                ),
            )
        }
        _ => (
            format!("names {shown}, which cannot be read: {error}"),
            "correct the path".to_owned(),
        ),
    }
}
