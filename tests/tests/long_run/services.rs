//! What the sinks deliver to: a server each, that is well, down, slow, or worse, and notes what it took.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;
use watchpost_testkit::{Behavior, HttpAnswer, HttpRequest, HttpServer, Table, toml};
use watchpost_world::scenario::{Mood, SINKS};

/// The server of one sink.
pub(crate) struct Service {
    pub(crate) name: &'static str,
    server: HttpServer,
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    mood: Mood,
    /// What was taken, and when.
    taken: Vec<(String, Instant)>,
    /// When it could not be known at the hub how a delivery ended.
    unknown: Vec<Instant>,
}

impl Service {
    fn start(name: &'static str) -> Result<Self> {
        let (server, book) = (HttpServer::start()?, Arc::<Mutex<Book>>::default());
        let writes = Arc::clone(&book);
        server.script(move |request| answer(&mut locked(&writes), request));
        Ok(Self { name, server, book })
    }

    /// A `[[sink]]` that delivers to it.
    pub(crate) fn sink(&self) -> Table {
        let (name, url, port) = (self.name, self.server.url(), self.server.address().port());
        toml! {
            [[sink]]
            name = name
            plugin = "webhook"
            events = false
            late = "each"
            wait_picture = "0s"
            timeout = "5s"
            retry = { initial = "100ms", max = "1s", give_up_after = "1h" }
            sandbox = { connect = [port] }
            config = { url = url, timeout = "2s", picture = "none" }
        }
    }

    pub(crate) fn set(&self, mood: Mood) {
        let mut book = locked(&self.book);
        // What it hangs over was taken, and the hub does not hear of it.
        book.unknown.push(Instant::now());
        book.mood = mood;
    }

    /// From now on it cannot be known how what is in flight ended.
    pub(crate) fn unknown(&self) {
        locked(&self.book).unknown.push(Instant::now());
    }

    /// The alerts that it took.
    pub(crate) fn taken(&self) -> BTreeSet<String> {
        let book = locked(&self.book);
        book.taken.iter().map(|(alert, _)| alert.clone()).collect()
    }

    /// Those that it took twice although the hub knew how the first delivery had ended.
    pub(crate) fn twice(&self) -> Vec<String> {
        let book = locked(&self.book);
        let mut last = BTreeMap::new();
        let mut twice = Vec::new();
        for (alert, at) in &book.taken {
            if let Some(before) = last.insert(alert, at)
                && !book.unknown.iter().any(|when| when >= before && when <= at)
            {
                twice.push(format!("{} took {alert} twice", self.name));
            }
        }
        twice
    }
}

/// One for each sink.
pub(crate) fn start() -> Result<Vec<Service>> {
    SINKS.into_iter().map(Service::start).collect()
}

fn locked(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(book: &mut Book, request: &HttpRequest) -> HttpAnswer {
    let alert = request.header("idempotency-key").unwrap_or_default().to_owned();
    let now = Instant::now();
    match book.mood {
        Mood::Well => {
            book.taken.push((alert, now));
            HttpAnswer::status(204)
        }
        Mood::Down => HttpAnswer::status(503),
        // It takes it and says so in half.
        Mood::Slow => {
            book.taken.push((alert, now));
            book.unknown.push(now);
            HttpAnswer::status(204).behavior(Behavior::Half)
        }
        Mood::Hangs => HttpAnswer::status(204).behavior(Behavior::Silent),
        Mood::Crashes => HttpAnswer::status(204).behavior(Behavior::Closed),
        Mood::Refuses => HttpAnswer::status(410),
    }
}
