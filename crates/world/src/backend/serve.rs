//! Serves the backend over the streams of the world: HTTP/1.1 with keep-alive, and alert sockets.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::ws::{CloseCode, CloseReason, Codec, Frame, Message, hash_key};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::{Instant, interval_at, sleep, timeout};

use super::Backend;
use super::answers::{Answer, Request};
use super::wire;
use crate::net::Side;

/// An idle connection is closed after this.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long a socket's user stays registered when the client does not end its side.
const LINGER: Duration = Duration::from_secs(10);

/// Between two JSON pings.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Between two protocol pings, and how long one may stay unanswered.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// What a login takes, for the password is hashed while nothing else is done.
const LOGIN_TIME: Duration = Duration::from_millis(250);

/// Most lines in the head of a request.
const MAX_HEADERS: usize = 24;

/// Longest head of a request.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// The server's process.
pub struct Server {
    backend: Backend,
    connections: Rc<RefCell<JoinSet<()>>>,
}

impl Server {
    /// Takes what comes in.
    pub fn start(backend: Backend, mut incoming: mpsc::UnboundedReceiver<Side>) -> Self {
        let connections = Rc::new(RefCell::new(JoinSet::new()));
        let (set, serving) = (Rc::clone(&connections), backend.clone());
        spawn_local(async move {
            while let Some(side) = incoming.recv().await {
                let serving = serving.clone();
                let mut set = set.borrow_mut();
                while set.try_join_next().is_some() {}
                set.spawn_local(async move {
                    let _ = connection(serving, side).await;
                });
            }
        });
        Self { backend, connections }
    }

    /// Ends the process, and all its connections with it.
    pub fn crash(&self) {
        self.connections.borrow_mut().abort_all();
        self.backend.forget();
    }
}

/// One connection, until either side ends it.
async fn connection(backend: Backend, mut side: Side) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some((request, key)) = read_request(&mut side, &mut buffer).await? else {
            return Ok(());
        };
        backend.thawed().await;
        if let Some(user) = request.path.strip_prefix("/ws/alerts/") {
            return upgrade(backend, side, &request, user, key).await;
        }
        if request.path == "/auth/login" {
            sleep(LOGIN_TIME).await;
            backend.thawed().await;
        }
        let answer = backend.answer(&request);
        if answer.status == Answer::NONE {
            return Ok(());
        }
        write_answer(&mut side, &backend, &answer).await?;
        // It ends the connection then without having said so.
        if answer.status == 500 {
            return Ok(());
        }
    }
}

/// A request, and the key of the handshake if it is one. `None` when there are no more.
async fn read_request(
    side: &mut Side,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<(Request, Option<String>)>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let parsed = head.parse(buffer);
        let Ok(parsed) = parsed else { return Ok(None) };
        if let httparse::Status::Complete(length) = parsed {
            let header = |name: &str| {
                let found = head
                    .headers
                    .iter()
                    .find(|header| header.name.eq_ignore_ascii_case(name));
                found
                    .and_then(|header| std::str::from_utf8(header.value).ok())
                    .map(str::to_owned)
            };
            let body = header("content-length")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            if buffer.len() >= length + body {
                let target = head.path.unwrap_or("/").to_owned();
                let (path, query) = target.split_once('?').unwrap_or((&target, ""));
                let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                let bearer = header("authorization");
                let request = Request {
                    method: head.method.unwrap_or_default().to_owned(),
                    path: path.to_owned(),
                    query: pairs
                        .map(|(key, value)| (key.to_owned(), value.to_owned()))
                        .collect(),
                    token: bearer.and_then(|text| Some(text.strip_prefix("Bearer ")?.to_owned())),
                    body: buffer[length..length + body].to_vec(),
                    rival: side.rival,
                };
                let key = header("sec-websocket-key");
                buffer.drain(..length + body);
                return Ok(Some((request, key)));
            }
        }
        if buffer.len() > MAX_HEAD_BYTES {
            return Ok(None);
        }
        match timeout(KEEP_ALIVE, side.read_buf(buffer)).await {
            Ok(Ok(0)) | Err(_) => return Ok(None),
            Ok(read) => drop(read?),
        }
    }
}

async fn write_answer(side: &mut Side, backend: &Backend, answer: &Answer) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {} \r\ndate: {}\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
        answer.status,
        wire::date(backend.now()),
        answer.content_type,
        answer.body.len(),
    );
    side.write_all(head.as_bytes()).await?;
    side.write_all(&answer.body).await
}

