//! Tables that are held to a contract: what each way of writing may bring, and what is told of what it may not.

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::testing::builders::batch;
use gadwall_application::testing::builders::{assign, column, equals, lake, origin, rows, schema, source, table};
use gadwall_domain::alteration::{Alteration, AlterationError};
use gadwall_domain::contract::{Breach, DataContract, HeldContract, Severity};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{
    Committed, LakeStore as _, LakeWrite, LoadMode, Measuring, ScriptEngine as _, TableReader as _, WriteError,
};
use gadwall_domain::query::{Parameters, ReadScope};
use gadwall_domain::rows::RowSource;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::script::{KnownTable, Script, ScriptError, ScriptFault, ScriptStatement};
use serde_json::{Value, json};

use crate::place::Place;

/// A lake with the table `t (id INTEGER, unit VARCHAR, at TIMESTAMP)`.
struct Ruled {
    place: Place,
    shape: TableSchema,
}

impl Ruled {
    async fn new(key: &[&str]) -> Self {
        let columns = vec![column("id", "INTEGER"), column("unit", "VARCHAR"), column("at", "TIMESTAMP")];
        let (place, shape) = (Place::new().await, schema(columns, key));
        place.make(&shape).await;
        Self { place, shape }
    }

    /// The table's shape, held to these rules of the table and of `unit`, as if put by the commit of that number.
    fn held(&self, of_table: &Value, of_unit: &Value) -> TableSchema {
        let document = json!({
            "apiVersion": "v3.1.0", "kind": "DataContract", "id": "c", "version": "1", "status": "active",
            "schema": [{ "name": "t", "quality": of_table, "properties": [
                { "name": "id", "logicalType": "integer" },
                { "name": "unit", "logicalType": "string", "quality": of_unit },
            ] }],
        });
        let contract = DataContract::parse("t", &document).unwrap();
        let since = SnapshotId::new(1).unwrap();
        self.shape.clone().held_to(Some(Arc::new(HeldContract { since, contract })))
    }

    async fn load(&self, schema: &TableSchema, mode: LoadMode, rows: RowSource) -> Result<Committed, WriteError> {
        self.place.load(schema, mode, rows).await
    }

    async fn script(&self, schema: &TableSchema, sql: &[&str]) -> Result<SnapshotId, ScriptError> {
        let statement = |sql: &&str| ScriptStatement { sql: (*sql).to_owned(), parameters: Parameters::None };
        let script = Script {
            statements: sql.iter().map(statement).collect(),
            default_bucket: None,
            timeout: Duration::from_mins(1),
            dry_run: false,
            at: ReadAt::Head,
            max_rows: 100,
        };
        let known = vec![KnownTable { name: table("main.t"), schema: schema.clone() }];
        let scope = ReadScope::of(lake(1), ReadAt::Head);
        let forever = Box::pin(std::future::pending());
        Ok(self.place.lakes.execute(scope, script, known, origin("r"), forever).await?.snapshot)
    }

    async fn row_count(&self) -> u64 {
        self.place.row_count().await
    }

    async fn head(&self) -> SnapshotId {
        self.place.head().await
    }
}

fn some(values: &[(&'static str, Option<&'static str>)]) -> RowSource {
    let all: Vec<[Option<&str>; 2]> = values.iter().map(|(id, unit)| [Some(*id), *unit]).collect();
    rows(["id", "unit"], &all)
}

/// Three units of five rows are none of `kg`; one is NULL; two are the same.
fn five() -> RowSource {
    some(&[("1", None), ("2", Some("")), ("3", Some("x")), ("4", Some("x")), ("5", Some("kg"))])
}

fn breaches<T: std::fmt::Debug>(done: Result<T, WriteError>) -> Vec<Breach> {
    match done {
        Err(WriteError::Contract(breaches)) => breaches,
        other => panic!("{other:?}"),
    }
}

