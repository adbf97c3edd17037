//! Rows: what a table takes, and what it refuses as a whole.

use std::sync::Arc;

use gadwall_domain::ports::lake::{Lake, LakeWrite, WriteError};
use gadwall_domain::rows::{MAX_VIOLATIONS, RowSource, RowsError, Violation, Violations};
use gadwall_domain::schema::TableSchema;
use serde_json::json;

use super::{LAKE, Preview, append, fresh_lake, make_table, refused, stored, write};
use crate::testing::builders::{batch, column, defaulted, lake, required, rows, schema, source, stream, table};

/// The table `t` of a fresh lake.
async fn table_of(store: &Arc<dyn Lake>, shape: TableSchema) -> TableSchema {
    fresh_lake(store).await;
    make_table(store, "t", shape).await
}

/// What an append to `t` is refused with; nothing of it stays.
async fn refusal(store: &Arc<dyn Lake>, shape: &TableSchema, rows: RowSource) -> WriteError {
    let before = (stored(store, "t").await, store.head(lake(LAKE)).await.unwrap());
    let error = refused(store, LakeWrite::append(table("t"), shape.clone(), rows)).await;
    assert_eq!((stored(store, "t").await, store.head(lake(LAKE)).await.unwrap()), before);
    error
}

async fn violations(store: &Arc<dyn Lake>, shape: &TableSchema, rows: RowSource) -> Violations {
    match refusal(store, shape, rows).await {
        WriteError::Violations(found) => found,
        other => panic!("violations, not {other:?}"),
    }
}

/// Row and column of each violation that is listed.
fn places(found: &Violations) -> Vec<(u64, &str)> {
    found.first().iter().map(|violation| (violation.row, violation.column.as_deref().unwrap_or("?"))).collect()
}

async fn duplicates(store: &Arc<dyn Lake>, shape: &TableSchema, rows: RowSource) -> (Vec<serde_json::Value>, u64) {
    match refusal(store, shape, rows).await {
        WriteError::DuplicateKeys { first, count } => (first, count),
        other => panic!("duplicate keys, not {other:?}"),
    }
}

/// Rows are counted, and read back as their columns' types.
pub async fn appended_rows_read_back(store: Arc<dyn Lake>) {
    let shape = table_of(&store, schema(vec![column("id", "INTEGER"), column("it's", "VARCHAR(20)")], &[])).await;
    let text = "é🦆'\"\\\n;--";
    let given = rows(["id", "it's"], &[[Some("1"), Some(text)], [Some("-2"), Some("")], [None, None]]);
    let committed = append(&store, "t", &shape, given).await;
    assert_eq!(committed.rows.inserted, 3);
    assert_eq!(stored(&store, "t").await.size.row_count, 3);
    let found = Preview::of(&store, "t", 10).await;
    assert_eq!(found.columns, ["id", "it's"]);
    assert_eq!(found.integers("id"), [Some(1), Some(-2), None]);
    assert_eq!(found.texts("it's"), [Some(text.to_owned()), Some(String::new()), None]);
}

/// Plain types are read from text.
pub async fn plain_types_are_read_from_text(store: Arc<dyn Lake>) {
    let types = ["BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DOUBLE", "VARCHAR", "CHAR(3)"];
    let columns = types.iter().enumerate().map(|(index, name)| column(&format!("c{index}"), name)).collect();
    let shape = table_of(&store, schema(columns, &[])).await;
    let highest = ["true", "127", "32767", "2147483647", "9223372036854775807", "1.5e300", "x", "äöü"];
    let lowest = ["false", "-128", "-32768", "-2147483648", "-9223372036854775808", "-0.25", "", "a"];
    let given =
        rows(["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"], &[highest.map(Some), lowest.map(Some), [None; 8]]);
    assert_eq!(append(&store, "t", &shape, given).await.rows.inserted, 3);
    let found = Preview::of(&store, "t", 10).await;
    assert_eq!(found.integers("c3"), [Some(i32::MAX), Some(i32::MIN), None]);
    assert_eq!(found.texts("c7"), [Some("äöü".to_owned()), Some("a".to_owned()), None]);
}

