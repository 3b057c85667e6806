//! An attempt to connect: who the hub is, whether the server has released the slot, the handshake, and what a refusal
//! means.

use std::rc::Rc;
use std::time::Duration;

use actix::SpawnHandle;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::time::sleep;
use watchpost_core::{ConnectFailure, FailureKind};

use super::api::{Api, Slot};
use super::context::ConnectionContext;
use super::credentials::{Renewed, Session};
use super::diagnose::diagnose;
use super::transport::WebSocket;

/// Before a reconnect, the server gets this long to forget the socket before it.
pub(super) const MAX_SLOT_RELEASE: Duration = Duration::from_secs(3);

/// How often it is asked meanwhile.
const SLOT_RELEASE_INTERVAL: Duration = Duration::from_millis(100);

/// A socket that has just been opened, and as whom.
pub(super) struct Dialed {
    pub(super) socket: WebSocket,
    pub(super) user_id: String,
}

/// What becomes of an attempt.
type Attempt = LocalBoxFuture<'static, Result<Dialed, ConnectFailure>>;

/// Makes the attempts of a connection, one at a time.
pub(super) struct Dialer {
    /// How an attempt is made. The text is what the server called the socket before it.
    dial: Box<dyn Fn(Rc<ConnectionContext>, Option<String>) -> Attempt>,
    attempt: Option<SpawnHandle>,
}

impl Dialer {
    /// Attempts over the network.
    pub(super) fn new() -> Self {
        Self::with(|context, previous| dial(context, previous).boxed_local())
    }

    /// Attempts that are made like this.
    pub(super) fn with(dial: impl Fn(Rc<ConnectionContext>, Option<String>) -> Attempt + 'static) -> Self {
        Self {
            dial: Box::new(dial),
            attempt: None,
        }
    }

    /// Makes an attempt. `previous` is what the server called the socket before this one.
    pub(super) fn dial(&self, context: &Rc<ConnectionContext>, previous: Option<String>) -> Attempt {
        (self.dial)(Rc::clone(context), previous)
    }

    /// An attempt is in flight.
    pub(super) fn began(&mut self, attempt: SpawnHandle) {
        self.attempt = Some(attempt);
    }

    /// The attempt has ended, or is to be cancelled, which is up to the caller.
    pub(super) fn take(&mut self) -> Option<SpawnHandle> {
        self.attempt.take()
    }
}

async fn dial(context: Rc<ConnectionContext>, previous: Option<String>) -> Result<Dialed, ConnectFailure> {
    let ConnectionContext { api, credentials, .. } = &*context;
    let Renewed { session, kept } = credentials.renew(api).await?;
    wait_slot_released(api, &session, previous).await;
    match open(&context, session).await {
        // It comes from an earlier login: the attempt goes on with a new one, for instance as a user that was made again.
        Err(e) if e.kind.ends_session() && kept => {
            open(&context, credentials.renew(api).await?.session).await
        }
        outcome => outcome,
    }
}

/// The handshake, and why it was refused. A session that is of no use any more is forgotten.
async fn open(context: &ConnectionContext, session: Session) -> Result<Dialed, ConnectFailure> {
    let Session { user_id, token } = &session;
    match context.api.dial(user_id, token).await {
        Ok(socket) => Ok(Dialed {
            socket,
            user_id: session.user_id,
        }),
        Err(refusal) if refusal.kind == FailureKind::Forbidden => {
            let why = diagnose(&context.api, user_id, token, context.clock.unix(), refusal).await;
            if why.kind.ends_session() {
                context.credentials.forget(&session);
            }
            Err(why)
        }
        // What refused the WebSocket has not said where it leads.
        Err(refusal) if refusal.kind == FailureKind::Redirected => {
            Err(context.api.me(token).await.err().unwrap_or(refusal))
        }
        Err(e) => Err(e),
    }
}

/// Waits until the server has forgotten the socket before this one: it would forget the new one with it.
async fn wait_slot_released(api: &Api, session: &Session, previous: Option<String>) {
    let Some(previous) = previous else { return };
    let looks = MAX_SLOT_RELEASE.as_millis() / SLOT_RELEASE_INTERVAL.as_millis();
    for _ in 0..looks {
        match api.slot(&session.user_id).await {
            Ok(Slot::Held(socket)) if socket.connected_at.as_ref() == Some(&previous) => {
                sleep(SLOT_RELEASE_INTERVAL).await;
            }
            _ => return,
        }
    }
}
