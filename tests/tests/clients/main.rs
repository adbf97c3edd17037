//! Clients made by others, as their users run them.

mod contract_tools;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use gadwall::Config;
use gadwall::config::Secret;
use gadwall_tests::server::profile_dir;
use gadwall_tests::support::{ADMIN_KEY, TestServer};

/// Where `make setup-test` puts the clients.
fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.services/python-clients")
}

/// Runs a script and answers what it says.
async fn run(script: &'static str, arguments: Vec<String>) -> Result<String> {
    ensure!(packages().is_dir(), "the packages of .config/python-clients.txt are missing; run: make setup-test");
    let done = tokio::task::spawn_blocking(move || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
        let python = Command::new("python3").arg(script).args(arguments).env("PYTHONPATH", packages()).output();
        python.context("python3 is missing")
    });
    let output = done.await??;
    let (said, told) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{said}\nrun make setup-test, should a module be missing: {told}");
    Ok(said)
}

fn address(server: &TestServer) -> String {
    server.url("").trim_end_matches('/').to_owned()
}

/// The document that `gadwall openapi` prints, in a file.
async fn document() -> Result<tempfile::NamedTempFile> {
    let folder = tempfile::tempdir()?;
    let mut config = Config::default();
    folder.path().clone_into(&mut config.data_dir);
    let file = tempfile::Builder::new().suffix(".json").tempfile()?;
    std::fs::write(file.path(), gadwall::openapi(&config).await?)?;
    Ok(file)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openlineage_sends_and_marquez_reads() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    run("lineage.py", vec![address(&server), owner.key().to_owned()]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_made_of_the_document_does_what_the_readme_starts_with() -> Result<()> {
    let server = TestServer::start().await?;
    let document = document().await?;
    let path = document.path().display().to_string();
    println!("{}", run("generated.py", vec![address(&server), ADMIN_KEY.to_owned(), path]).await?);
    Ok(())
}

#[tokio::test]
async fn typescript_takes_the_document() -> Result<()> {
    if Command::new("node").arg("--version").output().is_err() {
        eprintln!("not tested: Node.js is missing, so no types for TypeScript are made of the document");
        return Ok(());
    }
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.services/node-clients/node_modules").canonicalize();
    let packages = packages.context("the packages of .config/node-clients are missing; run: make setup-test")?;
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("types.ts");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/types.ts"), &script)?;
    let types = folder.path().join("api.d.ts");
    let document = document().await?;
    let steps = [
        ("openapi-typescript/bin/cli.js", vec![document.path(), "--output".as_ref(), &types]),
        ("typescript/bin/tsc", vec!["--noEmit".as_ref(), "--strict".as_ref(), &script]),
    ];
    for (tool, arguments) in steps {
        let output = Command::new("node").arg(packages.join(tool)).args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{tool}: {said}{}", String::from_utf8_lossy(&output.stderr));
    }
    ensure!(std::fs::metadata(&types)?.len() > 100_000, "the types are made of the whole document");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_events_goes_on_where_it_was_cut() -> Result<()> {
    let server = TestServer::start().await?;
    run("events.py", vec![address(&server), ADMIN_KEY.to_owned()]).await?;
    Ok(())
}

/// No browser is among what `make setup-test` fetches: the test is one where the machine has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_shows_events_as_they_happen() -> Result<()> {
    let known = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(known) else {
        eprintln!(
            "not tested: Chromium is missing, so nobody looked at /events/test (Debian: apt-get install chromium)"
        );
        return Ok(());
    };
    let server = TestServer::start().await?;
    run("browser.py", vec![browser.to_owned(), address(&server), ADMIN_KEY.to_owned()]).await?;
    Ok(())
}

/// The README and what is in `docs`, each file against a server of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_documentation_shows_can_be_done() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let mut files = vec![root.join("README.md")];
    for entry in std::fs::read_dir(root.join("docs"))? {
        files.push(entry?.path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.sort();
    let mut blocks = 0;
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        if !["```sh", "```bash", "```python"].iter().any(|fence| text.contains(fence)) {
            continue;
        }
        let admin = "admin-secret";
        let server = TestServer::start_with(|config| config.auth.admin_keys = vec![Secret::new(admin)]).await?;
        let programs = profile_dir()?;
        ensure!(programs.join("gadwall").is_file(), "gadwall is missing; build it first: cargo build --bin gadwall");
        let given = [file.display().to_string(), address(&server), admin.to_owned(), programs.display().to_string()];
        let told = run("docs.py", given.to_vec()).await?;
        println!("{told}");
        let count = told.split_once(": ").and_then(|(_, rest)| rest.split_once(" blocks ran"));
        blocks += count.and_then(|(count, _)| count.parse::<u32>().ok()).context("it says how many ran")?;
    }
    ensure!(blocks >= 20, "only {blocks} blocks ran");
    Ok(())
}

/// With `GADWALL_FUZZ_SECONDS` as long as that, and each time with other requests.
#[expect(clippy::disallowed_methods, reason = "`make test-api-fuzz` says how long")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_tells_how_the_server_answers() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.auth.max_failures_per_minute = 0;
        config.features.enable_rate_limiting = false;
    })
    .await?;
    let document = document().await?;
    let long = std::env::var("GADWALL_FUZZ_SECONDS").ok();
    let seconds = long.clone().unwrap_or_else(|| "300".to_owned());
    let mut arguments = vec![address(&server), ADMIN_KEY.to_owned(), document.path().display().to_string(), seconds];
    arguments.extend(long.map(|_| "--long".to_owned()));
    println!("{}", run("fuzz.py", arguments).await?);
    Ok(())
}
