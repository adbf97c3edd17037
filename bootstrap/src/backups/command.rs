//! `gadwall backup`, `gadwall restore` and `gadwall doctor`: by the server if one runs, and else by this process alone, with the files that a server
//! would have.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use gadwall_application::backups::Shelf;
use gadwall_application::caller::Caller;
use gadwall_domain::access::Principal;
use gadwall_domain::backup::{Manifest, ManifestProject};
use gadwall_domain::ids::RequestId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::operation::{Operation, OperationState};
use gadwall_domain::ports::system::IdGenerator as _;
use gadwall_ducklake::CatalogFilesReader;
use serde_json::{Value, json};

use super::shelf;
use crate::app::{self, Opened};
use crate::config::Config;
use crate::output::print_json;
use crate::remote::{Remote, reason};
use crate::system::SystemIds;

/// How often it is looked how far an operation is.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Who shall do it.
#[derive(Debug, Clone, Default)]
pub struct Whom {
    /// A server's address; the one that the configuration starts, if it answers, unless told.
    pub server: Option<String>,
    /// A key of an administrator there; one of the configuration unless told.
    pub key: Option<String>,
    /// Where backups are kept; where the configuration says unless told. Then no server is asked.
    pub target: Option<String>,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Task {
    /// Make a backup of these projects, or of all.
    Create(Vec<String>),
    /// Keep so many of each project.
    Prune(u32),
    /// Look for damage in these projects, or in all.
    Doctor {
        /// The projects.
        projects: Vec<String>,
        /// Whether to mend what can be mended.
        repair: bool,
    },
    /// Restore projects.
    Restore {
        /// The backup, or `latest`.
        backup: String,
        /// Its project; all without.
        project: Option<String>,
        /// The name it shall have; its own without.
        name: Option<String>,
    },
}

impl Task {
    /// The request that asks a server for it.
    fn request(&self) -> (String, Value) {
        match self {
            Self::Create(projects) if projects.is_empty() => ("/admin/backups".to_owned(), json!({})),
            Self::Create(projects) => ("/admin/backups".to_owned(), json!({ "projects": projects })),
            Self::Prune(keep) => ("/admin/backups/prune".to_owned(), json!({ "keep": keep })),
            Self::Doctor { projects, repair } => {
                ("/admin/doctor".to_owned(), json!({ "projects": projects, "repair": repair }))
            }
            Self::Restore { backup, project, name } => {
                (format!("/admin/backups/{backup}/restore"), json!({ "project": project, "as": name }))
            }
        }
    }

    async fn begin(&self, opened: &Opened, admin: &Caller) -> anyhow::Result<Operation> {
        let backups = &opened.services.backups;
        let parse = |name: &String| ProjectId::parse(name).with_context(|| format!("{name:?} is no project"));
        Ok(match self {
            Self::Create(projects) => {
                backups.create(admin, projects.iter().map(parse).collect::<anyhow::Result<_>>()?).await?
            }
            Self::Prune(keep) => backups.prune(admin, *keep as usize).await?,
            Self::Doctor { projects, repair } => {
                let projects = projects.iter().map(parse).collect::<anyhow::Result<_>>()?;
                opened.services.doctor.examine(admin, projects, *repair).await?
            }
            Self::Restore { backup, project, name } => {
                let (project, name) = (project.as_ref().map(parse).transpose()?, name.as_ref().map(parse).transpose()?);
                backups.restore(admin, backup, project, name).await?
            }
        })
    }
}

fn with_target(config: &Config, whom: &Whom) -> Config {
    let mut config = config.clone();
    if let Some(target) = &whom.target {
        config.backup.target = Some(target.clone());
    }
    config
}

/// Does it; answers what came of it.
async fn result_of(config: &Config, whom: &Whom, task: &Task) -> anyhow::Result<Value> {
    ensure!(
        whom.server.is_none() || whom.target.is_none(),
        "a server keeps backups where its own configuration says: leave --target or --server away"
    );
    let remote = if whom.target.is_some() { None } else { Remote::find(config, whom).await? };
    match remote {
        Some(remote) => {
            let (path, body) = task.request();
            remote.carry_out(&path, &body, told_progress).await
        }
        None => here(&with_target(config, whom), task).await,
    }
}

/// Does it, and tells what came of it.
pub async fn run(config: &Config, whom: &Whom, task: &Task) -> anyhow::Result<()> {
    let result = result_of(config, whom, task).await?;
    print_json(&result)?;
    match result.get("failed").and_then(Value::as_object) {
        Some(failed) if !failed.is_empty() => {
            bail!("{} projects could not be backed up; the backup has the others", failed.len())
        }
        _ => Ok(()),
    }
}

/// There are findings, which were told.
#[derive(Debug, thiserror::Error)]
#[error("there are findings")]
pub struct Findings;

/// Has catalogs looked at, and tells what is wrong with them.
pub async fn doctor(
    config: &Config,
    whom: &Whom,
    projects: Vec<String>,
    repair: bool,
    as_json: bool,
) -> anyhow::Result<()> {
    let result = result_of(config, whom, &Task::Doctor { projects, repair }).await?;
    if as_json {
        print_json(&result)?;
    } else {
        let mut out = std::io::stdout().lock();
        for project in result["projects"].as_array().into_iter().flatten() {
            writeln!(out, "{}", told(project))?;
        }
    }
    if result["findings"] == 0 { Ok(()) } else { Err(Findings.into()) }
}

/// A project's findings in words.
fn told(project: &Value) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (name, findings, repaired) =
        (text(&project["project"]), list(&project["findings"]), list(&project["repaired"]));
    let mut lines: Vec<String> = repaired.iter().map(|code| format!("{name}: {} was mended", text(code))).collect();
    if findings.is_empty() {
        lines.push(format!("{name}: healthy"));
    }
    for finding in findings {
        let subjects: Vec<String> = list(&finding["subjects"]).iter().map(text).collect();
        let repair = if finding["repairable"] == true { " (--repair mends it)" } else { "" };
        lines.push(format!(
            "{name}: {} {} ({} times){repair}\n    {}\n    {}",
            text(&finding["severity"]),
            text(&finding["code"]),
            finding["count"],
            text(&finding["means"]),
            subjects.join("\n    ")
        ));
    }
    lines.join("\n")
}

