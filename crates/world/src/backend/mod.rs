//! A VisionGuard backend as a value: users and their slots, shops, streams and rows, and what is wrong with it at the moment.
//! It answers questions and says what it sends; how that gets to anybody is [`serve`]'s to know.

mod answers;
pub mod producer;
mod rows;
pub mod serve;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use self::rows::{Row, Status};
use crate::scenario::Setup;
use crate::story::Story;

/// When the world begins.
pub const BEGINNING: OffsetDateTime = time::macros::datetime!(2031-05-05 03:00 UTC);

/// Shops that there are.
const SHOPS: usize = 3;

/// The shop that can never be read.
const BAD_SHOP: usize = 2;

/// How long a token lives.
pub const TOKEN_LIFE: Duration = Duration::from_secs(1_200);

/// Messages that wait for a socket before who sends them has to wait too.
const MAX_WAITING_MESSAGES: usize = 16;

/// What tells an anomaly from all others: its stream, person and video frame.
pub type Key = (String, i64, i64);

/// A user who can log in.
#[derive(Clone, Debug)]
pub struct User {
    pub id: String,
    pub email: &'static str,
    /// Indices of the shops that are listed for it.
    pub shops: Vec<usize>,
}

/// A camera as one user has opened it.
#[derive(Clone, Debug)]
pub struct Stream {
    pub id: String,
    pub user: usize,
    pub shop: usize,
    pub persons: i64,
    pub frame: i64,
    /// When it last raised something.
    pub last: Option<Instant>,
}

/// How something is not given.
#[derive(Clone, Copy, Debug)]
pub enum Refusal {
    /// With an HTTP 500.
    Broken,
    /// The connection ends.
    Cut,
}

/// What a hub was told of a slot.
#[derive(Clone, Copy, Debug)]
pub struct SlotAnswer {
    pub at: Instant,
    pub user: usize,
    /// Another client had it.
    pub is_rivals: bool,
}

/// The place that a user has for its client.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Number of the socket.
    pub socket: u64,
    pub since: Instant,
    /// Its name for the outside.
    pub connected_at: String,
}

/// An open alert socket.
pub struct Socket {
    pub user: usize,
    pub since: Instant,
    /// A browser's, or another hub's.
    pub rival: bool,
    /// It is open, and neither reads nor says anything any more.
    pub deaf: bool,
    pub outbox: mpsc::Sender<String>,
}

/// What the backend is like.
pub struct State {
    pub users: Vec<User>,
    pub shops: Vec<String>,
    pub streams: Vec<Stream>,
    pub rows: Vec<Row>,
    /// The rows of each shop, by their times, which go back when the clock does.
    pub lists: [Vec<usize>; SHOPS],
    /// Alerts that were sent and have no row, by what is said of them: the database was down.
    pub rowless: BTreeSet<Key>,
    pub slots: BTreeMap<usize, Slot>,
    pub sockets: BTreeMap<u64, Socket>,
    /// What the hub was told of the slots of its users.
    pub slot_answers: Vec<SlotAnswer>,
    /// When the last socket of the hub's ended, by its user.
    pub left: BTreeMap<usize, Instant>,
    /// By how many hours its own time is ahead of UTC.
    pub zone_hours: i8,
    /// By how many milliseconds its clock is ahead of the true one.
    pub clock_ahead_ms: i64,
    /// How often it was set.
    pub clocks: u32,
    /// Shops whose lists the hub was shown since then.
    pub clock_shown: BTreeSet<usize>,
    pub database_down: bool,
    /// Notifications come after those of the next alert.
    pub reorders: bool,
    /// Alerts that are sent as they happen do not arrive: the slot is another process's.
    pub mute: bool,
    /// Tokens from before this moment are not accepted.
    pub tokens_since: i64,
    /// Pictures are not given.
    pub refuses_pictures: Option<Refusal>,
    /// A shop that answers 422.
    pub unreadable_shop: Option<usize>,
    /// Rows that a person had judged and a hub has changed.
    pub overwritten: Vec<String>,
    /// Receipts, by the number of the alert.
    pub receipts: Vec<u64>,
    pub next_number: u64,
    pub random: fastrand::Rng,
}

