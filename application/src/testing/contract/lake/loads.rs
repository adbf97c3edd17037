//! Rows that take the place of others, and what holds for every write of rows.

use std::sync::Arc;

use gadwall_domain::commit::{Change, RowCounts};
use gadwall_domain::history::Expected;
use gadwall_domain::ports::lake::{Lake, LakeWrite, LoadMode, WriteError};
use serde_json::json;

use super::{
    LAKE, delete_write, fresh_lake, head, last_change, load, load_write, make_table, people, refused, rows_of,
    snapshot, stored, update_write, write,
};
use crate::testing::builders::{assign, batch, column, defaulted, equals, lake, origin, rows, schema, source, table};

/// An upsert replaces the rows whose keys are there, adds the others, and leaves the rest alone.
pub async fn an_upsert_replaces_known_keys_and_adds_the_rest(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let before = head(&store).await;
    let given = [[Some("2"), Some("ben"), Some("20")], [Some("4"), Some("dan"), None]];
    let done = load(&store, &shape, LoadMode::Upsert, rows(["id", "name", "n"], &given)).await;
    assert_eq!(done.rows, RowCounts { inserted: 1, updated: 1, deleted: 0 });
    assert_eq!(done.snapshot.get(), before.get() + 1, "one snapshot");
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10", "2|ben|20", "3|NULL|30", "4|dan|NULL"]);
    assert_eq!(stored(&store, "t").await.size.row_count, 4);
    assert_eq!(last_change(&store).await, Change::RowsUpserted { table: table("t"), inserted: 1, updated: 1 });
    // A row that is the same as before counts as well.
    let again = load(&store, &shape, LoadMode::Upsert, rows(["id", "name", "n"], &given)).await;
    assert_eq!(again.rows, RowCounts { inserted: 0, updated: 2, deleted: 0 });
}

/// Of rows that share a key in an upsert the last one wins, from batch to batch; each key counts once.
pub async fn the_last_row_of_a_key_wins_in_an_upsert(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let first = batch(["id", "name"], &[[Some("1"), Some("x")], [Some("9"), Some("a")], [Some("9"), Some("b")]]);
    let second = batch(["id", "name"], &[[Some("09"), Some("c")], [Some("1"), Some("y")]]);
    let done = load(&store, &shape, LoadMode::Upsert, source(vec![first, second])).await;
    assert_eq!(done.rows, RowCounts { inserted: 1, updated: 1, deleted: 0 });
    assert_eq!(rows_of(&store, "t").await, ["1|y|NULL", "2|bob|NULL", "3|NULL|30", "9|c|NULL"]);
}

/// An upserted row takes the other's place as a whole: what it doesn't mention gets its default, or NULL.
pub async fn an_upserted_row_is_a_whole_row(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let columns = vec![column("id", "INTEGER"), defaulted("state", "VARCHAR", "'new'"), column("n", "INTEGER")];
    let shape = make_table(&store, "t", schema(columns, &["id"])).await;
    super::append(&store, "t", &shape, rows(["id", "state", "n"], &[[Some("1"), Some("old"), Some("5")]])).await;
    load(&store, &shape, LoadMode::Upsert, rows(["id"], &[[Some("1")], [Some("2")]])).await;
    assert_eq!(rows_of(&store, "t").await, ["1|new|NULL", "2|new|NULL"]);
}

/// An upsert into a table without a key is refused.
pub async fn an_upsert_needs_a_key(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let shape = make_table(&store, "t", schema(vec![column("id", "INTEGER")], &[])).await;
    let error = refused(&store, load_write(&shape, LoadMode::Upsert, rows(["id"], &[[Some("1")]]))).await;
    assert!(matches!(error, WriteError::NoKey), "{error:?}");
}

/// Upserted and replacing rows must fit the table, all of them: also those that another one would replace.
pub async fn an_upsert_is_held_to_the_tables_rules(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    for mode in [LoadMode::Upsert, LoadMode::Replace] {
        let bad = [[Some("7"), Some("far too long for it")], [Some("7"), Some("x")], [None, Some("y")]];
        let error = refused(&store, load_write(&shape, mode, rows(["id", "name"], &bad))).await;
        let WriteError::Violations(found) = error else { panic!("{error:?}") };
        assert_eq!(found.first().iter().map(|violation| violation.row).collect::<Vec<_>>(), [1, 3]);
    }
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10", "2|bob|NULL", "3|NULL|30"]);
}

