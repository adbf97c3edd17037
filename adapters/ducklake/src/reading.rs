//! The statements that read a table: its rows, what happened to them, what its columns hold.

use std::fmt::Write as _;

use duckdb::Connection;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::layout::SortKey;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::query::QueryError;
use gadwall_domain::schema::Column;
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;
use gadwall_domain::types::DataType;

use crate::query::lake_failed;
use crate::settled::Version;
use crate::{sql, structure, values};

/// Columns that are profiled by one statement.
const PROFILED_AT_ONCE: usize = 50;
/// Frequent values that a profile names.
const TOP: usize = 10;

/// Writes statements for one lake, within a transaction.
pub(crate) struct Reading<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) lake: LakeId,
    /// What the transaction reads tables at.
    pub(crate) version: Version<'a>,
}

impl Reading<'_> {
    /// A part of a table.
    pub(crate) fn rows(&self, table: &TableRef, selection: &Selection, at: ReadAt) -> Result<String, QueryError> {
        let columns = self.columns(table, at)?;
        let read: Vec<&Column> = match &selection.columns {
            None => columns.iter().collect(),
            Some(wanted) => wanted.iter().map(|name| find(name, &columns)).collect::<Result<_, _>>()?,
        };
        let list: Vec<String> = read.into_iter().map(handed_over).collect();
        let mut statement = format!("SELECT {} FROM {}", list.join(", "), self.source(table, at));
        if let Some(condition) = &selection.filter {
            let condition = values::condition(self.connection, Some(condition), &columns).map_err(unfit)?;
            let _ = write!(statement, " WHERE {condition}");
        }
        if !selection.order_by.is_empty() {
            let mut keys = selection.order_by.iter().map(|key| order(key, &columns)).collect::<Result<Vec<_>, _>>()?;
            if selection.limit.is_some() || selection.offset > 0 {
                // Rows that are equal in it keep their places from page to page.
                keys.push("rowid".to_owned());
            }
            let _ = write!(statement, " ORDER BY {}", keys.join(", "));
        }
        if let Some(limit) = selection.limit {
            let _ = write!(statement, " LIMIT {limit}");
        }
        if selection.offset > 0 {
            let _ = write!(statement, " OFFSET {}", selection.offset);
        }
        Ok(statement)
    }

    /// What happened to a table's rows in the snapshots `from..=to`.
    pub(crate) fn changes(
        &self,
        table: &TableRef,
        from: SnapshotId,
        to: SnapshotId,
        limit: Option<u64>,
    ) -> Result<String, QueryError> {
        if from > to {
            return Err(QueryError::Sql(format!("the changes from snapshot {from} end before it, at {to}")));
        }
        // Changes of snapshots that are gone can't be told, and those after them would seem to be all.
        let gone = structure::first_gone(self.connection, self.lake, from, to).map_err(lake_failed)?;
        if let Some(gone) = gone {
            return Err(QueryError::NoSnapshot(gone));
        }
        let columns = self.columns(table, ReadAt::Snapshot(to))?;
        let list: Vec<String> = columns.iter().map(handed_over).collect();
        let limit = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        let rewrites = structure::on(
            self.lake,
            &format!(
                "SELECT x.snapshot_id FROM {{md}}.ducklake_snapshot_changes x
              WHERE x.snapshot_id BETWEEN {from} AND {to} AND contains(x.changes_made, 'rewrite_delete:')"
            ),
        );
        Ok(format!(
            "SELECT snapshot_id, rowid, change_type, {} FROM ducklake_table_changes({}, {}, {}, {from}, {to})
              WHERE snapshot_id NOT IN ({rewrites}) ORDER BY snapshot_id, rowid, change_type DESC{limit}",
            list.join(", "),
            sql::text(&sql::catalog(self.lake)),
            sql::text(table.bucket.as_str()),
            sql::text(table.table.as_str()),
        ))
    }

    /// What a table's columns hold: rows of the table's size and a JSON list of columns each.
    pub(crate) fn profile(&self, table: &TableRef, at: ReadAt) -> Result<String, QueryError> {
        let columns = self.columns(table, at)?;
        let source = self.source(table, at);
        let part = |columns: &[Column]| {
            let list: Vec<String> = columns.iter().map(|column| profiled(column, &source)).collect();
            format!(
                "SELECT count(*) AS total, CAST(to_json([{}]) AS VARCHAR) AS profile FROM {source}",
                list.join(", ")
            )
        };
        let parts: Vec<String> = columns.chunks(PROFILED_AT_ONCE).map(part).collect();
        Ok(parts.join(" UNION ALL "))
    }

    fn columns(&self, table: &TableRef, at: ReadAt) -> Result<Vec<Column>, QueryError> {
        let version = match at {
            ReadAt::Head => self.version,
            ReadAt::Snapshot(snapshot) => self.version.other(snapshot),
        };
        if let Some(kept) = version.table(table) {
            return Ok(kept.columns);
        }
        let at = ReadAt::Snapshot(version.of);
        let found = structure::columns(self.connection, self.lake, table, at).map_err(lake_failed)?;
        found.ok_or_else(|| QueryError::UnknownTable { name: table.to_string(), candidates: Vec::new() })
    }

    fn source(&self, table: &TableRef, at: ReadAt) -> String {
        let name = sql::table(self.lake, table);
        match at {
            ReadAt::Head => name,
            ReadAt::Snapshot(snapshot) => format!("{name} AT (VERSION => {snapshot})"),
        }
    }
}

