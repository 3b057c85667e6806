//! A client of the backend for tests: an alert socket and plain requests.

use std::time::Duration;

use actix_codec::Framed;
use awc::{
    BoxedSocket,
    http::StatusCode,
    ws::{Codec, Frame, Message},
};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use uuid::Uuid;
use watchpost_simulator::{FrameSize, Options, Running, Stats, start};

/// Time within which what must happen has happened, on a busy machine too.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A small backend that sends on command only.
pub(crate) fn quiet() -> Options {
    Options {
        rate: 0.0,
        cameras: 2,
        frame: FrameSize {
            width: 64,
            height: 36,
        },
        pose: false,
        login_time: Duration::ZERO,
        ..Options::default()
    }
}

pub(crate) async fn run(options: Options) -> Running {
    start(options).await.unwrap()
}

/// Waits until the counters are as wanted.
pub(crate) async fn until(simulator: &Running, wanted: impl FnMut(&Stats) -> bool) -> Stats {
    let (stats, reached) = simulator.wait_for(LIMIT, wanted).await;
    assert!(reached, "not reached within {LIMIT:?}: {stats:#?}");
    stats
}

/// An open alert socket.
pub(crate) struct Socket {
    framed: Framed<BoxedSocket, Codec>,
}

/// How a socket ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close(Option<u16>),
    Eof,
    Error,
}

impl Socket {
    pub(crate) async fn open(simulator: &Running) -> Self {
        let token = simulator.token().unwrap();
        Self::try_open(simulator, &format!("{}?token={token}", simulator.user_id()))
            .await
            .unwrap()
    }

    /// Opens `/ws/alerts/{rest}`, or answers the status of the refusal.
    pub(crate) async fn try_open(simulator: &Running, rest: &str) -> Result<Self, StatusCode> {
        let url = format!("{}/ws/alerts/{rest}", simulator.url());
        let connected = awc::Client::new()
            .ws(url)
            .max_frame_size(64 * 1024 * 1024)
            .connect()
            .await;
        match connected {
            Ok((_, framed)) => Ok(Self { framed }),
            Err(awc::error::WsClientError::InvalidResponseStatus(status)) => Err(status),
            Err(other) => panic!("{other}"),
        }
    }

    pub(crate) async fn say(&mut self, message: Message) {
        self.framed.send(message).await.unwrap();
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.say(Message::Text(text.to_owned().into())).await;
    }

    /// The next text, or how the socket ended; protocol pings are answered.
    pub(crate) async fn next(&mut self) -> Result<String, End> {
        let mut whole = Vec::new();
        loop {
            let frame = tokio::time::timeout(LIMIT, self.framed.next())
                .await
                .expect("nothing came");
            match frame {
                None => return Err(End::Eof),
                Some(Err(_)) => return Err(End::Error),
                Some(Ok(Frame::Text(text))) => return Ok(String::from_utf8(text.to_vec()).unwrap()),
                Some(Ok(Frame::Continuation(item))) => {
                    use actix_http::ws::Item;
                    let last = matches!(item, Item::Last(_));
                    let (Item::FirstText(part)
                    | Item::FirstBinary(part)
                    | Item::Continue(part)
                    | Item::Last(part)) = item;
                    whole.extend_from_slice(&part);
                    if last {
                        return Ok(String::from_utf8(whole).unwrap());
                    }
                }
                Some(Ok(Frame::Ping(payload))) => self.say(Message::Pong(payload)).await,
                Some(Ok(Frame::Close(reason))) => return Err(End::Close(reason.map(|r| r.code.into()))),
                Some(Ok(Frame::Pong(_) | Frame::Binary(_))) => {}
            }
        }
    }

    /// The next message of a type; others are passed over.
    pub(crate) async fn next_of(&mut self, kind: &str) -> String {
        loop {
            let text = self.next().await.unwrap();
            if serde_json::from_str::<Value>(&text).is_ok_and(|message| message["type"] == kind) {
                return text;
            }
        }
    }

    pub(crate) async fn next_alert(&mut self) -> Alert {
        Alert::read(&self.next_of("anomaly_detected").await)
    }

    pub(crate) async fn ack(&mut self, stream: Uuid) {
        self.text(&format!(r#"{{"type":"ack","stream_id":"{stream}"}}"#))
            .await;
    }

    /// The next frame as it is, or none at the end.
    pub(crate) async fn next_frame(&mut self) -> Option<Frame> {
        tokio::time::timeout(LIMIT, self.framed.next())
            .await
            .expect("nothing came")?
            .ok()
    }

    /// Whether nothing at all but protocol pings comes within a time.
    pub(crate) async fn is_silent_for(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, async {
            while matches!(
                self.framed.next().await,
                Some(Ok(Frame::Ping(_) | Frame::Pong(_)))
            ) {}
        })
        .await
        .is_err()
    }
}

/// What the tests want of an alert.
pub(crate) struct Alert {
    pub(crate) value: Value,
    pub(crate) stream: Uuid,
    pub(crate) person: u64,
    pub(crate) picture: Bytes,
}

impl Alert {
    pub(crate) fn read(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap();
        let frame = value["annotated_frame"].as_str().unwrap();
        Self {
            stream: value["stream_id"].as_str().unwrap().parse().unwrap(),
            person: value["result"]["person_id"].as_u64().unwrap(),
            picture: base64_simd::STANDARD.decode_to_vec(frame).unwrap().into(),
            value,
        }
    }
}

/// An answer to a plain request.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: awc::http::header::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A request with a token, if one is given.
pub(crate) async fn ask(
    simulator: &Running,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Answer {
    let bearer = token.map(|token| ("authorization", format!("Bearer {token}")));
    ask_with(simulator, method, path, bearer.as_slice(), body).await
}

/// A request with any headers.
pub(crate) async fn ask_with(
    simulator: &Running,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: Option<&Value>,
) -> Answer {
    let url = format!("http://{}{path}", simulator.addr());
    let client = awc::Client::builder().disable_redirects().timeout(LIMIT).finish();
    let mut request = client.request(method.parse().unwrap(), url);
    for (name, value) in headers {
        request = request.insert_header((*name, value.clone()));
    }
    let sent = match body {
        Some(body) => request.send_json(body).await,
        None => request.send().await,
    };
    let mut response = sent.unwrap();
    let body = response.body().limit(64 * 1024 * 1024).await.unwrap_or_default();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body,
    }
}

/// A request with a good token.
pub(crate) async fn get(simulator: &Running, path: &str) -> Answer {
    ask(simulator, "GET", path, Some(&simulator.token().unwrap()), None).await
}
