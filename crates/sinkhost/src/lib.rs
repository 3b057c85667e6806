//! Runs one Watchpost sink plugin in a process of its own, and the parent's handle to it.
