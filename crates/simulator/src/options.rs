//! What one can set on the simulator, with the defaults of the real backend.
//! It knows nothing of command lines: the types read themselves from text and explain a refusal.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use crate::{Error, Faults};

/// Largest width and height of a picture, in pixels.
pub const MAX_FRAME_SIDE_PIXELS: u32 = 7_680;
/// Smallest width and height of a picture, in pixels; below this a caption cannot be read.
pub const MIN_FRAME_SIDE_PIXELS: u32 = 32;
/// Largest number of cameras.
pub const MAX_CAMERAS: u32 = 1_000;
/// Largest number of shops.
pub const MAX_SHOPS: u32 = 100;
/// Largest number of persons in one picture.
pub const MAX_PERSONS: u32 = 8;
/// Largest picture that can be asked for, in bytes.
pub const MAX_PICTURE_BYTES: usize = 64 * 1024 * 1024;

/// Everything one can set. [`Options::default`] is a small faithful backend on an ephemeral port.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Number of cameras, each a stream of its own.
    pub cameras: u32,
    /// Number of shops, among which the cameras are dealt out in turn.
    pub shops: u32,
    /// Alerts per second over all cameras. 0 sends on command only, infinity as fast as the socket takes them.
    pub rate: f64,
    /// Alerts sent at once per tick; the ticks are spread so that `rate` holds.
    pub burst: u32,
    /// Stop producing after this many alerts. Alerts asked for by command are not counted.
    pub limit: Option<u64>,
    /// Extent of the pictures.
    pub frame: FrameSize,
    /// Pad every picture to exactly this many bytes.
    pub picture_size: Option<PictureSize>,
    /// Pictures drawn per camera when alerts come too fast to draw each one.
    pub scenes: u32,
    /// Send the joint positions of every person (about 30 KB each), as the real backend does.
    pub pose: bool,
    /// Send `bbox` and draw it into the picture. The real backend normally does neither.
    pub bbox: bool,
    /// Persons in each picture; each makes an alert of its own with the same picture.
    pub persons: u32,
    /// Add a top-level `id` to alerts. The real backend sends none.
    pub ids: bool,
    /// Follow each alert with its notification.
    pub notifications: bool,
    /// Everything random follows from it: users, streams, scores, pictures, faults.
    pub seed: u64,
    /// Play the quirks of the real backend (one slot per user, sockets that fall silent, REST errors on infinity).
    pub faithful: bool,
    /// Produce alerts only while a client is registered.
    pub wait_for_client: bool,
    /// Faults to play.
    pub faults: Faults,
    /// Time between JSON pings on a socket.
    pub heartbeat: Duration,
    /// Time between protocol pings, and the time one may stay unanswered.
    pub keepalive: Duration,
    /// How long a client may take to close its end after the close handshake.
    pub linger: Duration,
    /// SessionState of an access token.
    pub token_life: Duration,
    /// Time a login takes; the server does nothing else meanwhile, like the real one hashing the password.
    pub login_time: Duration,
    /// Offset of the server's local time from UTC, which stands in pings and in `/ws/connections`.
    pub local_offset: time::UtcOffset,
    /// The file in which the time stands that the server goes by, in milliseconds since 1970; without it, this machine's.
    pub clock: Option<PathBuf>,
    /// Serve `https` and `wss` with this certificate.
    pub tls: Option<Tls>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            cameras: 4,
            shops: 1,
            rate: 1.0,
            burst: 1,
            limit: None,
            frame: FrameSize {
                width: 1280,
                height: 720,
            },
            picture_size: None,
            scenes: 8,
            pose: true,
            bbox: false,
            persons: 1,
            ids: false,
            notifications: true,
            seed: 1,
            faithful: true,
            wait_for_client: false,
            faults: Faults::default(),
            heartbeat: Duration::from_secs(30),
            keepalive: Duration::from_secs(20),
            linger: Duration::from_secs(10),
            token_life: Duration::from_secs(60 * 60),
            login_time: Duration::from_millis(250),
            local_offset: time::UtcOffset::UTC,
            clock: None,
            tls: None,
        }
    }
}

impl Options {
    /// Refuses values that cannot work.
    pub fn check(&self) -> Result<(), Error> {
        let range = |option, value: u32, low: u32, high: u32| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::Option {
                option,
                found: value.to_string(),
                expected: format!("{low} to {high}"),
            })
        };
        range("cameras", self.cameras, 1, MAX_CAMERAS)?;
        range("shops", self.shops, 1, MAX_SHOPS)?;
        range("burst", self.burst, 1, 100_000)?;
        range("scenes", self.scenes, 1, 256)?;
        range("persons", self.persons, 1, MAX_PERSONS)?;
        if self.rate.is_nan() || self.rate < 0.0 {
            return Err(Error::Option {
                option: "rate",
                found: self.rate.to_string(),
                expected: "alerts per second: 0 or more, or inf for as fast as possible".to_owned(),
            });
        }
        for (option, value) in [("heartbeat", self.heartbeat), ("keepalive", self.keepalive)] {
            if value < Duration::from_millis(1) {
                return Err(Error::Option {
                    option,
                    found: format!("{value:?}"),
                    expected: "1 ms or more".to_owned(),
                });
            }
        }
        FrameSize::new(self.frame.width, self.frame.height)?;
        Ok(())
    }
}

