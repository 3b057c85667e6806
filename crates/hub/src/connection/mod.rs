//! One `[[connection]]`: the actor that owns its socket. It reads always, hands alerts to the store and
//! acknowledges what the store has on disk. When to connect and when to give up is
//! [`watchpost_core::Link`]'s to say; what a message means is [`intake`]'s.

mod assemble;
mod backfill;
mod credentials;
mod dial;
mod intake;
mod messages;
mod notice;
mod report;
mod slot;
mod socket;
mod write_back;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_http::ws::{Frame, Message as WsMessage, ProtocolError};
use bytes::Bytes;
use tokio::sync::oneshot;
use tracing::{debug, error};
use watchpost_config::ConnectionSettings;
use watchpost_core::{
    AlertIds, BackoffPolicy, CloseReason, ConnectFailure, Correlator, FailureKind, HeartbeatPolicy, HubEvent,
    Link, LinkEffect, LinkEvent, LinkPolicy, LinkState, MonotonicTime, OutageTracker, RateLimitedCounter,
    SlotWatch,
};
use watchpost_visionguard::{Backend, outgoing};

use self::assemble::{Assembled, Assembler};
use self::backfill::{Backfill, SETTLE};
use self::credentials::Credentials;
use self::intake::{Intake, Understood};
pub(crate) use self::messages::{ReportConnection, StopConnection};
pub use self::report::{ConnectionReport, ConnectionState, Counters, LastFailure};
use self::slot::MAX_FREEING;
use self::socket::Socket;
use crate::backend::Api;
use crate::clock::Clock;
use crate::store::{Accept, Readers, StoreHandle};

/// How long the server may take for its half of the close handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// An attempt is given up after this many times `connect_timeout`, in case its steps (login, handshake, and the question
/// why it was refused), which have limits of their own, hang all the same.
const ATTEMPT_FACTOR: u32 = 7;

/// How long the slot is left to a client that fights for it. What happens meanwhile is fetched over REST.
const CONTEST_PAUSE: Duration = Duration::from_secs(300);

/// Alerts dropped are told of no more often than this.
const DROPPED_INTERVAL: Duration = Duration::from_secs(60);

/// What a connection needs from the rest of the hub.
#[derive(Clone)]
pub(crate) struct ConnectionParts {
    pub(crate) settings: Arc<ConnectionSettings>,
    pub(crate) backend: Backend,
    /// How long it may be away before that is told.
    pub(crate) link_grace: Duration,
    pub(crate) clock: Clock,
    pub(crate) store: StoreHandle,
    pub(crate) readers: Readers,
    pub(crate) ids: Arc<AlertIds>,
}

/// The actor. It lives on an arbiter of its own, so that nothing else can keep it from reading.
pub(crate) struct Connection {
    settings: Arc<ConnectionSettings>,
    clock: Clock,
    link: Link,
    api: Rc<Api>,
    credentials: Rc<Credentials>,
    intake: Intake,
    store: StoreHandle,
    readers: Readers,
    ids: Arc<AlertIds>,
    assembler: Assembler,
    slot: SlotWatch,
    slot_timer: Option<SpawnHandle>,
    pairing: Correlator,
    backfill: Backfill,
    /// Records being fetched because a notification told of them.
    fetching: usize,
    absence: OutageTracker,
    absence_timer: Option<SpawnHandle>,
    attempt: Option<SpawnHandle>,
    socket: Option<Socket>,
    wake: Option<(MonotonicTime, SpawnHandle)>,
    /// Size of the alerts that the store has not confirmed yet.
    in_hand_bytes: usize,
    in_hand: usize,
    counters: Counters,
    /// Alerts dropped that nobody has been told of.
    dropped: RateLimitedCounter,
    last_failure: Option<LastFailure>,
    /// Said once for a repeated failure.
    logged_failure: Option<FailureKind>,
    /// Why the socket is about to end, once that is known.
    ending: String,
    stopping: Option<Vec<oneshot::Sender<()>>>,
}

