//! Copies everything from SQLite to PostgreSQL, in one transaction: all of it is there, or nothing.
//!
//! Which tables and columns there are is asked of SQLite. A migration means the same in both databases, so whatever one adds
//! is copied, too.

use futures_core::Stream;
use gadwall_domain::ports::metadata::StoreError;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _, TypeInfo as _, ValueRef as _};

use crate::postgres::{PostgresMetadata, without_null};
use crate::sqlite::SqliteMetadata;
use crate::{postgres, sqlite};

/// Values of one statement at most; PostgreSQL takes 65,535.
const VALUES: usize = 10_000;

/// Tables that count their rows, by which column, and how far they are.
const LAST: &str = "SELECT s.name, i.name, s.seq FROM sqlite_sequence s
    JOIN pragma_table_info(s.name) i ON i.pk = 1 WHERE s.seq > 0";

/// A table that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
}

/// Whether the copy was used since it was made: it has events or audit entries that the original lacks.
pub async fn has_gone_on(from: &SqliteMetadata, to: &PostgresMetadata) -> Result<bool, StoreError> {
    let mut source = from.readers.acquire().await.map_err(sqlite::store_error)?;
    for row in sqlx::query(LAST).fetch_all(&mut *source).await.map_err(sqlite::store_error)? {
        let read = |number: usize| row.try_get::<String, _>(number).map_err(sqlite::store_error);
        let last: i64 = row.try_get(2).map_err(sqlite::store_error)?;
        let there = format!("SELECT max({}) FROM {}", quoted(&read(1)?), quoted(&read(0)?));
        let there = sqlx::query_scalar::<_, Option<i64>>(AssertSqlSafe(there));
        if there.fetch_one(&to.readers).await.map_err(postgres::store_error)? > Some(last) {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Table {
    name: String,
    columns: Vec<String>,
    refers: bool,
}

/// Copies all tables; what is in them in PostgreSQL goes. Fails if there aren't as many rows afterwards.
pub async fn copy(from: &SqliteMetadata, to: &PostgresMetadata) -> Result<Vec<CopiedTable>, StoreError> {
    let mut source = from.readers.begin().await.map_err(sqlite::store_error)?;
    let mut target = to.writer.begin_with(postgres::WRITE).await.map_err(postgres::store_error)?;
    sqlx::query(postgres::TURN).execute(&mut *target).await.map_err(postgres::store_error)?;
    let tables = tables(&mut source).await.map_err(sqlite::store_error)?;
    for table in tables.iter().rev() {
        run(&mut target, format!("DELETE FROM {}", quoted(&table.name))).await?;
    }
    let mut copied = Vec::new();
    for table in &tables {
        let rows = copy_table(&mut source, &mut target, table).await?;
        let counted = format!("SELECT count(*) FROM {}", quoted(&table.name));
        let counted = sqlx::query_scalar::<_, i64>(AssertSqlSafe(counted));
        let there = counted.fetch_one(&mut *target).await.map_err(postgres::store_error)?;
        if u64::try_from(there).ok() != Some(rows) {
            return Err(StoreError::Fault(format!("{} has {there} rows instead of {rows}", table.name).into()));
        }
        copied.push(CopiedTable { name: table.name.clone(), rows });
    }
    go_on_counting(&mut source, &mut target).await?;
    target.commit().await.map_err(postgres::store_error)?;
    Ok(copied)
}

/// All tables, those that others refer to first.
async fn tables(source: &mut SqliteConnection) -> sqlx::Result<Vec<Table>> {
    const NAMES: &str = "SELECT m.name, EXISTS (SELECT 1 FROM pragma_foreign_key_list(m.name)) AS refers
        FROM sqlite_master m WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         AND m.name NOT LIKE '\\_sqlx\\_%' ESCAPE '\\' ORDER BY refers, m.name";
    let mut tables = Vec::new();
    for row in sqlx::query(NAMES).fetch_all(&mut *source).await? {
        let name: String = row.try_get(0)?;
        let columns = sqlx::query_scalar("SELECT name FROM pragma_table_info($1) ORDER BY cid").bind(&name);
        let columns = columns.fetch_all(&mut *source).await?;
        tables.push(Table { name, columns, refers: row.try_get(1)? });
    }
    debug_assert!(tables.is_sorted_by_key(|table| table.refers));
    Ok(tables)
}

async fn copy_table(
    source: &mut SqliteConnection,
    target: &mut PgConnection,
    table: &Table,
) -> Result<u64, StoreError> {
    let columns = table.columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    let select = sqlx::query(AssertSqlSafe(format!("SELECT {columns} FROM {}", quoted(&table.name))));
    let into = format!("INSERT INTO {} ({columns}) OVERRIDING SYSTEM VALUE ", quoted(&table.name));
    let at_once = (VALUES / table.columns.len().max(1)).max(1);
    let (mut rows, mut count) = (select.fetch(source), 0);
    loop {
        let mut batch = Vec::with_capacity(at_once);
        while batch.len() < at_once
            && let Some(row) = next(&mut rows).await
        {
            batch.push(row.map_err(sqlite::store_error)?);
        }
        if batch.is_empty() {
            return Ok(count);
        }
        count += batch.len() as u64;
        insert(target, &into, &batch).await?;
    }
}

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *stream).poll_next(context)).await
}

