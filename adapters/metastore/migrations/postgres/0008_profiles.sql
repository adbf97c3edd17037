-- What the engine measured of queries that ended: a JSON document.

ALTER TABLE queries ADD COLUMN profile TEXT COLLATE "C";
