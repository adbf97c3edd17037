//! Tables that change their shape.

use std::sync::Arc;

use gadwall_domain::alteration::{Alteration, AlterationError};
use gadwall_domain::commit::Change;
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::layout::{Layout, Partition, SortKey, Transform};
use gadwall_domain::ports::lake::{Lake, LakeWrite, LoadMode, WriteError};
use gadwall_domain::query::QueryError;
use gadwall_domain::schema::{DefaultValue, SchemaError, TableSchema};
use gadwall_domain::selection::Selection;
use gadwall_domain::table::Comments;
use gadwall_domain::types::DataType;
use serde_json::json;

use super::{
    LAKE, alter_write, append, delete_write, fresh_lake, head, last_change, load, load_write, people, refused, rows_at,
    rows_of, selected, stored, update_write, write,
};
use crate::testing::builders::{
    assign, bucket, column, column_name, defaulted, equals, lake, names, required, rows, schema, table,
};

/// Alters `t`; answers its shape since, which the commit tells, too.
async fn altered(store: &Arc<dyn Lake>, shape: &TableSchema, alteration: Alteration) -> TableSchema {
    let before = head(store).await;
    let after = alteration.apply(shape).unwrap();
    let done = write(store, alter_write(shape, alteration.clone())).await;
    assert_eq!(done.snapshot.get(), before.get() + 1, "{alteration:?} makes a snapshot");
    let told = Change::TableAltered {
        table: table("t"),
        alteration,
        columns: after.columns().to_vec(),
        primary_key: after.key_columns().to_vec(),
    };
    assert_eq!(last_change(store).await, told);
    let found = stored(store, "t").await;
    assert_eq!(found.version.schema, done.snapshot);
    assert!(found.version.rows <= before, "rows are as they were");
    let expected: Vec<_> = after.columns().iter().map(|column| column.name.clone()).collect();
    assert_eq!(found.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>(), expected);
    for (found, wanted) in found.columns.iter().zip(after.columns()) {
        assert_eq!((&found.data_type, found.nullable), (&wanted.data_type.without_lengths(), wanted.nullable));
        assert_eq!(found.default, wanted.default);
    }
    after
}

async fn refusal(store: &Arc<dyn Lake>, shape: &TableSchema, alteration: Alteration) -> WriteError {
    let before = (head(store).await, stored(store, "t").await);
    let dry = store.dry_run(lake(LAKE), alter_write(shape, alteration.clone())).await;
    assert!(dry.is_err(), "a dry run is refused as well");
    let error = refused(store, alter_write(shape, alteration)).await;
    assert_eq!((head(store).await, stored(store, "t").await), before);
    error
}

fn id(name: &str) -> gadwall_domain::names::ColumnName {
    column_name(name)
}

/// An added column is the last; rows that are there get its default, or NULL.
pub async fn an_added_columns_default_fills_rows_that_are_there(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let before = head(&store).await;
    let state = defaulted("state", "VARCHAR(5)", "'it''s'");
    let shape = altered(&store, &shape, Alteration::AddColumn { column: state }).await;
    let shape = altered(&store, &shape, Alteration::AddColumn { column: column("more", "BIGINT") }).await;
    append(&store, "t", &shape, rows(["id", "more"], &[[Some("4"), Some("1")]])).await;
    let now = ["1|ann|10|it's|NULL", "2|bob|NULL|it's|NULL", "3|NULL|30|it's|NULL", "4|NULL|NULL|it's|1"];
    assert_eq!(rows_of(&store, "t").await, now);
    assert_eq!(rows_at(&store, "t", ReadAt::Snapshot(before)).await, ["1|ann|10", "2|bob|NULL", "3|NULL|30"]);
    // What an added column holds can be filtered and changed as any other.
    write(&store, update_write(&shape, Some(equals("state", "it's")), vec![assign("more", Some("7"))])).await;
    assert_eq!(rows_of(&store, "t").await[0], "1|ann|10|it's|7");
}

