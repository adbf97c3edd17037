//! Rows that are deleted and changed.

use std::sync::Arc;

use gadwall_domain::commit::{Change, RowCounts};
use gadwall_domain::filter::{Comparison, Filter};
use gadwall_domain::ports::lake::{Lake, LoadMode, WriteError};
use serde_json::json;

use super::{delete_write, head, last_change, load, people, refused, rows_of, stored, update_write, write};
use crate::testing::builders::{assign, column_name, compare, equals, rows, table};

/// A delete takes what the filter means, and nothing else.
pub async fn a_delete_takes_what_the_filter_means(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let filter = Filter::Any(vec![equals("id", "1"), Filter::IsNull { column: column_name("n") }]);
    let done = write(&store, delete_write(&shape, Some(filter))).await;
    assert_eq!(done.rows, RowCounts { deleted: 2, ..RowCounts::default() });
    assert_eq!(rows_of(&store, "t").await, ["3|NULL|30"]);
    assert_eq!(stored(&store, "t").await.size.row_count, 1);
    assert_eq!(last_change(&store).await, Change::RowsDeleted { table: table("t"), rows: 2 });
    // Its keys are free again.
    load(&store, &shape, LoadMode::Append, rows(["id"], &[[Some("1")]])).await;
    assert_eq!(rows_of(&store, "t").await, ["1|NULL|NULL", "3|NULL|30"]);
}

/// A truncated table is empty and stays, with its columns and its rules.
pub async fn a_truncated_table_stays(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let columns = stored(&store, "t").await.columns;
    let done = write(&store, delete_write(&shape, None)).await;
    assert_eq!(done.rows, RowCounts { deleted: 3, ..RowCounts::default() });
    assert_eq!(last_change(&store).await, Change::TableTruncated { table: table("t"), rows: 3 });
    let found = stored(&store, "t").await;
    assert_eq!((found.columns, found.size.row_count), (columns, 0));
    load(&store, &shape, LoadMode::Append, rows(["id"], &[[Some("1")], [Some("2")]])).await;
    assert_eq!(rows_of(&store, "t").await, ["1|NULL|NULL", "2|NULL|NULL"]);
}

/// An update changes what the filter means, and only the columns that it sets.
pub async fn an_update_changes_what_the_filter_means(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let before = head(&store).await;
    let set = vec![assign("N", Some("-7")), assign("name", None)];
    let done = write(&store, update_write(&shape, Some(compare("id", Comparison::Ge, "2")), set)).await;
    assert_eq!(done.rows, RowCounts { updated: 2, ..RowCounts::default() });
    assert_eq!(done.snapshot.get(), before.get() + 1);
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10", "2|NULL|-7", "3|NULL|-7"]);
    assert_eq!(last_change(&store).await, Change::RowsUpdated { table: table("t"), rows: 2 });
    let all = write(&store, update_write(&shape, None, vec![assign("name", Some("it's \"x\""))])).await;
    assert_eq!(all.rows.updated, 3);
    assert_eq!(rows_of(&store, "t").await, ["1|it's \"x\"|10", "2|it's \"x\"|-7", "3|it's \"x\"|-7"]);
    assert_eq!(stored(&store, "t").await.size.row_count, 3);
}

/// An update to values that their columns can't hold is refused, whatever rows are meant.
pub async fn an_update_that_breaks_a_rule_is_refused(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let bad = [
        assign("n", Some("many")),
        assign("n", Some("1.5")),
        assign("n", Some("3000000000")),
        assign("n", Some("")),
        assign("name", Some("far too long for it")),
        assign("id", None),
        assign("none", Some("1")),
    ];
    for (assignment, filter) in bad.into_iter().zip([None, Some(equals("id", "99"))].into_iter().cycle()) {
        let what = format!("{assignment:?}");
        let error = refused(&store, update_write(&shape, filter, vec![assignment])).await;
        assert!(matches!(error, WriteError::BadFilter(_)), "{what}: {error:?}");
    }
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10", "2|bob|NULL", "3|NULL|30"]);
}

/// An update after which two rows would share a key is refused, and told the key.
pub async fn an_update_that_breaks_the_key_is_refused(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    for (filter, key) in [(Some(equals("id", "1")), "2"), (None, "9")] {
        let error = refused(&store, update_write(&shape, filter, vec![assign("id", Some(key))])).await;
        let WriteError::DuplicateKeys { first, count } = error else { panic!("{error:?}") };
        assert_eq!((first, count), (vec![json!({ "id": key.parse::<i32>().unwrap() })], 1));
    }
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10", "2|bob|NULL", "3|NULL|30"]);
}

/// A key may change to one that is free, or stay what it is.
pub async fn a_key_may_change_to_a_free_one(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    write(&store, update_write(&shape, Some(equals("id", "1")), vec![assign("id", Some("7"))])).await;
    write(&store, update_write(&shape, Some(equals("id", "2")), vec![assign("id", Some("2"))])).await;
    write(&store, update_write(&shape, Some(equals("id", "3")), vec![assign("id", Some("1"))])).await;
    assert_eq!(rows_of(&store, "t").await, ["1|NULL|30", "2|bob|NULL", "7|ann|10"]);
}

/// There is nothing to edit in a table that isn't there.
pub async fn an_edit_of_a_missing_table_is_refused(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    write(&store, gadwall_domain::ports::lake::LakeWrite::drop_table(table("t"))).await;
    let edits = [
        delete_write(&shape, None),
        delete_write(&shape, Some(equals("id", "1"))),
        update_write(&shape, None, vec![assign("n", None)]),
    ];
    for edit in edits {
        let error = refused(&store, edit).await;
        assert!(matches!(error, WriteError::NoTable), "{error:?}");
    }
}
