//! The HTTP face of a running Watchpost hub.
