//! Rows that are erased: no file and no version holds them any more.

use gadwall_application::testing::builders::{
    assign, column, defaulted, equals, lake, names, origin, rows, schema, table,
};
use gadwall_domain::alteration::Alteration;
use gadwall_domain::commit::Change;
use gadwall_domain::filter::Filter;
use gadwall_domain::ports::lake::{LakeStore as _, LakeWrite, Purge, PurgeReport};
use gadwall_domain::schema::{Column, TableSchema};

use crate::place::{ANY, Place};

const SECRET: &str = "zzz-secret-zzz";

async fn purge(place: &Place, shape: &TableSchema, filter: Option<Filter>) -> PurgeReport {
    let purge = Purge { table: table("t"), schema: shape.clone(), filter };
    place.lakes.purge(lake(1), purge, Vec::new(), origin("purge")).await.unwrap()
}

/// Whether a file of the lake has the secret in its rows.
fn is_stored(place: &Place) -> bool {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let holds = |path: &std::path::PathBuf| {
        let text =
            format!("SELECT count(*) FROM read_parquet('{}') x WHERE contains(x::VARCHAR, '{SECRET}')", path.display());
        connection.query_row(&text, [], |row| row.get::<_, i64>(0)).unwrap() > 0
    };
    place.files().iter().any(holds)
}

async fn filled(place: &Place) -> TableSchema {
    let shape = schema(vec![column("id", "INTEGER"), column("name", "VARCHAR")], &["id"]);
    place.make(&shape).await;
    let given = [[Some("1"), Some("ann")], [Some("2"), Some(SECRET)], [Some("3"), Some("bob")]];
    place.append(&shape, rows(["id", "name"], &given)).await;
    place.append(&shape, rows(["id", "name"], &[[Some("4"), Some(SECRET)]])).await;
    shape
}

#[tokio::test]
async fn nothing_of_purged_rows_is_left_in_storage() {
    let place = Place::new().await;
    let shape = filled(&place).await;
    assert!(is_stored(&place));
    let report = purge(&place, &shape, Some(equals("name", SECRET))).await;
    assert_eq!((report.rows, report.snapshot), (2, place.head().await));
    assert_eq!(place.last_change().await, Change::RowsPurged { table: table("t"), rows: 2 });
    assert!(report.files_deleted >= 2 && report.files_rewritten >= 1 && report.bytes_deleted > 0, "{report:?}");
    assert!(!is_stored(&place));
    assert_eq!(place.texts("SELECT name FROM t ORDER BY id").await, ["ann", "bob"]);
    let again = purge(&place, &shape, Some(equals("name", SECRET))).await;
    assert_eq!((again.rows, again.expired.len(), again.files_deleted), (0, 0, 0));
}

#[tokio::test]
async fn rows_are_found_under_earlier_names_and_in_tables_built_anew() {
    let place = Place::new().await;
    let shape = filled(&place).await;
    let alter = |shape: &TableSchema, alteration: Alteration| {
        let after = alteration.apply(shape).unwrap();
        (LakeWrite::Alter { table: table("t"), schema: shape.clone(), alteration, expected: ANY }, after)
    };
    let (write, shape) =
        alter(&shape, Alteration::RenameColumn { column: names(&["name"]).remove(0), to: names(&["it's"]).remove(0) });
    place.write(write).await.unwrap();
    let set = vec![assign("it's", Some("other"))];
    let filter = Some(equals("id", "4"));
    let update = LakeWrite::Update { table: table("t"), schema: shape.clone(), filter, set, expected: ANY };
    place.write(update).await.unwrap();
    let must = Column { nullable: false, ..defaulted("must", "INTEGER", "5") };
    let (write, shape) = alter(&shape, Alteration::AddColumn { column: must });
    place.write(write).await.unwrap();
    assert!(is_stored(&place));
    let report = purge(&place, &shape, Some(equals("it's", SECRET))).await;
    assert_eq!(report.rows, 1);
    assert!(!is_stored(&place));
    assert_eq!(place.texts("SELECT \"it's\" FROM t ORDER BY id").await, ["ann", "bob", "other"]);
}

#[tokio::test]
async fn a_purge_that_broke_off_is_completed_by_another() {
    let place = Place::new().await;
    let shape = filled(&place).await;
    // As after a crash: rows deleted, nothing expired; and a file that no version knows.
    let filter = Some(equals("name", SECRET));
    place.write(LakeWrite::Delete { table: table("t"), schema: shape.clone(), filter, expected: ANY }).await.unwrap();
    let file = place.files().remove(0);
    std::fs::copy(&file, file.with_file_name("ducklake-left.parquet")).unwrap();
    let report = purge(&place, &shape, Some(equals("name", SECRET))).await;
    assert_eq!(report.rows, 0);
    assert!(!report.expired.is_empty());
    assert!(!is_stored(&place));
}

#[tokio::test]
async fn all_rows_of_a_partitioned_table_are_purged() {
    let place = Place::new().await;
    let shape = schema(vec![column("id", "INTEGER"), column("name", "VARCHAR")], &[]);
    let partition_by = vec![gadwall_domain::layout::Partition::parse("id").unwrap()];
    let layout = gadwall_domain::layout::Layout { partition_by, sort_by: Vec::new() };
    place.write(LakeWrite::CreateTable { table: table("t"), schema: shape.clone(), layout }).await.unwrap();
    place.append(&shape, rows(["id", "name"], &[[Some("1"), Some(SECRET)], [Some("2"), Some(SECRET)]])).await;
    let report = purge(&place, &shape, None).await;
    assert_eq!((report.rows, report.files_deleted, place.files().len()), (2, 2, 0));
    place.append(&shape, rows(["id", "name"], &[[Some("1"), Some("x")]])).await;
    assert_eq!(place.texts("SELECT name FROM t WHERE name = 'x'").await, ["x"]);
}
