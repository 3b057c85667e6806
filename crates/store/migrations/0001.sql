-- Schema 1: alerts, their deliveries, and where the pictures stand.
--
-- There are no foreign keys: one writer keeps the tables in step within its transactions, and checking
-- would cost a look-up for every row. Counts are kept in the rows of `sink` and `segment`, so that nobody
-- has to count a million rows; their sums are exact.

CREATE TABLE connection (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE sink (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    pending   INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    dead      INTEGER NOT NULL DEFAULT 0,
    expired   INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Files of the frame log that alerts refer to. The one with the greatest number is written to.
-- Number 0 is no file: it counts the alerts without a picture.
CREATE TABLE segment (
    number INTEGER PRIMARY KEY,
    size   INTEGER NOT NULL, -- of the file, in bytes
    head   INTEGER NOT NULL, -- everything from here on is free
    alerts INTEGER NOT NULL, -- that have their picture in it
    bytes  INTEGER NOT NULL  -- of those pictures
) STRICT;
INSERT INTO segment VALUES (0, 0, 0, 0, 0);

CREATE TABLE alert (
    id           INTEGER PRIMARY KEY, -- microseconds since 1970 at its receipt, made unique
    connection   INTEGER NOT NULL,
    source_id    TEXT,
    stream       TEXT NOT NULL,
    dismissed_at INTEGER,             -- milliseconds since 1970
    segment      INTEGER NOT NULL,
    offset       INTEGER,
    length       INTEGER,
    crc          INTEGER,             -- CRC-32C of the picture
    body         TEXT NOT NULL        -- the alert as JSON, handed on as it is
) STRICT;
CREATE UNIQUE INDEX alert_source ON alert (connection, source_id) WHERE source_id IS NOT NULL;

CREATE TABLE delivery (
    alert       INTEGER NOT NULL,
    sink        INTEGER NOT NULL,
    state       INTEGER NOT NULL, -- 0 pending, 1 delivered, 2 dead, 3 expired
    attempts    INTEGER NOT NULL,
    due_at      INTEGER NOT NULL, -- milliseconds since 1970; 0 means at once
    expires_at  INTEGER,
    finished_at INTEGER,
    error       TEXT,
    PRIMARY KEY (alert, sink)
) STRICT, WITHOUT ROWID;

-- The pending deliveries again, in the order in which they are taken: first those that wait for nothing,
-- by alert, then those that wait for their retry, by time. Finding what is due never steps over what is not.
CREATE TABLE queue (
    sink   INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    alert  INTEGER NOT NULL,
    PRIMARY KEY (sink, due_at, alert)
) STRICT, WITHOUT ROWID;

-- The live list shows what is newer than `cleared_through` and not dismissed.
CREATE TABLE live (
    only            INTEGER PRIMARY KEY CHECK (only = 1),
    cleared_through INTEGER NOT NULL, -- an alert's id
    cleared_at      INTEGER NOT NULL
) STRICT;
INSERT INTO live VALUES (1, 0, 0);
