//! Rows to domain types and back. A row that doesn't parse is a fault, never a panic.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use gadwall_domain::access::{ApiKey, KeyDigest, ReplacedSecret, Scope};
use gadwall_domain::audit::{AuditEntry, AuditOutcome, LoggedAudit};
use gadwall_domain::events::LoggedEvent;
use gadwall_domain::history::Tag;
use gadwall_domain::idempotency::{IdempotencyRecord, IdempotencyState, StoredAnswer};
use gadwall_domain::ids::{ApiKeyId, LakeId, OperationId, QueryId, RequestId, SnapshotId, WebhookId};
use gadwall_domain::instance::Instance;
use gadwall_domain::live::{ChangeConsumer, EventToken};
use gadwall_domain::names::{BucketName, ConsumerName, ProjectId, TableName, TagName};
use gadwall_domain::operation::{Operation, OperationKind, OperationState, Progress};
use gadwall_domain::ports::maintenance::KeptMaintenance;
use gadwall_domain::ports::metadata::{BucketFacts, KeyedWrite, StoreError, TableFacts};
use gadwall_domain::project::{Deletion, Project, ProjectSize, ProjectStatus};
use gadwall_domain::query_record::{QueryRecord, QueryState};
use gadwall_domain::sharing::{Grant, KnownLink, Link, Readership, Share, SourceBucket};
use gadwall_domain::table::TableRef;
use gadwall_domain::webhook::{DeadLetter, Webhook, WebhookProgress, WebhookSecret, WebhookUrl};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::value_fault;
use crate::row::{Column, Row};

type Parsed<T> = Result<T, StoreError>;

