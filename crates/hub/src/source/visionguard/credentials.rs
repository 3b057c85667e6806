//! Who the hub is to the backend: a token that it was given, or one that it fetches and renews by itself.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use watchpost_config::ConnectionSettings;
use watchpost_core::{ConnectFailure, FailureKind, MonotonicTime, Secret};
use watchpost_visionguard::hidden;

use super::api::Api;
use crate::clock::Clock;

/// A fetched token is used for this share of its life: what is begun with it should not outlive it.
const USED_SHARE: f64 = 0.9;

/// A token that does not say how long it lives is used for this long, which is less than the backend's default.
const ASSUMED_LIFE: Duration = Duration::from_secs(30 * 60);

/// After a refused login, one is not tried again for this long while the alert socket is open: only requests beside
/// it need it, and a login keeps the backend busy for a quarter of a second.
const LOGIN_PAUSE: Duration = Duration::from_secs(30);

/// A user, and the token that proves to be it.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) user_id: String,
    pub(super) token: Secret,
}

/// For an attempt to connect.
#[derive(Clone, Debug)]
pub(super) struct Renewed {
    pub(super) session: Session,
    /// Whether it comes from an earlier login, so that a new one may give what this one does not.
    pub(super) kept: bool,
}

/// Shared by what a connection does at once. At most one login is in flight.
pub(super) struct Credentials {
    settings: Arc<ConnectionSettings>,
    clock: Clock,
    /// The fetched session, and until when it is used.
    session: RefCell<Option<(Session, MonotonicTime)>>,
    /// Held by whoever logs in.
    login: tokio::sync::Mutex<()>,
    refused: Cell<Option<MonotonicTime>>,
}

impl Credentials {
    pub(super) fn new(settings: Arc<ConnectionSettings>, clock: Clock) -> Self {
        Self {
            settings,
            clock,
            session: RefCell::new(None),
            login: tokio::sync::Mutex::new(()),
            refused: Cell::new(None),
        }
    }

    /// For an attempt to connect: the token as it is now, or a login.
    pub(super) async fn renew(&self, api: &Api) -> Result<Renewed, ConnectFailure> {
        if let Some(token) = &self.settings.token {
            let token = token.read().map_err(|e| unreadable(&e))?;
            let user_id = self.settings.user_id.clone().unwrap_or_default();
            let session = Session { user_id, token };
            return Ok(Renewed { session, kept: false });
        }
        let _alone = self.login.lock().await;
        if let Some(session) = self.fetched() {
            return Ok(Renewed { session, kept: true });
        }
        let outcome = self.log_in(api).await;
        self.refused.set(outcome.is_err().then(|| self.clock.now()));
        outcome.map(|session| Renewed { session, kept: false })
    }

    /// For a request beside the open socket: the session at hand, or a login unless one has just failed.
    pub(super) async fn at_hand(&self, api: &Api) -> Result<Session, ConnectFailure> {
        let paused = |at: MonotonicTime| self.clock.now().since(at) < LOGIN_PAUSE;
        if self.settings.token.is_none() && self.fetched().is_none() && self.refused.get().is_some_and(paused)
        {
            return Err(ConnectFailure {
                kind: FailureKind::Login,
                detail: "it was refused a moment ago".to_owned(),
            });
        }
        self.renew(api).await.map(|renewed| renewed.session)
    }

    /// The session at hand if it needs no login, for requests while the socket is not open: each attempt to open it
    /// logs in once, and nothing else does.
    pub(super) fn still_good(&self) -> Option<Session> {
        match &self.settings.token {
            Some(token) => Some(Session {
                user_id: self.settings.user_id.clone().unwrap_or_default(),
                token: token.read().ok()?,
            }),
            None => self.fetched(),
        }
    }

    /// The token was refused: it is not used again.
    pub(super) fn forget(&self, session: &Session) {
        let mut kept = self.session.borrow_mut();
        if kept.as_ref().is_some_and(|(kept, _)| kept.token == session.token) {
            *kept = None;
        }
    }

    /// A text of the backend's without the token, which it may repeat.
    pub(super) fn hide(&self, text: &str) -> String {
        let session = self.still_good();
        session.map_or_else(|| text.to_owned(), |session| hidden(text, &session.token))
    }

    fn fetched(&self) -> Option<Session> {
        let kept = self.session.borrow();
        let (session, until) = kept.as_ref()?;
        (self.clock.now() < *until).then(|| session.clone())
    }

    async fn log_in(&self, api: &Api) -> Result<Session, ConnectFailure> {
        let Some(login) = &self.settings.login else {
            return Err(unreadable(&"neither a token nor a login is configured"));
        };
        let password = login.password.read().map_err(|e| unreadable(&e))?;
        let asked = self.clock.now();
        let reply = api.login(&login.email, &password).await?;
        // By the length of its life and not by its end: the two clocks need not agree.
        let life = reply.lifetime().unwrap_or(ASSUMED_LIFE);
        let session = Session {
            user_id: self.settings.user_id.clone().unwrap_or(reply.user.id),
            token: reply.access_token,
        };
        *self.session.borrow_mut() = Some((session.clone(), asked + life.mul_f64(USED_SHARE)));
        Ok(session)
    }
}

fn unreadable(problem: &dyn std::fmt::Display) -> ConnectFailure {
    ConnectFailure {
        kind: FailureKind::Credentials,
        detail: problem.to_string(),
    }
}
