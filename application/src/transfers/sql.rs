//! Files in SQL: those that statements read by their paths, and `COPY`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::ids::{QueryId, SnapshotId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::{LoadMode, ScriptEngine};
use gadwall_domain::ports::objects::{ObjectError, ObjectStorage};
use gadwall_domain::project::Project;
use gadwall_domain::query::{NamedFiles, QueryError};
use gadwall_domain::script::{Copy, CopyOption, CopyWay, StopSignal};
use gadwall_domain::transfer::{Codec, CsvOptions, FileFormat, FilePattern, ObjectPath, ParquetOptions};
use serde_json::Value;

use super::files::{MAX_FILES, find};
use super::{ExportOf, FilesError, NewExport, NewImport, Transfers};
use crate::caller::Caller;
use crate::error::UseCaseError;

/// Most paths that the statements of a request may name.
const MAX_PATHS: usize = 100;

/// Finds the files that statements name.
pub struct SqlFiles {
    engine: Arc<dyn ScriptEngine>,
    objects: Arc<dyn ObjectStorage>,
}

impl fmt::Debug for SqlFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqlFiles")
    }
}

/// What a `COPY` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Rows that were written.
    pub rows: u64,
    /// The snapshot that was read, or made.
    pub snapshot: SnapshotId,
    /// The id that it is known by among the queries.
    pub query_id: QueryId,
}

impl SqlFiles {
    /// Statements as this engine reads them, files as they lie here.
    pub fn new(engine: Arc<dyn ScriptEngine>, objects: Arc<dyn ObjectStorage>) -> Self {
        Self { engine, objects }
    }

    /// What the paths in these statements mean in the project's datasets. A path that means nothing there is left out,
    /// and the engine refuses the statement: no answer tells what else may lie at a path.
    pub(crate) async fn resolve<'s>(
        &self,
        caller: &Caller,
        project: &Project,
        statements: impl IntoIterator<Item = &'s str>,
        limit: Duration,
    ) -> Result<NamedFiles, UseCaseError> {
        let paths: BTreeSet<String> = statements.into_iter().flat_map(|sql| self.engine.file_paths(sql)).collect();
        if paths.is_empty() {
            return Ok(NamedFiles::default());
        }
        // Files belong to the project; a key of one bucket of tables has no part in them.
        if caller.principal().and_then(Principal::only_bucket).is_some() {
            return Err(UseCaseError::Forbidden);
        }
        if paths.len() > MAX_PATHS {
            return Err(too_many_paths());
        }
        let found = tokio::time::timeout(limit, self.find(project, paths)).await;
        found.map_err(|_| QueryError::Timeout(limit))?
    }

    async fn find(&self, project: &Project, paths: BTreeSet<String>) -> Result<NamedFiles, UseCaseError> {
        let (mut files, mut count) = (BTreeMap::new(), 0);
        for path in paths {
            let Ok(pattern) = FilePattern::parse(&path) else { continue };
            let there = self.objects.engine_location(project.lake, pattern.dataset()).await;
            if matches!(there, Err(ObjectError::NoDataset)) {
                continue;
            }
            let found = find(&*self.objects, project, &[pattern]).await?;
            count += found.len();
            if count > MAX_FILES {
                return Err(FilesError::TooMany.into());
            }
            files.insert(path, found.into_iter().map(|found| found.file).collect());
        }
        Ok(NamedFiles::new(files))
    }
}

fn too_many_paths() -> UseCaseError {
    unsupported(&format!("more than {MAX_PATHS} paths of files"), "name files with a pattern: '/dataset/folder/*.csv'")
}

fn unsupported(what: &str, hint: &str) -> UseCaseError {
    QueryError::Unsupported { what: what.to_owned(), hint: hint.to_owned() }.into()
}

impl Transfers {
    /// Carries out a `COPY` as the export or import that it is, and waits for its end.
    #[tracing::instrument(skip_all, fields(project.id = %project))]
    pub async fn copy(
        &self,
        caller: &Caller,
        project: &ProjectId,
        sql: &str,
        limit: Duration,
    ) -> Result<Copied, UseCaseError> {
        let (Some(files), Some(running)) = (&self.parts.files, &self.parts.running) else {
            return Err(unsupported("COPY", "use the import and export endpoints"));
        };
        // Who may not write learns nothing about the statement.
        let opened = self.open_files(caller, project, Scope::Write).await?;
        let copy = files.engine.copy(sql)?;
        let writes = matches!(copy.way, CopyWay::From { .. });
        let turn = running.admit_script(caller, &opened, sql, writes, limit).await?;
        let query_id = turn.id();
        let done = self.carry_out(caller, project, copy, limit, turn.stop_signal()).await;
        turn.end(done.as_ref().err());
        let result = done?;
        let number = |key: &str| result.get(key).and_then(Value::as_u64).unwrap_or_default();
        let snapshot = i64::try_from(number("snapshot_id")).ok().and_then(|id| SnapshotId::new(id).ok());
        Ok(Copied { rows: number("rows"), snapshot: snapshot.unwrap_or(SnapshotId::ZERO), query_id })
    }