/// A replace leaves only the new rows, in one snapshot.
pub async fn a_replace_leaves_only_the_new_rows(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let before = head(&store).await;
    let given = rows(["n", "id"], &[[Some("7"), Some("2")], [None, Some("5")]]);
    let done = load(&store, &shape, LoadMode::Replace, given).await;
    assert_eq!(done.rows, RowCounts { inserted: 2, updated: 0, deleted: 3 });
    assert_eq!(done.snapshot.get(), before.get() + 1);
    assert_eq!(rows_of(&store, "t").await, ["2|NULL|7", "5|NULL|NULL"]);
    assert_eq!(stored(&store, "t").await.size.row_count, 2);
    assert_eq!(last_change(&store).await, Change::RowsReplaced { table: table("t"), inserted: 2, deleted: 3 });
}

/// A replace with a key that comes twice is refused; keys that were there are no matter.
pub async fn a_replace_with_a_key_twice_is_refused(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let twice = rows(["id"], &[[Some("1")], [Some("8")], [Some("8")]]);
    let error = refused(&store, load_write(&shape, LoadMode::Replace, twice)).await;
    let WriteError::DuplicateKeys { first, count } = error else { panic!("{error:?}") };
    assert_eq!((first, count), (vec![json!({ "id": 8 })], 1));
    assert_eq!(stored(&store, "t").await.size.row_count, 3);
}

/// A replace without rows leaves an empty table.
pub async fn a_replace_without_rows_empties_the_table(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let done = load(&store, &shape, LoadMode::Replace, rows(["id"], &[])).await;
    assert_eq!(done.rows, RowCounts { inserted: 0, updated: 0, deleted: 3 });
    assert!(rows_of(&store, "t").await.is_empty());
}

/// What touches no row is answered with the newest snapshot, and makes none.
pub async fn what_touches_no_row_makes_no_snapshot(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let start = head(&store).await;
    let none = Some(equals("id", "99"));
    let nothing = [
        load_write(&shape, LoadMode::Append, rows(["id"], &[])),
        load_write(&shape, LoadMode::Upsert, rows(["id"], &[])),
        delete_write(&shape, none.clone()),
        update_write(&shape, none, vec![assign("n", None)]),
    ];
    for nothing in nothing {
        let what = format!("{nothing:?}");
        let done = write(&store, nothing).await;
        assert_eq!((done.snapshot, done.rows), (start, RowCounts::default()), "{what}");
    }
    let emptied = write(&store, delete_write(&shape, None)).await;
    for nothing in [delete_write(&shape, None), load_write(&shape, LoadMode::Replace, rows(["id"], &[]))] {
        let done = write(&store, nothing).await;
        assert_eq!((done.snapshot, done.rows), (emptied.snapshot, RowCounts::default()));
    }
    assert_eq!(head(&store).await, emptied.snapshot);
}

/// A dry run says what the write would touch, and changes nothing.
pub async fn a_dry_run_changes_nothing_and_counts(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let start = head(&store).await;
    let given = || rows(["id", "n"], &[[Some("3"), None], [Some("4"), Some("1")], [Some("4"), Some("2")]]);
    let counts = |inserted, updated, deleted| RowCounts { inserted, updated, deleted };
    let runs = [
        (load_write(&shape, LoadMode::Append, rows(["id"], &[[Some("7")], [Some("8")]])), counts(2, 0, 0)),
        (load_write(&shape, LoadMode::Upsert, given()), counts(1, 1, 0)),
        (load_write(&shape, LoadMode::Replace, rows(["id"], &[[Some("1")]])), counts(1, 0, 3)),
        (delete_write(&shape, Some(equals("name", "bob"))), counts(0, 0, 1)),
        (delete_write(&shape, None), counts(0, 0, 3)),
        (update_write(&shape, Some(equals("n", "10")), vec![assign("n", Some("11"))]), counts(0, 1, 0)),
        (LakeWrite::drop_table(table("t")), counts(0, 0, 0)),
        (LakeWrite::create_table(table("u"), shape.clone()), counts(0, 0, 0)),
    ];
    for (run, expected) in runs {
        let what = format!("{run:?}");
        assert_eq!(store.dry_run(lake(LAKE), run).await.unwrap(), expected, "{what}");
    }
    assert_eq!(head(&store).await, start);
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10", "2|bob|NULL", "3|NULL|30"]);
}

