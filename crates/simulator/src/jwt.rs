//! JSON Web Tokens (RFC 7519) signed with HS256, the one algorithm that the backend uses. What the claims mean is not
//! known here.

use base64_simd::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What every token begins with, before it is encoded.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// The key that signs and checks.
pub(crate) struct Key(hmac::Key);

impl Key {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The token that says this.
    pub(crate) fn encode(&self, claims: &impl Serialize) -> serde_json::Result<String> {
        let claims = URL_SAFE_NO_PAD.encode_to_string(serde_json::to_vec(claims)?);
        let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode_to_string(HEADER));
        let signature = hmac::sign(&self.0, signed.as_bytes());
        Ok(format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode_to_string(signature)
        ))
    }

    /// What a token says, if this key has signed it.
    pub(crate) fn decode<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode_to_vec(part).ok();
        // A token names its own algorithm, and one that names `none` proves nothing.
        let header: Value = serde_json::from_slice(&bytes(header)?).ok()?;
        if header["alg"] != "HS256" {
            return None;
        }
        hmac::verify(&self.0, signed.as_bytes(), &bytes(signature)?).ok()?;
        serde_json::from_slice(&bytes(claims)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_read() {
        // RFC 7515, appendix A.1.
        let secret = URL_SAFE_NO_PAD
            .decode_to_vec(
                "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
            )
            .unwrap();
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA\
            6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let claims: Value = Key::new(&secret).decode(token).unwrap();
        assert_eq!(claims["iss"], "joe");
    }

    #[test]
    fn a_token_is_read_back_with_its_own_key_only() {
        let key = Key::new(b"secret");
        let token = key.encode(&serde_json::json!({ "sub": "a" })).unwrap();
        assert_eq!(key.decode::<Value>(&token).unwrap()["sub"], "a");
        assert_eq!(Key::new(b"other").decode::<Value>(&token), None);
        let (_, rest) = token.split_once('.').unwrap();
        let none = URL_SAFE_NO_PAD.encode_to_string(r#"{"alg":"none"}"#);
        assert_eq!(key.decode::<Value>(&format!("{none}.{rest}")), None);
    }
}
