//! How long each bundled sink takes with its real counterpart beside it, from the wire to the recorded outcome.
//!
//! The siren is left out: a line that a simulated kernel switches says nothing of a real one.

use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;
use watchpost_testkit::{Authority, HttpServer, Mosquitto, SMTP_PASSWORD, SMTP_USER, SmtpServer};

use crate::firehose::Firehose;
use crate::hub::{Hub, Sink};
use crate::lab::Lab;
use crate::report::Figure;
use crate::statistics::quantile;
use crate::{deliveries, hub};

use super::ms;

/// More than any site has, and little enough that the slowest counterpart keeps up.
const PER_SECOND: f64 = 20.0;
const KB: usize = 60;

/// Wanted of every sink: no person notices a tenth of a second.
const WANTED_P99_MS: f64 = 100.0;

pub(super) fn measure(lab: &mut Lab) -> Result<Vec<Figure>> {
    let dir = TempDir::new()?;
    let (mails, broker) = (SmtpServer::start()?, Mosquitto::start("")?);
    let authority = Authority::new(dir.path(), &["localhost"])?;
    let hook = HttpServer::start_tls(&authority, None)?;
    Ok(vec![
        one(lab, "deliver_p99_archive", Sink::Archive)?,
        one(lab, "deliver_p99_email", email(&mails))?,
        one(lab, "deliver_p99_exec", exec())?,
        one(lab, "deliver_p99_mqtt", mqtt(&broker))?,
        one(lab, "deliver_p99_sound", sound())?,
        one(lab, "deliver_p99_webhook", webhook(&hook, &authority))?,
    ])
}

fn one(lab: &mut Lab, figure: &'static str, sink: Sink) -> Result<Figure> {
    let picture = lab.picture(KB)?;
    let dir = lab.scratch()?;
    let firehose = Firehose::start()?;
    let name = sink.name();
    let hub = Hub::start(lab, dir.path(), &firehose, &[sink])?;
    let result = firehose.fire(&picture, lab.effort.paced_at(PER_SECOND, lab.effort.paced))?;
    hub.wait_delivered(result.tally.sent)?;
    hub.stop()?;
    let mut times = deliveries::read(&hub::data_dir(dir.path()), name, &result.sent_unix_ns)?;
    let [p50, p99, worst] = [0.5, 0.99, 1.0].map(|share| ms(quantile(&mut times, share)));
    Ok(Figure::at_most(figure, p99, "ms", WANTED_P99_MS)
        .with("p50_ms", p50)
        .with("worst_ms", worst))
}

/// To a mail server with STARTTLS and a login; each mail has the picture twice.
fn email(server: &SmtpServer) -> Sink {
    let (port, ca) = (server.port(), quoted(server.ca()));
    let lines = format!(
        "[sink.sandbox]\nread = [{ca}]\nconnect = [{port}]\n[sink.config]\nserver = \"localhost\"\nport = {port}\n\
         user = \"{SMTP_USER}\"\npassword = \"{SMTP_PASSWORD}\"\nfrom = \"hub@example.com\"\nto = [\"guard@example.com\"]\n\
         ca_file = {ca}\n"
    );
    Sink::Bundled("email", lines)
}

/// A program that does nothing: what remains is starting it.
fn exec() -> Sink {
    let lines = "[sink.sandbox]\nexec = true\n[sink.config]\ncommand = [\"/bin/true\"]\n";
    Sink::Bundled("exec", lines.to_owned())
}

/// To a broker with TLS and a login, until it has acknowledged document and picture.
fn mqtt(broker: &Mosquitto) -> Sink {
    let (server, port, ca) = (broker.server(), broker.port(), quoted(&broker.file("ca.pem")));
    let (user, password) = (Mosquitto::USER, Mosquitto::PASSWORD);
    let lines = format!(
        "[sink.sandbox]\nread = [{ca}]\nconnect = [{port}]\n[sink.config]\nserver = \"{server}\"\nca_file = {ca}\n\
         user = \"{user}\"\npassword = \"{password}\"\n"
    );
    Sink::Bundled("mqtt", lines)
}

/// Until twenty milliseconds have sounded, at ALSA's null output.
fn sound() -> Sink {
    let lines = "[sink.sandbox]\nread = [\"/usr/share/alsa\"]\n[sink.config]\ndevice = \"null\"\n\
                 max_duration = \"20ms\"\n";
    Sink::Bundled("sound", lines.to_owned())
}

/// Over HTTPS, as a form with the picture.
fn webhook(server: &HttpServer, authority: &Authority) -> Sink {
    let (url, port, ca) = (server.url(), server.address().port(), quoted(authority.ca()));
    let lines = format!(
        "[sink.sandbox]\nread = [{ca}]\nconnect = [{port}]\n[sink.config]\nurl = \"{url}/hook\"\nca_file = {ca}\n\
         body = \"multipart\"\n"
    );
    Sink::Bundled("webhook", lines)
}

fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}
