//! Few rows of many callers, committed together: each hears of its own rows only.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch};
use futures_util::future::join_all;
use gadwall_application::testing::builders::{
    batch, bucket, column, defaulted, lake, origin, required, rows, schema, source, table,
};
use gadwall_domain::history::Expected;
use gadwall_domain::ports::lake::{Committed, LakeStore as _, LakeWrite, LoadMode, WriteError};
use gadwall_domain::rows::{RowBatch, RowSource, RowsError, Violations};
use gadwall_domain::schema::TableSchema;

use crate::place::Place;

type Answer = Result<Committed, WriteError>;

/// Appends all of them while another write keeps the writer busy, so that they wait together.
async fn together(place: &Place, appends: Vec<(&str, &TableSchema, RowSource)>) -> Vec<Answer> {
    let busy = LakeWrite::CreateBucket { bucket: bucket("busy"), description: None };
    let appends = appends.into_iter().enumerate().map(|(number, (name, shape, rows))| {
        let write = LakeWrite::append(table(name), shape.clone(), rows);
        place.lakes.write(lake(1), write, origin(&format!("r{number}")))
    });
    let (busy, answers) = tokio::join!(place.lakes.write(lake(1), busy, origin("busy")), join_all(appends));
    busy.unwrap();
    answers
}

fn snapshots(answers: &[Answer]) -> BTreeSet<u64> {
    answers.iter().flatten().map(|committed| committed.snapshot.get()).collect()
}

fn typed(columns: Vec<(&str, ArrayRef)>) -> RowSource {
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    source(vec![RowBatch { rows, violations: Violations::default() }])
}

#[tokio::test]
async fn good_and_bad_callers_are_answered_apart() {
    let place = Place::new().await;
    let shape = schema(vec![column("id", "INTEGER"), required("code", "VARCHAR(2)"), column("n", "TINYINT")], &[]);
    place.make(&shape).await;
    let one = |id: &'static str, code: Option<&'static str>, n: &'static str| {
        ("main.t", &shape, rows(["id", "code", "n"], &[[Some(id), code, Some(n)]]))
    };
    let bad_third = rows(
        ["id", "code", "n"],
        &[[Some("20"), Some("a"), None], [Some("21"), Some("b"), None], [Some("22"), Some("long"), Some("300")]],
    );
    let answers = together(
        &place,
        vec![
            one("1", Some("a"), "1"),
            one("2", None, "1"),
            ("main.t", &shape, bad_third),
            one("x", Some("a"), "1"),
            one("3", Some("b"), "2"),
            ("main.t", &shape, rows(["id"], &[[Some("9")], [Some("10")]])),
            ("main.t", &shape, rows(["id", "what"], &[[Some("9"), Some("10")]])),
            ("main.nowhere", &shape, rows(["id", "code"], &[[Some("9"), Some("a")]])),
            one("4", Some("c"), "3"),
        ],
    )
    .await;
    let broken = |answer: &Answer| match answer {
        Err(WriteError::Violations(found)) => {
            found.first().iter().map(|one| (one.row, one.column.clone().unwrap(), one.reason.clone())).collect()
        }
        other => panic!("{other:?}"),
    };
    let place_of = |answer: &Answer| -> Vec<(u64, String)> {
        let found: Vec<(u64, String, String)> = broken(answer);
        found.into_iter().map(|(row, column, _)| (row, column)).collect()
    };
    assert_eq!(snapshots(&answers).len(), 1, "the good ones share a commit");
    assert_eq!([0, 4, 8].map(|index: usize| answers[index].as_ref().unwrap().rows.inserted), [1, 1, 1]);
    assert_eq!(broken(&answers[1]), [(1, "code".to_owned(), "is NULL, but the column is NOT NULL".to_owned())]);
    assert_eq!(place_of(&answers[2]), [(3, "code".to_owned()), (3, "n".to_owned())]);
    assert_eq!(broken(&answers[3]), [(1, "id".to_owned(), "\"x\" can't be read as INTEGER without loss".to_owned())]);
    let Err(WriteError::Violations(missing)) = &answers[5] else { panic!("{:?}", answers[5]) };
    assert_eq!((missing.count(), missing.first()[0].column.as_deref()), (2, Some("code")));
    assert!(matches!(&answers[6], Err(WriteError::Rows(RowsError::UnknownColumn { column, .. })) if column == "what"));
    assert!(matches!(answers[7], Err(WriteError::NoTable)));
    assert_eq!(place.texts("SELECT concat(id, code, n) FROM t ORDER BY id").await, ["1a1", "3b2", "4c3"]);
}

#[tokio::test]
async fn columns_may_differ_in_number_order_and_type() {
    let place = Place::new().await;
    let columns = vec![column("id", "INTEGER"), column("x", "DOUBLE"), defaulted("s", "VARCHAR", "'new'")];
    let shape = schema(columns, &["id"]);
    place.make(&shape).await;
    let numbers = |ids: Vec<i32>| Arc::new(Int32Array::from(ids)) as ArrayRef;
    let none = || Arc::new(Float64Array::from(vec![None::<f64>])) as ArrayRef;
    let answers = together(
        &place,
        vec![
            ("main.t", &shape, rows(["id", "x", "s"], &[[Some("1"), Some("1.5"), Some("a")]])),
            ("main.t", &shape, rows(["S", "ID", "X"], &[[Some("b"), Some("2"), Some("2.5")]])),
            ("main.t", &shape, rows(["id"], &[[Some("3")]])),
            ("main.t", &shape, typed(vec![("id", numbers(vec![4])), ("x", none())])),
            ("main.t", &shape, rows(["x", "id"], &[[None, Some("5")]])),
            ("main.t", &shape, typed(vec![("id", numbers(vec![6, 7, 6]))])),
            ("main.t", &shape, typed(vec![("id", numbers(vec![8])), ("x", none())])),
        ],
    )
    .await;
    assert!(matches!(answers[5], Err(WriteError::DuplicateKeys { count: 1, .. })));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 6);
    assert_eq!(snapshots(&answers).len(), 1);
    let found = place.texts("SELECT concat_ws(' ', id, coalesce(x::VARCHAR, '-'), s) FROM t ORDER BY id").await;
    assert_eq!(found, ["1 1.5 a", "2 2.5 b", "3 - new", "4 - new", "5 - new", "8 - new"]);
}