fn refused<T: std::fmt::Debug>(done: Result<T, ScriptError>) -> Vec<Breach> {
    match done {
        Err(ScriptError { fault: ScriptFault::Write(fault), .. }) => breaches::<()>(Err(fault.source)),
        other => panic!("{other:?}"),
    }
}

/// Each metric with what it measures in [`five`], in rows and in percent.
fn metrics() -> Vec<(Value, bool, i64)> {
    vec![
        (json!({ "metric": "nullValues" }), true, 1),
        (json!({ "metric": "nullValues", "unit": "percent" }), true, 20),
        (json!({ "metric": "missingValues" }), true, 2),
        (json!({ "metric": "missingValues", "arguments": { "missingValues": ["x", "none"] } }), true, 2),
        (json!({ "metric": "invalidValues", "arguments": { "validValues": ["kg", null, 7] } }), true, 3),
        (json!({ "metric": "invalidValues", "arguments": { "pattern": "^(x|kg)$" } }), true, 1),
        (json!({ "metric": "invalidValues", "unit": "percent", "arguments": { "validValues": ["x"] } }), true, 40),
        (json!({ "metric": "duplicateValues" }), true, 2),
        (json!({ "metric": "duplicateValues", "unit": "percent" }), true, 40),
        (json!({ "metric": "duplicateValues", "arguments": { "properties": ["id", "unit"] } }), false, 0),
        (json!({ "metric": "rowCount" }), false, 5),
        (json!({ "type": "sql", "query": "SELECT sum(id) FROM {object}" }), false, 15),
        (json!({ "type": "sql", "query": "SELECT max(${property}) = 'x' FROM ${object}" }), true, 1),
    ]
}

#[tokio::test]
async fn every_operator_holds_for_every_metric() {
    let ruled = Ruled::new(&[]).await;
    for (metric, of_unit, measured) in metrics() {
        for (operator, met, missed) in [
            ("mustBe", json!(measured), json!(measured + 1)),
            ("mustNotBe", json!(measured + 1), json!(measured)),
            ("mustBeGreaterThan", json!(measured - 1), json!(measured)),
            ("mustBeGreaterOrEqualTo", json!(measured), json!(measured + 1)),
            ("mustBeLessThan", json!(measured + 1), json!(measured)),
            ("mustBeLessOrEqualTo", json!(measured), json!(measured - 1)),
            ("mustBeBetween", json!([measured - 1, measured + 1]), json!([measured, measured + 1])),
            ("mustNotBeBetween", json!([measured, measured + 1]), json!([measured - 1, measured + 1])),
        ] {
            for (bound, is_met) in [(met, true), (missed, false)] {
                let mut rule = metric.clone();
                rule[operator] = bound.clone();
                let (of_table, of_column) =
                    if of_unit { (json!([]), json!([rule])) } else { (json!([rule]), json!([])) };
                let done = ruled.load(&ruled.held(&of_table, &of_column), LoadMode::Replace, five()).await;
                if is_met {
                    done.unwrap_or_else(|error| panic!("{rule}: {error:?}"));
                    continue;
                }
                let found = breaches(done);
                assert_eq!(found.len(), 1, "{rule}");
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let expected = measured as f64;
                assert_eq!(found[0].measure.measured, Some(expected), "{rule}");
                assert_eq!(found[0].measure.expected[operator].to_string().replace(".0", ""), bound.to_string());
            }
        }
    }
}