/// The backend. Clones are the same one.
#[derive(Clone)]
pub struct Backend {
    state: Arc<Mutex<State>>,
    /// Nothing is answered while it is set.
    pub frozen: watch::Sender<bool>,
    pub story: Story,
    origin: Instant,
}

impl State {
    /// Records a row.
    fn record(&mut self, row: Row) {
        let order = |row: &Row| (row.at, row.number);
        let list = &mut self.lists[row.shop];
        let place = list.partition_point(|other| order(&self.rows[*other]) < order(&row));
        list.insert(place, self.rows.len());
        self.rows.push(row);
    }

    fn note_left(&mut self, socket: &Socket) {
        if !socket.rival {
            self.left.insert(socket.user, Instant::now());
        }
    }

    /// Sets the clock. What was recorded by the one before lies in the past of it where that was behind, and is not found by a
    /// hub that has never seen that clock.
    pub fn set_clock(&mut self, ahead_ms: i64) {
        if self.clock_ahead_ms < 0 {
            let shown = std::mem::take(&mut self.clock_shown);
            let recorded = self.rows.iter_mut().filter(|row| row.clock == self.clocks);
            for row in recorded.filter(|row| !shown.contains(&row.shop)) {
                row.is_before_all = true;
            }
        }
        self.clock_shown.clear();
        (self.clock_ahead_ms, self.clocks) = (ahead_ms, self.clocks + 1);
    }

    /// The shop of a place in a list, after a row that is shown or the list's end; and the row there, if it cannot be shown.
    pub fn place(&self, place: &str) -> Option<(usize, Option<u64>)> {
        let (after, number) = place.rsplit_once(':')?;
        let shop = self.rows.iter().find(|row| row.id == after);
        let shop = shop.map(|row| row.shop);
        let shop = shop.or_else(|| self.shops.iter().position(|shop| shop == after))?;
        let rows: Vec<_> = self.lists[shop].iter().map(|row| &self.rows[*row]).collect();
        let first = rows.iter().position(|row| row.id == after).map_or(0, |at| at + 1);
        let row = rows.get(first + number.parse::<usize>().ok()?.checked_sub(1)?);
        Some((shop, row.filter(|row| row.infinite).map(|row| row.number)))
    }
}

/// A UUID of the seed's making.
pub fn uuid(random: &mut fastrand::Rng) -> String {
    let bits = format!("{:032x}", random.u128(..));
    format!(
        "{}-{}-4{}-a{}-{}",
        &bits[..8],
        &bits[8..12],
        &bits[13..16],
        &bits[17..20],
        &bits[20..]
    )
}

impl Backend {
    /// Two accounts, each with a stream in each of two shops.
    pub fn new(random: &mut fastrand::Rng, setup: &Setup, story: Story) -> Self {
        let mut random = random.fork();
        let shops: Vec<_> = (0..SHOPS).map(|_| uuid(&mut random)).collect();
        let emails = ["yard@example.org", "owner@example.org"];
        let users: Vec<_> = emails
            .into_iter()
            .map(|email| User {
                id: uuid(&mut random),
                email,
                shops: if setup.bad_shop {
                    vec![BAD_SHOP, 0, 1]
                } else {
                    vec![0, 1]
                },
            })
            .collect();
        let places = [(0, 0), (0, 0), (0, 1)];
        let streams = places.map(|(user, shop)| Stream {
            id: uuid(&mut random),
            user,
            shop,
            persons: 0,
            frame: 0,
            last: None,
        });
        let state = State {
            users,
            shops,
            streams: streams.into(),
            rows: Vec::new(),
            lists: Default::default(),
            rowless: BTreeSet::new(),
            slots: BTreeMap::new(),
            sockets: BTreeMap::new(),
            slot_answers: Vec::new(),
            left: BTreeMap::new(),
            zone_hours: setup.zone_hours,
            clock_ahead_ms: 0,
            clocks: 0,
            clock_shown: BTreeSet::new(),
            database_down: false,
            reorders: false,
            mute: false,
            tokens_since: 0,
            refuses_pictures: None,
            unreadable_shop: None,
            overwritten: Vec::new(),
            receipts: Vec::new(),
            next_number: 1,
            random,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            frozen: watch::Sender::new(false),
            story,
            origin: Instant::now(),
        }
    }

