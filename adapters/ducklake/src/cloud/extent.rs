//! How far a share reaches into its owner's catalog, and the views that show that much.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::LakeError;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::server::{CatalogServer, unreachable};
use crate::sql;
use crate::structure::OWN_CATALOG;

/// Tables that DuckLake makes for rows it keeps in the catalog. They have the columns of users' tables.
const INLINED: [&str; 2] = ["ducklake_inlined_data_", "ducklake_inlined_delete_"];

/// What of a catalog is shown: the linked buckets, and what views in them read elsewhere, which their owner shows by them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Buckets that are shown whole, also those of the name that are gone.
    schemas: BTreeSet<i64>,
    /// Buckets of which something is shown.
    touched: BTreeSet<i64>,
    /// Tables elsewhere that views read.
    tables: BTreeSet<i64>,
    /// Views elsewhere that views read.
    views: BTreeSet<i64>,
    folders: BTreeSet<String>,
}

/// A table or view of the catalog.
struct Object {
    id: i64,
    schema: i64,
    name: String,
    /// A view's query; nothing for a table.
    query: Option<String>,
    /// A table's folder below that of its bucket.
    folder: Option<String>,
}

struct Schema {
    name: String,
    folder: Option<String>,
}

fn below(folder: Option<&str>) -> String {
    folder.map(|folder| format!("{}/", folder.trim_end_matches('/'))).unwrap_or_default()
}

impl Extent {
    /// What buckets of these names reach.
    pub(super) async fn of(
        connection: &mut PgConnection,
        owner: LakeId,
        buckets: &BTreeSet<String>,
    ) -> Result<Self, LakeError> {
        let schemas = schemas(connection, owner).await?;
        let mut extent = Self::default();
        for (id, schema) in &schemas {
            // `main` is there for everybody: without it there is no lake.
            if buckets.contains(&schema.name) {
                extent.schemas.insert(*id);
                extent.folders.extend(schema.folder.as_deref().map(|folder| below(Some(folder))));
            } else if schema.name == "main" {
                extent.touched.insert(*id);
            }
        }
        let views = views(connection, owner).await?;
        let mut waiting: Vec<&Object> = views.iter().filter(|view| extent.schemas.contains(&view.schema)).collect();
        if waiting.is_empty() {
            return Ok(extent);
        }
        let tables = tables(connection, owner).await?;
        while let Some(view) = waiting.pop() {
            let Some(query) = &view.query else { continue };
            for read in tables.iter().chain(&views) {
                let Some(schema) = schemas.get(&read.schema) else { continue };
                if extent.schemas.contains(&read.schema) || !mentions(query, &schema.name, &read.name) {
                    continue;
                }
                extent.touched.insert(read.schema);
                if read.query.is_some() {
                    if extent.views.insert(read.id) {
                        waiting.push(read);
                    }
                } else if extent.tables.insert(read.id)
                    && let Some(folder) = &schema.folder
                {
                    extent.folders.insert(format!("{}{}", below(Some(folder)), below(read.folder.as_deref())));
                }
            }
        }
        Ok(extent)
    }

    /// Folders of the data files that are shown, below that of the lake.
    pub(super) fn folders(&self) -> &BTreeSet<String> {
        &self.folders
    }
}

/// Whether a stored query names a table or view in full, as the engine prints it: quoted only where that is needed.
fn mentions(query: &str, schema: &str, name: &str) -> bool {
    let spellings = |name: &str| [name.to_owned(), sql::ident(name)];
    for schema in spellings(schema) {
        for name in spellings(name) {
            let full = format!("{OWN_CATALOG}.{schema}.{name}");
            // A quote after a quoted name is part of the name.
            let ends = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || matches!(next, '_' | '"'));
            if query.match_indices(&full).any(|(at, found)| ends(&query[at + found.len()..])) {
                return true;
            }
        }
    }
    false
}

async fn rows<T>(
    connection: &mut PgConnection,
    owner: LakeId,
    select: &str,
    read: impl Fn(&PgRow) -> sqlx::Result<T>,
) -> Result<Vec<T>, LakeError> {
    let statement = select.replace("{md}", &sql::ident(&CatalogServer::schema(owner)));
    let found = sqlx::query(AssertSqlSafe(statement)).fetch_all(connection).await.map_err(unreachable)?;
    found.iter().map(read).collect::<sqlx::Result<_>>().map_err(unreachable)
}

async fn schemas(connection: &mut PgConnection, owner: LakeId) -> Result<BTreeMap<i64, Schema>, LakeError> {
    let select = "SELECT schema_id, schema_name, CASE WHEN path_is_relative THEN path END FROM {md}.ducklake_schema";
    let read = |row: &PgRow| Ok((row.try_get(0)?, Schema { name: row.try_get(1)?, folder: row.try_get(2)? }));
    Ok(rows(connection, owner, select, read).await?.into_iter().collect())
}

async fn views(connection: &mut PgConnection, owner: LakeId) -> Result<Vec<Object>, LakeError> {
    rows(connection, owner, "SELECT view_id, schema_id, view_name, sql FROM {md}.ducklake_view", |row| {
        let (id, schema, name) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(Object { id, schema, name, query: Some(row.try_get(3)?), folder: None })
    })
    .await
}

