//! Transfers over fakes: an engine that writes one line and reads nothing, and a background that runs at once when asked.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use gadwall_domain::access::Principal;
use gadwall_domain::error::Classify as _;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::operation::{Operation, OperationState, Progress};
use gadwall_domain::ports::background::{Background, BackgroundFull, Place, Work};
use gadwall_domain::ports::lake::{EngineFile, LoadMode};
use gadwall_domain::ports::objects::{ObjectQuery, PutOptions};
use gadwall_domain::ports::transfer::{ExportSource, Exported, ReadIn, TransferError, Watcher};
use gadwall_domain::rows::StagedFile;
use gadwall_domain::schema::Column;
use gadwall_domain::transfer::{CsvOptions, FileFormat, FilePattern, ObjectPath};

use super::files::find;
use super::*;
use crate::caller::Identity;
use crate::testing::SeqIds;
use crate::testing::builders::{api_key, column, dataset, object, project_id, schema, table};
use crate::world::{World, caller};

struct FakeBulk {
    dir: PathBuf,
}

impl FakeBulk {
    fn file(&self) -> Arc<StagedFile> {
        let path = self.dir.join("staged");
        std::fs::write(&path, "a\n").unwrap();
        Arc::new(StagedFile::new(path, Box::new(())))
    }
}

#[async_trait]
impl BulkTransfer for FakeBulk {
    async fn infer(
        &self,
        _: LakeId,
        _: &[EngineFile],
        _: &FileFormat,
        _: Duration,
    ) -> Result<Vec<Column>, TransferError> {
        Ok(vec![column("a", "INTEGER")])
    }

    async fn read(
        &self,
        _: LakeId,
        _: &[EngineFile],
        _: &FileFormat,
        _: &[Column],
        _: Watcher,
        _: Duration,
    ) -> Result<ReadIn, TransferError> {
        Ok(ReadIn { file: self.file(), rows: 1 })
    }

    async fn export(
        &self,
        _: ExportSource,
        _: &FileFormat,
        watcher: Watcher,
        _: Duration,
    ) -> Result<Exported, TransferError> {
        watcher(Progress { percent: None, rows: 0, bytes: 1 });
        Ok(Exported {
            file: self.file(),
            rows: 1,
            bytes: 2,
            snapshot: SnapshotId::ZERO,
            linked: Vec::new(),
            reads: BTreeSet::new(),
            columns: Vec::new(),
        })
    }
}

#[derive(Default)]
struct Held(Arc<Mutex<Vec<Work>>>);

impl Background for Held {
    fn reserve(&self) -> Result<Box<dyn Place>, BackgroundFull> {
        Ok(Box::new(Self(Arc::clone(&self.0))))
    }
}

impl Place for Held {
    fn start(self: Box<Self>, _: &'static str, work: Work) {
        self.0.lock().unwrap().push(work);
    }
}

struct Scene {
    world: World,
    owner: Caller,
    transfers: Transfers,
    work: Arc<Mutex<Vec<Work>>>,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new();
        let (_, owner) = world.project("p").await;
        let dir = tempfile::tempdir().unwrap();
        let background = Held::default();
        let work = Arc::clone(&background.0);
        let (store, clock) = (Arc::clone(&world.store), Arc::clone(&world.clock));
        let operations = Operations::new(
            Arc::clone(&store) as _,
            Arc::clone(&world.access),
            clock as _,
            Arc::new(SeqIds::default()),
            Arc::new(background),
            world.instance(1),
        );
        let tables = Tables::new(
            store as _,
            Arc::clone(&world.lakes),
            Arc::clone(&world.access),
            Arc::clone(&world.projection),
            Arc::clone(&world.projects),
        );
        let transfers = Transfers::new(Parts {
            lakes: Arc::clone(&world.lakes),
            objects: Arc::clone(&world.objects),
            bulk: Arc::new(FakeBulk { dir: dir.path().to_owned() }),
            access: Arc::clone(&world.access),
            tables: Arc::new(tables),
            projection: Arc::clone(&world.projection),
            projects: Arc::clone(&world.projects),
            operations: Arc::new(operations),
            files: None,
            running: None,
        });
        world.datasets.create(&owner, &project_id("p"), &dataset("d")).await.unwrap();
        Self { world, owner, transfers, work, _dir: dir }
    }

    async fn put(&self, name: &str) {
        let (id, d, object) = (project_id("p"), dataset("d"), object(name));
        let content = futures_util::stream::iter([Ok(Bytes::from_static(b"x"))]);
        let open = self.world.datasets.open_for_put(&self.owner, &id, &d, &object).await.unwrap();
        self.world.datasets.put(open, Box::pin(content), PutOptions::default()).await.unwrap();
    }

    async fn ended(&self, operation: &Operation) -> OperationState {
        let work: Vec<Work> = self.work.lock().unwrap().drain(..).collect();
        for work in work {
            work.await;
        }
        let operations = &self.transfers.parts.operations;
        operations.get(&self.owner, &operation.project, &operation.id.to_string()).await.unwrap().state
    }

    async fn objects(&self) -> Vec<String> {
        let query = ObjectQuery { limit: 100, ..ObjectQuery::default() };
        let found = self.world.datasets.objects(&self.owner, &project_id("p"), &dataset("d"), &query).await.unwrap();
        found.iter().map(|object| object.name.to_string()).collect()
    }
}

fn import_of(files: &[&str], create: bool) -> NewImport {
    let files = files.iter().map(|text| FilePattern::parse(text).unwrap()).collect();
    NewImport { table: table("main.t"), files, format: None, mode: LoadMode::Append, create }
}

fn export_to(to: &str) -> NewExport {
    let format = FileFormat::Csv(CsvOptions::default());
    NewExport { of: ExportOf::Query("select".to_owned()), snapshot: None, to: ObjectPath::parse(to).unwrap(), format }
}

