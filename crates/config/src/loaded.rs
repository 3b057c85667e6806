//! The configuration once it is loaded: the settings, and where each of them was written.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::location::Location;
use crate::source::{Source, Sources};
use crate::tree::Node;
use crate::{ConfigError, SecretSource, Settings};

/// Settings that are valid as far as is known without the plugins, and their origins.
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    pub(crate) tree: Node,
    pub(crate) sources: Sources,
}

impl Loaded {
    /// The files that were read, in the order in which they were merged.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.sources.files()
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

    /// An error about the `[sink.config]` of the sink with this index, at a JSON pointer within it (empty for
    /// the whole). Values in the message that stand behind keys such as `password` are hidden, for
    /// validators like to quote.
    pub fn sink_config_error(
        &self,
        sink: usize,
        pointer: &str,
        message: &str,
        help: Option<String>,
    ) -> ConfigError {
        let config = format!("/sink/{sink}/config");
        let secrets = self.tree.find(&config).map(Node::secrets).unwrap_or_default();
        let hide = |text: String| {
            secrets
                .iter()
                .fold(text, |text, secret| text.replace(secret, "***"))
        };
        self.error_at(
            &format!("{config}{pointer}"),
            hide(message.to_owned()),
            help.map(hide),
        )
    }

    /// Secrets that every user of the machine can read. The hub runs all the same.
    pub fn warnings(&self) -> Vec<ConfigError> {
        let mut warnings = Vec::new();
        for (i, connection) in self.settings.connection.iter().enumerate() {
            let token = connection.token.iter().map(|token| ("token".to_owned(), token));
            let password = connection.login.iter();
            let password = password.map(|login| ("login/password".to_owned(), &login.password));
            let headers = connection.header.iter().enumerate();
            let headers = headers.map(|(n, header)| (format!("header/{n}/secret"), &header.secret));
            for (key, secret) in token.chain(password).chain(headers) {
                warnings.extend(self.exposure(&format!("/connection/{i}/{key}"), secret));
            }
        }
        warnings
    }

    fn exposure(&self, pointer: &str, secret: &SecretSource) -> Option<ConfigError> {
        let origin = match secret {
            SecretSource::Inline(_) => self.tree.locate(pointer),
            SecretSource::File(_) => self.tree.locate(&format!("{pointer}_file")),
            SecretSource::Env(_) => return None,
        };
        let problem = match (secret, self.sources.get(origin)) {
            (SecretSource::Inline(_), Source::File { path, .. }) => {
                let mode = std::fs::metadata(path).ok()?.mode();
                let path = path.display();
                (mode & crate::secret::READABLE_BY_ALL != 0).then(|| {
                    format!("every user of this machine can read {path}, and there is a token in it")
                })?
            }
            _ => secret.exposure()?,
        };
        let finding = self.sources.finding(origin, problem).label("this secret");
        Some(finding.warning().into())
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
