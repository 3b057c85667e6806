//! The simulated backend without its interfaces: accounts, registry, table, ledger and modes in one place.
//! It knows nothing of HTTP and nothing of how a socket is written to.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytestring::ByteString;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::{
    Account, CloseMode, Error, Faults, Handshakes, Options, Outcome, PictureMode, Stats,
    account::{Claims, Tokens, uuid_from},
    clock,
    instead::Answers,
    ledger::Ledger,
    lock::lock,
    picture::Painter,
    rows::Rows,
    slots::{Slots, SocketId},
    tcp::Tcp,
};

/// Messages that wait for a socket before the maker of alerts waits for it too, as the real one does.
pub(crate) const MAX_WAITING_MESSAGES: usize = 16;

/// What the rest of the backend sends to a socket.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// An alert, with its number and stream so that its acknowledgement can be found.
    Alert {
        seq: u64,
        stream: Uuid,
        id: Option<u64>,
        text: ByteString,
        mode: SendMode,
    },
    /// Text that needs no acknowledgement.
    Text(ByteString),
    /// A notification.
    Notification(ByteString),
    /// A message that cannot be understood.
    Garbage(ByteString),
}

/// How an alert goes out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SendMode {
    pub(crate) twice: bool,
    pub(crate) fragmented: bool,
}

/// What overrides a socket's queue at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SocketControl {
    /// Go on.
    #[default]
    Run,
    /// Stay open and send nothing any more.
    Blackhole,
    /// Close frame, then end.
    Close,
    /// The TCP connection has been ended below; clean up.
    Aborted,
}

/// The backend's handle on an open alert socket.
pub(crate) struct SocketHandle {
    pub(crate) user: String,
    pub(crate) outbox: mpsc::Sender<Outgoing>,
    pub(crate) control: watch::Sender<SocketControl>,
    pub(crate) tcp: Option<Arc<Tcp>>,
}

/// One camera: a stream of the account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Camera {
    pub(crate) stream_id: Uuid,
    /// Where it hangs.
    pub(crate) shop_id: Uuid,
}

/// What changes while it runs.
pub(crate) struct State {
    pub(crate) slots: Slots,
    pub(crate) sockets: BTreeMap<SocketId, SocketHandle>,
    pub(crate) rows: Rows,
    pub(crate) ledger: Ledger,
    pub(crate) handshakes: Handshakes,
    pub(crate) pictures: PictureMode,
    /// What goes wrong by chance.
    pub(crate) faults: Faults,
    /// What is answered in place of what the backend says.
    pub(crate) answers: Answers,
    /// Nothing can be read or recorded.
    pub(crate) database_down: bool,
    /// How many of the shops the accounts see.
    pub(crate) shown_shops: usize,
    /// Decides about faults of handshakes.
    pub(crate) chance: fastrand::Rng,
}

/// The backend.
pub(crate) struct Backend {
    pub(crate) options: Options,
    /// Who opens the streams.
    account: Mutex<Account>,
    /// Another user of the same shops, to whom no alert is sent.
    second: Account,
    pub(crate) shops: Vec<Uuid>,
    pub(crate) cameras: Vec<Camera>,
    pub(crate) painter: Painter,
    tokens: Mutex<Tokens>,
    /// How far its clock is ahead of this machine's.
    clock_ahead_ms: AtomicI64,
    pub(crate) started_at: OffsetDateTime,
    pub(crate) pings: AtomicBool,
    pub(crate) pongs: AtomicBool,
    /// Whether alerts are made at the set rate.
    pub(crate) alerts: watch::Sender<bool>,
    pub(crate) frozen: watch::Sender<bool>,
    /// Whether new requests are left without an answer.
    pub(crate) hanging: watch::Sender<bool>,
    /// Whether the account is registered for alerts.
    pub(crate) registered: watch::Sender<bool>,
    /// Counts JSON pings asked for by command; a socket sends one at each change.
    pub(crate) ping_now: watch::Sender<u64>,
    started: Instant,
    next_socket: AtomicU64,
    state: Mutex<State>,
}

/// Number of the socket of a client that is only played.
const ANOTHER_CLIENT: SocketId = SocketId::MAX;

