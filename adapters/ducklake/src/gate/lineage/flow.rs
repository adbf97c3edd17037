//! What flows into a column: columns of tables, and what is done with them on the way.

use std::collections::BTreeSet;
use std::rc::Rc;

use gadwall_domain::lineage::{Influence, Means};

/// A column of a table, by the table's full name in the engine: catalog, schema, table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) table: Rc<[String; 3]>,
    pub(crate) column: Rc<str>,
}

/// What is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    pub(crate) means: Means,
    pub(crate) masking: bool,
}

impl Step {
    pub(super) fn new(means: Means) -> Self {
        Self { means, masking: false }
    }

    pub(super) fn masked(self, masking: bool) -> Self {
        Self { masking: self.masking || masking, ..self }
    }

    fn is_direct(self) -> bool {
        self.means.influence() == Influence::Direct
    }
}

/// Sources with what is done with each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Flow(pub(crate) BTreeSet<(Source, Step)>);

impl Flow {
    /// A table's column as it is.
    pub(super) fn of(source: Source) -> Self {
        Self([(source, Step::new(Means::Identity))].into())
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// What goes on through something that is computed: what was more than that stays so.
    pub(super) fn through(&self, step: Step) -> Self {
        let on = |(source, before): &(Source, Step)| {
            let after =
                if before.is_direct() { Step { means: before.means.max(step.means), ..*before } } else { *before };
            (source.clone(), after.masked(step.masking && before.is_direct()))
        };
        Self(self.0.iter().map(on).collect())
    }

    /// What only says which rows, groups or values there are, however it came here.
    pub(crate) fn only(&self, means: Means) -> Self {
        Self(self.0.iter().map(|(source, _)| (source.clone(), Step::new(means))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_step_is_told() {
        let table = Rc::new(["c".to_owned(), "s".to_owned(), "t".to_owned()]);
        let flow = Flow::of(Source { table, column: "x".into() });
        let means = |flow: &Flow| flow.0.iter().map(|(_, step)| step.means).collect::<Vec<_>>();
        let summed = flow.through(Step::new(Means::Aggregation));
        assert_eq!(means(&summed.through(Step::new(Means::Transformation))), [Means::Aggregation]);
        assert_eq!(means(&summed.through(Step::new(Means::Identity))), [Means::Aggregation]);
        let filter = summed.only(Means::Filter);
        assert_eq!(means(&filter.through(Step::new(Means::Aggregation))), [Means::Filter], "no value comes of it");
    }
}
