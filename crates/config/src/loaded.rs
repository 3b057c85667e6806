//! The configuration once it is loaded: the settings, and where each of them was written.

use std::fmt;
use std::path::Path;

use crate::check::At;
use crate::location::Location;
use crate::mask::HIDDEN;
use crate::source::Sources;
use crate::tree::Node;
use crate::{ConfigError, ConfigFiles, SecretSource, Settings};

/// Settings that are valid as far as is known without the plugins, and their origins.
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    pub(crate) tree: Node,
    pub(crate) sources: Sources,
    /// Names of variables that begin as ours do, but set nothing.
    pub(crate) variables: Vec<String>,
    /// As they were before they were read.
    pub(crate) read: ConfigFiles,
}

impl Loaded {
    /// The files that were read, in the order in which they were merged.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.sources.files()
    }

    /// The files as they were when they were read: if [`ConfigFiles::now`] is something else, there is a newer
    /// configuration.
    pub fn read_from(&self) -> &ConfigFiles {
        &self.read
    }

    /// Where the value at a JSON pointer such as `/sink/0/timeout` was written. Of a value that was left out,
    /// where the table around it begins.
    pub fn locate(&self, pointer: &str) -> Location {
        self.sources.location(self.tree.locate(pointer))
    }

    /// An error about the value at a JSON pointer, for what is found out only after loading.
    pub fn error_at(&self, pointer: &str, message: impl Into<String>, help: Option<String>) -> ConfigError {
        let finding = self
            .sources
            .finding(self.tree.locate(pointer), message)
            .label("here");
        match help {
            Some(help) => finding.help(help).into(),
            None => finding.into(),
        }
    }

    /// A warning about the value at a JSON pointer, for what is found out only after loading.
    pub fn warning_at(
        &self,
        pointer: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> ConfigError {
        let finding = self.sources.finding(self.tree.locate(pointer), message);
        finding.label("here").help(help).warning().into()
    }

    /// What a plugin finds wrong with the `[sink.config]` of the sink with this index, at a JSON pointer within it (empty
    /// for the whole). Values in the message that stand behind keys such as `password` are hidden, for validators like
    /// to quote.
    pub fn sink_config_error(&self, sink: usize, pointer: &str, message: &str) -> ConfigError {
        let pointer = format!("/sink/{sink}/config{pointer}");
        let at = At::pointer(&self.tree, &pointer);
        let message = self.without_secrets(sink, message.to_owned());
        let message = match at.keys().count() {
            0..=2 => format!("{at}: {message}"),
            _ => format!("`{}` in {}: {message}", at.key(), at.parent()),
        };
        self.error_at(&pointer, message, None)
    }

    /// The text without the secrets in the `[sink.config]` of this sink.
    pub(crate) fn without_secrets(&self, sink: usize, text: String) -> String {
        let config = self.tree.find(&format!("/sink/{sink}/config"));
        let secrets = config.map(Node::secrets).unwrap_or_default();
        secrets
            .iter()
            .fold(text, |text, secret| text.replace(secret, HIDDEN))
    }

    /// Where the value at a JSON pointer stands, in words: `` `dir` in [sink.config] of `archive` ``.
    pub fn describe(&self, pointer: &str) -> String {
        let at = At::pointer(&self.tree, pointer);
        format!("`{}` in {}", at.key(), at.parent())
    }

    /// The secrets of our own settings, with the JSON pointers of their keys.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (String, &SecretSource)> {
        let connections = self
            .settings
            .connection
            .iter()
            .enumerate()
            .flat_map(|(i, connection)| {
                let token = connection.token.iter().map(|token| ("token".to_owned(), token));
                let password = connection.login.iter();
                let password = password.map(|login| ("login/password".to_owned(), &login.password));
                let headers = connection.header.iter().enumerate();
                let headers = headers.map(|(n, header)| (format!("header/{n}/secret"), &header.secret));
                let all = token.chain(password).chain(headers);
                all.map(move |(key, secret)| (format!("/connection/{i}/{key}"), secret))
            });
        let monitor = self.settings.watchdog.iter();
        connections.chain(monitor.map(|watchdog| ("/watchdog/ping_url".to_owned(), &watchdog.ping_url)))
    }
}

impl fmt::Debug for Loaded {
    /// Without the tree, which holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
