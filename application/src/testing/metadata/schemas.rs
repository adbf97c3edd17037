//! Versions of schemas as a list, the last seen at its end.

use std::collections::BTreeMap;

use async_trait::async_trait;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ontology::{GovernedTable, KnownVersion, SchemaId, SchemaVersion};
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::ports::ontology::SchemaRepository;
use gadwall_domain::table::TableRef;

use super::MemoryTx;

#[async_trait]
impl SchemaRepository for MemoryTx {
    async fn record(&mut self, version: &SchemaVersion, keep: u32) -> Result<(), StoreError> {
        let schemas = &mut self.change()?.schemas;
        let same = |known: &SchemaVersion| known.id == version.id && known.digest == version.digest;
        let first_seen = schemas.iter().find(|known| same(known)).map_or(version.first_seen, |known| known.first_seen);
        schemas.retain(|known| !same(known));
        schemas.push(SchemaVersion { first_seen, ..version.clone() });
        schemas.sort_by_key(|known| known.last_seen);
        let mut surplus = schemas.iter().filter(|known| known.id == version.id).count().saturating_sub(keep as usize);
        schemas.retain(|known| {
            let goes = known.id == version.id && surplus > 0;
            surplus -= usize::from(goes);
            !goes
        });
        Ok(())
    }

    async fn latest(&mut self, id: &SchemaId) -> Result<Option<SchemaVersion>, StoreError> {
        Ok(self.state.schemas.iter().rfind(|known| known.id == *id).cloned())
    }

    async fn find(&mut self, id: &SchemaId, name: &str) -> Result<Option<SchemaVersion>, StoreError> {
        let named = |known: &&SchemaVersion| known.id == *id && (known.version == name || known.digest == name);
        Ok(self.state.schemas.iter().rfind(named).cloned())
    }

    async fn versions(&mut self, id: &SchemaId) -> Result<Vec<KnownVersion>, StoreError> {
        let of_schema = self.state.schemas.iter().rev().filter(|known| known.id == *id);
        Ok(of_schema.cloned().map(KnownVersion::from).collect())
    }

    async fn list(&mut self, limit: u32) -> Result<Vec<KnownVersion>, StoreError> {
        let last: BTreeMap<_, _> = self.state.schemas.iter().map(|known| (known.id.clone(), known.clone())).collect();
        Ok(last.into_values().take(limit as usize).map(KnownVersion::from).collect())
    }

    async fn govern(&mut self, table: &GovernedTable) -> Result<(), StoreError> {
        let name = (table.project.clone(), table.table.clone());
        let governed = &mut self.change()?.governed;
        governed.remove(&name);
        governed.insert(name, table.clone());
        Ok(())
    }

    async fn governed(&mut self, project: &ProjectId, table: &TableRef) -> Result<Option<GovernedTable>, StoreError> {
        Ok(self.state.governed.get(&(project.clone(), table.clone())).cloned())
    }

    async fn release(&mut self, project: &ProjectId, table: Option<&TableRef>) -> Result<(), StoreError> {
        let goes = |(of, name): &(ProjectId, TableRef)| of == project && table.is_none_or(|table| table == name);
        self.change()?.governed.retain(|name, _| !goes(name));
        Ok(())
    }
}
