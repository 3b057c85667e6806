//! One `[[connection]]` to a VisionGuard backend: the actor that owns its socket. It reads always, hands alerts to the
//! store and acknowledges what the store has on disk. It only carries out what its parts decide, each of which owns its
//! state and says when it wants to be called next.

mod messages;
mod policies;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_http::ws::{self, CloseCode, Frame, Message as WsMessage, ProtocolError};
use bytes::Bytes;
use tracing::{debug, info, warn};
use watchpost_config::ConnectionSettings;
use watchpost_core::{
    CloseReason, ConnectFailure, FailureKind, HubEvent, Link, LinkEffect, LinkEvent, LinkState, SlotVerdict,
};
use watchpost_visionguard::{Backend, PictureLimits, outgoing};

use self::messages::WriteBackDue;
pub(crate) use self::messages::unanswered;
use self::policies::{heartbeat_policy, link_policy};
use super::super::{Admission, Alarm, IncomingAlert, LastFailure, LinkCounters, Outage, SourceParts};
use super::api::Api;
use super::catch_up::CatchUp;
use super::context::{ConnectionContext, bytes};
use super::credentials::Credentials;
use super::dialer::{Dialed, Dialer};
use super::fragments::Assembled;
use super::heartbeat::Heartbeat;
use super::inbox::{Inbox, ServerMessage};
use super::notification::NotificationEffect;
use super::pictures::Pictures;
use super::read_back::ReadBack;
use super::slot_probe::{SlotAnswer, SlotProbe};
use super::socket::Socket;
use super::write_back::WriteBack;

/// What a connection needs from the rest of the hub.
#[derive(Clone)]
pub(crate) struct ConnectionParts {
    pub(crate) settings: Arc<ConnectionSettings>,
    pub(crate) backend: Backend,
    pub(crate) shared: SourceParts,
}

/// The actor. It lives on an arbiter of its own, so that nothing else can keep it from reading.
pub(crate) struct Connection {
    /// What its parts work with.
    context: Rc<ConnectionContext>,
    /// Rings when the first of its parts is due.
    alarm: Alarm,
    link: Link,
    dialer: Dialer,
    socket: Option<Socket>,
    inbox: Inbox,
    slot: SlotProbe,
    catch_up: CatchUp,
    write_back: WriteBack,
    pictures: Pictures,
    read_back: ReadBack,
    /// What acknowledges an alert is the text to send.
    admission: Admission<String>,
    outage: Outage,
    counters: LinkCounters,
}

impl Connection {
    pub(crate) fn new(parts: ConnectionParts) -> Self {
        let ConnectionParts {
            settings,
            backend,
            shared,
        } = parts;
        let SourceParts {
            settings: current,
            clock,
            store,
            readers,
            ids,
            platform,
            health,
            unstored,
            deaths: _,
        } = shared;
        let (name, now) = (settings.name.clone(), clock.now());
        let limits = PictureLimits {
            max_bytes: bytes(settings.max_picture),
            ..PictureLimits::default()
        };
        let context = ConnectionContext {
            api: Api::on(platform, backend, &settings),
            credentials: Credentials::new(Arc::clone(&settings), clock),
            settings: Arc::clone(&settings),
            clock,
            store: store.clone(),
            readers,
            ids: Arc::clone(&ids),
            skew: Cell::default(),
            limits,
        };
        Self {
            context: Rc::new(context),
            alarm: Alarm::default(),
            link: Link::new(link_policy(&settings), fastrand::u64(..)),
            dialer: Dialer::new(),
            socket: None,
            inbox: Inbox::new(&settings, limits, ids),
            slot: SlotProbe::new(&settings.slot),
            catch_up: CatchUp::new(&name, &settings.backfill, unstored),
            write_back: WriteBack::new(settings.write_back, now),
            pictures: Pictures::new(now),
            read_back: ReadBack::new(settings.read_back, now),
            admission: Admission::new(name.clone(), settings.intake_buffer, store.clone()),
            outage: Outage::new(name, store, (current, health), now),
            counters: LinkCounters::default(),
        }
    }

    /// Gives the link an event and does what it says.
    fn step(&mut self, event: LinkEvent, ctx: &mut Context<Self>) {
        match self.link.step(self.context.clock.now(), event) {
            None => {}
            Some(LinkEffect::Connect { attempt }) => self.connect(attempt, ctx),
            Some(LinkEffect::Abandon) => self.abandon(ctx),
            Some(LinkEffect::Close(reason)) => self.close(reason, ctx),
            Some(LinkEffect::Drop) => self.drop_socket(ctx),
        }
        if let LinkState::Stopped = self.link.state() {
            ctx.stop();
        }
        self.arm(ctx);
    }

