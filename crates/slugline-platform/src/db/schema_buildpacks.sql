-- The buildpacks that a build was asked for, in order, as a JSON list; empty to let the app decide.
ALTER TABLE build ADD COLUMN buildpacks TEXT NOT NULL DEFAULT '[]';
-- What bin/report of its buildpacks said, as a JSON list.
ALTER TABLE build ADD COLUMN reports TEXT NOT NULL DEFAULT '[]';