/// What only the commit tells of changes together with the table, in one snapshot; all of it, or nothing.
pub async fn rules_change_together_with_the_table(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let checks = |least: &str| Alteration::SetChecks {
        column: id("n"),
        checks: serde_json::from_value(json!({ "minimum": { "value": least } })).unwrap(),
    };
    let add = |name: &str| Alteration::AddColumn { column: defaulted(name, "INTEGER", "7") };
    let error = refusal(&store, &shape, Alteration::Together { steps: vec![checks("20"), add("more")] }).await;
    assert!(matches!(error, WriteError::Alteration(AlterationError::BreaksChecks { rows: 1, .. })), "{error:?}");
    let error = refusal(&store, &shape, Alteration::Together { steps: vec![add("more"), checks("0")] }).await;
    assert!(matches!(error, WriteError::Alteration(AlterationError::NotTogether)), "{error:?}");
    let steps = vec![checks("5"), Alteration::DropPrimaryKey, add("more")];
    let steps: Vec<_> = steps
        .into_iter()
        .filter(|step| *step != Alteration::DropPrimaryKey || !shape.key_columns().is_empty())
        .collect();
    let shape = altered(&store, &shape, Alteration::Together { steps }).await;
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10|7", "2|bob|NULL|7", "3|NULL|30|7"]);
    altered(&store, &shape, Alteration::Together { steps: vec![checks("6"), checks("7")] }).await;
}

/// A column that may not be NULL is added to rows that are there only with a default.
pub async fn a_required_column_is_added_with_a_default(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let error = refusal(&store, &shape, Alteration::AddColumn { column: required("must", "INTEGER") }).await;
    assert!(matches!(error, WriteError::Alteration(AlterationError::NeedsDefault(_))), "{error:?}");
    let must = gadwall_domain::schema::Column { nullable: false, ..defaulted("must", "INTEGER", "5") };
    let shape = altered(&store, &shape, Alteration::AddColumn { column: must }).await;
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10|5", "2|bob|NULL|5", "3|NULL|30|5"]);
    write(&store, delete_write(&shape, None)).await;
    altered(&store, &shape, Alteration::AddColumn { column: required("also", "INTEGER") }).await;
}

/// A dropped column's values are gone from new reads, and there in old ones; one made again starts anew.
pub async fn a_dropped_columns_values_are_gone_and_there_in_old_versions(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let before = head(&store).await;
    let shape = altered(&store, &shape, Alteration::DropColumn { column: id("name") }).await;
    assert_eq!(rows_of(&store, "t").await, ["1|10", "2|NULL", "3|30"]);
    assert_eq!(rows_at(&store, "t", ReadAt::Snapshot(before)).await, ["1|ann|10", "2|bob|NULL", "3|NULL|30"]);
    let filter = Selection { filter: Some(equals("name", "ann")), ..Selection::default() };
    assert!(matches!(selected(&store, "t", filter, ReadAt::Head).await.unwrap_err(), QueryError::Sql(_)));
    let shape = altered(&store, &shape, Alteration::AddColumn { column: column("name", "INTEGER") }).await;
    assert_eq!(rows_of(&store, "t").await, ["1|10|NULL", "2|NULL|NULL", "3|30|NULL"]);
    let error = refusal(&store, &shape, Alteration::DropColumn { column: id("id") }).await;
    assert!(matches!(error, WriteError::Alteration(AlterationError::ColumnInUse { .. })), "{error:?}");
}

/// A renamed column keeps its values, and its place in the key.
pub async fn a_renamed_column_keeps_its_values(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let before = head(&store).await;
    let shape = altered(&store, &shape, Alteration::RenameColumn { column: id("N"), to: id("it's n") }).await;
    let shape = altered(&store, &shape, Alteration::RenameColumn { column: id("id"), to: id("number") }).await;
    assert_eq!(shape.key_columns(), names(&["number"]));
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10", "2|bob|NULL", "3|NULL|30"]);
    let given = rows(["number", "it's n"], &[[Some("1"), Some("11")], [Some("4"), Some("40")]]);
    load(&store, &shape, LoadMode::Upsert, given).await;
    let filter = Selection { filter: Some(equals("it's n", "11")), ..Selection::default() };
    assert_eq!(selected(&store, "t", filter, ReadAt::Head).await.unwrap(), ["1|NULL|11"]);
    let at = ReadAt::Snapshot(before);
    let old = Selection { filter: Some(equals("n", "10")), ..Selection::default() };
    assert_eq!(selected(&store, "t", old, at).await.unwrap(), ["1|ann|10"]);
    let error = refusal(&store, &shape, Alteration::RenameColumn { column: id("name"), to: id("IT'S N") }).await;
    assert!(matches!(error, WriteError::Alteration(AlterationError::ColumnExists(_))), "{error:?}");
}

