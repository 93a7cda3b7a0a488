-- People. The first is the operator, whose token lies in the data directory.
CREATE TABLE account (
    id         TEXT PRIMARY KEY,
    email      TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name       TEXT,
    -- By argon2; null where there is no logging in by password.
    password   TEXT,
    is_admin   INTEGER NOT NULL DEFAULT 0,
    -- Whose it was stays known: apps' histories name accounts.
    removed_at INTEGER,
    last_login INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
INSERT INTO account (id, email, name, is_admin, created_at, updated_at)
VALUES ('00000000-0000-4000-8000-000000000001', 'owner@localhost', 'Owner', 1, 0, 0);

-- Tokens, by the hash of each.
CREATE TABLE authorization (
    id          TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    client_id   TEXT REFERENCES oauth_client (id) ON DELETE CASCADE,
    description TEXT NOT NULL,
    -- Scopes, with spaces between.
    scope       TEXT NOT NULL,
    token_id    TEXT NOT NULL,
    token_hash  TEXT NOT NULL UNIQUE,
    -- The last characters, for people to tell tokens apart.
    token_end   TEXT NOT NULL,
    expires_at  INTEGER,
    -- Whether it was made by logging in.
    is_session  INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX authorization_by_account ON authorization (account_id, created_at);

CREATE TABLE oauth_client (
    id           TEXT PRIMARY KEY,
    account_id   TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    secret       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE account_key (
    id          TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL UNIQUE,
    comment     TEXT NOT NULL,
    public_key  TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

-- Who may work on an app beside its owner.
CREATE TABLE collaborator (
    id         TEXT PRIMARY KEY,
    app_id     TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (app_id, account_id)
) STRICT;
CREATE INDEX collaborator_by_account ON collaborator (account_id);

-- Apps that are offered to other accounts.
CREATE TABLE app_transfer (
    id           TEXT PRIMARY KEY,
    app_id       TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    owner_id     TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    recipient_id TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    state        TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'declined')),
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;

-- Every change that somebody asked for. No reference: it outlives what it names.
CREATE TABLE audit_event (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL,
    account_id TEXT NOT NULL,
    email      TEXT NOT NULL,
    -- The token that was used.
    authorization_id TEXT NOT NULL,
    app_id     TEXT,
    -- The app's name as it was.
    app        TEXT,
    -- `POST /apps`, `push main`.
    action     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    -- What was answered; null where the server ended before it answered.
    status     INTEGER
) STRICT;
CREATE INDEX audit_event_by_app ON audit_event (app_id, id);

ALTER TABLE app ADD COLUMN owner_id TEXT REFERENCES account (id);
UPDATE app SET owner_id = '00000000-0000-4000-8000-000000000001';
CREATE INDEX app_by_owner ON app (owner_id, name);
-- What the app's git repository takes on the disk (bytes); null where there is none.
ALTER TABLE app ADD COLUMN repo_size INTEGER;
-- Who asked for it.
ALTER TABLE build ADD COLUMN user_id TEXT REFERENCES account (id);
ALTER TABLE release ADD COLUMN user_id TEXT REFERENCES account (id);
