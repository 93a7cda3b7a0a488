-- Pipelines: apps in stages, of which one promotes to the next.
CREATE TABLE pipeline (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    -- Of its owner's id and type, as JSON; null for whoever made it.
    owner      TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE pipeline_coupling (
    id          TEXT PRIMARY KEY,
    pipeline_id TEXT NOT NULL REFERENCES pipeline (id) ON DELETE CASCADE,
    app_id      TEXT NOT NULL UNIQUE REFERENCES app (id) ON DELETE CASCADE,
    stage       TEXT NOT NULL
        CHECK (stage IN ('test', 'review', 'development', 'staging', 'production')),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX pipeline_coupling_by_pipeline ON pipeline_coupling (pipeline_id, created_at);

-- What apps of a stage that come and go begin with.
CREATE TABLE pipeline_config_var (
    pipeline_id TEXT NOT NULL REFERENCES pipeline (id) ON DELETE CASCADE,
    stage       TEXT NOT NULL,
    name        TEXT NOT NULL,
    value       TEXT NOT NULL,
    PRIMARY KEY (pipeline_id, stage, name)
) STRICT;

CREATE TABLE pipeline_promotion (
    id          TEXT PRIMARY KEY,
    pipeline_id TEXT NOT NULL REFERENCES pipeline (id) ON DELETE CASCADE,
    source_app_id     TEXT NOT NULL,
    source_release_id TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE pipeline_promotion_target (
    id           TEXT PRIMARY KEY,
    promotion_id TEXT NOT NULL REFERENCES pipeline_promotion (id) ON DELETE CASCADE,
    app_id       TEXT NOT NULL,
    -- Null where none could be made.
    release_id   TEXT,
    error        TEXT
) STRICT;
CREATE INDEX pipeline_promotion_target_by_promotion ON pipeline_promotion_target (promotion_id);

-- Review apps: whether a pipeline has them, and those that there are.
CREATE TABLE review_app_config (
    pipeline_id TEXT PRIMARY KEY REFERENCES pipeline (id) ON DELETE CASCADE,
    -- As clients set it, as JSON.
    config      TEXT NOT NULL
) STRICT;

CREATE TABLE review_app (
    id          TEXT PRIMARY KEY,
    pipeline_id TEXT NOT NULL REFERENCES pipeline (id) ON DELETE CASCADE,
    setup_id    TEXT NOT NULL,
    branch      TEXT NOT NULL,
    pr_number   INTEGER,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX review_app_by_pipeline ON review_app (pipeline_id, created_at);

-- Apps that are set up from the app.json of a source.
CREATE TABLE app_setup (
    id          TEXT PRIMARY KEY,
    app_id      TEXT REFERENCES app (id) ON DELETE SET NULL,
    build_id    TEXT,
    status      TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    failure     TEXT,
    -- What is wrong with its app.json, as a JSON array.
    errors      TEXT NOT NULL DEFAULT '[]',
    success_url TEXT,
    -- The status and the output of its postdeploy script.
    postdeploy_status INTEGER,
    postdeploy_output TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

-- Whom an app's changes are told to, by requests.
CREATE TABLE app_webhook (
    id            TEXT PRIMARY KEY,
    app_id        TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    url           TEXT NOT NULL,
    -- Which resources, as a JSON array: `api:release`.
    include       TEXT NOT NULL,
    level         TEXT NOT NULL CHECK (level IN ('notify', 'sync')),
    secret        TEXT NOT NULL,
    -- What requests have as their `Authorization`.
    authorization TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX app_webhook_by_app ON app_webhook (app_id, created_at);

CREATE TABLE app_webhook_event (
    id         TEXT PRIMARY KEY,
    app_id     TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    include    TEXT NOT NULL,
    -- What is told, as JSON.
    payload    TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX app_webhook_event_by_app ON app_webhook_event (app_id, created_at);

CREATE TABLE app_webhook_delivery (
    id         TEXT PRIMARY KEY,
    webhook_id TEXT NOT NULL REFERENCES app_webhook (id) ON DELETE CASCADE,
    event_id   TEXT NOT NULL REFERENCES app_webhook_event (id) ON DELETE CASCADE,
    status     TEXT NOT NULL
        CHECK (status IN ('pending', 'retrying', 'failed', 'succeeded')),
    attempts   INTEGER NOT NULL DEFAULT 0,
    -- When it is tried next; null for never again.
    next_at    INTEGER,
    -- The last attempt: when, what was answered, what went wrong.
    last_at    INTEGER,
    last_code  INTEGER,
    last_error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX app_webhook_delivery_by_webhook ON app_webhook_delivery (webhook_id, created_at);
CREATE INDEX app_webhook_delivery_by_next ON app_webhook_delivery (next_at);

-- What users have switched on for themselves.
CREATE TABLE account_feature (
    name    TEXT PRIMARY KEY,
    enabled INTEGER NOT NULL
) STRICT;

-- What apps have switched on or off, where it is not as it comes.
CREATE TABLE app_feature (
    app_id  TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    PRIMARY KEY (app_id, name)
) STRICT;

-- Nobody but its owner changes an app that is locked.
ALTER TABLE app ADD COLUMN locked INTEGER NOT NULL DEFAULT 0;

-- Whose a dyno is, whatever that app is called by then.
ALTER TABLE dyno ADD COLUMN app_id TEXT;
