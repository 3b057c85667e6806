//! The C ABI between Watchpost and its sink plugins, version 1.
