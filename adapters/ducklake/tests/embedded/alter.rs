//! Tables that change their shape on the real engine.

use std::sync::Arc;

use gadwall_application::testing::builders::{column, defaulted, names, rows, schema, table};
use gadwall_domain::alteration::{Alteration, AlterationError};
use gadwall_domain::history::Expected;
use gadwall_domain::layout::{Layout, Partition, SortKey};
use gadwall_domain::ports::lake::{LakeWrite, WriteError};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::types::DataType;

use crate::place::{ANY, Place};

async fn alter(place: &Place, shape: &TableSchema, alteration: Alteration) -> Result<TableSchema, WriteError> {
    let head = place.head().await;
    let after = alteration.apply(shape);
    let what = format!("{alteration:?}");
    let write = LakeWrite::Alter { table: table("t"), schema: shape.clone(), alteration, expected: ANY };
    let done = place.write(write).await?;
    assert_eq!(done.snapshot.get(), head.get() + 1, "{what}");
    Ok(after.unwrap())
}

fn set_type(name: &str, to: &str) -> Alteration {
    Alteration::SetType { column: names(&[name]).remove(0), data_type: DataType::parse(to).unwrap() }
}

#[tokio::test]
async fn every_wider_type_reads_old_files_and_takes_new_rows() {
    let types = [
        ("TINYINT", "-7"),
        ("SMALLINT", "-7"),
        ("INTEGER", "-7"),
        ("BIGINT", "-7"),
        ("UTINYINT", "7"),
        ("USMALLINT", "7"),
        ("UINTEGER", "7"),
        ("UBIGINT", "7"),
        ("FLOAT", "1.5"),
        ("DOUBLE", "1.5"),
        ("DECIMAL(4,2)", "1.25"),
        ("DECIMAL(20,2)", "1.25"),
        ("VARCHAR(3)", "abc"),
    ];
    let wider = [
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "DOUBLE",
        "DECIMAL(10,4)",
        "DECIMAL(38,4)",
        "VARCHAR(9)",
        "VARCHAR",
    ];
    let place = Place::new().await;
    let (mut tried, mut number) = (0, 0);
    for (from, value) in types {
        for to in wider {
            let widens = DataType::parse(from).unwrap().widens_to(&DataType::parse(to).unwrap()).is_ok();
            if !widens || from == to {
                continue;
            }
            number += 1;
            let shape = schema(vec![column("id", "INTEGER"), column("a", from)], &["id"]);
            let name = table(&format!("t{number}"));
            place.write(LakeWrite::create_table(name.clone(), shape.clone())).await.unwrap();
            let load = |shape: &TableSchema, id| {
                let given = rows(["id", "a"], &[[Some(id), Some(value)]]);
                LakeWrite::append(name.clone(), shape.clone(), given)
            };
            place.write(load(&shape, "1")).await.unwrap();
            let alteration = set_type("a", to);
            let after = alteration.apply(&shape).unwrap();
            let write = LakeWrite::Alter { table: name.clone(), schema: shape, alteration, expected: ANY };
            place.write(write).await.unwrap_or_else(|error| panic!("{from} to {to}: {error:?}"));
            place.write(load(&after, "2")).await.unwrap();
            let plain = DataType::parse(to).unwrap().without_lengths();
            let sql = format!("SELECT count(*) FROM t{number} WHERE a = CAST('{value}' AS {plain})");
            assert_eq!(place.texts(&sql).await, ["2"], "{from} to {to}");
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
}

#[tokio::test]
async fn what_ducklake_does_not_take_is_built_anew_with_all_that_the_table_is() {
    let place = Place::new().await;
    let shape = schema(vec![column("id", "INTEGER"), column("v", "VARCHAR"), column("l", "INTEGER[]")], &[]);
    let id = names(&["id"]).remove(0);
    let layout = Layout {
        partition_by: vec![Partition::parse("bucket(2, id)").unwrap()],
        sort_by: vec![SortKey::parse("v desc").unwrap()],
    };
    place.write(LakeWrite::CreateTable { table: table("t"), schema: shape.clone(), layout }).await.unwrap();
    let comment = Alteration::Comment { column: Some(id.clone()), comment: Some("it's".to_owned()) };
    alter(&place, &shape, comment).await.unwrap();
    place
        .append(
            &shape,
            rows(["id", "v", "l"], &[[Some("1"), Some("a"), Some("[1]")], [Some("2"), Some("b"), Some("[]")]]),
        )
        .await;
    // A nested column has no statistics; neither has an added one, and two columns at once are one too many.
    let shape = alter(&place, &shape, Alteration::SetNotNull { column: names(&["l"]).remove(0) }).await.unwrap();
    let must = Column { nullable: false, ..defaulted("must", "INTEGER", "5") };
    let shape = alter(&place, &shape, Alteration::AddColumn { column: must }).await.unwrap();
    let shape = alter(&place, &shape, Alteration::SetPrimaryKey { columns: names(&["id", "v"]) }).await.unwrap();
    let shape = alter(
        &place,
        &shape,
        Alteration::RenameColumn { column: names(&["v"]).remove(0), to: names(&["it's v"]).remove(0) },
    )
    .await
    .unwrap();
    for (name, part) in [("id", "primary key"), ("it's v", "primary key")] {
        let error =
            alter(&place, &shape, Alteration::DropColumn { column: names(&[name]).remove(0) }).await.unwrap_err();
        let told = AlterationError::ColumnInUse { column: names(&[name]).remove(0), part };
        assert!(matches!(&error, WriteError::Alteration(error) if *error == told), "{error:?}");
    }
    let shape = alter(&place, &shape, Alteration::DropPrimaryKey).await.unwrap();
    for (name, part) in [("id", "partitioning"), ("it's v", "sort order")] {
        let error =
            alter(&place, &shape, Alteration::DropColumn { column: names(&[name]).remove(0) }).await.unwrap_err();
        let told = AlterationError::ColumnInUse { column: names(&[name]).remove(0), part };
        assert!(matches!(&error, WriteError::Alteration(error) if *error == told), "{error:?}");
    }
    place.append(&shape, rows(["id", "it's v", "l"], &[[Some("3"), Some("c"), Some("[3]")]])).await;
    let found = place.texts("SELECT concat_ws('|', id, \"it's v\", l, must) FROM t ORDER BY id").await;
    assert_eq!(found, ["1|a|[1]|5", "2|b|[]|5", "3|c|[3]|5"]);
}

#[tokio::test]
async fn a_table_built_anew_with_the_same_rows_keeps_their_version() {
    let place = Place::new().await;
    let shape = schema(vec![column("id", "INTEGER")], &[]);
    place.make(&shape).await;
    let filled = place.append(&shape, rows(["id"], &[[Some("1")]])).await;
    let must = Column { nullable: false, ..defaulted("must", "INTEGER", "5") };
    let shape = alter(&place, &shape, Alteration::AddColumn { column: must }).await.unwrap();
    let expected = Expected { schema: Some(place.head().await), rows: Some(filled) };
    let delete = |expected| LakeWrite::Delete { table: table("t"), schema: shape.clone(), filter: None, expected };
    let stale = Expected { schema: None, rows: Some(place.head().await) };
    assert!(matches!(place.write(delete(stale)).await, Err(WriteError::NotExpected { .. })));
    place.write(delete(expected)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_come_while_a_table_changes_are_there_or_refused() {
    let place = Arc::new(Place::new().await);
    let shape = schema(vec![column("id", "INTEGER")], &["id"]);
    place.make(&shape).await;
    let writers = (0..20).map(|id: i32| {
        let (place, shape) = (Arc::clone(&place), shape.clone());
        tokio::spawn(async move {
            let id = id.to_string();
            place.write(LakeWrite::append(table("t"), shape, rows(["id"], &[[Some(&*id)]]))).await
        })
    });
    let writers: Vec<_> = writers.collect();
    let must = Column { nullable: false, ..defaulted("must", "INTEGER", "5") };
    let alteration = Alteration::AddColumn { column: must };
    let write = LakeWrite::Alter { table: table("t"), schema: shape, alteration, expected: ANY };
    place.write(write).await.unwrap();
    let mut there = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(_) => there += 1,
            Err(WriteError::TableChanged) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    let found = place.texts("SELECT count(*) || ' ' || count(must) FROM t").await;
    assert_eq!(found, [format!("{there} {there}")]);
}

/// DuckLake would look for a value only in files of its bucket, and not find it in files from before.
#[tokio::test]
async fn buckets_are_for_tables_that_never_held_rows() {
    let place = Place::new().await;
    let shape = schema(vec![column("id", "INTEGER")], &[]);
    place.make(&shape).await;
    let buckets = || Alteration::PartitionBy { partition_by: vec![Partition::parse("bucket(4, id)").unwrap()] };
    alter(&place, &shape, buckets()).await.unwrap();
    alter(&place, &shape, Alteration::PartitionBy { partition_by: Vec::new() }).await.unwrap();
    alter(&place, &shape, buckets()).await.unwrap();
    place.append(&shape, rows(["id"], &[[Some("1")], [Some("2")], [Some("3")]])).await;
    let again = alter(&place, &shape, buckets()).await;
    assert!(matches!(again, Err(WriteError::Alteration(AlterationError::Layout(_)))), "{again:?}");
    for id in ["1", "2", "3"] {
        assert_eq!(place.texts(&format!("SELECT id FROM t WHERE id = {id}")).await, [id]);
    }
}
