//! Reads small files that a site names, and nothing that never ends: a pipe, a device, a file of the kernel. It knows not
//! what they are for.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// All of a regular file of at most `max_bytes`.
///
/// # Errors
/// When it is no regular file or longer, and when it cannot be read.
pub(crate) fn read(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: to open a device may do something.
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other(
            "it is a pipe, a socket or a device, expected a regular file",
        ));
    }
    if metadata.len() > max_bytes {
        let problem = format!("it has {} bytes, expected at most {max_bytes}", metadata.len());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    // Files of the kernel have no length before they are read, and some of them wait for something to say.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        let problem = format!("it does not end, expected at most {max_bytes} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_what_ends_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "12345").unwrap();
        let made = Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success());
        let _socket = UnixListener::bind(at("socket")).unwrap();
        assert_eq!(read(&at("file"), 5).unwrap(), b"12345");
        // The kernel says of it that it has 0 bytes.
        assert!(read(Path::new("/proc/self/status"), 1 << 20).unwrap().len() > 100);
        for (path, max_bytes, expected) in [
            (at("file"), 4, "it has 5 bytes, expected at most 4"),
            (at("pipe"), 5, "expected a regular file"),
            (at("socket"), 5, "expected a regular file"),
            ("/dev/zero".into(), 5, "expected a regular file"),
            (
                "/proc/self/status".into(),
                5,
                "it does not end, expected at most 5",
            ),
            (at(""), 5, "is a directory"),
            (at("none"), 5, "No such file"),
        ] {
            let error = read(&path, max_bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{path:?}: {error}");
        }
    }
}
