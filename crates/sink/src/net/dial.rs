//! Connects to a name with several addresses as RFC 8305 ("Happy Eyeballs") has it: one that drops packets costs a quarter
//! of a second and nothing else. In which order they are tried, and when, is [`Race`]'s to say.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect as begin, socket_with, sockopt};
use watchpost_dial::Race;

use super::{Cause, Unreachable, Wait};

/// Connects to the first address of the name that answers.
///
/// Looking up the name is the system's affair and takes as long as that takes.
///
/// # Errors
/// The name is not known, no address answers, or the wait is over.
pub fn connect(host: &str, port: u16, wait: &Wait) -> Result<TcpStream, Unreachable> {
    let broken = |error: &io::Error| Unreachable::from_io(error, host, port);
    wait.left().map_err(|error| broken(&error))?;
    let found = (host, port).to_socket_addrs().map_err(|error| {
        let why = format_args!(
            "the name {host} is not found ({error}); look at the name, and at this machine's name service"
        );
        Unreachable::new(Cause::Name, why)
    })?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(Unreachable::new(
            Cause::Name,
            format_args!("the name {host} has no address"),
        ));
    }
    let stream = connect_first(&addresses, wait).map_err(|error| broken(&error))?;
    // Requests and answers are small and wait for each other.
    stream.set_nodelay(true).map_err(|error| broken(&error))?;
    Ok(stream)
}

/// The first of these addresses that answers, or the last error.
fn connect_first(addresses: &[SocketAddr], wait: &Wait) -> io::Result<TcpStream> {
    let mut race = Race::new(addresses.iter().copied());
    let began = Instant::now();
    let mut open: Vec<OwnedFd> = Vec::new();
    let mut last = io::Error::from(io::ErrorKind::NotConnected);
    loop {
        while let Some(address) = race.begin(began.elapsed()) {
            match attempt(address) {
                Ok(socket) => open.push(socket),
                Err(error) => {
                    last = error;
                    race.failed();
                }
            }
        }
        let due = race.due();
        if open.is_empty() && due.is_none() {
            return Err(last);
        }
        let mut step = wait.step()?;
        if let Some(due) = due {
            step = step.min(due.saturating_sub(began.elapsed()));
        }
        let Some(index) = ready(&open, step)? else {
            continue;
        };
        let socket = open.swap_remove(index);
        match sockopt::socket_error(&socket)? {
            Ok(()) => {
                let stream = TcpStream::from(socket);
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) => {
                last = error.into();
                race.failed();
            }
        }
    }
}

/// Begins to connect, without waiting.
fn attempt(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match begin(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// The first socket of which something is known, if that is so within this time.
fn ready(open: &[OwnedFd], time: Duration) -> io::Result<Option<usize>> {
    let mut watched: Vec<PollFd<'_>> = open.iter().map(|fd| PollFd::new(fd, PollFlags::OUT)).collect();
    let time = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    match poll(&mut watched, Some(&time)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(watched.iter().position(|fd| !fd.revents().is_empty()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// An address that answers nothing: a listener whose queue is full, so the kernel drops what else comes.
    fn silent() -> (SocketAddr, Vec<OwnedFd>) {
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let mut held = vec![OwnedFd::from(listener)];
        // The last of these is not answered any more.
        loop {
            let next = attempt(address).unwrap();
            let answered = ready(std::slice::from_ref(&next), Duration::from_millis(200)).unwrap();
            held.push(next);
            if answered.is_none() {
                return (address, held);
            }
        }
    }

    #[test]
    fn an_address_that_drops_packets_does_not_keep_from_the_next() {
        let (silent, _held) = silent();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        // Alone it would not be reached before the wait ends.
        let stream = connect_first(&[silent, good], &Wait::of(PATIENCE)).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let error = connect_first(&[silent], &Wait::of(Duration::from_millis(50))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn an_address_that_refuses_is_followed_by_the_next_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let stream = connect_first(&[free, free, good], &Wait::of(PATIENCE)).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let error = connect_first(&[free, free], &Wait::of(PATIENCE)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_name_that_is_not_known_is_reported() {
        let error = connect("no-such-host.invalid", 1, &Wait::of(PATIENCE)).unwrap_err();
        assert_eq!(error.cause(), Cause::Name);
    }
}