/// Appends add up; a preview shows no more rows than were asked for.
pub async fn appends_add_up(store: Arc<dyn Lake>) {
    let shape = table_of(&store, schema(vec![column("id", "INTEGER")], &[])).await;
    for _ in 0..3 {
        append(&store, "t", &shape, rows(["id"], &[[Some("1")], [Some("2")]])).await;
    }
    assert_eq!(stored(&store, "t").await.size.row_count, 6);
    for (limit, expected) in [(0, 0), (4, 4), (100, 6)] {
        assert_eq!(Preview::of(&store, "t", limit).await.row_count(), expected);
    }
}

/// Rows that come in many batches are one append.
pub async fn batches_make_one_append(store: Arc<dyn Lake>) {
    let shape = table_of(&store, schema(vec![column("id", "INTEGER")], &["id"])).await;
    let head = store.head(lake(LAKE)).await.unwrap();
    let given =
        source(vec![batch(["id"], &[[Some("1")], [Some("2")]]), batch(["id"], &[]), batch(["id"], &[[Some("3")]])]);
    let committed = append(&store, "t", &shape, given).await;
    assert_eq!((committed.rows.inserted, committed.snapshot.get()), (3, head.get() + 1));
    // Rows are counted on from batch to batch.
    let bad = source(vec![batch(["id"], &[[Some("4")], [Some("5")]]), batch(["id"], &[[Some("6")], [Some("x")]])]);
    assert_eq!(places(&violations(&store, &shape, bad).await), [(4, "id")]);
}

/// An append without rows is fine, and adds none.
pub async fn an_append_without_rows_adds_none(store: Arc<dyn Lake>) {
    let shape = table_of(&store, schema(vec![required("id", "INTEGER")], &["id"])).await;
    for none in [source(vec![]), rows(["id"], &[])] {
        assert_eq!(append(&store, "t", &shape, none).await.rows.inserted, 0);
    }
    assert_eq!(stored(&store, "t").await.size.row_count, 0);
}

/// Columns come in any order and case; what rows don't mention gets its default, or NULL.
pub async fn columns_not_mentioned_get_their_defaults(store: Arc<dyn Lake>) {
    let columns = vec![
        column("id", "INTEGER"),
        defaulted("state", "VARCHAR", "'it''s new'"),
        defaulted("n", "INTEGER", "-5"),
        column("note", "VARCHAR"),
    ];
    let shape = table_of(&store, schema(columns, &["id"])).await;
    append(&store, "t", &shape, rows(["id"], &[[Some("1")]])).await;
    append(&store, "t", &shape, rows(["NOTE", "N", "Id"], &[[Some("x"), Some("7"), Some("2")]])).await;
    let found = Preview::of(&store, "t", 10).await;
    let (ids, numbers) = (found.integers("id"), found.integers("n"));
    let mut numbers: Vec<_> = ids.iter().zip(numbers).zip(found.texts("note")).collect();
    // Rows come in any order.
    numbers.sort();
    assert_eq!(numbers, [((&Some(1), Some(-5)), None), ((&Some(2), Some(7)), Some("x".to_owned()))]);
    assert_eq!(found.texts("state"), [Some("it's new".to_owned()), Some("it's new".to_owned())]);
}

/// Values that aren't of their column's type are named, and none of the rows is kept.
pub async fn values_of_another_type_are_named(store: Arc<dyn Lake>) {
    let columns = vec![column("id", "INTEGER"), column("ratio", "DOUBLE"), column("flag", "BOOLEAN")];
    let shape = table_of(&store, schema(columns, &[])).await;
    let given = rows(
        ["id", "ratio", "flag"],
        &[
            [Some("1"), Some("1.5"), Some("true")],
            [Some("abc"), Some("2"), Some("false")],
            [Some("3"), Some("x"), Some("maybe")],
            [Some("2147483648"), None, None],
        ],
    );
    let found = violations(&store, &shape, given).await;
    let mut places = places(&found);
    places.sort_unstable();
    assert_eq!(places, [(2, "id"), (3, "flag"), (3, "ratio"), (4, "id")]);
    assert_eq!(found.count(), 4);
    assert!(found.first()[0].reason.contains("abc"), "the value is shown: {:?}", found.first()[0]);
}

/// Empty text is no number.
pub async fn empty_text_is_no_number(store: Arc<dyn Lake>) {
    let shape = table_of(&store, schema(vec![column("id", "INTEGER")], &[])).await;
    assert_eq!(places(&violations(&store, &shape, rows(["id"], &[[Some("")]])).await), [(1, "id")]);
}

