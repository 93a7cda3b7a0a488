-- Add-ons whose contents are being carried into another one of the same service.
CREATE TABLE add_on_move (
    source_id   TEXT PRIMARY KEY REFERENCES add_on (id) ON DELETE CASCADE,
    target_id   TEXT NOT NULL UNIQUE REFERENCES add_on (id) ON DELETE CASCADE,
    started_at  INTEGER NOT NULL,
    -- When the apps got the target in the source's place.
    switched_at INTEGER,
    -- When all was carried.
    finished_at INTEGER
) STRICT;
