//! Posts an alert, as another program does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Result, ensure};
use watchpost_testkit::PATIENCE;

/// Posts it, and waits until it is taken, which is when it is on the disk.
pub(crate) fn post(address: SocketAddr, token: &str, document: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = document.len();
    let request = format!(
        "POST /api/v1/alerts HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{document}"
    );
    stream.write_all(request.as_bytes())?;
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status)?;
    ensure!(
        status.split(' ').nth(1).is_some_and(|code| code.starts_with('2')),
        "it is not taken: {status}"
    );
    Ok(())
}