pub(crate) fn project(row: &Row) -> Parsed<Project> {
    Ok(Project {
        id: parsed(row, "id", ProjectId::parse)?,
        lake: LakeId::new(uuid(row, "lake")?),
        name: get(row, "name")?,
        settings: optional(row, "settings", |text| serde_json::from_str(text))?,
        status: word(row, "status", ProjectStatus::parse)?,
        deletion_protection: count(row, "deletion_protection")? > 0,
        deletion: deletion(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        size: ProjectSize {
            size_bytes: count(row, "size_bytes")?,
            table_count: count(row, "table_count")?,
            bucket_count: count(row, "bucket_count")?,
        },
        quota: optional_json(row, "quota")?.unwrap_or_default(),
    })
}

fn deletion(row: &Row) -> Parsed<Option<Deletion>> {
    let Some(at) = optional_time(row, "deleted_at")? else { return Ok(None) };
    Ok(Some(Deletion {
        at,
        purge_after: time(row, "purge_after")?,
        claimed_until: optional_time(row, "claimed_until")?,
        purged_at: optional_time(row, "purged_at")?,
        freed_bytes: count(row, "freed_bytes")?,
    }))
}

pub(crate) fn api_key(row: &Row) -> Parsed<ApiKey> {
    let scopes: String = get(row, "scopes")?;
    let scope = |word| Scope::parse(word).ok_or_else(|| value_fault("scopes", "an unknown word"));
    Ok(ApiKey {
        id: ApiKeyId::new(uuid(row, "id")?),
        project: parsed(row, "project", ProjectId::parse)?,
        name: get(row, "name")?,
        scopes: scopes.split_whitespace().map(scope).collect::<Result<_, _>>()?,
        bucket: optional(row, "bucket", BucketName::parse)?,
        digest: key_digest("digest", get(row, "digest")?)?,
        created_at: time(row, "created_at")?,
        expires_at: optional_time(row, "expires_at")?,
        revoked_at: optional_time(row, "revoked_at")?,
        created_by: get(row, "created_by")?,
        last_used_at: optional_time(row, "last_used_at")?,
        replaced: replaced_secret(row)?,
        request_digest: get(row, "request_digest")?,
    })
}

fn replaced_secret(row: &Row) -> Parsed<Option<ReplacedSecret>> {
    let Some(digest) = get::<Option<Vec<u8>>>(row, "replaced_digest")? else { return Ok(None) };
    let digest = key_digest("replaced_digest", digest)?;
    Ok(Some(ReplacedSecret { digest, until: time(row, "replaced_until")? }))
}

fn key_digest(column: &'static str, bytes: Vec<u8>) -> Parsed<KeyDigest> {
    bytes.try_into().map(KeyDigest).map_err(|_| value_fault(column, "it is not 32 bytes long"))
}

pub(crate) fn event(row: &Row) -> Parsed<LoggedEvent> {
    Ok(LoggedEvent {
        position: count(row, "position")?,
        project: parsed(row, "project", ProjectId::parse)?,
        event_type: get(row, "event_type")?,
        subject: get(row, "subject")?,
        occurred_at: time(row, "occurred_at")?,
        request_id: word(row, "request_id", RequestId::parse)?,
        snapshot: optional_snapshot(row, "snapshot")?,
        data: json(row, "data")?,
    })
}

pub(crate) fn event_token(row: &Row) -> Parsed<EventToken> {
    Ok(EventToken {
        digest: key_digest("digest", get(row, "digest")?)?,
        viewer: json(row, "viewer")?,
        expires_at: time(row, "expires_at")?,
    })
}

pub(crate) fn consumer(row: &Row) -> Parsed<ChangeConsumer> {
    Ok(ChangeConsumer {
        project: parsed(row, "project_id", ProjectId::parse)?,
        table: TableRef {
            bucket: parsed(row, "bucket", BucketName::parse)?,
            table: parsed(row, "table_name", TableName::parse)?,
        },
        name: parsed(row, "name", ConsumerName::parse)?,
        snapshot: snapshot(row, "snapshot")?,
        created_at: time(row, "created_at")?,
        moved_at: time(row, "moved_at")?,
    })
}

pub(crate) fn maintenance(row: &Row) -> Parsed<KeptMaintenance> {
    Ok(KeptMaintenance {
        changes: json(row, "policy")?,
        is_paused: get::<i64>(row, "is_paused")? != 0,
        next_at: optional_time(row, "next_at")?,
        ending: json(row, "ending")?,
    })
}

pub(crate) fn webhook(row: &Row) -> Parsed<Webhook> {
    let secret: Vec<u8> = get(row, "secret")?;
    let secret = secret.try_into().map_err(|_| value_fault("secret", "it is not 32 bytes long"))?;
    Ok(Webhook {
        id: WebhookId::new(uuid(row, "id")?),
        project: parsed(row, "project_id", ProjectId::parse)?,
        url: parsed(row, "url", WebhookUrl::parse)?,
        types: get(row, "types")?,
        secret: WebhookSecret(secret),
        created_at: time(row, "created_at")?,
        progress: WebhookProgress {
            position: count(row, "position")?,
            attempts: times(row, "attempts")?,
            due_at: time(row, "due_at")?,
            error: get(row, "error")?,
        },
    })
}

pub(crate) fn dead_letter(row: &Row) -> Parsed<DeadLetter> {
    Ok(DeadLetter {
        webhook: WebhookId::new(uuid(row, "webhook")?),
        position: count(row, "position")?,
        event_type: get(row, "event_type")?,
        subject: get(row, "subject")?,
        attempts: times(row, "attempts")?,
        error: get(row, "error")?,
        failed_at: time(row, "failed_at")?,
    })
}

fn times(row: &Row, column: &'static str) -> Parsed<u32> {
    u32::try_from(count(row, column)?).map_err(|error| value_fault(column, &error))
}

pub(crate) fn audit_entry(row: &Row) -> Parsed<LoggedAudit> {
    let entry = AuditEntry {
        at: time(row, "at")?,
        principal: get(row, "principal")?,
        operation: get(row, "operation")?,
        project: optional(row, "project_id", ProjectId::parse)?,
        resource: get(row, "resource")?,
        address: optional(row, "address", str::parse)?,
        outcome: audit_outcome(row)?,
        request_id: word(row, "request_id", RequestId::parse)?,
        snapshot: optional_snapshot(row, "snapshot")?,
    };
    Ok(LoggedAudit { position: count(row, "entry")?, entry })
}

fn audit_outcome(row: &Row) -> Parsed<AuditOutcome> {
    match get(row, "outcome")? {
        "done" => Ok(AuditOutcome::Done),
        "refused" => {
            let times = times(row, "times")?;
            Ok(AuditOutcome::Refused { code: present(row, "code")?, times })
        }
        _ => Err(value_fault("outcome", "an unknown word")),
    }
}

pub(crate) fn bucket_facts(row: &Row) -> Parsed<BucketFacts> {
    Ok(BucketFacts { bucket: parsed(row, "bucket", BucketName::parse)?, description: get(row, "description")? })
}

pub(crate) fn table_facts(row: &Row) -> Parsed<TableFacts> {
    Ok(TableFacts {
        table: TableRef {
            bucket: parsed(row, "bucket", BucketName::parse)?,
            table: parsed(row, "table_name", TableName::parse)?,
        },
        columns: json(row, "columns")?,
        primary_key: json(row, "primary_key")?,
        created_at: time(row, "created_at")?,
    })
}

pub(crate) fn keyed_write(row: &Row) -> Parsed<KeyedWrite> {
    Ok(KeyedWrite { snapshot: snapshot(row, "snapshot")?, write: json(row, "record")? })
}

pub(crate) fn tag(row: &Row) -> Parsed<Tag> {
    Ok(Tag {
        project: parsed(row, "project", ProjectId::parse)?,
        name: parsed(row, "name", TagName::parse)?,
        snapshot: snapshot(row, "snapshot")?,
        description: get(row, "description")?,
        created_at: time(row, "created_at")?,
        created_by: get(row, "created_by")?,
    })
}

fn source_bucket(row: &Row) -> Parsed<SourceBucket> {
    Ok(SourceBucket {
        project: parsed(row, "source", ProjectId::parse)?,
        bucket: parsed(row, "bucket", BucketName::parse)?,
    })
}

pub(crate) fn share(row: &Row) -> Parsed<Share> {
    Ok(Share {
        source: source_bucket(row)?,
        target: parsed(row, "target", ProjectId::parse)?,
        created_at: time(row, "created_at")?,
        created_by: get(row, "created_by")?,
    })
}

pub(crate) fn grant(row: &Row) -> Parsed<Grant> {
    Ok(Grant { source: source_bucket(row)?, created_at: time(row, "created_at")?, created_by: get(row, "created_by")? })
}

pub(crate) fn link(row: &Row) -> Parsed<KnownLink> {
    let link = Link {
        project: parsed(row, "project", ProjectId::parse)?,
        name: parsed(row, "name", BucketName::parse)?,
        source: source_bucket(row)?,
        snapshot: optional_snapshot(row, "snapshot")?,
        unconditional: count(row, "unconditional")? > 0,
        created_at: time(row, "created_at")?,
        created_by: get(row, "created_by")?,
    };
    let open = link.unconditional || count(row, "shares")? > 0 || count(row, "grants")? > 0;
    Ok(KnownLink { link, open })
}

pub(crate) fn readership(row: &Row) -> Parsed<Readership> {
    Ok(Readership {
        source: source_bucket(row)?,
        table: parsed(row, "table_name", TableName::parse)?,
        reader: parsed(row, "reader", ProjectId::parse)?,
        reads: count(row, "reads")?,
        last_read_at: time(row, "last_read_at")?,
    })
}

pub(crate) fn idempotency_record(row: &Row) -> Parsed<IdempotencyRecord> {
    Ok(IdempotencyRecord {
        caller: get(row, "caller")?,
        key: get(row, "idempotency_key")?,
        instance: uuid(row, "instance")?,
        created_at: time(row, "created_at")?,
        state: idempotency_state(row)?,
    })
}

fn idempotency_state(row: &Row) -> Parsed<IdempotencyState> {
    let Some(status) = get::<Option<i64>>(row, "status")? else { return Ok(IdempotencyState::Running) };
    let status = u16::try_from(status).ok().filter(|status| (100..1_000).contains(status));
    Ok(IdempotencyState::Answered {
        fingerprint: present(row, "fingerprint")?,
        answer: StoredAnswer {
            status: status.ok_or_else(|| value_fault("status", "it is not of three digits"))?,
            headers: json(row, "headers")?,
            body: present(row, "body")?,
        },
    })
}

pub(crate) fn operation(row: &Row) -> Parsed<Operation> {
    Ok(Operation {
        id: OperationId::new(uuid(row, "id")?),
        project: parsed(row, "project_id", ProjectId::parse)?,
        kind: word(row, "kind", OperationKind::parse)?,
        subject: get(row, "subject")?,
        started_by: get(row, "started_by")?,
        request_id: word(row, "request_id", RequestId::parse)?,
        created_at: time(row, "created_at")?,
        finished_at: optional_time(row, "finished_at")?,
        state: operation_state(row)?,
        progress: Progress {
            percent: get(row, "percent")?,
            rows: count(row, "rows_done")?,
            bytes: count(row, "bytes_done")?,
        },
        instance: uuid(row, "instance")?,
    })
}

pub(crate) fn instance(row: &Row) -> Parsed<Instance> {
    Ok(Instance { id: uuid(row, "id")?, started_at: time(row, "started_at")?, last_seen: time(row, "last_seen")? })
}

fn operation_state(row: &Row) -> Parsed<OperationState> {
    match get(row, "state")? {
        "pending" => Ok(OperationState::Pending),
        "running" => Ok(OperationState::Running),
        "succeeded" => json(row, "outcome").map(OperationState::Succeeded),
        "failed" => json(row, "outcome").map(OperationState::Failed),
        "cancelled" => Ok(OperationState::Cancelled),
        _ => Err(value_fault("state", "an unknown word")),
    }
}

pub(crate) fn query(row: &Row) -> Parsed<QueryRecord> {
    Ok(QueryRecord {
        id: QueryId::new(uuid(row, "id")?),
        project: parsed(row, "project_id", ProjectId::parse)?,
        principal: get(row, "principal")?,
        sql: get(row, "sql_text")?,
        request_id: word(row, "request_id", RequestId::parse)?,
        started_at: time(row, "started_at")?,
        finished_at: Some(time(row, "finished_at")?),
        state: word(row, "state", |word| QueryState::parse(word).filter(|state| state.is_final()))?,
        rows: count(row, "rows_read")?,
        error_code: get(row, "error_code")?,
        profile: optional_json(row, "profile")?,
        progress: None,
    })
}

/// The id of the project that a row is of.
pub(crate) fn project_id(row: &Row) -> Parsed<ProjectId> {
    parsed(row, "project_id", ProjectId::parse)
}

/// A number that is never negative.
pub(crate) fn count(row: &Row, column: &'static str) -> Parsed<u64> {
    u64::try_from(get::<i64>(row, column)?).map_err(|error| value_fault(column, &error))
}

/// A snapshot's number.
pub(crate) fn snapshot(row: &Row, column: &'static str) -> Parsed<SnapshotId> {
    SnapshotId::new(get(row, column)?).map_err(|error| value_fault(column, &error))
}

/// A number as databases hold it.
pub(crate) fn number(column: &'static str, number: u64) -> Parsed<i64> {
    i64::try_from(number).map_err(|error| value_fault(column, &error))
}

/// A time as it is stored: microseconds since 1970.
pub(crate) fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

/// A document as it is stored.
pub(crate) fn to_json(column: &'static str, value: &(impl Serialize + ?Sized)) -> Parsed<String> {
    serde_json::to_string(value).map_err(|error| value_fault(column, &error))
}

pub(crate) fn get<'r, T: Column<'r>>(row: &'r Row, column: &'static str) -> Parsed<T> {
    row.get(column)
}

/// A value of a column that may be NULL but isn't here. (Taken for text or bytes, NULL would read as empty.)
fn present<'r, T>(row: &'r Row, column: &'static str) -> Parsed<T>
where
    Option<T>: Column<'r>,
{
    get::<Option<T>>(row, column)?.ok_or_else(|| value_fault(column, "it is missing"))
}

pub(crate) fn parsed<T, E: Display>(row: &Row, column: &'static str, parse: fn(&str) -> Result<T, E>) -> Parsed<T> {
    parse(get(row, column)?).map_err(|error| value_fault(column, &error))
}

fn optional<T, E: Display>(row: &Row, column: &'static str, parse: fn(&str) -> Result<T, E>) -> Parsed<Option<T>> {
    get::<Option<&str>>(row, column)?.map(parse).transpose().map_err(|error| value_fault(column, &error))
}

/// One of a fixed set of words, or text of a fixed form.
pub(crate) fn word<T>(row: &Row, column: &'static str, parse: fn(&str) -> Option<T>) -> Parsed<T> {
    parse(get(row, column)?).ok_or_else(|| value_fault(column, "an unknown word"))
}

fn uuid(row: &Row, column: &'static str) -> Parsed<Uuid> {
    parsed(row, column, Uuid::try_parse)
}

pub(crate) fn json<T: DeserializeOwned>(row: &Row, column: &'static str) -> Parsed<T> {
    serde_json::from_str(get(row, column)?).map_err(|error| value_fault(column, &error))
}

pub(crate) fn optional_json<T: DeserializeOwned>(row: &Row, column: &'static str) -> Parsed<Option<T>> {
    let text = get::<Option<&str>>(row, column)?;
    text.map(serde_json::from_str).transpose().map_err(|error| value_fault(column, &error))
}

pub(crate) fn time(row: &Row, column: &'static str) -> Parsed<DateTime<Utc>> {
    time_of(column, get(row, column)?)
}

pub(crate) fn optional_time(row: &Row, column: &'static str) -> Parsed<Option<DateTime<Utc>>> {
    get::<Option<i64>>(row, column)?.map(|micros| time_of(column, micros)).transpose()
}

fn time_of(column: &'static str, micros: i64) -> Parsed<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| value_fault(column, "the time is out of range"))
}

pub(crate) fn optional_snapshot(row: &Row, column: &'static str) -> Parsed<Option<SnapshotId>> {
    let number = get::<Option<i64>>(row, column)?;
    number.map(SnapshotId::new).transpose().map_err(|error| value_fault(column, &error))
}
