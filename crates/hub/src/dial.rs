//! Connects to a name with several addresses as RFC 8305 has it: one that drops packets costs a quarter of a second. In
//! which order they are tried, and when, is [`Race`]'s to say.

use std::future::pending;
use std::io;
use std::net::SocketAddr;

use actix_rt::net::TcpStream;
use actix_service::Service as _;
use actix_tls::connect::{ConnectError, ConnectInfo, Resolver};
use awc::http::Uri;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;
use watchpost_core::MonotonicTime;
use watchpost_dial::Race;

use crate::clock::Clock;

/// Connects to the first of these addresses that answers, for as long as whoever waits has patience.
///
/// # Errors
/// When none can be reached: why the last one could not.
pub async fn dial(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let clock = Clock::start();
    let passed = || clock.now().since(MonotonicTime::default());
    let mut race = Race::new(addresses);
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address");
    loop {
        while let Some(address) = race.begin(passed()) {
            attempts.push(TcpStream::connect(address));
        }
        let due = race.due();
        if attempts.is_empty() && due.is_none() {
            return Err(last);
        }
        let next = async {
            match due {
                Some(due) => sleep(due.saturating_sub(passed())).await,
                None => pending().await,
            }
        };
        tokio::select! {
            Some(outcome) = attempts.next() => match outcome {
                Ok(stream) => {
                    // An acknowledgement must not wait for the answer to the one before it (Nagle's algorithm), which a
                    // busy server delays.
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(e) => {
                    last = e;
                    race.failed();
                }
            },
            () = next => {}
        }
    }
}

/// The same for HTTP clients, which give a name.
pub(crate) async fn connect(request: ConnectInfo<Uri>) -> Result<TcpStream, ConnectError> {
    let resolved = Resolver::default().service().call(request).await?;
    dial(resolved.addrs()).await.map_err(ConnectError::Io)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::{LocalBoxFuture, poll_immediate};
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::time::timeout;

    use super::*;

    /// More than a queue of one takes.
    const FILLING: usize = 8;

    /// An address that answers nothing: a listener whose queue is full, so that the kernel drops what else comes.
    struct Silent {
        address: SocketAddr,
        _listener: TcpListener,
        _held: Vec<LocalBoxFuture<'static, io::Result<TcpStream>>>,
        _open: Vec<TcpStream>,
    }

    async fn silent() -> Silent {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let (mut held, mut open) = (Vec::new(), Vec::new());
        for _ in 0..FILLING {
            let mut attempt: LocalBoxFuture<'static, _> = Box::pin(TcpStream::connect(address));
            match poll_immediate(&mut attempt).await {
                Some(stream) => open.push(stream.unwrap()),
                None => held.push(attempt),
            }
        }
        Silent {
            address,
            _listener: listener,
            _held: held,
            _open: open,
        }
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[actix::test]
    async fn an_address_that_drops_packets_does_not_keep_from_the_next() {
        let (silent, (_listener, good)) = (silent().await, listener().await);
        let stream = dial([silent.address, silent.address, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(stream.nodelay().unwrap());
        let alone = timeout(Duration::from_millis(50), dial([silent.address])).await;
        assert!(alone.is_err(), "it does not answer at all");
    }

    #[actix::test]
    async fn an_address_that_refuses_is_followed_by_the_next_and_the_last_one_tells() {
        let (_listener, good) = listener().await;
        let free = listener().await.1;
        let stream = dial([free, free, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let refused = dial([free, free]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(
            dial([]).await.unwrap_err().kind(),
            io::ErrorKind::AddrNotAvailable
        );
    }

    #[actix::test]
    async fn clients_connect_by_it() {
        let (silent, (_listener, good)) = (silent().await, listener().await);
        let uri = Uri::from_static("http://backend.example/");
        let request = ConnectInfo::new(uri).set_addrs([silent.address, good]);
        let stream = connect(request).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }
}
