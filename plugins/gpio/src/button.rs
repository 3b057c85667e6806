//! The button that silences the siren.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gpiocdev::chip::Chip;
use gpiocdev::line::EdgeDetection;
use watchpost_sink::{Fail, Host, Level};

use crate::config::ButtonConfig;
use crate::input::Input;

/// A button. Dropping it ends its thread.
#[derive(Debug)]
pub(crate) struct Button {
    presses: Arc<AtomicU64>,
    _input: Input,
}

impl Button {
    pub(crate) fn watch(chip: &Chip, config: &ButtonConfig, host: &Host) -> Result<Self, Fail> {
        let presses = Arc::new(AtomicU64::new(0));
        let (counted, log) = (Arc::clone(&presses), host.clone());
        let pressed = move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            log.log(Level::Info, "the button was pressed");
        };
        let edges = EdgeDetection::RisingEdge;
        Ok(Self {
            _input: Input::watch(chip, config.wiring(), edges, ("button", host), pressed)?,
            presses,
        })
    }

    /// How often it has been pressed.
    pub(crate) fn presses(&self) -> u64 {
        self.presses.load(Ordering::SeqCst)
    }
}