/// Width and height of a picture, in pixels; reads `1280x720`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameSize {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl FrameSize {
    /// An extent within [`MIN_FRAME_SIDE_PIXELS`] and [`MAX_FRAME_SIDE_PIXELS`].
    pub fn new(width: u32, height: u32) -> Result<Self, Error> {
        let allowed = MIN_FRAME_SIDE_PIXELS..=MAX_FRAME_SIDE_PIXELS;
        if allowed.contains(&width) && allowed.contains(&height) {
            return Ok(Self { width, height });
        }
        Err(Error::FrameSize {
            input: format!("{width}x{height}"),
            reason: format!("each side is {MIN_FRAME_SIDE_PIXELS} to {MAX_FRAME_SIDE_PIXELS} pixels"),
        })
    }
}

impl fmt::Display for FrameSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for FrameSize {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::FrameSize {
            input: input.to_owned(),
            reason: reason.to_owned(),
        };
        let (width, height) = input
            .split_once(['x', 'X'])
            .ok_or_else(|| refuse("there is no x in it"))?;
        let side = |text: &str| {
            text.parse::<u32>()
                .map_err(|_| refuse("a side is not a whole number"))
        };
        Self::new(side(width)?, side(height)?)
    }
}

/// A number of bytes; reads `60KB`, `60KiB`, `2MB`, `2MiB`, `4096`. KB is 1,000 bytes and KiB 1,024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureSize(pub usize);

impl FromStr for PictureSize {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self, Error> {
        let refuse = || Error::PictureSize {
            input: input.to_owned(),
        };
        let digits = input.find(|c: char| !c.is_ascii_digit()).unwrap_or(input.len());
        let (number, unit) = input.split_at(digits);
        let unit_bytes = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" => 1_000,
            "kib" => 1_024,
            "m" | "mb" => 1_000_000,
            "mib" => 1_024 * 1_024,
            _ => return Err(refuse()),
        };
        let number: usize = number.parse().map_err(|_| refuse())?;
        let bytes = number.checked_mul(unit_bytes).ok_or_else(refuse)?;
        if bytes == 0 || bytes > MAX_PICTURE_BYTES {
            return Err(refuse());
        }
        Ok(Self(bytes))
    }
}

/// A certificate chain and its private key, both PEM.
#[derive(Clone)]
pub struct Tls {
    /// The server's certificate, then its issuers.
    pub certificate_pem: String,
    /// The private key of the first certificate.
    pub key_pem: String,
}

impl fmt::Debug for Tls {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check<T: FromStr<Err = Error> + fmt::Debug>(input: &str, expected: Expect) {
        let found = input
            .parse::<T>()
            .map_or_else(|e| e.to_string(), |v| format!("{v:?}"));
        expected.assert_eq(&found);
    }

    #[test]
    fn extents_are_read_or_refused_with_a_reason() {
        check::<FrameSize>("1280x720", expect!["FrameSize { width: 1280, height: 720 }"]);
        check::<FrameSize>(
            "1280",
            expect![[
                r#""1280" is no picture extent: expected WIDTHxHEIGHT in pixels, like 1280x720 (there is no x in it)"#
            ]],
        );
        check::<FrameSize>(
            "ax720",
            expect![[
                r#""ax720" is no picture extent: expected WIDTHxHEIGHT in pixels, like 1280x720 (a side is not a whole number)"#
            ]],
        );
        check::<FrameSize>(
            "8x8",
            expect![[
                r#""8x8" is no picture extent: expected WIDTHxHEIGHT in pixels, like 1280x720 (each side is 32 to 7680 pixels)"#
            ]],
        );
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        check::<PictureSize>("60KB", expect!["PictureSize(60000)"]);
        check::<PictureSize>("2 MiB", expect!["PictureSize(2097152)"]);
        check::<PictureSize>("4096", expect!["PictureSize(4096)"]);
        check::<PictureSize>(
            "60 apples",
            expect![[
                r#""60 apples" is no picture size: expected a number of bytes with an optional unit, like 60KB or 2MB"#
            ]],
        );
    }

    #[test]
    fn options_out_of_range_are_named() {
        let refused = Options {
            cameras: 0,
            ..Options::default()
        }
        .check();
        expect!["option cameras is 0: expected 1 to 1000"].assert_eq(&refused.unwrap_err().to_string());
        let refused = Options {
            rate: -1.0,
            ..Options::default()
        }
        .check();
        expect!["option rate is -1: expected alerts per second: 0 or more, or inf for as fast as possible"]
            .assert_eq(&refused.unwrap_err().to_string());
        Options {
            rate: f64::INFINITY,
            ..Options::default()
        }
        .check()
        .unwrap();
    }
}
