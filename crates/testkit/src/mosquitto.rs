//! A real MQTT broker (mosquitto) with TLS, passwords and a certificate authority of its own, and its own subscriber.
//!
//! Debian's packages `mosquitto` and `mosquitto-clients` bring both. Nothing here knows what is published.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::process::{Process, Signal, program};
use crate::wait::{PATIENCE, eventually};

/// How often other ports are chosen because another process took one in between.
const PORT_TRIES: usize = 5;

/// Marks a message in the subscriber's output.
const MARK: &str = "message ";

/// A running broker. Dropping it kills it.
#[derive(Debug)]
pub struct Mosquitto {
    // Before the directory, so that the process is gone when its files go.
    process: Process,
    port: u16,
    plain_port: u16,
    dir: TempDir,
}

/// A running `mosquitto_sub` that keeps its session over the broker's end. Dropping it kills it.
#[derive(Debug)]
pub struct Subscriber {
    process: Process,
}

/// A message as a subscriber got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its topic.
    pub topic: String,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// Whether it had been kept by the broker from before the subscription.
    pub retained: bool,
}

impl Mosquitto {
    /// The user that may log in.
    pub const USER: &str = "watchpost";
    /// The user's password.
    pub const PASSWORD: &str = "correct horse";

    /// Starts a broker that takes logins only, on two free ports of the loopback interface: one with TLS, one without.
    /// `settings` are more lines of its configuration, for the listener with TLS.
    pub fn start(settings: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("mosquitto-").tempdir()?;
        write_certificates(&dir)?;
        let passwords = dir.path().join("passwords");
        let mut command = Command::new("mosquitto_passwd");
        command
            .arg("-b")
            .arg("-c")
            .arg(&passwords)
            .args([Self::USER, Self::PASSWORD]);
        let output = command
            .output()
            .context("mosquitto_passwd did not start; install mosquitto")?;
        ensure!(output.status.success(), "mosquitto_passwd: {output:?}");
        let mut obstacle = None;
        for _ in 0..PORT_TRIES {
            let (port, plain_port) = free_ports()?;
            write_config(&dir, port, plain_port, settings)?;
            match launch(&dir) {
                Ok(process) => {
                    return Ok(Self {
                        process,
                        port,
                        plain_port,
                        dir,
                    });
                }
                Err(error) => obstacle = Some(error),
            }
        }
        Err(obstacle.context("no try was made")?)
    }

    /// `host:port` with TLS.
    #[must_use]
    pub fn server(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port with TLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port` without TLS.
    #[must_use]
    pub fn plain_server(&self) -> String {
        format!("127.0.0.1:{}", self.plain_port)
    }

    /// One of its files: `ca.pem` signed its certificate, and `client.pem`, whose key is `client.key`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The process, to read its log or send it a signal.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// All that it has logged until now. The process's own log may lag behind.
    pub fn log(&self) -> Result<String> {
        let bytes = fs::read(self.file("mosquitto.log"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Writes to disk what it would otherwise write at its end: sessions and retained messages.
    pub fn save(&mut self) -> Result<()> {
        let database = self.file("mosquitto.db");
        if database.exists() {
            fs::remove_file(&database)?;
        }
        self.process.signal(Signal::USR1)?;
        eventually("the broker's database", PATIENCE, || match database.exists() {
            true => Ok(()),
            false => Err("not there"),
        })
    }

    /// Ends it at once, as a power cut would: what was not saved is forgotten.
    pub fn kill(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.wait(PATIENCE).map(drop)
    }

    /// Starts it again at the same ports, after [`Self::kill`].
    pub fn restart(&mut self) -> Result<()> {
        let status = self.process.exit_status()?;
        ensure!(
            status.is_some(),
            "the broker still runs; kill it before it is started again"
        );
        self.process = launch(&self.dir)?;
        Ok(())
    }

    /// Subscribes to a filter such as `watchpost/#`, and waits until the broker knows. A filter may be subscribed to
    /// once.
    pub fn subscribe(&self, filter: &str) -> Result<Subscriber> {
        let id = format!("subscriber-to-{filter}");
        let mut command = Command::new("mosquitto_sub");
        command
            .args(["-h", "127.0.0.1", "-p", &self.plain_port.to_string()])
            .args(["-u", Self::USER, "-P", Self::PASSWORD])
            .args(["-i", &id, "-c", "-q", "1", "-t", filter])
            .args(["-F", &format!("{MARK}%r %x %t")]);
        let process = Process::spawn("mosquitto_sub", &mut command)?;
        let wanted = format!("Sending SUBACK to {id}");
        self.process
            .line(&wanted, PATIENCE, |line| line.ends_with(&wanted).then_some(()))?;
        Ok(Subscriber { process })
    }

    /// Publishes a message, which the broker has when this returns.
    pub fn publish(&self, topic: &str, payload: &str, retain: bool) -> Result<()> {
        let mut command = Command::new("mosquitto_pub");
        command
            .args(["-h", "127.0.0.1", "-p", &self.plain_port.to_string()])
            .args(["-u", Self::USER, "-P", Self::PASSWORD])
            .args(["-q", "1", "-t", topic, "-m", payload])
            .args(retain.then_some("-r"));
        let output = command.output().context("mosquitto_pub did not start")?;
        ensure!(output.status.success(), "mosquitto_pub: {output:?}");
        Ok(())
    }
}

impl Subscriber {
    /// Every message so far.
    pub fn messages(&self) -> Result<Vec<Published>> {
        let log = self.process.log();
        log.lines()
            .filter_map(|line| line.strip_prefix(MARK))
            .map(parse)
            .collect()
    }

