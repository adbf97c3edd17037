//! What the contract doesn't say: limits of the engine, and what happens at them.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use gadwall_application::testing::builders::{bucket, column, lake, origin, rows, schema, table};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::{LakeError, LakeStore as _, LakeWrite, QueryEngine as _, WriteError};
use gadwall_domain::ports::operating::EngineControl as _;
use gadwall_domain::query::{Parameters, Query, QueryError, QueryOutput, ReadScope};
use gadwall_ducklake::{EmbeddedLakes, LakeConfig};
use tempfile::TempDir;

use crate::support;

fn open(change: impl FnOnce(&mut LakeConfig)) -> (EmbeddedLakes, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = support::config(dir.path());
    change(&mut config);
    (EmbeddedLakes::open(&config).unwrap(), dir)
}

async fn query(lakes: &EmbeddedLakes, lake: LakeId, sql: &str, timeout: Duration) -> Result<QueryOutput, QueryError> {
    let query = Query { sql: sql.to_owned(), parameters: Parameters::None, default_bucket: None, timeout };
    lakes.query(ReadScope::of(lake, ReadAt::Head), query).await
}

async fn count(mut output: QueryOutput) -> Result<usize, QueryError> {
    let mut rows = 0;
    while let Some(batch) = output.rows.batches.next().await {
        rows += batch?.num_rows();
    }
    Ok(rows)
}

