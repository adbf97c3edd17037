//! `/audit` and `/projects/{id}/audit`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::audit::{Audit, MAX_AUDIT_LISTED};
use gadwall_domain::audit::{AuditFilter, AuditOutcome, LoggedAudit};
use gadwall_domain::ids::SnapshotId;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::paging::{next_cursor, next_link, position, read_cursor};
use super::{Area, number, project_id, time};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

pub(crate) struct AuditApi {
    pub(crate) audit: Arc<Audit>,
}

/// An entry of the audit log.
#[derive(Debug, Object)]
#[oai(rename = "AuditEntry")]
struct AuditBody {
    /// Its position in the log: later entries have larger ones.
    id: u64,
    /// When.
    at: DateTime<Utc>,
    /// Who: `admin`, `key:<id>`, `gadwall` itself, or `unknown` for who had no good key.
    actor: String,
    /// What: the type of the change, as in events; `access.refused` for what a good key may not do, `auth.refused`
    /// for a key that is missing or no good.
    action: String,
    /// To what, within the project; of what was refused the method and path, without its parameters.
    resource: String,
    /// The project it concerns; null if none.
    project_id: Option<String>,
    /// `done` or `refused`.
    outcome: String,
    /// Of what was refused: the code of the problem that was answered.
    code: Option<String>,
    /// For how many requests the entry stands. Refused ones that are alike are put together, a minute at a time.
    count: u32,
    /// The client's address, where that is known.
    address: Option<String>,
    /// The request; the first of several.
    request_id: String,
    /// The snapshot that a change of tables stands in.
    snapshot_id: Option<u64>,
}

impl From<LoggedAudit> for AuditBody {
    fn from(LoggedAudit { position, entry }: LoggedAudit) -> Self {
        let outcome = entry.outcome.as_str().to_owned();
        let (code, count) = match entry.outcome {
            AuditOutcome::Done => (None, 1),
            AuditOutcome::Refused { code, times } => (Some(code), times),
        };
        Self {
            id: position,
            at: entry.at,
            actor: entry.principal,
            action: entry.operation,
            resource: entry.resource,
            project_id: entry.project.map(|project| project.to_string()),
            outcome,
            code,
            count,
            address: entry.address.map(|address| address.to_string()),
            request_id: entry.request_id.to_string(),
            snapshot_id: entry.snapshot.map(SnapshotId::get),
        }
    }
}

/// A page of the audit log.
#[derive(Debug, Object)]
struct AuditList {
    /// The entries, newest first.
    entries: Vec<AuditBody>,
    /// Send it as `after` for the next page; null on the last one.
    next_cursor: Option<String>,
    /// Refused requests that could not be written into the log since this server started; told to admins.
    #[oai(skip_serializing_if_is_none)]
    dropped: Option<u64>,
}

#[derive(ApiResponse)]
enum AuditPage {
    /// The page; `Link` has the address of the next one.
    #[oai(status = 200)]
    Page(Json<AuditList>, #[oai(header = "Link")] Option<String>),
}

/// What a page is asked for by.
struct Asked {
    actor: Option<String>,
    action: Option<String>,
    outcome: Option<String>,
    since: Option<String>,
    until: Option<String>,
    limit: Option<i64>,
    after: Option<String>,
}

impl Asked {
    fn filter(&self) -> ApiResult<AuditFilter> {
        let outcome = |word: &str| {
            let known = AuditOutcome::WORDS.into_iter().find(|known| *known == word);
            known.ok_or_else(|| ApiError::out_of_range("outcome is done or refused"))
        };
        Ok(AuditFilter {
            project: None,
            principal: self.actor.clone(),
            operation: self.action.clone(),
            outcome: self.outcome.as_deref().map(outcome).transpose()?,
            since: self.since.as_deref().map(|text| time("since", text)).transpose()?,
            until: self.until.as_deref().map(|text| time("until", text)).transpose()?,
            before: read_cursor(self.after.as_deref(), position)?,
            limit: number("limit", self.limit, 1..=MAX_AUDIT_LISTED, 100)?,
        })
    }

