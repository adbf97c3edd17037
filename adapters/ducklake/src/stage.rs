//! Rows on their way in: loaded beside the lake, checked against the table, and only then written.
//!
//! Nothing here holds a lock or a place in the writer's queue.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use duckdb::Connection;
use futures_util::StreamExt as _;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::rows::{
    MAX_VIOLATIONS, RowBatch, RowBatchStream, RowSource, RowsError, StagedFile, Violation, Violations,
};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::types::DataType;
use tokio::runtime::Handle;

use crate::engine::Engine;
use crate::error::{Failure, classify, lake_error, message};
use crate::sql;

/// Numbers the rows of a request, from 1. No table's column can have this name.
const ROW: &str = "__gadwall_row";

/// Rows that fit their table, ready to be inserted. Dropping it removes what was staged.
pub(crate) struct Staged {
    engine: Arc<Engine>,
    relation: Relation,
    /// Columns that the rows have, with how to read each as the table's type.
    pub(crate) columns: Vec<(ColumnName, String)>,
    /// How many rows.
    pub(crate) rows: u64,
}

enum Relation {
    /// A table in the engine's memory.
    Memory(String),
    /// A Parquet file, kept as long as this lives.
    File(Arc<StagedFile>),
}

impl Relation {
    fn sql(&self) -> String {
        match self {
            Self::Memory(name) => format!("memory.main.{}", sql::ident(name)),
            Self::File(file) => {
                let path = sql::text(&file.path().to_string_lossy());
                format!("(SELECT *, file_row_number + 1 AS {ROW} FROM read_parquet({path}, file_row_number = true))")
            }
        }
    }
}

impl Staged {
    /// The rows as something to select from.
    pub(crate) fn relation(&self) -> String {
        self.relation.sql()
    }

    /// The select list that reads the rows as the table's types.
    pub(crate) fn values(&self) -> String {
        let mut list = String::new();
        for (name, expression) in &self.columns {
            let comma = if list.is_empty() { "" } else { ", " };
            let _ = write!(list, "{comma}{expression} AS {}", sql::ident(name.as_str()));
        }
        list
    }

    /// How to read a column, if the rows have it.
    fn expression(&self, name: &ColumnName) -> Option<&str> {
        self.columns.iter().find(|(column, _)| column == name).map(|(_, expression)| expression.as_str())
    }

    /// `SELECT` of the key's values of all rows.
    pub(crate) fn key_values(&self, key: &[ColumnName]) -> String {
        let mut list = String::new();
        for name in key {
            let comma = if list.is_empty() { "" } else { ", " };
            let _ = write!(list, "{comma}{} AS {}", self.expression(name).unwrap_or("NULL"), sql::ident(name.as_str()));
        }
        format!("SELECT {list} FROM {}", self.relation())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let Relation::Memory(name) = &self.relation else { return };
        let (engine, name) = (Arc::clone(&self.engine), name.clone());
        let remove = move || {
            let dropped = engine
                .connect()
                .and_then(|c| c.execute_batch(&format!("DROP TABLE IF EXISTS memory.main.{}", sql::ident(&name))));
            if let Err(error) = dropped {
                tracing::warn!(error = %message(&error), "staged rows were not removed");
            }
        };
        // Dropped from the async side as well as from blocking threads; outside a runtime the engine is going away.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(remove);
        }
    }
}

/// Loads rows and checks them against the table.
pub(crate) async fn stage(engine: &Arc<Engine>, schema: &TableSchema, source: RowSource) -> Result<Staged, WriteError> {
    match source {
        RowSource::Batches(batches) => stage_batches(engine, schema, batches).await,
        RowSource::Parquet(file) => {
            let (staging, schema) = (Arc::clone(engine), schema.clone());
            step(engine, move |connection| stage_parquet(&staging, connection, &schema, file)).await
        }
    }
}

