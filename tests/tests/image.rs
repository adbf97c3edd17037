//! The file system of the image, assembled without a container engine: what the Dockerfile puts into it is enough to run.
//!
//! In a folder there is what the last stage of the Dockerfile has: what `make release` assembles, the C and the C++ library, authorities' certificates,
//! and an empty `/data`. The program runs in it as the image's user, with the image's environment and nothing else. Only root may have a process take
//! a folder for its root; others run it where it lies, with the same environment.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gadwall_tests::demo::Client;
use gadwall_tests::server::{free_port, profile_dir};
use serde_json::json;

/// The image's user.
const USER: u32 = 10_001;
/// Libraries of the base image, and the one that the Dockerfile adds.
const LIBRARIES: [&str; 8] = [
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "librt.so.1",
    "libpthread.so.0",
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libduckdb.so",
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The libraries that a file is linked to, by name, and where they lie on this machine; the loader among them.
fn linked(file: &Path) -> Result<Vec<(String, PathBuf)>> {
    let output = Command::new("ldd").arg(file).output().context("ldd is missing")?;
    let told = String::from_utf8(output.stdout)?;
    let lines =
        told.lines().map(str::trim).filter(|line| !line.starts_with("linux-vdso") && *line != "statically linked");
    lines
        .map(|line| {
            let (name, place) = line.split_once(" => ").unwrap_or((line, line));
            let place = place.split(" (").next().unwrap_or(place);
            ensure!(place.starts_with('/'), "{}: {line}", file.display());
            Ok((name.split(" (").next().unwrap_or(name).to_owned(), PathBuf::from(place)))
        })
        .collect()
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

/// Puts the libraries of the base image where the loader looks for them.
fn add_libraries(root: &Path, release: &Path) -> Result<()> {
    let mut programs = files(&release.join("lib"))?;
    programs
        .retain(|file| file.to_string_lossy().contains(".so") || file.to_string_lossy().ends_with(".duckdb_extension"));
    programs.push(release.join("bin/gadwall"));
    ensure!(programs.len() >= 5, "a program, a library and extensions: {programs:?}");
    for program in programs {
        for (name, place) in linked(&program)? {
            let is_loader = name.contains("ld-linux");
            ensure!(is_loader || LIBRARIES.contains(&&*name), "{} needs {name}", program.display());
            if name == "libduckdb.so" {
                continue;
            }
            let target = if is_loader { name.trim_start_matches('/').to_owned() } else { format!("lib/{name}") };
            let target = root.join(target);
            fs::create_dir_all(target.parent().context("a folder")?)?;
            fs::copy(&place, &target).with_context(|| place.display().to_string())?;
        }
    }
    Ok(())
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_image_is_enough_to_serve() -> Result<()> {
    let dockerfile = fs::read_to_string(workspace().join("Dockerfile"))?;
    for said in ["/src/dist/gadwall /opt/gadwall", "USER 10001:10001", "ca-certificates libstdc++6", "VOLUME /data"] {
        ensure!(dockerfile.contains(said), "the Dockerfile no longer says {said:?}: see what this test assembles");
    }
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
    let release = root.join("opt/gadwall");
    fs::create_dir_all(&release)?;
    let program = profile_dir()?.join("gadwall");
    let assembled = Command::new(workspace().join("infra/assemble.sh"))
        .args([&program, &workspace().join(".duckdb"), &release])
        .status()?;
    ensure!(assembled.success(), "infra/assemble.sh fails");
    add_libraries(root, &release)?;
    for name in ["data", "tmp", "proc"] {
        fs::create_dir(root.join(name))?;
    }

    // What ca-certificates brings, whoever's they are.
    let mut authority = rcgen::CertificateParams::new(Vec::new())?;
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = authority.self_signed(&rcgen::KeyPair::generate()?)?;
    fs::create_dir_all(root.join("etc/ssl/certs"))?;
    fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), authority.pem())?;

    let has_own_root =
        Command::new("unshare").args(["--mount", "true"]).output().is_ok_and(|done| done.status.success());
    let inside = |path: &str| if has_own_root { path.to_owned() } else { root.join(&path[1..]).display().to_string() };
    let mut command = if has_own_root {
        for name in ["data", "tmp"] {
            chown(root.join(name), Some(USER), Some(USER))?;
        }
        // What every container has; it goes with the process.
        let enter = r#"mount --rbind /proc "$0/proc" && exec chroot --userspec="$1" "$0" "$2" serve"#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", enter]).arg(root).arg(format!("{USER}:{USER}"));
        command
    } else {
        eprintln!("not root: what is in the image runs where it lies, and could find what else this machine has");
        Command::new("env")
    };
    let port = free_port()?;
    let log = fs::File::create(root.join("log"))?;
    command
        .arg(inside("/opt/gadwall/bin/gadwall"))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOST", "127.0.0.1")
        .env("PORT", port.to_string())
        .env("DATA_DIR", inside("/data"))
        .env("ADMIN_API_KEY", "an-administrator-of-the-image")
        // Encrypted lakes need an extension more.
        .env("DB_DUCKLAKE_ENCRYPTED", "true")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let mut server = Running(command.spawn()?);
    let said = || fs::read_to_string(root.join("log")).unwrap_or_default();
    let url = format!("http://127.0.0.1:{port}");
    let client = Client::new(&url, "an-administrator-of-the-image")?;
    let mut tries = 0;
    while client.get("/readyz", 200).await.is_err() {
        tries += 1;
        ensure!(tries < 600 && server.0.try_wait()?.is_none(), "it doesn't serve: {}", said());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    client.post("/projects", &json!({ "id": "p" }), 201).await?;
    client.post("/projects/p/buckets", &json!({ "name": "b" }), 201).await?;
    let table = json!({ "name": "t", "columns": [{ "name": "id", "type": "INT" }] });
    client.post("/projects/p/buckets/b/tables", &table, 201).await?;
    client.post("/projects/p/buckets/b/tables/t/rows", &json!([{ "id": 1 }, { "id": 2 }]), 200).await?;
    let sum = client.post("/projects/p/query", &json!({ "query": "SELECT sum(id)::INT AS s FROM b.t" }), 200).await?;
    ensure!(sum["rows"] == json!([[3]]), "{sum}");

    // What the image's health check runs.
    let mut health = Command::new(release.join("bin/gadwall"));
    let healthy = health.arg("health").env_clear().env("HOST", "127.0.0.1").env("PORT", port.to_string()).output()?;
    ensure!(healthy.status.success(), "{}", String::from_utf8_lossy(&healthy.stderr));
    let pid = rustix::process::Pid::from_child(&server.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    let ended = tokio::task::spawn_blocking(move || server.0.wait()).await??;
    ensure!(ended.success(), "it ends with {ended}: {}", said());
    Ok(())
}
