//! Bytes that come within a project's limit, or break off.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use gadwall_domain::ports::objects::{Content, ContentError, Stored};
use gadwall_domain::project::Project;
use gadwall_domain::quota::QuotaKind;

use super::Datasets;
use crate::error::UseCaseError;
use crate::projects::Projects;
use crate::quotas::Reservation;

/// The room of bytes that are on their way.
pub(super) struct Room(Option<Held>);

struct Held {
    projects: Arc<Projects>,
    room: Arc<Mutex<Option<Reservation>>>,
}

impl Room {
    /// They are stored.
    pub(super) fn keep(self, project: &Project, stored: &Stored) {
        let Some(Held { projects, room }) = self.0 else { return };
        if let Some(room) = room.lock().unwrap_or_else(PoisonError::into_inner).take() {
            room.keep_as(stored.info.size);
        }
        if stored.replaced {
            // How much that frees isn't known.
            projects.quotas().forget(&project.id, QuotaKind::DatasetBytes);
        }
    }
}

impl Datasets {
    /// The same bytes, which break off where the project may have no more.
    pub(super) async fn bounded(&self, project: &Project, content: Content) -> Result<(Content, Room), UseCaseError> {
        let limited = |projects: &&Arc<Projects>| projects.quotas().limit(project, QuotaKind::DatasetBytes).is_some();
        let Some(projects) = self.projects.as_ref().filter(limited) else { return Ok((content, Room(None))) };
        let room = projects.reserve(project, QuotaKind::DatasetBytes, 1).await?;
        let room = Arc::new(Mutex::new(Some(room)));
        let of_content = Arc::clone(&room);
        let mut seen: u64 = 0;
        let bounded = content.map(move |chunk| {
            let chunk = chunk?;
            seen = seen.saturating_add(chunk.len() as u64);
            if let Some(room) = &mut *of_content.lock().unwrap_or_else(PoisonError::into_inner) {
                room.reach(seen).map_err(ContentError::from)?;
            }
            Ok(chunk)
        });
        Ok((Box::pin(bounded), Room(Some(Held { projects: Arc::clone(projects), room }))))
    }
}