impl Backend {
    pub(crate) fn new(options: Options) -> Self {
        let mut rng = fastrand::Rng::with_seed(options.seed);
        let started_at = clock::now(options.clock.as_deref());
        let account = Account::from_seed(&mut rng, started_at);
        let mut shops = vec![uuid_from(&mut rng)];
        let streams: Vec<_> = (0..options.cameras).map(|_| uuid_from(&mut rng)).collect();
        let tokens = Tokens::new(&rng.u128(..).to_be_bytes(), options.token_life);
        let chance = fastrand::Rng::with_seed(rng.u64(..));
        // After what was there before, so that it is the same for a seed.
        let second = Account::second(&mut rng, started_at);
        shops.extend((1..options.shops).map(|_| uuid_from(&mut rng)));
        let cameras = streams.into_iter().enumerate().map(|(index, stream_id)| Camera {
            stream_id,
            shop_id: shops[index % shops.len()],
        });
        let cameras = cameras.collect();
        let state = State {
            slots: Slots::new(options.faithful),
            sockets: BTreeMap::new(),
            rows: Rows::default(),
            ledger: Ledger::default(),
            handshakes: Handshakes::Accept,
            pictures: PictureMode::Serve,
            faults: options.faults.clone(),
            answers: Answers::default(),
            database_down: false,
            shown_shops: shops.len(),
            chance,
        };
        Self {
            account: Mutex::new(account),
            second,
            shops,
            cameras,
            painter: Painter::new(&options),
            tokens: Mutex::new(tokens),
            clock_ahead_ms: AtomicI64::new(0),
            started_at,
            pings: AtomicBool::new(true),
            pongs: AtomicBool::new(true),
            alerts: watch::Sender::new(true),
            frozen: watch::Sender::new(false),
            hanging: watch::Sender::new(false),
            registered: watch::Sender::new(false),
            ping_now: watch::Sender::new(0),
            started: Instant::now(),
            next_socket: AtomicU64::new(1),
            state: Mutex::new(state),
            options,
        }
    }

    /// The changing part. Never held across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Its own wall clock.
    pub(crate) fn now(&self) -> OffsetDateTime {
        let ahead = self.clock_ahead_ms.load(Ordering::Relaxed);
        clock::now(self.options.clock.as_deref()) + time::Duration::milliseconds(ahead)
    }

    /// Sets that clock so far ahead of this machine's.
    pub(crate) fn set_clock(&self, ahead_ms: i64) {
        self.clock_ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }

