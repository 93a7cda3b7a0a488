-- Times are microseconds since 1970, UTC. Ids are UUIDs as text.
CREATE TABLE app (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    maintenance INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE config_var (
    app_id TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    name   TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (app_id, name)
) STRICT;

CREATE TABLE slug (
    id            TEXT PRIMARY KEY,
    app_id        TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    -- The store's identity of the tree.
    tree          TEXT NOT NULL,
    process_types TEXT NOT NULL,
    buildpack     TEXT NOT NULL,
    size          INTEGER NOT NULL,
    source_version TEXT,
    created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE release (
    id          TEXT PRIMARY KEY,
    app_id      TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    version     INTEGER NOT NULL,
    slug_id     TEXT REFERENCES slug (id),
    -- The config vars of the release, as a JSON object.
    config_vars TEXT NOT NULL,
    description TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (app_id, version)
) STRICT;

CREATE TABLE build (
    id             TEXT PRIMARY KEY,
    app_id         TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    status         TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    exit_code      INTEGER,
    source_url     TEXT NOT NULL,
    source_version TEXT,
    slug_id        TEXT REFERENCES slug (id),
    release_id     TEXT REFERENCES release (id),
    -- What each buildpack and hook did, as JSON.
    steps          TEXT NOT NULL DEFAULT '[]',
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX build_by_app ON build (app_id, created_at);

CREATE TABLE formation (
    id       TEXT PRIMARY KEY,
    app_id   TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    type     TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    UNIQUE (app_id, type)
) STRICT;

CREATE TABLE receipt (
    dyno_id TEXT PRIMARY KEY,
    app_id  TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    dyno    TEXT NOT NULL,
    release INTEGER NOT NULL,
    -- The ledger as it stood, as JSON.
    receipt TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX receipt_by_app ON receipt (app_id, created_at);
