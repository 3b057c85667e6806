//! The Watchpost alert hub.
fn main() {}
