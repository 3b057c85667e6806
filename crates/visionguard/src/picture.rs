//! The picture in a message, and its way from base64 to a JPEG whose shape was checked.
//!
//! It decodes no pixel: whether the picture shows anything is for eyes to say.

use std::borrow::Cow;
use std::fmt;

use crate::jpeg::{self, Fault};
use crate::reader::unescape;

/// A picture as it stands in the message: base64, untouched.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture<'a> {
    /// What stands between the quotes, escapes and all.
    pub(crate) quoted: &'a str,
    /// What the message calls it, for instance `jpeg`. Only the bytes count.
    pub format: Option<Cow<'a, str>>,
}

/// What a picture may measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureLimits {
    /// Size of the JPEG file in bytes, checked before anything is decoded.
    pub max_bytes: usize,
    /// Width and height in pixels.
    pub max_side: u32,
}

/// A JPEG file with what its header says.
#[derive(Clone, PartialEq, Eq)]
pub struct JpegFrame {
    /// The file, byte for byte as it was sent.
    pub bytes: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Why an alert has no picture, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureProblem {
    /// The message has no picture field, or null in it.
    #[error("the message had no picture")]
    Absent,
    /// The picture field holds something else.
    #[error("the message's picture should be base64 text, but is {found}")]
    NotText {
        /// What it is, in words.
        found: &'static str,
    },
    /// The picture field is an empty text.
    #[error("the message's picture is empty")]
    Empty,
    /// It exceeds [`PictureLimits::max_bytes`].
    #[error("the picture has about {bytes} bytes, more than the {max_bytes} allowed")]
    TooLarge {
        /// What its text would decode to, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        max_bytes: usize,
    },
    /// It exceeds [`PictureLimits::max_side`].
    #[error("the picture measures {width}x{height} pixels, more than the {max_side} allowed on a side")]
    TooWide {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit, in pixels.
        max_side: u32,
    },
    /// Its text is no base64, in either alphabet, with or without line breaks and padding.
    #[error("the picture is not base64: its {length} characters are damaged at character {offset}")]
    NotBase64 {
        /// Index of the first character that does not belong.
        offset: usize,
        /// Length of the text in bytes.
        length: usize,
    },
    /// Its bytes are no JPEG.
    #[error("the picture is not a JPEG: it begins with {begin}{}", called(format.as_deref()))]
    NotJpeg {
        /// Its first four bytes in hexadecimal.
        begin: String,
        /// What the message calls it.
        format: Option<String>,
    },
    /// The file ends before its end marker.
    #[error("the picture is cut off: its {bytes} bytes lack a JPEG's end marker")]
    CutOff {
        /// What there is of it, in bytes.
        bytes: usize,
    },
    /// The header is no chain of segments.
    #[error("the picture's JPEG header is damaged at byte {offset}")]
    Damaged {
        /// Index of the byte.
        offset: usize,
    },
    /// The header does not say how large the picture is.
    #[error("the picture's JPEG header does not say its width and height")]
    NoSize,
}

impl Default for PictureLimits {
    /// 24 MiB, four times a noisy 3840x2160 frame of the real backend; 16,384 pixels.
    fn default() -> Self {
        Self {
            max_bytes: 24 << 20,
            max_side: 16_384,
        }
    }
}

impl<'a> Picture<'a> {
    /// A picture from base64 that stands in no message, with or without a `data:` prefix.
    pub fn from_base64(base64: &'a str) -> Self {
        Self {
            quoted: base64,
            format: None,
        }
    }

    /// What stands between the quotes, with JSON escapes if there are any. A slice of the message.
    pub fn raw_base64(&self) -> &'a str {
        self.quoted
    }

    /// Length of its text in bytes.
    pub fn text_len(&self) -> usize {
        self.quoted.len()
    }

