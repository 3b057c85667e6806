//! Secrets that are missing, empty, of another form, or readable for others. Nothing of them is shown.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{Inspection, reader, unreadable};
use crate::address;
use crate::mask::is_secret_key;
use crate::secret::{READABLE_BY_ALL, SecretProblem, SecretSource};
use crate::source::Source;

impl Inspection<'_> {
    /// The secrets of our own settings.
    pub(super) fn secrets(&mut self) {
        let loaded = self.loaded;
        for (pointer, secret) in loaded.secrets() {
            let pointer = match secret {
                SecretSource::Inline(_) => pointer,
                SecretSource::File(_) => format!("{pointer}_file"),
                SecretSource::Env(_) => format!("{pointer}_env"),
            };
            let ok = self.secret(&pointer, secret);
            if ok
                && pointer.starts_with("/watchdog/")
                && let Ok(url) = secret.read()
                && let Err(violation) = address::monitor(url.expose())
            {
                self.error(
                    &pointer,
                    format!("leads to an address that {}", violation.problem),
                    violation.help,
                );
            }
        }
    }

    /// Whether a secret can be read; says why not.
    pub(super) fn secret(&mut self, pointer: &str, secret: &SecretSource) -> bool {
        let problem = match secret.try_read() {
            Ok(text) => {
                if !matches!(secret, SecretSource::Inline(_)) && text.expose().trim() != text.expose() {
                    let help = "remove the space, unless it is part of the secret";
                    self.warning(
                        pointer,
                        "leads to a secret that begins or ends with a space",
                        help,
                    );
                }
                self.exposure(pointer, secret);
                return true;
            }
            Err(problem) => problem,
        };
        let what = match secret {
            SecretSource::File(path) => path.display().to_string(),
            SecretSource::Env(name) => name.clone(),
            SecretSource::Inline(_) => String::new(),
        };
        let (problem, help) = match (&problem, secret) {
            (SecretProblem::Unreadable(error), SecretSource::File(path)) => unreadable(path, error),
            (SecretProblem::Unset, _) => (
                format!("names the variable {what}, which is not set"),
                "set it in the environment of the hub (`Environment=` or `EnvironmentFile=` of its unit) and of this check".to_owned(),
            ),
            (SecretProblem::Empty, SecretSource::File(_)) => {
                (format!("names {what}, which is empty"), "write the secret into it, and nothing else".to_owned())
            }
            (SecretProblem::Empty, _) => (format!("names the variable {what}, which is empty"), "set it to the secret".to_owned()),
            (problem, _) => (format!("names {what}: {problem}"), "the secret alone belongs there, as text in UTF-8".to_owned()),
        };
        self.error(pointer, problem, help);
        false
    }

    /// Who can read a secret that should not, and who cannot that should.
    fn exposure(&mut self, pointer: &str, secret: &SecretSource) {
        match secret {
            SecretSource::Inline(_) => self.exposed_inline(pointer),
            SecretSource::Env(_) => {}
            SecretSource::File(path) => {
                if secret.exposure().is_some() {
                    let shown = path.display();
                    let problem = format!("names {shown}, which every user of this machine can read");
                    self.warning(pointer, problem, format!("run `chmod o-rwx {shown}`"));
                }
                self.unreadable_for_the_hub(pointer, path);
            }
        }
    }

    /// A check as root reads everything; the hub may not. Whom the data directory belongs to, the hub runs as.
    fn unreadable_for_the_hub(&mut self, pointer: &str, path: &Path) {
        let Some(user) = reader::hub_user(&self.loaded.settings.hub.data_dir) else {
            return;
        };
        // systemd may hand over a file that is named without its folder.
        let relative = self
            .loaded
            .tree
            .find(pointer)
            .is_some_and(|node| match &node.value {
                crate::tree::Value::String(text) | crate::tree::Value::Untyped(text) => {
                    !text.starts_with('/')
                }
                _ => false,
            });
        if !relative && !user.can_read(path) {
            let problem = format!(
                "names {}, which the hub's user {user} (the owner of `data_dir`) cannot read",
                path.display()
            );
            let help = format!(
                "run `chown {user} {0}`, or hand it over with `LoadCredential=` in the hub's unit and name it without its folder",
                path.display()
            );
            self.error(pointer, problem, help);
        }
    }

    /// A secret in the configuration itself.
    pub(super) fn exposed_inline(&mut self, pointer: &str) {
        let Source::File { path, .. } = self.loaded.sources.get(self.loaded.tree.locate(pointer)) else {
            return;
        };
        let path = path.clone();
        let key = pointer.rsplit('/').next().unwrap_or_default();
        let Ok(metadata) = std::fs::metadata(&path) else {
            return;
        };
        if metadata.mode() & READABLE_BY_ALL != 0 && is_secret_key(key)
            || key == "ping_url" && metadata.mode() & READABLE_BY_ALL != 0
        {
            let shown = path.display();
            let help = format!("run `chmod o-rwx {shown}`, or put the secret into a file of its own");
            self.warning(
                pointer,
                format!("is a secret, and every user of this machine can read {shown}"),
                help,
            );
        }
    }
}
