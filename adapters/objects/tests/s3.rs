//! A bucket of an S3 server: the contracts, and what else can happen between here and there. Each test starts a server.
#![expect(clippy::unwrap_used, reason = "tests may panic, also outside of functions marked as tests")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use gadwall_application::testing::builders::{dataset, lake, object};
use gadwall_application::testing::{FixedClock, SeqIds};
use gadwall_domain::dataset::{ObjectInfo, Precondition, Tags};
use gadwall_domain::ports::objects::{Content, ContentError, ObjectError, ObjectQuery, ObjectStorage, PutOptions};
use gadwall_domain::ports::results::{ResultError, ResultStore};
use gadwall_objects::ProcessTurns;
use gadwall_objects::s3::{S3Config, S3Objects, S3OpenError, S3Results, S3Store};
use gadwall_test_services::{Mode, Proxy, S3};
use tokio::sync::OnceCell;

const MIB: usize = 1024 * 1024;

/// Settings for a place of its own in the server's bucket.
fn config(server: &S3) -> S3Config {
    S3Config {
        endpoint: Some(server.endpoint.clone()),
        region: "us-east-1".to_owned(),
        bucket: server.bucket.clone(),
        prefix: server.fresh_prefix(),
        access_key: server.access_key.clone(),
        secret_key: server.secret_key.clone(),
        kms_key_id: None,
        path_style: true,
        allow_http: true,
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(30),
    }
}

async fn open(config: &S3Config) -> Result<S3Store, S3OpenError> {
    S3Store::open(config, &SeqIds::default()).await
}

fn objects(store: &S3Store) -> Arc<dyn ObjectStorage> {
    Arc::new(S3Objects::new(store, Arc::new(FixedClock::default()), Arc::new(SeqIds::default())))
}

async fn results(store: &S3Store) -> Arc<dyn ResultStore> {
    Arc::new(S3Results::open(store).await.unwrap())
}

async fn put(store: &dyn ObjectStorage, name: &str, content: Content) -> Result<ObjectInfo, ObjectError> {
    let stored = store.put(lake(1), &dataset("d"), &object(name), content, PutOptions::default()).await;
    stored.map(|stored| stored.info)
}

fn text(text: &'static str) -> Content {
    Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(text.as_bytes()))]))
}

/// So many bytes, made as they are asked for.
fn endless(mebibytes: usize) -> Content {
    let piece = |number: usize| Bytes::from(vec![u8::try_from(number % 251).unwrap(); MIB]);
    Box::pin(futures_util::stream::iter((0..mebibytes).map(move |number| Ok(piece(number)))))
}

async fn names(store: &dyn ObjectStorage) -> Vec<String> {
    let query = ObjectQuery { limit: 100, ..ObjectQuery::default() };
    let listed = store.list(lake(1), &dataset("d"), &query).await.unwrap();
    listed.into_iter().map(|info| info.name.to_string()).collect()
}

/// A part of the bucket that no other promise has. The server serves all of a test.
async fn fresh() -> S3Store {
    static SERVER: OnceCell<S3> = OnceCell::const_new();
    let server = SERVER.get_or_init(async || S3::start().await.unwrap()).await;
    open(&config(server)).await.unwrap()
}

mod objects_in_a_bucket {
    gadwall_application::objects_contract!(contract_together, (super::objects(&super::fresh().await), ()));
}

