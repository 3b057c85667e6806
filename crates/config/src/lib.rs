//! The configuration of Watchpost: one typed, documented TOML file whose errors point at line and column.
