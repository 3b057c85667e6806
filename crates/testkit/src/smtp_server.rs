//! A real mail server as a process: aiosmtpd, with the mails it took as Python's own parser reads them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::artefacts::python;
use crate::process::{Process, Signal};
use crate::wait::PATIENCE;
use crate::{Authority, workspace_root};

/// The user that has to log in, where the server wants a login.
pub const SMTP_USER: &str = "watchpost";

/// The password of [`SMTP_USER`].
pub const SMTP_PASSWORD: &str = "open sesame";

/// A running mail server on a free port of the loopback interface. Dropping it kills it.
///
/// It refuses the recipients `later@…` with 451 and `never@…` with 550, and `once@…` with 450 the first time.
#[derive(Debug)]
pub struct SmtpServer {
    // Before the directory, so that the process is gone when its files go.
    process: Process,
    dir: TempDir,
    authority: Authority,
    options: Vec<String>,
    port: u16,
}

impl SmtpServer {
    /// Starts one that wants STARTTLS and a login.
    pub fn start() -> Result<Self> {
        Self::with(&["--user", SMTP_USER, "--password", SMTP_PASSWORD])
    }

    /// Starts one with options of `smtp_server.py`, such as `--security tls`, which stands beside this file.
    pub fn with(options: &[&str]) -> Result<Self> {
        let dir = TempDir::new().context("no temporary directory")?;
        let authority = Authority::new(dir.path(), &["localhost"])?;
        Self::certified(dir, authority, options)
    }

    /// The same with a certificate as `openssl req -x509` makes it.
    pub fn self_signed(options: &[&str]) -> Result<Self> {
        let dir = TempDir::new().context("no temporary directory")?;
        let authority = Authority::self_signed(dir.path(), "localhost")?;
        Self::certified(dir, authority, options)
    }

    fn certified(dir: TempDir, authority: Authority, options: &[&str]) -> Result<Self> {
        let options: Vec<String> = options.iter().map(|option| String::from(*option)).collect();
        let (process, port) = launch(dir.path(), &authority, &options, 0)?;
        Ok(Self {
            process,
            dir,
            authority,
            options,
            port,
        })
    }

    /// Its port; its certificate is for `localhost`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority that certifies it.
    #[must_use]
    pub fn ca(&self) -> &Path {
        self.authority.ca()
    }

    /// The mails it has taken, oldest first: envelope (`from`, `to`), `headers`, `tree` and `parts`, with their bytes in
    /// base64.
    pub fn mails(&self) -> Result<Vec<Value>> {
        let text = match std::fs::read_to_string(mails(self.dir.path())) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).context("the mails cannot be read"),
        };
        // A server that was killed may have left the beginning of a line, which it had not confirmed.
        let whole = text
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'));
        whole
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
            .collect()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.wait(PATIENCE).map(drop)
    }

    /// Starts it again at the same port, after [`Self::kill`].
    pub fn restart(&mut self) -> Result<()> {
        let status = self.process.exit_status()?;
        ensure!(
            status.is_some(),
            "the mail server still runs; kill it before it is started again"
        );
        (self.process, self.port) = launch(self.dir.path(), &self.authority, &self.options, self.port)?;
        Ok(())
    }
}

fn mails(dir: &Path) -> PathBuf {
    dir.join("mails.jsonl")
}

fn launch(dir: &Path, authority: &Authority, options: &[String], port: u16) -> Result<(Process, u16)> {
    let mut command = Command::new(python()?);
    command
        .arg(workspace_root().join("crates/testkit/src/smtp_server.py"))
        .args(["--port", &port.to_string()])
        .arg("--certificate")
        .arg(authority.certificate())
        .arg("--key")
        .arg(authority.key())
        .arg("--mails")
        .arg(mails(dir))
        .args(options);
    let process = Process::spawn("the mail server", &mut command)?;
    let port = process.line("its port", PATIENCE, |line| {
        line.strip_prefix("port=")?.parse().ok()
    })?;
    Ok((process, port))
}