async fn upgrade(
    backend: Backend,
    mut side: Side,
    request: &Request,
    user: &str,
    key: Option<String>,
) -> std::io::Result<()> {
    let index = request.query("token").and_then(|token| backend.user_of(token));
    let index = index.filter(|index| backend.state().users[*index].id == user);
    let database_down = backend.state().database_down;
    let refusal = match (index, key) {
        _ if database_down => 500,
        (Some(index), Some(key)) => {
            let accept = hash_key(key.as_bytes());
            let accept = String::from_utf8_lossy(&accept);
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
            );
            let (socket, messages) = backend.opened(index, side.rival);
            // Also of a client that has gone meanwhile: it had the slot then, and it is emptied.
            let ended = Ended(backend.clone(), socket);
            side.write_all(head.as_bytes()).await?;
            backend
                .story
                .tell("backend", format_args!("socket {socket} is open"));
            session(&backend, side, socket, messages).await;
            drop(ended);
            return Ok(());
        }
        _ => 403,
    };
    let head = format!("HTTP/1.1 {refusal} \r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    side.write_all(head.as_bytes()).await
}

/// Takes a socket out of the registry, whatever ends it.
struct Ended(Backend, u64);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.ended(self.1);
        self.0
            .story
            .tell("backend", format_args!("socket {} has ended", self.1));
    }
}

async fn session(backend: &Backend, side: Side, socket: u64, mut messages: mpsc::Receiver<String>) {
    let mut framed = Framed::new(side, Codec::new().max_size(16 << 20));
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    let mut keepalive = interval_at(Instant::now() + KEEPALIVE, KEEPALIVE);
    let mut unanswered = false;
    loop {
        let outgoing = tokio::select! {
            biased;
            frame = framed.next() => {
                backend.thawed().await;
                match frame {
                    Some(Ok(Frame::Text(text))) => heard(backend, socket, &text),
                    Some(Ok(Frame::Ping(payload))) => Some(Message::Pong(payload)),
                    Some(Ok(Frame::Close(reason))) => {
                        let _ = framed.send(Message::Close(reason)).await;
                        // It stays registered until the client has ended its side too.
                        let _ = timeout(LINGER, async { while framed.next().await.is_some() {} }).await;
                        return;
                    }
                    Some(Ok(Frame::Pong(_))) => {
                        unanswered = false;
                        None
                    }
                    Some(Ok(_)) => None,
                    None | Some(Err(_)) => return,
                }
            }
            message = messages.recv() => match message {
                Some(text) => Some(Message::Text(text.into())),
                // The registry has forgotten it, and the process with it.
                None => Some(Message::Close(Some(CloseReason::from(CloseCode::Restart)))),
            },
            _ = keepalive.tick() => match std::mem::replace(&mut unanswered, true) {
                true => return,
                false => Some(Message::Ping(bytes::Bytes::from_static(b"uvic"))),
            },
            _ = pings.tick() => Some(Message::Text(wire::beat("ping", backend.local_now()).into())),
        };
        backend.thawed().await;
        let deaf = backend
            .state()
            .sockets
            .get(&socket)
            .is_none_or(|socket| socket.deaf);
        let closes = matches!(outgoing, Some(Message::Close(_)));
        if let Some(message) = outgoing.filter(|_| !deaf || closes)
            && framed.send(message).await.is_err()
        {
            return;
        }
        if closes {
            return;
        }
    }
}

/// What a client says. Returns the answer.
fn heard(backend: &Backend, socket: u64, text: &[u8]) -> Option<Message> {
    let message: Value = serde_json::from_slice(text).ok()?;
    match message["type"].as_str()? {
        "ping" => Some(Message::Text(wire::beat("pong", backend.local_now()).into())),
        "ack" => {
            let mut state = backend.state();
            // What another hub has stored is not looked at.
            let is_rivals = state.sockets.get(&socket).is_none_or(|socket| socket.rival);
            if let Some(number) = message["id"].as_u64().filter(|_| !is_rivals) {
                state.receipts.push(number);
            }
            None
        }
        "pong" => None,
        _ => {
            backend
                .story
                .tell("backend", format_args!("socket {socket} says {message}"));
            None
        }
    }
}
