//! A table built beside the one it takes the place of: for changes that DuckLake can't make to a table that is there.

use gadwall_domain::layout::{Layout, Partition, SortKey, Transform};
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::schema::Column;
use gadwall_domain::table::{Comments, TableRef};

use super::Commit;
use crate::sql;
use crate::structure::told::Told;

/// What a table is to be.
pub(super) struct Plan<'a> {
    /// The columns, lengths ignored.
    pub(super) columns: &'a [Column],
    pub(super) layout: &'a Layout,
    pub(super) comments: &'a Comments,
    /// A statement that gives its rows, columns in order.
    pub(super) rows: Option<String>,
}

impl Commit<'_> {
    /// Builds a table, in the place of `old` if there is one. Answers how many rows it has.
    ///
    /// The order matters: a table under the final name would hide the old one and its past from the statement that gives
    /// the rows, and comments on a table that was renamed in the same transaction are lost.
    pub(super) fn build(
        &self,
        place: &TableRef,
        old: Option<&Told>,
        name: &str,
        plan: &Plan<'_>,
    ) -> Result<u64, WriteError> {
        self.wrote_elsewhere.set(true);
        let target = format!("{}.{}.{}", sql::catalog(self.lake), sql::ident(place.bucket.as_str()), sql::ident(name));
        self.execute(&format!("CREATE TABLE {target} ({})", definitions(plan.columns)))?;
        self.lay_out(&target, plan.layout)?;
        if let Some(text) = &plan.comments.table {
            self.execute(&self.comment_on_table(&target, Some(text)))?;
        }
        for (column, text) in &plan.comments.columns {
            self.execute(&self.comment_on_column(&target, column, Some(text)))?;
        }
        let rows = match &plan.rows {
            None => 0,
            Some(rows) => {
                let names = sql::columns(plan.columns.iter().map(|column| &column.name));
                self.count_of(&format!("INSERT INTO {target} ({names}) {rows}"))?
            }
        };
        if let Some(old) = old {
            self.execute(&format!("DROP TABLE {}", sql::table(self.lake, &old.name)))?;
        }
        self.execute(&format!("ALTER TABLE {target} RENAME TO {}", sql::ident(place.table.as_str())))?;
        Ok(rows)
    }

    pub(super) fn lay_out(&self, target: &str, layout: &Layout) -> Result<(), WriteError> {
        if !layout.partition_by.is_empty() {
            self.execute(&format!("ALTER TABLE {target} SET PARTITIONED BY ({})", partitions(&layout.partition_by)))?;
        }
        if !layout.sort_by.is_empty() {
            self.execute(&format!("ALTER TABLE {target} SET SORTED BY ({})", sort_keys(&layout.sort_by)))?;
        }
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "reads like the other statements")]
    pub(super) fn comment_on_table(&self, target: &str, text: Option<&str>) -> String {
        format!("COMMENT ON TABLE {target} IS {}", text_or_null(text))
    }

    #[expect(clippy::unused_self, reason = "reads like the other statements")]
    pub(super) fn comment_on_column(&self, target: &str, column: &ColumnName, text: Option<&str>) -> String {
        format!("COMMENT ON COLUMN {target}.{} IS {}", sql::ident(column.as_str()), text_or_null(text))
    }
}

fn text_or_null(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), sql::text)
}

/// The columns in a `CREATE TABLE`.
pub(super) fn definitions(columns: &[Column]) -> String {
    columns.iter().map(definition).collect::<Vec<_>>().join(", ")
}

fn definition(column: &Column) -> String {
    let mut text = added(column);
    if !column.nullable {
        text.push_str(" NOT NULL");
    }
    text
}

/// A column in an `ADD COLUMN`, which takes no `NOT NULL`.
pub(super) fn added(column: &Column) -> String {
    let mut text = format!("{} {}", sql::ident(column.name.as_str()), column.data_type.without_lengths());
    if let Some(default) = &column.default {
        text.push_str(" DEFAULT ");
        text.push_str(&sql::text(default.as_str()));
    }
    text
}

fn partitions(parts: &[Partition]) -> String {
    let part = |part: &Partition| {
        let column = sql::ident(part.column.as_str());
        match part.transform {
            Transform::Identity => column,
            Transform::Year => format!("year({column})"),
            Transform::Month => format!("month({column})"),
            Transform::Day => format!("day({column})"),
            Transform::Hour => format!("hour({column})"),
            Transform::Bucket(count) => format!("bucket({count}, {column})"),
        }
    };
    parts.iter().map(part).collect::<Vec<_>>().join(", ")
}

pub(super) fn sort_keys(keys: &[SortKey]) -> String {
    let key = |key: &SortKey| {
        let direction = if key.descending { "DESC" } else { "ASC" };
        let nulls = if key.nulls_first { "FIRST" } else { "LAST" };
        format!("{} {direction} NULLS {nulls}", sql::ident(key.column.as_str()))
    };
    keys.iter().map(key).collect::<Vec<_>>().join(", ")
}
