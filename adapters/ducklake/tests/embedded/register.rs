//! Files that become part of a table where they lie, and stay their owner's.

use std::path::PathBuf;

use gadwall_application::testing::builders::{assign, column, defaulted, rows, schema, table};
use gadwall_domain::ports::lake::{EngineFile, LakeWrite, WriteError};
use gadwall_domain::schema::TableSchema;

use crate::place::{ANY, Place};

/// Writes a Parquet file outside of the engine's reach.
fn parquet(place: &Place, name: &str, select: &str) -> EngineFile {
    let path: PathBuf = place.dir.path().join(name);
    let connection = duckdb::Connection::open_in_memory().unwrap();
    connection.execute_batch(&format!("COPY ({select}) TO '{}' (FORMAT parquet)", path.display())).unwrap();
    EngineFile { location: path.to_string_lossy().into_owned(), name: format!("exports/{name}") }
}

fn register(shape: &TableSchema, files: &[EngineFile]) -> LakeWrite {
    LakeWrite::RegisterFiles { table: table("t"), schema: shape.clone(), files: files.to_vec(), expected: ANY }
}

async fn made(place: &Place) -> TableSchema {
    let columns = vec![column("id", "BIGINT"), column("v", "VARCHAR(3)"), defaulted("n", "INTEGER", "5")];
    let shape = schema(columns, &["id"]);
    place.make(&shape).await;
    place.append(&shape, rows(["id"], &[[Some("1")]])).await;
    shape
}

#[tokio::test]
async fn files_become_part_of_a_table_and_stay_their_owners() {
    let place = Place::new().await;
    let shape = made(&place).await;
    let files = [
        parquet(&place, "a.parquet", "SELECT 2::INTEGER AS \"ID\", 'abc' AS v"),
        parquet(&place, "b.parquet", "SELECT 3::BIGINT AS id, 9::SMALLINT AS n"),
    ];
    let before = place.files();
    assert_eq!(place.dry(register(&shape, &files)).await.unwrap().inserted, 2);
    assert_eq!(place.files(), before, "a dry run leaves no file");
    let done = place.write(register(&shape, &files)).await.unwrap();
    assert_eq!(done.rows.inserted, 2);
    let found = || place.texts("SELECT concat_ws('|', id, v, n) FROM t ORDER BY id");
    assert_eq!(found().await, ["1|5", "2|abc|5", "3|9"]);
    let again = place.write(register(&shape, &files[1..])).await.unwrap_err();
    assert!(matches!(again, WriteError::BadFile { .. }), "{again:?}");
    // What was in the files can be changed; the files themselves are as they were.
    let set = vec![assign("n", Some("7"))];
    let update = LakeWrite::Update { table: table("t"), schema: shape.clone(), filter: None, set, expected: ANY };
    assert_eq!(place.write(update).await.unwrap().rows.updated, 3);
    place.write(LakeWrite::drop_table(table("t"))).await.unwrap();
    assert!(files.iter().all(|file| std::path::Path::new(&file.location).is_file()));
}

#[tokio::test]
async fn files_that_break_a_rule_are_refused_and_leave_nothing() {
    let place = Place::new().await;
    let shape = made(&place).await;
    let before = (place.head().await, place.files());
    let good = parquet(&place, "good.parquet", "SELECT 10::BIGINT AS id");
    let bad = [
        ("SELECT 2::BIGINT AS id, 1 AS other", "other"),
        ("SELECT 2::DOUBLE AS id", "DOUBLE"),
        ("SELECT NULL::BIGINT AS id", "NULL"),
        ("SELECT 2::BIGINT AS id, 'far too long' AS v", "longer"),
        ("SELECT 'x' AS v", "lacks"),
    ];
    for (number, (select, word)) in bad.into_iter().enumerate() {
        let file = parquet(&place, &format!("bad{number}.parquet"), select);
        let error = place.write(register(&shape, &[good.clone(), file])).await.unwrap_err();
        let WriteError::BadFile { file, reason } = error else { panic!("{select}: {error:?}") };
        assert_eq!(file, format!("exports/bad{number}.parquet"));
        assert!(reason.contains(word) && !reason.contains('/'), "{reason}");
    }
    for select in ["SELECT 1::BIGINT AS id", "SELECT 2::BIGINT AS id FROM range(2)", "SELECT 10::BIGINT AS id"] {
        let file = parquet(&place, "twice.parquet", select);
        let error = place.write(register(&shape, &[good.clone(), file])).await.unwrap_err();
        assert!(matches!(error, WriteError::DuplicateKeys { count: 1, .. }), "{select}: {error:?}");
    }
    let text = place.dir.path().join("text.parquet");
    std::fs::write(&text, "not Parquet").unwrap();
    let file = EngineFile { location: text.to_string_lossy().into_owned(), name: "exports/text".to_owned() };
    let error = place.write(register(&shape, &[file])).await.unwrap_err();
    assert!(matches!(error, WriteError::BadFile { .. }), "{error:?}");
    assert_eq!((place.head().await, place.files()), before);
}
