-- The size of a test run's dyno.
ALTER TABLE test_run ADD COLUMN size TEXT NOT NULL DEFAULT 'Basic';
