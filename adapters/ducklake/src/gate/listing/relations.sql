-- What the engine's own lists of tables and columns become: queries over what the caller may see. Each begins with a line
-- `-- relation schema.name`; a test holds its columns and their types to the engine's. `{lake}` is the catalog's public name;
-- `{buckets}`, `{tables}`,
-- `{views}`, `{relations}` (both) and `{columns}` (of both) are rows of the structs that `rows.rs` describes.

-- relation main.duckdb_databases
SELECT {lake} AS database_name, 1::BIGINT AS database_oid, NULL::VARCHAR AS path, NULL::VARCHAR AS comment,
    map()::MAP(VARCHAR, VARCHAR) AS tags, false AS internal, 'ducklake' AS "type", false AS readonly, false AS encrypted,
    NULL::VARCHAR AS cipher, map()::MAP(VARCHAR, VARCHAR) AS options

-- relation main.duckdb_schemas
SELECT r.bucket_id AS oid, {lake} AS database_name, 1::BIGINT AS database_oid, r.bucket AS schema_name,
    NULL::VARCHAR AS comment, map()::MAP(VARCHAR, VARCHAR) AS tags, false AS internal, NULL::VARCHAR AS sql
FROM {buckets}

-- relation main.duckdb_tables
SELECT {lake} AS database_name, 1::BIGINT AS database_oid, r.bucket AS schema_name, r.bucket_id AS schema_oid,
    r.tbl AS table_name, r.tbl_id AS table_oid, r.note AS comment, map()::MAP(VARCHAR, VARCHAR) AS tags,
    false AS internal, false AS temporary, false AS has_primary_key, r.row_count AS estimated_size,
    r.width AS column_count, 0::BIGINT AS index_count, 0::BIGINT AS check_constraint_count, r.ddl AS sql
FROM {tables}

-- relation main.duckdb_columns
SELECT {lake} AS database_name, 1::BIGINT AS database_oid, r.bucket AS schema_name, r.bucket_id AS schema_oid,
    r.tbl AS table_name, r.tbl_id AS table_oid, r.col AS column_name, r.place AS column_index, r.note AS comment,
    false AS internal, r.preset AS column_default, r.nullable AS is_nullable, r.kind AS data_type,
    r.kind_id AS data_type_id, NULL::INTEGER AS character_maximum_length, r.digits AS numeric_precision,
    r.radix AS numeric_precision_radix, r.scale AS numeric_scale
FROM {columns}

-- relation main.duckdb_views
SELECT {lake} AS database_name, 1::BIGINT AS database_oid, r.bucket AS schema_name, r.bucket_id AS schema_oid,
    r.tbl AS view_name, r.tbl_id AS view_oid, r.note AS comment, map()::MAP(VARCHAR, VARCHAR) AS tags,
    false AS internal, false AS temporary, r.width AS column_count, r.ddl AS sql, true AS is_bound
FROM {views}

-- relation main.duckdb_indexes
SELECT {lake} AS database_name, 1::BIGINT AS database_oid, '' AS schema_name, 0::BIGINT AS schema_oid,
    '' AS index_name, 0::BIGINT AS index_oid, '' AS table_name, 0::BIGINT AS table_oid, NULL::VARCHAR AS comment,
    map()::MAP(VARCHAR, VARCHAR) AS tags, false AS is_unique, false AS is_primary, '' AS expressions, '' AS sql
WHERE false

-- relation main.sqlite_master
SELECT CASE WHEN r.is_view THEN 'view' ELSE 'table' END AS "type", r.tbl AS "name", r.tbl AS tbl_name, 0 AS rootpage, r.ddl AS sql
FROM {relations}

-- relation main.sqlite_schema
SELECT CASE WHEN r.is_view THEN 'view' ELSE 'table' END AS "type", r.tbl AS "name", r.tbl AS tbl_name, 0 AS rootpage, r.ddl AS sql
FROM {relations}

