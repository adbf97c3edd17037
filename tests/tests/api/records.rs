//! `/ops`: financed projects, and records of any other schema.

use anyhow::Result;
use gadwall_test_services::Ontology;
use gadwall_tests::support::{Client, Reply, TestServer, add_reader, send};
use reqwest::Method;
use serde_json::{Value, json};

/// What a project needs, with a member changed; null takes it out.
fn project(name: &str, value: Value) -> Value {
    let mut body = json!({
        "project_name": "Wind", "total_amount": 1000, "maturity_years": 10, "expected_tri": 7.5, "dscr": 1.3,
    });
    match value {
        Value::Null => body.as_object_mut().unwrap().remove(name),
        value => body.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    body
}

/// A request with JSON as it is written: no number passes through a double.
async fn post_text(client: &Client<'_>, path: &str, text: &str) -> Result<Reply> {
    client.send_as(path, "application/json", text.to_owned()).await
}

async fn patch(client: &Client<'_>, path: &str, body: &Value) -> Result<Reply> {
    send(client.request(Method::PATCH, path).json(body)).await
}

/// The columns that an answer's findings name.
fn named(reply: &Reply) -> Vec<String> {
    let errors = reply.json()["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["column"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_financed_project_lives_its_life() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let before = owner.get("/ops/projects").await?;
    assert_eq!((before.status, before.text.as_str()), (200, "[]"));
    let early = owner.post("/ops/projects", &project("x", Value::Null)).await?;
    assert_eq!((early.status, early.code().as_str()), (409, "not_initialized"), "{}", early.text);
    for _ in 0..2 {
        let made = owner.post("/ops/initialize", &json!(null)).await?;
        assert_eq!((made.status, made.text.as_str()), (200, r#"{"message":"Database initialized successfully"}"#));
        assert_eq!((made.header("x-schema-source"), made.header("x-schema-version")), ("builtin", "builtin-1"));
    }

    let added = owner.post("/ops/projects", &project("unknown", json!("is ignored"))).await?;
    let body = added.json();
    let id = body["project_id"].as_str().unwrap().to_owned();
    assert_eq!(added.status, 200);
    assert_eq!(body, json!({ "message": "Project created successfully", "project_id": id }));
    assert_eq!(uuid::Uuid::parse_str(&id)?.get_version_num(), 4);

    let found = owner.get(&format!("/ops/projects/{id}")).await?.json();
    let names: Vec<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = "project_id project_name description total_amount maturity_years expected_tri dscr status \
                    creation_date last_updated currency_code";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!((&found["status"], &found["currency_code"]), (&json!("PROPOSED"), &json!("USD")));
    assert_eq!((&found["description"], &found["total_amount"]), (&Value::Null, &json!(1000.0)));
    let (day, time) = (found["creation_date"].as_str().unwrap(), found["last_updated"].as_str().unwrap());
    assert!(chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").is_ok(), "{day}");
    assert!(chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S%.f").is_ok(), "{time}");
    assert_eq!(owner.get("/ops/projects").await?.json(), json!([found]));

    let missing = "/ops/projects/3b241101-e2bb-4255-8caf-4136c566a962";
    for reply in [owner.get(missing).await?, owner.get("/ops/projects/none").await?, owner.delete(missing).await?] {
        assert_eq!((reply.status, reply.json()["detail"].as_str()), (404, Some("Project not found")), "{}", reply.text);
    }

    let path = format!("/ops/projects/{id}");
    let changed = patch(&owner, &path, &json!({ "status": "ACTIVE", "dscr": 1.555 })).await?;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let after = owner.get(&path).await?.json();
    assert_eq!((&after["status"], &after["dscr"], &after["project_id"]), (&json!("ACTIVE"), &json!(1.56), &json!(id)));
    assert!(after["last_updated"].as_str() > found["last_updated"].as_str());
    for (body, status, code) in [
        (json!({ "status": "NO", "project_name": "" }), 422, "rows_invalid"),
        (json!({ "nope": 1 }), 422, "unknown_field"),
        (json!({ "project_id": "x" }), 422, "read_only_field"),
        (json!({}), 422, "validation_failed"),
    ] {
        let refused = patch(&owner, &path, &body).await?;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{}", refused.text);
    }
    assert_eq!(owner.delete(&path).await?.status, 200);
    assert_eq!(owner.get("/ops/projects").await?.text, "[]");
    Ok(())
}

#[tokio::test]
async fn every_bound_holds() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    owner.post("/ops/initialize", &json!(null)).await?;
    let good = [
        ("total_amount", "999999999999999999.99", "999999999999999999.99"),
        ("total_amount", "-999999999999999999.994", "-999999999999999999.99"),
        ("total_amount", "0", "0.00"),
        ("expected_tri", "8.567", "8.57"),
        ("expected_tri", "999.994", "999.99"),
        ("dscr", "-999.99", "-999.99"),
        ("maturity_years", "2147483647", "2147483647"),
        ("maturity_years", "-2147483648", "-2147483648"),
        ("status", "\"COMPLETED\"", "\"COMPLETED\""),
        ("currency_code", "\"eur\"", "\"eur\""),
        ("description", "null", "null"),
        ("project_name", "\"O'Brien \\u{1f986}; DROP TABLE projects\"", "\"O'Brien \u{1f986}; DROP TABLE projects\""),
    ];
    let text = |field: &str, value: &str| {
        let mut body = project(field, Value::Null);
        body[field] = json!("@@@");
        body.to_string().replace("\"@@@\"", &value.replace("\\u{1f986}", "\u{1f986}"))
    };
    for (field, value, kept) in good {
        let added = post_text(&owner, "/ops/projects", &text(field, value)).await?;
        assert_eq!(added.status, 200, "{field} {value}: {}", added.text);
        let id = added.json()["project_id"].as_str().unwrap().to_owned();
        let found = owner.get(&format!("/ops/projects/{id}")).await?.text;
        assert!(
            found.contains(&format!("\"{field}\":{kept},")) || found.contains(&format!("\"{field}\":{kept}}}")),
            "{found}"
        );
    }
    let bad = [
        ("total_amount", "1000000000000000000"),
        ("total_amount", "999999999999999999.995"),
        ("total_amount", "\"much\""),
        ("total_amount", "null"),
        ("expected_tri", "8888.5"),
        ("expected_tri", "999.995"),
        ("dscr", "-1000"),
        ("maturity_years", "2147483648"),
        ("maturity_years", "1.5"),
        ("maturity_years", "\"ten\""),
        ("status", "\"active\""),
        ("status", "null"),
        ("currency_code", "\"EURO\""),
        ("currency_code", "\"EU\""),
        ("currency_code", "\"12€\""),
        ("project_name", "null"),
        ("project_name", "\"\""),
    ];
    for (field, value) in bad {
        let refused = post_text(&owner, "/ops/projects", &text(field, value)).await?;
        assert_eq!(refused.status, 422, "{field} {value}: {}", refused.text);
        assert_eq!(named(&refused), [field], "{}", refused.text);
    }
    for missing in ["project_name", "total_amount", "maturity_years", "expected_tri", "dscr"] {
        let refused = owner.post("/ops/projects", &project(missing, Value::Null)).await?;
        assert_eq!((refused.status, named(&refused)), (422, vec![missing.to_owned()]), "{}", refused.text);
    }
    let all = json!({ "project_name": 1, "expected_tri": 8888.5, "status": "NO", "maturity_years": "x" });
    let mut all = named(&owner.post("/ops/projects", &all).await?);
    all.sort();
    assert_eq!(all, ["dscr", "expected_tri", "maturity_years", "status", "total_amount"]);
    for text in ["", "{", "[]", "7", "null", r#"{"dscr":1,"dscr":2}"#] {
        let refused = post_text(&owner, "/ops/projects", text).await?;
        assert_eq!(refused.status, 422, "{text}: {}", refused.text);
    }
    assert_eq!(owner.get("/ops/projects").await?.json().as_array().unwrap().len(), good.len());
    Ok(())
}

#[tokio::test]
async fn lists_are_filtered_ordered_and_cut() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    owner.post("/ops/initialize", &json!(null)).await?;
    let many: Vec<Value> = (0..7)
        .map(|number| {
            let mut body = project("project_name", json!(format!("p{number}")));
            body["total_amount"] = json!(number);
            body["status"] = json!(if number % 2 == 0 { "ACTIVE" } else { "PROPOSED" });
            body
        })
        .collect();
    let kept = owner.post("/ops/projects/bulk", &json!(many)).await?;
    assert_eq!((kept.status, kept.json()["count"].as_u64()), (200, Some(7)), "{}", kept.text);
    assert_eq!(kept.json()["keys"].as_array().unwrap().len(), 7);
    let names = |reply: &Reply| -> Vec<String> {
        let rows = reply.json().as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| row["project_name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let active = owner.get("/ops/projects?status=ACTIVE&order_by=total_amount%20desc").await?;
    assert_eq!(names(&active), ["p6", "p4", "p2", "p0"]);
    let filter = "%7B%22column%22:%22total_amount%22,%22op%22:%22gt%22,%22value%22:2%7D";
    let both = owner.get(&format!("/ops/projects?filter={filter}&status=ACTIVE&order_by=project_name")).await?;
    assert_eq!(names(&both), ["p4", "p6"]);
    assert_eq!(names(&owner.get("/ops/projects").await?)[0], "p6", "the newest first");

    let (mut seen, mut next) = (Vec::new(), "/ops/projects?limit=3&order_by=project_name".to_owned());
    loop {
        let page = owner.get(&next).await?;
        assert_eq!(page.status, 200, "{}", page.text);
        seen.extend(names(&page));
        // What comes in between is no part of it.
        owner.post("/ops/projects", &project("project_name", json!("p00"))).await?;
        match page.header("link").strip_prefix('<').and_then(|link| link.split('>').next()) {
            Some(link) => link.clone_into(&mut next),
            None => break,
        }
    }
    assert_eq!(seen, ["p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
    for (query, status) in
        [("nope=1", 422), ("limit=0", 422), ("cursor=x", 422), ("order_by=nope", 400), ("filter=x", 422)]
    {
        let refused = owner.get(&format!("/ops/projects?{query}")).await?;
        assert_eq!(refused.status, status, "{query}: {}", refused.text);
    }
    let csv = owner.get("/ops/projects?format=csv").await?;
    assert!(csv.text.starts_with("project_id,project_name,"), "{}", csv.text);
    let one_bad = json!([project("x", Value::Null), project("status", json!("NO"))]);
    let refused = owner.post("/ops/projects/bulk", &one_bad).await?;
    assert_eq!((refused.status, refused.json()["errors"][0]["row"].as_u64()), (422, Some(2)), "{}", refused.text);
    assert_eq!(owner.post("/ops/projects/bulk", &json!([])).await?.status, 422);
    Ok(())
}

#[tokio::test]
async fn many_records_come_as_lines_and_all_or_none_are_kept() -> Result<()> {
    const MANY: usize = 12_000;
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    owner.post("/ops/initialize", &json!(null)).await?;
    let line = |number: usize, change: &dyn Fn(&mut Value)| {
        let mut body = project("project_name", json!(format!("p{number}")));
        // More than a document may hold, in all.
        body["description"] = json!("x".repeat(400));
        change(&mut body);
        format!("{body}\n")
    };
    let sent = async |body: String| {
        let request = owner.request(Method::POST, "/ops/projects/bulk").header("content-type", "application/x-ndjson");
        send(request.body(body)).await
    };
    let plain = |_: &mut Value| {};
    let all: String = (0..MANY).map(|number| line(number, &plain)).collect();
    let kept = sent(all.clone()).await?;
    assert_eq!((kept.status, kept.json()["count"].as_u64()), (200, Some(MANY as u64)), "{}", kept.text);
    assert_eq!(kept.json()["keys"].as_array().map(Vec::len), Some(10_000));
    let head = kept.json()["snapshot_id"].clone();

    // Values that don't fit, and members that the schema doesn't have, are told by their records' numbers.
    let bad = format!("{all}{}", line(0, &|body| body["status"] = json!("NO")));
    let refused = sent(bad).await?;
    assert_eq!((refused.status, &refused.json()["errors"][0]["row"]), (422, &json!(MANY + 1)), "{}", refused.text);
    let strange = |body: &mut Value| body["nope"] = json!(1);
    let bad: String = (0..100).map(|number| line(number, if number < 60 { &plain } else { &strange })).collect();
    let refused = sent(bad).await?;
    assert_eq!((refused.status, refused.code()), (422, "unknown_field".to_owned()), "{}", refused.text);
    let errors = refused.json()["errors"].as_array().cloned().unwrap_or_default();
    let rows: Vec<u64> = errors.iter().filter_map(|error| error["row"].as_u64()).collect();
    assert_eq!(rows, (61..=80).collect::<Vec<_>>());
    assert_eq!(sent("{\"a\":\n".to_owned()).await?.status, 422);
    assert_eq!(sent(String::new()).await?.status, 422);
    let csv = owner.request(Method::POST, "/ops/projects/bulk").header("content-type", "text/csv").body("a\n1\n");
    assert_eq!(send(csv).await?.status, 415);
    let after = owner.get("/projects/p/snapshots?limit=1").await?.json();
    assert_eq!(after["snapshots"][0]["snapshot_id"], head, "nothing of what was refused is kept");
    Ok(())
}

#[tokio::test]
async fn a_repeated_request_makes_one_project() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    owner.post("/ops/initialize", &json!(null)).await?;
    let ask = || {
        let request = owner.request(Method::POST, "/ops/projects").header("Idempotency-Key", "once");
        send(request.json(&project("x", Value::Null)))
    };
    let (first, again) = (ask().await?, ask().await?);
    assert_eq!((first.status, first.json()), (200, again.json()));
    assert_eq!(owner.get("/ops/projects").await?.json().as_array().unwrap().len(), 1);
    Ok(())
}

#[tokio::test]
async fn any_schema_has_records() -> Result<()> {
    let ontology = Ontology::start().await?;
    ontology.publish(
        "orders",
        json!({ "name": "orders", "version": "3", "primary_key": ["number"], "columns": [
            { "name": "number", "type": "INTEGER" },
            { "name": "customer", "type": "VARCHAR(10)" },
            { "name": "paid", "type": "BOOLEAN", "default": false },
            { "name": "at", "type": "TIMESTAMP", "fill": "created" },
        ] }),
    );
    let url = ontology.url();
    let server = TestServer::start_with(|config| {
        config.ontology.use_mock = false;
        config.ontology.url = url;
    })
    .await?;
    let owner = server.project("p").await?;
    let early = owner.post("/ops/orders", &json!({ "number": 1, "customer": "a" })).await?;
    assert_eq!((early.status, early.code().as_str()), (409, "not_initialized"), "{}", early.text);
    assert_eq!(owner.get("/ops/orders").await?.text, "[]");
    assert_eq!(owner.get("/ops/nothing").await?.code(), "schema_not_found");
    let made = owner.post("/admin/tables?schema=orders", &json!(null)).await?;
    assert_eq!(made.text, r#"{"message":"Table orders created successfully"}"#);
    assert_eq!((made.header("x-schema-source"), made.header("x-schema-version")), ("server", "3"));

    let kept = owner.post("/ops/orders", &json!({ "number": 1, "customer": "a" })).await?;
    assert_eq!((kept.status, kept.json()["id"].as_u64()), (200, Some(1)), "{}", kept.text);
    let again = owner.post("/ops/orders", &json!({ "number": 1, "customer": "b" })).await?;
    assert_eq!((again.status, again.code().as_str()), (409, "duplicate_key"), "{}", again.text);
    let odd = owner.post("/ops/orders", &json!({ "number": 2, "customer": "b", "colour": "red" })).await?;
    assert_eq!((odd.status, named(&odd)), (422, vec!["colour".to_owned()]), "{}", odd.text);
    let bare = owner.post("/ops/orders", &json!({ "number": 2 })).await?;
    assert_eq!((bare.status, named(&bare)), (422, vec!["customer".to_owned()]), "{}", bare.text);
    let bulk = json!([{ "number": 2, "customer": "b" }, { "number": 3, "customer": "c", "paid": true }]);
    assert_eq!(owner.post("/ops/orders/bulk", &bulk).await?.json()["count"], 2);
    assert_eq!(owner.get("/ops/orders/3").await?.json()["paid"], true);
    for id in ["4", "x", "99999999999999999999"] {
        let missing = owner.get(&format!("/ops/orders/{id}")).await?;
        assert_eq!((missing.status, missing.code().as_str()), (404, "record_not_found"), "{}", missing.text);
    }
    assert_eq!(patch(&owner, "/ops/orders/2", &json!({ "paid": true })).await?.status, 200);
    assert_eq!(owner.delete("/ops/orders/1").await?.status, 200);
    let rows = owner.get("/ops/orders?paid=true&order_by=number").await?.json();
    assert_eq!((rows[0]["number"].as_u64(), rows[1]["number"].as_u64()), (Some(2), Some(3)));

    add_reader(server.data_dir(), "p", "reads").await?;
    let reader = server.with_key("reads");
    assert_eq!(reader.get("/ops/orders/2").await?.status, 200);
    for refused in [
        reader.post("/ops/orders", &json!({ "number": 9, "customer": "z" })).await?,
        reader.delete("/ops/orders/2").await?,
        reader.post("/ops/initialize", &json!(null)).await?,
    ] {
        assert_eq!(refused.status, 403, "{}", refused.text);
    }
    Ok(())
}