/// A widened column keeps its values and takes larger ones; one that isn't wider is refused.
pub async fn a_widened_column_keeps_its_values(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let wider = |name, data_type: &str| Alteration::SetType {
        column: id(name),
        data_type: DataType::parse(data_type).unwrap(),
    };
    let shape = altered(&store, &shape, wider("n", "BIGINT")).await;
    let shape = altered(&store, &shape, wider("name", "VARCHAR(20)")).await;
    let given = [[Some("4"), Some("a name of 20 letters"), Some("9223372036854775807")]];
    append(&store, "t", &shape, rows(["id", "name", "n"], &given)).await;
    let now = ["1|ann|10", "2|bob|NULL", "3|NULL|30", "4|a name of 20 letters|9223372036854775807"];
    assert_eq!(rows_of(&store, "t").await, now);
    for not_wider in [wider("n", "INTEGER"), wider("name", "VARCHAR(10)"), wider("id", "VARCHAR")] {
        let error = refusal(&store, &shape, not_wider).await;
        assert!(matches!(error, WriteError::Alteration(AlterationError::NotWider { .. })), "{error:?}");
    }
}

/// A column gets any type that holds the values that are there as they are; values that it doesn't hold are counted.
pub async fn a_retyped_column_keeps_its_values_or_is_refused(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let before = head(&store).await;
    let retype =
        |name, data_type: &str| Alteration::Retype { column: id(name), data_type: DataType::parse(data_type).unwrap() };
    let lost = |name, to: &str, rows| AlterationError::WouldLose { column: id(name), to: to.to_owned(), rows };
    for (change, told) in [
        (retype("name", "INTEGER"), lost("name", "INTEGER", 2)),
        (retype("name", "VARCHAR(2)"), lost("name", "VARCHAR(2)", 2)),
    ] {
        let error = refusal(&store, &shape, change).await;
        assert!(matches!(&error, WriteError::Alteration(error) if *error == told), "{error:?}");
    }
    assert_eq!(head(&store).await, before);
    let shape = altered(&store, &shape, retype("name", "VARCHAR(3)")).await;
    let shape = altered(&store, &shape, retype("n", "TINYINT")).await;
    let shape = altered(&store, &shape, retype("id", "VARCHAR")).await;
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10", "2|bob|NULL", "3|NULL|30"]);
    let given = rows(["id", "n"], &[[Some("3"), Some("31")], [Some("x"), Some("-128")]]);
    load(&store, &shape, LoadMode::Upsert, given).await;
    let misfit = rows(["id", "n"], &[[Some("y"), Some("128")]]);
    assert!(matches!(refused(&store, load_write(&shape, LoadMode::Append, misfit)).await, WriteError::Violations(_)));
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10", "2|bob|NULL", "3|NULL|31", "x|NULL|-128"]);
    let error = refusal(&store, &shape, retype("id", "INTEGER")).await;
    assert!(matches!(&error, WriteError::Alteration(error) if *error == lost("id", "INTEGER", 1)), "{error:?}");
    assert_eq!(rows_at(&store, "t", ReadAt::Snapshot(before)).await, ["1|ann|10", "2|bob|NULL", "3|NULL|30"]);
}

/// NOT NULL over NULLs is refused and counts them; without NULLs it holds from then on, until it is dropped.
pub async fn not_null_is_checked_against_the_rows(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let set = || Alteration::SetNotNull { column: id("n") };
    let error = refusal(&store, &shape, set()).await;
    let told = AlterationError::HasNulls { column: id("n"), rows: 1 };
    assert!(matches!(&error, WriteError::Alteration(error) if *error == told), "{error:?}");
    write(&store, update_write(&shape, Some(equals("id", "2")), vec![assign("n", Some("20"))])).await;
    let shape = altered(&store, &shape, set()).await;
    let missing = refused(&store, load_write(&shape, LoadMode::Append, rows(["id"], &[[Some("4")]]))).await;
    assert!(matches!(missing, WriteError::Violations(_)), "{missing:?}");
    let null = refused(&store, update_write(&shape, None, vec![assign("n", None)])).await;
    assert!(matches!(null, WriteError::BadFilter(_)), "{null:?}");
    let shape = altered(&store, &shape, Alteration::DropNotNull { column: id("n") }).await;
    append(&store, "t", &shape, rows(["id"], &[[Some("4")]])).await;
    assert_eq!(rows_of(&store, "t").await, ["1|ann|10", "2|bob|20", "3|NULL|30", "4|NULL|NULL"]);
}

/// A default is for rows to come; those that are there keep what they have.
pub async fn a_default_is_for_rows_to_come(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let literal = |text| DefaultValue::parse(text).unwrap().unwrap();
    let set = |name, text| Alteration::SetDefault { column: id(name), default: literal(text) };
    let shape = altered(&store, &shape, set("n", "7")).await;
    append(&store, "t", &shape, rows(["id"], &[[Some("4")]])).await;
    let shape = altered(&store, &shape, Alteration::DropDefault { column: id("n") }).await;
    append(&store, "t", &shape, rows(["id"], &[[Some("5")]])).await;
    let now = ["1|ann|10", "2|bob|NULL", "3|NULL|30", "4|NULL|7", "5|NULL|NULL"];
    assert_eq!(rows_of(&store, "t").await, now);
    for misfit in [set("n", "'many'"), set("name", "'far too long for it'")] {
        let error = refusal(&store, &shape, misfit).await;
        let WriteError::Alteration(AlterationError::Schema(SchemaError::Default(_))) = error else {
            panic!("{error:?}")
        };
    }
}

