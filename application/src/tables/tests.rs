//! The use cases of tables over in-memory stores.

use gadwall_domain::alteration::{Alteration, AlterationError, Compatibility};
use gadwall_domain::history::{TableVersion, Tag};
use gadwall_domain::idempotency::{Fingerprint, IdempotentRequest};
use gadwall_domain::names::{TableName, TagName};
use gadwall_domain::ports::lake::LoadMode;
use gadwall_domain::table::TableSize;

use super::*;
use crate::testing::builders::{assign, bucket, column, column_name, equals, noon, project_id, rows, schema, table};
use crate::world::World;

/// A project `p` with a table `main.t` of `i INTEGER` (its key) and `v VARCHAR`, holding (1, a) and (2, b).
async fn filled() -> (World, Caller) {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let columns = schema(vec![column("i", "INTEGER"), column("v", "VARCHAR")], &["i"]);
    world.tables.create(&owner, &project_id("p"), table("main.t"), columns.into()).await.unwrap();
    let two = rows(["i", "v"], &[[Some("1"), Some("a")], [Some("2"), Some("b")]]);
    let open = world.tables.open(&owner, &project_id("p"), &table("main.t"), Scope::Write).await.unwrap();
    world.tables.load(&owner, open, LoadMode::Append, two, Meant::default()).await.unwrap();
    (world, owner)
}

impl World {
    async fn edited(&self, caller: &Caller, edit: Edit, meant: Meant) -> Result<Outcome, UseCaseError> {
        self.tables.edit(caller, &project_id("p"), &table("main.t"), |_| Ok(edit), meant).await
    }

    async fn reshaped(&self, caller: &Caller, reshape: Reshape, breaking: bool) -> Result<Reshaped, UseCaseError> {
        let t = table("main.t");
        self.tables.reshape(caller, &project_id("p"), &t, reshape, Meant::default(), breaking).await
    }

    async fn shown(&self, caller: &Caller) -> Table {
        self.tables.get(caller, &project_id("p"), &table("main.t")).await.unwrap()
    }
}

/// The caller with a request that it may repeat.
fn under_key(caller: &Caller, key: &str) -> Caller {
    let fingerprint = Fingerprint::pending();
    fingerprint.settle(format!("of {key}"));
    Caller { idempotency: Some(IdempotentRequest { key: key.to_owned(), fingerprint }), ..caller.clone() }
}

fn delete_one() -> Edit {
    Edit::Delete { filter: Some(equals("i", "1")) }
}

#[tokio::test]
async fn a_table_that_something_else_made_shows_without_key_and_lengths() {
    let stored = StoredTable {
        name: table("main.t"),
        columns: vec![column("c", "VARCHAR")],
        size: TableSize::default(),
        layout: Layout::default(),
        comments: Comments::default(),
        version: TableVersion::default(),
    };
    let found = put_together(&stored, None).unwrap();
    assert_eq!((found.schema.key_columns().len(), found.created_at), (0, None));
}

#[tokio::test]
async fn an_append_is_told_by_event_and_names_its_request() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let (id, t) = (project_id("p"), table("main.t"));
    world.tables.create(&owner, &id, t.clone(), schema(vec![column("i", "INTEGER")], &[]).into()).await.unwrap();
    let open = world.tables.open(&owner, &id, &t, Scope::Write).await.unwrap();
    let two = rows(["i"], &[[Some("1")], [Some("2")]]);
    let done = world.tables.load(&owner, open, LoadMode::Append, two, Meant::default()).await.unwrap();
    assert_eq!(done.rows.inserted, 2);
    assert_eq!(world.events("p").await.last().map(String::as_str), Some("rows.appended"));
    let entry = world.audited("p").await.remove(0);
    assert_eq!((entry.resource.as_str(), entry.snapshot), ("main.t", done.snapshot));
    assert!(entry.principal.starts_with("key:"), "{}", entry.principal);
}

#[tokio::test]
async fn absence_is_told_from_the_outside_in() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let id = project_id("p");
    let missing = world.tables.get(&owner, &id, &table("no.t")).await;
    assert!(matches!(missing, Err(UseCaseError::NoBucket { .. })));
    let missing = world.tables.get(&owner, &id, &table("main.t")).await;
    assert!(matches!(missing, Err(UseCaseError::NoTable { .. })));
    let missing = world.tables.list(&owner, &id, &bucket("no"), ReadAt::Head).await;
    assert!(matches!(missing, Err(UseCaseError::NoBucket { .. })));
    let missing = world.tables.delete(&owner, &id, &table("no.t"), Expected::ANY).await;
    assert!(matches!(missing, Err(UseCaseError::NoBucket { .. })));
}

#[tokio::test]
async fn rows_are_edited_and_counted() {
    let (world, owner) = filled().await;
    let update = Edit::Update { filter: equals("i", "2"), set: vec![assign("v", None)] };
    let done = world.edited(&owner, update, Meant::default()).await.unwrap();
    assert_eq!((done.rows.updated, done.rows.total()), (1, 1));
    let done = world.edited(&owner, delete_one(), Meant::default()).await.unwrap();
    assert_eq!(done.rows.deleted, 1);
    assert_eq!(world.shown(&owner).await.size.row_count, 1);
    world.edited(&owner, Edit::Delete { filter: None }, Meant::default()).await.unwrap();
    assert_eq!(world.shown(&owner).await.size.row_count, 0);
    let events = world.events("p").await;
    assert_eq!(&events[events.len() - 3..], ["rows.updated", "rows.deleted", "table.truncated"]);
}

