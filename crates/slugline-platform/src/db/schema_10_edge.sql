-- Where an app's log is sent.
CREATE TABLE log_drain (
    id         TEXT PRIMARY KEY,
    app_id     TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    url        TEXT NOT NULL,
    token      TEXT NOT NULL UNIQUE,
    -- The number of the last line that has arrived.
    arrived    INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    UNIQUE (app_id, url)
) STRICT;

-- Certificates that users have uploaded.
CREATE TABLE sni_endpoint (
    id                TEXT PRIMARY KEY,
    app_id            TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    name              TEXT NOT NULL,
    certificate_chain TEXT NOT NULL,
    private_key       TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    UNIQUE (app_id, name)
) STRICT;

-- Host names that an app answers to beside its own.
CREATE TABLE domain (
    id              TEXT PRIMARY KEY,
    app_id          TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    hostname        TEXT NOT NULL UNIQUE,
    sni_endpoint_id TEXT REFERENCES sni_endpoint (id) ON DELETE SET NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX domain_by_app ON domain (app_id, created_at);