#[tokio::test]
async fn of_callers_with_the_same_key_the_first_wins() {
    let place = Place::new().await;
    let shape = schema(vec![column("id", "INTEGER"), column("s", "VARCHAR")], &["id"]);
    place.make(&shape).await;
    let given = |ids: &[&'static str], s: &'static str| {
        let many: Vec<[Option<&str>; 2]> = ids.iter().map(|id| [Some(*id), Some(s)]).collect();
        ("main.t", &shape, rows(["id", "s"], &many))
    };
    together(&place, vec![given(&["100"], "there")]).await[0].as_ref().unwrap();
    place
        .lakes
        .write(lake(1), LakeWrite::DropBucket { bucket: bucket("busy"), cascade: false }, origin("r"))
        .await
        .unwrap();
    let answers = together(
        &place,
        vec![
            given(&["1"], "first"),
            given(&["1", "2"], "second"),
            // Refused for a row that is there: whoever shares its other key is not.
            given(&["100", "3"], "third"),
            given(&["3"], "fourth"),
            given(&["4"], "fifth"),
            given(&["2"], "sixth"),
        ],
    )
    .await;
    let refused: Vec<usize> = (0..answers.len()).filter(|index| answers[*index].is_err()).collect();
    assert_eq!(refused, [1, 2]);
    let shared = [0, 4].map(|index: usize| answers[index].as_ref().unwrap().snapshot);
    assert_eq!(shared[0], shared[1], "those that don't collide share a commit");
    let keys = |answer: &Answer| match answer {
        Err(WriteError::DuplicateKeys { first, count }) => (first.clone(), *count),
        other => panic!("{other:?}"),
    };
    assert_eq!(keys(&answers[1]), (vec![serde_json::json!({ "id": 1 })], 1));
    assert_eq!(keys(&answers[2]), (vec![serde_json::json!({ "id": 100 })], 1));
    let found = place.texts("SELECT concat_ws(' ', id, s) FROM t ORDER BY id").await;
    assert_eq!(found, ["1 first", "2 sixth", "3 fourth", "4 fifth", "100 there"]);
}

#[tokio::test]
async fn a_key_that_nobody_mentions_is_its_default() {
    let place = Place::new().await;
    let shape = schema(vec![defaulted("id", "INTEGER", "7"), column("s", "VARCHAR")], &["id"]);
    place.make(&shape).await;
    let given = || ("main.t", &shape, rows(["s"], &[[Some("a")]]));
    let answers = together(&place, vec![given(), given()]).await;
    assert!(answers[0].is_ok());
    assert!(matches!(answers[1], Err(WriteError::DuplicateKeys { count: 1, .. })));
}

#[tokio::test]
async fn an_upsert_keeps_its_place_among_appends() {
    let place = Place::new().await;
    let shape = schema(vec![column("id", "INTEGER"), column("s", "VARCHAR")], &["id"]);
    place.make(&shape).await;
    let load = |mode, s: &str| {
        let rows = rows(["id", "s"], &[[Some("1"), Some(s)]]);
        let write =
            LakeWrite::Load { table: table("main.t"), schema: shape.clone(), mode, rows, expected: Expected::ANY };
        place.lakes.write(lake(1), write, origin("r"))
    };
    let (a, b, c) = tokio::join!(load(LoadMode::Append, "a"), load(LoadMode::Upsert, "b"), load(LoadMode::Append, "c"));
    assert!(a.is_ok() && matches!(c, Err(WriteError::DuplicateKeys { .. })));
    assert_eq!((b.unwrap().rows.updated, place.texts("SELECT s FROM t").await), (1, vec!["b".to_owned()]));
}

#[tokio::test]
async fn rows_in_many_batches_are_few_as_well() {
    let place = Place::new().await;
    let shape = schema(vec![column("id", "INTEGER")], &["id"]);
    place.make(&shape).await;
    let many =
        |from: i32| source((from..from + 40).map(|id| batch(["id"], &[[Some(id.to_string().as_str())]])).collect());
    let mut bad: Vec<RowBatch> = (80..100).map(|id| batch(["id"], &[[Some(id.to_string().as_str())]])).collect();
    bad.push(batch(["id"], &[[Some("y")]]));
    let answers = together(
        &place,
        vec![("main.t", &shape, many(0)), ("main.t", &shape, many(40)), ("main.t", &shape, source(bad))],
    )
    .await;
    let Err(WriteError::Violations(found)) = &answers[2] else { panic!("{:?}", answers[2]) };
    assert_eq!((found.first()[0].row, found.count()), (21, 1));
    assert_eq!(place.texts("SELECT count(*)::VARCHAR FROM t").await, ["80"]);
}
