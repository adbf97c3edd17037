//! Tables that get another name, become what they were, come back; rows that are erased.

use std::sync::Arc;

use gadwall_domain::alteration::Alteration;
use gadwall_domain::commit::{Change, RowCounts};
use gadwall_domain::filter::Filter;
use gadwall_domain::history::{Expected, ReadAt, TableVersion};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{Lake, LakeWrite, LoadMode, Purge, PurgeError, PurgeReport, WriteError};
use gadwall_domain::query::QueryError;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::selection::Selection;

use super::{
    LAKE, alter_write, append, delete_write, fresh_lake, head, last_change, load, load_write, make_bucket, make_table,
    people, refused, rows_at, rows_of, selected, snapshot, stored, update_write, write,
};
use crate::testing::builders::{
    assign, bucket, column, column_name, compare, equals, lake, origin, rows, schema, table,
};

const PEOPLE: [&str; 3] = ["1|ann|10", "2|bob|NULL", "3|NULL|30"];

fn rename(from: &str, to: &str) -> LakeWrite {
    LakeWrite::RenameTable { table: table(from), to: table(to).table, expected: Expected::ANY }
}

fn restore(name: &str, from: SnapshotId, schema: &TableSchema) -> LakeWrite {
    LakeWrite::Restore { table: table(name), from, schema: schema.clone(), expected: Expected::ANY }
}

fn undelete(name: &str, from: SnapshotId, schema: &TableSchema) -> LakeWrite {
    LakeWrite::Undelete { table: table(name), from, schema: schema.clone() }
}

/// A renamed table is there under its new name only, with its rows; in old versions it has its old one.
pub async fn a_renamed_table_keeps_its_rows_and_history(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let before = head(&store).await;
    let filled = stored(&store, "t").await.version.rows;
    let done = write(&store, rename("T", "Renamed-1")).await;
    assert_eq!((done.snapshot.get(), done.rows), (before.get() + 1, RowCounts::default()));
    let told = Change::TableRenamed { table: table("t"), to: table("renamed-1") };
    assert_eq!(last_change(&store).await, told);
    assert_eq!(rows_of(&store, "renamed-1").await, PEOPLE);
    let found = stored(&store, "RENAMED-1").await;
    assert_eq!(found.name.to_string(), "main.Renamed-1");
    assert_eq!(found.version, TableVersion { schema: done.snapshot, rows: filled });
    let error = selected(&store, "t", Selection::default(), ReadAt::Head).await.unwrap_err();
    assert!(matches!(error, QueryError::UnknownTable { .. }), "{error:?}");
    assert_eq!(rows_at(&store, "t", ReadAt::Snapshot(before)).await, PEOPLE);
    let error = selected(&store, "renamed-1", Selection::default(), ReadAt::Snapshot(before)).await.unwrap_err();
    assert!(matches!(error, QueryError::UnknownTable { .. }), "{error:?}");
    // Its old name is free, and it isn't dropped.
    assert!(store.dropped(lake(LAKE), None).await.unwrap().is_empty());
    make_table(&store, "t", shape.clone()).await;
    append(&store, "renamed-1", &shape, rows(["id"], &[[Some("4")]])).await;
    assert!(rows_of(&store, "t").await.is_empty());
}

/// A table isn't renamed to a name that is taken, nor one that isn't there.
pub async fn a_rename_to_a_taken_name_is_refused(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    make_table(&store, "u", shape.clone()).await;
    for taken in ["u", "U", "t", "T"] {
        let error = refused(&store, rename("t", taken)).await;
        assert!(matches!(error, WriteError::TableExists), "{taken}: {error:?}");
    }
    for missing in ["none", "none.t"] {
        let error = refused(&store, rename(missing, "new")).await;
        assert!(matches!(error, WriteError::NoTable), "{missing}: {error:?}");
    }
    let stale = Expected { schema: Some(SnapshotId::ZERO), rows: None };
    let error =
        refused(&store, LakeWrite::RenameTable { table: table("t"), to: table("new").table, expected: stale }).await;
    assert!(matches!(error, WriteError::NotExpected { .. }), "{error:?}");
}

