//! Copies clients' files into one in the staging folder, with the table's columns.

use std::path::Path;

use duckdb::Connection;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::EngineFile;
use gadwall_domain::ports::transfer::TransferError;
use gadwall_domain::rows::RowsError;
use gadwall_domain::schema::Column;
use gadwall_domain::transfer::{CsvOptions, FileFormat};
use gadwall_domain::types::DataType;

use super::error::FileErrors;
use super::scan;
use crate::sql;

/// What is selected from which relation.
struct Select {
    list: Vec<String>,
    from: String,
}

/// Copies the files' rows; answers how many.
pub(super) fn read(
    connection: &Connection,
    files: &[EngineFile],
    format: &FileFormat,
    columns: &[Column],
    target: &Path,
    errors: &FileErrors,
) -> Result<u64, TransferError> {
    let reader = Reader { connection, files, columns, errors };
    let Select { list, from } = match format {
        FileFormat::Parquet(_) => reader.parquet()?,
        FileFormat::Csv(options) => reader.csv(options)?,
        FileFormat::Ndjson => reader.ndjson()?,
    };
    if list.is_empty() {
        return Err(errors.malformed("the files have no columns"));
    }
    let copy = format!(
        "COPY (SELECT {} FROM {from}) TO {} (FORMAT parquet, COMPRESSION snappy, USE_TMP_FILE false)",
        list.join(", "),
        sql::text(&target.to_string_lossy()),
    );
    let rows: i64 = connection.query_row(&copy, [], |row| row.get(0)).map_err(|error| errors.tell(&error))?;
    Ok(u64::try_from(rows).unwrap_or_default())
}

struct Reader<'a> {
    connection: &'a Connection,
    files: &'a [EngineFile],
    columns: &'a [Column],
    errors: &'a FileErrors,
}

impl Reader<'_> {
    fn parquet(&self) -> Result<Select, TransferError> {
        let from = scan::parquet(self.files);
        let names = self.names(&from)?;
        let matched = self.matched(&names)?;
        let list = matched.iter().map(|(name, column)| aliased(&sql::ident(name), column)).collect();
        Ok(Select { list, from })
    }

    fn csv(&self, options: &CsvOptions) -> Result<Select, TransferError> {
        let from = scan::csv(self.files, options);
        let names = self.names(&from)?;
        let matched = if options.header() { self.matched(&names)? } else { self.by_position(&names)? };
        let list = matched.iter().map(|(name, column)| aliased(&as_text(&sql::ident(name), column), column)).collect();
        Ok(Select { list, from })
    }

    /// Every name in every document counts: one that the table doesn't know must not be lost in silence.
    fn ndjson(&self) -> Result<Select, TransferError> {
        let documents = scan::documents(self.files);
        let tell = |error: duckdb::Error| self.errors.tell(&error);
        let others = format!("SELECT count(*) FROM {documents} WHERE json_type(json) IS DISTINCT FROM 'OBJECT'");
        let others: i64 = self.connection.query_row(&others, [], |row| row.get(0)).map_err(tell)?;
        if others > 0 {
            return Err(self.errors.malformed(format!("{others} of the lines are not JSON objects")));
        }
        let names = format!("SELECT DISTINCT unnest(json_keys(json)) AS name FROM {documents} ORDER BY name");
        let mut statement = self.connection.prepare(&names).map_err(tell)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(tell)?;
        let mut names = Vec::new();
        for name in rows {
            names.push(name.map_err(tell)?);
            // The table's columns are at most so many; a file with more names has one that is not among them.
            if names.len() > self.columns.len() {
                break;
            }
        }
        let matched = self.matched(&names)?;
        let typed: Vec<String> = matched.iter().map(|(name, _)| format!("{}: 'JSON'", sql::text(name))).collect();
        let from = format!(
            "read_json({}, format='newline_delimited', compression='uncompressed', hive_partitioning=false, columns={{{}}})",
            scan::list(self.files),
            typed.join(", ")
        );
        let list = matched.iter().map(|(name, column)| aliased(&json_as_text(&sql::ident(name), column), column));
        Ok(Select { list: list.collect(), from })
    }

    fn names(&self, from: &str) -> Result<Vec<String>, TransferError> {
        let described = scan::describe(self.connection, &format!("SELECT * FROM {from}"));
        Ok(described.map_err(|error| self.errors.tell(&error))?.into_iter().map(|(name, _)| name).collect())
    }

    fn matched<'n>(&self, names: &'n [String]) -> Result<Vec<(&'n str, &Column)>, TransferError> {
        let mut matched: Vec<(&str, &Column)> = Vec::new();
        for name in names {
            let column = ColumnName::parse(name).ok().and_then(|name| self.columns.iter().find(|c| c.name == name));
            let column = column.ok_or_else(|| self.unknown(name))?;
            if matched.iter().any(|(_, known)| known.name == column.name) {
                return Err(self.errors.malformed(format!("column {} appears twice", column.name)));
            }
            matched.push((name, column));
        }
        Ok(matched)
    }

    fn by_position<'n>(&self, names: &'n [String]) -> Result<Vec<(&'n str, &Column)>, TransferError> {
        if names.len() != self.columns.len() {
            let (have, wanted) = (names.len(), self.columns.len());
            let reason = format!("without a header each line needs the table's {wanted} columns, but has {have}");
            return Err(self.errors.malformed(reason));
        }
        Ok(names.iter().map(String::as_str).zip(self.columns).collect())
    }

    fn unknown(&self, name: &str) -> TransferError {
        let known: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        RowsError::UnknownColumn { column: name.chars().take(60).collect(), known: known.join(", ") }.into()
    }
}

fn aliased(expression: &str, column: &Column) -> String {
    format!("{expression} AS {}", sql::ident(column.name.as_str()))
}

/// Text stays text, for the load to look at; only bytes are written in another alphabet.
fn as_text(text: &str, column: &Column) -> String {
    match column.data_type {
        DataType::Blob => format!("from_base64({text})"),
        _ => text.to_owned(),
    }
}

fn json_as_text(value: &str, column: &Column) -> String {
    let as_document = matches!(column.data_type, DataType::Json | DataType::Variant) || column.data_type.is_nested();
    if as_document {
        return format!("CASE WHEN json_type({value}) = 'NULL' THEN NULL ELSE CAST({value} AS VARCHAR) END");
    }
    let text = format!("({value} ->> '$')");
    if !matches!(column.data_type, DataType::Decimal { precision: 16.., .. } | DataType::Varchar(_) | DataType::Char(_))
    {
        return as_text(&text, column);
    }
    // The engine reads a fraction as a double. What has so few digits came through unchanged.
    let digits = format!("ltrim(regexp_replace(regexp_extract({text}, '^[^eE]*'), '[^0-9]', '', 'g'), '0')");
    let lost = format!("json_type({value}) = 'DOUBLE' AND length({digits}) > 15");
    let told = sql::text(&format!("a number in column {} has more than 15 digits; write it as a string", column.name));
    format!("CASE WHEN {lost} THEN error({told}) ELSE {text} END")
}
