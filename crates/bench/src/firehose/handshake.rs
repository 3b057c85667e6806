//! The server's side of the WebSocket handshake on the alert socket's address (RFC 6455, section 4.2).

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::payload::USER_ID;

/// The token a client must bring.
pub(crate) const TOKEN: &str = "bench-token";

const MAX_REQUEST_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// Reads the request and switches protocols; anything but an alert socket's request is refused.
pub(super) async fn accept(stream: &mut TcpStream) -> Result<()> {
    let mut request = Vec::with_capacity(1 << 10);
    while !request.ends_with(b"\r\n\r\n") {
        ensure!(
            request.len() < MAX_REQUEST_BYTES,
            "the request is longer than {MAX_REQUEST_BYTES} bytes"
        );
        ensure!(
            stream.read_buf(&mut request).await? > 0,
            "the client disconnected inside its request"
        );
    }
    match accept_key(&request) {
        Ok(key) => {
            let response = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n\r\n"
            );
            Ok(stream.write_all(response.as_bytes()).await?)
        }
        Err(refusal) => {
            stream
                .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await?;
            Err(refusal)
        }
    }
}

/// The answer to the client's key, if the request is for the alert socket and brings the token.
fn accept_key(request: &[u8]) -> Result<String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(request).context("the request is not HTTP/1.1")?;
    let expected = format!("/ws/alerts/{USER_ID}?token={TOKEN}");
    if parsed.path != Some(&expected) {
        bail!("the request is for another address than the alert socket's");
    }
    let key = parsed
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"))
        .context("the request asks for no WebSocket: it has no Sec-WebSocket-Key")?;
    let accept = actix_http::ws::hash_key(key.value);
    Ok(String::from_utf8_lossy(&accept).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            .into_bytes()
    }

    #[test]
    fn the_key_is_answered_as_the_rfc_says() {
        let key = accept_key(&request(&format!("/ws/alerts/{USER_ID}?token={TOKEN}"))).unwrap();
        assert_eq!(key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn other_addresses_and_tokens_are_refused() {
        for path in ["/", "/ws/alerts/somebody?token=bench-token"] {
            assert!(accept_key(&request(path)).is_err());
        }
        assert!(accept_key(&request(&format!("/ws/alerts/{USER_ID}?token=other"))).is_err());
    }
}
