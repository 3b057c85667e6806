//! A reverse proxy as a process: nginx with TLS, in front of something on the loopback interface.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::Authority;
use crate::process::{Process, program};
use crate::wait::{PATIENCE, eventually};

/// How often another port is chosen because another process took it in between.
const PORT_TRIES: u32 = 5;

/// A running nginx that serves `https://localhost:{port}/guard/` and passes it on, WebSockets too. Requests without the
/// header `X-Gate: open` are answered 403. Dropping it kills it.
#[derive(Debug)]
pub struct Nginx {
    // Before the directory, so that the process is gone when its files go.
    _process: Process,
    _dir: TempDir,
    authority: Authority,
    port: u16,
}

impl Nginx {
    /// Starts one in front of `behind`.
    pub fn start(behind: SocketAddr) -> Result<Self> {
        let dir = TempDir::new().context("no temporary directory")?;
        let authority = Authority::new(dir.path(), &["localhost"])?;
        let file = dir.path().join("nginx.conf");
        for _ in 0..PORT_TRIES {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            std::fs::write(&file, configuration(dir.path(), &authority, port, behind))
                .with_context(|| format!("{} was not written", file.display()))?;
            let mut command = Command::new(program("nginx"));
            command.arg("-p").arg(dir.path()).arg("-c").arg(&file);
            let mut process = Process::spawn("nginx", &mut command)?;
            let listens = eventually("nginx listens", PATIENCE, || {
                if process.exit_status().is_ok_and(|status| status.is_some()) {
                    return Ok(false);
                }
                TcpStream::connect(("127.0.0.1", port)).map(|_| true)
            })?;
            if listens {
                return Ok(Self {
                    _process: process,
                    _dir: dir,
                    authority,
                    port,
                });
            }
        }
        bail!("nginx ended each time: see its output above")
    }

    /// The address of what it stands before, over TLS and below a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}/guard", self.port)
    }

    /// The authority that certifies it.
    #[must_use]
    pub fn ca(&self) -> &Path {
        self.authority.ca()
    }
}

fn configuration(dir: &Path, authority: &Authority, port: u16, behind: SocketAddr) -> String {
    let (certificate, key) = (authority.certificate().display(), authority.key().display());
    let dir = dir.display();
    format!(
        r#"daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    map $http_upgrade $passed_on {{ default upgrade; '' close; }}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location /guard/ {{
            if ($http_x_gate != "open") {{ return 403; }}
            proxy_pass http://{behind}/;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $passed_on;
            proxy_read_timeout 1h;
        }}
    }}
}}
"#
    )
}
