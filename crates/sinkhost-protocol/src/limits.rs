//! The bounds that parent and child keep, each with its unit.

use std::time::Duration;

/// Bytes of a plugin's file: a bound on looking into it before it is loaded.
pub const MAX_PLUGIN_BYTES: u64 = 256 << 20;
/// Pictures of one alert that reach a plugin.
pub const MAX_FRAMES: usize = 8;
/// Bytes of one line of a plugin's log; what is longer is cut.
pub const MAX_LINE_BYTES: usize = 64 << 10;
/// Calls the parent holds for one child, dispatched or not.
pub const MAX_QUEUED: usize = 1024;
/// Calls dispatched and not yet done. Twice a flush, so that the child never waits for the parent.
pub const WINDOW: usize = 128;
/// Pictures dispatched whose delivery has not begun: each is a file descriptor in the child, which has
/// [`DEFAULT_OPEN_FILES`](crate::sandbox::DEFAULT_OPEN_FILES) unless the site says otherwise.
pub const WINDOW_FRAMES: usize = 256;
/// What a call has between being cancelled and its process being killed.
pub const CANCEL_GRACE: Duration = Duration::from_secs(2);
/// What a killed process has for dying before it is left behind.
pub const KILL_GRACE: Duration = Duration::from_secs(3);
/// What a child that runs nothing has for beginning what it was given. It begins at once; this is for a machine that is
/// very busy.
pub const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a running child that has sent nothing is asked for a sign of life. Each question is a wake-up or two.
pub const PING_EVERY: Duration = Duration::from_secs(5);
/// What the child's own thread has for the answer. With [`PING_EVERY`]: a child that is stopped is found within 10 s.
pub const PONG_TIMEOUT: Duration = Duration::from_secs(4);
/// What a child has for leaving when its handle is dropped, or its parent has died.
pub const DROP_GRACE: Duration = Duration::from_secs(2);
/// What a plugin has for loading, describing itself and checking a configuration.
pub const INSPECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Deliveries that share a flush.
pub const FLUSH_CALLS: usize = 64;
/// How long a flush may be put off while there is more to deliver.
pub const FLUSH_AFTER: Duration = Duration::from_millis(20);
/// Bytes of a message that go into the packet itself; a longer one takes a memfd. A packet must fit into the
/// socket's buffer, 208 KiB by default and for all packets in flight.
pub const MAX_INLINE_BYTES: usize = 32 << 10;
/// Bytes of a message to a child. The largest part of one is an alert's JSON.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// Bytes of a message from a child: a description, or the notes of a call.
pub const MAX_REPLY_BYTES: usize = 2 << 20;
/// Bytes of an alert's texts together, its JSON among them.
pub const MAX_TEXT_BYTES: usize = MAX_MESSAGE_BYTES / 2;
/// Notes a plugin may leave in one reply.
pub const MAX_NOTES: usize = 64;
/// Bytes of a note.
pub const MAX_NOTE_BYTES: usize = 8 << 10;
/// Bytes of a note that are kept for the operator, and of all notes of a call together.
pub const MAX_KEPT_NOTE_BYTES: usize = 2 << 10;
/// See [`MAX_KEPT_NOTE_BYTES`].
pub const MAX_KEPT_NOTES_BYTES: usize = 8 << 10;
/// Bytes of a plugin's own name, version and the like.
pub const MAX_INFO_BYTES: usize = 1 << 10;
/// Bytes of a description.
pub const MAX_DESCRIPTION_BYTES: usize = 1 << 20;
/// How deep the schema in it may be, references followed.
pub const MAX_SCHEMA_DEPTH: usize = 256;
/// Parts of the schema in it, references followed: a table, an array or a value is one.
pub const MAX_SCHEMA_PARTS: u64 = 100_000;
/// Lines of log that pass at once, and each second after.
pub const LOG_BURST_LINES: u32 = 100;
/// See [`LOG_BURST_LINES`].
pub const LOG_LINES_PER_SECOND: u32 = 50;
/// What a person at a plugin may ask for at once, and each second after.
pub const ASK_BURST: u32 = 10;
/// See [`ASK_BURST`].
pub const ASKS_PER_SECOND: u32 = 1;
/// What may be asked for and not be answered yet.
pub const MAX_OPEN_ASKS: usize = 8;
/// Bytes of the name of an area that is asked for.
pub const MAX_AREA_BYTES: usize = 256;
/// Bytes of a code.
pub const MAX_CODE_BYTES: usize = 64;
/// Bytes of log that pass at once, and each second after.
pub const LOG_BURST_BYTES: u32 = 1 << 20;
/// See [`LOG_BURST_BYTES`].
pub const LOG_BYTES_PER_SECOND: u32 = 64 << 10;
/// Lines of output that are kept for the error of a failed start.
pub const TAIL_LINES: usize = 20;
/// Bytes taken from a plugin's stdout or stderr before resting for [`OUTPUT_REST`]: a flood costs the hub some
/// percent of a core and slows down only the plugin that causes it.
pub const OUTPUT_BURST_BYTES: usize = 256 << 10;
/// See [`OUTPUT_BURST_BYTES`].
pub const OUTPUT_REST: Duration = Duration::from_millis(16);