#[tokio::test]
async fn a_dry_run_tells_and_writes_nothing() {
    let (world, owner) = filled().await;
    let before = world.shown(&owner).await;
    let dry = Meant { dry_run: true, ..Meant::default() };
    let told = world.edited(&owner, delete_one(), dry).await.unwrap();
    assert_eq!((told.rows.deleted, told.snapshot), (1, None));
    let open = world.tables.open(&owner, &project_id("p"), &table("main.t"), Scope::Write).await.unwrap();
    let twice = rows(["i", "v"], &[[Some("1"), None]]);
    let refused = world.tables.load(&owner, open, LoadMode::Append, twice, dry).await;
    assert!(matches!(refused, Err(UseCaseError::DuplicateKeys { count: 1, .. })), "as the write would be");
    let drop = Reshape::Alter(Alteration::DropColumn { column: column_name("v") });
    let told = world.tables.reshape(&owner, &project_id("p"), &table("main.t"), drop, dry, false).await.unwrap();
    assert!(matches!(told.compatibility, Compatibility::Breaking { .. }));
    assert_eq!((told.snapshot, told.table.schema.columns().len()), (None, 2));
    let filter = equals("i", "1");
    let told = world.tables.purge(&owner, &project_id("p"), &table("main.t"), |_| Ok(filter), dry).await.unwrap();
    assert_eq!(told, Purged::WouldDelete(1));
    assert_eq!(world.shown(&owner).await, before);
}

#[tokio::test]
async fn a_change_on_top_of_an_old_version_is_told_the_new_one() {
    let (world, owner) = filled().await;
    let seen = world.shown(&owner).await.version;
    world.edited(&owner, delete_one(), Meant::default()).await.unwrap();
    let now = world.shown(&owner).await;
    let whole = Meant { expected: Expected { schema: Some(seen.schema), rows: Some(seen.rows) }, dry_run: false };
    let Err(UseCaseError::NotExpected { found: Some(found), .. }) =
        world.edited(&owner, Edit::Delete { filter: None }, whole).await
    else {
        panic!()
    };
    assert_eq!(*found, now);
    let deleted = world.tables.delete(&owner, &project_id("p"), &table("main.t"), whole.expected).await;
    assert!(matches!(deleted, Err(UseCaseError::NotExpected { .. })));
    let all = equals("i", "2");
    let purged = world.tables.purge(&owner, &project_id("p"), &table("main.t"), |_| Ok(all), whole).await;
    assert!(matches!(purged, Err(UseCaseError::NotExpected { found: Some(_), .. })));
    // Rows that came in between don't matter to the shape.
    let shape = Meant { expected: Expected { schema: Some(seen.schema), rows: None }, dry_run: false };
    let add = Reshape::Alter(Alteration::AddColumn { column: column("n", "DATE") });
    world.tables.reshape(&owner, &project_id("p"), &table("main.t"), add.clone(), shape, false).await.unwrap();
    let again = world.tables.reshape(&owner, &project_id("p"), &table("main.t"), add, shape, false).await;
    assert!(again.is_err());
}

