//! A second handle on the TCP connection below a request, to end it in ways HTTP cannot.
//! It knows nothing of what is said on the connection.

use std::{any::Any, io, net::TcpStream, os::fd::AsFd, time::Duration};

use actix_web::rt::net::TcpStream as AsyncTcpStream;
use rustix::net::{Shutdown, connect_unspec, shutdown};

/// The handle.
#[derive(Debug)]
pub(crate) struct Tcp {
    stream: TcpStream,
}

/// A TLS connection as the server has it.
type TlsStream = actix_tls::accept::rustls_0_23::TlsStream<AsyncTcpStream>;

impl Tcp {
    /// A handle on the connection the server has just taken, if it is one.
    pub(crate) fn of(connection: &dyn Any) -> io::Result<Option<Self>> {
        let plain = connection.downcast_ref::<AsyncTcpStream>();
        let Some(stream) =
            plain.or_else(|| connection.downcast_ref::<TlsStream>().map(|tls| tls.get_ref().0))
        else {
            return Ok(None);
        };
        // As asyncio does, on which the real server stands: a second message does not wait until the first has arrived.
        stream.set_nodelay(true)?;
        Ok(Some(Self {
            stream: TcpStream::from(stream.as_fd().try_clone_to_owned()?),
        }))
    }

    /// Resets the connection: the peer gets RST, whoever else holds the socket.
    pub(crate) fn reset(&self) {
        if connect_unspec(&self.stream).is_err() {
            self.end();
        }
    }

    /// Ends both directions without a word: the peer reads the end of the stream.
    pub(crate) fn end(&self) {
        // Fails only when the peer was first, and then there is nothing left to end.
        let _ = shutdown(&self.stream, Shutdown::Both);
    }

    /// Waits until the peer has closed its end, at most this long; what it still sends is discarded.
    pub(crate) async fn wait_for_end(&self, limit: Duration) {
        let Ok(Ok(stream)) = self.stream.try_clone().map(AsyncTcpStream::from_std) else {
            return;
        };
        let drained = async {
            loop {
                if stream.readable().await.is_err() {
                    return;
                }
                match stream.try_read(&mut [0; 4096]) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        let _ = tokio::time::timeout(limit, drained).await;
    }
}
