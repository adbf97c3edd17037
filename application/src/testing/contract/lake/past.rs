//! Reading: the past, parts of a table, what happened to it, what it holds.

use std::sync::Arc;

use arrow_array::RecordBatch;
use futures_util::TryStreamExt as _;
use gadwall_domain::history::{ReadAt, TableVersion};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::layout::SortKey;
use gadwall_domain::ports::lake::{Lake, LakeWrite, LoadMode, SnapshotFilter};
use gadwall_domain::query::QueryError;
use gadwall_domain::selection::Selection;
use serde_json::json;

use super::{
    LAKE, PATIENCE, append, delete_write, fresh_lake, head, load, make_bucket, make_table, people, rows_at, rows_of,
    selected, snapshot, stored, update_write, write,
};
use crate::testing::builders::{assign, bucket, column, column_name, equals, lake, names, rows, schema, table};
use crate::testing::lines::lines;

/// A version reads as it was, whatever was written since.
pub async fn an_old_version_reads_as_it_was(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let mut versions = vec![(head(&store).await, rows_of(&store, "t").await)];
    let writes = [
        load_of(&shape, LoadMode::Append, "4"),
        load_of(&shape, LoadMode::Upsert, "1"),
        update_write(&shape, Some(equals("id", "2")), vec![assign("n", Some("2"))]),
        delete_write(&shape, Some(equals("id", "3"))),
        load_of(&shape, LoadMode::Replace, "9"),
        delete_write(&shape, None),
        LakeWrite::drop_table(table("t")),
    ];
    for next in writes {
        let dropped = matches!(next, LakeWrite::DropTable { .. });
        let done = write(&store, next).await;
        if !dropped {
            versions.push((done.snapshot, rows_of(&store, "t").await));
        }
    }
    assert_eq!(versions.len(), 7);
    for (snapshot, expected) in versions {
        assert_eq!(rows_at(&store, "t", ReadAt::Snapshot(snapshot)).await, expected, "snapshot {snapshot}");
        let at = ReadAt::Snapshot(snapshot);
        let then = store.table(lake(LAKE), &bucket("main"), &table("t").table, at).await.unwrap().unwrap();
        assert_eq!(then.size.row_count, expected.len() as u64);
        let (_, read_from) = store.rows(lake(LAKE), &table("t"), Selection::default(), at, PATIENCE).await.unwrap();
        assert_eq!(read_from, snapshot);
    }
}

fn load_of(shape: &gadwall_domain::schema::TableSchema, mode: LoadMode, id: &str) -> LakeWrite {
    super::load_write(shape, mode, rows(["id"], &[[Some(id)]]))
}

/// A version shows the buckets and tables that were there.
pub async fn an_old_version_shows_the_structure_of_then(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let empty = head(&store).await;
    make_bucket(&store, "sales").await;
    make_table(&store, "sales.t", schema(vec![column("id", "INTEGER")], &[])).await;
    let full = head(&store).await;
    let then = stored(&store, "sales.t").await;
    write(&store, LakeWrite::DropBucket { bucket: bucket("sales"), cascade: true }).await;
    let (was, is) = (ReadAt::Snapshot(full), ReadAt::Head);
    for (at, count) in [(ReadAt::Snapshot(empty), 0), (was, 1), (is, 0)] {
        assert_eq!(store.buckets(lake(LAKE), at).await.unwrap().len(), count);
    }
    let listed = store.buckets(lake(LAKE), was).await.unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].table_count), ("sales", 1));
    assert_eq!(store.tables(lake(LAKE), &bucket("sales"), was).await.unwrap(), Some(vec![then]));
    assert_eq!(store.tables(lake(LAKE), &bucket("sales"), is).await.unwrap(), None);
    assert_eq!(store.tables(lake(LAKE), &bucket("sales"), ReadAt::Snapshot(empty)).await.unwrap(), None);
}

