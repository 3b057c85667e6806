//! The program `watchpost-simulator`: a VisionGuard backend that makes up alerts. `watchpost simulate` becomes it.

#![forbid(unsafe_code)]

mod args;

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Level;
use watchpost_simulator::{Error, Options, Running, start};

use crate::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(Level::WARN)
        .with_target(false)
        .init();
    let json = args.json;
    match actix_rt::System::new().block_on(serve(args.into(), json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "watchpost-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until SIGTERM or SIGINT.
async fn serve(options: Options, json: bool) -> Result<(), Error> {
    let mut terminate = stop_signal(SignalKind::terminate())?;
    let mut interrupt = stop_signal(SignalKind::interrupt())?;
    let running = start(options).await?;
    announce(&running, json)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    running.stop().await;
    Ok(())
}

fn stop_signal(kind: SignalKind) -> Result<Signal, Error> {
    signal(kind).map_err(Error::Start)
}

/// Prints how to connect, once it listens.
fn announce(running: &Running, json: bool) -> Result<(), Error> {
    let (url, account, second) = (running.url(), running.account(), running.second_account());
    let text = if json {
        serde_json::json!({
            "url": url,
            "user_id": running.user_id(),
            "token": running.token()?,
            "email": account.email,
            "password": account.password,
            "second_user_id": second.user_id,
            "second_token": running.second_token()?,
            "second_email": second.email,
            "second_password": second.password,
        })
        .to_string()
    } else {
        let (email, password) = (&account.email, &account.password);
        format!(
            "# A simulated backend listens. This is the connection to it:\n\n\
             [[connection]]\nname = \"simulator\"\nurl = \"{url}\"\n\n\
             [connection.login]\nemail = \"{email}\"\npassword = \"{password}\"\n\n\
             # Ctrl-C ends it."
        )
    };
    match writeln!(io::stdout(), "{text}") {
        // Whoever started it has read enough and still wants the backend.
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Error::Announce(e)),
        _ => Ok(()),
    }
}
