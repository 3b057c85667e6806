//! Any course of events of one child, against the state that its parent keeps and a model of it: what the child sends, what
//! is asked for, how time passes. What the model asserts stands in `src/parent/model.rs`.
//!
//! From `crates/sinkhost-client`: `cargo +nightly fuzz run parent fuzz/corpus/parent fuzz/seeds`.
//! The first directory, which must exist, takes what is found; the second is only read.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|events: &[u8]| watchpost_sinkhost_client::check_parent(events));
