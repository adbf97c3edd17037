//! What statements bring, within a project's limits.

use gadwall_domain::history::ReadAt;
use gadwall_domain::project::Project;
use gadwall_domain::quota::QuotaKind;
use gadwall_domain::script::{Growth, KnownTable};
use gadwall_domain::table::TableRef;

use super::{Needs, Scripts};
use crate::error::UseCaseError;
use crate::quotas::Reservation;

impl Scripts {
    /// Room for what a script makes. How much its rows take is known only afterwards: there must be some room left.
    pub(super) async fn room(
        &self,
        project: &Project,
        needs: &Needs,
        known: &[KnownTable],
    ) -> Result<Vec<Reservation>, UseCaseError> {
        let projects = &self.0.projects;
        let mut room = Vec::new();
        if needs.growths.iter().any(|(growth, _)| matches!(growth, Growth::Rows | Growth::Table { rows: true })) {
            room.push(projects.reserve(project, QuotaKind::TableBytes, 1).await?);
        }
        let is_new = |table: &&TableRef| known.iter().all(|known| known.name != **table);
        let made = needs.growths.iter().filter(|(growth, _)| matches!(growth, Growth::Table { .. }));
        let mut tables: Vec<&TableRef> = made.filter_map(|(_, table)| table.as_ref()).filter(is_new).collect();
        tables.sort();
        tables.dedup();
        if !tables.is_empty() {
            room.push(projects.reserve(project, QuotaKind::Tables, tables.len() as u64).await?);
        }
        let buckets = self.new_buckets(project, needs).await?;
        if buckets > 0 {
            room.push(projects.reserve(project, QuotaKind::Buckets, buckets).await?);
        }
        Ok(room)
    }

    /// How many buckets are made that are not there yet.
    async fn new_buckets(&self, project: &Project, needs: &Needs) -> Result<u64, UseCaseError> {
        let made = needs.growths.iter().filter_map(|(growth, _)| match growth {
            Growth::Bucket(name) => Some(name.to_lowercase()),
            _ => None,
        });
        let mut made: Vec<String> = made.collect();
        if made.is_empty() || self.0.projects.quotas().limit(project, QuotaKind::Buckets).is_none() {
            return Ok(0);
        }
        let known = self.0.lakes.buckets(project.lake, ReadAt::Head).await?;
        made.retain(|name| known.iter().all(|known| known.name.as_str().to_lowercase() != *name));
        made.sort();
        made.dedup();
        Ok(made.len() as u64)
    }
}