mod results_in_a_bucket {
    gadwall_application::results_contract!(contract_together, (super::results(&super::fresh().await).await, ()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_cant_be_used_is_told_at_once_and_without_secrets() {
    let server = S3::start().await.unwrap();
    let good = config(&server);
    let refused = async |config: S3Config| {
        let error = open(&config).await.unwrap_err();
        let told = format!("{error} {error:?}");
        for secret in [&config.secret_key, &config.access_key, &server.secret_key, &server.endpoint] {
            assert!(!told.contains(secret.as_str()), "{told}");
        }
        error
    };
    let wrong_secret = S3Config { secret_key: "wrong-secret".to_owned(), ..good.clone() };
    assert!(matches!(refused(wrong_secret).await, S3OpenError::Refused(_)));
    let wrong_key = S3Config { access_key: "nobody-knows".to_owned(), ..good.clone() };
    assert!(matches!(refused(wrong_key).await, S3OpenError::Refused(_)));
    if let Some(reader) = server.reader() {
        let reads_only = S3Config { access_key: reader.access_key, secret_key: reader.secret_key, ..good.clone() };
        assert!(matches!(open(&reads_only).await.unwrap_err(), S3OpenError::Refused(_)));
    }
    let no_bucket = refused(S3Config { bucket: "nowhere".to_owned(), ..good.clone() }).await;
    assert!(matches!(&no_bucket, S3OpenError::NoBucket { bucket } if bucket == "nowhere"), "{no_bucket:?}");
    let nothing_there = S3Config { endpoint: Some("http://127.0.0.1:9".to_owned()), ..good.clone() };
    assert!(matches!(refused(nothing_there).await, S3OpenError::Unavailable(_)));
    let unsafe_address = S3Config { allow_http: false, ..good };
    assert!(matches!(refused(unsafe_address).await, S3OpenError::Settings | S3OpenError::Unavailable(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_told_and_found_again() {
    let mut server = S3::start().await.unwrap();
    let proxy = Proxy::start(&server.endpoint).await.unwrap();
    let request_timeout = Duration::from_secs(10);
    let config = S3Config { endpoint: Some(proxy.url()), request_timeout, ..config(&server) };
    let store = open(&config).await.unwrap();
    let (objects, results) = (objects(&store), results(&store).await);
    objects.create_dataset(lake(1), &dataset("d")).await.unwrap();
    put(&*objects, "kept", text("kept")).await.unwrap();

    proxy.set(Mode::Refuse);
    let away = |error: Option<ObjectError>| assert!(matches!(error, Some(ObjectError::Unavailable(_))), "{error:?}");
    away(put(&*objects, "new", text("new")).await.err());
    away(objects.head(lake(1), &dataset("d"), &object("kept")).await.err());
    away(objects.datasets(lake(1)).await.err());
    assert!(matches!(results.unfinished().await, Err(ResultError::Unavailable(_))));
    proxy.set(Mode::Pass);
    put(&*objects, "new", text("new")).await.unwrap();

    proxy.set(Mode::Answer { status: 503, times: 2 });
    put(&*objects, "busy", text("busy")).await.unwrap();
    assert_eq!(proxy.answered(), 2);
    proxy.set(Mode::Answer { status: 503, times: usize::MAX });
    away(put(&*objects, "never", text("never")).await.err());
    proxy.set(Mode::Pass);

    if server.kill() {
        away(objects.head(lake(1), &dataset("d"), &object("kept")).await.err());
        server.start_again().await.unwrap();
    }
    assert_eq!(names(&*objects).await, ["busy", "kept", "new"]);
}

/// Memory that this process has in use, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_objects_pass_through_little_memory_or_leave_nothing() {
    let server = S3::start().await.unwrap();
    let config = config(&server);
    let store = open(&config).await.unwrap();
    let objects = objects(&store);
    objects.create_dataset(lake(1), &dataset("d")).await.unwrap();

    put(&*objects, "warm", endless(24)).await.unwrap();
    let before = resident();
    let stored = put(&*objects, "large", endless(200)).await.unwrap();
    let after = resident();
    assert!(after < before + 64 * MIB, "from {before} to {after} bytes");
    assert_eq!(stored.size, 200 * MIB as u64);
    let opened = objects.get(lake(1), &dataset("d"), &object("large")).await.unwrap();
    let mut read = opened.read(0..stored.size).await.unwrap();
    let mut at = 0;
    while let Some(piece) = read.try_next().await.unwrap() {
        for byte in piece.iter().step_by(1021) {
            assert!(usize::from(*byte) < 251);
        }
        at += piece.len();
    }
    assert_eq!(at, 200 * MIB);
    let opened = objects.get(lake(1), &dataset("d"), &object("large")).await.unwrap();
    let edge = u64::try_from(MIB * 100).unwrap();
    let part: Vec<Bytes> = opened.read(edge - 1..edge + 1).await.unwrap().try_collect().await.unwrap();
    assert_eq!(part.concat(), [99, 100]);
    assert!(resident() < before + 96 * MIB);

    let broken = endless(30).chain(futures_util::stream::iter([Err(ContentError::Interrupted)]));
    let broken = put(&*objects, "broken", Box::pin(broken)).await;
    assert!(matches!(broken, Err(ObjectError::Content(ContentError::Interrupted))), "{broken:?}");
    // A caller that goes away in the middle.
    let (went, goes) = tokio::sync::oneshot::channel();
    let last = futures_util::stream::once(async move {
        let _ = went.send(());
        std::future::pending().await
    });
    tokio::select! {
        stored = put(&*objects, "dropped", Box::pin(endless(30).chain(last))) => panic!("{stored:?}"),
        gone = goes => gone.unwrap(),
    }
    // What was sent is given up beside the answer, so it is waited for.
    let none_left = async {
        while server.open_uploads(&config.prefix).await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), none_left).await.unwrap();
    assert_eq!(names(&*objects).await, ["large", "warm"]);
}

/// How often the servers race.
const ROUNDS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_servers_one_wins() {
    let server = S3::start().await.unwrap();
    let config = config(&server);
    let servers: Vec<_> = {
        let ids: Arc<dyn gadwall_domain::ports::system::IdGenerator> = Arc::new(SeqIds::default());
        let mut servers: Vec<Arc<dyn ObjectStorage>> = Vec::new();
        for _ in 0..4 {
            let store = open(&config).await.unwrap();
            servers.push(Arc::new(S3Objects::new(&store, Arc::new(FixedClock::default()), Arc::clone(&ids))));
        }
        servers
    };
    let name = object("a.csv");
    for round in 0..ROUNDS {
        let dataset = dataset(&format!("d{round}"));
        let made = servers.iter().map(|one| one.create_dataset(lake(1), &dataset));
        let made = futures_util::future::join_all(made).await;
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
        let lost = made.iter().filter(|made| matches!(made, Err(ObjectError::DatasetExists)));
        assert_eq!(lost.count(), servers.len() - 1, "{made:?}");

        let absent = Precondition { if_match: None, if_none_match: Some(Tags::Any) };
        let mut precondition = absent;
        // The first puts the object, the others each replace a version that they have all seen.
        for version in 0..3 {
            let options = PutOptions { precondition, ..PutOptions::default() };
            let put = servers.iter().enumerate().map(|(number, one)| {
                let (dataset, name, options) = (&dataset, &name, options.clone());
                // Other bytes each time: the same ones again are not another version to the server.
                let bytes = Bytes::from(format!("{version} {number}"));
                let content: Content = Box::pin(futures_util::stream::iter([Ok(bytes)]));
                async move { one.put(lake(1), dataset, name, content, options).await }
            });
            let put = futures_util::future::join_all(put).await;
            let won: Vec<_> = put.iter().flatten().collect();
            let [stored] = &won[..] else { panic!("{put:?}") };
            let lost = put.iter().filter(|put| matches!(put, Err(ObjectError::PreconditionFailed)));
            assert_eq!(lost.count(), servers.len() - 1, "{put:?}");
            let etag = stored.info.etag.clone();
            assert_eq!(servers[0].head(lake(1), &dataset, &name).await.unwrap().etag, etag);
            precondition = Precondition { if_match: Some(Tags::OneOf(vec![etag])), if_none_match: None };
        }
    }
}

/// Adapters of two servers over one bucket.
async fn two() -> [Arc<dyn ObjectStorage>; 2] {
    let (store, turns, ids) = (fresh().await, Arc::new(ProcessTurns::default()), Arc::new(SeqIds::default()));
    let adapter = || {
        let turns = Some(Arc::clone(&turns) as _);
        Arc::new(S3Objects::shared(&store, Arc::new(FixedClock::default()), Arc::clone(&ids) as _, turns)) as _
    };
    [adapter(), adapter()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_servers_that_change_the_same_one_wins() {
    let [one, other] = two().await;
    let (large, small) = (dataset("D"), dataset("d"));
    let made = tokio::join!(one.create_dataset(lake(1), &large), other.create_dataset(lake(1), &small));
    assert!(matches!(made, (Ok(()), Err(ObjectError::DatasetExists)) | (Err(ObjectError::DatasetExists), Ok(()))));

    // A file and a folder of the same name.
    for round in 0..5 {
        let (file, below) = (format!("f{round}"), format!("f{round}/a"));
        let stored = tokio::join!(put(&*one, &file, text("x")), put(&*other, &below, text("y")));
        let clashes = [&stored.0, &stored.1].map(|stored| matches!(stored, Err(ObjectError::NameClash)));
        assert_eq!(clashes.iter().filter(|clashes| **clashes).count(), 1, "{stored:?}");
    }

    // Few bytes go in one request, many in parts.
    for mebibytes in [1, 9] {
        for round in 0..3 {
            let name = object(&format!("{mebibytes}-{round}"));
            let create = || PutOptions {
                precondition: Precondition { if_none_match: Some(Tags::Any), ..Precondition::default() },
                ..PutOptions::default()
            };
            let data = dataset("d");
            let stored = tokio::join!(
                one.put(lake(1), &data, &name, endless(mebibytes), create()),
                other.put(lake(1), &data, &name, endless(mebibytes), create()),
            );
            let (won, lost) = match stored {
                (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
                both => panic!("{both:?}"),
            };
            assert!(matches!(lost, ObjectError::PreconditionFailed), "{lost:?}");
            assert_eq!(one.head(lake(1), &data, &name).await.unwrap().etag, won.info.etag);
        }
    }

    // A dataset that goes while its first object comes.
    for _ in 0..3 {
        let data = dataset("brief");
        one.create_dataset(lake(1), &data).await.unwrap();
        let name = object("a");
        let (gone, stored) = tokio::join!(
            one.delete_dataset(lake(1), &data),
            other.put(lake(1), &data, &name, text("x"), PutOptions::default()),
        );
        assert!(gone.is_ok() != stored.is_ok(), "{gone:?} {stored:?}");
        if gone.is_err() {
            one.delete(lake(1), &data, &name, &Precondition::default()).await.unwrap();
            one.delete_dataset(lake(1), &data).await.unwrap();
        }
    }
}
