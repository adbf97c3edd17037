//! Projects, keys and audit entries as lists.

use std::cmp::Reverse;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::access::{ApiKey, KeyDigest};
use gadwall_domain::audit::{AuditAge, AuditEntry, AuditFilter, AuditOutcome, LoggedAudit};
use gadwall_domain::ids::ApiKeyId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{
    ApiKeyRepository, AuditLog, KeyFilter, ProjectFilter, ProjectRepository, StoreError,
};
use gadwall_domain::project::{Deletion, Project, ProjectSize, ProjectStatus};

use super::MemoryTx;

#[async_trait]
impl ProjectRepository for MemoryTx {
    async fn insert(&mut self, project: &Project) -> Result<(), StoreError> {
        let state = self.change()?;
        let same_lake = state.projects.values().any(|known| known.lake == project.lake);
        if same_lake || state.projects.contains_key(&project.id) {
            return Err(StoreError::AlreadyExists);
        }
        state.projects.insert(project.id.clone(), project.clone());
        Ok(())
    }

    async fn find(&mut self, id: &ProjectId) -> Result<Option<Project>, StoreError> {
        Ok(self.state.projects.get(id).cloned())
    }

    async fn list(&mut self, filter: ProjectFilter) -> Result<(Vec<Project>, u64), StoreError> {
        let matches = |project: &&Project| filter.status.is_none_or(|status| project.status == status);
        let mut found: Vec<&Project> = self.state.projects.values().filter(matches).collect();
        let total = found.len() as u64;
        // Stable: projects of the same time stay in the order of their ids.
        found.sort_by_key(|project| Reverse(project.created_at));
        let offset = usize::try_from(filter.offset).unwrap_or(usize::MAX);
        let page = found.into_iter().skip(offset).take(filter.limit as usize);
        Ok((page.cloned().collect(), total))
    }

    async fn update(&mut self, project: &Project) -> Result<bool, StoreError> {
        let Some(known) = self.change()?.projects.get_mut(&project.id) else { return Ok(false) };
        known.name.clone_from(&project.name);
        known.settings.clone_from(&project.settings);
        known.status = project.status;
        known.updated_at = project.updated_at;
        known.deletion_protection = project.deletion_protection;
        known.deletion = project.deletion;
        known.quota.clone_from(&project.quota);
        Ok(true)
    }

    async fn to_purge(&mut self, now: DateTime<Utc>, limit: u32) -> Result<Vec<Project>, StoreError> {
        let waits = |project: &Project| {
            let free = |deletion: &Deletion| {
                deletion.purged_at.is_none() && deletion.claimed_until.is_none_or(|until| until <= now)
            };
            project.deletion.filter(free).map(|deletion| deletion.purge_after)
        };
        let is_due = |project: &&Project| waits(project).is_some_and(|after| after <= now);
        let mut found: Vec<Project> = self.state.projects.values().filter(is_due).cloned().collect();
        found.sort_by_key(waits);
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn purged_since(&mut self, since: DateTime<Utc>, limit: u32) -> Result<Vec<Project>, StoreError> {
        let purged = |project: &Project| project.deletion.and_then(|deletion| deletion.purged_at);
        let is_since = |project: &&Project| purged(project).is_some_and(|at| at >= since);
        let mut found: Vec<Project> = self.state.projects.values().filter(is_since).cloned().collect();
        found.sort_by_key(|project| Reverse(purged(project)));
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn record_size(&mut self, id: &ProjectId, size: ProjectSize) -> Result<(), StoreError> {
        if let Some(known) = self.change()?.projects.get_mut(id) {
            known.size = size;
        }
        Ok(())
    }
}

#[async_trait]
impl ApiKeyRepository for MemoryTx {
    async fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        let state = self.change()?;
        state.project(&key.project)?;
        if state.keys.iter().any(|known| known.id == key.id || known.digest == key.digest) {
            return Err(StoreError::AlreadyExists);
        }
        state.keys.push(key.clone());
        Ok(())
    }

    async fn find_by_digest(&mut self, digest: &KeyDigest) -> Result<Option<ApiKey>, StoreError> {
        let is = |key: &&ApiKey| {
            key.digest == *digest || key.replaced.as_ref().is_some_and(|replaced| replaced.digest == *digest)
        };
        let in_use = |key: &&ApiKey| {
            self.state.projects.get(&key.project).is_some_and(|project| project.status == ProjectStatus::Active)
        };
        Ok(self.state.keys.iter().find(|key| is(key) && in_use(key)).cloned())
    }

    async fn find(&mut self, project: &ProjectId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.state.keys.iter().find(|key| key.project == *project && key.id == id).cloned())
    }