/// A version that never was can't be read, and shows nothing; a table can't be read before it was made.
pub async fn a_version_that_never_was_is_refused(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let before = head(&store).await;
    let shape = make_table(&store, "t", schema(vec![column("id", "INTEGER")], &[])).await;
    append(&store, "t", &shape, rows(["id"], &[[Some("1")]])).await;
    let future = snapshot(head(&store).await.get() + 1);
    let read = async |at| selected(&store, "t", Selection::default(), ReadAt::Snapshot(at)).await.unwrap_err();
    assert!(matches!(read(future).await, QueryError::NoSnapshot(asked) if asked == future));
    assert!(matches!(read(before).await, QueryError::UnknownTable { .. }));
    assert_eq!(store.snapshot(lake(LAKE), future).await.unwrap(), None);
    let at = ReadAt::Snapshot(future);
    assert!(store.buckets(lake(LAKE), at).await.unwrap().is_empty());
    assert_eq!(store.tables(lake(LAKE), &bucket("main"), at).await.unwrap(), None);
    assert_eq!(store.table(lake(LAKE), &bucket("main"), &table("t").table, at).await.unwrap(), None);
    let changes = store.changes(lake(LAKE), &table("t"), before, future, None, PATIENCE).await;
    assert!(matches!(changes.unwrap_err(), QueryError::NoSnapshot(_)));
    let profile = store.profile(lake(LAKE), &table("t"), at, PATIENCE).await;
    assert!(matches!(profile.unwrap_err(), QueryError::NoSnapshot(_)));
}

/// A snapshot is found by its number, and as the newest of a time.
pub async fn snapshots_are_found_by_number_and_time(store: Arc<dyn Lake>) {
    people(&store).await;
    make_bucket(&store, "a").await;
    let all = store.commits_after(lake(LAKE), SnapshotId::ZERO, 100).await.unwrap();
    for commit in &all {
        assert_eq!(store.snapshot(lake(LAKE), commit.snapshot).await.unwrap().as_ref(), Some(commit));
        let newest = all.iter().rev().find(|other| other.committed_at <= commit.committed_at).unwrap().snapshot;
        assert_eq!(store.snapshot_at(lake(LAKE), commit.committed_at).await.unwrap(), Some(newest));
    }
    let last = all.last().unwrap();
    let later = last.committed_at + chrono::TimeDelta::days(1);
    assert_eq!(store.snapshot_at(lake(LAKE), later).await.unwrap(), Some(last.snapshot));
    let first = store.snapshot(lake(LAKE), SnapshotId::ZERO).await.unwrap().unwrap();
    assert!(first.writes.is_empty());
    let earlier = first.committed_at - chrono::TimeDelta::microseconds(1);
    assert_eq!(store.snapshot_at(lake(LAKE), earlier).await.unwrap(), None);
}

fn of(before: Option<SnapshotId>, name: Option<&str>, limit: u32) -> SnapshotFilter {
    SnapshotFilter { before, table: name.map(table), limit }
}

async fn numbers(store: &Arc<dyn Lake>, filter: SnapshotFilter) -> Vec<u64> {
    let listed = store.snapshots(lake(LAKE), filter).await.unwrap();
    listed.iter().map(|commit| commit.snapshot.get()).collect()
}

/// Snapshots are listed newest first, in pages.
pub async fn snapshots_are_listed_newest_first(store: Arc<dyn Lake>) {
    people(&store).await;
    make_bucket(&store, "a").await;
    let mut all = store.commits_after(lake(LAKE), SnapshotId::ZERO, 100).await.unwrap();
    all.reverse();
    let listed = store.snapshots(lake(LAKE), of(None, None, 100)).await.unwrap();
    assert!(listed.starts_with(&all), "snapshot 0 may follow");
    let newest = all[0].snapshot.get();
    assert_eq!(numbers(&store, of(None, None, 2)).await, [newest, newest - 1]);
    assert_eq!(numbers(&store, of(Some(snapshot(newest - 1)), None, 1)).await, [newest - 2]);
    assert!(numbers(&store, of(None, None, 0)).await.is_empty());
}

