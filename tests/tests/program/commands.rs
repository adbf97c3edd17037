//! Commands: what they print, where, and how they end.

use std::path::Path;
use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use gadwall_tests::demo::Client;
use gadwall_tests::server::{ServerProcess, StartOptions, profile_dir};
use serde_json::{Value, json};

const COMMANDS: [&str; 14] = [
    "serve",
    "config",
    "openapi",
    "health",
    "backup",
    "restore",
    "doctor",
    "keys",
    "bench-data",
    "version",
    "completions",
    "ontology",
    "migrate",
    "help",
];

/// Runs the program in a folder of its own, with the settings that lead to a server.
async fn gadwall(words: &[&str], settings: &[(&str, String)]) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    let mut command = std::process::Command::new(profile_dir()?.join("gadwall"));
    command.args(words).current_dir(folder.path()).env("DATA_DIR", folder.path().join("data"));
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    // The folder stays until the program has ended.
    let run = move || (command.output(), folder).0;
    Ok(tokio::task::spawn_blocking(run).await??)
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn ok(output: &Output) -> Result<String> {
    ensure!(output.status.success(), "{:?}\n{}{}", output.status, out(output), err(output));
    Ok(out(output))
}

fn parsed(output: &Output) -> Result<Value> {
    serde_json::from_str(&ok(output)?).with_context(|| out(output))
}

