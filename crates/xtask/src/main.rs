//! The project's own chores: demo, test, bench, dist.
fn main() {}
