//! From the start of the process to the server's handshake.

use anyhow::Result;

use crate::firehose::Firehose;
use crate::hub::{Hub, Sink};
use crate::lab::Lab;
use crate::report::Figure;
use crate::statistics::quantile;

use super::ms;

const START_MS: f64 = 150.0;

pub(super) fn measure(lab: &mut Lab) -> Result<Vec<Figure>> {
    let dir = lab.scratch()?;
    let firehose = Firehose::start()?;
    let mut times = Vec::new();
    // The first start makes the store and is shown apart: the others find it, as after every reboot.
    let mut first = 0.0;
    for start in 0..=lab.effort.starts {
        let hub = Hub::start(lab, dir.path(), &firehose, &[Sink::Archive])?;
        match start {
            0 => first = ms(hub.start_to_connected),
            _ => times.push(ms(hub.start_to_connected)),
        }
        hub.stop()?;
    }
    Ok(vec![
        Figure::at_most("start_to_connected", quantile(&mut times, 0.5), "ms", START_MS)
            .with("worst_ms", quantile(&mut times, 1.0))
            .with("first_ever_ms", first),
    ])
}
