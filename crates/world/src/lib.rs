//! What happens in an hour of a seed, as a value: who plays it decides what it is played on. The world plays it on a hub in
//! virtual time (`main.rs`), the end-to-end tests on the real processes.
#![allow(missing_docs, reason = "only tests use it")]

pub mod scenario;
