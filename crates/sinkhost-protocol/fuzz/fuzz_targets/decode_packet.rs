//! Any bytes as a packet between hub and child. What a plugin can make its child send must not harm the hub.
//!
//! From `crates/sinkhost-protocol`: `cargo +nightly fuzz run decode_packet fuzz/corpus/decode_packet fuzz/seeds`.
//! The first directory, which must exist, takes what is found; the second is only read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchpost_sinkhost_protocol::{decode_to_child, decode_to_parent};

fuzz_target!(|packet: &[u8]| {
    if let Err(error) = decode_to_parent(packet) {
        assert!(!error.to_string().is_empty(), "a refusal says why");
    }
    if let Err(error) = decode_to_child(packet) {
        assert!(!error.to_string().is_empty(), "a refusal says why");
    }
});
