//! Write a sink plugin for Watchpost in Rust.
