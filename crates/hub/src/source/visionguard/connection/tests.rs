//! A connection in paused time, with a server at the other end of its socket and a store that answers on demand.

use std::rc::Rc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::ws::{CloseCode, Codec, Frame, Message as WsMessage};
use awc::BoxedSocket;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::sync::oneshot;
use tokio::time::{pause, sleep, timeout};

use watchpost_core::AlertIds;

use super::super::frame_limit::LimitedCodec;
use super::*;
use crate::clock::Clock;
use crate::current::CurrentSettings;
use crate::guard::Deaths;
use crate::health::Health;
use crate::platform::{Machine, Threads};
use crate::source::{ConnectionReport, ConnectionState, ReportSource, StopSource, Unstored};
use crate::store::{Accept, Command, Join, Receipt, Stored, StoredAs};
use crate::store::{Readers, StoreHandle};

/// What the in-memory socket holds in each direction, in bytes.
const PIPE_BYTES: usize = 1 << 20;

/// The longest frame that is read, in bytes.
const MAX_FRAME: usize = 32 << 20;

/// Long enough for everything that is not a timer to have happened: time is paused, and moves on when all is idle.
const MOMENT: Duration = Duration::from_millis(50);

struct Rig {
    connection: Addr<Connection>,
    store: Receiver<Command>,
    server: Framed<DuplexStream, Codec>,
}

/// A connection whose first attempt succeeds, and whose later ones never end.
async fn connected(settings: &str) -> Rig {
    pause();
    let (store, commands) = StoreHandle::detached();
    let settings: ConnectionSettings = serde_json::from_str(settings).unwrap();
    let parts = ConnectionParts {
        backend: Backend::parse(settings.url.as_deref().unwrap()).unwrap(),
        settings: Arc::new(settings),
        shared: SourceParts {
            settings: CurrentSettings::default(),
            clock: Clock::start(),
            store,
            readers: Readers::new(Arc::new(|| panic!("nothing here reads the store")), Threads::Own),
            platform: Arc::new(Machine),
            ids: Arc::new(AlertIds::after(None)),
            health: Health::default(),
            unstored: Unstored::default(),
            deaths: Deaths::default(),
        },
    };
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let first = Rc::new(std::cell::Cell::new(Some(ours)));
    let mut connection = Connection::new(parts);
    connection.dialer = Dialer::with(move |_, _| {
        let first = Rc::clone(&first);
        Box::pin(async move {
            let Some(ours) = first.take() else {
                return std::future::pending().await;
            };
            let socket: BoxedSocket = Box::new(ours);
            Ok(Dialed {
                socket: Framed::new(socket, LimitedCodec::new(Codec::new().client_mode(), MAX_FRAME)),
                user_id: "u".to_owned(),
            })
        })
    });
    let rig = Rig {
        connection: connection.start(),
        store: commands,
        server: Framed::new(theirs, Codec::new()),
    };
    sleep(MOMENT).await;
    rig
}

/// Settings without requests beside the socket.
const QUIET: &str = r#"{"name":"shop","url":"http://127.0.0.1:9","user_id":"u","token":{"inline":"t"},
    "slot":{"watch":false},"backfill":{"enabled":false},"intake_buffer":"5000B"}"#;

impl Rig {
    async fn say(&mut self, text: &str) {
        let text = text.to_owned();
        self.server.send(WsMessage::Text(text.into())).await.unwrap();
    }

    async fn alert(&mut self, stream: &str) {
        let alert = format!(
            r#"{{"type":"anomaly_detected","stream_id":"{stream}","result":{{"person_id":1}},"annotated_frame":""}}"#
        );
        self.say(&alert).await;
    }

    /// The next frame that the connection sends, and nothing if it sends none within that time.
    async fn next(&mut self, within: Duration) -> Option<Frame> {
        let frame = timeout(within, self.server.next()).await.ok()?;
        Some(frame?.unwrap())
    }

