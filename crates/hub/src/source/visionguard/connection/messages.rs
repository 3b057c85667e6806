//! The messages that a connection handles: from its heartbeat, its own passes, the store and the supervisor.

use actix::prelude::*;
use actix_http::ws::Message as WsMessage;
use watchpost_config::{ConnectionKind, ConnectionSettings};
use watchpost_core::{ClockSkew, CloseReason, LinkEvent};
use watchpost_store::Reader;
use watchpost_visionguard::outgoing;

use super::super::super::report::millis;
use super::super::super::{
    ConnectionReport, ConnectionState, Counters, LinkCounters, LinkReport, ReportSource, StopSource,
};
use super::super::catch_up::Missed;
use super::super::heartbeat::{Beat, BeatKind, ReportPulse};
use super::super::socket::Socket;
use super::Connection;
use crate::store::Stored;

impl Handler<Beat> for Connection {
    type Result = ();

    fn handle(&mut self, beat: Beat, ctx: &mut Self::Context) {
        if self.socket.as_ref().map(Socket::number) != Some(beat.socket) {
            return;
        }
        match beat.kind {
            BeatKind::Ping => {
                self.counters.pings_sent += 1;
                let ping = outgoing::ping(self.context.clock.utc());
                self.send(WsMessage::Text(ping.into()), ctx);
            }
            BeatKind::Dead(silence) => self.step(LinkEvent::Close(CloseReason::Silent(silence)), ctx),
        }
    }
}

/// The store has something that may be due to be reported to the backend.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct WriteBackDue;

impl Handler<WriteBackDue> for Connection {
    type Result = ();

    fn handle(&mut self, _: WriteBackDue, ctx: &mut Self::Context) {
        self.write_back.woken(self.context.clock.now());
        self.arm(ctx);
    }
}

impl Handler<Missed> for Connection {
    type Result = MessageResult<Missed>;

    fn handle(&mut self, Missed(incoming): Missed, ctx: &mut Self::Context) -> Self::Result {
        if !self.admission.admits(incoming.bytes) {
            return MessageResult(Some(incoming));
        }
        self.catch_up.missed(&incoming.alert);
        self.accept(*incoming, ctx);
        MessageResult(None)
    }
}

/// The store has the alerts on disk, or could not take them: tells the server it has them.
impl Handler<Stored> for Connection {
    type Result = ();

    fn handle(&mut self, stored: Stored, ctx: &mut Self::Context) {
        let fetched = self.admission.fetched();
        for receipt in stored.receipts {
            if let Some(alert) = self.admission.alert_of(&receipt) {
                self.catch_up.dealt_with(alert);
            }
            let Some(confirmed) = self.admission.confirm(&receipt) else {
                continue;
            };
            if confirmed.outcome.is_on_disk() && self.socket.is_some() {
                self.admission.receipt_sent();
                self.send(WsMessage::Text(confirmed.receipt.into()), ctx);
            }
        }
        if self.admission.fetched() > fetched {
            // Their pictures are not there yet.
            self.pictures.woken(self.context.clock.now());
            self.arm(ctx);
        }
        self.finish(ctx);
    }
}

impl Handler<ReportSource> for Connection {
    type Result = ResponseFuture<ConnectionReport>;

    fn handle(&mut self, _: ReportSource, _: &mut Self::Context) -> Self::Result {
        let clock = self.context.clock;
        let (state, mut link) = LinkReport::of(&self.link, clock.now());
        let mut report = ConnectionReport {
            state,
            last_failure: self.outage.last_failure().cloned(),
            counters: self.admission.counters(),
            ..unanswered(&self.context.settings)
        };
        if !self.slot.user_id().is_empty() {
            report.url = address(&self.context.settings, self.slot.user_id());
        }
        report.counters.link = Some(self.counters.clone());
        let (feed, interval) = self.catch_up.feed();
        link.feed = feed;
        link.clock_ahead_ms = self.context.skew.get().map(ClockSkew::ahead_ms);
        link.picture_failure = self.pictures.failure().cloned();
        link.list_failure = self.catch_up.failure().cloned();
        (link.unnamed, link.compared_in_hand) = self.catch_up.in_memory();
        link.list_interval_ms = self.context.settings.backfill.enabled.then(|| millis(interval));
        let pulse = self
            .socket
            .as_ref()
            .map(|socket| socket.heartbeat().send(ReportPulse));
        let (readers, store) = (self.context.readers.clone(), self.context.store.clone());
        Box::pin(async move {
            match readers.read(Reader::pictures_missing).await {
                Ok(missing) => link.pictures_missing = missing.get(&report.name).copied().unwrap_or(0),
                Err(e) => store.suspect_read(&e),
            }
            if let Some(pulse) = pulse
                && let Ok(pulse) = pulse.await
            {
                link.silent_for_ms = Some(millis(clock.now().since(pulse.last_heard)));
                link.round_trip_ms = pulse.round_trip.map(|time| time.as_secs_f64() * 1_000.0);
            }
            report.link = Some(link);
            report
        })
    }
}

/// The address of the socket without the token. `user_id` is whose it is, where the settings do not say it.
fn address(settings: &ConnectionSettings, user_id: &str) -> String {
    let url = settings.url.as_deref().unwrap_or_default();
    let user_id = settings.user_id.as_deref().unwrap_or(user_id);
    format!("{url}/ws/alerts/{user_id}")
}

/// The report of a connection whose actor is gone or does not answer.
pub(crate) fn unanswered(settings: &ConnectionSettings) -> ConnectionReport {
    ConnectionReport {
        name: settings.name.clone(),
        kind: ConnectionKind::VisionGuard,
        url: address(settings, "(user of the login)"),
        state: ConnectionState::Stopped,
        last_failure: None,
        counters: Counters {
            link: Some(LinkCounters::default()),
            ..Counters::default()
        },
        link: Some(LinkReport::default()),
    }
}

impl Handler<StopSource> for Connection {
    type Result = ();

    fn handle(&mut self, StopSource(done): StopSource, ctx: &mut Self::Context) {
        self.admission.close(done);
        self.catch_up.stop();
        self.write_back.stop();
        self.pictures.stop();
        self.read_back.stop();
        self.finish(ctx);
    }
}