async fn tables(connection: &mut PgConnection, owner: LakeId) -> Result<Vec<Object>, LakeError> {
    let select = "SELECT table_id, schema_id, table_name, CASE WHEN path_is_relative THEN path END
                    FROM {md}.ducklake_table";
    rows(connection, owner, select, |row| {
        let (id, schema, name) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(Object { id, schema, name, query: None, folder: row.try_get(3)? })
    })
    .await
}

/// A view to be made in a schema of its own.
#[derive(Debug)]
pub(super) struct ShownTable {
    name: String,
    select: String,
}

impl ShownTable {
    /// The statement that makes it there. A barrier: functions of the reader's own see no row that isn't shown.
    pub(super) fn within(&self, schema: &str) -> String {
        format!("CREATE VIEW {schema}.{} WITH (security_barrier) AS {}", sql::ident(&self.name), self.select)
    }
}

/// A view for each of the catalog's tables, with the columns that they have.
pub(super) async fn statements(
    connection: &mut PgConnection,
    owner: LakeId,
    extent: &Extent,
) -> Result<Vec<ShownTable>, LakeError> {
    let look = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod)
                  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                  JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = $1 AND c.relkind = 'r' AND starts_with(c.relname, 'ducklake_')
                   AND a.attnum > 0 AND NOT a.attisdropped
                 ORDER BY c.relname, a.attnum";
    let found = sqlx::query(look).bind(CatalogServer::schema(owner)).fetch_all(connection).await;
    let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for row in found.map_err(unreachable)? {
        let read = || sqlx::Result::Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        let (table, column, kind): (String, String, String) = read().map_err(unreachable)?;
        tables.entry(table).or_default().push((column, kind));
    }
    // Named one by one, those of DuckLake's own: `ducklake_inlined_data_tables` is one.
    let is_own = |table: &str| {
        table == "ducklake_inlined_data_tables" || !INLINED.iter().any(|inlined| table.starts_with(inlined))
    };
    let shown = tables.iter().filter(|(table, _)| is_own(table));
    Ok(shown.map(|(table, columns)| show(owner, extent, table, columns)).collect())
}

/// A view over one table: the rows that belong to what is shown. Of a table that isn't known, none.
fn show(owner: LakeId, extent: &Extent, table: &str, columns: &[(String, String)]) -> ShownTable {
    let home = sql::ident(&CatalogServer::schema(owner));
    let has = |name: &str| columns.iter().any(|(column, _)| column == name);
    let tables = format!(
        "SELECT table_id FROM {home}.ducklake_table WHERE {} OR {}",
        one_of("schema_id", &extent.schemas),
        one_of("table_id", &extent.tables)
    );
    let views = format!(
        "SELECT view_id FROM {home}.ducklake_view WHERE {} OR {}",
        one_of("schema_id", &extent.schemas),
        one_of("view_id", &extent.views)
    );
    let in_schemas = |column: &str| one_of(column, &extent.schemas);
    let kept = match table {
        // Which snapshots there are is no secret; what happened in them is.
        "ducklake_snapshot" | "ducklake_snapshot_changes" => "true".to_owned(),
        "ducklake_metadata" if has("scope") && has("scope_id") => format!(
            "scope IS NULL OR scope = 'schema' AND {} OR scope = 'table' AND scope_id IN ({tables})",
            in_schemas("scope_id")
        ),
        "ducklake_schema" => format!("{} OR {}", in_schemas("schema_id"), one_of("schema_id", &extent.touched)),
        "ducklake_view" => format!("view_id IN ({views})"),
        "ducklake_tag" => {
            format!("object_id IN ({tables}) OR object_id IN ({views}) OR {}", in_schemas("object_id"))
        }
        "ducklake_name_mapping" => {
            format!(
                "mapping_id IN (SELECT mapping_id FROM {home}.ducklake_column_mapping WHERE table_id IN ({tables}))"
            )
        }
        "ducklake_files_scheduled_for_deletion" => "false".to_owned(),
        _ if has("table_id") => format!("table_id IN ({tables})"),
        _ if has("schema_id") => in_schemas("schema_id"),
        _ => "false".to_owned(),
    };
    let mut list = String::new();
    for (column, kind) in columns {
        let comma = if list.is_empty() { "" } else { ", " };
        let name = sql::ident(column);
        let is_told = table != "ducklake_snapshot_changes" || column == "snapshot_id";
        let value = if is_told { name.clone() } else { format!("CAST(NULL AS {kind})") };
        let _ = write!(list, "{comma}{value} AS {name}");
    }
    let select = format!("SELECT {list} FROM {home}.{} WHERE {kept}", sql::ident(table));
    ShownTable { name: table.to_owned(), select }
}

/// A condition on ids.
fn one_of(column: &str, ids: &BTreeSet<i64>) -> String {
    if ids.is_empty() {
        return "false".to_owned();
    }
    let list: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("{column} IN ({})", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_mentions_what_it_names_in_full() {
        let query = r#"SELECT * FROM {DUCKLAKE_CATALOG}.secret.hidden, {DUCKLAKE_CATALOG}."Of x"."a""b""#;
        assert!(mentions(query, "secret", "hidden"));
        assert!(mentions(query, "Of x", "a\"b"));
        for (schema, table) in [("secret", "hid"), ("secret", "hidden2"), ("ecret", "hidden"), ("Of x", "a")] {
            assert!(!mentions(query, schema, table), "{schema}.{table}");
        }
    }
}