fn unfit(error: WriteError) -> QueryError {
    match error {
        WriteError::BadFilter(reason) => QueryError::Sql(reason),
        WriteError::Lake(error) => lake_failed(error),
        other => QueryError::Engine(other.to_string()),
    }
}

fn find<'a>(name: &ColumnName, columns: &'a [Column]) -> Result<&'a Column, QueryError> {
    columns.iter().find(|column| column.name == *name).ok_or_else(|| {
        let known: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        QueryError::Sql(format!("the table has no column {name}; its columns are {}", known.join(", ")))
    })
}

/// Variants can't be handed over as they are.
fn handed_over(column: &Column) -> String {
    let name = sql::ident(column.name.as_str());
    if column.data_type.spelling().contains("VARIANT") { format!("CAST({name} AS JSON) AS {name}") } else { name }
}

fn order(key: &SortKey, columns: &[Column]) -> Result<String, QueryError> {
    let column = find(&key.column, columns)?;
    let direction = if key.descending { "DESC" } else { "ASC" };
    let nulls = if key.nulls_first { "FIRST" } else { "LAST" };
    Ok(format!("{} {direction} NULLS {nulls}", sql::ident(column.name.as_str())))
}

/// How far values of a type can be compared and computed with.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// They can only be there or not.
    Opaque,
    /// They are equal or not, smaller or larger.
    Ordered,
    /// Points in time.
    Temporal,
    /// Numbers.
    Numeric,
}

fn worth(of: &DataType) -> Worth {
    use DataType::{
        BigInt, Blob, Date, Decimal, Double, Float, Geometry, Integer, Interval, Json, List, Map, SmallInt, Struct,
        Timestamp, TimestampMs, TimestampNs, TimestampS, TimestampTz, TinyInt, UBigInt, UInteger, USmallInt, UTinyInt,
        Variant,
    };
    match of {
        TinyInt
        | SmallInt
        | Integer
        | BigInt
        | UTinyInt
        | USmallInt
        | UInteger
        | UBigInt
        | Float
        | Double
        | Decimal { .. } => Worth::Numeric,
        Date | Timestamp | TimestampS | TimestampMs | TimestampNs | TimestampTz => Worth::Temporal,
        Json | Variant | Geometry | Blob | Interval | List(_) | Struct(_) | Map(..) => Worth::Opaque,
        _ => Worth::Ordered,
    }
}

/// One column's profile, as a struct of aggregates.
fn profiled(column: &Column, source: &str) -> String {
    let name = sql::ident(column.name.as_str());
    let worth = worth(&column.data_type);
    // Exact where JSON's numbers may not be.
    let exact = |value: String| match column.data_type {
        DataType::Decimal { .. } | DataType::UBigInt => format!("to_json(CAST({value} AS VARCHAR))"),
        _ if worth == Worth::Numeric => format!("to_json({value})"),
        DataType::Boolean => format!("to_json({value})"),
        _ => format!("to_json(CAST({value} AS VARCHAR))"),
    };
    let when = |holds: bool, value: String| if holds { value } else { "NULL::JSON".to_owned() };
    let ordered = worth >= Worth::Ordered;
    let quantiles = match column.data_type {
        DataType::TimestampNs => "NULL::JSON".to_owned(),
        _ if worth >= Worth::Temporal => {
            let at = |share: &str| exact(format!("approx_quantile({name}, {share})"));
            format!("to_json([{}, {}, {}])", at("0.25"), at("0.5"), at("0.75"))
        }
        _ => "NULL::JSON".to_owned(),
    };
    let value = exact("v".to_owned());
    let top = format!(
        "(SELECT to_json(list(json_array({value}, n) ORDER BY n DESC, v))
            FROM (SELECT {name} AS v, count(*) AS n FROM {source}
                   WHERE {name} IN (SELECT unnest(approx_top_k({name}, {TOP})) FROM {source})
                   GROUP BY {name} ORDER BY n DESC, v LIMIT {TOP}))"
    );
    let numeric = worth == Worth::Numeric;
    // A mean of values that aren't finite would be none.
    let double = format!("CAST({name} AS DOUBLE)");
    format!(
        "{{'count': count({name}), 'distinct': {}, 'min': {}, 'max': {}, 'mean': {}, 'std_dev': {}, 'quantiles': {}, 'top': {}}}",
        when(ordered, format!("to_json(approx_count_distinct({name}))")),
        when(ordered, exact(format!("min({name})"))),
        when(ordered, exact(format!("max({name})"))),
        when(numeric, format!("to_json(avg({double}) FILTER (WHERE isfinite({double})))")),
        when(numeric, format!("to_json(stddev_samp({double}) FILTER (WHERE isfinite({double})))")),
        quantiles,
        when(ordered, top),
    )
}
