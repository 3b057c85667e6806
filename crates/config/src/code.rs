//! Codes of persons, of which the file has the hash only. It does not know who has one, nor what for.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher as _, PasswordVerifier as _};
use serde::Deserialize;

/// Characters that a code may have.
const CODE_LENGTH: std::ops::RangeInclusive<usize> = 4..=32;

/// What one try may take: a file must not be able to hold up the hub. By default it is 19 MiB and two passes.
const MAX_KIB: u32 = 64 << 10;
/// See [`MAX_KIB`].
const MAX_PASSES: u32 = 10;
/// See [`MAX_KIB`].
const MAX_LANES: u32 = 4;

/// The argon2id hash of a code, in the usual form (PHC): `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct CodeHash(String);

/// Why something is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a code has {} to {} letters, digits and signs (ASCII), without spaces",
    CODE_LENGTH.start(),
    CODE_LENGTH.end()
)]
pub struct BadCode;

/// Why a text is no hash of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCodeHash {
    /// It is something else, perhaps the code itself.
    #[error("is no argon2id hash")]
    Form,
    /// To try a code would take too long.
    #[error("takes more than {} MiB, {MAX_PASSES} passes or {MAX_LANES} lanes", MAX_KIB >> 10)]
    Costly,
}

impl CodeHash {
    /// The hash of this code, with a salt that is new each time. It takes a while, and memory.
    ///
    /// # Errors
    /// When it cannot be a code.
    pub fn of(code: &str) -> Result<Self, BadCode> {
        if !is_code(code) {
            return Err(BadCode);
        }
        let hash = Argon2::default().hash_password(code.as_bytes());
        hash.map(|hash| Self(hash.to_string())).map_err(|_| BadCode)
    }

    /// Whether this is the code. It takes a while, and memory, whatever it is given.
    pub fn is_of(&self, code: &str) -> bool {
        Argon2::default()
            .verify_password(code.as_bytes(), self.0.as_str())
            .is_ok()
    }

    /// As it stands in the file.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether this can be a code: what can be typed at any key pad, and cannot be taken for something else.
fn is_code(text: &str) -> bool {
    CODE_LENGTH.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether it can be tried whether a code is that of which this is the hash.
pub(crate) fn check(text: &str) -> Result<(), BadCodeHash> {
    let hash = PasswordHash::new(text).map_err(|_| BadCodeHash::Form)?;
    if hash.algorithm.as_str() != "argon2id" || hash.salt.is_none() || hash.hash.is_none() {
        return Err(BadCodeHash::Form);
    }
    let params = Params::try_from(&hash).map_err(|_| BadCodeHash::Form)?;
    if params.m_cost() > MAX_KIB || params.t_cost() > MAX_PASSES || params.p_cost() > MAX_LANES {
        return Err(BadCodeHash::Costly);
    }
    Ok(())
}

impl TryFrom<String> for CodeHash {
    type Error = BadCodeHash;

    fn try_from(text: String) -> Result<Self, BadCodeHash> {
        check(&text).map(|()| Self(text))
    }
}

/// A code of four digits is found from its hash in minutes.
impl fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 1234, at the least cost.
    const CHEAP: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$mRqvs1SvdUK3uqjvRGNnwpgpfzOZ9ZFCF5XDuEXZFlE";

    #[test]
    fn a_code_is_known_by_its_hash_and_by_no_other() {
        let hash = CodeHash::of("4711").unwrap();
        assert!(hash.is_of("4711") && !hash.is_of("4712") && !hash.is_of(""));
        assert_eq!(check(hash.as_str()), Ok(()));
        assert_ne!(hash, CodeHash::of("4711").unwrap(), "each has a salt of its own");
        assert_eq!(format!("{hash:?}"), "***");
    }

    #[test]
    fn what_cannot_be_typed_is_no_code() {
        for bad in ["", "123", "12 34", "12\n34", "\u{fc}ber", &"1".repeat(33)] {
            assert_eq!(CodeHash::of(bad), Err(BadCode), "{bad:?}");
        }
    }

    #[test]
    fn only_a_hash_that_can_be_tried_is_one() {
        for (hash, expected) in [
            (CHEAP.to_owned(), Ok(())),
            ("1234".to_owned(), Err(BadCodeHash::Form)),
            (String::new(), Err(BadCodeHash::Form)),
            (CHEAP.replace("argon2id", "argon2d"), Err(BadCodeHash::Form)),
            (CHEAP.replace("m=8", "m=4"), Err(BadCodeHash::Form)),
            (
                CHEAP.rsplit_once('$').unwrap().0.to_owned(),
                Err(BadCodeHash::Form),
            ),
            (CHEAP.replace("m=8", "m=1048576"), Err(BadCodeHash::Costly)),
            (CHEAP.replace("t=1", "t=1000"), Err(BadCodeHash::Costly)),
            (
                CHEAP.replace("m=8,t=1,p=1", "m=128,t=1,p=16"),
                Err(BadCodeHash::Costly),
            ),
        ] {
            assert_eq!(check(&hash), expected, "{hash}");
        }
    }
}