    /// Never held across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the world began.
    pub fn origin(&self) -> Instant {
        self.origin
    }

    /// What its clock shows.
    pub fn now(&self) -> OffsetDateTime {
        let ahead = self.state().clock_ahead_ms;
        BEGINNING + self.origin.elapsed() + time::Duration::milliseconds(ahead)
    }

    /// The same in its own zone.
    fn local_now(&self) -> OffsetDateTime {
        let zone = wire::zone(self.state().zone_hours);
        self.now().to_offset(zone)
    }

    /// Waits until it is not frozen.
    pub async fn thawed(&self) {
        let _ = self.frozen.subscribe().wait_for(|frozen| !frozen).await;
    }

    /// Sends this to the client of a user, which has its slot.
    pub fn send(&self, user: usize, message: String) {
        let outbox = {
            let state = self.state();
            let slot = state.slots.get(&user);
            let socket = slot.and_then(|slot| state.sockets.get(&slot.socket));
            socket.map(|socket| socket.outbox.clone())
        };
        let sent = outbox.map(|outbox| outbox.try_send(message));
        assert!(
            matches!(sent, Some(Ok(()))),
            "the client does not take it: {sent:?}"
        );
    }

    /// A socket was opened: it has the slot of its user from now on.
    pub fn opened(&self, user: usize, rival: bool) -> (u64, mpsc::Receiver<String>) {
        let (outbox, messages) = mpsc::channel(MAX_WAITING_MESSAGES);
        let now = self.now();
        let mut state = self.state();
        let socket = state.next_number;
        state.next_number += 1;
        let since = Instant::now();
        state.sockets.insert(
            socket,
            Socket {
                user,
                since,
                rival,
                deaf: false,
                outbox,
            },
        );
        let connected_at = wire::naive(now);
        state.slots.insert(
            user,
            Slot {
                socket,
                since,
                connected_at,
            },
        );
        (socket, messages)
    }

    /// A socket has ended: its user has no slot any more, whoever had it.
    pub fn ended(&self, socket: u64) {
        let mut state = self.state();
        let Some(ended) = state.sockets.remove(&socket) else {
            return;
        };
        state.note_left(&ended);
        if !ended.deaf {
            state.slots.remove(&ended.user);
        }
    }

    /// The hub's sockets of this user stay open, and neither read nor say anything any more.
    pub fn deafen(&self, user: usize) {
        let mut state = self.state();
        let hubs = state
            .sockets
            .values_mut()
            .filter(|socket| socket.user == user && !socket.rival);
        hubs.for_each(|socket| socket.deaf = true);
        state.slots.remove(&user);
    }

    /// The user is deleted and made again: the sockets that it has stay open and get nothing any more.
    pub fn remake_user(&self, user: usize) {
        let mut state = self.state();
        state.slots.remove(&user);
        let id = uuid(&mut state.random);
        state.users[user].id = id;
    }

    /// The process has ended, and everything that it had in memory.
    pub fn forget(&self) {
        let mut state = self.state();
        for socket in std::mem::take(&mut state.sockets).into_values() {
            state.note_left(&socket);
        }
        state.slots.clear();
    }

    /// The hub's socket that gets the alerts of this user.
    pub fn hub_holds_slot(&self, user: usize) -> Option<Instant> {
        let state = self.state();
        let slot = state.slots.get(&user)?;
        let socket = state.sockets.get(&slot.socket)?;
        (!socket.rival && !socket.deaf).then_some(socket.since)
    }
}
