//! Keeps the metadata store's index in step with the lakes' commits.
//!
//! The commit is the truth. Its facts, events and audit entries are copied into the metadata store after
//! each write and, for what a crash left behind, when a project is first used after a start.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use gadwall_domain::audit::AuditEntry;
use gadwall_domain::commit::{Change, Commit, WriteRecord};
use gadwall_domain::events::Event;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::lineage::{event_of_write, start_of};
use gadwall_domain::ports::lake::{LakeStore, LakeWrite};
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::project::Project;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::sharing::SourceBucket;
use gadwall_domain::table::TableRef;

use tokio::sync::Notify;

use crate::error::UseCaseError;
use crate::operating::{Measured, Operation};

/// Commits copied in one metadata transaction.
const AT_ONCE: u32 = 200;
/// Tables of a lake that are kept; with more, they are looked up again.
const MAX_TABLES: usize = 512;

/// Copies commits into the index.
pub struct Projection {
    store: Arc<dyn MetadataStore>,
    lakes: Arc<dyn LakeStore>,
    /// Told when commits were copied.
    copied: Arc<Notify>,
    /// One entry for each lake in use.
    followed: Mutex<HashMap<LakeId, Followed>>,
    /// Told how long writes take.
    measured: Option<Arc<Measured>>,
    /// How many events of lineage may wait to be handed on to another server; none where there is none.
    forward: Option<u64>,
}

/// How far the copying of one lake is.
#[derive(Default)]
struct Followed {
    /// Whether all of an earlier life of the process has been copied.
    caught_up: bool,
    /// The last commit that was copied, as far as is known here.
    applied: SnapshotId,
    /// Who copies does so alone; the others wait and find it done.
    turn: Arc<futures_util::lock::Mutex<()>>,
    /// Tables that rows were meant for, by their names as given: what they are by all commits that were copied.
    tables: HashMap<TableRef, KnownTable>,
    /// Grows when tables may have changed.
    changes: u64,
}

/// A table by its stored name, and the columns and key that its rows must fit.
pub(crate) type KnownTable = (TableRef, Arc<TableSchema>);

impl fmt::Debug for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Projection")
    }
}

impl Projection {
    /// Copies from these lakes into this store.
    pub fn new(store: Arc<dyn MetadataStore>, lakes: Arc<dyn LakeStore>) -> Self {
        Self { store, lakes, copied: Arc::default(), followed: Mutex::default(), measured: None, forward: None }
    }

    /// Has it told how long writes take.
    #[must_use]
    pub fn measured_by(self, measured: Arc<Measured>) -> Self {
        Self { measured: Some(measured), ..self }
    }

    /// Hands what writes tell lineage on to another server: so many events may wait for it.
    #[must_use]
    pub fn forwarding(self, most: Option<u64>) -> Self {
        Self { forward: most, ..self }
    }

    /// Notes that a write to a lake begins.
    pub(crate) fn measure(&self, write: &LakeWrite) -> Option<Operation> {
        self.measured.as_ref().map(|measured| Operation::begin(measured, write.kind()))
    }

    /// Told when commits were copied: one who waits is woken.
    pub fn copied(&self) -> Arc<Notify> {
        Arc::clone(&self.copied)
    }

    /// Makes sure that nothing is missing: of an earlier life of the process, or, where others write to the lake, of
    /// theirs. Cheap after the first time where nobody else writes; elsewhere the lake is asked how far it is.
    pub(crate) async fn ensure(&self, project: &Project) -> Result<(), UseCaseError> {
        let caught_up = self.followed().get(&project.lake).is_some_and(|lake| lake.caught_up);
        if !caught_up {
            return self.catch_up(project, None).await;
        }
        if self.lakes.is_shared() {
            let head = self.lakes.head(project.lake).await?;
            self.catch_up(project, Some(head)).await?;
        }
        Ok(())
    }

    /// A table that was looked up since the last change of any; and how many changes there were, for
    /// [`Projection::keep_table`].
    pub(crate) fn known_table(&self, lake: LakeId, table: &TableRef) -> (Option<KnownTable>, u64) {
        let mut followed = self.followed();
        let lake = followed.entry(lake).or_default();
        (lake.tables.get(table).cloned(), lake.changes)
    }

    /// Keeps what a look-up found, unless something changed since it began.
    pub(crate) fn keep_table(&self, lake: LakeId, table: &TableRef, found: KnownTable, changes: u64) {
        if let Some(lake) = self.followed().get_mut(&lake).filter(|lake| lake.changes == changes) {
            if lake.tables.len() >= MAX_TABLES {
                lake.tables.clear();
            }
            lake.tables.insert(table.clone(), found);
        }
    }

