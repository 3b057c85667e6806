//! All that Watchpost knows of the VisionGuard backend: wire messages, tolerant parsing, REST shapes.
