//! What belongs to tables beside their columns: layout and comments.

use std::collections::{BTreeMap, HashMap};

use duckdb::Connection;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::LakeId;
use gadwall_domain::layout::{Layout, Partition, SortKey, Transform};
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::table::Comments;

use super::{at, rows};
use crate::error::fault;
use crate::types::RawColumn;

/// What belongs to a table beside its columns.
#[derive(Default)]
pub(super) struct Details {
    pub(super) layout: Layout,
    pub(super) comments: Comments,
    /// Whether something else laid it out in a way that the layout can't tell.
    pub(super) partial: bool,
}

/// The details of tables, by their numbers.
pub(super) fn of(
    connection: &Connection,
    lake: LakeId,
    version: ReadAt,
    ids: &[i64],
    columns: &HashMap<i64, Vec<RawColumn>>,
) -> Result<HashMap<i64, Details>, LakeError> {
    let mut details: HashMap<i64, Details> = ids.iter().map(|id| (*id, Details::default())).collect();
    if ids.is_empty() {
        return Ok(details);
    }
    let look = Look { connection, lake, version, ids: numbers(ids), columns };
    look.partitions(&mut details)?;
    look.orders(&mut details)?;
    look.comments(&mut details)?;
    Ok(details)
}

/// Numbers as a list for a statement.
pub(super) fn numbers(ids: &[i64]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

struct Look<'a> {
    connection: &'a Connection,
    lake: LakeId,
    version: ReadAt,
    ids: String,
    columns: &'a HashMap<i64, Vec<RawColumn>>,
}

impl Look<'_> {
    fn statement(&self, text: &str) -> String {
        at(self.lake, self.version, &text.replace("{ids}", &self.ids))
    }

    fn column(&self, table: i64, id: i64) -> Option<ColumnName> {
        let column = self.columns.get(&table)?.iter().find(|column| column.id == id)?;
        ColumnName::parse(&column.name).ok()
    }

    fn partitions(&self, details: &mut HashMap<i64, Details>) -> Result<(), LakeError> {
        let statement = self.statement(
            "SELECT g.table_id, g.column_id, g.transform
               FROM {md}.ducklake_partition_info p
               JOIN {md}.ducklake_partition_column g ON g.partition_id = p.partition_id AND g.table_id = p.table_id
              WHERE {live p} AND p.table_id IN ({ids}) ORDER BY g.table_id, g.partition_key_index",
        );
        let found = rows(self.connection, &statement, &[], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })?;
        for (table, column, transform) in found {
            let Some(entry) = details.get_mut(&table) else { continue };
            let Some(column) = self.column(table, column) else {
                entry.partial = true;
                continue;
            };
            let transform = transform_of(&transform).ok_or_else(|| fault("a partition transform is unknown"))?;
            entry.layout.partition_by.push(Partition { column, transform });
        }
        Ok(())
    }

    fn orders(&self, details: &mut HashMap<i64, Details>) -> Result<(), LakeError> {
        let statement = self.statement(
            "SELECT g.table_id, g.expression, g.sort_direction, g.null_order
               FROM {md}.ducklake_sort_info p
               JOIN {md}.ducklake_sort_expression g ON g.sort_id = p.sort_id AND g.table_id = p.table_id
              WHERE {live p} AND p.table_id IN ({ids}) ORDER BY g.table_id, g.sort_key_index",
        );
        let found = rows(self.connection, &statement, &[], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
        })?;
        for (table, expression, direction, nulls) in found {
            let Some(entry) = details.get_mut(&table) else { continue };
            // Something else may have sorted by more than a column; that isn't shown.
            let Ok(column) = ColumnName::parse(&unquoted(&expression)) else {
                entry.partial = true;
                continue;
            };
            let descending = direction.eq_ignore_ascii_case("DESC");
            let nulls_first = nulls.eq_ignore_ascii_case("NULLS_FIRST");
            entry.layout.sort_by.push(SortKey { column, descending, nulls_first });
        }
        Ok(())
    }

    fn comments(&self, details: &mut HashMap<i64, Details>) -> Result<(), LakeError> {
        let of_tables = self.statement(
            "SELECT g.object_id, g.value FROM {md}.ducklake_tag g
              WHERE {live g} AND g.key = 'comment' AND g.value IS NOT NULL AND g.object_id IN ({ids})",
        );
        let found =
            rows(self.connection, &of_tables, &[], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        for (table, comment) in found {
            if let Some(entry) = details.get_mut(&table) {
                entry.comments.table = Some(comment);
            }
        }
        let of_columns = self.statement(
            "SELECT g.table_id, g.column_id, g.value FROM {md}.ducklake_column_tag g
              WHERE {live g} AND g.key = 'comment' AND g.value IS NOT NULL AND g.table_id IN ({ids})",
        );
        let found = rows(self.connection, &of_columns, &[], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })?;
        let mut by_table: HashMap<i64, BTreeMap<ColumnName, String>> = HashMap::new();
        for (table, column, comment) in found {
            if let Some(name) = self.column(table, column) {
                by_table.entry(table).or_default().insert(name, comment);
            }
        }
        for (table, columns) in by_table {
            if let Some(entry) = details.get_mut(&table) {
                entry.comments.columns = columns;
            }
        }
        Ok(())
    }
}

fn transform_of(word: &str) -> Option<Transform> {
    Some(match word {
        "identity" => Transform::Identity,
        "year" => Transform::Year,
        "month" => Transform::Month,
        "day" => Transform::Day,
        "hour" => Transform::Hour,
        other => Transform::Bucket(other.strip_prefix("bucket(")?.strip_suffix(')')?.trim().parse().ok()?),
    })
}

fn unquoted(name: &str) -> String {
    let inner = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.map_or_else(|| name.to_owned(), |inner| inner.replace("\"\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_and_quoted_names_are_read_as_ducklake_writes_them() {
        assert_eq!(transform_of("bucket(16)"), Some(Transform::Bucket(16)));
        assert_eq!(transform_of("year"), Some(Transform::Year));
        assert_eq!(transform_of("bucket(x)"), None);
        assert_eq!(unquoted("\"it\"\"s\""), "it\"s");
        assert_eq!(unquoted("id"), "id");
    }
}
