//! Makes anomalies: first the alert over the socket, then the row, then the notification, as the real backend does. Of one
//! stream one after the other, so that a client that does not read stops its streams.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::Instant;

use super::{Backend, Row, State, Status, uuid, wire};

/// Anomalies that wait for a stream's turn.
const MAX_WAITING: usize = 4_096;

/// What a stream raises within this of what it raised before is about the same person.
const SAME_PERSON: Duration = Duration::from_secs(2);

/// Something that a camera sees.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    pub infinite: bool,
}

/// The streams at work.
pub struct Producers(Vec<mpsc::Sender<Sighting>>);

impl Producers {
    /// Starts them.
    pub fn start(backend: &Backend, ids: bool) -> Self {
        let streams = backend.state().streams.len();
        let start = |stream| {
            let (sightings, mut queue) = mpsc::channel(MAX_WAITING);
            let backend = backend.clone();
            spawn_local(async move {
                let mut held = None;
                while let Some(sighting) = queue.recv().await {
                    report(&backend, stream, sighting, ids, &mut held).await;
                }
            });
            sightings
        };
        Self((0..streams).map(start).collect())
    }

    /// A camera sees something.
    pub fn see(&self, stream: usize, sighting: Sighting) {
        let queue = &self.0[stream % self.0.len()];
        assert!(
            queue.try_send(sighting).is_ok(),
            "more waits than the world makes in an hour"
        );
    }
}

/// A notification that comes after that of the next alert, and the socket that it goes to.
struct Held {
    socket: Option<u64>,
    text: String,
}

async fn report(backend: &Backend, stream: usize, sighting: Sighting, ids: bool, held: &mut Option<Held>) {
    backend.thawed().await;
    let at = backend.now();
    let (row, user, user_id, slot, outbox) = {
        let mut state = backend.state();
        let (row, user) = next_row(&mut state, stream, at, sighting.infinite);
        let slot = state.slots.get(&user).map(|slot| slot.socket);
        let socket = slot.and_then(|slot| state.sockets.get(&slot));
        let outbox = socket.filter(|_| !state.mute).map(|socket| socket.outbox.clone());
        (row, user, state.users[user].id.clone(), slot, outbox)
    };
    let sent = match &outbox {
        Some(outbox) => outbox.send(wire::alert(&row, &user_id, ids)).await.is_ok(),
        None => false,
    };
    backend.story.tell(
        "backend",
        format_args!(
            "anomaly {} of stream {stream} (user {user}, shop {}){}{}",
            row.number,
            row.shop,
            if row.infinite { ", infinite" } else { "" },
            if sent { ", sent" } else { ", sent to no one" },
        ),
    );
    backend.thawed().await;
    let notification = {
        let mut state = backend.state();
        // What the process has in hand while its database is down is in no table.
        if state.database_down {
            state.rowless.insert(row.key());
            return;
        }
        let text = wire::notification(&row);
        let reorders = state.reorders;
        state.record(Row {
            notified_late: reorders,
            ..row
        });
        // What was held for another socket has ended with it.
        let before = held.take().filter(|held| held.socket == slot);
        match reorders {
            true => {
                *held = Some(Held { socket: slot, text });
                before.map(|before| before.text)
            }
            false => Some(text),
        }
    };
    if let (Some(outbox), Some(text)) = (outbox, notification) {
        let _ = outbox.send(text).await;
    }
}

/// The row of what a stream sees next, and whose the stream is.
fn next_row(state: &mut State, stream: usize, at: OffsetDateTime, infinite: bool) -> (Row, usize) {
    let number = state.next_number;
    state.next_number += 1;
    let id = uuid(&mut state.random);
    let (camera, now) = (&mut state.streams[stream], Instant::now());
    // Who walks by raises some in a row.
    if camera.last.is_none_or(|last| now - last > SAME_PERSON) {
        camera.persons += 1;
    }
    camera.last = Some(now);
    camera.frame += 30;
    let camera = camera.clone();
    let row = Row {
        at_text: wire::of_row(at, state.zone_hours),
        picture: wire::picture(&id),
        id,
        number,
        shop: camera.shop,
        shop_id: state.shops[camera.shop].clone(),
        stream_id: camera.id,
        person: camera.persons,
        frame: camera.frame,
        at,
        clock: state.clocks,
        is_before_all: false,
        raised: now,
        infinite,
        notified_late: false,
        status: Status::Pending,
        judged: None,
        seen_pending: None,
    };
    (row, camera.user)
}