#[tokio::test]
async fn a_refused_batch_leaves_nothing_and_shows_some_of_its_rows() {
    let ruled = Ruled::new(&[]).await;
    let valid =
        json!({ "id": "known", "metric": "invalidValues", "mustBe": 0, "arguments": { "validValues": ["kg"] } });
    let held = ruled.held(&json!([]), &json!([valid, { "metric": "nullValues", "mustBe": 0 }]));
    let before = ruled.head().await;
    let found = breaches(ruled.load(&held, LoadMode::Append, five()).await);
    let told: Vec<(&str, Option<f64>, usize)> = found
        .iter()
        .map(|breach| (breach.measure.rule.as_str(), breach.measure.measured, breach.samples.len()))
        .collect();
    assert_eq!(told, [("known", Some(3.0), 3), ("/schema/0/properties/1/quality/1", Some(1.0), 1)]);
    assert_eq!(found[0].samples[0], json!({ "row": 2, "values": { "unit": "", "id": "2", "at": null } }));
    assert_eq!((ruled.head().await, ruled.row_count().await), (before, 0));
    // No more than five of many, also of rows that were spooled to files.
    let many: Vec<[Option<&str>; 2]> = (0..120_000).map(|_| [Some("7"), Some("lb")]).collect();
    let batches = many.chunks(2_000).map(|some| batch(["id", "unit"], some)).collect();
    let found = breaches(ruled.load(&held, LoadMode::Append, source(batches)).await);
    assert_eq!((found[0].measure.measured, found[0].samples.len()), (Some(120_000.0), 5));
    assert_eq!(ruled.row_count().await, 0);
}

#[tokio::test]
async fn a_warning_lets_rows_through_and_is_in_the_commit() {
    let ruled = Ruled::new(&[]).await;
    let warning = json!({ "id": "few", "metric": "nullValues", "mustBe": 0, "severity": "warning" });
    let held = ruled.held(&json!([]), &json!([warning]));
    let before = ruled.head().await;
    let (one, other) = tokio::join!(
        ruled.load(&held, LoadMode::Append, five()),
        ruled.load(&held, LoadMode::Append, some(&[("6", Some("kg"))]))
    );
    one.unwrap();
    other.unwrap();
    ruled.script(&held, &["INSERT INTO t (id) VALUES (7), (8)"]).await.unwrap();
    let commits = ruled.place.lakes.commits_after(lake(1), before, 10).await.unwrap();
    let mut told: Vec<(u64, Option<f64>)> = commits
        .iter()
        .flat_map(|commit| &commit.writes)
        .map(|write| (write.change.counts().inserted, write.breaches.first().and_then(|breach| breach.measured)))
        .collect();
    told.sort_by_key(|(rows, _)| *rows);
    assert_eq!(told, [(1, None), (2, Some(2.0)), (5, Some(1.0))]);
    assert!(commits.iter().flat_map(|commit| &commit.writes).all(|write| {
        write.breaches.iter().all(|breach| breach.rule == "few" && breach.severity == Severity::Warning && !breach.met)
    }));
}

#[tokio::test]
async fn one_callers_bad_rows_dont_fail_anothers() {
    let ruled = Ruled::new(&[]).await;
    let held = ruled.held(
        &json!([{ "metric": "duplicateValues", "mustBe": 0, "arguments": { "properties": ["id"] } }]),
        &json!([{ "metric": "nullValues", "mustBe": 0 }]),
    );
    let ids: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let load = |id: &str, unit: Option<&str>| {
        let rows = rows(["id", "unit"], &[[Some(id), unit]]);
        ruled.load(&held, LoadMode::Append, rows)
    };
    // Every fourth has no unit, and the first and the last share their id.
    let loads = ids.iter().enumerate().map(|(number, id)| {
        let id = if number == 39 { "0" } else { id.as_str() };
        load(id, (number % 4 != 1).then_some("kg"))
    });
    let done = futures_util::future::join_all(loads).await;
    let failed: Vec<usize> = (0..40).filter(|number| done[*number].is_err()).collect();
    let mut expected: Vec<usize> = (0..40).filter(|number| number % 4 == 1).collect();
    assert!(failed.contains(&39) ^ failed.contains(&0), "one of the two came first: {failed:?}");
    expected.push(if failed.contains(&39) { 39 } else { 0 });
    expected.sort_unstable();
    assert_eq!(failed, expected);
    assert_eq!(ruled.row_count().await, 29);
}

