//! A VisionGuard backend to try, test and load Watchpost with, its quirks included.
