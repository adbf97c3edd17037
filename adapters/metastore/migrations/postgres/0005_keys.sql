-- Keys that are managed: who made one, when it was last used, and the secret before the present one.
--
-- What the first migration fixes holds here too. Keys of before were made with their projects, by the admin.
-- `replaced_digest` and `replaced_until` are set together. Ids are UUIDs of version 7, so they sort by age.

ALTER TABLE api_keys ADD COLUMN created_by      TEXT COLLATE "C" NOT NULL DEFAULT 'admin';
ALTER TABLE api_keys ADD COLUMN last_used_at    BIGINT;
ALTER TABLE api_keys ADD COLUMN replaced_digest BYTEA;
ALTER TABLE api_keys ADD COLUMN replaced_until  BIGINT;
ALTER TABLE api_keys ADD COLUMN request_digest  TEXT COLLATE "C";

CREATE UNIQUE INDEX api_keys_by_replaced ON api_keys (replaced_digest);

DROP INDEX api_keys_by_project;
CREATE INDEX api_keys_by_project ON api_keys (project, id);
