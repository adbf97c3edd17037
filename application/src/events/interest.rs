//! Which events somebody wants.

use super::EventsError;

/// Events that are only sent, or come from jobs and their lineage.
pub const SPOKEN: [&str; 7] =
    ["lineage_event", "job_status", "queue_status", "system_metric", "error", "heartbeat", "ping"];
/// What changes are of: events are called `table.created`, `rows.appended`.
const AREAS: [&str; 18] = [
    "backup",
    "bucket",
    "contract",
    "dataset",
    "files",
    "job",
    "key",
    "lineage",
    "link",
    "maintenance",
    "ontology",
    "project",
    "quality",
    "rows",
    "schema",
    "share",
    "table",
    "view",
];
/// Begins each type of event where types must be unique in the world.
pub const TYPE_PREFIX: &str = "dev.gadwall.";
/// Most names of a list.
const MAX_NAMES: usize = 50;

/// Kinds of events that somebody wants; none are all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interest(Option<Vec<String>>);

impl Interest {
    /// Everything.
    pub const ALL: Self = Self(None);

    /// These kinds.
    pub fn of(kinds: &[&str]) -> Self {
        Self(Some(kinds.iter().map(|kind| (*kind).to_owned()).collect()))
    }

    /// Reads names with commas between them; `table.*` are all of an area. Names that there can't be are passed over,
    /// unless there is no other.
    pub fn parse(text: &str) -> Result<Self, EventsError> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty()).take(MAX_NAMES);
        let names = names.map(|name| name.strip_prefix(TYPE_PREFIX).unwrap_or(name));
        let known: Vec<String> = names.filter(|name| is_known(name)).map(str::to_owned).collect();
        if known.is_empty() {
            Err(EventsError::NoKnownKind(text.chars().take(100).collect()))
        } else {
            Ok(Self(Some(known)))
        }
    }

    /// Whether a kind is wanted.
    pub fn has(&self, kind: &str) -> bool {
        let is = |wanted: &String| match wanted.strip_suffix('*') {
            Some(area) => kind.starts_with(area),
            None => kind == wanted,
        };
        self.0.as_ref().is_none_or(|wanted| wanted.iter().any(is))
    }

    /// The names, as they were given; `*` for all.
    pub fn names(&self) -> Vec<String> {
        self.0.clone().unwrap_or_else(|| vec!["*".to_owned()])
    }
}

fn is_known(name: &str) -> bool {
    let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match name.split_once('.') {
        Some((area, what)) => AREAS.contains(&area) && (what == "*" || word(what)),
        None => SPOKEN.contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use gadwall_domain::commit::Change;
    use gadwall_domain::events::ProjectFact;

    use super::*;
    use crate::testing::builders::table;

    #[test]
    fn unknown_names_are_passed_over_unless_there_is_no_other() {
        let some = Interest::parse("nonsense, table.*,job_status,dev.gadwall.rows.appended").unwrap();
        for (kind, wanted) in [
            ("table.created", true),
            ("job_status", true),
            ("rows.appended", true),
            ("rows.deleted", false),
            ("heartbeat", false),
        ] {
            assert_eq!(some.has(kind), wanted, "{kind}");
        }
        for text in ["", "nonsense", "table", "x.created", "table.", "TABLE.CREATED", "*"] {
            assert!(Interest::parse(text).is_err(), "{text}");
        }
        assert!(Interest::ALL.has("anything"));
    }

    #[test]
    fn what_the_log_holds_can_be_wanted() {
        let rows = Change::TableTruncated { table: table("b.t"), rows: 1 };
        for kind in [ProjectFact::Created.event_type(), ProjectFact::QuotaChanged.event_type(), rows.event_type()] {
            assert!(Interest::parse(kind).is_ok(), "{kind}");
        }
    }
}