-- relation information_schema.schemata
SELECT {lake} AS catalog_name, r.bucket AS schema_name, 'duckdb' AS schema_owner,
    NULL::VARCHAR AS default_character_set_catalog, NULL::VARCHAR AS default_character_set_schema,
    NULL::VARCHAR AS default_character_set_name, NULL::VARCHAR AS sql_path
FROM {buckets}

-- relation information_schema.tables
SELECT {lake} AS table_catalog, r.bucket AS table_schema, r.tbl AS table_name,
    CASE WHEN r.is_view THEN 'VIEW' ELSE 'BASE TABLE' END AS table_type,
    NULL::VARCHAR AS self_referencing_column_name, NULL::VARCHAR AS reference_generation,
    NULL::VARCHAR AS user_defined_type_catalog, NULL::VARCHAR AS user_defined_type_schema,
    NULL::VARCHAR AS user_defined_type_name,
    CASE WHEN r.is_view THEN 'NO' ELSE 'YES' END AS is_insertable_into, 'NO' AS is_typed,
    NULL::VARCHAR AS commit_action, r.note AS "TABLE_COMMENT"
FROM {relations}

-- relation information_schema.columns
SELECT {lake} AS table_catalog, r.bucket AS table_schema, r.tbl AS table_name, r.col AS column_name,
    r.place AS ordinal_position, r.preset AS column_default,
    CASE WHEN r.nullable THEN 'YES' ELSE 'NO' END AS is_nullable, r.kind AS data_type,
    NULL::INTEGER AS character_maximum_length, NULL::INTEGER AS character_octet_length,
    r.digits AS numeric_precision, r.radix AS numeric_precision_radix, r.scale AS numeric_scale,
    NULL::INTEGER AS datetime_precision, NULL::VARCHAR AS interval_type, NULL::INTEGER AS interval_precision,
    NULL::VARCHAR AS character_set_catalog, NULL::VARCHAR AS character_set_schema, NULL::VARCHAR AS character_set_name,
    NULL::VARCHAR AS collation_catalog, NULL::VARCHAR AS collation_schema, NULL::VARCHAR AS collation_name,
    NULL::VARCHAR AS domain_catalog, NULL::VARCHAR AS domain_schema, NULL::VARCHAR AS domain_name,
    NULL::VARCHAR AS udt_catalog, NULL::VARCHAR AS udt_schema, NULL::VARCHAR AS udt_name,
    NULL::VARCHAR AS scope_catalog, NULL::VARCHAR AS scope_schema, NULL::VARCHAR AS scope_name,
    NULL::BIGINT AS maximum_cardinality, NULL::VARCHAR AS dtd_identifier, NULL::BOOLEAN AS is_self_referencing,
    NULL::BOOLEAN AS is_identity, NULL::VARCHAR AS identity_generation, NULL::VARCHAR AS identity_start,
    NULL::VARCHAR AS identity_increment, NULL::VARCHAR AS identity_maximum, NULL::VARCHAR AS identity_minimum,
    NULL::BOOLEAN AS identity_cycle, NULL::VARCHAR AS is_generated, NULL::VARCHAR AS generation_expression,
    NULL::BOOLEAN AS is_updatable, r.note AS "COLUMN_COMMENT"
FROM {columns}

-- relation information_schema.views
SELECT {lake} AS table_catalog, r.bucket AS table_schema, r.tbl AS table_name, r.ddl AS view_definition,
    'NONE' AS check_option, 'NO' AS is_updatable, 'NO' AS is_insertable_into, 'NO' AS is_trigger_updatable,
    'NO' AS is_trigger_deletable, 'NO' AS is_trigger_insertable_into
FROM {views}

-- relation pg_catalog.pg_database
SELECT 1::BIGINT AS oid, {lake} AS datname, true AS datallowconn, false AS datistemplate

