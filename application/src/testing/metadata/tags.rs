//! Named snapshots as a map.

use async_trait::async_trait;
use gadwall_domain::history::Tag;
use gadwall_domain::names::{ProjectId, TagName};
use gadwall_domain::ports::metadata::{StoreError, TagRepository};

use super::MemoryTx;

#[async_trait]
impl TagRepository for MemoryTx {
    async fn insert(&mut self, tag: &Tag) -> Result<(), StoreError> {
        let state = self.change()?;
        let project = state.project(&tag.project)?.id.clone();
        let name = (project.clone(), tag.name.clone());
        if state.tags.contains_key(&name) {
            return Err(StoreError::AlreadyExists);
        }
        state.tags.insert(name, Tag { project, ..tag.clone() });
        Ok(())
    }

    async fn find(&mut self, project: &ProjectId, name: &TagName) -> Result<Option<Tag>, StoreError> {
        Ok(self.state.tags.get(&(project.clone(), name.clone())).cloned())
    }

    async fn list(&mut self, project: &ProjectId) -> Result<Vec<Tag>, StoreError> {
        Ok(self.state.tags.values().filter(|tag| tag.project == *project).cloned().collect())
    }

    async fn remove(&mut self, project: &ProjectId, name: &TagName) -> Result<bool, StoreError> {
        Ok(self.change()?.tags.remove(&(project.clone(), name.clone())).is_some())
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        self.change()?.tags.retain(|(of, _), _| of != project);
        Ok(())
    }
}