    /// Copies every commit that isn't in the index yet; or nothing, if `wanted` is in it already.
    pub async fn catch_up(&self, project: &Project, wanted: Option<SnapshotId>) -> Result<(), UseCaseError> {
        if self.has(project.lake, wanted) {
            return Ok(());
        }
        let turn = Arc::clone(&self.followed().entry(project.lake).or_default().turn);
        let _alone = turn.lock().await;
        if self.has(project.lake, wanted) {
            return Ok(());
        }
        let done = self.copy(project, wanted).await;
        if done.is_err() {
            // What was missed is looked for when the project is used next.
            let mut followed = self.followed();
            let lake = followed.entry(project.lake).or_default();
            lake.caught_up = false;
            lake.changed();
        }
        done
    }

    /// Whether a commit is known to be in the index.
    fn has(&self, lake: LakeId, wanted: Option<SnapshotId>) -> bool {
        let Some(wanted) = wanted else { return false };
        self.followed().get(&lake).is_some_and(|lake| wanted <= lake.applied)
    }

    async fn copy(&self, project: &Project, wanted: Option<SnapshotId>) -> Result<(), UseCaseError> {
        let known = self.followed().get(&project.lake).map_or(SnapshotId::ZERO, |lake| lake.applied);
        let mut applied = known;
        if known == SnapshotId::ZERO {
            applied = self.store.read().await?.lake_index().applied(&project.id).await?;
        }
        loop {
            if wanted.is_some_and(|wanted| wanted <= applied) {
                return Ok(());
            }
            let commits = self.lakes.commits_after(project.lake, applied, AT_ONCE).await?;
            let Some(last) = commits.last() else {
                let mut followed = self.followed();
                let lake = followed.entry(project.lake).or_default();
                lake.caught_up = true;
                lake.applied = lake.applied.max(applied);
                return Ok(());
            };
            applied = last.snapshot;
            self.apply(project, &commits).await?;
            let mut followed = self.followed();
            let lake = followed.entry(project.lake).or_default();
            lake.applied = applied;
            if !commits.iter().all(only_rows) {
                lake.changed();
            }
        }
    }

    /// Forgets a lake that is gone.
    pub(crate) fn forget(&self, lake: LakeId) {
        self.followed().remove(&lake);
    }

    async fn apply(&self, Project { id: project, lake, .. }: &Project, commits: &[Commit]) -> Result<(), UseCaseError> {
        let mut tx = self.store.write().await?;
        // Who wrote into a project that was deleted meanwhile is not answered as if it had been in time.
        if !tx.lake_index().is_in_use(project).await? {
            return Err(UseCaseError::NoProjectAround(project.clone()));
        }
        for commit in commits {
            // Someone else may have copied it since it was read.
            if !tx.lake_index().apply(project, commit).await? {
                continue;
            }
            for write in &commit.writes {
                if let Change::BucketDropped { bucket } = &write.change {
                    let gone = SourceBucket { project: project.clone(), bucket: bucket.clone() };
                    tx.sharing().forget_bucket(&gone).await?;
                }
            }
            let (at, snapshot) = (commit.committed_at, commit.snapshot);
            let writes = commit.writes.iter();
            let events: Vec<Event> =
                writes.clone().map(|write| Event::of_write(project.clone(), write, at, snapshot)).collect();
            let entries: Vec<AuditEntry> =
                writes.map(|write| AuditEntry::of_write(project.clone(), write, at, snapshot)).collect();
            let runs = commit.writes.iter().enumerate();
            let runs: Vec<_> =
                runs.filter_map(|(number, write)| event_of_write(*lake, snapshot, number, at, write)).collect();
            let texts: Vec<_> = runs.iter().map(ToString::to_string).collect();
            tx.lineage().enqueue(project, &texts, at).await?;
            if let Some(most) = self.forward {
                let starts = runs.iter().map(|ended| start_of(ended).to_string());
                let both: Vec<_> = starts.zip(texts).flat_map(|(start, ended)| [start, ended]).collect();
                tx.lineage().forward(project, &both, at, most).await?;
            }
            tx.events().append(&events).await?;
            tx.audit().append(&entries).await?;
        }
        tx.commit().await?;
        self.copied.notify_one();
        Ok(())
    }

    fn followed(&self) -> std::sync::MutexGuard<'_, HashMap<LakeId, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Followed {
    fn changed(&mut self) {
        self.changes += 1;
        self.tables.clear();
    }
}