-- relation pg_catalog.pg_namespace
SELECT r.bucket_id AS oid, r.bucket AS nspname, 0 AS nspowner, NULL::INTEGER AS nspacl
FROM {buckets}

-- relation pg_catalog.pg_tables
SELECT r.bucket AS schemaname, r.tbl AS tablename, 'duckdb' AS tableowner, NULL::INTEGER AS "tablespace",
    false AS hasindexes, false AS hasrules, false AS hastriggers
FROM {tables}

-- relation pg_catalog.pg_views
SELECT r.bucket AS schemaname, r.tbl AS viewname, 'duckdb' AS viewowner, r.ddl AS definition
FROM {views}

-- relation pg_catalog.pg_indexes
SELECT '' AS schemaname, '' AS tablename, '' AS indexname, NULL::INTEGER AS "tablespace", '' AS indexdef
WHERE false

-- relation pg_catalog.pg_class
SELECT r.tbl_id AS oid, r.tbl AS relname, r.bucket_id AS relnamespace, 0 AS reltype, 0 AS reloftype, 0 AS relowner,
    0 AS relam, 0 AS relfilenode, 0 AS reltablespace, 0 AS relpages, r.row_count::FLOAT AS reltuples,
    0 AS relallvisible, 0 AS reltoastrelid, 0 AS reltoastidxid, false AS relhasindex, false AS relisshared,
    'p' AS relpersistence, CASE WHEN r.is_view THEN 'v' ELSE 'r' END AS relkind, r.width AS relnatts, 0::BIGINT AS relchecks, false AS relhasoids,
    false AS relhaspkey, false AS relhasrules, false AS relhastriggers, false AS relhassubclass,
    false AS relrowsecurity, true AS relispopulated, NULL::INTEGER AS relreplident, false AS relispartition,
    0 AS relrewrite, 0 AS relfrozenxid, NULL::INTEGER AS relminmxid, NULL::INTEGER AS relacl,
    NULL::INTEGER AS reloptions, NULL::INTEGER AS relpartbound
FROM {relations}

-- relation pg_catalog.pg_attribute
SELECT r.tbl_id AS attrelid, r.col AS attname, r.kind_id AS atttypid, 0 AS attstattarget, NULL::INTEGER AS attlen,
    r.place AS attnum, 0 AS attndims, -1 AS attcacheoff,
    CASE WHEN r.radix = 10 THEN r.digits * 1000 + r.scale ELSE -1 END AS atttypmod, false AS attbyval,
    NULL::INTEGER AS attstorage, NULL::INTEGER AS attalign, NOT r.nullable AS attnotnull,
    r.preset IS NOT NULL AS atthasdef, false AS atthasmissing, '' AS attidentity, '' AS attgenerated,
    false AS attisdropped, true AS attislocal, 0 AS attinhcount, 0 AS attcollation, NULL::INTEGER AS attcompression,
    NULL::INTEGER AS attacl, NULL::INTEGER AS attoptions, NULL::INTEGER AS attfdwoptions,
    NULL::INTEGER AS attmissingval
FROM {columns}

-- relation pg_catalog.pg_description
SELECT r.tbl_id AS objoid, '1' AS classoid, 0 AS objsubid, r.note AS description
FROM {relations}
WHERE r.note IS NOT NULL
UNION ALL
SELECT r.tbl_id AS objoid, '1' AS classoid, r.place AS objsubid, r.note AS description
FROM {columns}
WHERE r.note IS NOT NULL

-- relation show.tables
SELECT r.tbl AS "name"
FROM {relations}

-- relation show.databases
SELECT {lake} AS database_name

-- relation show.schemas
SELECT {lake} AS database_name, r.bucket AS schema_name, r.here AS "current"
FROM {buckets}

-- relation show.__show_tables_expanded
SELECT {lake} AS "database", r.bucket AS "schema", r.tbl AS "name", r.col_names AS column_names,
    r.col_kinds AS column_types, false AS temporary
FROM {relations}
