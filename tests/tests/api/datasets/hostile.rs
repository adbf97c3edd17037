//! Names and callers that mean harm.

use anyhow::Result;
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{D, owner, put};

/// Sends a request whose path no client library touches; answers the status and the rest.
async fn raw(server: &TestServer, key: &str, method: &str, path: &str) -> Result<(u16, String)> {
    let mut connection = tokio::net::TcpStream::connect(server.url("").trim_start_matches("http://")).await?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"
    );
    connection.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    Ok((text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), text))
}

#[tokio::test]
async fn no_name_leads_out_of_its_dataset() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let (long, segment) = ("x/".repeat(520), "y".repeat(256));
    let names = [
        "..",
        "../x",
        "a/../../x",
        "a/..",
        "./a",
        "a/.",
        "%2e%2e%2fx",
        "%2E%2E/x",
        "a%2f%2e%2e%2f%2e%2e%2fx",
        "..%5Cx",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "a//b",
        "a/",
        "a%00b",
        "%00",
        "a%0d%0ab",
        "a%5cb",
        "%7f",
        long.as_str(),
        segment.as_str(),
    ];
    for name in names {
        for prefix in [D, "/datasets/d", "/api/v1/datasets/d"] {
            for method in ["PUT", "GET", "HEAD", "DELETE"] {
                let (status, text) = raw(&server, owner.key(), method, &format!("{prefix}/{name}")).await?;
                assert_eq!(status, 400, "{method} {prefix}/{name}: {text}");
                assert!(method == "HEAD" || text.contains("invalid_name"), "{name}: {text}");
                assert!(text.len() < 4_000 && !text.contains("/tmp"), "{text}");
            }
        }
    }
    // Not UTF-8, and no name at all.
    for name in ["%ff", "a%c3"] {
        let (status, text) = raw(&server, owner.key(), "PUT", &format!("{D}/{name}")).await?;
        assert!((400..500).contains(&status), "{name}: {text}");
    }
    for name in ["..", "%2e%2e", ".types", ".incoming", "a.b", "a%2Fb", "%00"] {
        let (status, text) = raw(&server, owner.key(), "PUT", &format!("/projects/p/datasets/{name}/x")).await?;
        assert_eq!(status, 400, "{name}: {text}");
    }
    assert_eq!(owner.get("/datasets/d").await?.json()["objects"], json!([]));
    assert!(!server.data_dir().join("x").exists() && !server.data_dir().join("files/x").exists());
    Ok(())
}

#[tokio::test]
async fn odd_names_round_trip() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let names = [
        "a b",
        "é/🦆",
        "\"quoted\"",
        "it's",
        "a%2Fb",
        "a#1",
        "a?b=c",
        "a;b",
        "...",
        "*.csv",
        "<script>",
        "a&b",
        "a+b",
        "-rf",
        "\u{202e}x",
        "nested/year=2024/x.parquet",
        ".hidden",
        "a:b",
    ];
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    for name in names {
        // Every byte encoded: nothing is left to the client library's taste.
        let encoded = name.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
        let path = format!("{D}/{encoded}");
        let made = put(&owner, &path, name).await?;
        assert_eq!((made.status, &made.json()["name"]), (201, &json!(name)), "{}", made.text);
        let got = owner.get(&path).await?;
        assert_eq!((got.status, got.text.as_str()), (200, name));
        let disposition = got.header("content-disposition");
        assert!(disposition.starts_with("attachment; filename*=UTF-8''"), "{disposition}");
        assert!(!disposition[30..].contains(['"', ' ', ';', '/']), "{disposition}");
    }
    assert_eq!(owner.get("/datasets/d").await?.json()["objects"], json!(sorted));
    Ok(())
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    for path in [format!("{D}/a/b/c"), "/datasets/d/a/b/c".to_owned()] {
        let reply = owner.post(&path, &json!({})).await?;
        assert_eq!((reply.status, reply.code().as_str()), (405, "method_not_allowed"), "{}", reply.text);
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            assert!(reply.header("allow").contains(method), "{}", reply.header("allow"));
        }
        assert!(!reply.header("allow").contains("POST"));
        // An object of that name, which takes no POST, and its neighbour's presigned addresses, which take nothing else.
        let reply = send(server.request(Method::TRACE, &format!("{path}/presign")).bearer_auth(owner.key())).await?;
        assert_eq!(reply.status, 405, "{}", reply.text);
        for method in ["GET", "PUT", "DELETE", "POST"] {
            assert!(reply.header("allow").contains(method), "{}", reply.header("allow"));
        }
        // Written so, it is the object alone.
        for method in [Method::TRACE, Method::POST] {
            let reply = send(server.request(method, &format!("{path}%2Fpresign")).bearer_auth(owner.key())).await?;
            assert_eq!(reply.status, 405, "{}", reply.text);
            assert!(!reply.header("allow").contains("POST"), "{}", reply.header("allow"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_file_is_no_folder() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    put(&owner, &format!("{D}/a"), "x").await?;
    put(&owner, &format!("{D}/b/c"), "x").await?;
    for name in ["a/b", "b"] {
        let reply = put(&owner, &format!("{D}/{name}"), "x").await?;
        assert_eq!((reply.status, reply.code().as_str()), (409, "object_name_clash"), "{}", reply.text);
    }
    Ok(())
}

#[tokio::test]
async fn a_stranger_and_a_missing_project_look_alike() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    put(&owner, &format!("{D}/a"), "secret").await?;
    let stranger = server.project("q").await?;
    for project in ["p", "nobody"] {
        let routes = [
            (Method::GET, format!("/projects/{project}/datasets")),
            (Method::POST, format!("/projects/{project}/datasets")),
            (Method::GET, format!("/projects/{project}/datasets/d")),
            (Method::DELETE, format!("/projects/{project}/datasets/d")),
            (Method::PUT, format!("/projects/{project}/datasets/d/a")),
            (Method::GET, format!("/projects/{project}/datasets/d/a")),
            (Method::DELETE, format!("/projects/{project}/datasets/d/a")),
        ];
        for (method, path) in routes {
            let request = stranger.request(method.clone(), &path).json(&json!({ "name": "d" }));
            let reply = send(request).await?;
            assert_eq!((reply.status, reply.code().as_str()), (403, "forbidden"), "{method} {path}: {}", reply.text);
            assert!(!reply.text.replace(project, "X").contains("exist"));
        }
        let head = send(stranger.request(Method::HEAD, &format!("/projects/{project}/datasets/d/a"))).await?;
        assert_eq!(head.status, 403);
        let named = stranger.request(Method::GET, "/datasets/d/a").header("X-Project", project);
        assert_eq!(send(named).await?.status, 403);
    }
    assert_eq!(stranger.get("/datasets/d/a").await?.code(), "dataset_not_found");
    assert_eq!(send(server.request(Method::GET, &format!("{D}/a"))).await?.status, 401);
    assert_eq!(owner.get(&format!("{D}/a")).await?.text, "secret");
    Ok(())
}
