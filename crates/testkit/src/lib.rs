//! What Watchpost's end-to-end tests share: built plugins, running hubs, captured messages.
