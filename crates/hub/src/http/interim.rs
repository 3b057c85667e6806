//! Takes interim answers (1xx, RFC 9110 section 15.2) out of what a server sends: proxies may send them before any answer, and
//! the HTTP client takes the first answer for the last, so that the true one would be read as that to its next request.
//! Knows nothing of TLS, which is below.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_rt::net::{ActixStream, Ready};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Interim answers before one answer; a server that sends more of them does not mean to answer.
const MAX_INTERIM: usize = 16;
/// Bytes of all of them, and of the beginning of the answer behind them.
const MAX_BYTES: usize = 16 << 10;
/// Bytes that are read at once while an answer is awaited.
const CHUNK: usize = 4 << 10;
/// Header fields of one of them.
const MAX_FIELDS: usize = 64;
/// The answer to a WebSocket's handshake, of the same hundred. What follows it is no HTTP.
const SWITCHING_PROTOCOLS: u16 = 101;

/// A connection, as it is below an HTTP client.
trait Wire: AsyncRead + AsyncWrite + Unpin + fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + fmt::Debug> Wire for T {}

/// A connection on which each request has one answer.
#[derive(Debug)]
pub(crate) struct FinalAnswers {
    wire: Box<dyn Wire>,
    answer: Answer,
}

impl FinalAnswers {
    pub(super) fn new(wire: impl AsyncRead + AsyncWrite + Unpin + fmt::Debug + 'static) -> Self {
        Self {
            wire: Box::new(wire),
            answer: Answer::default(),
        }
    }
}

/// How much of an answer has come.
#[derive(Debug, Default)]
struct Answer {
    stage: Stage,
    /// What has come and is not handed on.
    held: BytesMut,
    interim: usize,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Stage {
    /// It has begun, or none was asked for: what comes is handed on.
    #[default]
    Begun,
    /// Asked for.
    Awaited,
    /// There are no answers any more.
    Switched,
}

/// What a server must not send.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
enum Breach {
    #[error("the server sent more than {MAX_INTERIM} interim answers (1xx), and no other")]
    TooMany,
    #[error("the server sent more than {} KiB of interim answers (1xx)", MAX_BYTES >> 10)]
    TooLong,
    #[error("the server sent an interim answer (1xx) that cannot be read or has a body")]
    Malformed,
}

impl Answer {
    /// Something was sent to the server, which is a request, or more of one.
    fn sent(&mut self) {
        if self.stage == Stage::Begun {
            *self = Self {
                stage: Stage::Awaited,
                held: std::mem::take(&mut self.held),
                ..Self::default()
            };
        }
    }

    /// These bytes have come while an answer is awaited.
    fn came(&mut self, bytes: &[u8]) -> Result<(), Breach> {
        self.held.extend_from_slice(bytes);
        self.bytes = self.bytes.saturating_add(bytes.len());
        while self.stage == Stage::Awaited {
            let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
            let mut head = httparse::Response::new(&mut fields);
            let parsed = head.parse(&self.held);
            let interim = head.code.is_some_and(|code| (100..200).contains(&code));
            match (head.code, parsed) {
                (Some(SWITCHING_PROTOCOLS), _) => self.stage = Stage::Switched,
                (_, Ok(httparse::Status::Complete(length))) if interim => {
                    // It has no body, and one that says that it has would be taken for the next answer.
                    let has_body = |field: &httparse::Header<'_>| {
                        ["content-length", "transfer-encoding"]
                            .iter()
                            .any(|name| field.name.eq_ignore_ascii_case(name))
                    };
                    if head.headers.iter().any(has_body) {
                        return Err(Breach::Malformed);
                    }
                    self.held.advance(length);
                    self.interim += 1;
                    if self.interim > MAX_INTERIM {
                        return Err(Breach::TooMany);
                    }
                }
                (_, Err(_)) if interim => return Err(Breach::Malformed),
                (code, Ok(httparse::Status::Partial)) if interim || code.is_none() => {
                    if self.bytes > MAX_BYTES {
                        return Err(Breach::TooLong);
                    }
                    return Ok(());
                }
                // Whatever it is, it is the client's to read.
                _ => self.stage = Stage::Begun,
            }
        }
        Ok(())
    }

    /// Nothing more will come.
    fn ended(&mut self) {
        self.stage = Stage::Switched;
    }
}