impl Connection {
    pub(crate) fn new(parts: ConnectionParts) -> Self {
        let ConnectionParts {
            settings,
            backend,
            link_grace,
            clock,
            store,
            readers,
            ids,
        } = parts;
        let max_message = usize::try_from(settings.max_message.0).unwrap_or(usize::MAX);
        Self {
            link: Link::new(link_policy(&settings), fastrand::u64(..)),
            api: Rc::new(Api::new(backend, &settings)),
            credentials: Credentials::new(Arc::clone(&settings), clock),
            slot: SlotWatch::new(settings.slot.interval.into()),
            slot_timer: None,
            pairing: Correlator::default(),
            backfill: Backfill::default(),
            fetching: 0,
            readers,
            ids: Arc::clone(&ids),
            absence: OutageTracker::new(link_grace, clock.now()),
            absence_timer: None,
            intake: Intake::new(&settings, ids),
            assembler: Assembler::new(max_message),
            settings,
            clock,
            store,
            attempt: None,
            socket: None,
            wake: None,
            in_hand_bytes: 0,
            in_hand: 0,
            counters: Counters::default(),
            dropped: RateLimitedCounter::new(DROPPED_INTERVAL),
            last_failure: None,
            logged_failure: None,
            ending: String::new(),
            stopping: None,
        }
    }

    /// Gives the link an event and does what it says.
    fn step(&mut self, event: LinkEvent, ctx: &mut Context<Self>) {
        match self.link.step(self.clock.now(), event) {
            None => {}
            Some(LinkEffect::Connect { attempt }) => self.connect(attempt, ctx),
            Some(LinkEffect::Abandon) => {
                if let Some(attempt) = self.attempt.take() {
                    ctx.cancel_future(attempt);
                }
                if !matches!(self.link.state(), LinkState::Stopped) {
                    let detail = "the server did not answer in time".to_owned();
                    self.note_failure(ConnectFailure {
                        kind: FailureKind::Timeout,
                        detail,
                    });
                }
            }
            Some(LinkEffect::Ping) => {
                self.counters.pings_sent += 1;
                let ping = outgoing::ping(self.clock.utc());
                self.send(WsMessage::Text(ping.into()), ctx);
            }
            Some(LinkEffect::Close(reason)) => self.close(reason, ctx),
            Some(LinkEffect::Drop) => self.drop_socket(ctx),
        }
        if let LinkState::Stopped = self.link.state() {
            ctx.stop();
        }
        self.tell_dropped();
        self.arm(ctx);
        self.arm_absence(ctx);
    }

    /// Raises the event of the alerts dropped, when it is time for it. It is stored when the store works again.
    fn tell_dropped(&mut self) {
        if let Some(count) = self.dropped.take(self.clock.now()) {
            let connection = self.settings.name.clone();
            self.store.raise(HubEvent::AlertsDropped { connection, count });
        }
    }