    async fn find_by_request(&mut self, project: &ProjectId, digest: &str) -> Result<Option<ApiKey>, StoreError> {
        let is = |key: &&ApiKey| key.project == *project && key.request_digest.as_deref() == Some(digest);
        Ok(self.state.keys.iter().filter(is).max_by_key(|key| key.id).cloned())
    }

    async fn list(&mut self, project: &ProjectId, filter: KeyFilter) -> Result<Vec<ApiKey>, StoreError> {
        let is = |key: &&ApiKey| key.project == *project && filter.after.is_none_or(|after| key.id < after);
        let mut found: Vec<ApiKey> = self.state.keys.iter().filter(is).cloned().collect();
        found.sort_by_key(|key| Reverse(key.id));
        found.truncate(filter.limit as usize);
        Ok(found)
    }

    async fn update(&mut self, key: &ApiKey) -> Result<bool, StoreError> {
        let mut keys = self.change()?.keys.iter_mut();
        let Some(known) = keys.find(|known| known.id == key.id && known.project == key.project) else {
            return Ok(false);
        };
        known.digest = key.digest;
        known.replaced.clone_from(&key.replaced);
        known.request_digest.clone_from(&key.request_digest);
        known.revoked_at = key.revoked_at;
        Ok(true)
    }

    async fn record_uses(&mut self, uses: &[(ApiKeyId, DateTime<Utc>)]) -> Result<(), StoreError> {
        let keys = &mut self.change()?.keys;
        for (id, at) in uses {
            if let Some(key) = keys.iter_mut().find(|key| key.id == *id) {
                key.last_used_at = key.last_used_at.max(Some(*at));
            }
        }
        Ok(())
    }

    async fn revoke_all(&mut self, project: &ProjectId, at: DateTime<Utc>) -> Result<u64, StoreError> {
        let keys = &mut self.change()?.keys;
        let open = keys.iter_mut().filter(|key| key.project == *project && key.revoked_at.is_none());
        Ok(open.map(|key| key.revoked_at = Some(at)).count() as u64)
    }
}

#[async_trait]
impl AuditLog for MemoryTx {
    async fn append(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        let state = self.change()?;
        for entry in entries {
            if let Some(project) = &entry.project {
                state.project(project)?;
            }
            state.audited += 1;
            state.audit.push(LoggedAudit { position: state.audited, entry: entry.clone() });
        }
        Ok(())
    }

    async fn list(&mut self, filter: &AuditFilter) -> Result<Vec<LoggedAudit>, StoreError> {
        let is = |LoggedAudit { position, entry }: &&LoggedAudit| {
            filter.before.is_none_or(|before| *position < before)
                && filter.project.as_ref().is_none_or(|project| entry.project.as_ref() == Some(project))
                && filter.principal.as_ref().is_none_or(|principal| entry.principal == *principal)
                && filter.operation.as_ref().is_none_or(|operation| entry.operation == *operation)
                && filter.outcome.is_none_or(|outcome| entry.outcome.as_str() == outcome)
                && filter.since.is_none_or(|since| entry.at >= since)
                && filter.until.is_none_or(|until| entry.at < until)
        };
        Ok(self.state.audit.iter().rev().filter(is).take(filter.limit as usize).cloned().collect())
    }

    async fn forget_before(&mut self, age: AuditAge) -> Result<u64, StoreError> {
        let state = self.change()?;
        let mut forgotten = 0;
        for (outcome, before) in AuditOutcome::WORDS.into_iter().zip([age.changes_before, age.refusals_before]) {
            let is_old = |logged: &&LoggedAudit| logged.entry.outcome.as_str() == outcome && logged.entry.at < before;
            let mut old: Vec<_> = state.audit.iter().filter(is_old).map(|old| (old.entry.at, old.position)).collect();
            old.sort_unstable();
            old.truncate(age.limit as usize);
            state.audit.retain(|logged| !old.contains(&(logged.entry.at, logged.position)));
            forgotten += old.len() as u64;
        }
        Ok(forgotten)
    }
}
