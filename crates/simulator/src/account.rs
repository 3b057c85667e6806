//! The users of the simulated backend and the tokens it hands out: HS256, as the real one does.
//! It knows nothing of HTTP; what a refusal looks like on the wire is decided elsewhere.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::jwt::Key;

/// A user, as one logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Identity; the last part of the WebSocket path.
    pub user_id: Uuid,
    /// E-mail to log in with.
    pub email: String,
    /// Password to log in with.
    pub password: String,
    /// Name shown to people.
    pub name: String,
    /// `OWNER` or `MANAGER`.
    pub role: String,
    /// When the account was made, as `/auth/me` has it.
    pub created_at: OffsetDateTime,
}

impl Account {
    /// The account that opens all streams, as it follows from a seed.
    pub(crate) fn from_seed(rng: &mut fastrand::Rng, created_at: OffsetDateTime) -> Self {
        Self {
            user_id: uuid_from(rng),
            email: "operator@example.com".to_owned(),
            password: "watchpost-simulator".to_owned(),
            name: "Simulated Owner".to_owned(),
            role: "OWNER".to_owned(),
            created_at,
        }
    }

    /// Another one of the same shops, which opens no stream.
    pub(crate) fn second(rng: &mut fastrand::Rng, created_at: OffsetDateTime) -> Self {
        Self {
            user_id: uuid_from(rng),
            email: "manager@example.com".to_owned(),
            password: "watchpost-second".to_owned(),
            name: "Simulated Manager".to_owned(),
            role: "MANAGER".to_owned(),
            created_at,
        }
    }
}

/// A version 4 UUID that follows from the seed.
pub(crate) fn uuid_from(rng: &mut fastrand::Rng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.u128(..).to_be_bytes()).into_uuid()
}

/// SessionState of a refresh token, as in the real backend.
const REFRESH_LIFE: Duration = Duration::days(7);

/// What a token says; the order is the backend's.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) sub: String,
    pub(crate) email: String,
    pub(crate) role: String,
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
}

/// Signs and checks tokens.
pub(crate) struct Tokens {
    key: Key,
    access_life: Duration,
}

impl Tokens {
    pub(crate) fn new(secret: &[u8], access_life: std::time::Duration) -> Self {
        Self {
            key: Key::new(secret),
            access_life: Duration::try_from(access_life).unwrap_or(Duration::days(365)),
        }
    }

    /// A token for the account; the same within one second.
    pub(crate) fn access(&self, account: &Account, now: OffsetDateTime) -> Result<String, String> {
        self.issue(account, now, self.access_life, None)
    }

    /// The longer token, which the backend accepts wherever it accepts the other.
    pub(crate) fn refresh(&self, account: &Account, now: OffsetDateTime) -> Result<String, String> {
        self.issue(account, now, REFRESH_LIFE, Some("refresh".to_owned()))
    }

    /// A token for any claims, to try what happens with it.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, String> {
        self.key.encode(claims).map_err(|e| e.to_string())
    }

    /// The claims of a token that is well signed, not expired and not from the future; no leeway.
    pub(crate) fn verify(&self, token: &str, now: OffsetDateTime) -> Option<Claims> {
        let claims: Claims = self.key.decode(token)?;
        let now = now.unix_timestamp();
        (claims.exp > now && claims.iat <= now).then_some(claims)
    }

    fn issue(
        &self,
        account: &Account,
        now: OffsetDateTime,
        life: Duration,
        kind: Option<String>,
    ) -> Result<String, String> {
        let iat = now.unix_timestamp();
        self.sign(&Claims {
            sub: account.user_id.to_string(),
            email: account.email.clone(),
            role: account.role.clone(),
            exp: iat.saturating_add(life.whole_seconds()),
            iat,
            kind,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_up() -> (Tokens, Account, OffsetDateTime) {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let account = Account::from_seed(&mut fastrand::Rng::with_seed(1), now);
        (
            Tokens::new(b"secret", std::time::Duration::from_secs(3600)),
            account,
            now,
        )
    }

    #[test]
    fn a_token_lives_for_its_life_without_leeway() {
        let (tokens, account, now) = set_up();
        let token = tokens.access(&account, now).unwrap();
        assert_eq!(
            tokens.verify(&token, now).unwrap().sub,
            account.user_id.to_string()
        );
        assert!(tokens.verify(&token, now + Duration::seconds(3599)).is_some());
        assert!(
            tokens.verify(&token, now + Duration::seconds(3600)).is_none(),
            "expired"
        );
        assert!(
            tokens.verify(&token, now - Duration::seconds(1)).is_none(),
            "issued in the future"
        );
        assert_eq!(
            token,
            tokens.access(&account, now).unwrap(),
            "two within a second are the same"
        );
    }

    #[test]
    fn another_key_and_a_changed_token_are_refused() {
        let (tokens, account, now) = set_up();
        let other = Tokens::new(b"other", std::time::Duration::from_secs(3600));
        assert!(
            tokens
                .verify(&other.access(&account, now).unwrap(), now)
                .is_none()
        );
        assert!(tokens.verify("", now).is_none());
        assert!(tokens.verify("a.b.c", now).is_none());
    }

    #[test]
    fn a_refresh_token_is_accepted_too() {
        let (tokens, account, now) = set_up();
        let token = tokens.refresh(&account, now).unwrap();
        assert!(tokens.verify(&token, now + Duration::days(6)).is_some());
    }
}