/// A restored table has its rows, columns and rules of then; what was in between can still be read.
pub async fn a_restored_table_is_what_it_was(store: Arc<dyn Lake>) {
    let then = people(&store).await;
    let from = head(&store).await;
    let alteration = Alteration::RenameColumn { column: column_name("n"), to: column_name("m") };
    let between = alteration.apply(&then).unwrap();
    write(&store, alter_write(&then, alteration)).await;
    let alteration = Alteration::DropColumn { column: column_name("name") };
    let now = alteration.apply(&between).unwrap();
    write(&store, alter_write(&between, alteration)).await;
    write(&store, delete_write(&now, Some(equals("id", "1")))).await;
    append(&store, "t", &now, rows(["id"], &[[Some("5")], [Some("6")]])).await;
    let (before, was) = (head(&store).await, rows_of(&store, "t").await);
    assert_eq!(store.dry_run(lake(LAKE), restore("t", from, &then)).await.unwrap(), counts(3, 4));
    assert_eq!(head(&store).await, before);
    let done = write(&store, restore("t", from, &then)).await;
    assert_eq!((done.snapshot.get(), done.rows), (before.get() + 1, counts(3, 4)));
    let told = Change::TableRestored {
        table: table("t"),
        from,
        columns: then.columns().to_vec(),
        primary_key: then.key_columns().to_vec(),
        inserted: 3,
        deleted: 4,
    };
    assert_eq!(last_change(&store).await, told);
    assert_eq!(rows_of(&store, "t").await, PEOPLE);
    let found = stored(&store, "t").await;
    assert_eq!(found.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["id", "name", "n"]);
    assert_eq!(found.version, TableVersion { schema: done.snapshot, rows: done.snapshot });
    assert_eq!(found.size.row_count, 3);
    assert_eq!(rows_at(&store, "t", ReadAt::Snapshot(before)).await, was);
    // It goes on from there, and back again.
    load(&store, &then, LoadMode::Upsert, rows(["id"], &[[Some("1")]])).await;
    assert_eq!(rows_of(&store, "t").await, ["1|NULL|NULL", "2|bob|NULL", "3|NULL|30"]);
    write(&store, restore("t", before, &now)).await;
    assert_eq!(rows_of(&store, "t").await, was);
}

fn counts(inserted: u64, deleted: u64) -> RowCounts {
    RowCounts { inserted, updated: 0, deleted }
}

/// A table that had another name then is restored as well, and keeps its name.
pub async fn a_renamed_table_is_restored_to_before_its_renaming(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let from = head(&store).await;
    write(&store, delete_write(&shape, None)).await;
    write(&store, rename("t", "u")).await;
    write(&store, restore("u", from, &shape)).await;
    assert_eq!(rows_of(&store, "u").await, PEOPLE);
    assert!(selected(&store, "t", Selection::default(), ReadAt::Head).await.is_err());
}

/// A restore to what isn't there, of another version, or to another shape is refused.
pub async fn a_restore_that_does_not_fit_is_refused(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let empty = head(&store).await;
    let shape = make_table(&store, "t", schema(vec![column("id", "INTEGER")], &[])).await;
    let made = head(&store).await;
    let future = snapshot(made.get() + 1);
    let error = refused(&store, restore("t", future, &shape)).await;
    assert!(matches!(error, WriteError::NoSnapshot), "{error:?}");
    let error = refused(&store, restore("t", empty, &shape)).await;
    assert!(matches!(error, WriteError::NoTable), "{error:?}");
    let error = refused(&store, restore("none", made, &shape)).await;
    assert!(matches!(error, WriteError::NoTable), "{error:?}");
    let other = schema(vec![column("id", "BIGINT")], &[]);
    let error = refused(&store, restore("t", made, &other)).await;
    assert!(matches!(error, WriteError::TableChanged), "{error:?}");
    let expected = Expected { schema: None, rows: Some(empty) };
    let stale = LakeWrite::Restore { table: table("t"), from: made, schema: shape, expected };
    let error = refused(&store, stale).await;
    assert!(matches!(error, WriteError::NotExpected { .. }), "{error:?}");
}

