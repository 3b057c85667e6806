//! An input line, watched by a thread of its own. It knows not what it is for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gpiocdev::Request;
use gpiocdev::chip::Chip;
use gpiocdev::line::{EdgeDetection, EdgeKind};
use watchpost_sink::{Fail, Host, Level};

use crate::config::{Bias, LineId};
use crate::line::{self, CONSUMER};

/// How often is looked whether to end.
const LOOK: Duration = Duration::from_millis(200);

/// How long to wait after an error, before which the chip may be gone.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// How something is connected to a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wiring<'a> {
    pub(crate) line: &'a LineId,
    pub(crate) active_low: bool,
    pub(crate) bias: Bias,
    pub(crate) debounce: Duration,
}

/// An input. Dropping it ends its thread.
#[derive(Debug)]
pub(crate) struct Input {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Input {
    /// Watches a line, which is called `name`. `changed` gets to know whether it has become active, at each of these edges: what it is
    /// at first is no edge.
    pub(crate) fn watch(
        chip: &Chip,
        wiring: Wiring<'_>,
        edges: EdgeDetection,
        (name, host): (&'static str, &Host),
        mut changed: impl FnMut(bool) + Send + 'static,
    ) -> Result<Self, Fail> {
        let offset = line::find_line(chip, wiring.line)?;
        let mut builder = Request::builder();
        builder
            .on_chip(chip.path())
            .with_consumer(CONSUMER)
            .with_line(offset)
            .as_input()
            .with_bias(wiring.bias.as_line())
            .with_edge_detection(edges)
            .with_debounce_period(wiring.debounce);
        if wiring.active_low {
            builder.as_active_low();
        }
        let request = builder
            .request()
            .map_err(|error| line::unusable(chip, offset, &error))?;
        let over = Arc::new(AtomicBool::new(false));
        let (ends, host) = (Arc::clone(&over), host.clone());
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let ill = |error: &dyn fmt::Display| {
                host.log(Level::Error, format_args!("the {name} cannot be read: {error}"));
            };
            listen(&request, &ends, ill, &mut changed);
        })?;
        Ok(Self {
            over,
            thread: Some(thread),
        })
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(
    request: &Request,
    over: &AtomicBool,
    report: impl Fn(&dyn fmt::Display),
    changed: &mut impl FnMut(bool),
) {
    let mut ill = false;
    while !over.load(Ordering::SeqCst) {
        let event = match request.wait_edge_event(LOOK) {
            Ok(true) => request.read_edge_event().map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        match event {
            Ok(Some(event)) => {
                changed(event.kind == EdgeKind::Rising);
                ill = false;
            }
            Ok(None) => {}
            Err(error) => {
                if !ill {
                    report(&error);
                }
                ill = true;
                thread::park_timeout(AFTER_ERROR);
            }
        }
    }
}