/// NULL is refused where a column doesn't allow it, and where it is part of the key.
pub async fn null_is_refused_where_it_is_not_allowed(store: Arc<dyn Lake>) {
    let columns = vec![column("id", "INTEGER"), required("name", "VARCHAR"), column("note", "VARCHAR")];
    let shape = table_of(&store, schema(columns, &["id"])).await;
    let given =
        rows(["id", "name", "note"], &[[Some("1"), Some("a"), None], [Some("2"), None, None], [None, Some("c"), None]]);
    let found = violations(&store, &shape, given).await;
    assert_eq!(places(&found), [(2, "name"), (3, "id")]);
    assert_eq!(found.count(), 2);
}

/// A column that may not be NULL and has no default must be among the rows' columns.
pub async fn a_required_column_must_be_given(store: Arc<dyn Lake>) {
    let columns = vec![column("id", "INTEGER"), required("name", "VARCHAR")];
    let shape = table_of(&store, schema(columns, &[])).await;
    let found = violations(&store, &shape, rows(["id"], &[[Some("1")], [Some("2")]])).await;
    assert_eq!(found.first()[0].column.as_deref(), Some("name"));
    assert_eq!(found.count(), 2);
}

/// Text has as many characters as its column declares, and no more.
pub async fn text_longer_than_declared_is_refused(store: Arc<dyn Lake>) {
    let columns = vec![column("code", "CHAR(3)"), column("name", "VARCHAR(5)")];
    let shape = table_of(&store, schema(columns, &[])).await;
    append(&store, "t", &shape, rows(["code", "name"], &[[Some("äöü"), Some("abcde")], [Some(""), None]])).await;
    let given = rows(["code", "name"], &[[Some("abc"), Some("abcdef")], [Some("äöüß"), Some("a")]]);
    let found = violations(&store, &shape, given).await;
    assert_eq!(places(&found), [(1, "name"), (2, "code")]);
    assert_eq!(stored(&store, "t").await.size.row_count, 2);
}

/// The first violations are listed by row, and all are counted.
pub async fn all_violations_are_counted(store: Arc<dyn Lake>) {
    let columns = vec![column("id", "INTEGER"), column("code", "CHAR(1)")];
    let shape = table_of(&store, schema(columns, &[])).await;
    let many: Vec<[Option<&str>; 2]> =
        (0..50).map(|row| [Some(if row % 2 == 0 { "x" } else { "1" }), Some("ab")]).collect();
    let found = violations(&store, &shape, rows(["id", "code"], &many)).await;
    assert_eq!(found.count(), 75);
    assert_eq!(found.first().len(), MAX_VIOLATIONS);
    assert!(found.first().is_sorted_by_key(|violation| violation.row));
    assert_eq!(found.first()[0].row, 1);
}

/// What the decoder found wrong refuses the rows as well.
pub async fn what_the_decoder_found_is_refused(store: Arc<dyn Lake>) {
    let shape = table_of(&store, schema(vec![column("id", "INTEGER")], &[])).await;
    let mut decoded = batch(["id"], &[[Some("1")], [None], [Some("x")]]);
    decoded.violations.push(Violation { row: 2, column: Some("id".to_owned()), reason: "is odd".to_owned() });
    let found = violations(&store, &shape, source(vec![decoded])).await;
    assert_eq!(places(&found), [(2, "id"), (3, "id")]);
    assert_eq!(found.first()[0].reason, "is odd");
}

/// A column that the table doesn't have is refused.
pub async fn an_unknown_column_is_refused(store: Arc<dyn Lake>) {
    let shape = table_of(&store, schema(vec![column("id", "INTEGER")], &[])).await;
    let error = refusal(&store, &shape, rows(["id", "other"], &[[Some("1"), Some("2")]])).await;
    let WriteError::Rows(RowsError::UnknownColumn { column, .. }) = error else { panic!("{error:?}") };
    assert_eq!(column, "other");
}

