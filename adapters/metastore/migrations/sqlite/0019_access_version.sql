-- One process alone has the database, and counts by itself.

SELECT 1;