    /// Carries out a `COPY` that has its turn; answers what its operation tells.
    async fn carry_out(
        &self,
        caller: &Caller,
        project: &ProjectId,
        copy: Copy,
        limit: Duration,
        stop: StopSignal,
    ) -> Result<Value, UseCaseError> {
        let Copy { path, way, options } = copy;
        let started = match way {
            CopyWay::To { query } => {
                let to = ObjectPath::parse(&path)?;
                let format = format_of(&options, "written", || FileFormat::by_name(&to.object, "written"))?;
                let new = NewExport { of: ExportOf::Query(query), snapshot: None, to, format };
                self.begin_export(caller, project, new).await?
            }
            CopyWay::From { some_columns: true, .. } => {
                let hint = "leave the list of columns out: files name their columns";
                return Err(unsupported("COPY of some columns from a file", hint));
            }
            CopyWay::From { table, .. } => {
                let pattern = FilePattern::parse(&path)?;
                let format = format_of(&options, "read", || FileFormat::by_name(pattern.name(), "read"))?;
                let mode = LoadMode::default();
                let new = NewImport { table, files: vec![pattern], format: Some(format), mode, create: false };
                self.begin_import(caller, project, new).await?
            }
        };
        started.within(limit, stop).await
    }
}

/// The format that options tell, or else the file's name.
fn format_of(
    options: &[CopyOption],
    verb: &'static str,
    by_name: impl FnOnce() -> Result<FileFormat, gadwall_domain::transfer::FormatError>,
) -> Result<FileFormat, UseCaseError> {
    let named = options.iter().find(|option| option.name == "FORMAT");
    let mut format = match named {
        Some(option) => FileFormat::by_word(text(option)?, verb)?,
        None => by_name()?,
    };
    let rest: Vec<&CopyOption> = options.iter().filter(|option| option.name != "FORMAT").collect();
    format = match format {
        FileFormat::Csv(usual) => FileFormat::Csv(csv(&usual, &rest)?),
        FileFormat::Parquet(_) => FileFormat::Parquet(parquet(&rest)?),
        FileFormat::Ndjson => {
            for option in rest {
                match option.name.as_str() {
                    "ARRAY" if !truth(option)? => {}
                    "COMPRESSION" if is_none(option) => {}
                    _ => return Err(foreign(option, "JSON", "ARRAY false")),
                }
            }
            FileFormat::Ndjson
        }
    };
    Ok(format)
}

fn csv(usual: &CsvOptions, options: &[&CopyOption]) -> Result<CsvOptions, UseCaseError> {
    let usual_delimiter = usual.delimiter().to_string();
    let (mut delimiter, mut quote, mut escape) = (usual_delimiter.as_str(), None, None);
    let (mut header, mut null) = (None, None);
    for option in options {
        match option.name.as_str() {
            "DELIMITER" | "DELIM" | "SEP" => delimiter = text(option)?,
            "QUOTE" => quote = Some(text(option)?),
            "ESCAPE" => escape = Some(text(option)?),
            "NULL" | "NULLSTR" => null = Some(text(option)?),
            "HEADER" => header = Some(truth(option)?),
            "COMPRESSION" if is_none(option) => {}
            _ => return Err(foreign(option, "CSV", "HEADER, DELIMITER, QUOTE, ESCAPE and NULLSTR")),
        }
    }
    // As DuckDB reads it, `\t` is a tab.
    let delimiter = if delimiter == "\\t" { "\t" } else { delimiter };
    Ok(CsvOptions::new(Some(delimiter), quote, escape, header, null)?)
}

fn parquet(options: &[&CopyOption]) -> Result<ParquetOptions, UseCaseError> {
    let (mut codec, mut rows) = (None, None);
    for option in options {
        match option.name.as_str() {
            "COMPRESSION" | "CODEC" => {
                let word = text(option)?.to_ascii_lowercase();
                let word = match word.as_str() {
                    "uncompressed" => "none",
                    "lz4_raw" => "lz4",
                    word => word,
                };
                codec = Some(Codec::parse(word)?);
            }
            "ROW_GROUP_SIZE" => {
                let number = text(option)?.parse::<u64>();
                let number = number.map_err(|_| unsupported("this ROW_GROUP_SIZE", "write a number of rows"))?;
                rows = Some(number);
            }
            _ => return Err(foreign(option, "Parquet", "COMPRESSION and ROW_GROUP_SIZE")),
        }
    }
    Ok(ParquetOptions::new(codec, rows)?)
}

fn foreign(option: &CopyOption, format: &str, known: &str) -> UseCaseError {
    unsupported(&format!("the option {} in a COPY of {format}", option.name), &format!("it takes {known}"))
}

fn text(option: &CopyOption) -> Result<&str, UseCaseError> {
    option.value.as_deref().ok_or_else(|| unsupported(&format!("{} without a value", option.name), "write its value"))
}

fn truth(option: &CopyOption) -> Result<bool, UseCaseError> {
    match option.value.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None if option.list.is_empty() => Ok(true),
        Some("true" | "1" | "on" | "t") => Ok(true),
        Some("false" | "0" | "off" | "f") => Ok(false),
        _ => Err(unsupported(&format!("this value of {}", option.name), "write true or false")),
    }
}

fn is_none(option: &CopyOption) -> bool {
    let word = option.value.as_deref().unwrap_or_default();
    ["none", "uncompressed"].iter().any(|none| none.eq_ignore_ascii_case(word))
}
