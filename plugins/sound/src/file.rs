//! Files of sound, decoded piece by piece while they are played.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use watchpost_sink::Grant;

use crate::source::Piece;

/// Damaged pieces in a row before the rest of a file is skipped.
const MAX_DAMAGED: u32 = 50;

/// A file that is being decoded.
pub(crate) struct File {
    path: PathBuf,
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    samples: Vec<f32>,
}

/// Why a file does not sound.
#[derive(Debug)]
pub(crate) struct Undecodable {
    path: PathBuf,
    why: String,
}

impl File {
    pub(crate) fn open(path: &Path) -> Result<Self, Undecodable> {
        let fail = |why: String| Undecodable {
            path: path.to_owned(),
            why,
        };
        let file = std::fs::File::open(path).map_err(|error| fail(denied(path, &error)))?;
        let stream = MediaSourceStream::new(Box::new(file), MediaSourceStreamOptions::default());
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
            hint.with_extension(extension);
        }
        let reader = symphonia::default::get_probe()
            .probe(
                &hint,
                stream,
                FormatOptions::default(),
                MetadataOptions::default(),
            )
            .map_err(|error| fail(format!("is no WAV, OGG, MP3 or FLAC file: {error}")))?;
        let track = reader.default_track(TrackType::Audio);
        let track = track.ok_or_else(|| fail("holds no sound".to_owned()))?;
        let parameters = track
            .codec_params
            .as_ref()
            .and_then(|parameters| parameters.audio());
        let parameters = parameters.ok_or_else(|| fail("does not say how it is coded".to_owned()))?;
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|error| fail(format!("is coded in a way that is not supported: {error}")))?;
        let track = track.id;
        Ok(Self {
            path: path.to_owned(),
            reader,
            decoder,
            track,
            samples: Vec::new(),
        })
    }

    /// Decodes all that would sound within `limit`, to find damage before it counts.
    pub(crate) fn decode(path: &Path, limit: Duration) -> Result<(), Undecodable> {
        let mut file = Self::open(path)?;
        let mut seconds = 0.0;
        while let Some(piece) = file.next()? {
            seconds += piece.seconds();
            if seconds >= limit.as_secs_f64() {
                break;
            }
        }
        if seconds > 0.0 {
            Ok(())
        } else {
            Err(file.fail("holds no sound"))
        }
    }

    /// The next piece, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Piece<'_>>, Undecodable> {
        let mut damaged = 0;
        let (rate, channels) = loop {
            let packet = match self.reader.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => packet,
                Ok(Some(_)) => continue,
                // A second stream that follows the first in one file is not played.
                Ok(None) | Err(Error::ResetRequired) => return Ok(None),
                Err(error) => return Err(self.fail(format_args!("cannot be read on: {error}"))),
            };
            match self.decoder.decode(&packet) {
                Ok(decoded) if decoded.frames() > 0 => {
                    decoded.copy_to_vec_interleaved(&mut self.samples);
                    break (decoded.spec().rate(), decoded.spec().channels().count());
                }
                Ok(_) => {}
                Err(Error::DecodeError(_)) if damaged < MAX_DAMAGED => damaged += 1,
                Err(error) => return Err(self.fail(format_args!("is damaged: {error}"))),
            }
        };
        Ok(Some(Piece {
            rate,
            channels,
            samples: &self.samples,
        }))
    }

    fn fail(&self, why: impl fmt::Display) -> Undecodable {
        Undecodable {
            path: self.path.clone(),
            why: why.to_string(),
        }
    }
}

/// Why a file cannot be opened.
fn denied(path: &Path, error: &std::io::Error) -> String {
    if Grant::Read.is_missing(path, error) {
        return Grant::Read.explain(path, error);
    }
    error.to_string()
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}
