//! The shape of a JPEG file: its first and last marker and its size. It decodes no pixel.
//!
//! Markers and segments after ITU-T T.81, annex B.

/// What the markers before the first scan say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They do not begin with SOI and a marker.
    NoStart,
    /// They end before EOI.
    NoEnd,
    /// No segment where one must be; the index of the byte.
    Damaged(usize),
    /// The scan begins and nothing has said the picture's size.
    NoSize,
}

/// Segments to look at before the first scan. Cameras write about ten; a colour profile adds some.
const MAX_SEGMENTS: usize = 1_000;

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;

/// Walks the segments up to the first scan, then looks for EOI from the end.
///
/// Bytes behind EOI are tolerated: decoders ignore them, and some cameras pad their pictures.
pub(crate) fn shape(bytes: &[u8]) -> Result<Shape, Fault> {
    if !bytes.starts_with(&[0xFF, SOI, 0xFF]) {
        return Err(Fault::NoStart);
    }
    let mut shape = None;
    let mut at = 2;
    for _ in 0..MAX_SEGMENTS {
        match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) | (Some(0xFF), None) => return Err(Fault::NoEnd),
            // A marker may be preceded by any number of fill bytes (B.1.1.2).
            (Some(0xFF), Some(0xFF)) => {
                at += bytes
                    .get(at..)
                    .unwrap_or_default()
                    .iter()
                    .take_while(|byte| **byte == 0xFF)
                    .count()
                    - 1;
                continue;
            }
            (Some(0xFF), Some(&marker)) if is_standalone(marker) => {
                at += 2;
                continue;
            }
            (Some(0xFF), Some(&EOI)) => return Err(Fault::NoSize),
            (Some(0xFF), Some(&marker)) if marker != 0 && marker != SOI => {
                let body = segment(bytes, at + 2)?;
                if is_frame(marker) {
                    shape = Some(frame_size(body).ok_or(Fault::Damaged(at))?);
                }
                at += 4 + body.len();
                if marker == SOS {
                    return ended(bytes, at).and(shape.ok_or(Fault::NoSize));
                }
            }
            _ => return Err(Fault::Damaged(at)),
        }
    }
    Err(Fault::Damaged(at))
}

/// The body of the segment whose length stands at `at`; the length counts its own two bytes.
fn segment(bytes: &[u8], at: usize) -> Result<&[u8], Fault> {
    let Some(&[high, low]) = bytes.get(at..at + 2) else {
        return Err(Fault::NoEnd);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let length = length.checked_sub(2).ok_or(Fault::Damaged(at))?;
    bytes.get(at + 2..at + 2 + length).ok_or(Fault::NoEnd)
}

/// Within a scan 0xFF is followed by 0, a restart marker or the end, so the last EOI is no accident.
fn ended(bytes: &[u8], scan: usize) -> Result<(), Fault> {
    let scan = bytes.get(scan..).unwrap_or_default();
    if scan.ends_with(&[0xFF, EOI]) || memchr::memmem::rfind(scan, &[0xFF, EOI]).is_some() {
        Ok(())
    } else {
        Err(Fault::NoEnd)
    }
}

/// TEM and the restart markers have no length.
fn is_standalone(marker: u8) -> bool {
    matches!(marker, 0x01 | 0xD0..=0xD7)
}

/// SOF0 to SOF15; among them stand DHT, JPG and DAC.
fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

/// Height and width stand behind the precision (B.2.2). A height of 0 (DNL follows) is not told apart from
/// damage: no camera writes it.
fn frame_size(body: &[u8]) -> Option<Shape> {
    let &[_, h1, h0, w1, w0, ..] = body else {
        return None;
    };
    let (height, width) = (u16::from_be_bytes([h1, h0]), u16::from_be_bytes([w1, w0]));
    (height > 0 && width > 0).then(|| Shape {
        width: width.into(),
        height: height.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SOI, an APP0 of four bytes, SOF0 of 3x2 pixels, SOS, two bytes of scan, EOI.
    const TINY: &[u8] = &[
        0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xC0, 0, 8, 8, 0, 2, 0, 3, 1, 0xFF, 0xDA, 0, 3, 1, 7, 7,
        0xFF, 0xD9,
    ];

    fn with(edit: impl FnOnce(&mut Vec<u8>)) -> Result<Shape, Fault> {
        let mut bytes = TINY.to_vec();
        edit(&mut bytes);
        shape(&bytes)
    }

    #[test]
    fn the_size_is_read_and_padding_ignored() {
        let expected = Ok(Shape { width: 3, height: 2 });
        assert_eq!(shape(TINY), expected);
        assert_eq!(with(|b| b.extend([0; 9])), expected, "bytes behind the end");
        assert_eq!(with(|b| drop(b.splice(8..8, [0xFF; 5]))), expected, "fill bytes");
        assert_eq!(with(|b| drop(b.splice(8..8, [0xFF, 0x01]))), expected, "TEM");
    }

    #[test]
    fn every_cut_is_noticed() {
        for length in 3..TINY.len() {
            assert_eq!(shape(&TINY[..length]), Err(Fault::NoEnd), "cut at {length}");
        }
        for length in 0..3 {
            assert_eq!(shape(&TINY[..length]), Err(Fault::NoStart), "cut at {length}");
        }
    }

    #[test]
    fn every_other_fault_has_its_name() {
        assert_eq!(with(|b| b[0] = 0x89), Err(Fault::NoStart));
        assert_eq!(with(|b| b[5] = 1), Err(Fault::Damaged(4)), "a length of 1");
        assert_eq!(
            with(|b| b[5] = 3),
            Err(Fault::Damaged(7)),
            "no marker where one must be"
        );
        assert_eq!(
            with(|b| b[9] = 0xC4),
            Err(Fault::NoSize),
            "a table in place of the frame"
        );
        assert_eq!(
            with(|b| drop(b.splice(13..15, [0, 0]))),
            Err(Fault::Damaged(8)),
            "no height"
        );
        assert_eq!(shape(&[0xFF, 0xD8, 0xFF, 0xD9]), Err(Fault::NoSize));
        let endless = [&[0xFF, 0xD8][..], &[0xFF, 0xE0, 0, 2].repeat(5_000)].concat();
        assert_eq!(shape(&endless), Err(Fault::Damaged(2 + 4 * MAX_SEGMENTS)));
    }
}
