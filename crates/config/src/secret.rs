//! Where passwords and tokens are kept. What is read here is never shown.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::{env, fmt, fs, io};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use watchpost_core::Secret;

use crate::{ConfigError, bounded};

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// In the configuration itself (`token`).
    Inline(Secret),
    /// In a file (`token_file`), read again at each use, so that a replaced file counts.
    File(PathBuf),
    /// In the environment variable of this name (`token_env`).
    Env(String),
}

/// Why a secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretProblem {
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    #[error("{0}")]
    TooLarge(String),
    #[error("it is not set")]
    Unset,
    #[error("it is empty")]
    Empty,
    #[error("it is not text in UTF-8")]
    NotText,
    #[error("it has {0} lines, expected one")]
    Lines(usize),
}

/// Bits of a file's mode that let every user of the machine read it.
pub(crate) const READABLE_BY_ALL: u32 = 0o004;

/// A token or a password of more than 64 KiB is another file, taken by mistake.
const MAX_SECRET_BYTES: u64 = 64 << 10;

impl SecretSource {
    /// The secret as it is now, without line ends at its end and without a byte order mark.
    ///
    /// # Errors
    /// When the file or the variable is missing, unreadable, empty or no line of text; the error says which.
    pub fn read(&self) -> Result<Secret, ConfigError> {
        self.try_read().map_err(|problem| ConfigError::Secret {
            from: self.to_string(),
            problem: problem.to_string(),
        })
    }

    pub(crate) fn try_read(&self) -> Result<Secret, SecretProblem> {
        let text = match self {
            Self::Inline(secret) => return Ok(secret.clone()),
            Self::File(path) => {
                let bytes = bounded::read(path, MAX_SECRET_BYTES).map_err(|error| match error.kind() {
                    io::ErrorKind::FileTooLarge => SecretProblem::TooLarge(error.to_string()),
                    _ => SecretProblem::Unreadable(error),
                })?;
                decode(&bytes)?
            }
            Self::Env(name) => env::var(name).map_err(|e| match e {
                env::VarError::NotPresent => SecretProblem::Unset,
                env::VarError::NotUnicode(_) => SecretProblem::NotText,
            })?,
        };
        match text.trim_end_matches(['\r', '\n']) {
            text if text.trim().is_empty() => Err(SecretProblem::Empty),
            text if text.contains(['\r', '\n']) => Err(SecretProblem::Lines(text.lines().count())),
            text => Ok(Secret::new(text)),
        }
    }

    /// Who else can read the secret, if every user of the machine can: a sentence with what to do.
    /// `None` when it is kept well, or not in a file of its own.
    pub fn exposure(&self) -> Option<String> {
        let Self::File(path) = self else { return None };
        let mode = fs::metadata(path).ok()?.mode();
        (mode & READABLE_BY_ALL != 0).then(|| {
            let path = path.display();
            format!("every user of this machine can read {path}: run `chmod o-rwx {path}`")
        })
    }
}

/// The text of a file: UTF-8, or what Windows makes, with a byte order mark.
fn decode(bytes: &[u8]) -> Result<String, SecretProblem> {
    let wide = |of: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks_exact(2).map(|pair| of([pair[0], pair[1]]));
        char::decode_utf16(units)
            .collect::<Result<String, _>>()
            .map_err(|_| SecretProblem::NotText)
    };
    match bytes {
        [0xFF, 0xFE, ..] => wide(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => wide(u16::from_be_bytes),
        _ => {
            let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            let text = str::from_utf8(bytes).map_err(|_| SecretProblem::NotText)?;
            if text.contains('\0') {
                Err(SecretProblem::NotText)
            } else {
                Ok(text.to_owned())
            }
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("the configuration"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Env(name) => write!(f, "the environment variable {name}"),
        }
    }
}

impl JsonSchema for SecretSource {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretSource".into()
    }

    /// One property stands for three keys, of which exactly one is given: `x`, `x_file`, `x_env`.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "secret" })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_are_read_again_and_trimmed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let source = SecretSource::File(path.clone());
        let missing = source.read().unwrap_err().to_string();
        assert!(
            missing.contains("token") && missing.contains("No such file"),
            "{missing}"
        );
        fs::write(&path, "one\r\n").unwrap();
        assert_eq!(source.read().unwrap().expose(), "one");
        fs::write(&path, " two \n\n").unwrap();
        assert_eq!(source.read().unwrap().expose(), " two ");
        fs::write(&path, "\n").unwrap();
        assert!(source.read().unwrap_err().to_string().ends_with("it is empty"));
        for (bytes, read) in [
            (b"\xEF\xBB\xBFone\n".to_vec(), Some("one")),
            (b"\xFF\xFEo\0n\0\xe9\0\r\0\n\0".to_vec(), Some("on\u{e9}")),
            (b"\xFE\xFF\0o\0n\0e".to_vec(), Some("one")),
            (b"caf\xe9".to_vec(), None),
            (b"one\ntwo\n".to_vec(), None),
            (b"  \n".to_vec(), None),
        ] {
            fs::write(&path, &bytes).unwrap();
            let secret = source.read().ok();
            assert_eq!(secret.as_ref().map(Secret::expose), read, "{bytes:?}");
        }
        fs::write(&path, "x".repeat(65_537)).unwrap();
        assert!(
            source
                .read()
                .unwrap_err()
                .to_string()
                .ends_with("expected at most 65536")
        );
    }

    #[test]
    fn variables_are_named_when_they_are_missing() {
        let set = SecretSource::Env("CARGO_PKG_NAME".to_owned());
        assert_eq!(set.read().unwrap().expose(), "watchpost-config");
        let unset = SecretSource::Env("WATCHPOST_TEST_UNSET".to_owned());
        assert_eq!(
            unset.read().unwrap_err().to_string(),
            "cannot read the secret in the environment variable WATCHPOST_TEST_UNSET: it is not set"
        );
    }

    #[test]
    fn exposure_is_about_other_users() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = SecretSource::File(file.path().to_owned());
        for (mode, exposed) in [(0o600, false), (0o640, false), (0o644, true)] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(source.exposure().is_some(), exposed, "{mode:o}");
        }
        assert_eq!(SecretSource::Inline(Secret::new("x")).exposure(), None);
    }

    #[test]
    fn nothing_shows_a_secret() {
        let source = SecretSource::Inline(Secret::new("hunter2"));
        assert_eq!(
            format!("{source:?} {source} {}", Secret::new("hunter2")),
            "Inline(***) the configuration ***"
        );
    }
}
