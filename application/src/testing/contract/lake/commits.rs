//! Snapshots, and what they say of themselves.

use std::sync::Arc;

use gadwall_domain::commit::{Change, WriteOrigin};
use gadwall_domain::ids::{ApiKeyId, CallerId, SnapshotId};
use gadwall_domain::ports::lake::{Lake, LakeWrite};
use gadwall_domain::transfer::ObjectPath;
use uuid::Uuid;

use super::{LAKE, append, fresh_lake, make_bucket, make_table, refused, write};
use crate::testing::builders::{
    bucket, bucket_created, column, lake, noon, origin, request, required, rows, schema, table, table_created,
};

/// Each write makes one snapshot, the next one, and is answered with it.
pub async fn the_head_grows_by_one_with_each_write(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let shape = schema(vec![column("id", "INTEGER")], &[]);
    let writes = [
        LakeWrite::CreateBucket { bucket: bucket("a"), description: None },
        LakeWrite::create_table(table("a.t"), shape.clone()),
        LakeWrite::append(table("a.t"), shape, rows(["id"], &[[Some("1")]])),
        LakeWrite::drop_table(table("a.t")),
        LakeWrite::DropBucket { bucket: bucket("a"), cascade: false },
    ];
    for next in writes {
        let before = store.head(lake(LAKE)).await.unwrap();
        let snapshot = write(&store, next).await.snapshot;
        assert_eq!(snapshot.get(), before.get() + 1);
        assert_eq!(store.head(lake(LAKE)).await.unwrap(), snapshot);
    }
}

/// A write that is refused leaves no snapshot.
pub async fn a_refused_write_makes_no_snapshot(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let shape = make_table(&store, "t", schema(vec![required("id", "INTEGER")], &[])).await;
    let head = store.head(lake(LAKE)).await.unwrap();
    refused(&store, LakeWrite::create_table(table("t"), shape.clone())).await;
    refused(&store, LakeWrite::CreateBucket { bucket: bucket("main"), description: None }).await;
    refused(&store, LakeWrite::drop_table(table("none"))).await;
    refused(&store, LakeWrite::DropBucket { bucket: bucket("main"), cascade: false }).await;
    let bad = rows(["id"], &[[None]]);
    refused(&store, LakeWrite::append(table("t"), shape, bad)).await;
    assert_eq!(store.head(lake(LAKE)).await.unwrap(), head);
    assert!(store.commits_after(lake(LAKE), head, 10).await.unwrap().is_empty());
}

/// A commit says where each of its writes came from, as it was given.
pub async fn a_commit_says_where_it_came_from(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let start = store.head(lake(LAKE)).await.unwrap();
    let full = WriteOrigin {
        address: Some("2001:db8::1".parse().unwrap()),
        key_id: Some(CallerId::Key(ApiKeyId::new(Uuid::from_u128(5)))),
        request_id: request("it's\"a;request"),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        run_id: Some("run 🦆 '1'".to_owned()),
        idempotency_key: Some("a\\b\n\"c\"".to_owned()),
        fingerprint: None,
        began_at: Some(noon()),
        files: vec![ObjectPath::parse("/raw/it's/a;file.csv").unwrap()],
    };
    for (name, from) in [("a", full.clone()), ("b", origin("plain"))] {
        let made = LakeWrite::CreateBucket { bucket: bucket(name), description: None };
        store.write(lake(LAKE), made, from).await.unwrap();
    }
    let commits = store.commits_after(lake(LAKE), start, 10).await.unwrap();
    let origins: Vec<&WriteOrigin> = commits.iter().flat_map(|commit| &commit.writes).map(|w| &w.origin).collect();
    assert_eq!(origins, [&full, &origin("plain")]);
}

/// A commit says what changed, with what the lake itself can't keep: lengths, keys, descriptions.
pub async fn a_commit_says_what_changed(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let start = store.head(lake(LAKE)).await.unwrap();
    let shape = schema(vec![column("id", "INTEGER"), column("it's", "VARCHAR(20)"), column("c", "CHAR(3)")], &["ID"]);
    let described = Some("what 'it' is \"for\" 🦆\n".to_owned());
    write(&store, LakeWrite::CreateBucket { bucket: bucket("Sales"), description: described.clone() }).await;
    write(&store, LakeWrite::create_table(table("Sales.t"), shape.clone())).await;
    append(&store, "Sales.t", &shape, rows(["id"], &[[Some("1")], [Some("2")]])).await;
    write(&store, LakeWrite::drop_table(table("Sales.t"))).await;
    write(&store, LakeWrite::DropBucket { bucket: bucket("Sales"), cascade: true }).await;
    let commits = store.commits_after(lake(LAKE), start, 10).await.unwrap();
    let changes: Vec<Change> = commits.into_iter().flat_map(|commit| commit.writes).map(|write| write.change).collect();
    let expected = [
        bucket_created("Sales", described.as_deref()),
        table_created("Sales.t", &shape),
        Change::RowsAppended { table: table("Sales.t"), rows: 2 },
        Change::TableDropped { table: table("Sales.t") },
        Change::BucketDropped { bucket: bucket("Sales") },
    ];
    assert_eq!(changes, expected);
}

/// Commits come oldest first, those after a snapshot, and no more than were asked for.
pub async fn commits_come_oldest_first(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let start = store.head(lake(LAKE)).await.unwrap();
    for name in ["a", "b", "c", "d"] {
        make_bucket(&store, name).await;
    }
    let all = store.commits_after(lake(LAKE), start, 10).await.unwrap();
    let numbers: Vec<u64> = all.iter().map(|commit| commit.snapshot.get()).collect();
    assert_eq!(numbers, (1..=4).map(|n| start.get() + n).collect::<Vec<_>>());
    assert!(all.windows(2).all(|pair| pair[0].committed_at <= pair[1].committed_at));
    assert_eq!(store.commits_after(lake(LAKE), all[0].snapshot, 2).await.unwrap(), all[1..3]);
    assert!(store.commits_after(lake(LAKE), all[3].snapshot, 10).await.unwrap().is_empty());
    let none_yet = SnapshotId::new(i64::MAX).unwrap();
    assert!(store.commits_after(lake(LAKE), none_yet, 10).await.unwrap().is_empty());
    assert!(store.commits_after(lake(LAKE), start, 0).await.unwrap().is_empty());
    let since_ever = store.commits_after(lake(LAKE), SnapshotId::ZERO, 100).await.unwrap();
    assert!(since_ever.ends_with(&all));
}
