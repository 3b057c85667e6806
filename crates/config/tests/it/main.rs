//! The configuration as sites write it: files and variables in, settings or rendered errors out.

#![allow(
    clippy::unwrap_used,
    reason = "tests; clippy.toml allows it in test functions only, not in their helpers"
)]

mod example;
mod loading;
mod mistakes;
mod sandbox;
mod site;
