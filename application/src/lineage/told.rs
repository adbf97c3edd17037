//! What those who watch hear of runs: `job_status` and `lineage_event`, as clients of `/events/…` know them.

use chrono::{DateTime, Utc};
use gadwall_domain::events::Event;
use gadwall_domain::ids::RequestId;
use gadwall_domain::lineage::{EventKind, NodeName, RunEvent, RunId};
use gadwall_domain::names::ProjectId;
use serde_json::{Value, json};

/// Of which run, and in which request it is told.
pub(super) struct Teller<'t> {
    pub(super) project: &'t ProjectId,
    pub(super) request: &'t RequestId,
    pub(super) now: DateTime<Utc>,
}

/// How far the taking in of an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Processing,
    Completed,
    Failed,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

impl Teller<'_> {
    /// That an event is being taken in, or was.
    pub(super) fn lineage(&self, event: &RunEvent, stage: Stage) -> Event {
        let data = json!({
            "event_type": event.kind.as_str(),
            "run_id": event.run.to_string(),
            "job_name": event.job.name(),
            "status": stage.as_str(),
            "metadata": { "namespace": event.job.namespace() },
        });
        self.event("lineage_event", &event.job, data)
    }

    /// How far a job's run is, by what is told of it: nothing of what doesn't move it on.
    pub(super) fn job(&self, event: &RunEvent) -> Option<Event> {
        let (status, progress) = match event.kind {
            EventKind::Start | EventKind::Running => ("running", Some(10)),
            EventKind::Complete => ("completed", Some(100)),
            EventKind::Fail => ("failed", None),
            EventKind::Abort => ("aborted", None),
            EventKind::Other => return None,
        };
        Some(self.status(&event.job, event.run, status, progress))
    }

    /// What comes before that, where a run is told of by hand.
    pub(super) fn job_before(&self, event: &RunEvent) -> Event {
        let (status, progress) = if event.kind == EventKind::Start { ("starting", 0) } else { ("completing", 90) };
        self.status(&event.job, event.run, status, Some(progress))
    }

    fn status(&self, job: &NodeName, run: RunId, status: &str, progress: Option<u8>) -> Event {
        let told = json!({ "job_name": job.name(), "run_id": run.to_string(), "status": status, "progress": progress });
        self.event("job_status", job, told)
    }

    fn event(&self, event_type: &'static str, job: &NodeName, data: Value) -> Event {
        Event {
            project: self.project.clone(),
            event_type,
            // No bucket is called so: keys to a bucket don't hear of jobs.
            subject: format!("job {}", job.name()),
            occurred_at: self.now,
            request_id: self.request.clone(),
            snapshot: None,
            data,
        }
    }
}
