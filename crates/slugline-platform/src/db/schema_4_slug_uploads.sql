-- SHA256 of the slug as an archive, once it is known.
ALTER TABLE slug ADD COLUMN checksum TEXT;
ALTER TABLE slug ADD COLUMN commit_description TEXT;

-- Slugs that were announced, and whose archive has not come yet.
CREATE TABLE slug_upload (
    id            TEXT PRIMARY KEY,
    app_id        TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    process_types TEXT NOT NULL,
    buildpack     TEXT,
    checksum      TEXT,
    source_version TEXT,
    commit_description TEXT,
    created_at    INTEGER NOT NULL
) STRICT;
