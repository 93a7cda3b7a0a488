-- The number of the run among those of the app's dyno of this name: web.1@3.
ALTER TABLE receipt ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
UPDATE receipt SET run = (
    SELECT count(*) FROM receipt AS other
    WHERE other.app_id = receipt.app_id AND other.dyno = receipt.dyno
        AND (other.created_at, other.dyno_id) <= (receipt.created_at, receipt.dyno_id)
);
CREATE UNIQUE INDEX receipt_by_run ON receipt (app_id, dyno, run);

-- What the dyno wrote that somebody may miss, so that sums need not read the receipts (bytes).
ALTER TABLE receipt ADD COLUMN files INTEGER NOT NULL DEFAULT 0;
ALTER TABLE receipt ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE receipt SET
    files = coalesce(json_extract(receipt, '$.content.files'), 0),
    bytes = coalesce(json_extract(receipt, '$.content.bytes'), 0);

-- What became of the layer: `none` was never kept. It is `discarded` here before it goes.
ALTER TABLE receipt ADD COLUMN layer TEXT NOT NULL DEFAULT 'none'
    CHECK (layer IN ('none', 'kept', 'discarded'));
-- All that the layer holds (bytes).
ALTER TABLE receipt ADD COLUMN layer_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE receipt ADD COLUMN discarded_at INTEGER;
ALTER TABLE receipt ADD COLUMN discarded_why TEXT;
CREATE INDEX receipt_by_release ON receipt (app_id, release);
CREATE INDEX receipt_by_layer ON receipt (layer, created_at);

-- What the app wants to hear and to allow of files that its dynos lose.
ALTER TABLE app ADD COLUMN ephemeral TEXT NOT NULL DEFAULT 'warn'
    CHECK (ephemeral IN ('warn', 'strict', 'quiet'));
