//! Tells a missing grant of the sandbox from a missing permission of the file, and names the line to paste.
//!
//! The sandbox answers with the same error as the file system: a bare "Permission denied" sends people to `chmod`, where
//! nothing is wrong.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::{Access, access};

/// A way of using a path that `[sink.sandbox]` has to grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// `read`
    Read,
    /// `write`
    Write,
    /// `exec`, and `read` for a program that is not the system's
    Exec,
}

impl Grant {
    /// What the file's own permissions have to allow for it.
    fn access(self) -> Access {
        match self {
            Self::Read => Access::READ_OK,
            Self::Write => Access::WRITE_OK,
            Self::Exec => Access::EXEC_OK,
        }
    }

    /// What went wrong with a path, in words: the line for `[sink.sandbox]` where the grant is missing, and else the
    /// error.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use watchpost_sink::Grant;
    /// let path = Path::new("/no/such/file");
    /// let error = std::fs::read(path).unwrap_err();
    /// assert!(Grant::Read.explain(path, &error).starts_with("/no/such/file: No such file"));
    /// ```
    pub fn explain(self, path: &Path, error: &io::Error) -> String {
        let shown = path.display();
        if self.is_missing(path, error) {
            let path = Quoted(path);
            let line = match self {
                Self::Read => format!("`read = [{path}]`"),
                Self::Write => format!("`write = [{path}]`"),
                Self::Exec => {
                    format!("`exec = true`, and `read = [{path}]` for a program that is not the system's")
                }
            };
            return format!("{shown} is not granted under `[sink.sandbox]`; add {line}");
        }
        if error.kind() == ErrorKind::PermissionDenied {
            return format!(
                "{shown}: the user that Watchpost runs as may not use it ({error}); change its permissions"
            );
        }
        format!("{shown}: {error}")
    }

    /// Whether it is the sandbox that refused: the kernel would have allowed it.
    pub fn is_missing(self, path: &Path, error: &io::Error) -> bool {
        // What does not exist yet is made in the directory that does.
        let there = path.ancestors().find(|path| path.exists());
        error.kind() == ErrorKind::PermissionDenied
            && there.is_some_and(|path| access(path, self.access()).is_ok())
    }
}

/// What is missing to connect to a port.
#[cfg(feature = "net")]
pub(crate) fn connect(port: u16) -> String {
    format!("connecting to port {port} is not granted under `[sink.sandbox]`; add `connect = [{port}]`")
}

/// A path as a string of TOML.
struct Quoted<'a>(&'a Path);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_the_file_does_not_explain_is_a_missing_grant() {
        // It may be read, so whatever refuses it is not the file.
        let denied = io::Error::from(ErrorKind::PermissionDenied);
        let path = Path::new("/etc/passwd");
        assert_eq!(
            Grant::Read.explain(path, &denied),
            "/etc/passwd is not granted under `[sink.sandbox]`; add `read = [\"/etc/passwd\"]`"
        );
        let gone = Path::new("/proc/no such file");
        let missing = io::Error::from(ErrorKind::NotFound);
        assert!(!Grant::Write.is_missing(gone, &missing));
    }
}
