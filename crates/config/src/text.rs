//! From the bytes of a file to its text: UTF-8 with or without a byte order mark. Of other encodings it says which it
//! is likely to be and how to convert it.

use std::ops::Range;

/// A file that is not text in UTF-8 with lines.
#[derive(Debug)]
pub(crate) struct NotText {
    /// The file as far as it can be shown.
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// Bytes at the beginning that decide whether a file is UTF-16 without a mark.
const SAMPLE: usize = 64;

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The text of a file.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<String, Box<NotText>> {
    if let Some(little) = utf16(&bytes) {
        return Err(Box::new(from_utf16(&bytes, little)));
    }
    let bytes = match bytes.strip_prefix(UTF8_MARK) {
        Some(rest) => rest.to_vec(),
        None => bytes,
    };
    if bytes.contains(&0) {
        return Err(Box::new(NotText {
            text: String::new(),
            span: 0..0,
            message: "this is not a text file: it contains NUL bytes".to_owned(),
            help: "name the configuration, a text file in TOML".to_owned(),
        }));
    }
    let text = String::from_utf8(bytes)
        .map_err(|e| Box::new(from_latin1(e.as_bytes(), e.utf8_error().valid_up_to())))?;
    match lone_return(&text) {
        Some(at) => Err(Box::new(NotText {
            // Byte for byte the same, but in lines.
            text: text.replace('\r', "\n"),
            span: line_before(&text, at),
            message: "the lines of this file end with a carriage return (CR) alone".to_owned(),
            help: "save it with Unix (LF) or Windows (CR LF) line ends, or convert it: `tr '\\r' '\\n' < FILE > NEW`".to_owned(),
        })),
        None => Ok(text),
    }
}

/// Whether it is UTF-16, and then whether the low byte comes first.
fn utf16(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [0xFF, 0xFE, ..] => Some(true),
        [0xFE, 0xFF, ..] => Some(false),
        _ => {
            let sample = &bytes[..bytes.len().min(SAMPLE) & !1];
            let zero = |offset: usize| sample.iter().skip(offset).step_by(2).all(|byte| *byte == 0);
            (sample.len() >= 4).then_some(())?;
            match (zero(0), zero(1)) {
                (true, false) => Some(false),
                (false, true) => Some(true),
                _ => None,
            }
        }
    }
}

fn from_utf16(bytes: &[u8], little: bool) -> NotText {
    let units = bytes.chunks_exact(2).map(|pair| {
        let pair = [pair[0], pair[1]];
        if little {
            u16::from_le_bytes(pair)
        } else {
            u16::from_be_bytes(pair)
        }
    });
    let text: String = char::decode_utf16(units)
        .map(|c| c.unwrap_or('?'))
        .filter(|c| *c != '\u{feff}')
        .collect();
    let first = text.lines().next().map_or(0, str::len);
    NotText {
        span: 0..first,
        text,
        message: "this file is in UTF-16, which Windows calls Unicode".to_owned(),
        help: "save it as UTF-8, or convert it: `iconv -f UTF-16 -t UTF-8 FILE > NEW`".to_owned(),
    }
}

/// Each byte a character: so are Latin-1 and, nearly, Windows-1252.
fn from_latin1(bytes: &[u8], at: usize) -> NotText {
    let text: String = bytes.iter().copied().map(char::from).collect();
    // Before it all is UTF-8, which may have longer characters than it has here.
    let start: usize = bytes[..at]
        .iter()
        .copied()
        .map(|byte| char::from(byte).len_utf8())
        .sum();
    let c = char::from(bytes[at]);
    let shown = if c.is_control() {
        format!("byte {:#04x}", bytes[at])
    } else {
        format!("`{c}`")
    };
    NotText {
        span: start..start + c.len_utf8(),
        text,
        message: format!("{shown} here is not in UTF-8: the file seems to be in Latin-1 or Windows-1252"),
        help: "save it as UTF-8, or convert it: `iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW`".to_owned(),
    }
}

/// Where a carriage return ends a line alone, in a file whose lines end so.
fn lone_return(text: &str) -> Option<usize> {
    let at = text.find('\r')?;
    (!text.contains('\n')).then_some(at)
}

fn line_before(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind(['\r', '\n']).map_or(0, |end| end + 1);
    start..at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf8_is_named() {
        let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        for (bytes, said, at) in [
            (utf16("\u{feff}[hub]\n"), "UTF-16", 0..5),
            (utf16("[hub]\n"), "UTF-16", 0..5),
            (
                "[hub]\n".encode_utf16().flat_map(u16::to_be_bytes).collect(),
                "UTF-16",
                0..5,
            ),
            (b"# caf\xe9\n".to_vec(), "Latin-1", 5..7),
            ("# é".bytes().chain([0xfc]).collect(), "`ü` here", 6..8),
            (b"a = 1\rb = 2\r".to_vec(), "carriage return", 0..5),
            (b"\x7fELF\0\0\x01".to_vec(), "NUL", 0..0),
        ] {
            let wrong = decode(bytes).unwrap_err();
            assert!(wrong.message.contains(said), "{}", wrong.message);
            assert_eq!(wrong.span, at, "{said}");
            assert!(wrong.text.get(wrong.span.clone()).is_some());
        }
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_are_fine() {
        assert_eq!(
            decode(b"\xEF\xBB\xBFa = 1\r\nb = 2\r\n".to_vec()).unwrap(),
            "a = 1\r\nb = 2\r\n"
        );
        assert_eq!(decode(Vec::new()).unwrap(), "");
    }
}
