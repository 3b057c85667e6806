-- Schema 3, first part: the document of an alert is neutral. What only VisionGuard has stands under a key of its own, and how an
-- alert came (`via`) is parted from whether it was late: received more than two minutes after it happened.

UPDATE alert SET body = json_remove(
    json_set(body,
        '$.via', CASE WHEN json_extract(body, '$.late') THEN 'list' ELSE 'live' END,
        '$.late', json(CASE
            WHEN julianday(json_extract(body, '$.received_at')) - julianday(json_extract(body, '$.occurred_at'))
                > 120.0 / 86400 THEN 'true'
            ELSE 'false' END)),
    '$.stream_id', '$.person_id', '$.anomaly_id', '$.shop_id', '$.details.frame_number', '$.details.pose')
WHERE json_valid(body) AND json_extract(body, '$.kind') = 'hub';

-- A patch of nothing leaves the keys without a value out.
UPDATE alert SET body = json_remove(
    json_set(body,
        '$.via', CASE WHEN json_extract(body, '$.late') THEN 'list' ELSE 'live' END,
        '$.late', json(CASE
            WHEN julianday(json_extract(body, '$.received_at')) - julianday(json_extract(body, '$.occurred_at'))
                > 120.0 / 86400 THEN 'true'
            ELSE 'false' END),
        '$.camera', json_object('id', json_extract(body, '$.stream_id')),
        '$.visionguard', json_patch('{}', json_object(
            'person_id', json_extract(body, '$.person_id'),
            'anomaly_id', json_extract(body, '$.anomaly_id'),
            'shop_id', json_extract(body, '$.shop_id'),
            'frame_number', json_extract(body, '$.details.frame_number'),
            'pose', body -> '$.details.pose'))),
    '$.stream_id', '$.person_id', '$.anomaly_id', '$.shop_id', '$.details.frame_number', '$.details.pose')
WHERE json_valid(body) AND json_extract(body, '$.kind') <> 'hub';

-- Second part: what a delivery is cancelled by, why it is there or why there is none, and who has acknowledged an alert.

-- Cancelled once its alert is acknowledged: by what was planned with it, not by the configuration of the moment.
ALTER TABLE delivery ADD COLUMN cancel_on_acknowledge INTEGER NOT NULL DEFAULT 0;

-- It waits for the picture of its alert, and is due at this time once that is there; NULL where it does not wait.
ALTER TABLE delivery ADD COLUMN with_picture_at INTEGER;

-- Why the delivery was planned.
ALTER TABLE delivery ADD COLUMN reason TEXT NOT NULL DEFAULT '';

-- Dropped by an operator, or cancelled by an acknowledgement: state 4 of a delivery. Those that the hub itself had to end
-- are dead.
ALTER TABLE sink ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;

-- Sinks that did not get an alert, each with the reason. Sink 0 is no sink: no route took the alert.
CREATE TABLE suppression (
    alert  INTEGER NOT NULL,
    sink   INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (alert, sink)
) STRICT, WITHOUT ROWID;

-- What the routing step knows of what was before, as JSON.
CREATE TABLE routing (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    state TEXT NOT NULL
) STRICT;
INSERT INTO routing VALUES (1, '{}');

-- When and by whom an alert was taken. One that is dismissed is acknowledged too.
ALTER TABLE alert ADD COLUMN acknowledged_at INTEGER; -- milliseconds since 1970
ALTER TABLE alert ADD COLUMN acknowledged_by TEXT;

-- Milliseconds since 1970 by the backend's clock: of this shop everything that happened before is known.
CREATE TABLE checkpoint (
    connection INTEGER NOT NULL,
    shop       TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (connection, shop)
) STRICT, WITHOUT ROWID;
ALTER TABLE connection DROP COLUMN horizon;

-- Third part: by how much the clock was set forward, and the greatest id of the alerts that were received before that. What
-- they have of age runs on the time that passed.
CREATE TABLE clock_step (
    through INTEGER PRIMARY KEY,
    millis  INTEGER NOT NULL
) STRICT;

-- Fourth part: pictures that are still to be fetched, with where their source has them.
CREATE TABLE picture (
    alert      INTEGER PRIMARY KEY,
    connection INTEGER NOT NULL,
    source     TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    due_at     INTEGER NOT NULL -- milliseconds since 1970
) STRICT;
CREATE INDEX picture_due ON picture (connection, due_at, alert);

-- Fifth part: alerts of the last day by what distinguishes them, so that one that comes a second time is recognised.
CREATE TABLE sighting (
    alert INTEGER PRIMARY KEY,
    hash  INTEGER NOT NULL
) STRICT;
CREATE INDEX sighting_hash ON sighting (hash);