    /// Has the alarm ring when the first part is due.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let outage = self.outage.deadline().filter(|_| !self.admission.is_closed());
        let deadlines = [
            self.link.deadline(),
            self.slot.deadline(),
            self.catch_up.deadline(),
            self.write_back.deadline(),
            self.pictures.deadline(),
            self.read_back.deadline(),
            self.admission.deadline(),
            outage,
        ];
        let next = deadlines.into_iter().flatten().min();
        self.alarm.arm(next, self.context.clock, ctx, Self::ring);
    }

    /// Calls the parts that may be due. Those that are not do nothing.
    fn ring(&mut self, ctx: &mut Context<Self>) {
        self.alarm.rang();
        let now = self.context.clock.now();
        if let Some(ask) = self.slot.ask(&self.context) {
            ctx.spawn(ask.into_actor(self).map(Self::judge_slot));
        }
        let open_for = self.open_for();
        let missed = ctx.address().recipient();
        if let Some(pass) = self
            .catch_up
            .begin(&self.context, open_for, self.slot.user_id(), missed)
        {
            ctx.spawn(pass.into_actor(self).map(|ended, this, ctx| {
                let open = this.open_for().is_some();
                let heard = open && this.slot.is_trusted();
                let grace = this.outage.grace();
                let user_id = this.catch_up.finish(ended, open, heard, grace, &this.context);
                if user_id.is_some_and(|user_id| user_id != this.slot.user_id()) {
                    this.step(LinkEvent::Close(CloseReason::AnotherUser), ctx);
                }
                this.arm(ctx);
            }));
        }
        if let Some(pass) = self.write_back.begin(&self.context, open_for.is_some()) {
            ctx.spawn(pass.into_actor(self).map(|next_due, this, ctx| {
                this.write_back.finish(this.context.clock, next_due);
                this.arm(ctx);
            }));
        }
        if let Some(pass) = self.pictures.begin(&self.context, open_for.is_some()) {
            ctx.spawn(pass.into_actor(self).map(|ended, this, ctx| {
                this.pictures
                    .finish(ended, this.context.name(), this.context.clock);
                this.arm(ctx);
            }));
        }
        if let Some(look) = self.read_back.begin(&self.context, open_for.is_some()) {
            ctx.spawn(look.into_actor(self).map(|(), this, ctx| {
                this.read_back.finish(this.context.clock);
                this.arm(ctx);
            }));
        }
        self.admission.report_dropped(now);
        if !self.admission.is_closed() {
            self.outage.report(now);
        }
        self.step(LinkEvent::Wake, ctx);
    }

    /// How long the socket has been open, if it is.
    fn open_for(&self) -> Option<Duration> {
        match self.link.state() {
            LinkState::Open { since, .. } => Some(self.context.clock.now().since(*since)),
            _ => None,
        }
    }

    fn connect(&mut self, attempt: u64, ctx: &mut Context<Self>) {
        debug!(connection = %self.context.name(), attempt, "connecting");
        let previous = self.slot.previous().map(str::to_owned);
        let dial = self.dialer.dial(&self.context, previous);
        let attempt = ctx.spawn(dial.into_actor(self).map(Self::dialed));
        self.dialer.began(attempt);
    }

    fn dialed(outcome: Result<Dialed, ConnectFailure>, this: &mut Self, ctx: &mut Context<Self>) {
        this.dialer.take();
        match outcome {
            Ok(dialed) => this.opened(dialed, ctx),
            Err(failure) => {
                this.attempt_failed(&failure);
                this.step(LinkEvent::Failed(failure), ctx);
            }
        }
    }

    fn abandon(&mut self, ctx: &mut Context<Self>) {
        if let Some(attempt) = self.dialer.take() {
            ctx.cancel_future(attempt);
        }
        if !matches!(self.link.state(), LinkState::Stopped) {
            self.attempt_failed(&ConnectFailure {
                kind: FailureKind::Timeout,
                detail: "the server did not answer in time".to_owned(),
            });
        }
    }

    fn attempt_failed(&mut self, failure: &ConnectFailure) {
        self.counters.failed_attempts += 1;
        self.outage.failed(failure, self.context.clock.unix());
    }

    fn opened(&mut self, dialed: Dialed, ctx: &mut Context<Self>) {
        let (settings, clock) = (&self.context.settings, self.context.clock);
        info!(connection = %settings.name, attempt = self.link.attempts(), "connected");
        self.counters.opened += 1;
        let number = self.counters.opened;
        let beats = ctx.address().recipient();
        let heartbeat = Heartbeat::begin(heartbeat_policy(settings), number, clock, beats);
        let max_message = bytes(settings.max_message);
        let Dialed { socket, user_id } = dialed;
        self.socket = Some(Socket::open(
            number,
            socket,
            max_message,
            heartbeat,
            ctx,
            |written, this, ctx| {
                let how = match written {
                    Ok(()) => this
                        .socket
                        .as_mut()
                        .map(Socket::take_close_reason)
                        .unwrap_or_default(),
                    Err(e) => format!("writing failed: {e}"),
                };
                this.closed(how, ctx);
            },
        ));
        let now = clock.now();
        self.outage.connected(now);
        self.slot.opened(now, number, user_id);
        self.catch_up.opened(now);
        self.pictures.opened(now);
        self.step(LinkEvent::Opened, ctx);
    }

    fn send(&mut self, message: WsMessage, ctx: &mut Context<Self>) {
        if self.socket.as_ref().is_some_and(|socket| !socket.send(message)) {
            self.closed("the server sends but does not read".to_owned(), ctx);
        }
    }

    fn receive(&mut self, text: &Bytes, ctx: &mut Context<Self>) {
        let clock = self.context.clock;
        let message = self.inbox.read(text, clock, &mut self.counters);
        if let Some(socket) = &self.socket {
            socket.heard(clock.now(), matches!(message, ServerMessage::Pong));
        }
        match message {
            ServerMessage::Ping => {
                self.counters.pings_answered += 1;
                self.send(WsMessage::Text(outgoing::pong(clock.utc()).into()), ctx);
            }
            ServerMessage::Alert(incoming) => self.accept(*incoming, ctx),
            ServerMessage::Notification(effect) => self.notified(effect, ctx),
            ServerMessage::Pong | ServerMessage::Ignored => {}
        }
    }

    fn notified(&mut self, effect: NotificationEffect, ctx: &mut Context<Self>) {
        match effect {
            NotificationEffect::Nothing => {}
            NotificationEffect::Notice(alert) => self.accept(IncomingAlert::fetched(*alert, None), ctx),
            NotificationEffect::OwlEye { record, alert } => {
                if let Some(fetch) = self.catch_up.fetch(record, *alert, &self.context) {
                    ctx.spawn(fetch.into_actor(self).map(|incoming, this, ctx| {
                        this.catch_up.fetched();
                        this.accept(incoming, ctx);
                    }));
                }
            }
            NotificationEffect::Record(record) => {
                if let Some(annotation) = self.catch_up.correlate(&record, &self.context) {
                    self.context.store.annotate(annotation);
                }
            }
        }
        self.arm(ctx);
    }

    /// Hands an alert to the store, or drops it without a receipt: reading must go on, or the server stalls
    /// for its user.
    fn accept(&mut self, incoming: IncomingAlert<String>, ctx: &mut Context<Self>) {
        let admitted = self.admission.admits(incoming.bytes);
        if incoming.is_pushed() {
            let (alert, now) = (&incoming.alert, self.context.clock.now());
            match admitted {
                true => self.catch_up.came(alert, now),
                false => self.catch_up.dropped(alert, now),
            }
        }
        let offered = self.admission.offer(incoming, ctx.address().recipient());
        if offered.is_err() {
            self.catch_up.request_recheck(self.context.clock.now());
            self.arm(ctx);
        }
    }

    fn judge_slot(answer: SlotAnswer, this: &mut Self, ctx: &mut Context<Self>) {
        match this.slot.judge(answer, &this.context) {
            None | Some(SlotVerdict::Ours | SlotVerdict::Open | SlotVerdict::Off) => {}
            Some(SlotVerdict::Vacant) => this.step(LinkEvent::RetryNow, ctx),
            Some(SlotVerdict::SubscriptionLost(why)) => {
                this.counters.subscription_lost += 1;
                let connection = this.context.name().to_owned();
                this.context
                    .store
                    .raise(HubEvent::SubscriptionLost { connection, why });
                this.step(LinkEvent::Close(CloseReason::SubscriptionLost(why)), ctx);
            }
        }
        this.arm(ctx);
    }

    /// Begins the close handshake.
    fn close(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        if let CloseReason::Stopping = reason {
            info!(connection = %self.context.name(), "closing: {reason}");
        } else {
            warn!(connection = %self.context.name(), "closing the connection: {reason}");
            self.counters.closed_by_hub += 1;
            let failure = LastFailure::closed(reason, self.context.clock.unix());
            // What was not heard was away already.
            let silence = match reason {
                CloseReason::Silent(silence) => silence,
                _ => Duration::ZERO,
            };
            self.outage
                .disconnected(failure, self.context.clock.now().before(silence));
        }
        let code = CloseCode::from(reason.code());
        self.send(WsMessage::Close(Some(code.into())), ctx);
        if let CloseReason::TooLarge { .. } | CloseReason::Protocol = reason {
            self.stop_reading(ctx);
        }
    }

    /// The server's close frame has come: as the answer to ours, or of its own will.
    fn peer_closes(&mut self, reason: Option<ws::CloseReason>, ctx: &mut Context<Self>) {
        if let (LinkState::Open { .. }, Some(socket)) = (self.link.state(), &mut self.socket) {
            let text = reason.as_ref().and_then(|reason| reason.description.as_deref());
            let text = text.map(|text| self.context.credentials.hide(text));
            let code = reason.as_ref().map_or(1005, |reason| u16::from(reason.code));
            let how = format!(
                "the server closed it with code {code} {}",
                text.unwrap_or_default()
            );
            socket.set_close_reason(how.trim_end().to_owned());
            self.send(WsMessage::Close(reason), ctx);
        }
        self.stop_reading(ctx);
    }

    /// A frame cannot be read, and so nothing behind it. Once the close handshake has begun it only ends the reading: the
    /// same frame would come again and again.
    fn broken(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        self.step(LinkEvent::Close(reason), ctx);
        self.stop_reading(ctx);
    }

    fn stop_reading(&mut self, ctx: &mut Context<Self>) {
        if let Some(socket) = &mut self.socket {
            socket.stop_reading(ctx);
        }
    }

    /// The socket has ended, by whichever side.
    fn closed(&mut self, how: String, ctx: &mut Context<Self>) {
        if self.socket.is_none() {
            return;
        }
        self.drop_socket(ctx);
        if let LinkState::Open { .. } = self.link.state() {
            warn!(connection = %self.context.name(), "connection lost: {how}");
            let failure = LastFailure::lost(&how, self.context.clock.unix());
            self.outage.disconnected(failure, self.context.clock.now());
        }
        self.step(LinkEvent::Closed(how), ctx);
    }

    fn drop_socket(&mut self, ctx: &mut Context<Self>) {
        if let Some(socket) = self.socket.take() {
            socket.end(ctx);
            self.slot.closed();
            self.catch_up.closed(self.context.clock.now());
        }
    }

    /// When stopping: closes the link once the store has confirmed everything.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        if self.admission.is_drained() {
            self.step(LinkEvent::Stop, ctx);
        }
    }
}

