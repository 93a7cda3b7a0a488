-- Test runs of pipelines, each with its one node.
CREATE TABLE test_run (
    id              TEXT PRIMARY KEY,
    pipeline_id     TEXT NOT NULL REFERENCES pipeline (id) ON DELETE CASCADE,
    number          INTEGER NOT NULL,
    status          TEXT NOT NULL CHECK (status IN
        ('pending', 'building', 'running', 'succeeded', 'failed', 'errored', 'cancelled')),
    commit_branch   TEXT NOT NULL,
    commit_message  TEXT NOT NULL,
    commit_sha      TEXT NOT NULL,
    source_blob_url TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    -- Why it came to no verdict.
    message         TEXT,
    -- Where it stood then.
    error_status    TEXT,
    exit_code       INTEGER,
    node_id         TEXT NOT NULL,
    -- The outputs of its build and setup, and of its tests.
    setup_id        TEXT NOT NULL,
    output_id       TEXT NOT NULL,
    -- What it is built and run as, for as long as that takes.
    app_id          TEXT REFERENCES app (id) ON DELETE SET NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    UNIQUE (pipeline_id, number)
) STRICT;
CREATE INDEX test_run_by_app ON test_run (app_id);
