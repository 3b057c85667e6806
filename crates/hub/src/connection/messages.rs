//! What a connection is told and asked.

use actix::prelude::*;
use actix_http::ws::Message as WsMessage;
use tokio::sync::oneshot;

use super::{Connection, ConnectionReport};
use crate::store::{Stored, StoredAs};

/// The store has the alerts on disk, or could not take them: tells the connection they came over.
impl Handler<Stored> for Connection {
    type Result = ();

    fn handle(&mut self, stored: Stored, ctx: &mut Self::Context) {
        for receipt in stored.receipts {
            self.in_hand -= 1;
            self.in_hand_bytes -= receipt.bytes;
            match receipt.outcome {
                StoredAs::New if receipt.ack.is_none() => self.counters.fetched += 1,
                StoredAs::New => self.counters.stored += 1,
                // What was fetched may have been there.
                StoredAs::Duplicate if receipt.ack.is_none() => {}
                StoredAs::Duplicate => self.counters.duplicates += 1,
                StoredAs::Lost => {
                    self.counters.dropped += 1;
                    continue;
                }
            }
            if let (Some(ack), true) = (receipt.ack, self.socket.is_some()) {
                self.counters.acknowledged += 1;
                self.send(WsMessage::Text(ack.into()), ctx);
            }
        }
        self.finish(ctx);
    }
}

/// Asks how a connection is.
#[derive(Debug, Message)]
#[rtype(result = "ConnectionReport")]
pub(crate) struct ReportConnection;

impl Handler<ReportConnection> for Connection {
    type Result = MessageResult<ReportConnection>;

    fn handle(&mut self, _: ReportConnection, _: &mut Self::Context) -> Self::Result {
        MessageResult(ConnectionReport::new(
            &self.settings,
            &self.link,
            self.clock,
            self.counters.clone(),
            self.last_failure.clone(),
        ))
    }
}

/// Tells a connection to take no more alerts, to wait for those in hand, and to close. The sender given
/// is used when the socket is closed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StopConnection(pub(crate) oneshot::Sender<()>);

impl Handler<StopConnection> for Connection {
    type Result = ();

    fn handle(&mut self, StopConnection(done): StopConnection, ctx: &mut Self::Context) {
        self.stopping.get_or_insert_default().push(done);
        self.finish(ctx);
    }
}