/// Does a part of the staging in one of the places there are for it. Nobody holds one while they wait for their client.
async fn step<T, F>(engine: &Arc<Engine>, work: F) -> Result<T, WriteError>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, WriteError> + Send + 'static,
{
    engine.run(&engine.staging, move |connection| Ok(work(connection))).await?
}

async fn stage_batches(
    engine: &Arc<Engine>,
    schema: &TableSchema,
    mut batches: RowBatchStream,
) -> Result<Staged, WriteError> {
    let name = engine.next_stage();
    let relation = Relation::Memory(name.clone());
    let mut staged = Staged { engine: Arc::clone(engine), relation, columns: Vec::new(), rows: 0 };
    let mut found = Violations::default();
    let mut sources: Option<Vec<Source>> = None;
    while let Some(batch) = batches.next().await {
        let RowBatch { rows, violations } = batch?;
        found.merge(violations);
        let numbered = numbered(&rows, staged.rows)?;
        staged.rows += numbered.num_rows() as u64;
        let (name, schema, known) = (name.clone(), schema.clone(), sources.take());
        let load = move |connection: &Connection| {
            let sources = match known {
                Some(sources) => sources,
                None => create_stage(connection, &name, &schema, &rows)?,
            };
            append(connection, &name, numbered)?;
            Ok(sources)
        };
        sources = Some(step(engine, load).await?);
    }
    let (schema, sources) = (schema.clone(), sources.unwrap_or_default());
    step(engine, move |connection| check(connection, &schema, staged, &sources, found)).await
}

/// Makes the table in memory that holds the batches as they are.
fn create_stage(
    connection: &Connection,
    name: &str,
    schema: &TableSchema,
    rows: &RecordBatch,
) -> Result<Vec<Source>, WriteError> {
    let mut definition = format!("{ROW} BIGINT");
    let mut sources = Vec::new();
    for field in rows.schema().fields() {
        let column = table_column(schema, field.name())?;
        let stage_type = stage_type(field)?;
        let _ = write!(definition, ", {} {stage_type}", sql::ident(field.name()));
        sources.push(Source { column: column.clone(), name: field.name().clone(), kind: SourceKind::of(&stage_type) });
    }
    connection
        .execute_batch(&format!("CREATE TABLE memory.main.{} ({definition})", sql::ident(name)))
        .map_err(|error| lake_error(&error))?;
    Ok(sources)
}

fn append(connection: &Connection, name: &str, rows: RecordBatch) -> Result<(), WriteError> {
    let load = || {
        let mut appender = connection.appender_to_catalog_and_db(name, "memory", "main")?;
        appender.append_record_batch(rows)?;
        appender.flush()
    };
    load().map_err(|error| engine_refused("the rows", &error))
}

/// Puts the row's number before its values.
fn numbered(rows: &RecordBatch, before: u64) -> Result<RecordBatch, WriteError> {
    let first = i64::try_from(before).unwrap_or(i64::MAX - 1) + 1;
    let numbers: Int64Array = (first..).take(rows.num_rows()).collect();
    let mut fields = vec![Arc::new(Field::new(ROW, ArrowType::Int64, false))];
    fields.extend(rows.schema().fields().iter().cloned());
    let mut columns: Vec<ArrayRef> = vec![Arc::new(numbers)];
    columns.extend(rows.columns().iter().cloned());
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| RowsError::Internal(Box::new(error)).into())
}

fn table_column<'a>(schema: &'a TableSchema, name: &str) -> Result<&'a Column, WriteError> {
    let column = ColumnName::parse(name).ok().and_then(|name| schema.column(&name));
    column.ok_or_else(|| {
        let known: Vec<&str> = schema.columns().iter().map(|column| column.name.as_str()).collect();
        RowsError::UnknownColumn { column: name.chars().take(60).collect(), known: known.join(", ") }.into()
    })
}

