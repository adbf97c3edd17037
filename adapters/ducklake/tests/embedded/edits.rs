//! Rows deleted and changed on the real engine: many of them, in several files, by hostile conditions.

use gadwall_application::testing::builders::{column, names, rows, schema, table};
use gadwall_domain::commit::Change;
use gadwall_domain::filter::{Assignment, Comparison, Filter, Literal};
use gadwall_domain::ports::lake::{LakeWrite, WriteError};
use gadwall_domain::schema::TableSchema;

use crate::place::{ANY, Place};

fn compare(name: &str, operator: Comparison, value: &str) -> Filter {
    Filter::Compare { column: names(&[name]).remove(0), operator, value: Literal::new(value) }
}

fn delete(schema: &TableSchema, filter: Option<Filter>) -> LakeWrite {
    LakeWrite::Delete { table: table("t"), schema: schema.clone(), filter, expected: ANY }
}

fn update(schema: &TableSchema, filter: Option<Filter>, name: &str, value: Option<&str>) -> LakeWrite {
    let set = vec![Assignment { column: names(&[name]).remove(0), value: value.map(Literal::new) }];
    LakeWrite::Update { table: table("t"), schema: schema.clone(), filter, set, expected: ANY }
}

/// 100,000 rows in two files.
async fn large(place: &Place) -> TableSchema {
    let shape = schema(vec![column("id", "INTEGER"), column("v", "VARCHAR(5)"), column("d", "DECIMAL(6,2)")], &["id"]);
    place.make(&shape).await;
    for part in 0..2 {
        let ids: Vec<String> = (part * 50_000..(part + 1) * 50_000).map(|id: i32| id.to_string()).collect();
        let given: Vec<[Option<&str>; 3]> = ids.iter().map(|id| [Some(&**id), Some("x"), Some("1.25")]).collect();
        place.append(&shape, rows(["id", "v", "d"], &given)).await;
    }
    shape
}

#[tokio::test]
async fn many_rows_are_deleted_and_changed_across_files() {
    let place = Place::new().await;
    let shape = large(&place).await;
    let done = place.write(delete(&shape, Some(compare("id", Comparison::Lt, "60000")))).await.unwrap();
    assert_eq!(done.rows.deleted, 60_000);
    let done =
        place.write(update(&shape, Some(compare("id", Comparison::Ge, "99990")), "v", Some("it's"))).await.unwrap();
    assert_eq!(done.rows.updated, 10);
    let found = place.texts("SELECT count(*) || ' ' || count(*) FILTER (v = 'it''s') || ' ' || min(id) FROM t").await;
    assert_eq!(found, ["40000 10 60000"]);
    let done = place.write(delete(&shape, None)).await.unwrap();
    assert_eq!(done.rows.deleted, 40_000);
    assert_eq!(place.last_change().await, Change::TableTruncated { table: table("t"), rows: 40_000 });
    let head = place.head().await;
    let none = place.write(delete(&shape, None)).await.unwrap();
    assert_eq!((none.snapshot, none.rows.total(), place.head().await), (head, 0, head));
}

#[tokio::test]
async fn a_dry_run_leaves_nothing_behind() {
    let place = Place::new().await;
    let shape = large(&place).await;
    let (head, files) = (place.head().await, place.files());
    let filter = || Some(compare("id", Comparison::Lt, "3"));
    assert_eq!(place.dry(delete(&shape, filter())).await.unwrap().deleted, 3);
    assert_eq!(place.dry(update(&shape, filter(), "v", Some("y"))).await.unwrap().updated, 3);
    assert!(matches!(
        place.dry(update(&shape, filter(), "id", Some("7"))).await,
        Err(WriteError::DuplicateKeys { .. })
    ));
    assert_eq!((place.head().await, place.files()), (head, files));
    assert_eq!(place.write(delete(&shape, filter())).await.unwrap().snapshot.get(), head.get() + 1);
}

#[tokio::test]
async fn hostile_names_and_values_are_only_names_and_values() {
    let place = Place::new().await;
    let hostile = "a') OR (true) --";
    let shape = schema(vec![column("id", "INTEGER"), column(hostile, "VARCHAR")], &["id"]);
    place.make(&shape).await;
    place.append(&shape, rows(["id", hostile], &[[Some("1"), Some("') OR true --")], [Some("2"), Some("x")]])).await;
    let done = place.write(delete(&shape, Some(compare(hostile, Comparison::Eq, "') OR true --")))).await.unwrap();
    assert_eq!(done.rows.deleted, 1);
    for bad in ["1 OR true", "1; DROP TABLE t", "", "1.5", "\0", "1\0", "99999999999999999999"] {
        let error = place.write(delete(&shape, Some(compare("id", Comparison::Eq, bad)))).await.unwrap_err();
        let WriteError::BadFilter(reason) = error else { panic!("{bad:?}: {error:?}") };
        assert!(reason.contains("id"), "{reason}");
    }
    for pattern in ["x\\", "\0"] {
        let like = Filter::Like { column: names(&[hostile]).remove(0), pattern: pattern.to_owned() };
        let error = place.write(delete(&shape, Some(like))).await.unwrap_err();
        assert!(matches!(error, WriteError::BadFilter(_)), "{error:?}");
    }
    assert_eq!(place.texts("SELECT id FROM t").await, ["2"]);
}

#[tokio::test]
async fn new_values_are_kept_exactly_or_refused() {
    let place = Place::new().await;
    let columns = vec![
        column("id", "INTEGER"),
        column("d", "DECIMAL(6,2)"),
        column("j", "JSON"),
        column("l", "INTEGER[]"),
        column("day", "DATE"),
        column("ts", "TIMESTAMP"),
    ];
    let shape = schema(columns, &["id"]);
    place.make(&shape).await;
    place.append(&shape, rows(["id"], &[[Some("1")]])).await;
    for (name, value) in [("d", "1.25"), ("d", "-3"), ("j", "{\"a\": 1}"), ("l", "[1, null]"), ("day", "2026-01-31")] {
        place.write(update(&shape, None, name, Some(value))).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    let bad = [
        ("d", "1.255"),
        ("d", "99999"),
        ("j", "{"),
        ("l", "{}"),
        ("day", "2026-01-31 10:00:00"),
        ("ts", "2026-01-01T10:00:00+02:00"),
    ];
    for (name, value) in bad {
        let error = place.write(update(&shape, None, name, Some(value))).await.unwrap_err();
        assert!(matches!(error, WriteError::BadFilter(_)), "{name} {value}: {error:?}");
    }
    let found = place.texts("SELECT concat_ws('|', d, j, l, \"day\") FROM t").await;
    assert_eq!(found, ["-3.00|{\"a\": 1}|[1, NULL]|2026-01-31"]);
}