/// A server, and the settings with which commands find it.
async fn server() -> Result<(ServerProcess, [(&'static str, String); 2])> {
    let server = ServerProcess::start(&StartOptions::default()).await?;
    let port = server.url().rsplit(':').next().unwrap_or_default().to_owned();
    let settings = [("PORT", port), ("ADMIN_API_KEY", server.admin_key().to_owned())];
    Ok((server, settings))
}

#[tokio::test]
async fn help_names_all_commands_and_says_how_they_end() -> Result<()> {
    let help = ok(&gadwall(&["--help"], &[]).await?)?;
    for command in COMMANDS {
        ensure!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command}: {help}");
    }
    ensure!(help.contains("Exits with 0"), "{help}");
    ensure!(help.lines().all(|line| line.chars().count() <= 110), "{help}");
    for command in COMMANDS {
        let help = ok(&gadwall(&["help", command], &[]).await?)?;
        ensure!(command == "help" || help.contains(&format!("gadwall {command}")), "{help}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_word_is_told_with_the_right_one() -> Result<()> {
    let wrong = gadwall(&["bakcup"], &[]).await?;
    ensure!(wrong.status.code() == Some(2) && err(&wrong).contains("backup"), "{}", err(&wrong));
    let wrong = gadwall(&["bench-data"], &[]).await?;
    ensure!(wrong.status.code() == Some(2) && err(&wrong).contains("--to"), "{}", err(&wrong));
    Ok(())
}

#[tokio::test]
async fn versions_settings_and_completions_are_printed() -> Result<()> {
    let version = parsed(&gadwall(&["version", "--json"], &[]).await?)?;
    ensure!(version["version"] == env!("CARGO_PKG_VERSION") && version["duckdb"].as_str() > Some("v1"), "{version}");
    let words = ok(&gadwall(&["version"], &[]).await?)?;
    ensure!(words.starts_with(&format!("gadwall {} (DuckDB ", env!("CARGO_PKG_VERSION"))), "{words}");
    let settings = [("PORT", "4711".to_owned()), ("ADMIN_API_KEY", "nobody-shall-see".to_owned())];
    let config = parsed(&gadwall(&["config", "--json"], &settings).await?)?;
    ensure!(config["server"]["port"] == 4711 && config["auth"]["admin_keys"] == json!(["********"]), "{config}");
    let wrong = gadwall(&["config"], &[("PORT", "none".to_owned())]).await?;
    ensure!(wrong.status.code() == Some(1) && err(&wrong).contains("PORT"), "{}", err(&wrong));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = ok(&gadwall(&["completions", shell], &[]).await?)?;
        ensure!(script.contains("bench-data") && script.contains("gadwall"), "{shell}: {script}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_listed_rotated_and_revoked() -> Result<()> {
    let (server, settings) = server().await?;
    let admin = Client::new(server.url(), server.admin_key())?;
    let keys = async |words: &[&str]| gadwall(&[&["keys"], words].concat(), &settings).await;

    let made =
        keys(&["create", "--project", "default", "--name", "etl", "--scope", "read,write", "--expires-in", "1d"])
            .await?;
    // The secret alone, so that a script can take it.
    let secret = ok(&made)?.trim_end().to_owned();
    ensure!(!secret.contains(char::is_whitespace) && err(&made).contains("etl"), "{secret} {}", err(&made));
    let sql = json!({ "query": "SELECT 1 AS one" });
    let ask = async |secret: &str, status| admin.with_key(secret).post("/projects/default/query", &sql, status).await;
    ask(&secret, 200).await?;

    let listed = parsed(&keys(&["list", "--project", "default", "--json"]).await?)?;
    let all = listed["keys"].as_array().context("no keys")?;
    let key = all.iter().find(|key| key["name"] == "etl").context("it is not listed")?;
    ensure!(key["scopes"] == json!(["read", "write"]) && key["expires_at"].is_string(), "{key}");
    let id = key["id"].as_str().context("no id")?;
    let words = ok(&keys(&["list", "--project", "default"]).await?)?;
    ensure!(words.contains(id) && words.contains("etl") && !words.contains(&secret), "{words}");

    let rotated = parsed(&keys(&["rotate", "--project", "default", id, "--overlap", "0s", "--json"]).await?)?;
    let renewed = rotated["api_key"].as_str().context("no secret")?;
    ask(renewed, 200).await?;
    ask(&secret, 401).await?;
    ok(&keys(&["revoke", "--project", "default", id]).await?)?;
    ask(renewed, 401).await?;

    let missing = keys(&["list", "--project", "nobody"]).await?;
    ensure!(missing.status.code() == Some(1) && err(&missing).contains("project_not_found"), "{}", err(&missing));
    let odd = keys(&["revoke", "--project", "default", "../../default"]).await?;
    ensure!(odd.status.code() == Some(1) && err(&odd).contains("no id"), "{}", err(&odd));
    let nowhere = gadwall(&["keys", "list", "--project", "default"], &[("PORT", "1".to_owned())]).await?;
    ensure!(nowhere.status.code() == Some(1) && err(&nowhere).contains("no server answers"), "{}", err(&nowhere));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sample_data_is_written_or_loaded_again_and_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let to = folder.path().join("new").to_string_lossy().into_owned();
    let written = parsed(&gadwall(&["bench-data", "--to", &to, "--rows", "2000", "--json"], &[]).await?)?;
    let files = written.as_array().context("no files")?;
    ensure!(files.len() == 3, "{written}");
    for file in files {
        let path = Path::new(file["file"].as_str().context("no file")?);
        ensure!(path.is_file() && std::fs::read(path)?.starts_with(b"PAR1"), "{file}");
    }
    let (server, settings) = server().await?;
    for rows in ["3000", "2000"] {
        let words = ["bench-data", "--project", "trial", "--rows", rows];
        let told = ok(&gadwall(&words, &settings).await?)?;
        ensure!(told.contains(&format!("orders  {rows} rows")), "{told}");
    }
    let sql = "SELECT count(*) AS orders, count(DISTINCT customer_id) AS customers FROM sample.orders o
               JOIN sample.customers c ON c.id = o.customer_id JOIN sample.products p ON p.id = o.product_id";
    let admin = Client::new(server.url(), server.admin_key())?;
    let counted = admin.post("/projects/trial/query", &json!({ "query": sql }), 200).await?;
    ensure!(counted["rows"][0][0] == 2_000, "{counted}");
    Ok(())
}
