//! Tables that become what they were on the real engine.

use gadwall_application::testing::builders::{column, names, rows, schema, table};
use gadwall_domain::alteration::Alteration;
use gadwall_domain::ports::lake::{LakeStore as _, LakeWrite};

use crate::place::{ANY, Place};

/// Twice: as it is, and with columns that hide some of DuckLake's own.
#[tokio::test]
async fn rows_of_then_take_the_place_of_those_of_now() {
    for hidden in [&[][..], &["snapshot_id", "filename"]] {
        let place = Place::new().await;
        let mut columns = vec![column("id", "INTEGER"), column("v", "VARCHAR")];
        columns.extend(hidden.iter().map(|name| column(name, "INTEGER")));
        let shape = schema(columns, &["id"]);
        place.make(&shape).await;
        let ids: Vec<String> = (0..100_000).map(|id: i32| id.to_string()).collect();
        let given: Vec<[Option<&str>; 2]> = ids.iter().map(|id| [Some(&**id), Some("x")]).collect();
        let then = place.append(&shape, rows(["id", "v"], &given)).await;
        let delete = LakeWrite::Delete { table: table("t"), schema: shape.clone(), filter: None, expected: ANY };
        place.write(delete).await.unwrap();
        place.append(&shape, rows(["id", "v"], &[[Some("-1"), Some("y")], [Some("5"), Some("y")]])).await;
        let restore = || LakeWrite::Restore { table: table("t"), from: then, schema: shape.clone(), expected: ANY };
        let before = place.files();
        assert_eq!(place.dry(restore()).await.unwrap().total(), 100_002);
        assert_eq!(place.files(), before, "a dry run leaves no file");
        let done = place.write(restore()).await.unwrap();
        assert_eq!((done.rows.inserted, done.rows.deleted), (100_000, 2));
        let found = place.texts("SELECT count(*) || ' ' || min(id) || ' ' || count(DISTINCT v) FROM t").await;
        assert_eq!(found, ["100000 0 1"], "{hidden:?}");
    }
}

#[tokio::test]
async fn a_table_is_brought_back_after_its_bucket_was_and_keeps_its_comments() {
    let place = Place::new().await;
    let make = |name: &str| LakeWrite::CreateBucket {
        bucket: gadwall_domain::names::BucketName::parse(name).unwrap(),
        description: None,
    };
    place.write(make("b")).await.unwrap();
    let shape = schema(vec![column("id", "INTEGER"), column("it's", "VARCHAR")], &["id"]);
    place.write(LakeWrite::create_table(table("b.x"), shape.clone())).await.unwrap();
    let given = rows(["id", "it's"], &[[Some("1"), Some("a")]]);
    place.write(LakeWrite::append(table("b.x"), shape.clone(), given)).await.unwrap();
    let alteration =
        Alteration::Comment { column: Some(names(&["it's"]).remove(0)), comment: Some("what it is".to_owned()) };
    let comment = LakeWrite::Alter { table: table("b.x"), schema: shape.clone(), alteration, expected: ANY };
    let from = place.write(comment).await.unwrap().snapshot;
    let bucket = gadwall_domain::names::BucketName::parse("b").unwrap();
    place.write(LakeWrite::DropBucket { bucket, cascade: true }).await.unwrap();
    place.write(make("b")).await.unwrap();
    let done = place.write(LakeWrite::Undelete { table: table("b.x"), from, schema: shape.clone() }).await.unwrap();
    assert_eq!(done.rows.inserted, 1);
    assert_eq!(place.texts("SELECT \"it's\" FROM b.x").await, ["a"]);
    let (lake, name, head) =
        (gadwall_application::testing::builders::lake(1), table("b.x"), gadwall_domain::history::ReadAt::Head);
    let found = place.lakes.table(lake, &name.bucket, &name.table, head).await.unwrap().unwrap();
    assert_eq!(found.comments.columns.len(), 1);
}