/// A dropped table is listed, and comes back as it was; then it isn't listed any more.
pub async fn a_dropped_table_comes_back(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    make_bucket(&store, "Sales").await;
    let shape = make_table(&store, "Sales.Orders", schema(vec![column("id", "INTEGER")], &["id"])).await;
    append(&store, "sales.orders", &shape, rows(["id"], &[[Some("1")], [Some("2")]])).await;
    let last = head(&store).await;
    let gone = write(&store, LakeWrite::drop_table(table("sales.orders"))).await.snapshot;
    let listed = store.dropped(lake(LAKE), Some(bucket("sales"))).await.unwrap();
    let commit = store.snapshot(lake(LAKE), gone).await.unwrap().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].name.to_string().as_str(), listed[0].last), ("Sales.Orders", last));
    assert_eq!(listed[0].dropped_at, commit.committed_at);
    assert!(store.dropped(lake(LAKE), Some(bucket("main"))).await.unwrap().is_empty());
    let done = write(&store, undelete("Sales.Orders", last, &shape)).await;
    assert_eq!((done.snapshot.get(), done.rows), (gone.get() + 1, counts(2, 0)));
    let told = Change::TableUndeleted {
        table: table("Sales.Orders"),
        from: last,
        columns: shape.columns().to_vec(),
        primary_key: shape.key_columns().to_vec(),
        rows: 2,
    };
    assert_eq!(last_change(&store).await, told);
    assert_eq!(rows_of(&store, "sales.orders").await, ["1", "2"]);
    assert!(store.dropped(lake(LAKE), None).await.unwrap().is_empty());
    append(&store, "sales.orders", &shape, rows(["id"], &[[Some("3")]])).await;
    assert_eq!(stored(&store, "sales.orders").await.size.row_count, 3);
}

/// A table comes back only where nothing has its name, into a bucket that is there, from a version that shows it.
pub async fn a_table_comes_back_only_where_there_is_a_place(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let empty = head(&store).await;
    make_bucket(&store, "a").await;
    let shape = make_table(&store, "a.t", schema(vec![column("id", "INTEGER")], &[])).await;
    let last = head(&store).await;
    let error = refused(&store, undelete("a.T", last, &shape)).await;
    assert!(matches!(error, WriteError::TableExists), "{error:?}");
    write(&store, LakeWrite::DropBucket { bucket: bucket("a"), cascade: true }).await;
    let error = refused(&store, undelete("a.t", last, &shape)).await;
    assert!(matches!(error, WriteError::NoBucket), "{error:?}");
    make_bucket(&store, "a").await;
    let error = refused(&store, undelete("a.t", empty, &shape)).await;
    assert!(matches!(error, WriteError::NoTable), "{error:?}");
    let error = refused(&store, undelete("a.t", snapshot(99), &shape)).await;
    assert!(matches!(error, WriteError::NoSnapshot), "{error:?}");
    write(&store, undelete("a.t", last, &shape)).await;
    let other = make_table(&store, "a.u", schema(vec![column("v", "INTEGER")], &[])).await;
    write(&store, LakeWrite::drop_table(table("a.u"))).await;
    make_table(&store, "a.u", other).await;
    assert!(store.dropped(lake(LAKE), None).await.unwrap().is_empty(), "a name that is taken isn't listed");
}

async fn purge(
    store: &Arc<dyn Lake>,
    schema: &TableSchema,
    filter: Option<Filter>,
    held: Vec<SnapshotId>,
) -> Result<PurgeReport, PurgeError> {
    let purge = Purge { table: table("t"), schema: schema.clone(), filter };
    store.purge(lake(LAKE), purge, held, origin("r1")).await
}

/// Purged rows are in no version: those that showed them are gone, whatever the rows were then.
pub async fn purged_rows_are_in_no_version(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let start = head(&store).await.get();
    write(&store, update_write(&shape, Some(equals("id", "2")), vec![assign("name", Some("ben"))])).await;
    append(&store, "t", &shape, rows(["id", "name"], &[[Some("4"), Some("bob")]])).await;
    write(&store, delete_write(&shape, Some(equals("id", "4")))).await;
    make_bucket(&store, "a").await;
    let report = purge(&store, &shape, Some(equals("name", "ben")), Vec::new()).await.unwrap();
    assert_eq!(report.rows, 1);
    assert_eq!(report.snapshot, head(&store).await);
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10", "3|NULL|30"]);
    assert!(report.expired.is_sorted());
    for number in start..=start + 4 {
        let gone = snapshot(number);
        assert!(report.expired.contains(&gone), "{number} in {:?}", report.expired);
        assert_eq!(store.snapshot(lake(LAKE), gone).await.unwrap(), None);
        let error = selected(&store, "t", Selection::default(), ReadAt::Snapshot(gone)).await.unwrap_err();
        assert!(matches!(error, QueryError::NoSnapshot(_)), "{error:?}");
    }
    // What goes on from here is as always.
    append(&store, "t", &shape, rows(["id"], &[[Some("2")]])).await;
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10", "2|NULL|NULL", "3|NULL|30"]);
    assert_eq!(stored(&store, "t").await.size.row_count, 3);
}

