-- Schema 2: the backend's own records of alerts, how far they are known, and what it is still to be told.

-- Which record is which alert. Kept for a while longer than the alert, so that one that was removed is not fetched again.
CREATE TABLE anomaly (
    connection INTEGER NOT NULL,
    anomaly_id TEXT NOT NULL,
    alert      INTEGER NOT NULL,
    PRIMARY KEY (connection, anomaly_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX anomaly_alert ON anomaly (alert);

-- Milliseconds since 1970 by the backend's clock: everything that happened before is known.
ALTER TABLE connection ADD COLUMN horizon INTEGER;

-- Alerts that were dismissed here, of which the backend is to be told.
CREATE TABLE write_back (
    alert      INTEGER PRIMARY KEY,
    connection INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    due_at     INTEGER NOT NULL -- milliseconds since 1970
) STRICT;