    /// Time since the start, monotonic.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn local(&self, moment: OffsetDateTime) -> String {
        clock::naive(moment, self.options.local_offset)
    }

    /// The account as it is now.
    pub(crate) fn account(&self) -> Account {
        lock(&self.account).clone()
    }

    /// Its user.
    pub(crate) fn user_id(&self) -> Uuid {
        lock(&self.account).user_id
    }

    /// The user is deleted and made again with the same e-mail address and password: another id. Sockets of the one
    /// before stay open and get nothing.
    pub(crate) fn remake_user(&self) {
        let user_id = uuid_from(&mut self.state().chance);
        lock(&self.account).user_id = user_id;
        self.announce(&self.state());
    }

    /// The other account of the same shops.
    pub(crate) fn second(&self) -> &Account {
        &self.second
    }

    /// The account with this id.
    pub(crate) fn account_of(&self, user_id: Uuid) -> Option<Account> {
        [self.account(), self.second.clone()]
            .into_iter()
            .find(|account| account.user_id == user_id)
    }

    /// A token for an account, as a login gives it.
    pub(crate) fn token(&self, account: &Account) -> Result<String, Error> {
        let now = self.now();
        lock(&self.tokens).access(account, now).map_err(Error::Token)
    }

    /// The longer one beside it.
    pub(crate) fn refresh_token(&self, account: &Account) -> Result<String, Error> {
        let now = self.now();
        lock(&self.tokens).refresh(account, now).map_err(Error::Token)
    }

    /// A token for any claims.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, Error> {
        lock(&self.tokens).sign(claims).map_err(Error::Token)
    }

    /// The claims of a token that is good now.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        let now = self.now();
        lock(&self.tokens).verify(token, now)
    }

    /// All tokens that were given are good no more: the server signs with another key.
    pub(crate) fn revoke_tokens(&self) {
        let key = self.state().chance.u128(..).to_be_bytes();
        *lock(&self.tokens) = Tokens::new(&key, self.options.token_life);
    }

    /// Waits until nothing is frozen.
    pub(crate) async fn thawed(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.frozen.subscribe().wait_for(|frozen| !frozen).await;
    }

    pub(crate) fn attempt(&self, user: &str, outcome: Outcome) {
        let at = self.elapsed();
        self.state().ledger.attempt(at, user, outcome);
    }

    /// What becomes of a handshake whose token is good: what was commanded, or a fault by chance.
    pub(crate) fn handshake(&self) -> Handshakes {
        let mut state = self.state();
        if state.database_down {
            return Handshakes::Fail;
        }
        if state.handshakes != Handshakes::Accept {
            return state.handshakes;
        }
        let faults = state.faults.clone();
        let by_chance = [
            (faults.reject, Handshakes::Forbid),
            (faults.error, Handshakes::Fail),
            (faults.bounce, Handshakes::Bounce),
        ];
        by_chance
            .into_iter()
            .find(|(chance, _)| state.chance.f64() < *chance)
            .map_or(Handshakes::Accept, |(_, mode)| mode)
    }

    /// Numbers a new socket and registers its user.
    pub(crate) fn socket_opened(&self, handle: SocketHandle) -> SocketId {
        let id = self.next_socket.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        let mut state = self.state();
        state.ledger.opened(&handle.user);
        let replaced = state.slots.connect(&handle.user, id, now);
        if let Some(replaced) = replaced.and_then(|id| state.sockets.get(&id)) {
            replaced.control.send_replace(SocketControl::Close);
        }
        state.sockets.insert(id, handle);
        self.announce(&state);
        id
    }

    /// A socket has ended; saying so twice does no harm. The handler of a silent socket ended long before
    /// it (`owns_slot` is false), so that its end no longer touches the registry.
    pub(crate) fn socket_ended(&self, id: SocketId, owns_slot: bool) {
        let mut state = self.state();
        let Some(handle) = state.sockets.remove(&id) else {
            return;
        };
        state.ledger.ended(&handle.user);
        if owns_slot {
            state.slots.end(&handle.user, id);
        }
        self.announce(&state);
    }

    /// Takes a user out of the registry and leaves its sockets open.
    pub(crate) fn deregister(&self, user: &str) {
        let mut state = self.state();
        state.slots.deregister(user);
        self.announce(&state);
    }

    /// Ends every alert socket.
    pub(crate) fn end_sockets(&self, how: CloseMode) {
        let state = self.state();
        for handle in state.sockets.values() {
            match (how, &handle.tcp) {
                (CloseMode::Close, _) | (_, None) => {
                    handle.control.send_replace(SocketControl::Close);
                }
                (CloseMode::Reset, Some(tcp)) => {
                    tcp.reset();
                    handle.control.send_replace(SocketControl::Aborted);
                }
                (CloseMode::Eof, Some(tcp)) => {
                    tcp.end();
                    handle.control.send_replace(SocketControl::Aborted);
                }
            }
        }
    }

    /// The server has gone down and with it every socket, whatever had become of it.
    pub(crate) fn drop_sockets(&self) {
        let mut state = self.state();
        for (_, handle) in std::mem::take(&mut state.sockets) {
            state.ledger.ended(&handle.user);
        }
        state.slots.clear();
        self.announce(&state);
    }

    /// Drops all registrations; the sockets stay open and, if `blackhole`, send nothing any more.
    pub(crate) fn drop_registrations(&self, blackhole: bool) {
        let mut state = self.state();
        state.slots.clear();
        if blackhole {
            for handle in state.sockets.values() {
                handle.control.send_replace(SocketControl::Blackhole);
            }
        }
        self.announce(&state);
    }

    /// Another client takes the slot of the account.
    pub(crate) fn take_over(&self) {
        let now = self.now();
        let mut state = self.state();
        state
            .slots
            .connect(&self.user_id().to_string(), ANOTHER_CLIENT, now);
        self.announce(&state);
    }

    /// It goes, and the slot is emptied, whoever has it by now.
    pub(crate) fn end_takeover(&self) {
        let mut state = self.state();
        state.slots.end(&self.user_id().to_string(), ANOTHER_CLIENT);
        self.announce(&state);
    }

    /// The way to the socket that is registered for the account.
    pub(crate) fn registered_outbox(&self) -> Option<mpsc::Sender<Outgoing>> {
        let state = self.state();
        let slot = state.slots.get(&self.user_id().to_string())?;
        Some(state.sockets.get(&slot.socket)?.outbox.clone())
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.state();
        let registered = u32::try_from(state.slots.iter().count()).unwrap_or(u32::MAX);
        Stats {
            registered,
            ..state.ledger.stats.clone()
        }
    }

    fn announce(&self, state: &State) {
        let registered = state.slots.get(&self.user_id().to_string()).is_some();
        self.registered
            .send_if_modified(|was| std::mem::replace(was, registered) != registered);
    }
}
