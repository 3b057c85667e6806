//! The button that silences the siren. It is watched by a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gpiocdev::Request;
use gpiocdev::chip::Chip;
use gpiocdev::line::EdgeDetection;
use watchpost_sink::{Fail, Host, Level};

use crate::config::ButtonConfig;
use crate::line::{self, CONSUMER};

/// How often is looked whether to end.
const LOOK: Duration = Duration::from_millis(200);

/// How long to wait after an error, before which the chip may be gone.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// A button. Dropping it ends its thread.
#[derive(Debug)]
pub(crate) struct Button {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    presses: AtomicU64,
    over: AtomicBool,
}

impl Button {
    pub(crate) fn watch(chip: &Chip, config: &ButtonConfig, host: &Host) -> Result<Self, Fail> {
        let offset = line::find_line(chip, &config.line)?;
        let mut builder = Request::builder();
        builder
            .on_chip(chip.path())
            .with_consumer(CONSUMER)
            .with_line(offset)
            .as_input()
            .with_bias(config.bias.as_line())
            .with_edge_detection(EdgeDetection::RisingEdge)
            .with_debounce_period(config.debounce);
        if config.active_low {
            builder.as_active_low();
        }
        let request = builder
            .request()
            .map_err(|error| line::unusable(chip, offset, &error))?;
        let shared = Arc::new(Shared::default());
        let (pressed, host) = (Arc::clone(&shared), host.clone());
        let thread = thread::Builder::new()
            .name("siren button".to_owned())
            .spawn(move || listen(&request, &pressed, &host))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// How often it has been pressed.
    pub(crate) fn presses(&self) -> u64 {
        self.shared.presses.load(Ordering::SeqCst)
    }
}

impl Drop for Button {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(request: &Request, shared: &Shared, host: &Host) {
    let mut ill = false;
    while !shared.over.load(Ordering::SeqCst) {
        let event = match request.wait_edge_event(LOOK) {
            Ok(true) => request.read_edge_event().map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        match event {
            Ok(Some(_)) => {
                shared.presses.fetch_add(1, Ordering::SeqCst);
                host.log(Level::Info, "the button was pressed");
                ill = false;
            }
            Ok(None) => {}
            Err(error) => {
                if !ill {
                    host.log(Level::Error, format_args!("the button cannot be read: {error}"));
                }
                ill = true;
                thread::park_timeout(AFTER_ERROR);
            }
        }
    }
}
