//! Who gets an alert socket, and what a refusal looks like on the wire.

use std::io::{Read as _, Write as _};

use watchpost_simulator::{CloseMode, Command, Handshakes, Outcome};

use crate::client::{End, Socket, quiet, run, until};

/// The whole answer to a WebSocket request, as bytes.
fn raw_answer(addr: std::net::SocketAddr, path: &str) -> String {
    let mut tcp = std::net::TcpStream::connect(addr).unwrap();
    write!(
        tcp,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

#[actix_rt::test]
async fn every_refusal_is_a_bare_403() {
    let simulator = run(quiet()).await;
    let (user, token) = (simulator.user_id().to_string(), simulator.token().unwrap());
    let other = "34598841-acab-401e-aea1-0dee13f318ec";
    let expired = simulator.token_for(&user, -1).unwrap();
    let unknown = simulator.token_for(other, 60).unwrap();
    let refused = [
        format!("/ws/alerts/{user}"),
        format!("/ws/alerts/{user}?token="),
        format!("/ws/alerts/{user}?token=nonsense"),
        format!("/ws/alerts/{user}?token={token}x"),
        format!("/ws/alerts/{user}?token={expired}"),
        format!("/ws/alerts/{other}?token={token}"),
        format!("/ws/alerts/{other}?token={unknown}"),
        format!("/ws/alerts/{}?token={token}", user.to_uppercase()),
        format!("/ws/alerts/{user}/?token={token}"),
        format!("/ws/elsewhere?token={token}"),
    ];
    for path in &refused {
        let answer = raw_answer(simulator.addr(), path);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{path}: {head}");
        let head = head.to_ascii_lowercase();
        assert!(
            head.contains("content-length: 0") && head.contains("connection: close"),
            "{path}: {head}"
        );
        assert_eq!(body, "", "{path}");
    }
    assert_eq!(simulator.stats().refused, 8, "wrong paths are no attempts");
    assert!(
        simulator
            .attempts()
            .iter()
            .all(|attempt| attempt.outcome == Outcome::Forbidden)
    );
    simulator.stop().await;
}

#[actix_rt::test]
async fn a_subject_that_is_no_uuid_makes_the_server_fail() {
    let simulator = run(quiet()).await;
    let token = simulator.token_for("someone", 60).unwrap();
    let answer = raw_answer(simulator.addr(), &format!("/ws/alerts/someone?token={token}"));
    assert!(
        answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("content-type: text/plain") && answer.ends_with("Internal Server Error"),
        "{answer}"
    );
    simulator.stop().await;
}

#[actix_rt::test]
async fn commanded_refusals_and_bounces_are_listed() {
    let simulator = run(quiet()).await;
    let rest = format!("{}?token={}", simulator.user_id(), simulator.token().unwrap());
    for (mode, status) in [(Handshakes::Forbid, 403), (Handshakes::Fail, 500)] {
        simulator.order(Command::Handshakes { mode }).await.unwrap();
        let refused = Socket::try_open(&simulator, &rest).await.err().unwrap();
        assert_eq!(refused.as_u16(), status);
    }
    simulator
        .order(Command::Handshakes {
            mode: Handshakes::Bounce,
        })
        .await
        .unwrap();
    let mut socket = Socket::open(&simulator).await;
    assert_eq!(socket.next().await, Err(End::Close(Some(1012))));
    assert_eq!(socket.next().await, Err(End::Eof));
    simulator
        .order(Command::Handshakes {
            mode: Handshakes::Accept,
        })
        .await
        .unwrap();
    drop(socket);
    until(&simulator, |stats| stats.open == 0).await;
    let mut socket = Socket::open(&simulator).await;
    simulator.send(1).await.unwrap();
    socket.next_alert().await;
    let outcomes: Vec<_> = simulator
        .attempts()
        .into_iter()
        .map(|attempt| attempt.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [
            Outcome::Forbidden,
            Outcome::Failed,
            Outcome::Bounced,
            Outcome::Accepted
        ]
    );
    assert!(
        simulator
            .attempts()
            .windows(2)
            .all(|pair| pair[0].at_ms <= pair[1].at_ms)
    );
    assert_eq!(simulator.stats().max_open_per_user, 1);
    simulator.stop().await;
}

#[actix_rt::test]
async fn two_sockets_at_once_are_seen() {
    let simulator = run(quiet()).await;
    let (_one, _two) = (Socket::open(&simulator).await, Socket::open(&simulator).await);
    assert_eq!(simulator.stats().max_open_per_user, 2);
    assert_eq!(simulator.attempts()[1].already_open, 1);
    simulator
        .order(Command::Kill { how: CloseMode::Eof })
        .await
        .unwrap();
    until(&simulator, |stats| stats.open == 0).await;
    simulator.stop().await;
}

#[actix_rt::test]
async fn tls_serves_the_same() {
    use std::sync::Arc;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let tls = watchpost_simulator::Tls {
        certificate_pem: made.cert.pem(),
        key_pem: made.signing_key.serialize_pem(),
    };
    let simulator = run(watchpost_simulator::Options {
        tls: Some(tls),
        ..quiet()
    })
    .await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = awc::Connector::new().rustls_0_23(Arc::new(config));
    let url = format!(
        "wss://localhost:{}/ws/alerts/{}?token={}",
        simulator.addr().port(),
        simulator.user_id(),
        simulator.token().unwrap()
    );
    let (answer, _socket) = awc::Client::builder()
        .connector(connector)
        .finish()
        .ws(url)
        .connect()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 101);
    until(&simulator, |stats| stats.registered == 1).await;
    // The connection below TLS is in hand too.
    simulator
        .order(Command::Kill {
            how: CloseMode::Reset,
        })
        .await
        .unwrap();
    until(&simulator, |stats| stats.open == 0).await;
    simulator.stop().await;
}
