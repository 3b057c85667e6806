//! The actors of Watchpost: connection, store, dispatcher, sinks and their supervisor.
