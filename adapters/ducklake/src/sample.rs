//! A small shop to try things with: customers, products and orders as Parquet files, the same each time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use duckdb::Connection;
use thiserror::Error;

use crate::sql;

/// Rows of a file at most: some 25 MB, which any server takes in one request.
const ROWS_OF_A_FILE: u64 = 1_000_000;
/// Orders of a customer.
const ORDERS_OF_A_CUSTOMER: u64 = 20;
const PRODUCTS: u64 = 1_000;

/// A table of the sample.
#[derive(Debug)]
pub struct SampleTable {
    /// Its name.
    pub name: &'static str,
    /// Names and types of its columns; the first is its key.
    pub columns: &'static [(&'static str, &'static str)],
    /// What its rows are made of the number `i`.
    select: &'static str,
}

/// The tables.
pub const SAMPLE: [SampleTable; 3] = [
    SampleTable {
        name: "customers",
        columns: &[
            ("id", "BIGINT"),
            ("name", "VARCHAR"),
            ("country", "VARCHAR"),
            ("since", "DATE"),
            ("email", "VARCHAR"),
        ],
        select: "i AS id, 'Customer ' || i AS name,
                 ['DE', 'FR', 'IT', 'ES', 'PL', 'SE', 'US', 'JP'][CAST(1 + hash(i) % 8 AS BIGINT)] AS country,
                 DATE '2015-01-01' + CAST(hash(i + 1) % 3650 AS INTEGER) AS since,
                 CASE WHEN hash(i + 2) % 10 > 0 THEN 'c' || i || '@example.org' END AS email",
    },
    SampleTable {
        name: "products",
        columns: &[("id", "BIGINT"), ("name", "VARCHAR"), ("category", "VARCHAR"), ("price", "DECIMAL(12,2)")],
        select: "i AS id, 'Product ' || i AS name,
                 ['books', 'garden', 'kitchen', 'music', 'tools'][CAST(1 + hash(i) % 5 AS BIGINT)] AS category,
                 CAST(1 + hash(i + 1) % 50000 / 100.0 AS DECIMAL(12,2)) AS price",
    },
    SampleTable {
        name: "orders",
        columns: &[
            ("id", "BIGINT"),
            ("customer_id", "BIGINT"),
            ("product_id", "BIGINT"),
            ("ordered_at", "TIMESTAMP"),
            ("quantity", "INTEGER"),
            ("amount", "DECIMAL(12,2)"),
            ("paid", "BOOLEAN"),
            ("note", "VARCHAR"),
        ],
        select: "i AS id, CAST(hash(i) % {customers} AS BIGINT) AS customer_id,
                 CAST(hash(i + 1) % {products} AS BIGINT) AS product_id,
                 TIMESTAMP '2024-01-01' + to_seconds(CAST(i * 31536000 // {orders} AS BIGINT)) AS ordered_at,
                 CAST(1 + hash(i + 2) % 9 AS INTEGER) AS quantity,
                 CAST(1 + hash(i + 3) % 100000 / 100.0 AS DECIMAL(12,2)) AS amount,
                 hash(i + 4) % 20 > 0 AS paid,
                 CASE WHEN hash(i + 5) % 7 = 0 THEN 'note ' || hash(i + 6) % 1000 END AS note",
    },
];

/// A file that was written.
#[derive(Debug)]
pub struct SampleFile {
    /// Whose rows it has.
    pub table: &'static SampleTable,
    /// Where it is.
    pub path: PathBuf,
    /// How many rows.
    pub rows: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Why the sample wasn't written.
#[derive(Debug, Error)]
pub enum SampleError {
    /// The folder can't be written.
    #[error("{0} can't be written")]
    Folder(PathBuf, #[source] io::Error),
    /// The engine failed.
    #[error("the engine did not write the sample")]
    Engine(#[from] duckdb::Error),
}

/// Writes the sample with so many orders into a folder, which is made if need be. Files that are there are replaced.
///
/// # Errors
/// When that fails; what was written until then stays.
pub fn write_sample(folder: &Path, orders: u64) -> Result<Vec<SampleFile>, SampleError> {
    let unwritable = |error| SampleError::Folder(folder.to_owned(), error);
    fs::create_dir_all(folder).map_err(unwritable)?;
    let customers = orders.div_ceil(ORDERS_OF_A_CUSTOMER).max(1);
    let connection = Connection::open_in_memory()?;
    let mut files = Vec::new();
    for table in &SAMPLE {
        let rows = match table.name {
            "customers" => customers,
            "products" => PRODUCTS,
            _ => orders,
        };
        let select = table.select.replace("{customers}", &customers.to_string());
        let select =
            select.replace("{products}", &PRODUCTS.to_string()).replace("{orders}", &orders.max(1).to_string());
        let mut from = 0;
        let mut part = 0;
        // A table without rows has a file, too.
        while from < rows || part == 0 {
            let until = rows.min(from + ROWS_OF_A_FILE);
            let name = if rows > ROWS_OF_A_FILE { format!("{}-{part:04}", table.name) } else { table.name.to_owned() };
            let path = folder.join(format!("{name}.parquet"));
            let file = sql::text(&path.to_string_lossy());
            connection.execute_batch(&format!(
                "COPY (SELECT {select} FROM range({from}, {until}) AS numbers(i)) TO {file} (FORMAT parquet, COMPRESSION zstd)"
            ))?;
            let bytes = fs::metadata(&path).map_err(unwritable)?.len();
            files.push(SampleFile { table, path, rows: until - from, bytes });
            (from, part) = (until, part + 1);
        }
    }
    Ok(files)
}

/// The version of the engine's library.
///
/// # Errors
/// When it can't be used.
pub fn engine_version() -> Result<String, SampleError> {
    let connection = Connection::open_in_memory()?;
    Ok(connection.query_row("SELECT library_version FROM pragma_version()", [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_the_same_each_time_and_fits_its_columns() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let connection = Connection::open_in_memory().unwrap();
        let mut counted = Vec::new();
        for folder in &folders {
            for file in write_sample(&folder.path().join("new"), 2_000).unwrap() {
                let from = format!("'{}'", file.path.display());
                let describe =
                    format!("SELECT string_agg(column_name || ' ' || column_type, ',') FROM (DESCRIBE FROM {from})");
                let described: String = connection.query_row(&describe, [], |row| row.get(0)).unwrap();
                let columns = file.table.columns.iter().map(|(name, kind)| format!("{name} {kind}"));
                assert_eq!(described, columns.collect::<Vec<_>>().join(","));
                let sums = format!(
                    "SELECT CAST(sum(hash(t)) AS VARCHAR) || ' ' || count(*) || ' ' || count(DISTINCT id) FROM {from} t"
                );
                counted.push((
                    file.table.name,
                    file.rows,
                    connection.query_row(&sums, [], |row| row.get::<_, String>(0)).unwrap(),
                ));
            }
        }
        let (first, second) = counted.split_at(3);
        assert_eq!(first, second);
        for (name, rows, told) in first {
            assert!(told.ends_with(&format!(" {rows} {rows}")), "{name}: {told}");
        }
    }
}
