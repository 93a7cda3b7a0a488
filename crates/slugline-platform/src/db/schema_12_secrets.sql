-- Secrets are sealed from here on, with the key that lies beside this file: `seal` and `unseal` are
-- functions of the server's. What stands in the clear is sealed now.
UPDATE config_var SET value = seal(value, 'config_var' || app_id || name);
UPDATE release SET config_vars = seal(config_vars, 'release' || id);
UPDATE build SET config_vars = seal(config_vars, 'build' || id);
UPDATE sni_endpoint SET private_key = seal(private_key, 'sni_endpoint' || id);
-- They may have credentials in them, and are unique within an app.
UPDATE log_drain SET url = seal(url, 'log_drain' || app_id);

-- One text that is known, so that a wrong key is noticed before anything is written with it.
CREATE TABLE seal_check (text TEXT NOT NULL) STRICT;