fn stage_parquet(
    engine: &Arc<Engine>,
    connection: &Connection,
    schema: &TableSchema,
    file: Arc<StagedFile>,
) -> Result<Staged, WriteError> {
    let path = sql::text(&file.path().to_string_lossy());
    let refused = |error: &duckdb::Error| match classify(error) {
        Failure::OutOfMemory | Failure::StorageFull | Failure::Interrupted => engine_refused("the file", error),
        // The file is the client's; whatever DuckDB says of it, it can't be read.
        _ => malformed_parquet(engine, error).into(),
    };
    let describe = || {
        let mut statement = connection.prepare(&format!("DESCRIBE SELECT * FROM read_parquet({path})"))?;
        let columns = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        columns.collect::<Result<Vec<_>, _>>()
    };
    let mut sources = Vec::new();
    for (name, type_text) in describe().map_err(|error| refused(&error))? {
        let column = table_column(schema, &name)?.clone();
        if sources.iter().any(|source: &Source| source.column.name == column.name) {
            return Err(
                RowsError::Malformed { format: "Parquet", reason: format!("column {name:?} appears twice") }.into()
            );
        }
        sources.push(Source { column, name, kind: SourceKind::of_file(&type_text) });
    }
    let rows: i64 = connection
        .query_row(&format!("SELECT count(*) FROM read_parquet({path})"), [], |row| row.get(0))
        .map_err(|error| refused(&error))?;
    let rows = u64::try_from(rows).unwrap_or_default();
    let staged = Staged { engine: Arc::clone(engine), relation: Relation::File(file), columns: Vec::new(), rows };
    check(connection, schema, staged, &sources, Violations::default())
}

fn malformed_parquet(engine: &Engine, error: &duckdb::Error) -> RowsError {
    RowsError::Malformed { format: "Parquet", reason: engine.scrub.apply(&message(error), "\0") }
}

/// The engine refused what the decoder let through.
fn engine_refused(what: &str, error: &duckdb::Error) -> WriteError {
    if classify(error) == Failure::Statement {
        let reason = format!("{what} can't be loaded: {}", message(error));
        return RowsError::Malformed { format: "rows", reason }.into();
    }
    lake_error(error).into()
}

/// A column of the rows as they came.
struct Source {
    column: Column,
    name: String,
    kind: SourceKind,
}

/// What a column of the rows holds, as far as reading it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SourceKind {
    /// Text that says the value, looked at by a decoder.
    Text,
    /// Text that says the value, as a client's file has it.
    RawText,
    /// Numbers that may have a fraction.
    Fraction,
    /// Points in time.
    Time,
    /// Anything else, to be cast.
    Other,
}

impl SourceKind {
    fn of_file(type_text: &str) -> Self {
        // JSON is text, too: read as anything else, its numbers would go through a double.
        if matches!(type_text, "VARCHAR" | "JSON") { Self::RawText } else { Self::of(type_text) }
    }

    fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::RawText)
    }

    fn of(type_text: &str) -> Self {
        match type_text {
            "VARCHAR" => Self::Text,
            "FLOAT" | "DOUBLE" => Self::Fraction,
            text if text.starts_with("DECIMAL") => Self::Fraction,
            text if text.starts_with("TIMESTAMP") => Self::Time,
            _ => Self::Other,
        }
    }
}

impl Source {
    fn quoted(&self) -> String {
        sql::ident(&self.name)
    }

    /// Reads the value as the table's type; fails on a value that isn't one.
    fn expression(&self) -> String {
        let target = self.column.data_type.without_lengths();
        let source = self.quoted();
        match (&target, self.kind) {
            (DataType::Json, kind) if kind.is_text() => format!("CAST({source} AS JSON)"),
            (DataType::Json, _) => format!("CAST(to_json({source}) AS JSON)"),
            (nested, kind) if kind.is_text() && (nested.is_nested() || *nested == DataType::Variant) => {
                format!("CAST(CAST({source} AS JSON) AS {nested})")
            }
            _ => format!("CAST({source} AS {target})"),
        }
    }