    /// Sees to it that [`LinkEvent::Wake`] comes in time. A wake that comes too early does nothing, so
    /// the timer need not be moved with every message heard.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let Some(deadline) = self.link.deadline() else {
            return;
        };
        if let Some((at, timer)) = self.wake {
            if at <= deadline {
                return;
            }
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later(deadline.since(self.clock.now()), |this, ctx| {
            this.wake = None;
            this.step(LinkEvent::Wake, ctx);
        });
        self.wake = Some((deadline, timer));
    }

    fn message(&mut self, text: &Bytes, ctx: &mut Context<Self>) {
        match self.intake.understand(text, self.clock, &mut self.counters) {
            Understood::Ping => {
                let pong = outgoing::pong(self.clock.utc());
                self.counters.pings_answered += 1;
                self.send(WsMessage::Text(pong.into()), ctx);
            }
            Understood::Pong => self.step(LinkEvent::Pong, ctx),
            Understood::Alert(arrival) => self.accept(*arrival, ctx),
            Understood::Notification(told) => self.notified(told, ctx),
            Understood::Nothing => {}
        }
    }

    fn accept(&mut self, arrival: intake::Arrived, ctx: &mut Context<Self>) {
        if arrival.ack.is_some() {
            self.counters.received += 1;
        }
        let full = !self.has_room_for(arrival.bytes);
        if full || self.stopping.is_some() {
            // Dropped without an acknowledgement: reading must go on, or the server stalls for its user.
            if full && self.counters.dropped == 0 {
                error!(
                    connection = %self.settings.name,
                    "alerts come faster than the store can take them: those beyond intake_buffer = {} are dropped unacknowledged",
                    self.settings.intake_buffer
                );
            }
            self.counters.dropped += 1;
            self.dropped.add(1);
            self.backfill_in(SETTLE, ctx);
            return;
        }
        self.in_hand += 1;
        self.in_hand_bytes += arrival.bytes;
        if arrival.ack.is_some() {
            let alert = &arrival.alert;
            let person_id = alert.visionguard.as_ref().map_or(0, |fields| fields.person_id);
            self.pairing.alert(alert.id, alert.camera_id(), person_id);
        }
        let intake::Arrived {
            alert,
            frame,
            ack,
            bytes,
        } = arrival;
        let reply = ctx.address().recipient();
        self.store.accept(Accept {
            alert,
            frame,
            ack,
            bytes,
            reply,
        });
    }

    /// Whether the buffer takes something of this size.
    fn has_room_for(&self, bytes: usize) -> bool {
        let limit = usize::try_from(self.settings.intake_buffer.0).unwrap_or(usize::MAX);
        self.in_hand == 0 || self.in_hand_bytes + bytes <= limit
    }

    /// When stopping: closes the link once the store has confirmed everything.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        if self.stopping.is_some() && self.in_hand == 0 {
            self.step(LinkEvent::Stop, ctx);
        }
    }
}

impl Actor for Connection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.arm_write_back(ctx);
        self.step(LinkEvent::Start, ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        for done in self.stopping.take().into_iter().flatten() {
            let _ = done.send(());
        }
    }
}

impl StreamHandler<Result<Frame, ProtocolError>> for Connection {
    fn handle(&mut self, frame: Result<Frame, ProtocolError>, ctx: &mut Self::Context) {
        let limit = self.settings.max_message.0;
        let frame = match frame {
            Ok(frame) => frame,
            Err(ProtocolError::Overflow) => {
                return self.step(LinkEvent::Close(CloseReason::TooLarge { limit }), ctx);
            }
            Err(ProtocolError::Io(e)) => return self.closed(format!("reading failed: {e}"), ctx),
            Err(e) => {
                debug!(connection = %self.settings.name, "{e}");
                return self.step(LinkEvent::Close(CloseReason::Protocol), ctx);
            }
        };
        match self.assembler.push(&frame) {
            Assembled::Text(text) => {
                // Control frames prove nothing: the backend's web server goes on with them when the backend itself has
                // dropped the connection.
                self.step(LinkEvent::Received, ctx);
                self.message(&text, ctx);
            }
            Assembled::Binary => self.counters.ignored += 1,
            Assembled::TooLarge => self.step(LinkEvent::Close(CloseReason::TooLarge { limit }), ctx),
            Assembled::OutOfOrder => self.step(LinkEvent::Close(CloseReason::Protocol), ctx),
            Assembled::Other => match frame {
                Frame::Ping(payload) => self.send(WsMessage::Pong(payload), ctx),
                Frame::Close(reason) => self.peer_closes(reason, ctx),
                _ => {}
            },
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        self.closed("the server ended the connection without a close".to_owned(), ctx);
    }
}

fn link_policy(settings: &ConnectionSettings) -> LinkPolicy {
    let ConnectionSettings {
        reconnect, heartbeat, ..
    } = settings;
    LinkPolicy {
        connect_timeout: Duration::from(settings.connect_timeout) * ATTEMPT_FACTOR + MAX_FREEING,
        close_timeout: CLOSE_TIMEOUT,
        backoff: BackoffPolicy {
            initial: reconnect.initial.into(),
            max: reconnect.max.into(),
            jitter: reconnect.jitter,
        },
        stable_after: reconnect.stable_after.into(),
        contest_pause: CONTEST_PAUSE,
        heartbeat: HeartbeatPolicy {
            interval: heartbeat.interval.into(),
            timeout: heartbeat.timeout.into(),
        },
    }
}