    /// Decodes it and checks that it is a JPEG. The text is read in place; only one with JSON escapes (`\/`), line breaks,
    /// the alphabet of URLs or without padding is copied first.
    ///
    /// # Errors
    /// Why there is no picture to show.
    pub fn decode(&self, limits: PictureLimits) -> Result<JpegFrame, PictureProblem> {
        let base64 = strip_prefix(self.quoted);
        if base64.is_empty() {
            return Err(PictureProblem::Empty);
        }
        let bytes = base64.len() / 4 * 3;
        // Base64 ends in up to two characters of padding.
        if bytes.saturating_sub(2) > limits.max_bytes {
            return Err(PictureProblem::TooLarge {
                bytes,
                max_bytes: limits.max_bytes,
            });
        }
        let bytes = match base64_simd::STANDARD.decode_to_vec(base64) {
            Ok(bytes) => bytes,
            Err(_) => decode_tolerantly(base64)?,
        };
        JpegFrame::check(bytes, self.format.as_deref(), limits)
    }
}

impl JpegFrame {
    /// Checks a file that was fetched from the backend.
    ///
    /// # Errors
    /// Why it cannot be shown.
    pub fn parse(bytes: Vec<u8>, limits: PictureLimits) -> Result<Self, PictureProblem> {
        Self::check(bytes, None, limits)
    }

    fn check(bytes: Vec<u8>, format: Option<&str>, limits: PictureLimits) -> Result<Self, PictureProblem> {
        if bytes.len() > limits.max_bytes {
            return Err(PictureProblem::TooLarge {
                bytes: bytes.len(),
                max_bytes: limits.max_bytes,
            });
        }
        let shape = jpeg::shape(&bytes).map_err(|fault| match fault {
            Fault::NoStart => PictureProblem::NotJpeg {
                begin: bytes
                    .iter()
                    .take(4)
                    .map(|byte| format!("{byte:02X}"))
                    .collect::<Vec<_>>()
                    .join(" "),
                format: format.map(|format| format.chars().take(32).collect()),
            },
            Fault::NoEnd => PictureProblem::CutOff { bytes: bytes.len() },
            Fault::Damaged(offset) => PictureProblem::Damaged { offset },
            Fault::NoSize => PictureProblem::NoSize,
        })?;
        let (width, height, max_side) = (shape.width, shape.height, limits.max_side);
        if width.max(height) > max_side {
            return Err(PictureProblem::TooWide {
                width,
                height,
                max_side,
            });
        }
        Ok(Self { bytes, width, height })
    }
}

/// Browsers send `data:image/jpeg;base64,…`.
fn strip_prefix(text: &str) -> &str {
    const MAX_PREFIX_BYTES: usize = 64;
    if !text.starts_with("data:") {
        return text;
    }
    let head = text.as_bytes().get(..MAX_PREFIX_BYTES).unwrap_or(text.as_bytes());
    memchr::memchr(b',', head)
        .and_then(|comma| text.get(comma + 1..))
        .unwrap_or(text)
}

/// The second try, for what else is called base64: with JSON escapes, in lines as in mails (RFC 2045), in the alphabet for
/// URLs (RFC 4648, section 5), without its padding.
fn decode_tolerantly(quoted: &str) -> Result<Vec<u8>, PictureProblem> {
    let plain = unescape(quoted).ok_or_else(|| not_base64(quoted))?;
    // The escapes may have hidden the prefix.
    let base64 = strip_prefix(&plain);
    let standard = |byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let text: Vec<u8> = base64.bytes().map(standard).collect();
    base64_simd::forgiving_decode_to_vec(&text).map_err(|_| not_base64(base64))
}

fn not_base64(text: &str) -> PictureProblem {
    let belongs = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "+/-_=".contains(c);
    let offset = text
        .find(|c| !belongs(c))
        .or_else(|| text.find('='))
        .unwrap_or(text.len());
    PictureProblem::NotBase64 {
        offset,
        length: text.len(),
    }
}

fn called(format: Option<&str>) -> String {
    format
        .map(|format| format!(", the message calls it {format:?}"))
        .unwrap_or_default()
}

impl fmt::Debug for Picture<'_> {
    /// Without the text: a picture has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture")
            .field("text_len", &self.text_len())
            .field("format", &self.format)
            .finish()
    }
}

impl fmt::Debug for JpegFrame {
    /// Without the bytes: a picture has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, width, height } = self;
        write!(f, "JpegFrame({width}x{height}, {} bytes)", bytes.len())
    }
}
