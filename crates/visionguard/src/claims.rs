//! A peek into a token. It verifies nothing: the backend's key is the backend's.

use std::time::Duration;

use serde::Deserialize;

/// What a token says of itself. The login reply has no `expires_in`, so this is how to know when to log in
/// again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// The user's id; it must equal the one in the alert socket's address.
    pub sub: Option<String>,
    /// When it expires, in seconds since 1970.
    pub exp: Option<i64>,
    /// When it was made, in seconds since 1970.
    pub iat: Option<i64>,
    /// `refresh` in a refresh token, absent in an access token.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

/// Why a text is no token to peek into. It never quotes the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenProblem {
    /// Not three parts.
    #[error(
        "the token is not a JWT: three parts with dots between them were expected, and there are {parts}"
    )]
    Parts {
        /// How many there are.
        parts: usize,
    },
    /// The middle part is no base64.
    #[error("the token is not a JWT: its second part is not base64 (was it cut off when copied?)")]
    NotBase64,
    /// The middle part holds no claims.
    #[error("the token is not a JWT: its second part does not hold claims (sub, exp)")]
    NotClaims,
    /// It exceeds every real token.
    #[error("the token is not a JWT: it has {bytes} bytes, more than the {MAX_TOKEN_BYTES} allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
}

/// Longest token, in bytes: no proxy takes a longer line.
const MAX_TOKEN_BYTES: usize = 8 << 10;

impl Claims {
    /// How long the token lives, by the two times in it, so that it does not matter whether the clocks agree.
    pub fn lifetime(&self) -> Option<Duration> {
        let seconds = u64::try_from(self.exp?.checked_sub(self.iat?)?).ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// Reads the claims of a JWT (RFC 7519) without verifying it.
    ///
    /// # Errors
    /// When the text is not of a JWT's form.
    pub fn peek(token: &str) -> Result<Self, TokenProblem> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenProblem::TooLong { bytes: token.len() });
        }
        let mut parts = token.split('.');
        let (Some(_), Some(payload), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenProblem::Parts {
                parts: token.split('.').count(),
            });
        };
        let payload = base64_simd::URL_SAFE_NO_PAD
            .decode_to_vec(payload.trim_end_matches('='))
            .map_err(|_| TokenProblem::NotBase64)?;
        serde_json::from_slice(&payload).map_err(|_| TokenProblem::NotClaims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!(
            "eyJhbGciOiJIUzI1NiJ9.{}.c2ln",
            base64_simd::URL_SAFE_NO_PAD.encode_to_string(payload)
        )
    }

    #[test]
    fn the_backends_claims_are_read() {
        let claims = Claims::peek(&token(
            r#"{"sub":"u-1","email":"a@b.c","role":"OWNER","exp":1795400190,"iat":1795396590}"#,
        ));
        let expected = Claims {
            sub: Some("u-1".into()),
            exp: Some(1_795_400_190),
            iat: Some(1_795_396_590),
            kind: None,
        };
        assert_eq!(expected.lifetime(), Some(Duration::from_secs(3_600)));
        assert_eq!(claims, Ok(expected));
        assert_eq!(
            Claims::peek(&token(r#"{"type":"refresh"}"#))
                .unwrap()
                .kind
                .as_deref(),
            Some("refresh")
        );
    }

    #[test]
    fn what_is_no_token_is_told_why() {
        assert_eq!(Claims::peek("abc"), Err(TokenProblem::Parts { parts: 1 }));
        assert_eq!(Claims::peek("a.b.c.d"), Err(TokenProblem::Parts { parts: 4 }));
        assert_eq!(Claims::peek("a.b!.c"), Err(TokenProblem::NotBase64));
        assert_eq!(Claims::peek(&token("[1]")), Err(TokenProblem::NotClaims));
        assert_eq!(
            Claims::peek(&token(r#"{"exp":"soon"}"#)),
            Err(TokenProblem::NotClaims)
        );
        assert_eq!(
            Claims::peek(&"a".repeat(9000)),
            Err(TokenProblem::TooLong { bytes: 9000 })
        );
    }
}