    /// The next text that it sends.
    async fn text(&mut self, within: Duration) -> Option<String> {
        match self.next(within).await? {
            Frame::Text(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
            other => panic!("not a text: {other:?}"),
        }
    }

    /// The alerts that were handed to the store, and the events that were raised, since the last time.
    fn handed_over(&self) -> (Vec<Accept>, Vec<HubEvent>) {
        let (mut alerts, mut events) = (Vec::new(), Vec::new());
        for command in self.store.try_iter() {
            match command {
                Command::Join(Join::Accept(accept)) => alerts.push(*accept),
                Command::Join(Join::Raise(event)) => events.push(event),
                Command::Join(Join::LinkUp(_)) => {}
                other => panic!("not expected of a connection: {other:?}"),
            }
        }
        (alerts, events)
    }

    async fn report(&self) -> ConnectionReport {
        self.connection.send(ReportSource).await.unwrap()
    }
}

/// The store has this alert on disk.
fn stored(accept: Accept) {
    let receipt = Receipt {
        token: accept.token,
        outcome: StoredAs::New,
    };
    let receipts = vec![receipt];
    accept.reply.do_send(Stored { receipts });
}

#[actix::test]
async fn overload_drops_what_does_not_fit_and_never_stops_reading() {
    let mut rig = connected(QUIET).await;
    for stream in ["a", "b", "c", "d"] {
        rig.alert(stream).await;
    }
    rig.say(r#"{"type":"ping"}"#).await;
    let pong = rig.text(MOMENT).await.unwrap();
    assert!(pong.contains("pong"), "it reads on: {pong}");
    sleep(MOMENT).await;
    let (mut alerts, events) = rig.handed_over();
    assert_eq!(alerts.len(), 2, "5,000 bytes hold two alerts");
    let dropped = |count| HubEvent::AlertsDropped {
        connection: "shop".to_owned(),
        count,
    };
    assert_eq!(events, [dropped(2)], "reported at once");
    assert_eq!(rig.report().await.counters.dropped, 2);
    assert_eq!(
        rig.next(MOMENT).await,
        None,
        "there is no receipt for what is not on disk"
    );

    stored(alerts.remove(0));
    let ack = rig.text(MOMENT).await.unwrap();
    assert_eq!(ack, r#"{"type":"ack","stream_id":"a"}"#);
    rig.alert("e").await;
    rig.alert("f").await;
    sleep(MOMENT).await;
    let (more, events) = rig.handed_over();
    assert_eq!(more.len(), 1, "there is room for one again");
    assert_eq!(more[0].alert.camera_id(), "e");
    assert_eq!(events, [], "not more often than once a minute");
    sleep(Duration::from_secs(40)).await;
    rig.say(r#"{"type":"ping"}"#).await;
    sleep(Duration::from_secs(21)).await;
    assert_eq!(rig.handed_over().1, [dropped(1)]);
}

#[actix::test]
async fn it_stops_when_all_in_flight_is_on_disk_and_has_its_receipt() {
    let mut rig = connected(QUIET).await;
    rig.alert("a").await;
    sleep(MOMENT).await;
    let (done, mut stopped) = oneshot::channel();
    rig.connection.send(StopSource(done)).await.unwrap();
    rig.alert("b").await;
    assert_eq!(
        rig.next(Duration::from_secs(5)).await,
        None,
        "it waits for the store"
    );
    let (mut alerts, _) = rig.handed_over();
    assert_eq!(alerts.len(), 1, "no further alert is taken");
    stored(alerts.remove(0));
    assert!(rig.text(MOMENT).await.unwrap().contains("ack"));
    let Some(Frame::Close(Some(reason))) = rig.next(MOMENT).await else {
        panic!("no close");
    };
    assert_eq!(reason.code, CloseCode::Normal);
    assert!(stopped.try_recv().is_err(), "the server has not closed its half");
    rig.server.send(WsMessage::Close(None)).await.unwrap();
    drop(rig.server);
    stopped.await.unwrap();
    assert!(!rig.connection.connected());
}

#[actix::test]
async fn a_server_that_is_silent_is_pinged_and_left() {
    let mut rig = connected(QUIET).await;
    let ping = rig.text(Duration::from_secs(31)).await.unwrap();
    assert!(ping.contains("ping"), "{ping}");
    sleep(Duration::from_millis(500)).await;
    rig.say(r#"{"type":"pong"}"#).await;
    sleep(MOMENT).await;
    let report = rig.report().await;
    let round_trip = report.link.as_ref().and_then(|link| link.round_trip_ms);
    assert!(
        round_trip.is_some_and(|ms| (500.0..600.0).contains(&ms)),
        "{report:?}"
    );
    // Control frames are no sign of life: the backend's web server goes on with them when the backend has gone.
    for _ in 0..3 {
        let _ = rig.next(Duration::from_secs(19)).await;
        rig.server.send(WsMessage::Ping("x".into())).await.unwrap();
    }
    let closed = loop {
        match rig.next(Duration::from_secs(45)).await {
            Some(Frame::Close(reason)) => break reason,
            Some(_) => {}
            None => panic!("it was not closed"),
        }
    };
    assert_eq!(closed.unwrap().code, CloseCode::Away);
    let report = rig.report().await;
    assert_eq!(report.state, ConnectionState::Closing);
    let why = report.last_failure.unwrap().what;
    assert!(why.contains("nothing was heard for 60"), "{why}");
    // It was away since it was last heard, and not only since that was noticed.
    sleep(Duration::from_secs(10)).await;
    let lost: Vec<_> = rig.handed_over().1;
    assert!(
        matches!(&lost[..], [HubEvent::LinkLost { seconds, .. }] if (60..=70).contains(seconds)),
        "{lost:?}"
    );
}

/// The clock of this test moves when nothing is left to do, which would be never if the frame were read again and again.
#[actix::test]
async fn what_cannot_be_read_while_closing_is_not_read_again() {
    let mut rig = connected(QUIET).await;
    // The close handshake has begun, and is not answered.
    while !matches!(rig.next(Duration::from_secs(45)).await.unwrap(), Frame::Close(_)) {}
    let bad_opcode = [0x8f_u8, 0x00];
    rig.server.io_mut().write_all(&bad_opcode).await.unwrap();
    // Whatever ends it, its time goes on.
    sleep(Duration::from_secs(10)).await;
    assert_ne!(rig.report().await.state, ConnectionState::Closing);
}

#[actix::test]
async fn any_message_keeps_it_open() {
    let mut rig = connected(QUIET).await;
    for _ in 0..20 {
        sleep(Duration::from_secs(45)).await;
        rig.say(r#"{"type":"of tomorrow"}"#).await;
    }
    assert_eq!(rig.report().await.state, ConnectionState::Connected);
}

#[actix::test]
async fn a_socket_that_ends_is_followed_by_an_attempt_and_an_outage_is_reported_once() {
    let rig = connected(QUIET).await;
    drop(rig.server);
    sleep(Duration::from_secs(3)).await;
    let report = rig.connection.send(ReportSource).await.unwrap();
    assert_eq!(report.state, ConnectionState::Connecting);
    assert_eq!(report.link.unwrap().attempts, 2);
    sleep(Duration::from_secs(600)).await;
    let events: Vec<_> = rig
        .store
        .try_iter()
        .filter(|command| matches!(command, Command::Join(Join::Raise(HubEvent::LinkLost { .. }))))
        .collect();
    assert_eq!(events.len(), 1, "{events:?}");
}
