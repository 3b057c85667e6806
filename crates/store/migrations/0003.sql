-- Schema 3: the document of an alert is neutral. What only VisionGuard has stands under a key of its own, and how an
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
