//! What those who look after streams are told.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use gadwall_domain::names::ProjectId;

use super::health::{Ailment, Vitals};

/// A client, as it is told to those who look after it.
#[derive(Debug, Clone)]
pub struct ClientReport {
    /// Its id.
    pub id: String,
    /// The project it watches; none for all.
    pub project: Option<ProjectId>,
    /// The events it wants.
    pub interest: Vec<String>,
    /// Events that wait for it.
    pub queued: usize,
    /// How it does.
    pub vitals: Vitals,
}

/// Who was found dead, and why; by project.
#[derive(Debug, Clone, Default)]
pub struct Detected(BTreeMap<Option<ProjectId>, Count>);

#[derive(Debug, Clone, Default)]
struct Count {
    reasons: BTreeMap<Ailment, u64>,
    cleaned_at: Option<DateTime<Utc>>,
}

/// Most projects that are counted apart; what comes later isn't.
const MAX_PROJECTS: usize = 10_000;

impl Detected {
    fn count(&mut self, project: Option<ProjectId>) -> Option<&mut Count> {
        let is_full = self.0.len() >= MAX_PROJECTS && !self.0.contains_key(&project);
        (!is_full).then(|| self.0.entry(project).or_default())
    }

    pub(super) fn note(&mut self, project: Option<ProjectId>, why: Ailment) {
        if let Some(count) = self.count(project) {
            *count.reasons.entry(why).or_default() += 1;
        }
    }

    pub(super) fn cleaned(&mut self, project: Option<ProjectId>, now: DateTime<Utc>) {
        if let Some(count) = self.count(project) {
            count.cleaned_at = Some(now);
        }
    }

    /// Those of one project, or all.
    pub(super) fn of(&self, project: Option<&ProjectId>) -> Self {
        let is = |known: &Option<ProjectId>| project.is_none() || known.as_ref() == project;
        Self(
            self.0.iter().filter(|(known, _)| is(known)).map(|(known, count)| (known.clone(), count.clone())).collect(),
        )
    }

    /// How often each reason was found.
    pub fn reasons(&self) -> BTreeMap<&'static str, u64> {
        let mut all = BTreeMap::new();
        for (why, times) in self.0.values().flat_map(|count| &count.reasons) {
            *all.entry(why.as_str()).or_default() += times;
        }
        all
    }

    /// When the dead were last removed by hand.
    pub fn last_cleanup(&self) -> Option<DateTime<Utc>> {
        self.0.values().filter_map(|count| count.cleaned_at).max()
    }
}
