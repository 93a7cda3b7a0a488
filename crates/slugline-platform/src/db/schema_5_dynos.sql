-- The size of a process type's dynos, as Heroku names it.
ALTER TABLE formation ADD COLUMN size TEXT NOT NULL DEFAULT 'Basic';
-- Whether web dynos are replaced one by one, the new one first.
ALTER TABLE app ADD COLUMN preboot INTEGER NOT NULL DEFAULT 1;
-- What app.json says that matters while the app runs, as JSON.
ALTER TABLE slug ADD COLUMN manifest TEXT NOT NULL DEFAULT '{}';
-- Whether web dynos of a release served, or crashed while the release before still served.
ALTER TABLE release ADD COLUMN health TEXT CHECK (health IN ('healthy', 'unhealthy'));

-- Dynos that have processes, so that the next server knows what they are there for and how old
-- they are. `booted` counts from the machine's start, and so knows nothing of clocks that jump.
CREATE TABLE dyno (
    id         TEXT PRIMARY KEY,
    role       TEXT NOT NULL,
    size       TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    booted     INTEGER NOT NULL
) STRICT;

-- Dynos that stopped by themselves and wait for their next start.
CREATE TABLE crash (
    app        TEXT NOT NULL,
    dyno       TEXT NOT NULL,
    -- The rest, as JSON.
    crash      TEXT NOT NULL,
    PRIMARY KEY (app, dyno)
) STRICT;

-- When each cron entry of an app was last looked at, and last run.
CREATE TABLE cron (
    app_id   TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    -- Schedule and command, which are what an entry is known by.
    entry    TEXT NOT NULL,
    -- Runs due until then were started or were said to be missed.
    done_to  INTEGER NOT NULL,
    last_run INTEGER,
    -- The dyno of the last run, and how it ended: null while it runs.
    last_dyno TEXT,
    last_status INTEGER,
    PRIMARY KEY (app_id, entry)
) STRICT;
