//! Writes the small database that tests of later schemas begin with: run it once when a schema is
//! released, into `fixtures/v<schema>`.
//!
//! `cargo run -p watchpost-store --example fixture -- DIR`

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;

use common::{arrival, arrivals, at, dismiss, id, open, step, update, updates, with_picture};
use watchpost_core::DeliveryState;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = PathBuf::from(std::env::args().nth(1).ok_or("name a directory")?);
    let mut store = open(&dir);
    let sinks = ["archive", "mail"];
    let mut repeated = arrival(id(4), &[]);
    repeated.alert.source_id = Some("4".into());
    store.commit(
        &arrivals(vec![
            with_picture(id(1), 500, &sinks),
            arrival(id(2), &sinks),
            with_picture(id(3), 700, &sinks),
            repeated,
        ]),
        &step,
    )?;
    store.commit(
        &updates(vec![
            update(id(1), "archive", DeliveryState::Delivered, at(10)),
            update(id(1), "mail", DeliveryState::Dead, at(20)),
            update(id(3), "mail", DeliveryState::Pending, at(60_000)),
        ]),
        &step,
    )?;
    dismiss(&mut store, id(2), at(30));
    Ok(())
}