impl AsyncRead for FinalAnswers {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { wire, answer } = self.get_mut();
        while answer.stage == Stage::Awaited {
            let mut chunk = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut *wire).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                answer.ended();
            }
            answer
                .came(chunk.filled())
                .map_err(|breach| io::Error::new(io::ErrorKind::InvalidData, breach))?;
        }
        if answer.held.is_empty() {
            return Pin::new(wire).poll_read(cx, buf);
        }
        let length = answer.held.len().min(buf.remaining());
        buf.put_slice(&answer.held.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FinalAnswers {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.answer.sent();
        Pin::new(&mut self.wire).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.answer.sent();
        Pin::new(&mut self.wire).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

/// The client asks for a stream of this kind, and never whether it is ready: a read or a write says itself that it has to
/// wait.
impl ActixStream for FinalAnswers {
    fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::ALL))
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::ALL))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    const PROCESSING: &str = "HTTP/1.1 102 Processing\r\nX-At: 7\r\n\r\n";
    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n!";

    /// What is handed on of what comes after a request, in pieces that end at these places.
    fn handed_on(came: &str, cuts: &[usize]) -> Result<Answer, Breach> {
        let mut answer = Answer::default();
        answer.sent();
        let mut from = 0;
        for to in cuts.iter().copied().chain([came.len()]) {
            if answer.stage == Stage::Awaited {
                answer.came(&came.as_bytes()[from..to])?;
            } else {
                answer.held.extend_from_slice(&came.as_bytes()[from..to]);
            }
            from = to;
        }
        Ok(answer)
    }

    #[test]
    fn interim_answers_are_taken_out_wherever_they_are_cut() {
        for before in [
            String::new(),
            CONTINUE.to_owned(),
            PROCESSING.to_owned(),
            HINTS.to_owned(),
            format!("{CONTINUE}{HINTS}{PROCESSING}"),
            CONTINUE.repeat(MAX_INTERIM),
            // As lenient as the client's own parser.
            "\r\nHTTP/1.0 100 \n\n".to_owned(),
        ] {
            let came = format!("{before}{ANSWER}");
            for cut in 0..came.len() {
                let answer = handed_on(&came, &[cut]).unwrap();
                assert_eq!(answer.held, ANSWER, "cut at {cut}");
                assert_eq!(answer.stage, Stage::Begun);
            }
            let everywhere: Vec<usize> = (0..came.len()).collect();
            assert_eq!(handed_on(&came, &everywhere).unwrap().held, ANSWER);
        }
    }

    #[test]
    fn what_is_no_interim_answer_is_left_to_the_client() {
        for came in [
            "HTTP/1.1 404 x\r\n\r\n",
            "garbage",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 99",
        ] {
            let answer = handed_on(came, &[]).unwrap();
            assert_eq!(answer.held, came);
        }
    }

    #[test]
    fn what_no_server_may_send_ends_the_connection() {
        let many_fields = format!("HTTP/1.1 103 x\r\n{}\r\n", "A: b\r\n".repeat(MAX_FIELDS + 1));
        let long = format!("HTTP/1.1 103 x\r\nA: {}", "b".repeat(MAX_BYTES));
        for (came, breach) in [
            (CONTINUE.repeat(MAX_INTERIM + 1), Breach::TooMany),
            (long, Breach::TooLong),
            ("\r\n".repeat(MAX_BYTES), Breach::TooLong),
            (many_fields, Breach::Malformed),
            (
                "HTTP/1.1 103 x\r\ncontent-length: 5\r\n\r\n12345".to_owned(),
                Breach::Malformed,
            ),
            (
                "HTTP/1.1 100 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
                Breach::Malformed,
            ),
            ("HTTP/1.1 103 x\r\n\0: b\r\n\r\n".to_owned(), Breach::Malformed),
        ] {
            assert_eq!(handed_on(&came, &[]).unwrap_err(), breach);
        }
    }

    #[actix::test]
    async fn each_request_has_one_answer_on_a_connection_that_is_used_again() {
        let (near, mut far) = duplex(64 << 10);
        let mut client = FinalAnswers::new(near);
        for request in 0..3 {
            client.write_all(b"GET").await.unwrap();
            far.read_exact(&mut [0; 3]).await.unwrap();
            for byte in format!("{CONTINUE}{HINTS}{ANSWER}{request}").as_bytes() {
                far.write_all(&[*byte]).await.unwrap();
            }
            let mut came = vec![0; ANSWER.len() + 1];
            client.read_exact(&mut came).await.unwrap();
            assert_eq!(String::from_utf8(came).unwrap(), format!("{ANSWER}{request}"));
        }
        client.write_all(b"GET").await.unwrap();
        far.write_all(b"HTTP/1.1 1").await.unwrap();
        drop(far);
        let mut came = String::new();
        client.read_to_string(&mut came).await.unwrap();
        assert_eq!(came, "HTTP/1.1 1", "what was held is handed on at the end");
    }

    #[actix::test]
    async fn what_follows_a_switch_of_protocols_is_no_answer() {
        let (near, mut far) = duplex(64 << 10);
        let mut client = FinalAnswers::new(near);
        let switched = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
        client.write_all(b"GET").await.unwrap();
        far.write_all(format!("{HINTS}{switched}").as_bytes())
            .await
            .unwrap();
        let mut came = vec![0; switched.len()];
        client.read_exact(&mut came).await.unwrap();
        assert_eq!(came, switched.as_bytes());
        client.write_all(b"frame").await.unwrap();
        far.write_all(CONTINUE.as_bytes()).await.unwrap();
        let mut came = vec![0; CONTINUE.len()];
        client.read_exact(&mut came).await.unwrap();
        assert_eq!(came, CONTINUE.as_bytes());
    }
}