#[tokio::test]
async fn what_breaks_others_must_be_meant() {
    let (world, owner) = filled().await;
    let drop = || Reshape::Alter(Alteration::DropColumn { column: column_name("v") });
    let rename = || Reshape::Rename(TableName::parse("u").unwrap());
    for reshape in [drop(), rename()] {
        let refused = world.reshaped(&owner, reshape, false).await;
        assert!(matches!(refused, Err(UseCaseError::Breaking { .. })));
    }
    let done = world.reshaped(&owner, drop(), true).await.unwrap();
    assert_eq!((done.table.schema.columns().len(), done.table.version.schema), (1, done.snapshot.unwrap()));
    let done = world.reshaped(&owner, rename(), true).await.unwrap();
    assert_eq!(done.table.name, table("main.u"));
    let gone = world.reshaped(&owner, rename(), true).await;
    assert!(matches!(gone, Err(UseCaseError::NoTable { .. })));
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_answered_for_and_not_made_again() {
    let (world, owner) = filled().await;
    let add = || Reshape::Alter(Alteration::AddColumn { column: column("n", "DATE") });
    let keyed = under_key(&owner, "add");
    let first = world.reshaped(&keyed, add(), false).await.unwrap();
    assert_eq!(world.reshaped(&keyed, add(), false).await.unwrap(), first);
    let fresh = world.reshaped(&owner, add(), false).await;
    assert!(matches!(fresh, Err(UseCaseError::Alteration(AlterationError::ColumnExists(_)))));

    let keyed = under_key(&owner, "edit");
    let first = world.edited(&keyed, delete_one(), Meant::default()).await.unwrap();
    assert_eq!(world.edited(&keyed, delete_one(), Meant::default()).await.unwrap(), first);

    let rename = || Reshape::Rename(TableName::parse("u").unwrap());
    let keyed = under_key(&owner, "rename");
    let first = world.reshaped(&keyed, rename(), true).await.unwrap();
    let again = world.reshaped(&keyed, rename(), true).await.unwrap();
    assert_eq!((&again, again.table.name.table.as_str()), (&first, "u"), "though nothing has the old name now");
}

#[tokio::test]
async fn a_taken_name_is_the_new_one() {
    let (world, owner) = filled().await;
    let other = schema(vec![column("i", "INTEGER")], &[]);
    world.tables.create(&owner, &project_id("p"), table("main.u"), other.into()).await.unwrap();
    let taken = world.reshaped(&owner, Reshape::Rename(TableName::parse("U").unwrap()), true).await;
    assert!(matches!(taken, Err(UseCaseError::TableExists { table: name, .. }) if name == table("main.u")));
}

#[tokio::test]
async fn a_table_is_made_with_its_comments() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let columns = schema(vec![column("i", "INTEGER"), column("v", "VARCHAR")], &[]);
    let comments =
        Comments { table: Some("What it is".to_owned()), columns: [(column_name("v"), "A value".to_owned())].into() };
    let new = || NewTable { comments: comments.clone(), ..NewTable::from(columns.clone()) };
    let keyed = under_key(&owner, "make");
    let made = world.tables.create(&keyed, &project_id("p"), table("main.t"), new()).await.unwrap();
    assert_eq!(made.comments, comments);
    let again = world.tables.create(&keyed, &project_id("p"), table("main.t"), new()).await.unwrap();
    assert_eq!(again, made, "nothing is written twice");
    let long = NewTable { comments: Comments { table: Some("x".repeat(10_001)), ..Comments::default() }, ..new() };
    let refused = world.tables.create(&owner, &project_id("p"), table("main.u"), long).await;
    assert!(matches!(refused, Err(UseCaseError::Invalid(_))));
}

#[tokio::test]
async fn purged_rows_are_gone_unless_a_tag_holds_them() {
    let (world, owner) = filled().await;
    let id = project_id("p");
    let purge = async || {
        let filter = equals("i", "1");
        world.tables.purge(&owner, &id, &table("main.t"), |_| Ok(filter), Meant::default()).await
    };
    let snapshot = world.shown(&owner).await.version.rows;
    let name = TagName::parse("keep").unwrap();
    let tag = Tag {
        project: id.clone(),
        name: name.clone(),
        snapshot,
        description: None,
        created_at: noon(),
        created_by: "x".to_owned(),
    };
    let mut tx = world.store.write().await.unwrap();
    tx.tags().insert(&tag).await.unwrap();
    tx.commit().await.unwrap();
    let Err(UseCaseError::SnapshotHeld { tag, .. }) = purge().await else { panic!() };
    assert_eq!(tag, name);
    let mut tx = world.store.write().await.unwrap();
    tx.tags().remove(&id, &name).await.unwrap();
    tx.commit().await.unwrap();
    let Purged::Done(report) = purge().await.unwrap() else { panic!() };
    assert_eq!((report.rows, report.expired.contains(&snapshot)), (1, true));
    assert_eq!(world.shown(&owner).await.size.row_count, 1);
}

#[tokio::test]
async fn rows_need_the_scope_write_and_shapes_the_scope_manage() {
    use gadwall_domain::access::Principal;
    let (world, owner) = filled().await;
    let with = |scopes: &[Scope], only: Option<&str>| {
        let Some(Principal::Key { id, project, .. }) = owner.principal().cloned() else { panic!() };
        let scopes = scopes.iter().copied().collect();
        crate::world::caller(crate::caller::Identity::Known(Principal::Key {
            id,
            project,
            scopes,
            bucket: only.map(bucket),
        }))
    };
    let add = || Reshape::Alter(Alteration::AddColumn { column: column("n", "DATE") });
    let purge = async |caller: &Caller| {
        let dry = Meant { dry_run: true, ..Meant::default() };
        world.tables.purge(caller, &project_id("p"), &table("main.t"), |_| Ok(equals("i", "1")), dry).await
    };
    let refused = |done: Result<(), UseCaseError>| matches!(done, Err(UseCaseError::Forbidden));
    let reader = with(&[Scope::Read], None);
    let writer = with(&[Scope::Read, Scope::Write], None);
    let elsewhere = with(&[Scope::Read, Scope::Write, Scope::Manage], Some("other"));
    for caller in [&reader, &elsewhere] {
        assert!(refused(world.edited(caller, delete_one(), Meant::default()).await.map(drop)));
        assert!(refused(world.tables.open(caller, &project_id("p"), &table("main.t"), Scope::Write).await.map(drop)));
    }
    for caller in [&reader, &writer, &elsewhere] {
        assert!(refused(world.reshaped(caller, add(), true).await.map(drop)));
        assert!(refused(purge(caller).await.map(drop)));
    }
    world.edited(&writer, delete_one(), Meant::default()).await.unwrap();
}
