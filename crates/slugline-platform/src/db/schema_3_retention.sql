-- When a slug was given up: its releases stay, and cannot be rolled back to.
ALTER TABLE slug ADD COLUMN expired_at INTEGER;
CREATE INDEX slug_by_app ON slug (app_id, created_at);
CREATE INDEX release_by_slug ON release (slug_id);
-- The names of the config vars that a build saw, as a JSON array. They outlast the values.
ALTER TABLE build ADD COLUMN config_var_names TEXT;