/// When rows break off, none of those that came before is kept.
pub async fn rows_that_break_off_leave_nothing(store: Arc<dyn Lake>) {
    let shape = table_of(&store, schema(vec![column("id", "INTEGER")], &[])).await;
    let broken = stream(vec![Ok(batch(["id"], &[[Some("1")]])), Err(RowsError::Interrupted)]);
    let error = refusal(&store, &shape, broken).await;
    assert!(matches!(error, WriteError::Rows(RowsError::Interrupted)), "{error:?}");
}

/// A key that is in the table already is refused, and told.
pub async fn a_key_in_the_table_is_refused(store: Arc<dyn Lake>) {
    let shape = table_of(&store, schema(vec![column("id", "INTEGER"), column("v", "VARCHAR")], &["id"])).await;
    let first = rows(["id", "v"], &[[Some("1"), Some("a")], [Some("2"), Some("b")]]);
    append(&store, "t", &shape, first).await;
    let again = rows(["id", "v"], &[[Some("3"), Some("c")], [Some("2"), Some("d")], [Some("01"), Some("e")]]);
    let (mut keys, count) = duplicates(&store, &shape, again).await;
    keys.sort_by_key(ToString::to_string);
    assert_eq!((keys, count), (vec![json!({ "id": 1 }), json!({ "id": 2 })], 2));
    append(&store, "t", &shape, rows(["id"], &[[Some("3")]])).await;
}

/// A key that comes twice in a request is refused, and counted once.
pub async fn a_key_twice_in_a_request_is_refused(store: Arc<dyn Lake>) {
    let shape = table_of(&store, schema(vec![column("id", "INTEGER")], &["id"])).await;
    let twice = source(vec![batch(["id"], &[[Some("7")], [Some("8")], [Some("7")]]), batch(["id"], &[[Some("7")]])]);
    assert_eq!(duplicates(&store, &shape, twice).await, (vec![json!({ "id": 7 })], 1));
}

/// A key of several columns is one value: rows may share a part of it.
pub async fn a_key_of_several_columns_is_one_value(store: Arc<dyn Lake>) {
    let shape = table_of(&store, schema(vec![column("a", "VARCHAR"), column("b", "INTEGER")], &["b", "a"])).await;
    append(&store, "t", &shape, rows(["a", "b"], &[[Some("x"), Some("1")], [Some("x"), Some("2")]])).await;
    append(&store, "t", &shape, rows(["a", "b"], &[[Some("y"), Some("1")]])).await;
    let again = rows(["a", "b"], &[[Some("y"), Some("2")], [Some("x"), Some("1")]]);
    assert_eq!(duplicates(&store, &shape, again).await, (vec![json!({ "b": 1, "a": "x" })], 1));
}

/// Without a key rows may be alike.
pub async fn without_a_key_rows_may_be_alike(store: Arc<dyn Lake>) {
    let shape = table_of(&store, schema(vec![column("id", "INTEGER")], &[])).await;
    assert_eq!(append(&store, "t", &shape, rows(["id"], &[[Some("1")], [Some("1")]])).await.rows.inserted, 2);
}

/// Rows for a table that isn't there any more are refused.
pub async fn a_missing_table_takes_no_rows(store: Arc<dyn Lake>) {
    let shape = table_of(&store, schema(vec![column("id", "INTEGER")], &[])).await;
    write(&store, LakeWrite::drop_table(table("t"))).await;
    for name in ["t", "none.t"] {
        let rows = rows(["id"], &[[Some("1")]]);
        let error = refused(&store, LakeWrite::append(table(name), shape.clone(), rows)).await;
        assert!(matches!(error, WriteError::NoTable), "{error:?}");
    }
}

/// Rows that were made for other columns than the table has by now are refused.
pub async fn a_changed_table_takes_no_old_rows(store: Arc<dyn Lake>) {
    let old = table_of(&store, schema(vec![column("id", "INTEGER")], &[])).await;
    let others = [
        schema(vec![column("id", "BIGINT")], &[]),
        schema(vec![column("other", "INTEGER")], &[]),
        schema(vec![required("id", "INTEGER")], &[]),
        schema(vec![column("id", "INTEGER"), column("more", "INTEGER")], &[]),
    ];
    for new in others {
        write(&store, LakeWrite::drop_table(table("t"))).await;
        make_table(&store, "t", new).await;
        let error = refusal(&store, &old, rows(["id"], &[[Some("1")]])).await;
        assert!(matches!(error, WriteError::TableChanged), "{error:?}");
    }
}
