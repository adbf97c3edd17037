//! TPC-H: its eight tables as its generator makes them, and its 22 queries.

pub mod run;

use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use duckdb::Connection;
use tpchgen::csv::{CustomerCsv, LineItemCsv, NationCsv, OrderCsv, PartCsv, PartSuppCsv, RegionCsv, SupplierCsv};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

/// The 22 queries, in their order, with the parameters of the standard's validation.
pub fn queries() -> Vec<&'static str> {
    include_str!("queries.sql").lines().collect()
}

/// A table and its columns, each a name and a type.
pub type Table = (&'static str, &'static [(&'static str, &'static str)]);

/// The tables.
pub const TABLES: [Table; 8] = [
    (
        "nation",
        &[("n_nationkey", "INTEGER"), ("n_name", "VARCHAR"), ("n_regionkey", "INTEGER"), ("n_comment", "VARCHAR")],
    ),
    ("region", &[("r_regionkey", "INTEGER"), ("r_name", "VARCHAR"), ("r_comment", "VARCHAR")]),
    (
        "part",
        &[
            ("p_partkey", "BIGINT"),
            ("p_name", "VARCHAR"),
            ("p_mfgr", "VARCHAR"),
            ("p_brand", "VARCHAR"),
            ("p_type", "VARCHAR"),
            ("p_size", "INTEGER"),
            ("p_container", "VARCHAR"),
            ("p_retailprice", "DECIMAL(15,2)"),
            ("p_comment", "VARCHAR"),
        ],
    ),
    (
        "supplier",
        &[
            ("s_suppkey", "BIGINT"),
            ("s_name", "VARCHAR"),
            ("s_address", "VARCHAR"),
            ("s_nationkey", "INTEGER"),
            ("s_phone", "VARCHAR"),
            ("s_acctbal", "DECIMAL(15,2)"),
            ("s_comment", "VARCHAR"),
        ],
    ),
    (
        "partsupp",
        &[
            ("ps_partkey", "BIGINT"),
            ("ps_suppkey", "BIGINT"),
            ("ps_availqty", "BIGINT"),
            ("ps_supplycost", "DECIMAL(15,2)"),
            ("ps_comment", "VARCHAR"),
        ],
    ),
    (
        "customer",
        &[
            ("c_custkey", "BIGINT"),
            ("c_name", "VARCHAR"),
            ("c_address", "VARCHAR"),
            ("c_nationkey", "INTEGER"),
            ("c_phone", "VARCHAR"),
            ("c_acctbal", "DECIMAL(15,2)"),
            ("c_mktsegment", "VARCHAR"),
            ("c_comment", "VARCHAR"),
        ],
    ),
    (
        "orders",
        &[
            ("o_orderkey", "BIGINT"),
            ("o_custkey", "BIGINT"),
            ("o_orderstatus", "VARCHAR"),
            ("o_totalprice", "DECIMAL(15,2)"),
            ("o_orderdate", "DATE"),
            ("o_orderpriority", "VARCHAR"),
            ("o_clerk", "VARCHAR"),
            ("o_shippriority", "INTEGER"),
            ("o_comment", "VARCHAR"),
        ],
    ),
    (
        "lineitem",
        &[
            ("l_orderkey", "BIGINT"),
            ("l_partkey", "BIGINT"),
            ("l_suppkey", "BIGINT"),
            ("l_linenumber", "BIGINT"),
            ("l_quantity", "DECIMAL(15,2)"),
            ("l_extendedprice", "DECIMAL(15,2)"),
            ("l_discount", "DECIMAL(15,2)"),
            ("l_tax", "DECIMAL(15,2)"),
            ("l_returnflag", "VARCHAR"),
            ("l_linestatus", "VARCHAR"),
            ("l_shipdate", "DATE"),
            ("l_commitdate", "DATE"),
            ("l_receiptdate", "DATE"),
            ("l_shipinstruct", "VARCHAR"),
            ("l_shipmode", "VARCHAR"),
            ("l_comment", "VARCHAR"),
        ],
    ),
];

/// Writes each table as a Parquet file `<table>.parquet` into a folder, at a scale: 1 is about a gigabyte of text.
pub fn generate(folder: &Path, scale: f64) -> Result<()> {
    let connection = Connection::open_in_memory().context("DuckDB cannot be opened")?;
    for (name, columns) in TABLES {
        let text = folder.join(format!("{name}.csv"));
        write_csv(name, &text, scale)?;
        let types: Vec<String> = columns.iter().map(|(name, data_type)| format!("'{name}': '{data_type}'")).collect();
        connection.execute_batch(&format!(
            "COPY (FROM read_csv('{}', header = true, delim = ',', quote = '\"', columns = {{{}}}))
               TO '{}' (FORMAT parquet)",
            text.display(),
            types.join(", "),
            parquet(folder, name).display()
        ))?;
        std::fs::remove_file(text)?;
    }
    Ok(())
}

/// Where a table's rows are.
pub fn parquet(folder: &Path, table: &str) -> PathBuf {
    folder.join(format!("{table}.parquet"))
}

fn write_csv(table: &str, file: &Path, scale: f64) -> Result<()> {
    let (part, parts) = (1, 1);
    match table {
        "nation" => {
            lines(file, NationCsv::header(), NationGenerator::new(scale, part, parts).iter().map(NationCsv::new))
        }
        "region" => {
            lines(file, RegionCsv::header(), RegionGenerator::new(scale, part, parts).iter().map(RegionCsv::new))
        }
        "part" => lines(file, PartCsv::header(), PartGenerator::new(scale, part, parts).iter().map(PartCsv::new)),
        "supplier" => {
            lines(file, SupplierCsv::header(), SupplierGenerator::new(scale, part, parts).iter().map(SupplierCsv::new))
        }
        "partsupp" => {
            lines(file, PartSuppCsv::header(), PartSuppGenerator::new(scale, part, parts).iter().map(PartSuppCsv::new))
        }
        "customer" => {
            lines(file, CustomerCsv::header(), CustomerGenerator::new(scale, part, parts).iter().map(CustomerCsv::new))
        }
        "orders" => lines(file, OrderCsv::header(), OrderGenerator::new(scale, part, parts).iter().map(OrderCsv::new)),
        _ => {
            lines(file, LineItemCsv::header(), LineItemGenerator::new(scale, part, parts).iter().map(LineItemCsv::new))
        }
    }
}

fn lines(file: &Path, header: &str, rows: impl Iterator<Item = impl Display>) -> Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    writeln!(out, "{header}")?;
    for row in rows {
        writeln!(out, "{row}")?;
    }
    Ok(out.flush()?)
}
