//! The services themselves: that they start, fail on command, and leave nothing behind.
#![expect(clippy::unwrap_used, reason = "tests may panic, also outside of functions marked as tests")]

use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use gadwall_test_services::{Mode, Proxy, S3};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStoreExt as _, RetryConfig};
use tokio::io::{AsyncBufReadExt as _, BufReader};

fn client(server: &S3, endpoint: &str, retries: usize) -> AmazonS3 {
    let options = ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_secs(10));
    let retry = RetryConfig { max_retries: retries, ..RetryConfig::default() };
    server.client().with_endpoint(endpoint).with_client_options(options).with_retry(retry).build().unwrap()
}

fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_keeps_what_it_has_and_a_proxy_fails_on_command() {
    let mut server = S3::start().await.unwrap();
    let own = server.reader().is_some();
    let key = Path::from(format!("{}/a", server.fresh_prefix()));
    let direct = client(&server, &server.endpoint, 0);
    direct.put(&key, "kept".into()).await.unwrap();
    if own {
        assert!(server.kill());
        assert!(direct.get(&key).await.is_err());
        server.start_again().await.unwrap();
        assert!(server.stop());
        server.start_again().await.unwrap();
    }
    let read = async |store: &AmazonS3| store.get(&key).await.ok()?.bytes().await.ok();
    assert_eq!(read(&direct).await.unwrap(), "kept");

    let proxy = Proxy::start(&server.endpoint).await.unwrap();
    let proxied = client(&server, &proxy.url(), 0);
    assert_eq!(read(&proxied).await.unwrap(), "kept");
    for mode in [Mode::Drop, Mode::Refuse, Mode::Answer { status: 500, times: usize::MAX }] {
        proxy.set(mode);
        assert!(read(&proxied).await.is_none(), "{mode:?}");
        proxy.set(Mode::Pass);
        assert_eq!(read(&client(&server, &proxy.url(), 5)).await.unwrap(), "kept", "after {mode:?}");
    }
    proxy.set(Mode::Answer { status: 503, times: 2 });
    assert_eq!(read(&client(&server, &proxy.url(), 5)).await.unwrap(), "kept");
    assert_eq!(proxy.answered(), 2);
    proxy.set(Mode::Delay(Duration::from_millis(5)));
    assert_eq!(read(&client(&server, &proxy.url(), 5)).await.unwrap(), "kept");
}

#[tokio::test]
#[ignore = "the process that `a_server_ends_with_its_test` kills"]
async fn waits_to_be_killed() {
    let server = S3::start().await.unwrap();
    eprintln!("{}", server.endpoint);
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_server_ends_with_its_test() {
    let mut test = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "waits_to_be_killed"])
        .env_remove("GADWALL_TEST_S3_ENDPOINT")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(test.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some(address) = line.strip_prefix("http://") {
            break address.parse().unwrap();
        }
    };
    assert!(listens(address));
    test.kill().await.unwrap();
    let gone = async {
        while listens(address) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
}
