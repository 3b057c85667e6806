//! The line between a client and a server: it carries bytes, as slowly as a test wants, and breaks in the ways in which lines
//! break. It refuses to know what the bytes mean.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::net::connect_unspec;

/// Bytes that are carried at a time.
const PIECE_BYTES: usize = 4 << 10;

/// A line to a server. Dropping it resets what goes over it.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What it carries in each direction, if that is limited.
    bytes_per_second: Option<u64>,
    /// When it has carried what it was given, towards the server and back.
    free_at: [Option<Instant>; 2],
    /// Nothing arrives.
    held: bool,
    /// Connections are reset at once.
    refused: bool,
    stopped: bool,
    /// Both ends of each connection.
    open: Vec<Ends>,
    number: u64,
}

#[derive(Debug)]
struct Ends {
    number: u64,
    client: TcpStream,
    server: TcpStream,
    /// What is sent over it is lost, and no end learns of the other's.
    severed: bool,
    /// In how many directions nothing goes any more.
    ended: u8,
}

impl Line {
    /// A line to this server, fast and whole.
    pub fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        let listening = std::thread::spawn(move || accept(&listener, &accepting));
        Ok(Self {
            address,
            shared,
            listening: Some(listening),
        })
    }

    /// The address of its near end as it belongs into `connection.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Carries so many bytes a second in each direction from now on, over all connections together; `None` for as many as
    /// come.
    pub fn carries(&self, bytes_per_second: Option<u64>) {
        self.change(|state| (state.bytes_per_second, state.free_at) = (bytes_per_second, [None; 2]));
    }

    /// Keeps back what is sent, or lets it go on.
    pub fn hold(&self, held: bool) {
        self.change(|state| state.held = held);
    }

    /// Resets new connections at once, or lets them through.
    pub fn refuse(&self, refused: bool) {
        self.change(|state| state.refused = refused);
    }

    /// Resets every connection.
    pub fn reset(&self) {
        self.change(|state| state.open.drain(..).for_each(|ends| ends.reset()));
    }

    /// Forgets every connection: its ends hear nothing of each other any more.
    pub fn sever(&self) {
        self.change(|state| state.open.iter_mut().for_each(|ends| ends.severed = true));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.lock());
        self.shared.changed.notify_all();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.change(|state| {
            state.stopped = true;
            state.open.drain(..).for_each(|ends| ends.reset());
        });
        // The listener waits for a connection, so it gets one.
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
        if let Some(listening) = self.listening.take() {
            drop(listening.join());
        }
    }
}

impl Ends {
    fn reset(&self) {
        for end in [&self.client, &self.server] {
            if connect_unspec(end).is_err() {
                // It has ended already.
                drop(end.shutdown(Shutdown::Both));
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the line takes a piece of so many bytes. Whether it arrives.
    fn carry(&self, number: u64, direction: usize, bytes: usize) -> bool {
        let mut state = self.lock();
        while state.held && !state.stopped {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(rate) = state.bytes_per_second {
            let now = Instant::now();
            let begins = state.free_at[direction].unwrap_or(now).max(now);
            let there = begins + Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
            state.free_at[direction] = Some(there);
            // A line that is made faster does not keep what was sent before.
            while state.bytes_per_second == Some(rate) && !state.stopped {
                let left = there.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                let waited = self.changed.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        let ends = state.open.iter().find(|ends| ends.number == number);
        ends.is_some_and(|ends| !ends.severed)
    }

    /// Nothing goes in one direction any more.
    fn ended(&self, number: u64) {
        let open = &mut self.lock().open;
        if let Some(place) = open.iter().position(|ends| ends.number == number) {
            open[place].ended += 1;
            if open[place].ended == 2 {
                open.swap_remove(place);
            }
        }
    }

    /// Whether the end of one side is told to the other.
    fn is_severed(&self, number: u64) -> bool {
        let state = self.lock();
        let ends = state.open.iter().find(|ends| ends.number == number);
        ends.is_some_and(|ends| ends.severed)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        let Ok(client) = client else { continue };
        let server = TcpStream::connect(shared.server);
        let mut state = shared.lock();
        if state.stopped {
            return;
        }
        let (Ok(server), false) = (server, state.refused) else {
            let _ = connect_unspec(&client);
            continue;
        };
        state.number += 1;
        let number = state.number;
        let [Ok(up), Ok(down)] = [
            client
                .try_clone()
                .and_then(|client| Ok((client, server.try_clone()?))),
            server
                .try_clone()
                .and_then(|server| Ok((server, client.try_clone()?))),
        ] else {
            continue;
        };
        state.open.push(Ends {
            number,
            client,
            server,
            severed: false,
            ended: 0,
        });
        for (direction, (from, to)) in [up, down].into_iter().enumerate() {
            let shared = Arc::clone(shared);
            std::thread::spawn(move || {
                copy(&shared, number, direction, from, to);
                shared.ended(number);
            });
        }
    }
}

fn copy(shared: &Shared, number: u64, direction: usize, mut from: TcpStream, mut to: TcpStream) {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match from.read(&mut piece) {
            Ok(0) => {
                if !shared.is_severed(number) {
                    drop(to.shutdown(Shutdown::Write));
                }
                return;
            }
            Ok(length) => {
                if shared.carry(number, direction, length) && to.write_all(&piece[..length]).is_err() {
                    return;
                }
            }
            Err(_) => {
                if !shared.is_severed(number) {
                    let _ = connect_unspec(&to);
                }
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets.
    fn echo() -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let (mut from, mut to) = (stream.try_clone()?, stream);
                    std::io::copy(&mut from, &mut to).map(drop)
                });
            }
        });
        Ok(address)
    }

    #[test]
    fn it_carries_at_its_pace_and_breaks() -> Result<()> {
        let line = Line::to(echo()?)?;
        let mut stream = TcpStream::connect(line.address)?;
        let mut echoed = [0; 40_000];
        stream.write_all(&echoed)?;
        stream.read_exact(&mut echoed)?;
        line.carries(Some(40_000));
        let begun = Instant::now();
        stream.write_all(&echoed)?;
        stream.read_exact(&mut echoed)?;
        assert!(
            begun.elapsed() > Duration::from_millis(900),
            "{:?}",
            begun.elapsed()
        );
        line.carries(None);
        line.reset();
        assert!(stream.read(&mut echoed).is_err(), "it was reset");
        // Of what is sent over a connection that was forgotten nothing arrives, and a new one works.
        let mut forgotten = TcpStream::connect(line.address)?;
        forgotten.write_all(b"x")?;
        forgotten.read_exact(&mut echoed[..1])?;
        line.sever();
        forgotten.write_all(b"x")?;
        forgotten.set_read_timeout(Some(Duration::from_millis(200)))?;
        assert!(forgotten.read(&mut echoed).is_err(), "nothing comes");
        let mut next = TcpStream::connect(line.address)?;
        next.write_all(b"y")?;
        next.read_exact(&mut echoed[..1])?;
        assert_eq!(&echoed[..1], b"y");
        Ok(())
    }
}
