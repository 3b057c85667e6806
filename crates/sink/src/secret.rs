//! Secrets of a site: passwords, tokens, keys. Given in the configuration or in a file of their own, never shown.
//!
//! Files come from editors and tools of every kind, so what surrounds a secret is forgiven: a byte order mark, UTF-16, the
//! line break at the end. What could be a mistake is refused: an empty file, a second line, a directory.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Fail, Grant};

/// Largest file that holds a secret and nothing else, in bytes.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// A secret that stands in the configuration itself.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The secret of a key such as `password`, which may also stand in a file that `password_file` names. `pointer` is that of
/// the file, `/password_file`.
///
/// # Errors
/// A bad configuration: the file cannot be read, or holds no secret.
pub fn either(pointer: &str, given: Option<&Secret>, file: Option<&Path>) -> Result<Option<String>, Fail> {
    match (file, given) {
        (Some(path), _) => read(pointer, path).map(Some),
        (None, Some(secret)) => match one_line(secret.reveal()) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(why) => Err(Fail::bad_config(
                pointer.trim_end_matches("_file"),
                format_args!("the secret {why}"),
            )),
        },
        (None, None) => Ok(None),
    }
}

/// The secret in a file, without the line break at its end.
///
/// # Errors
/// A bad configuration: the file cannot be read, or holds no secret. The message never shows what it holds.
pub fn read(pointer: &str, path: &Path) -> Result<String, Fail> {
    let shown = path.display();
    let bytes = contents(path).map_err(|error| match error.kind() {
        io::ErrorKind::IsADirectory => Fail::bad_config(
            pointer,
            format_args!("{shown} is a directory; name the file in it that holds the secret"),
        ),
        _ => Fail::bad_config(
            pointer,
            format_args!("the secret cannot be read: {}", Grant::Read.explain(path, &error)),
        ),
    })?;
    let read = text(&bytes).and_then(|text| one_line(&text).map(str::to_owned));
    read.map_err(|why| Fail::bad_config(pointer, format_args!("{shown} {why}")))
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A pipe or device would be read for ever.
    File::open(path)?
        .take(MAX_SECRET_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Decodes what editors write: UTF-8 or UTF-16, with or without a byte order mark.
fn text(bytes: &[u8]) -> Result<String, &'static str> {
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err("holds more than 64 KiB; it has to hold the secret and nothing else");
    }
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        String::from_utf16(&units.collect::<Vec<_>>()).map_err(|_| "is damaged: it is not all of UTF-16")
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => narrow(rest),
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        // No text has a zero byte, but every other one of ASCII in UTF-16 is.
        [_, 0, ..] => wide(bytes, u16::from_le_bytes),
        [0, _, ..] => wide(bytes, u16::from_be_bytes),
        _ => narrow(bytes),
    }
}

fn narrow(bytes: &[u8]) -> Result<String, &'static str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err("is not text in UTF-8; save it as UTF-8"),
    }
}

fn one_line(text: &str) -> Result<&str, &'static str> {
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() {
        return Err("is empty; it has to hold the secret");
    }
    if text.chars().any(char::is_control) {
        return Err(
            "has more than one line, or control characters; it has to hold the secret and nothing else",
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    fn read_back(bytes: &[u8]) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, bytes).unwrap();
        read("/password_file", &path).map_err(|fail| {
            assert_eq!(fail.outcome(), Outcome::BadConfig);
            let (pointer, why) = fail.notes().next().unwrap();
            assert_eq!(pointer, "/password_file");
            why.replace(&path.display().to_string(), "FILE")
        })
    }

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn what_editors_put_around_a_secret_is_forgiven() {
        for bytes in [
            b"caf\xc3\xa9 7".to_vec(),
            b"caf\xc3\xa9 7\n".to_vec(),
            b"caf\xc3\xa9 7\r\n\r\n".to_vec(),
            b"\xef\xbb\xbfcaf\xc3\xa9 7\r\n".to_vec(),
            [vec![0xff, 0xfe], utf16("café 7\r\n", u16::to_le_bytes)].concat(),
            [vec![0xfe, 0xff], utf16("café 7\n", u16::to_be_bytes)].concat(),
            utf16("café 7\n", u16::to_le_bytes),
            utf16("café 7", u16::to_be_bytes),
        ] {
            assert_eq!(read_back(&bytes), Ok("café 7".to_owned()), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_in_words() {
        for (bytes, expected) in [
            (&b""[..], "FILE is empty"),
            (b"\xef\xbb\xbf\r\n", "FILE is empty"),
            (b"  \n", "FILE is empty"),
            (b"user\npassword\n", "FILE has more than one line"),
            (b"caf\xe9", "FILE is not text in UTF-8"),
            (b"\xff\xfea", "FILE is empty"),
        ] {
            let why = read_back(bytes).unwrap_err();
            assert!(why.starts_with(expected), "{why} should say {expected}");
        }
        let long = read_back(&[b'x'; 70_000]).unwrap_err();
        assert!(long.starts_with("FILE holds more than 64 KiB"), "{long}");
    }

    #[test]
    fn a_directory_and_a_missing_file_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let fail = read("/token_file", dir.path()).unwrap_err().to_string();
        assert!(fail.contains("is a directory; name the file"), "{fail}");
        let fail = read("/token_file", &dir.path().join("none"))
            .unwrap_err()
            .to_string();
        assert!(fail.contains("No such file"), "{fail}");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret: Secret = serde_json::from_str("\"open sesame\"").unwrap();
        assert_eq!(format!("{secret:?} {}", secret.reveal()), "*** open sesame");
    }
}
