-- What a release's proof is for: off, warn, block.
ALTER TABLE app ADD COLUMN prove TEXT NOT NULL DEFAULT 'off';
-- Whether the router answers for files of earlier releases.
ALTER TABLE app ADD COLUMN bridges INTEGER NOT NULL DEFAULT 0;
-- What a release's last proof came to, as JSON.
ALTER TABLE release ADD COLUMN proof TEXT;