/// A table's snapshots are those that changed it, under whatever name.
pub async fn a_tables_snapshots_are_those_that_changed_it(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let filled = head(&store).await.get();
    let other = make_table(&store, "other", schema(vec![column("id", "INTEGER")], &[])).await;
    append(&store, "other", &other, rows(["id"], &[[Some("1")]])).await;
    let deleted = write(&store, delete_write(&shape, Some(equals("id", "1")))).await.snapshot.get();
    let rename = |from: &str, to: &str| LakeWrite::RenameTable {
        table: table(from),
        to: table(to).table,
        expected: gadwall_domain::history::Expected::ANY,
    };
    let renamed = write(&store, rename("t", "u")).await.snapshot.get();
    let expected = [renamed, deleted, filled, filled - 1];
    assert_eq!(numbers(&store, of(None, Some("U"), 100)).await, expected);
    assert_eq!(numbers(&store, of(Some(snapshot(deleted)), Some("u"), 1)).await, [filled]);
    let gone = write(&store, LakeWrite::drop_table(table("u"))).await.snapshot.get();
    assert_eq!(numbers(&store, of(None, Some("u"), 2)).await, [gone, renamed], "by its last name");
    assert!(numbers(&store, of(None, Some("never"), 100)).await.is_empty());
}

/// A table's version tells when its shape and its rows last changed.
pub async fn a_tables_version_tells_what_changed(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let filled = head(&store).await;
    let made = snapshot(filled.get() - 1);
    assert_eq!(stored(&store, "t").await.version, TableVersion { schema: made, rows: filled });
    make_bucket(&store, "a").await;
    assert_eq!(stored(&store, "t").await.version, TableVersion { schema: made, rows: filled });
    let upserted = load(&store, &shape, LoadMode::Upsert, rows(["id"], &[[Some("1")]])).await.snapshot;
    assert_eq!(stored(&store, "t").await.version, TableVersion { schema: made, rows: upserted });
    let deleted = write(&store, delete_write(&shape, Some(equals("id", "1")))).await.snapshot;
    assert_eq!(stored(&store, "t").await.version, TableVersion { schema: made, rows: deleted });
    let updated = write(&store, update_write(&shape, None, vec![assign("n", None)])).await.snapshot;
    assert_eq!(stored(&store, "t").await.version, TableVersion { schema: made, rows: updated });
    let cut = write(&store, delete_write(&shape, None)).await.snapshot;
    assert_eq!(stored(&store, "t").await.version, TableVersion { schema: made, rows: cut });
    let at = ReadAt::Snapshot(deleted);
    let then = store.table(lake(LAKE), &bucket("main"), &table("t").table, at).await.unwrap().unwrap();
    assert_eq!(then.version, TableVersion { schema: made, rows: deleted }, "as it was then");
}

fn by(name: &str, descending: bool, nulls_first: bool) -> SortKey {
    SortKey { column: column_name(name), descending, nulls_first }
}

