//! How large requests may be, and how many connections there are.

use anyhow::Result;
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{answers, connect, raw, rest};

#[tokio::test]
async fn giant_heads_are_problems_up_to_a_point_and_refused_beyond() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.server.max_uri_bytes = 1_000;
        config.server.max_headers = 20;
        config.server.max_header_bytes = 4_000;
    })
    .await?;
    let long = server.admin().get(&format!("/projects?x={}", "y".repeat(1_000))).await?;
    assert_eq!((long.status, long.code().as_str()), (414, "uri_too_long"), "{}", long.text);
    let many = (0..20).fold(server.admin().request(Method::GET, "/projects"), |request, number| {
        request.header(format!("x-{number}"), "y")
    });
    let many = send(many).await?;
    assert_eq!((many.status, many.code().as_str()), (431, "headers_too_large"), "{}", many.text);
    assert_eq!(many.header("content-type"), "application/problem+json");
    let large = send(server.admin().request(Method::GET, "/projects").header("x-large", "y".repeat(4_000))).await?;
    assert_eq!((large.status, large.code().as_str()), (431, "headers_too_large"), "{}", large.text);
    let endless = format!("GET /livez HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(2_000_000));
    let endless = raw(&server, endless.as_bytes()).await?;
    assert!(endless.is_empty() || endless.starts_with("HTTP/1.1 431"), "{endless}");
    answers(&server).await
}

#[tokio::test]
async fn each_kind_of_body_has_its_limit() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.server.max_body_bytes = 100_000;
        config.server.max_upload_bytes = Some(200_000);
        config.server.max_sql_bytes = 20_000;
        config.server.max_document_bytes = 10_000;
    })
    .await?;
    let owner = server.project("p").await?;
    let columns = json!([{"name": "s", "type": "TEXT"}]);
    owner.post("/projects/p/buckets/main/tables", &json!({ "name": "t", "columns": columns })).await?;
    let rows = "/projects/p/buckets/main/tables/t/rows";
    let sql = |bytes: usize| json!({ "query": format!("SELECT 1 -- {}", "x".repeat(bytes)) });
    assert_eq!(owner.post("/projects/p/query", &sql(15_000)).await?.status, 200);
    for reply in [
        owner.post("/projects/p/query", &sql(20_000)).await?,
        owner.post("/projects/p/buckets", &json!({ "name": "b", "description": "x".repeat(10_000) })).await?,
        owner.post(rows, &json!([{ "s": "x".repeat(100_000) }])).await?,
    ] {
        assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"), "{}", reply.text);
    }
    assert_eq!(owner.post(rows, &json!([{ "s": "x".repeat(50_000) }])).await?.status, 200);
    answers(&server).await
}

#[tokio::test]
async fn a_chunked_body_is_cut_off_where_it_goes_over() -> Result<()> {
    let server = TestServer::start_with(|config| config.server.max_document_bytes = 1_000).await?;
    let head = format!(
        "POST /projects HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        server.admin().key()
    );
    let chunks = format!("3e8\r\n{}\r\n", "x".repeat(1_000)).repeat(3);
    // The body doesn't end: the answer comes before that.
    let answer = raw(&server, format!("{head}{chunks}").as_bytes()).await?;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
    answers(&server).await
}

#[tokio::test]
async fn connections_beyond_the_limit_hear_so_and_places_are_free_again() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.server.max_connections = 8;
        config.server.max_connections_per_address = 0;
    })
    .await?;
    let mut open = Vec::new();
    let refused = loop {
        let mut connection = connect(&server).await?;
        connection.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await?;
        let mut status = [0; 12];
        connection.read_exact(&mut status).await?;
        if status == *b"HTTP/1.1 503" {
            break rest(&mut connection).await?;
        }
        open.push(connection);
        assert!(open.len() <= 8, "more than there are places for");
    };
    assert!(refused.contains("too_many_connections") && refused.contains("retry-after: 1"), "{refused}");
    drop(open);
    // The server notices the ends a moment later.
    while send(server.request(Method::GET, "/livez")).await.map_or(0, |reply| reply.status) != 200 {
        tokio::task::yield_now().await;
    }
    answers(&server).await
}

#[tokio::test]
async fn one_address_leaves_places_for_others() -> Result<()> {
    let server = TestServer::start_with(|config| config.server.max_connections_per_address = 2).await?;
    let mut first = connect(&server).await?;
    let mut second = connect(&server).await?;
    for connection in [&mut first, &mut second] {
        connection.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await?;
        connection.read_u8().await?;
    }
    assert!(raw(&server, b"").await?.contains("too_many_connections"));
    // Loopback has more than one address.
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind("127.0.0.2:0".parse()?)?;
    let mut other = socket.connect(super::address(&server).parse()?).await?;
    other.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
    let answer = rest(&mut other).await?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}