/// Rows that leave a column out that may not be NULL are refused once its default is gone, whatever their writer knew.
pub async fn a_default_that_is_gone_fills_nothing(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let n = gadwall_domain::schema::Column { nullable: false, ..defaulted("n", "INTEGER", "7") };
    let old = super::make_table(&store, "t", schema(vec![column("id", "INTEGER"), n], &["id"])).await;
    altered(&store, &old, Alteration::DropDefault { column: id("n") }).await;
    for mode in [LoadMode::Append, LoadMode::Upsert, LoadMode::Replace] {
        let error = refused(&store, load_write(&old, mode, rows(["id"], &[[Some("1")]]))).await;
        assert!(matches!(error, WriteError::TableChanged), "{error:?}");
    }
    append(&store, "t", &old, rows(["id", "n"], &[[Some("1"), Some("1")]])).await;
    assert_eq!(rows_of(&store, "t").await, ["1|1"]);
}

/// A key over duplicates or NULLs is refused; over others it holds from then on, until it is dropped.
pub async fn a_key_is_checked_against_the_rows(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let shape = altered(&store, &shape, Alteration::DropPrimaryKey).await;
    append(&store, "t", &shape, rows(["id"], &[[Some("1")], [Some("1")], [Some("2")]])).await;
    let key = |columns: &[&str]| Alteration::SetPrimaryKey { columns: names(columns) };
    let error = refusal(&store, &shape, key(&["id"])).await;
    let WriteError::DuplicateKeys { mut first, count } = error else { panic!("{error:?}") };
    first.sort_by_key(ToString::to_string);
    assert_eq!((first, count), (vec![json!({ "id": 1 }), json!({ "id": 2 })], 2));
    let error = refusal(&store, &shape, key(&["id", "n"])).await;
    let told = AlterationError::HasNulls { column: id("n"), rows: 4 };
    assert!(matches!(&error, WriteError::Alteration(error) if *error == told), "{error:?}");
    let nameless = gadwall_domain::filter::Filter::IsNull { column: id("name") };
    write(&store, delete_write(&shape, Some(nameless))).await;
    let shape = altered(&store, &shape, key(&["name", "id"])).await;
    assert!(!stored(&store, "t").await.columns[1].nullable, "a key's column is never NULL");
    let again = rows(["id", "name"], &[[Some("1"), Some("ann")], [Some("1"), Some("bob")]]);
    let error = refused(&store, load_write(&shape, LoadMode::Append, again)).await;
    assert!(matches!(error, WriteError::DuplicateKeys { count: 1, .. }), "{error:?}");
    let error = refusal(&store, &shape, key(&["id"])).await;
    assert!(matches!(error, WriteError::Alteration(AlterationError::HasKey)), "{error:?}");
}

/// Comments are kept with what they are about, and removed.
pub async fn comments_are_kept_and_removed(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let comment = |column: Option<&str>, text: Option<&str>| Alteration::Comment {
        column: column.map(id),
        comment: text.map(ToOwned::to_owned),
    };
    let text = "what 'it' is \"for\" 🦆\n;--";
    altered(&store, &shape, comment(None, Some(text))).await;
    altered(&store, &shape, comment(Some("N"), Some("first"))).await;
    altered(&store, &shape, comment(Some("n"), Some(text))).await;
    let columns = std::iter::once((id("n"), text.to_owned())).collect();
    assert_eq!(stored(&store, "t").await.comments, Comments { table: Some(text.to_owned()), columns });
    let before = head(&store).await;
    altered(&store, &shape, comment(None, None)).await;
    altered(&store, &shape, comment(Some("n"), None)).await;
    assert_eq!(stored(&store, "t").await.comments, Comments::default());
    let at = ReadAt::Snapshot(before);
    let then = store.table(lake(LAKE), &bucket("main"), &table("t").table, at).await.unwrap().unwrap();
    assert_eq!(then.comments.table.as_deref(), Some(text));
}