async fn insert(target: &mut PgConnection, into: &str, rows: &[SqliteRow]) -> Result<(), StoreError> {
    let mut text = sqlx::QueryBuilder::<sqlx::Postgres>::new(into);
    let mut failed = None;
    text.push_values(rows, |mut values, row| {
        for column in 0..row.columns().len() {
            if let Err(error) = bind(&mut values, row, column) {
                failed = Some(error);
            }
        }
    });
    if let Some(error) = failed {
        return Err(sqlite::store_error(error));
    }
    let done = text.build().persistent(false).execute(target).await;
    done.map(drop).map_err(postgres::store_error)
}

/// Adds a value with the type that it is stored with.
fn bind(
    values: &mut sqlx::query_builder::Separated<'_, sqlx::Postgres, &'static str>,
    row: &SqliteRow,
    column: usize,
) -> sqlx::Result<()> {
    let kind = {
        let value = row.try_get_raw(column)?;
        if value.is_null() { String::new() } else { value.type_info().name().to_owned() }
    };
    match kind.as_str() {
        "" => drop(values.push("NULL")),
        "INTEGER" => drop(values.push_bind(row.try_get::<i64, _>(column)?)),
        "REAL" => drop(values.push_bind(row.try_get::<f64, _>(column)?)),
        "BLOB" => drop(values.push_bind(row.try_get::<Vec<u8>, _>(column)?)),
        _ => drop(values.push_bind(without_null(row.try_get::<String, _>(column)?.into()).into_owned())),
    }
    Ok(())
}

/// Positions that were given are not given again, also those of rows that are gone.
async fn go_on_counting(source: &mut SqliteConnection, target: &mut PgConnection) -> Result<(), StoreError> {
    for row in sqlx::query(LAST).fetch_all(source).await.map_err(sqlite::store_error)? {
        let read = |number: usize| row.try_get::<String, _>(number).map_err(sqlite::store_error);
        let last: i64 = row.try_get(2).map_err(sqlite::store_error)?;
        let set = sqlx::query("SELECT setval(pg_get_serial_sequence($1, $2), $3)").bind(read(0)?).bind(read(1)?);
        set.bind(last).execute(&mut *target).await.map_err(postgres::store_error)?;
    }
    Ok(())
}

async fn run(target: &mut PgConnection, statement: String) -> Result<(), StoreError> {
    sqlx::query(AssertSqlSafe(statement)).execute(target).await.map(drop).map_err(postgres::store_error)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