/// Whether a commit leaves all tables as they were, but for their rows. One that doesn't say what it did may have done
/// anything.
fn only_rows(commit: &Commit) -> bool {
    let rows = |write: &WriteRecord| {
        matches!(
            write.change,
            Change::RowsAppended { .. }
                | Change::RowsUpserted { .. }
                | Change::RowsReplaced { .. }
                | Change::RowsUpdated { .. }
                | Change::RowsDeleted { .. }
                | Change::TableTruncated { .. }
                | Change::FilesCompacted { .. }
        )
    };
    !commit.writes.is_empty() && commit.writes.iter().all(rows)
}

#[cfg(test)]
mod tests {
    use gadwall_domain::history::{Expected, ReadAt};
    use gadwall_domain::ports::lake::LakeWrite;

    use super::*;
    use crate::testing::builders::{bucket, column, origin, project_id, schema, table};
    use crate::testing::{FixedClock, MemoryLake};
    use crate::world::World;

    async fn project(world: &World) -> Project {
        world.project("p").await;
        world.projects.get(&world.admin(), &project_id("p")).await.unwrap()
    }

    #[tokio::test]
    async fn what_a_crash_left_out_is_copied_once() {
        let world = World::new();
        let project = project(&world).await;
        // Committed, but the process died before anyone was told.
        let write = LakeWrite::CreateBucket { bucket: bucket("b"), description: Some("kept".to_owned()) };
        world.lakes.write(project.lake, write, origin("r9")).await.unwrap();
        let create = LakeWrite::create_table(table("b.t"), schema(vec![column("id", "CHAR(3)")], &["id"]));
        world.lakes.write(project.lake, create, origin("r9")).await.unwrap();
        let before = world.events("p").await;

        let reborn = Projection::new(Arc::clone(&world.store) as _, Arc::clone(&world.lakes) as _);
        for _ in 0..3 {
            reborn.ensure(&project).await.unwrap();
            world.projection.catch_up(&project, None).await.unwrap();
        }
        let all = world.events("p").await;
        assert_eq!(all[before.len()..], ["bucket.created", "table.created"]);
        let found = world.tables.get(&world.admin(), &project.id, &table("b.t")).await.unwrap();
        assert_eq!(found.schema.columns()[0].data_type.to_string(), "CHAR(3)");
        assert_eq!(found.schema.key_columns().len(), 1);
        let audit = world.audited("p").await;
        assert_eq!(audit.iter().filter(|entry| entry.request_id.as_str() == "r9").count(), 2);
    }

    #[tokio::test]
    async fn what_another_server_committed_is_known_at_once() {
        let clock = Arc::new(FixedClock::default());
        let lakes = Arc::new(MemoryLake::new(Arc::clone(&clock) as _).shared());
        let world = World::over(clock, lakes, Arc::default());
        let project = project(&world).await;
        let here = Projection::new(Arc::clone(&world.store) as _, Arc::clone(&world.lakes) as _);
        here.ensure(&project).await.unwrap();
        let t = table("main.t");
        for (number, key) in [(1, &["id"][..]), (2, &[])] {
            let create = LakeWrite::create_table(t.clone(), schema(vec![column("id", "BIGINT")], key));
            let made = world.lakes.write(project.lake, create, origin("r9")).await.unwrap();
            here.ensure(&project).await.unwrap();
            let mut tx = world.store.read().await.unwrap();
            assert_eq!(tx.lake_index().applied(&project.id).await.unwrap(), made.snapshot);
            let (known, changes) = here.known_table(project.lake, &t);
            assert!(known.is_none(), "what was known of it is over: {number}");
            let found = tx.lake_index().table(&project.id, &t, ReadAt::Head).await.unwrap().unwrap();
            assert_eq!(found.primary_key.len(), key.len());
            here.keep_table(
                project.lake,
                &t,
                (t.clone(), Arc::new(schema(vec![column("id", "BIGINT")], key))),
                changes,
            );
            drop(tx);
            let drop_table = LakeWrite::DropTable { table: t.clone(), expected: Expected::ANY };
            world.lakes.write(project.lake, drop_table, origin("r9")).await.unwrap();
        }
    }

    #[tokio::test]
    async fn many_commits_are_copied_in_order() {
        let world = World::new();
        let project = project(&world).await;
        for number in 0..AT_ONCE + 5 {
            let write = LakeWrite::CreateBucket { bucket: bucket(&format!("b{number}")), description: None };
            world.lakes.write(project.lake, write, origin("r")).await.unwrap();
        }
        world.projection.catch_up(&project, None).await.unwrap();
        let mut tx = world.store.read().await.unwrap();
        assert_eq!(tx.lake_index().applied(&project.id).await.unwrap(), world.lakes.head(project.lake).await.unwrap());
        assert_eq!(tx.lake_index().buckets(&project.id, ReadAt::Head).await.unwrap().len(), AT_ONCE as usize + 5);
    }
}
