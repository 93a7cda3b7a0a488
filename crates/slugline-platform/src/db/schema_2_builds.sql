-- What a build starts from, so that it can be run again; null once it no longer can.
ALTER TABLE build ADD COLUMN config_vars TEXT;
-- The buildpacks that were asked for, as a JSON array; empty where the app decides.
ALTER TABLE build ADD COLUMN buildpacks TEXT NOT NULL DEFAULT '[]';
ALTER TABLE build ADD COLUMN version_description TEXT;
ALTER TABLE build ADD COLUMN checksum TEXT;
-- Where the app is in its source; empty for its top.
ALTER TABLE build ADD COLUMN root TEXT NOT NULL DEFAULT '';
ALTER TABLE build ADD COLUMN replay_of TEXT;
-- What the build says of its tree, as JSON.
ALTER TABLE build ADD COLUMN result TEXT;
UPDATE build SET result =
    json_object('process_types', json('{}'), 'detected', '', 'steps', json(steps));
ALTER TABLE build DROP COLUMN steps;
-- What is larger than in the build before, as JSON.
ALTER TABLE build ADD COLUMN grown TEXT NOT NULL DEFAULT '[]';
-- Why it failed, in a few words.
ALTER TABLE build ADD COLUMN failure TEXT;
-- The app's cache after it (bytes).
ALTER TABLE build ADD COLUMN cache_bytes INTEGER;

-- The buildpacks that an app is set to, in their order.
CREATE TABLE buildpack_installation (
    app_id    TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    ordinal   INTEGER NOT NULL,
    buildpack TEXT NOT NULL,
    PRIMARY KEY (app_id, ordinal)
) STRICT;
