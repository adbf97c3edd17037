//! How files are named to the engine, and read by it.

use duckdb::Connection;
use gadwall_domain::ports::lake::EngineFile;
use gadwall_domain::transfer::{CsvOptions, FileFormat};

use crate::sql;

pub(super) fn list(files: &[EngineFile]) -> String {
    let files: Vec<String> = files.iter().map(|file| sql::text(&sql::file(&file.location))).collect();
    format!("[{}]", files.join(", "))
}

fn letter(given: Option<char>) -> String {
    sql::text(&given.map(String::from).unwrap_or_default())
}

/// All the files as text, in columns named as they name them.
pub(super) fn csv(files: &[EngineFile], options: &CsvOptions) -> String {
    format!(
        "read_csv({}, all_varchar=true, header={}, delim={}, quote={}, escape={}, nullstr={}, allow_quoted_nulls=false, \
         skip=0, comment='', compression='none', union_by_name={}, hive_partitioning=false, ignore_errors=false, \
         null_padding=false, strict_mode=true)",
        list(files),
        options.header(),
        letter(Some(options.delimiter())),
        letter(options.quote()),
        letter(options.escape()),
        sql::text(options.null()),
        options.header() && files.len() > 1,
    )
}

/// All the files' lines, each as a document.
pub(super) fn documents(files: &[EngineFile]) -> String {
    format!(
        "read_json_objects({}, format='newline_delimited', compression='uncompressed', hive_partitioning=false)",
        list(files)
    )
}

pub(super) fn parquet(files: &[EngineFile]) -> String {
    format!("read_parquet({}, union_by_name={}, hive_partitioning=false)", list(files), files.len() > 1)
}

/// The scan that tells the columns' names and types.
pub(super) fn typed(files: &[EngineFile], format: &FileFormat) -> String {
    match format {
        FileFormat::Parquet(_) => parquet(files),
        FileFormat::Csv(options) => csv(files, options),
        FileFormat::Ndjson => format!(
            "read_json({}, format='newline_delimited', compression='uncompressed', hive_partitioning=false, union_by_name=true, \
             sample_size=-1, map_inference_threshold=-1)",
            list(files)
        ),
    }
}

/// The names and types of a relation's columns.
pub(super) fn describe(connection: &Connection, relation: &str) -> Result<Vec<(String, String)>, duckdb::Error> {
    let mut statement = connection.prepare(&format!("DESCRIBE {relation}"))?;
    let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    columns.collect()
}