#[tokio::test]
async fn every_way_of_writing_is_held_to_the_contract() {
    let ruled = Ruled::new(&["id"]).await;
    ruled.load(&ruled.shape, LoadMode::Append, some(&[("1", Some("lb"))])).await.unwrap();
    let bad = ruled.head().await;
    ruled.load(&ruled.shape, LoadMode::Replace, some(&[("1", Some("kg")), ("2", Some("kg"))])).await.unwrap();
    let held = ruled.held(
        &json!([{ "id": "filled", "metric": "rowCount", "mustBeGreaterThan": 1 }]),
        &json!([{ "id": "known", "metric": "invalidValues", "mustBe": 0, "arguments": { "validValues": ["kg"] } }]),
    );
    let broken = |done: Result<Committed, WriteError>| breaches(done).remove(0).measure.rule;
    assert_eq!(broken(ruled.load(&held, LoadMode::Upsert, some(&[("1", Some("lb"))])).await), "known");
    assert_eq!(broken(ruled.load(&held, LoadMode::Replace, some(&[("3", Some("kg"))])).await), "filled");
    let (table, expected) = (table("main.t"), Expected::ANY);
    let name = || table.clone();
    let change = |write| ruled.place.lakes.write(lake(1), write, origin("r"));
    let filter = || Some(equals("id", "1"));
    let set = vec![assign("unit", Some("lb"))];
    let update = LakeWrite::Update { table: name(), schema: held.clone(), filter: filter(), set, expected };
    assert_eq!(broken(change(update).await), "known");
    let delete = LakeWrite::Delete { table: name(), schema: held.clone(), filter: filter(), expected };
    assert_eq!(broken(change(delete).await), "filled");
    let restore = LakeWrite::Restore { table: name(), from: bad, schema: held.clone(), expected };
    let found: Vec<String> = breaches(change(restore).await).into_iter().map(|breach| breach.measure.rule).collect();
    assert_eq!(found, ["known", "filled"]);
    for (statements, rule) in [
        (&["INSERT INTO t (id, unit) VALUES (3, 'lb')"][..], "known"),
        (&["UPDATE t SET unit = 'lb' WHERE id = 2"], "known"),
        (&["DELETE FROM t WHERE id = 2"], "filled"),
        (&["TRUNCATE t"], "filled"),
        (
            &[
                "MERGE INTO t USING (SELECT 2 AS id, 'lb' AS unit) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET unit = s.unit",
            ],
            "known",
        ),
        (&["CREATE OR REPLACE TABLE t AS SELECT i AS id, 'lb' AS unit FROM range(3) r(i)"], "known"),
        (&["ALTER TABLE t RENAME TO u", "INSERT INTO u (id, unit) VALUES (3, 'lb')"], "known"),
        (&["CREATE OR REPLACE TABLE t AS SELECT 1 AS id"], "schema"),
    ] {
        let found = refused(ruled.script(&held, statements).await);
        assert_eq!(found[0].measure.rule, rule, "{statements:?}");
    }
    // Bad rows may come and go within a script.
    ruled.script(&held, &["INSERT INTO t (id, unit) VALUES (3, 'lb')", "DELETE FROM t WHERE id = 3"]).await.unwrap();
    ruled.script(&held, &["INSERT INTO t (id, unit) VALUES (4, 'kg')"]).await.unwrap();
    assert_eq!(ruled.row_count().await, 3);
    let alteration = Alteration::DropColumn { column: held.columns()[1].name.clone() };
    let alter = LakeWrite::Alter { table: name(), schema: held.clone(), alteration, expected };
    let refused = change(alter).await;
    assert!(matches!(refused, Err(WriteError::Alteration(AlterationError::AgainstContract(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_query_reads_its_own_table_and_nothing_else() {
    let ruled = Ruled::new(&[]).await;
    let create = LakeWrite::create_table(table("main.secret"), ruled.shape.clone());
    ruled.place.lakes.write(lake(1), create, origin("r")).await.unwrap();
    for (query, told) in [
        ("SELECT count(*) FROM secret", "secret"),
        ("SELECT count(*) FROM {object}, main.secret", "secret"),
        ("SELECT count(*) FROM read_csv('/etc/passwd')", "read_csv"),
        ("DELETE FROM {object}", "DELETE"),
        ("SELECT 1; SELECT 2", "statement"),
        ("SELECT count(*) FROM duckdb_settings()", "duckdb_settings"),
        ("SELECT 'x' FROM {object}", "onvert"),
        ("SELECT 0 WHERE false", "no number"),
    ] {
        // A warning, too: what can't be measured isn't known to be kept.
        let rule = json!({ "type": "sql", "query": query, "mustBe": 0, "severity": "warning" });
        let held = ruled.held(&json!([rule]), &json!([]));
        let found = breaches(ruled.load(&held, LoadMode::Replace, five()).await);
        let problem = found[0].measure.problem.clone().unwrap_or_default();
        assert!(problem.contains(told), "{query}: {problem}");
    }
    assert_eq!(ruled.row_count().await, 0);
}

#[tokio::test]
async fn who_knows_another_contract_is_told_to_look_again() {
    let ruled = Ruled::new(&[]).await;
    let document = json!({ "any": "document" });
    let (expected, schema) = (Expected::ANY, ruled.shape.clone());
    let alteration = Alteration::Contract { document: Some(document) };
    let put = LakeWrite::Alter { table: table("main.t"), schema, alteration, expected };
    let put = ruled.place.lakes.write(lake(1), put, origin("r")).await.unwrap();
    let late = ruled.load(&ruled.shape, LoadMode::Append, five()).await;
    assert!(matches!(late, Err(WriteError::TableChanged)), "{late:?}");
    let held = ruled.held(&json!([]), &json!([]));
    let contract = HeldContract { since: put.snapshot, contract: held.contract().unwrap().contract.clone() };
    ruled.load(&ruled.shape.clone().held_to(Some(Arc::new(contract))), LoadMode::Append, five()).await.unwrap();
}

#[tokio::test]
async fn a_table_is_measured_as_it_is() {
    let ruled = Ruled::new(&[]).await;
    let given = rows(
        ["id", "unit", "at"],
        &[[Some("1"), Some("kg"), Some("2026-01-01")], [Some("1"), None, Some("2026-03-01")]],
    );
    ruled.load(&ruled.shape, LoadMode::Append, given).await.unwrap();
    let held = ruled.held(
        &json!([
            { "metric": "rowCount", "mustBe": 2 },
            { "metric": "duplicateValues", "mustBe": 0, "arguments": { "properties": ["id"] } },
            { "type": "sql", "query": "SELECT nothing FROM {object}", "mustBe": 0 },
        ]),
        &json!([
            { "metric": "nullValues", "mustBe": 0 },
            { "metric": "invalidValues", "mustBe": 0, "arguments": { "pattern": "(" } },
        ]),
    );
    let times = vec![ruled.shape.columns()[2].name.clone(), ruled.shape.columns()[1].name.clone()];
    let measuring = Measuring { table: table("main.t"), schema: held, times };
    let measured = ruled.place.lakes.measure(lake(1), measuring, Duration::from_mins(1)).await.unwrap();
    let told: Vec<(Option<f64>, bool)> =
        measured.rules.iter().map(|breach| (breach.measure.measured, breach.measure.met)).collect();
    assert_eq!(told, [(Some(2.0), true), (Some(2.0), false), (None, false), (Some(1.0), false), (None, false)]);
    assert_eq!(measured.rules[1].samples, [json!({ "values": { "id": "1" }, "count": 2 })]);
    assert!(measured.rules[4].measure.problem.as_ref().unwrap().contains("missing"), "{:?}", measured.rules[4]);
    assert_eq!(measured.snapshot, ruled.head().await);
    let [Some((first, last)), None] = measured.times.as_slice() else { panic!("{:?}", measured.times) };
    assert_eq!(
        (first.date_naive().to_string(), last.date_naive().to_string()),
        ("2026-01-01".into(), "2026-03-01".into())
    );
}