/// Does it in this process, which has the data to itself meanwhile.
async fn here(config: &Config, task: &Task) -> anyhow::Result<Value> {
    let opened = app::open(config).await?;
    let admin = Caller::new(Principal::Admin, RequestId::minted(SystemIds.next_id()));
    let begun = task.begin(&opened, &admin).await?;
    let ended = loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = opened.services.operations.get(&admin, &begun.project, &begun.id.to_string()).await?;
        told_progress(now.progress.bytes);
        if now.state.is_final() {
            break now;
        }
    };
    opened.close().await;
    match ended.state {
        OperationState::Succeeded(result) => Ok(result),
        OperationState::Failed(problem) => bail!(reason(&problem)),
        _ => bail!("it was cancelled"),
    }
}

fn kept(config: &Config, whom: &Whom) -> anyhow::Result<Shelf> {
    shelf(&with_target(config, whom))?.context("say where backups are kept: --target, or the setting backup.target")
}

/// A backup, as a server tells it.
fn listed(manifest: &Manifest) -> Value {
    let project = |entry: &ManifestProject| json!({ "project": entry.project, "snapshot_id": entry.snapshot, "bytes": entry.bytes });
    json!({
        "id": manifest.id, "started_at": manifest.started_at, "finished_at": manifest.finished_at,
        "made_by": manifest.made_by, "bytes": manifest.bytes(), "new_bytes": manifest.new_bytes,
        "projects": manifest.projects.iter().map(project).collect::<Vec<_>>(),
    })
}

/// Tells which backups there are.
pub async fn list(config: &Config, whom: &Whom, as_json: bool) -> anyhow::Result<()> {
    let backups = if whom.server.is_some() {
        let remote = Remote::find(config, whom).await?.context("the server does not answer")?;
        remote.get("/admin/backups").await?["backups"].clone()
    } else {
        kept(config, whom)?.list().await?.iter().map(listed).collect::<Vec<_>>().into()
    };
    if as_json {
        return print_json(&json!({ "backups": backups }));
    }
    let mut out = std::io::stdout().lock();
    for backup in backups.as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let projects = backup["projects"].as_array().into_iter().flatten();
        let projects: Vec<_> =
            projects.map(|entry| format!("{}@{}", text(&entry["project"]), text(&entry["snapshot_id"]))).collect();
        writeln!(
            out,
            "{}  {}  {} bytes, {} new  {}",
            text(&backup["id"]),
            text(&backup["started_at"]),
            text(&backup["bytes"]),
            text(&backup["new_bytes"]),
            projects.join(" ")
        )?;
    }
    Ok(())
}

/// Reads a backup from where it is kept, without any server.
pub async fn verify(config: &Config, whom: &Whom, backup: &str) -> anyhow::Result<()> {
    let result = if whom.server.is_some() {
        let remote = Remote::find(config, whom).await?.context("the server does not answer")?;
        remote.carry_out(&format!("/admin/backups/{backup}/verify"), &json!({}), told_progress).await?
    } else {
        let shelf = kept(config, whom)?;
        let manifest = shelf.find(backup).await?;
        let spool = tempfile::tempdir()?;
        let catalogs = CatalogFilesReader::new(spool.path());
        let mut read = 0;
        let seen = |bytes| {
            read += bytes;
            told_progress(read);
        };
        json!(shelf.verify(&manifest, &catalogs, seen).await?)
    };
    print_json(&result)?;
    let findings = result["findings"].as_array().map_or(0, Vec::len);
    ensure!(findings == 0, "the backup is not whole: {findings} findings");
    Ok(())
}

/// How far it is, on standard error, where somebody looks.
fn told_progress(bytes: u64) {
    use std::io::IsTerminal as _;
    let mut err = std::io::stderr();
    if err.is_terminal() {
        let _ = write!(err, "\r{bytes} bytes");
    }
}
