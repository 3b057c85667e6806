//! A simulator that runs: its thread, its server, and the handle by which tests steer and question it.
//!
//! It has a thread of its own with its own Actix system, so that it can be started from any runtime,
//! is not slowed by what is tested, and keeps real time where a test has stopped the clock.

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use bytes::Bytes;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    Account, Attempt, Command, Error, Options, SentAlert, Stats, account::Claims, backend::Backend,
    handle::Handle, produce::Producer, server,
};

/// Starts a simulator and answers when it listens.
pub async fn start(options: Options) -> Result<Running, Error> {
    options.check()?;
    let tls = options.tls.as_ref().map(server::tls_config).transpose()?;
    let listen = options.listen;
    let backend = Arc::new(Backend::new(options));
    backend.painter.check()?;
    let (handle, job_queue, switch_queue) = Handle::new(backend.clone());
    let (ready, listening) = oneshot::channel();
    let for_server = handle.clone();
    let thread = std::thread::Builder::new()
        .name("watchpost-simulator".to_owned())
        .spawn(move || {
            actix_rt::System::new().block_on(async move {
                let producer = actix_rt::spawn(Producer::new(backend).run(job_queue));
                server::run(listen, tls, for_server, switch_queue, ready).await;
                producer.abort();
            });
        })
        .map_err(Error::Start)?;
    let addr = listening.await.map_err(|_| Error::Stopped)??;
    Ok(Running {
        addr,
        handle,
        thread: Some(thread),
    })
}

/// A running simulator. Dropping it stops it without waiting.
pub struct Running {
    addr: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base address for the configuration of a hub, like `ws://127.0.0.1:4711`.
    pub fn url(&self) -> String {
        let scheme = if self.handle.backend().options.tls.is_some() {
            "wss"
        } else {
            "ws"
        };
        format!("{scheme}://{}", self.addr)
    }

    /// The user that owns all streams.
    pub fn user_id(&self) -> Uuid {
        self.handle.backend().user_id()
    }

    /// The first shop, which is that of all anomalies unless there are several.
    pub fn shop_id(&self) -> Uuid {
        self.handle.backend().shops[0]
    }

    /// How to log in.
    pub fn account(&self) -> Account {
        self.handle.backend().account()
    }

    /// How another user logs in, who sees the same shops and to whom no alert is sent.
    pub fn second_account(&self) -> Account {
        self.handle.backend().second().clone()
    }

    /// A token of that one, as a login would give it.
    pub fn second_token(&self) -> Result<String, Error> {
        let backend = self.handle.backend();
        backend.token(backend.second())
    }

    /// The streams, in the order of the cameras.
    pub fn streams(&self) -> Vec<Uuid> {
        self.handle
            .backend()
            .cameras
            .iter()
            .map(|camera| camera.stream_id)
            .collect()
    }

    /// A token that is good now, as a login would give it.
    pub fn token(&self) -> Result<String, Error> {
        let backend = self.handle.backend();
        backend.token(&backend.account())
    }

    /// A well-signed token for any subject that ends after `life` seconds, which may be negative.
    pub fn token_for(&self, subject: &str, life_seconds: i64) -> Result<String, Error> {
        let backend = self.handle.backend();
        let iat = backend
            .now()
            .unix_timestamp()
            .min(backend.now().unix_timestamp() + life_seconds);
        let exp = backend.now().unix_timestamp() + life_seconds;
        let Account { email, role, .. } = backend.account();
        let sub = subject.to_owned();
        backend.sign(&Claims {
            sub,
            email,
            role,
            exp,
            iat,
            kind: None,
        })
    }

    /// Gives a command and waits until it is carried out.
    pub async fn order(&self, command: Command) -> Result<(), Error> {
        self.handle.order(command).await
    }

    /// Makes alerts now: see [`Command::Send`].
    pub async fn send(&self, count: u64) -> Result<(), Error> {
        self.order(Command::Send { count, camera: None }).await
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.handle.backend().stats()
    }

    /// The alerts made, oldest first, as far as they are listed.
    pub fn alerts(&self) -> Vec<SentAlert> {
        self.handle.backend().state().ledger.alerts()
    }

    /// The WebSocket handshakes, oldest first, as far as they are listed.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.handle.backend().state().ledger.attempts()
    }

    /// Times from JSON ping to pong, oldest first.
    pub fn pongs(&self) -> Vec<Duration> {
        self.handle.backend().state().ledger.pongs()
    }

    /// The very bytes of the picture that an alert carried; none if its row is gone.
    pub fn picture(&self, anomaly_id: Uuid) -> Option<Bytes> {
        self.handle.picture(anomaly_id)
    }

    /// Waits until the counters are as wanted, or the time is over; answers the last ones seen and whether they fit.
    pub async fn wait_for(&self, limit: Duration, mut wanted: impl FnMut(&Stats) -> bool) -> (Stats, bool) {
        /// Time between two looks at the counters.
        const LOOK: Duration = Duration::from_millis(2);
        let end = std::time::Instant::now() + limit;
        loop {
            let stats = self.stats();
            if wanted(&stats) {
                return (stats, true);
            }
            if std::time::Instant::now() >= end {
                return (stats, false);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends all sockets and the server, and waits for its thread.
    pub async fn stop(mut self) {
        let (done, stopped) = oneshot::channel();
        if self.handle.stop(done).await {
            let _ = stopped.await;
        }
        if let Some(thread) = self.thread.take() {
            // The thread has answered and only returns now.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.handle.stop_without_waiting();
        }
    }
}
