//! An engine in memory with three databases, and a caller who may read one and a bucket of another.

use duckdb::{Connection, params_from_iter};
use gadwall_domain::types::DataType;

use super::super::{
    Checked, GateError, NameError, Names, ResolvedTable, Visible, VisibleBucket, VisibleColumn, VisibleTable,
    VisibleType, check, confirm,
};

/// The engine of a test.
pub(in crate::gate) struct Engine {
    pub(in crate::gate) connection: Connection,
}

impl Engine {
    pub(in crate::gate) fn open() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "SET threads = 1; SET autoinstall_known_extensions = false; SET autoload_known_extensions = false;
                 ATTACH ':memory:' AS p_test; ATTACH ':memory:' AS p_other; ATTACH ':memory:' AS p_secret;",
            )
            .unwrap();
        connection.execute_batch(include_str!("../testdata/schema.sql")).unwrap();
        Self { connection }
    }

    /// An engine that also finds the project's tables by short names, to run texts as written.
    pub(in crate::gate) fn open_for_written_text() -> Self {
        let engine = Self::open();
        engine.connection.execute_batch("USE p_test.main").unwrap();
        engine
    }

    pub(in crate::gate) fn serialize(&self, sql: &str) -> String {
        self.text("SELECT json_serialize_sql(?::VARCHAR)", sql)
    }

    pub(in crate::gate) fn print(&self, json: &str) -> String {
        self.text("SELECT json_deserialize_sql(?::JSON)", json)
    }

    fn text(&self, query: &str, argument: &str) -> String {
        self.connection.query_row(query, [argument], |row| row.get(0)).unwrap()
    }

    fn visible_table(&self, id: i64, catalog: &str, schema: &str, table: &str) -> VisibleTable {
        let mut statement = self
            .connection
            .prepare(
                "SELECT column_name, data_type, is_nullable, column_default, comment FROM duckdb_columns()
                 WHERE database_name = ? AND schema_name = ? AND table_name = ? ORDER BY column_index",
            )
            .unwrap();
        let read = |row: &duckdb::Row<'_>| {
            Ok(VisibleColumn {
                name: row.get(0)?,
                data_type: VisibleType::Known(DataType::parse(&row.get::<_, String>(1)?).unwrap()),
                nullable: row.get(2)?,
                default: row.get(3)?,
                comment: row.get(4)?,
            })
        };
        let columns = statement.query_map([catalog, schema, table], read).unwrap().map(Result::unwrap).collect();
        VisibleTable { id, name: table.into(), query: None, comment: None, row_count: 0, columns }
    }

    /// Passes a text through the gate as the server does; answers what would run.
    pub(in crate::gate) fn gate(&self, sql: &str) -> Result<(Checked, String), GateError> {
        super::super::admit(sql)?;
        let checked = check(sql, &self.serialize(sql), &Caller(self), None)?;
        let text = self.print(&checked.statement_json);
        confirm(&text, &self.serialize(&text), &checked)?;
        Ok((checked, text))
    }

    /// Runs a text with `'1'` for each parameter; answers the columns' names and the rows.
    pub(in crate::gate) fn run(&self, sql: &str) -> Result<(Vec<String>, Vec<String>), duckdb::Error> {
        let mut statement = self.connection.prepare(sql)?;
        let parameters = vec!["1"; statement.parameter_count()];
        let mut rows = statement.query(params_from_iter(parameters))?;
        let mut found = Vec::new();
        let mut columns = Vec::new();
        while let Some(row) = rows.next()? {
            if columns.is_empty() {
                columns = row.as_ref().column_names();
            }
            let values: Vec<String> =
                (0..columns.len()).map(|index| format!("{:?}", row.get_ref(index).unwrap())).collect();
            found.push(values.join(" | "));
        }
        Ok((columns, found))
    }
}

/// May read all of `p_test`, and the bucket `shared` of `p_other` under the name `linked`.
pub(super) struct Caller<'e>(pub(super) &'e Engine);

const TABLES: [(&str, &str, &str, &str); 14] = [
    ("main", "p_test", "main", "customer"),
    ("main", "p_test", "main", "lineitem"),
    ("main", "p_test", "main", "nation"),
    ("main", "p_test", "main", "orders"),
    ("main", "p_test", "main", "part"),
    ("main", "p_test", "main", "partsupp"),
    ("main", "p_test", "main", "region"),
    ("main", "p_test", "main", "supplier"),
    ("sales", "p_test", "sales", "t"),
    ("sales", "p_test", "sales", "u"),
    ("sales", "p_test", "sales", "Weird Table"),
    ("hr", "p_test", "hr", "person"),
    ("hr", "p_test", "hr", "events"),
    ("linked", "p_other", "shared", "price"),
];

impl Names for Caller<'_> {
    fn table(&self, catalog: Option<&str>, schema: Option<&str>, table: &str) -> Result<ResolvedTable, NameError> {
        let own = catalog.is_none_or(|catalog| catalog.eq_ignore_ascii_case("p_test"));
        let found: Vec<_> = TABLES
            .iter()
            .filter(|(bucket, _, _, name)| {
                own && schema.is_none_or(|schema| schema.eq_ignore_ascii_case(bucket))
                    && name.eq_ignore_ascii_case(table)
            })
            .collect();
        match found.as_slice() {
            [(_, catalog, schema, table)] => Ok(ResolvedTable {
                catalog: (*catalog).into(),
                schema: (*schema).into(),
                table: (*table).into(),
                linked: None,
            }),
            many => Err(NameError::Unknown {
                candidates: many.iter().map(|(bucket, _, _, name)| format!("{bucket}.{name}")).collect(),
            }),
        }
    }

    fn listing(&self) -> Result<Visible, NameError> {
        let mut buckets: Vec<VisibleBucket> = Vec::new();
        for (id, (bucket, catalog, schema, table)) in (100..).zip(&TABLES) {
            let table = self.0.visible_table(id, catalog, schema, table);
            match buckets.iter_mut().find(|known| known.name == *bucket) {
                Some(known) => known.tables.push(table),
                None => buckets.push(VisibleBucket { id: id - 100, name: (*bucket).into(), tables: vec![table] }),
            }
        }
        Ok(Visible { buckets, default_bucket: "sales".into() })
    }

    fn serialize(&self, sql: &str) -> Result<String, NameError> {
        Ok(self.0.serialize(sql))
    }
}
