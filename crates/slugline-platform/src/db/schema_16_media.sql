-- Which uploads of an app the router answers for out of its bucket, as JSON.
ALTER TABLE app ADD COLUMN media TEXT;