/// A table's layout is as it was asked for, at first or later, and doesn't change what it holds.
pub async fn a_layout_is_kept_and_changes_no_rows(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let shape = schema(vec![column("id", "INTEGER"), column("kind", "VARCHAR"), column("at", "TIMESTAMP")], &[]);
    let part = |name, transform| Partition { column: id(name), transform };
    let by = |name, descending| SortKey { column: id(name), descending, nulls_first: descending };
    let layout = Layout {
        partition_by: vec![part("kind", Transform::Identity), part("at", Transform::Month)],
        sort_by: vec![by("id", true)],
    };
    let made = LakeWrite::CreateTable { table: table("t"), schema: shape.clone(), layout: layout.clone() };
    write(&store, made).await;
    assert_eq!(stored(&store, "t").await.layout, layout);
    let told = last_change(&store).await;
    assert!(matches!(&told, Change::TableCreated { layout: told, .. } if *told == layout), "{told:?}");
    let given = [[Some("1"), Some("a")], [Some("2"), Some("it's")], [Some("3"), None]];
    append(&store, "t", &shape, rows(["id", "kind"], &given)).await;
    let partition_by = vec![part("id", Transform::Identity)];
    altered(&store, &shape, Alteration::PartitionBy { partition_by: partition_by.clone() }).await;
    altered(&store, &shape, Alteration::SortBy { sort_by: vec![by("kind", false)] }).await;
    append(&store, "t", &shape, rows(["id"], &[[Some("4")]])).await;
    assert_eq!(stored(&store, "t").await.layout, Layout { partition_by, sort_by: vec![by("kind", false)] });
    assert_eq!(rows_of(&store, "t").await, ["1|a|NULL", "2|it's|NULL", "3|NULL|NULL", "4|NULL|NULL"]);
    for (name, part) in [("id", "partitioning"), ("kind", "sort order")] {
        let error = refusal(&store, &shape, Alteration::DropColumn { column: id(name) }).await;
        let told = AlterationError::ColumnInUse { column: id(name), part };
        assert!(matches!(&error, WriteError::Alteration(error) if *error == told), "{error:?}");
    }
    altered(&store, &shape, Alteration::PartitionBy { partition_by: Vec::new() }).await;
    altered(&store, &shape, Alteration::SortBy { sort_by: Vec::new() }).await;
    assert_eq!(stored(&store, "t").await.layout, Layout::default());
    assert_eq!(rows_of(&store, "t").await.len(), 4);
}

/// A layout of columns that aren't there, or can't be had of their types, is refused.
pub async fn a_layout_that_does_not_fit_is_refused(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let part = |name, transform| vec![Partition { column: id(name), transform }];
    let bad = [part("none", Transform::Identity), part("n", Transform::Year), part("n", Transform::Bucket(0))];
    for partition_by in bad {
        let error = refusal(&store, &shape, Alteration::PartitionBy { partition_by: partition_by.clone() }).await;
        assert!(matches!(error, WriteError::Alteration(AlterationError::Layout(_))), "{error:?}");
        let layout = Layout { partition_by, sort_by: Vec::new() };
        let error = refused(&store, LakeWrite::CreateTable { table: table("u"), schema: shape.clone(), layout }).await;
        assert!(matches!(error, WriteError::Alteration(AlterationError::Layout(_))), "{error:?}");
    }
    let sort_by = vec![SortKey { column: id("none"), descending: false, nulls_first: false }];
    let error = refusal(&store, &shape, Alteration::SortBy { sort_by }).await;
    assert!(matches!(error, WriteError::Alteration(AlterationError::Layout(_))), "{error:?}");
}

/// An alteration of a version that isn't the expected one is refused, and so is one of a column that isn't there.
pub async fn an_alteration_that_does_not_fit_is_refused(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let error = refusal(&store, &shape, Alteration::SetNotNull { column: id("none") }).await;
    assert!(matches!(error, WriteError::Alteration(AlterationError::NoColumn(_))), "{error:?}");
    let found = stored(&store, "t").await.version;
    let stale = Expected { schema: Some(SnapshotId::ZERO), rows: None };
    let alteration = Alteration::DropNotNull { column: id("n") };
    let write = LakeWrite::Alter { table: table("t"), schema: shape.clone(), alteration, expected: stale };
    let error = refused(&store, write).await;
    assert!(matches!(error, WriteError::NotExpected { found: told } if told == found), "{error:?}");
    write_missing(&store, &shape).await;
}

async fn write_missing(store: &Arc<dyn Lake>, shape: &TableSchema) {
    let alteration = Alteration::DropPrimaryKey;
    let (table, schema, expected) = (table("none"), shape.clone(), Expected::ANY);
    let error = refused(store, LakeWrite::Alter { table, schema, alteration, expected }).await;
    assert!(matches!(error, WriteError::NoTable), "{error:?}");
}