    /// How many messages so far have a topic that ends like this.
    #[must_use]
    pub fn count(&self, ending: &str) -> usize {
        let log = self.process.log();
        log.lines()
            .filter(|line| line.starts_with(MARK) && line.ends_with(ending))
            .count()
    }

    /// Waits for messages that satisfy `holds` and returns them.
    pub fn until(&self, what: &str, holds: impl Fn(&[Published]) -> bool) -> Result<Vec<Published>> {
        eventually(what, PATIENCE, || match self.messages() {
            Ok(messages) if holds(&messages) => Ok(messages),
            Ok(messages) => Err(messages
                .iter()
                .map(|message| format!("{}\n", message.topic))
                .collect()),
            Err(error) => Err(format!("{error:#}")),
        })
    }
}

fn parse(line: &str) -> Result<Published> {
    let mut fields = line.splitn(3, ' ');
    let (Some(retained), Some(hex), Some(topic)) = (fields.next(), fields.next(), fields.next()) else {
        bail!("the subscriber wrote {line:?}");
    };
    let payload = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair)?, 16).map_err(Into::into));
    Ok(Published {
        topic: topic.to_owned(),
        payload: payload.collect::<Result<_>>()?,
        retained: retained == "1",
    })
}

fn launch(dir: &TempDir) -> Result<Process> {
    let mut command = Command::new(program("mosquitto"));
    command.arg("-c").arg(dir.path().join("mosquitto.conf"));
    let process = Process::spawn("mosquitto", &mut command).context("install mosquitto")?;
    process.line("readiness", PATIENCE, |line| {
        line.contains(" running").then_some(())
    })?;
    Ok(process)
}

/// Both are held until both are chosen, so that they differ.
fn free_ports() -> Result<(u16, u16)> {
    let first = TcpListener::bind("127.0.0.1:0")?;
    let second = TcpListener::bind("127.0.0.1:0")?;
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}

fn write_config(dir: &TempDir, port: u16, plain_port: u16, settings: &str) -> Result<()> {
    let at = |name: &str| dir.path().join(name).display().to_string();
    // As root it would become the user `mosquitto`, who may not read a temporary directory.
    let config = format!(
        "user root\nper_listener_settings false\nallow_anonymous false\npassword_file {}\n\
         persistence true\npersistence_location {}/\nautosave_interval 0\nmax_queued_messages 0\n\
         log_dest stderr\nlog_dest file {}\nlog_type all\n\
         listener {plain_port} 127.0.0.1\n\
         listener {port} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\n{settings}\n",
        at("passwords"),
        dir.path().display(),
        at("mosquitto.log"),
        at("ca.pem"),
        at("server.pem"),
        at("server.key"),
    );
    fs::write(dir.path().join("mosquitto.conf"), config).context("the broker's configuration")
}

/// An authority, and certificates for the broker and for a client.
fn write_certificates(dir: &TempDir) -> Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "a test's authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    fs::write(dir.path().join("ca.pem"), authority.pem())?;
    for (name, hosts) in [
        ("server", vec!["127.0.0.1".to_owned(), "localhost".to_owned()]),
        ("client", Vec::new()),
    ] {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &authority)?;
        fs::write(dir.path().join(format!("{name}.pem")), certificate.pem())?;
        fs::write(dir.path().join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subscribers_lines_are_read() {
        let read = parse("1 00ff61 a/b c").unwrap();
        assert_eq!((read.topic.as_str(), read.retained), ("a/b c", true));
        assert_eq!(read.payload, b"\x00\xffa");
        assert_eq!(parse("0  empty").unwrap().payload, b"");
        parse("0").unwrap_err();
    }
}
