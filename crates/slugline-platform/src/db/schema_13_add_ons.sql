-- Add-ons. One whose app is destroyed has none until its provider has removed it.
CREATE TABLE add_on (
    id         TEXT PRIMARY KEY,
    app_id     TEXT REFERENCES app (id) ON DELETE SET NULL,
    -- The app's name when it was made, which its provider has been told.
    app_name   TEXT NOT NULL,
    service    TEXT NOT NULL,
    -- What its attachments are called where nobody says otherwise.
    prefix     TEXT NOT NULL,
    plan       TEXT NOT NULL,
    name       TEXT NOT NULL UNIQUE,
    state      TEXT NOT NULL CHECK (state IN ('provisioning', 'provisioned', 'deprovisioned')),
    -- What was asked for beside the plan, as a JSON object.
    options    TEXT NOT NULL,
    -- Its values under the names that its service gives them, as a JSON object.
    vars       TEXT NOT NULL DEFAULT '{}',
    message    TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX add_on_by_app ON add_on (app_id, created_at);

CREATE TABLE add_on_attachment (
    id         TEXT PRIMARY KEY,
    add_on_id  TEXT NOT NULL REFERENCES add_on (id) ON DELETE CASCADE,
    app_id     TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    namespace  TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (app_id, name)
) STRICT;
CREATE INDEX add_on_attachment_by_add_on ON add_on_attachment (add_on_id);

-- The plans that a release was made with, as a JSON array, and the config vars that come from them.
ALTER TABLE release ADD COLUMN add_on_plans TEXT NOT NULL DEFAULT '[]';
ALTER TABLE release ADD COLUMN add_on_vars TEXT NOT NULL DEFAULT '[]';