    fn page(
        &self,
        path: &str,
        project: Option<&str>,
        found: Vec<LoggedAudit>,
        limit: u32,
        dropped: Option<u64>,
    ) -> AuditPage {
        let next_cursor = next_cursor(&found, limit, |last| last.position.to_string());
        let asked = [
            ("project", project),
            ("actor", self.actor.as_deref()),
            ("action", self.action.as_deref()),
            ("outcome", self.outcome.as_deref()),
            ("since", self.since.as_deref()),
            ("until", self.until.as_deref()),
        ];
        let link = next_link(path, &asked, limit, next_cursor.as_deref());
        let entries = found.into_iter().map(Into::into).collect();
        AuditPage::Page(Json(AuditList { entries, next_cursor, dropped }), link)
    }
}

#[OpenApi(tag = "Area::Audit")]
impl AuditApi {
    /// Read the audit log
    ///
    /// Who changed what, and what was refused; newest first. Admin only. Entries are never changed, and forgotten when
    /// they are old.
    #[oai(path = "/audit", method = "get", operation_id = "list_audit")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the request")]
    async fn list(
        &self,
        auth: Auth,
        /// Only what concerns this project.
        project: Query<Option<String>>,
        /// Only of this actor: `admin`, `key:<id>`, `gadwall` or `unknown`.
        actor: Query<Option<String>>,
        /// Only of this action, e.g. `project.deleted`.
        action: Query<Option<String>>,
        /// Only `done` or `refused`.
        outcome: Query<Option<String>>,
        /// Only of this time (RFC 3339) and later.
        since: Query<Option<String>>,
        /// Only of before this time.
        until: Query<Option<String>>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// The `next_cursor` of the page before.
        after: Query<Option<String>>,
    ) -> ApiResult<AuditPage> {
        auth.caller().require_admin()?;
        let asked = Asked {
            actor: actor.0,
            action: action.0,
            outcome: outcome.0,
            since: since.0,
            until: until.0,
            limit: limit.0,
            after: after.0,
        };
        let of = project.0.as_deref().map(project_id).transpose()?;
        let filter = AuditFilter { project: of, ..asked.filter()? };
        let found = self.audit.list(auth.caller(), &filter).await?;
        Ok(asked.page("/audit", project.0.as_deref(), found, filter.limit, Some(self.audit.dropped())))
    }

    /// Read a project's audit log
    ///
    /// What concerns the project: who changed what of it, and what its keys were refused; newest first. For admins, and
    /// for keys with the scope `manage` that are not limited to a bucket.
    #[oai(path = "/projects/:project/audit", method = "get", operation_id = "list_project_audit")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the request")]
    async fn list_of_project(
        &self,
        auth: Auth,
        project: Path<String>,
        /// Only of this actor: `admin`, `key:<id>` or `gadwall`.
        actor: Query<Option<String>>,
        /// Only of this action, e.g. `table.created`.
        action: Query<Option<String>>,
        /// Only `done` or `refused`.
        outcome: Query<Option<String>>,
        /// Only of this time (RFC 3339) and later.
        since: Query<Option<String>>,
        /// Only of before this time.
        until: Query<Option<String>>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// The `next_cursor` of the page before.
        after: Query<Option<String>>,
    ) -> ApiResult<AuditPage> {
        let project = project_id(&project.0)?;
        let asked = Asked {
            actor: actor.0,
            action: action.0,
            outcome: outcome.0,
            since: since.0,
            until: until.0,
            limit: limit.0,
            after: after.0,
        };
        let filter = asked.filter()?;
        let limit = filter.limit;
        let found = self.audit.list_of(auth.caller(), &project, filter).await?;
        Ok(asked.page(&format!("/projects/{project}/audit"), None, found, limit, None))
    }
}