/// A purge of rows that are only in older versions lets those go.
pub async fn rows_deleted_before_are_purged_as_well(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let shown = head(&store).await;
    write(&store, delete_write(&shape, Some(compare("id", gadwall_domain::filter::Comparison::Le, "2")))).await;
    let report = purge(&store, &shape, Some(equals("name", "ann")), Vec::new()).await.unwrap();
    assert_eq!(report.rows, 0);
    assert!(report.expired.contains(&shown), "{:?}", report.expired);
    assert_eq!(store.snapshot(lake(LAKE), shown).await.unwrap(), None);
    assert_eq!(rows_of(&store, "t").await, ["3|NULL|30"]);
}

/// A purge that would take a snapshot that is held is refused, and does nothing.
pub async fn a_held_snapshot_refuses_a_purge(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let shown = head(&store).await;
    make_bucket(&store, "a").await;
    let before = head(&store).await;
    let error = purge(&store, &shape, Some(equals("id", "1")), vec![SnapshotId::ZERO, shown]).await.unwrap_err();
    assert!(matches!(error, PurgeError::Held(held) if held == shown), "{error:?}");
    assert_eq!(head(&store).await, before);
    assert_eq!(rows_at(&store, "t", ReadAt::Snapshot(shown)).await, PEOPLE);
    assert_eq!(rows_of(&store, "t").await, PEOPLE);
}

/// A purge of a table that isn't there, or by a filter that doesn't fit, is refused.
pub async fn a_purge_that_does_not_fit_is_refused(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let error = purge(&store, &shape, Some(equals("none", "1")), Vec::new()).await.unwrap_err();
    assert!(matches!(error, PurgeError::Write(WriteError::BadFilter(_))), "{error:?}");
    write(&store, LakeWrite::drop_table(table("t"))).await;
    let error = purge(&store, &shape, None, Vec::new()).await.unwrap_err();
    assert!(matches!(error, PurgeError::Write(WriteError::NoTable)), "{error:?}");
}

/// A time whose snapshot is gone has none, not an older one in its place.
pub async fn a_time_whose_snapshot_is_gone_has_none(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let shown = store.snapshot(lake(LAKE), head(&store).await).await.unwrap().unwrap();
    let next = store.commits_after(lake(LAKE), shown.snapshot, 1).await.unwrap();
    assert!(next.is_empty());
    let report = purge(&store, &shape, None, Vec::new()).await.unwrap();
    assert!(report.expired.contains(&shown.snapshot));
    if let Some(found) = store.snapshot_at(lake(LAKE), shown.committed_at).await.unwrap() {
        // Only where the clock didn't move in between.
        let commit = store.snapshot(lake(LAKE), found).await.unwrap().unwrap();
        assert!(commit.committed_at <= shown.committed_at && found > shown.snapshot, "{found}");
    }
    let refilled = load_write(&shape, LoadMode::Append, rows(["id"], &[[Some("1")]]));
    write(&store, refilled).await;
    assert_eq!(rows_of(&store, "t").await, ["1|NULL|NULL"]);
}

/// Files can't become part of a table that isn't there, nor when they aren't.
pub async fn files_that_are_not_there_are_refused(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let file = gadwall_domain::ports::lake::EngineFile {
        location: "/nowhere/at-all/x.parquet".to_owned(),
        name: "exports/x.parquet".to_owned(),
    };
    let register =
        LakeWrite::RegisterFiles { table: table("t"), schema: shape, files: vec![file], expected: Expected::ANY };
    let error = refused(&store, register).await;
    let WriteError::BadFile { file, reason } = error else { panic!("{error:?}") };
    assert_eq!(file, "exports/x.parquet");
    assert!(!reason.contains("nowhere"), "{reason}");
    assert_eq!(rows_of(&store, "t").await, PEOPLE);
}
