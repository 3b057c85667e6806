//! Who we are: tokens, passwords and the key that signs.

use base64_simd::STANDARD;
use ring::hmac;
use watchpost_sink::{Fail, secret};

use crate::config::{Config, Preset};

/// Begins a signing key that is written in base64.
const KEY_MARK: &str = "whsec_";

/// What a secret looks like in a log.
const HIDDEN: &str = "[secret]";

/// The secrets of one sink.
pub(crate) struct Credentials {
    token: Option<String>,
    authorization: Option<String>,
    signing_key: Option<hmac::Key>,
    secrets: Vec<String>,
    /// The key of the configuration that holds them, as a JSON pointer.
    key: &'static str,
}

impl Credentials {
    /// Reads the files that the configuration names.
    pub(crate) fn new(config: &Config) -> Result<Self, Fail> {
        let token = secret::either("/token_file", config.token.as_ref(), config.token_file.as_deref())?;
        let password = secret::either(
            "/password_file",
            config.password.as_ref(),
            config.password_file.as_deref(),
        )?;
        let signing = secret::either(
            "/signing_key_file",
            config.signing_key.as_ref(),
            config.signing_key_file.as_deref(),
        )?;
        let bearer = config.preset.is_none_or(Preset::bears_token);
        let authorization = match (&config.user, &password, &token) {
            (Some(user), Some(password), _) => {
                let pair = STANDARD.encode_to_string(format!("{user}:{password}"));
                Some(format!("Basic {pair}"))
            }
            (_, _, Some(token)) if bearer => Some(format!("Bearer {token}")),
            _ => None,
        };
        let signing_key = signing.as_deref().map(signing_key).transpose()?;
        let key = match config {
            Config {
                token_file: Some(_), ..
            } => "/token_file",
            Config { token: Some(_), .. } => "/token",
            Config {
                password_file: Some(_),
                ..
            } => "/password_file",
            Config {
                password: Some(_), ..
            } => "/password",
            // There are none; or they are part of the address.
            _ => "/url",
        };
        let secrets = [token.clone(), password].into_iter().flatten().collect();
        Ok(Self {
            token,
            authorization,
            signing_key,
            secrets,
            key,
        })
    }

    /// The token.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The key of the configuration that holds them, as a JSON pointer.
    pub(crate) fn key(&self) -> &'static str {
        self.key
    }

    /// The value of the header `Authorization`.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// The headers of a signed message (Standard Webhooks 1.0.0, "Signature scheme"); none without a key.
    pub(crate) fn sign(&self, id: &str, unix_seconds: u64, body: &[u8]) -> Vec<(&'static str, String)> {
        let Some(key) = &self.signing_key else {
            return Vec::new();
        };
        let mut context = hmac::Context::with_key(key);
        context.update(format!("{id}.{unix_seconds}.").as_bytes());
        context.update(body);
        let signature = STANDARD.encode_to_string(context.sign());
        vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", unix_seconds.to_string()),
            ("webhook-signature", format!("v1,{signature}")),
        ]
    }

    /// The text without the secrets it may repeat.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret, HIDDEN);
        }
        text
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

fn signing_key(text: &str) -> Result<hmac::Key, Fail> {
    let bytes = match text.strip_prefix(KEY_MARK) {
        Some(encoded) => STANDARD.decode_to_vec(encoded).map_err(|_| {
            Fail::bad_config(
                "/signing_key",
                format_args!("after `{KEY_MARK}` comes the key in base64"),
            )
        })?,
        None => text.as_bytes().to_vec(),
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // The example of the Standard Webhooks libraries (`signature` in their test suites).
        let credentials = Credentials {
            token: None,
            authorization: None,
            signing_key: Some(signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()),
            secrets: Vec::new(),
            key: "/url",
        };
        let body = br#"{"test": 2432232314}"#;
        let headers = credentials.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        let signature = &headers[2].1;
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