/// A selection has the columns, the rows and the order that were asked for; its pages fit together.
pub async fn selections_have_columns_order_and_pages(store: Arc<dyn Lake>) {
    people(&store).await;
    let read = async |selection| selected(&store, "t", selection, ReadAt::Head).await.unwrap();
    let all = Selection::default;
    let ordered = |order_by| Selection { columns: Some(names(&["id"])), order_by, ..all() };
    let columns = Some(names(&["N", "id"]));
    let picked = Selection { columns, filter: Some(equals("id", "3")), ..all() };
    assert_eq!(read(picked).await, ["30|3"]);
    for at in [ReadAt::Head, ReadAt::Snapshot(head(&store).await)] {
        let twice = Selection { columns: Some(names(&["id", "n", "id"])), filter: Some(equals("id", "3")), ..all() };
        let (again, _) = store.rows(lake(LAKE), &table("t"), twice, at, PATIENCE).await.unwrap();
        let called: Vec<&str> = again.schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(called, ["id", "n", "id"], "they keep their names");
    }
    assert_eq!(read(ordered(vec![by("n", false, false)])).await, ["1", "3", "2"]);
    assert_eq!(read(ordered(vec![by("n", false, true)])).await, ["2", "1", "3"]);
    assert_eq!(read(ordered(vec![by("n", true, false)])).await, ["3", "1", "2"]);
    assert_eq!(read(ordered(vec![by("name", true, true), by("id", false, false)])).await, ["3", "2", "1"]);
    assert_eq!(read(Selection { limit: Some(1), offset: 1, ..ordered(vec![by("id", true, false)]) }).await, ["2"]);
    assert!(read(Selection { limit: Some(0), ..all() }).await.is_empty());
    assert!(read(Selection { limit: Some(5), offset: 3, ..all() }).await.is_empty());
    let mut pages = Vec::new();
    for offset in 0..4 {
        pages.extend(read(Selection { limit: Some(1), offset, ..all() }).await);
    }
    pages.sort();
    assert_eq!(pages, ["1|ann|10", "2|bob|NULL", "3|NULL|30"], "each row once");
}

/// A selection of columns that aren't there is refused.
pub async fn a_selection_that_does_not_fit_is_refused(store: Arc<dyn Lake>) {
    people(&store).await;
    let bad = [
        Selection { columns: Some(names(&["id", "none"])), ..Selection::default() },
        Selection { order_by: vec![by("none", false, false)], ..Selection::default() },
    ];
    for selection in bad {
        let error = selected(&store, "t", selection, ReadAt::Head).await.unwrap_err();
        assert!(matches!(error, QueryError::Sql(_)), "{error:?}");
    }
}

/// What happened in some snapshots, as lines without the rows' numbers.
async fn changes(store: &Arc<dyn Lake>, from: SnapshotId, to: SnapshotId, limit: Option<u64>) -> Vec<String> {
    let stream = store.changes(lake(LAKE), &table("t"), from, to, limit, PATIENCE).await.unwrap();
    let batches: Vec<RecordBatch> = stream.batches.try_collect().await.unwrap();
    let without_number = |batch: &RecordBatch| {
        let wanted: Vec<usize> = (0..batch.num_columns()).filter(|index| *index != 1).collect();
        assert_eq!(batch.schema().field(1).name(), "rowid");
        batch.project(&wanted).unwrap()
    };
    lines(&batches.iter().map(without_number).collect::<Vec<_>>())
}

/// Changes tell inserted, deleted and updated rows, with what updated ones were and are.
pub async fn changes_tell_what_happened_to_rows(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let filled = head(&store).await;
    let set = vec![assign("n", Some("11"))];
    let updated = write(&store, update_write(&shape, Some(equals("id", "1")), set)).await.snapshot;
    make_bucket(&store, "a").await;
    let deleted = write(&store, delete_write(&shape, Some(equals("id", "2")))).await.snapshot;
    let (f, u, d) = (filled.get(), updated.get(), deleted.get());
    let mut inserts = changes(&store, filled, filled, None).await;
    inserts.sort();
    let expected = [format!("{f}|insert|1|ann|10"), format!("{f}|insert|2|bob|NULL"), format!("{f}|insert|3|NULL|30")];
    assert_eq!(inserts, expected);
    let mut update = changes(&store, updated, updated, None).await;
    update.sort();
    assert_eq!(update, [format!("{u}|update_postimage|1|ann|11"), format!("{u}|update_preimage|1|ann|10")]);
    assert_eq!(changes(&store, deleted, deleted, None).await, [format!("{d}|delete|2|bob|NULL")]);
    let all = changes(&store, filled, head(&store).await, None).await;
    assert_eq!(all.len(), 6);
    let order: Vec<u64> = all.iter().map(|line| line.split('|').next().unwrap().parse().unwrap()).collect();
    assert!(order.is_sorted(), "oldest first: {order:?}");
    assert_eq!(changes(&store, filled, deleted, Some(4)).await, all[..4]);
    assert!(changes(&store, snapshot(d - 1), snapshot(d - 1), None).await.is_empty());
}