    /// Whether a value is lost or changed on the way. `TRY` makes a failing cast NULL, row by row.
    fn lost(&self) -> String {
        let (source, read) = (self.quoted(), format!("TRY({})", self.expression()));
        let mut lost = format!("({source} IS NOT NULL AND {read} IS NULL)");
        match (&self.column.data_type, self.kind) {
            (target, SourceKind::Fraction) if is_integer(target) => {
                let _ = write!(lost, " OR ({read} IS NOT NULL AND {read} <> {source})");
            }
            (DataType::Date, SourceKind::Time) => {
                let _ = write!(
                    lost,
                    " OR ({read} IS NOT NULL AND CAST({read} AS TIMESTAMP) <> CAST({source} AS TIMESTAMP))"
                );
            }
            (target, SourceKind::RawText) => {
                if let Some(form) = exact_form(target) {
                    let _ = write!(lost, " OR NOT regexp_full_match(trim({source}), {})", sql::text(form));
                }
            }
            // Parquet keeps intervals in milliseconds, and none with a negative part.
            (DataType::Interval, _) => {
                let negative = format!("contains(CAST({read} AS VARCHAR), '-')");
                let _ = write!(lost, " OR date_part('microsecond', {read}) % 1000 <> 0 OR {negative}");
            }
            _ => {}
        }
        lost
    }

    fn too_long(&self) -> Option<String> {
        let limit = self.column.data_type.max_chars()?;
        Some(format!("length(TRY({})) > {limit}", self.expression()))
    }
}

/// What text must look like where a cast from text would round it, cut it or drop an offset in silence.
fn exact_form(target: &DataType) -> Option<&'static str> {
    match target {
        target if is_integer(target) => Some(r"[+-]?[0-9]+(\.0*)?([eE]\+?[0-9]+)?"),
        DataType::Date => Some(r"[^ T:]+( \(BC\))?"),
        DataType::Timestamp | DataType::TimestampS | DataType::TimestampMs | DataType::TimestampNs => {
            Some(r"-?[^ T]+([ T][0-9:.]+)?( ?(Z|[+-]00(:?00)?|UTC))?")
        }
        DataType::Float | DataType::Double => Some(r"(?i)[+-]?(inf(inity)?|nan|[0-9.]{1,40}(e[+-]?[0-9]{1,2})?)"),
        _ => None,
    }
}

fn is_integer(target: &DataType) -> bool {
    use DataType::{BigInt, Integer, SmallInt, TinyInt, UBigInt, UInteger, USmallInt, UTinyInt};
    matches!(target, TinyInt | SmallInt | Integer | BigInt | UTinyInt | USmallInt | UInteger | UBigInt)
}

/// A rule that a column's values are held to.
struct Rule<'a> {
    source: &'a Source,
    /// True for a value that breaks it.
    broken: String,
    /// What to say of such a value.
    reason: String,
}

/// Holds the rows to the table's rules. All findings are reported together.
fn check(
    connection: &Connection,
    schema: &TableSchema,
    mut staged: Staged,
    sources: &[Source],
    mut found: Violations,
) -> Result<Staged, WriteError> {
    if staged.rows > 0 {
        // Where the decoder refused a value it may have left NULL, and has said so already.
        let decoder_was_content = found.is_empty();
        check_missing(schema, sources, staged.rows, &mut found);
        let rules: Vec<Rule<'_>> = sources.iter().flat_map(|source| rules_of(source, decoder_was_content)).collect();
        check_rules(connection, &staged.relation(), &rules, &mut found)?;
    }
    if !found.is_empty() {
        return Err(WriteError::Violations(found));
    }
    staged.columns = sources.iter().map(|source| (source.column.name.clone(), source.expression())).collect();
    check_unique(connection, schema, &staged)?;
    Ok(staged)
}

/// A column that may not be NULL, has no default, and isn't among the rows' columns.
fn check_missing(schema: &TableSchema, sources: &[Source], rows: u64, found: &mut Violations) {
    for column in schema.columns() {
        let given = sources.iter().any(|source| source.column.name == column.name);
        if !given && !column.nullable && column.default.is_none() {
            let reason = "is missing, but the column is NOT NULL and has no default".to_owned();
            found.push(Violation { row: 1, column: Some(column.name.to_string()), reason });
            found.add_count(rows - 1);
        }
    }
}