/// A dry run is refused where the write would be.
pub async fn a_dry_run_is_refused_like_the_write(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let dry = async |write| store.dry_run(lake(LAKE), write).await.unwrap_err();
    let error = dry(load_write(&shape, LoadMode::Append, rows(["id"], &[[Some("1")], [Some("7")]]))).await;
    assert!(matches!(error, WriteError::DuplicateKeys { count: 1, .. }), "{error:?}");
    let error = dry(load_write(&shape, LoadMode::Upsert, rows(["id"], &[[Some("x")]]))).await;
    assert!(matches!(&error, WriteError::Violations(found) if found.count() == 1), "{error:?}");
    let error = dry(delete_write(&shape, Some(equals("none", "1")))).await;
    assert!(matches!(error, WriteError::BadFilter(_)), "{error:?}");
    let error = dry(LakeWrite::create_table(table("T"), shape.clone())).await;
    assert!(matches!(error, WriteError::TableExists), "{error:?}");
    let error = dry(LakeWrite::drop_table(table("none"))).await;
    assert!(matches!(error, WriteError::NoTable), "{error:?}");
    // A refused dry run doesn't stand in the way of what follows.
    load(&store, &shape, LoadMode::Append, rows(["id"], &[[Some("7")]])).await;
}

/// A write that expects another version is refused, and told which one it is; one that expects this one is done.
pub async fn a_stale_expectation_is_refused(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let seen = stored(&store, "t").await.version;
    let writes = |expected: Expected| {
        let (table, schema) = (table("t"), shape.clone());
        let one = rows(["id"], &[[Some("1")]]);
        [
            LakeWrite::Load {
                table: table.clone(),
                schema: schema.clone(),
                mode: LoadMode::Upsert,
                rows: one,
                expected,
            },
            LakeWrite::Update {
                table: table.clone(),
                schema: schema.clone(),
                filter: None,
                set: vec![assign("n", Some("1"))],
                expected,
            },
            LakeWrite::Delete { table: table.clone(), schema, filter: None, expected },
            LakeWrite::DropTable { table, expected },
        ]
    };
    for stale in [
        Expected { schema: None, rows: Some(snapshot(seen.rows.get() - 1)) },
        Expected { schema: Some(snapshot(seen.schema.get() + 1)), rows: None },
        Expected { schema: Some(seen.schema), rows: Some(snapshot(seen.rows.get() + 1)) },
    ] {
        for write in writes(stale) {
            let error = refused(&store, write).await;
            assert!(matches!(error, WriteError::NotExpected { found } if found == seen), "{error:?}");
        }
    }
    for index in 0..4 {
        let version = stored(&store, "t").await.version;
        let fresh = Expected { schema: Some(version.schema), rows: Some(version.rows) };
        let next = writes(fresh).into_iter().nth(index).unwrap();
        store.write(lake(LAKE), next, origin("r1")).await.unwrap();
    }
}

/// Whatever is written for other columns than the table has is refused.
pub async fn a_write_for_another_shape_is_refused(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let other = schema(shape.columns()[..2].to_vec(), &["id"]);
    let writes = [
        load_write(&other, LoadMode::Upsert, rows(["id"], &[[Some("1")]])),
        load_write(&other, LoadMode::Replace, rows(["id"], &[[Some("1")]])),
        delete_write(&other, Some(equals("id", "1"))),
        update_write(&other, None, vec![assign("name", None)]),
        super::alter_write(&other, gadwall_domain::alteration::Alteration::DropPrimaryKey),
    ];
    for write in writes {
        let error = refused(&store, write).await;
        assert!(matches!(error, WriteError::TableChanged), "{error:?}");
    }
}