impl Actor for Connection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let woken = self.context.store.write_backs();
        ctx.add_message_stream(futures_util::stream::unfold(woken, |mut woken| async move {
            woken.changed().await.ok()?;
            Some((WriteBackDue, woken))
        }));
        self.step(LinkEvent::Start, ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.admission.ended();
    }
}

impl StreamHandler<Result<Frame, ProtocolError>> for Connection {
    fn handle(&mut self, frame: Result<Frame, ProtocolError>, ctx: &mut Self::Context) {
        let limit = self.context.settings.max_message.0;
        let frame = match frame {
            Ok(frame) => frame,
            Err(ProtocolError::Overflow) => return self.broken(CloseReason::TooLarge { limit }, ctx),
            Err(ProtocolError::Io(e)) => return self.closed(format!("reading failed: {e}"), ctx),
            Err(e) => {
                debug!(connection = %self.context.name(), "{e}");
                return self.broken(CloseReason::Protocol, ctx);
            }
        };
        let Some(socket) = &mut self.socket else { return };
        match socket.assemble(&frame) {
            Assembled::Text(text) => self.receive(&text, ctx),
            Assembled::Binary => self.counters.ignored += 1,
            Assembled::TooLarge => self.step(LinkEvent::Close(CloseReason::TooLarge { limit }), ctx),
            Assembled::OutOfOrder => self.step(LinkEvent::Close(CloseReason::Protocol), ctx),
            Assembled::Other => match frame {
                Frame::Ping(payload) => socket.pong(&payload),
                Frame::Close(reason) => self.peer_closes(reason, ctx),
                _ => {}
            },
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        self.closed("the server ended the connection without a close".to_owned(), ctx);
    }
}