fn rules_of(source: &Source, all: bool) -> Vec<Rule<'_>> {
    let target = source.column.data_type.spelling();
    let mut rules =
        vec![Rule { source, broken: source.lost(), reason: format!("can't be read as {target} without loss") }];
    if let Some(broken) = source.too_long().filter(|_| all) {
        rules.push(Rule { source, broken, reason: format!("is longer than {target} allows") });
    }
    if all && !source.column.nullable {
        let broken = format!("{} IS NULL", source.quoted());
        rules.push(Rule { source, broken, reason: "is NULL, but the column is NOT NULL".to_owned() });
    }
    rules
}

fn check_rules(
    connection: &Connection,
    relation: &str,
    rules: &[Rule<'_>],
    found: &mut Violations,
) -> Result<(), WriteError> {
    // One pass counts for all rules; only broken ones are looked at row by row.
    let mut counts = String::new();
    for rule in rules {
        let comma = if counts.is_empty() { "" } else { ", " };
        let _ = write!(counts, "{comma}count(*) FILTER (WHERE {})", rule.broken);
    }
    let read =
        |row: &duckdb::Row<'_>| (0..rules.len()).map(|index| row.get::<_, i64>(index)).collect::<Result<Vec<_>, _>>();
    let counted = connection
        .query_row(&format!("SELECT {counts} FROM {relation}"), [], read)
        .map_err(|error| engine_refused("the rows", &error))?;
    for (rule, count) in rules.iter().zip(counted) {
        let Ok(count @ 1..) = u64::try_from(count) else { continue };
        let mut described = Violations::default();
        for violation in describe(connection, relation, rule).map_err(|error| engine_refused("the rows", &error))? {
            described.push(violation);
        }
        described.add_count(count - described.count());
        found.merge(described);
    }
    Ok(())
}

fn describe(connection: &Connection, relation: &str, rule: &Rule<'_>) -> Result<Vec<Violation>, duckdb::Error> {
    let statement = format!(
        "SELECT {ROW}, left(CAST({} AS VARCHAR), 60) FROM {relation} WHERE {} ORDER BY {ROW} LIMIT {MAX_VIOLATIONS}",
        rule.source.quoted(),
        rule.broken
    );
    let mut prepared = connection.prepare(&statement)?;
    let found = prepared.query_map([], |row| {
        let row_number: i64 = row.get(0)?;
        let value: Option<String> = row.get(1)?;
        let shown = value.map_or_else(String::new, |value| format!("{value:?} "));
        Ok(Violation {
            row: u64::try_from(row_number).unwrap_or_default(),
            column: Some(rule.source.column.name.to_string()),
            reason: format!("{shown}{}", rule.reason),
        })
    })?;
    found.collect()
}

/// No two rows of a request may have the same key.
fn check_unique(connection: &Connection, schema: &TableSchema, staged: &Staged) -> Result<(), WriteError> {
    let key = schema.key_columns();
    if key.is_empty() || staged.rows == 0 {
        return Ok(());
    }
    let twice =
        format!("SELECT {} FROM ({}) GROUP BY ALL HAVING count(*) > 1", sql::columns(key), staged.key_values(key));
    duplicates(connection, &twice, key)
}

/// Fails with the keys that a statement finds, if it finds any.
pub(crate) fn duplicates(connection: &Connection, statement: &str, key: &[ColumnName]) -> Result<(), WriteError> {
    let count: i64 = connection
        .query_row(&format!("SELECT count(*) FROM ({statement})"), [], |row| row.get(0))
        .map_err(|error| lake_error(&error))?;
    let Ok(count @ 1..) = u64::try_from(count) else { return Ok(()) };
    let mut fields = String::new();
    for name in key {
        let comma = if fields.is_empty() { "" } else { ", " };
        let _ = write!(fields, "{comma}{name} := {name}", name = sql::ident(name.as_str()));
    }
    let listing = format!(
        "SELECT CAST(to_json(struct_pack({fields})) AS VARCHAR) FROM ({statement}) ORDER BY ALL LIMIT {MAX_VIOLATIONS}"
    );
    let read = || {
        let mut prepared = connection.prepare(&listing)?;
        let keys = prepared.query_map([], |row| row.get::<_, String>(0))?;
        keys.collect::<Result<Vec<_>, duckdb::Error>>()
    };
    let texts = read().map_err(|error| lake_error(&error))?;
    let first = texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    Err(WriteError::DuplicateKeys { first, count })
}

/// The engine's type for a column of decoded rows.
fn stage_type(field: &Field) -> Result<String, WriteError> {
    use arrow::datatypes::TimeUnit;
    let nested = |inner: &Field| stage_type(inner);
    Ok(match field.data_type() {
        ArrowType::Boolean => "BOOLEAN".to_owned(),
        ArrowType::Int8 => "TINYINT".to_owned(),
        ArrowType::Int16 => "SMALLINT".to_owned(),
        ArrowType::Int32 => "INTEGER".to_owned(),
        ArrowType::Int64 => "BIGINT".to_owned(),
        ArrowType::UInt8 => "UTINYINT".to_owned(),
        ArrowType::UInt16 => "USMALLINT".to_owned(),
        ArrowType::UInt32 => "UINTEGER".to_owned(),
        ArrowType::UInt64 => "UBIGINT".to_owned(),
        ArrowType::Float32 => "FLOAT".to_owned(),
        ArrowType::Float64 => "DOUBLE".to_owned(),
        ArrowType::Decimal32(precision, scale)
        | ArrowType::Decimal64(precision, scale)
        | ArrowType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => "VARCHAR".to_owned(),
        ArrowType::FixedSizeBinary(16) if field.extension_type_name() == Some("arrow.uuid") => "UUID".to_owned(),
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_) => {
            "BLOB".to_owned()
        }
        ArrowType::Date32 | ArrowType::Date64 => "DATE".to_owned(),
        ArrowType::Time32(_) | ArrowType::Time64(_) => "TIME".to_owned(),
        ArrowType::Timestamp(_, Some(_)) => "TIMESTAMPTZ".to_owned(),
        ArrowType::Timestamp(TimeUnit::Second, None) => "TIMESTAMP_S".to_owned(),
        ArrowType::Timestamp(TimeUnit::Millisecond, None) => "TIMESTAMP_MS".to_owned(),
        ArrowType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP".to_owned(),
        ArrowType::Timestamp(TimeUnit::Nanosecond, None) => "TIMESTAMP_NS".to_owned(),
        ArrowType::Duration(_) | ArrowType::Interval(_) => "INTERVAL".to_owned(),
        ArrowType::List(inner) | ArrowType::LargeList(inner) => format!("{}[]", nested(inner)?),
        ArrowType::FixedSizeList(inner, size) => format!("{}[{size}]", nested(inner)?),
        ArrowType::Struct(fields) => {
            let mut list = String::new();
            for inner in fields {
                let comma = if list.is_empty() { "" } else { ", " };
                let _ = write!(list, "{comma}{} {}", sql::ident(inner.name()), nested(inner)?);
            }
            format!("STRUCT({list})")
        }
        ArrowType::Map(entries, _) => match entries.data_type() {
            ArrowType::Struct(pair) if pair.len() == 2 => format!("MAP({}, {})", nested(&pair[0])?, nested(&pair[1])?),
            _ => return Err(unloadable(field)),
        },
        _ => return Err(unloadable(field)),
    })
}

fn unloadable(field: &Field) -> WriteError {
    let reason = format!("column {:?} is of the Arrow type {}, which can't be loaded", field.name(), field.data_type());
    RowsError::Malformed { format: "Arrow", reason }.into()
}