/// What upserts and replaces took and brought adds up to what the table holds.
pub async fn changes_of_upserts_and_replaces_add_up(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let before = head(&store).await;
    let mut now = rows_of(&store, "t").await;
    load(&store, &shape, LoadMode::Upsert, rows(["id", "n"], &[[Some("1"), Some("5")], [Some("6"), None]])).await;
    load(&store, &shape, LoadMode::Replace, rows(["id", "name"], &[[Some("1"), Some("x")], [Some("7"), None]])).await;
    let all = changes(&store, snapshot(before.get() + 1), head(&store).await, None).await;
    // Within a snapshot what goes may be told after what comes.
    for snapshot in before.get() + 1..=head(&store).await.get() {
        let told = |line: &String, kinds: [&str; 2]| {
            let mut parts = line.splitn(3, '|');
            let fits = parts.next() == Some(snapshot.to_string().as_str()) && kinds.contains(&parts.next()?);
            parts.next().filter(|_| fits).map(ToOwned::to_owned)
        };
        for gone in all.iter().filter_map(|line| told(line, ["delete", "update_preimage"])) {
            let at = now.iter().position(|row| *row == gone);
            now.remove(at.unwrap_or_else(|| panic!("{gone} was in {now:?}")));
        }
        now.extend(all.iter().filter_map(|line| told(line, ["insert", "update_postimage"])));
    }
    now.sort();
    assert_eq!(now, rows_of(&store, "t").await);
}

/// A profile counts values and NULLs, and knows smallest, largest and mean.
pub async fn a_profile_says_what_columns_hold(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let filled = head(&store).await;
    append(&store, "t", &shape, rows(["id", "name", "n"], &[[Some("4"), Some("bob"), Some("50")]])).await;
    let now = store.profile(lake(LAKE), &table("t"), ReadAt::Head, PATIENCE).await.unwrap();
    assert_eq!((now.snapshot, now.rows), (head(&store).await, 4));
    let names: Vec<&str> = now.columns.iter().map(|column| column.column.as_str()).collect();
    assert_eq!(names, ["id", "name", "n"]);
    let (name, n) = (&now.columns[1], &now.columns[2]);
    assert_eq!((name.data_type.as_str(), name.count, name.nulls), ("VARCHAR", 3, 1));
    assert_eq!((&name.min, &name.max, name.mean), (&Some(json!("ann")), &Some(json!("bob")), None));
    assert_eq!(name.top.first(), Some(&(json!("bob"), 2)));
    assert_eq!((n.data_type.as_str(), n.count, n.nulls), ("INTEGER", 3, 1));
    assert_eq!((&n.min, &n.max, n.mean), (&Some(json!(10)), &Some(json!(50)), Some(30.0)));
    assert!((n.std_dev.unwrap() - 20.0).abs() < 1e-9);
    assert!(n.distinct.is_some_and(|distinct| (2..=4).contains(&distinct)));
    assert_eq!(n.quantiles.as_ref().map(|[_, half, _]| half.as_f64()), Some(Some(30.0)));
    let then = store.profile(lake(LAKE), &table("t"), ReadAt::Snapshot(filled), PATIENCE).await.unwrap();
    assert_eq!((then.snapshot, then.rows), (filled, 3));
    let missing = store.profile(lake(LAKE), &table("none"), ReadAt::Head, PATIENCE).await.unwrap_err();
    assert!(matches!(missing, QueryError::UnknownTable { .. }));
    write(&store, delete_write(&shape, None)).await;
    let empty = store.profile(lake(LAKE), &table("t"), ReadAt::Head, PATIENCE).await.unwrap();
    assert_eq!((empty.rows, empty.columns[0].count, &empty.columns[0].min), (0, 0, &None));
}
