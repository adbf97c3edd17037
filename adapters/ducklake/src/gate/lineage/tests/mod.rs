//! What is told of queries, by the trees that the engine makes of them.

mod names;
mod shapes;
mod tpch;

use std::fmt::Write as _;

use super::super::tests::engine::Engine;
use super::{Flow, Lineage, Relations, Shape, lineage};

/// The engine's tables, and some views.
struct Known<'e> {
    engine: &'e Engine,
    views: &'e [(&'e str, &'e str)],
}

impl Relations for Known<'_> {
    fn shape(&self, table: &[String; 3], _: Option<u64>) -> Option<Shape> {
        if let Some((_, query)) = self.views.iter().find(|(name, _)| *name == table[2]) {
            let text = self.engine.gate(query).unwrap().1;
            return Some(Shape::View(self.engine.serialize(&text)));
        }
        let mut statement = self
            .engine
            .connection
            .prepare(
                "SELECT column_name FROM duckdb_columns()
                  WHERE database_name = ? AND schema_name = ? AND table_name = ? ORDER BY column_index",
            )
            .unwrap();
        let rows = statement.query_map(table.each_ref(), |row| row.get(0)).unwrap();
        Some(Shape::Table(rows.map(Result::unwrap).collect()))
    }
}

fn of(engine: &Engine, views: &[(&str, &str)], sql: &str) -> Lineage {
    let (checked, _) = engine.gate(sql).unwrap();
    lineage(&checked.statement_json, &Known { engine, views })
}

fn flow(flow: &Flow) -> String {
    let mut text = String::new();
    for (source, step) in &flow.0 {
        let [_, _, table] = &*source.table;
        let masking = if step.masking { "*" } else { "" };
        let _ = write!(text, " {table}.{} {}{masking}", source.column, step.means.as_str());
    }
    text
}

/// A line for each column, one for all rows, and one if that isn't all. A mask is a star.
fn told(lineage: &Lineage) -> String {
    let mut lines = Vec::new();
    for column in &lineage.rows.columns {
        lines.push(format!("{}:{}", column.name.as_deref().unwrap_or("?"), flow(&column.value.flow)));
    }
    lines.push(format!("rows:{}", flow(&lineage.rows.kept_by)));
    lines.extend(lineage.rows.open.then(|| "open".to_owned()));
    lines.extend(lineage.partial.then(|| "partial".to_owned()));
    lines.join("\n")
}

/// What a query is told to be made of, against lines as they are written here.
#[track_caller]
fn expect(engine: &Engine, sql: &str, wanted: &str) {
    expect_with(engine, &[], sql, wanted);
}

#[track_caller]
fn expect_with(engine: &Engine, views: &[(&str, &str)], sql: &str, wanted: &str) {
    let wanted: Vec<&str> = wanted.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(told(&of(engine, views, sql)), wanted.join("\n"), "{sql}");
}