fn key(scopes: &[Scope], only: Option<&str>) -> Caller {
    caller(Identity::Known(Principal::Key {
        id: api_key("p", "x").id,
        project: project_id("p"),
        scopes: scopes.iter().copied().collect(),
        bucket: only.map(crate::testing::builders::bucket),
    }))
}

#[tokio::test]
async fn patterns_find_each_file_once_in_their_order() {
    let scene = Scene::new().await;
    for name in ["a/2.csv", "a/1.csv", "b.csv", "*.csv"] {
        scene.put(name).await;
    }
    let project = scene.world.access.open(&scene.owner, &project_id("p"), Scope::Read).await.unwrap();
    let found = async |patterns: &[&str]| {
        let patterns: Vec<_> = patterns.iter().map(|text| FilePattern::parse(text).unwrap()).collect();
        let found = find(&*scene.world.objects, &project, &patterns).await?;
        Ok::<_, UseCaseError>(found.into_iter().map(|found| found.file.name).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(found(&["/d/b.csv", "/d/**/?.csv"]).await.unwrap(), "/d/b.csv /d/*.csv /d/a/1.csv /d/a/2.csv");
    assert_eq!(found(&["/D/*.csv"]).await.unwrap(), "/D/*.csv", "a name that is there means itself");
    assert_eq!(found(&["/d/*.tsv"]).await.unwrap_err().code(), "files_not_found");
    assert_eq!(found(&["/d/none.csv"]).await.unwrap_err().code(), "object_not_found");
    assert_eq!(found(&["/e/*"]).await.unwrap_err().code(), "dataset_not_found");
}

#[tokio::test]
async fn scopes_hold_and_a_key_of_one_bucket_has_no_part_in_files() {
    let scene = Scene::new().await;
    scene.put("a.csv").await;
    let id = project_id("p");
    let code = |result: Result<Operation, UseCaseError>| result.err().map(|error| error.code());
    let import =
        async |caller: &Caller| code(scene.transfers.import(caller, &id, import_of(&["/d/a.csv"], true)).await);
    let export = async |caller: &Caller| code(scene.transfers.export(caller, &id, export_to("/d/x.csv")).await);
    let no = Some("forbidden");
    assert_eq!(import(&key(&[Scope::Read, Scope::Write], None)).await, no, "making a table needs manage");
    assert_eq!(import(&key(&[Scope::Write, Scope::Manage], None)).await, None);
    assert_eq!(import(&key(&[Scope::Write, Scope::Manage], Some("main"))).await, no);
    assert_eq!(export(&key(&[Scope::Read], None)).await, no);
    assert_eq!(export(&key(&[Scope::Write], None)).await, no);
    assert_eq!(export(&key(&[Scope::Read, Scope::Write], Some("main"))).await, no);
    assert_eq!(export(&key(&[Scope::Read, Scope::Write], None)).await, None);
}

#[tokio::test]
async fn an_export_is_taken_over_whole_and_a_cancelled_one_not_at_all() {
    let scene = Scene::new().await;
    let id = project_id("p");
    let cancelled = scene.transfers.export(&scene.owner, &id, export_to("/d/no.csv")).await.unwrap();
    let done = scene.transfers.export(&scene.owner, &id, export_to("/d/x/y.csv")).await.unwrap();
    scene.transfers.parts.operations.cancel(&scene.owner, &id, &cancelled.id.to_string()).await.unwrap();
    assert_eq!(scene.ended(&cancelled).await, OperationState::Cancelled);
    let OperationState::Succeeded(result) = scene.ended(&done).await else { panic!("it succeeds") };
    assert_eq!((&result["files"][0]["path"], &result["bytes"]), (&"/d/x/y.csv".into(), &2.into()));
    assert_eq!(scene.objects().await, ["x/y.csv"]);
}

#[tokio::test]
async fn a_table_made_for_rows_that_do_not_fit_goes_with_them() {
    let scene = Scene::new().await;
    scene.put("a.csv").await;
    let id = project_id("p");
    let started = scene.transfers.import(&scene.owner, &id, import_of(&["/d/a.csv"], true)).await.unwrap();
    // The lake in memory reads no Parquet, so the load fails.
    assert!(matches!(scene.ended(&started).await, OperationState::Failed(_)));
    assert_eq!(scene.world.events("p").await[2..], ["table.created", "table.deleted"]);
    let missing = scene.world.tables.get(&scene.owner, &id, &table("main.t")).await;
    assert!(matches!(missing, Err(UseCaseError::NoTable { .. })), "{missing:?}");
}

#[tokio::test]
async fn what_cannot_work_is_told_at_once() {
    let scene = Scene::new().await;
    for name in ["a.csv", "b.parquet", "c.zip"] {
        scene.put(name).await;
    }
    let id = project_id("p");
    let code = async |new: NewImport| scene.transfers.import(&scene.owner, &id, new).await.unwrap_err().code();
    assert_eq!(code(import_of(&["/d/a.csv"], false)).await, "table_not_found");
    assert_eq!(code(import_of(&["/d/a.csv", "/d/b.parquet"], true)).await, "unsupported_format");
    assert_eq!(code(import_of(&["/d/c.zip"], true)).await, "unsupported_format");
    let t = schema(vec![column("a", "INTEGER")], &[]);
    scene.world.tables.create(&scene.owner, &id, table("main.t"), t.into()).await.unwrap();
    let upsert = NewImport { mode: LoadMode::Upsert, ..import_of(&["/d/a.csv"], false) };
    assert!(matches!(scene.transfers.import(&scene.owner, &id, upsert).await, Err(UseCaseError::NoKey(_))));
    assert!(scene.work.lock().unwrap().is_empty());
}
