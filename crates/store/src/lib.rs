//! Durable storage for Watchpost: alerts and deliveries in SQLite, pictures in a frame log.