const ENDLESS: &str = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = 7";
const LONG: &str = "SELECT range FROM range(100000000)";
const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lakes_make_room_for_each_other() {
    let (lakes, _dir) = open(|config| config.max_attached = 2);
    for number in 1..=6 {
        lakes.create(lake(number)).await.unwrap();
        let create = LakeWrite::CreateBucket { bucket: bucket(&format!("b{number}")), description: None };
        lakes.write(lake(number), create, origin("r")).await.unwrap();
    }
    // All at once, so that lakes in use keep their place and others come and go.
    let looks = (1..=6).chain(1..=6).map(|number| {
        let lakes = &lakes;
        async move { lakes.buckets(lake(number), ReadAt::Head).await.unwrap()[0].name == bucket(&format!("b{number}")) }
    });
    assert!(join_all(looks).await.into_iter().all(|own| own));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_goes_away_gives_up_its_place() {
    let (lakes, _dir) = open(|config| config.max_queries = 1);
    lakes.create(lake(1)).await.unwrap();
    let started = Instant::now();
    // One that has begun to answer, and one that never would.
    drop(query(&lakes, lake(1), LONG, Duration::from_secs(100)).await.unwrap());
    let endless = query(&lakes, lake(1), ENDLESS, Duration::from_secs(100));
    assert!(tokio::time::timeout(Duration::from_millis(300), endless).await.is_err());
    assert_eq!(count(query(&lakes, lake(1), "SELECT 1", SOON).await.unwrap()).await, Ok(1));
    assert!(started.elapsed() < SOON, "took {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_is_stopped_at_its_deadline_whether_it_answers_or_not() {
    let (lakes, _dir) = open(|_| {});
    lakes.create(lake(1)).await.unwrap();
    let limit = Duration::from_millis(300);
    assert_eq!(query(&lakes, lake(1), ENDLESS, limit).await.unwrap_err(), QueryError::Timeout(limit));
    let mut slow = query(&lakes, lake(1), LONG, limit).await.unwrap();
    tokio::time::sleep(limit * 2).await;
    let last = loop {
        match slow.rows.batches.next().await {
            Some(Ok(_)) => {}
            last => break last,
        }
    };
    assert_eq!(last.unwrap().unwrap_err(), QueryError::Timeout(limit));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_wait_their_turn_and_too_many_are_turned_away() {
    let (lakes, _dir) = open(|config| {
        config.max_queries = 1;
        config.max_waiting = 1;
        config.queue_timeout = Duration::from_millis(300);
    });
    lakes.create(lake(1)).await.unwrap();
    let _running = query(&lakes, lake(1), LONG, Duration::from_secs(100)).await.unwrap();
    let others = (0..4).map(|_| query(&lakes, lake(1), "SELECT 1", SOON));
    let refused = join_all(others).await.into_iter().filter(|answer| matches!(answer, Err(QueryError::Busy))).count();
    assert_eq!(refused, 4, "three at once, one after its wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_says_so_and_loses_nothing() {
    let (lakes, _dir) = open(|config| config.writer_queue = 2);
    lakes.create(lake(1)).await.unwrap();
    let (t, columns) = (table("main.t"), schema(vec![column("i", "INTEGER")], &[]));
    let create = LakeWrite::create_table(t.clone(), columns.clone());
    lakes.write(lake(1), create, origin("r")).await.unwrap();
    let appends = (0..40).map(|_| {
        let rows = rows(["i"], &[[Some("1")]]);
        lakes.write(lake(1), LakeWrite::append(t.clone(), columns.clone(), rows), origin("r"))
    });
    let (mut written, mut refused) = (0, 0);
    for answer in join_all(appends).await {
        match answer {
            Ok(_) => written += 1,
            Err(WriteError::Lake(LakeError::Busy)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 0 && written > 0, "{written} written, {refused} refused");
    let found = lakes.table(lake(1), &t.bucket, &t.table, ReadAt::Head).await.unwrap().unwrap();
    assert_eq!(found.size.row_count, written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_on_this_machine_are_not_kept_in_memory() {
    let (lakes, _dir) = open(|_| {});
    lakes.create(lake(1)).await.unwrap();
    let (t, columns) = (table("main.t"), schema(vec![column("i", "INTEGER")], &[]));
    lakes.write(lake(1), LakeWrite::create_table(t.clone(), columns.clone()), origin("r")).await.unwrap();
    let one = rows(["i"], &[[Some("1")]]);
    lakes.write(lake(1), LakeWrite::append(t, columns, one), origin("r")).await.unwrap();
    let read = query(&lakes, lake(1), "SELECT max(i) FROM main.t WHERE i > 0", SOON).await.unwrap();
    assert_eq!(count(read).await, Ok(1));
    let kept = lakes.figures().await.memory.into_iter().find(|(tag, _)| tag == "external_file_cache");
    assert_eq!(kept, Some(("external_file_cache".to_owned(), 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_reads_one_snapshot_and_names_it() {
    let (lakes, _dir) = open(|_| {});
    lakes.create(lake(1)).await.unwrap();
    let head = lakes.head(lake(1)).await.unwrap();
    assert_eq!(query(&lakes, lake(1), "SELECT 1", SOON).await.unwrap().snapshot, head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_in_memory_is_spilled_or_refused_and_the_engine_goes_on() {
    let (lakes, _dir) = open(|config| config.memory_limit = 256 << 20);
    lakes.create(lake(1)).await.unwrap();
    let sorted = "SELECT range AS i, repeat('x', 100) AS s FROM range(3000000) ORDER BY hash(range)";
    let answer = match query(&lakes, lake(1), sorted, Duration::from_mins(1)).await {
        Ok(output) => count(output).await,
        Err(error) => Err(error),
    };
    assert!(matches!(answer, Ok(3_000_000)), "sorting spills: {answer:?}");
    let list = "SELECT list(repeat('x', 1000) || range) FROM range(3000000)";
    let answer = match query(&lakes, lake(1), list, Duration::from_mins(1)).await {
        Ok(output) => count(output).await,
        Err(error) => Err(error),
    };
    assert_eq!(answer, Err(QueryError::OutOfMemory));
    assert_eq!(count(query(&lakes, lake(1), "SELECT 1", SOON).await.unwrap()).await, Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_lakes_leave_nothing_readable_on_disk() {
    let (lakes, dir) = open(|config| config.encrypted = true);
    lakes.create(lake(1)).await.unwrap();
    let (t, columns) = (table("main.t"), schema(vec![column("s", "VARCHAR")], &[]));
    let create = LakeWrite::create_table(t.clone(), columns.clone());
    lakes.write(lake(1), create, origin("r")).await.unwrap();
    let secret = "a-secret-that-is-easy-to-find";
    let rows = rows(["s"], &[[Some(secret)]]);
    lakes.write(lake(1), LakeWrite::append(t, columns, rows), origin("r")).await.unwrap();
    let found = walk(dir.path()).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "parquet"));
    let files: Vec<_> = found.collect();
    assert!(!files.is_empty());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
    assert_eq!(count(query(&lakes, lake(1), "SELECT * FROM t", SOON).await.unwrap()).await, Ok(1));
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_that_wait_share_a_commit_and_no_neighbour_fails_another() {
    let (lakes, _dir) = open(|config| config.writer_queue = 200);
    lakes.create(lake(1)).await.unwrap();
    let columns = schema(vec![column("id", "INTEGER"), column("s", "VARCHAR")], &["id"]);
    for name in ["main.t", "main.u"] {
        let create = LakeWrite::create_table(table(name), columns.clone());
        lakes.write(lake(1), create, origin("r")).await.unwrap();
    }
    let append = |name: &str, id: i32| {
        let rows = rows(["id", "s"], &[[Some(&*id.to_string()), Some("x")]]);
        lakes.write(lake(1), LakeWrite::append(table(name), columns.clone(), rows), origin("r"))
    };
    let before = lakes.head(lake(1)).await.unwrap().get();
    let good = join_all((0..60).map(|id| append(if id % 2 == 0 { "main.t" } else { "main.u" }, id))).await;
    assert!(good.iter().all(Result::is_ok));
    let commits = lakes.head(lake(1)).await.unwrap().get() - before;
    assert!(commits < 60, "60 appends made {commits} commits");

    // Half of them come again, among new ones and one for a table that isn't there.
    let mixed = (50..90).map(|id| append(if id % 2 == 0 { "main.t" } else { "main.u" }, id));
    let (mixed, nowhere) = tokio::join!(join_all(mixed), append("main.nowhere", 1));
    assert!(matches!(nowhere, Err(WriteError::NoTable)));
    for (id, answer) in (50..90).zip(mixed) {
        match answer {
            Ok(_) => assert!(id >= 60, "{id} is there twice"),
            Err(WriteError::DuplicateKeys { .. }) => assert!(id < 60, "{id} was refused for a neighbour"),
            Err(other) => panic!("{other}"),
        }
    }
    let count = query(&lakes, lake(1), "SELECT 1 FROM t UNION ALL SELECT 1 FROM u", SOON).await.unwrap();
    assert_eq!(self::count(count).await, Ok(90));
}
