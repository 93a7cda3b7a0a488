-- Whether an authority issues certificates for an app's domains.
ALTER TABLE app ADD COLUMN acm INTEGER NOT NULL DEFAULT 0;

-- Whether a certificate was issued for the platform, and not uploaded.
ALTER TABLE sni_endpoint ADD COLUMN acm INTEGER NOT NULL DEFAULT 0;

-- What came of asking an authority for a domain's certificate.
CREATE TABLE acm_attempt (
    domain_id TEXT PRIMARY KEY REFERENCES domain (id) ON DELETE CASCADE,
    tried_at  INTEGER NOT NULL,
    failures  INTEGER NOT NULL,
    -- Why the last one failed.
    reason    TEXT
) STRICT;

-- Whom authorities know the platform as: JSON, with a key.
CREATE TABLE acme_account (
    directory   TEXT PRIMARY KEY,
    credentials TEXT NOT NULL
) STRICT;
