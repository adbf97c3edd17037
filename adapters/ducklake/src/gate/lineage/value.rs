//! What an expression gives, and the columns of a result.

use std::rc::Rc;

use gadwall_domain::lineage::Means;

use super::flow::{Flow, Source, Step};

/// What flows into a value; of a struct that was put together, what flows into each of its fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Value {
    pub(crate) flow: Rc<Flow>,
    fields: Option<Rc<[Column]>>,
}

/// A column of a result: its name, if that is known, and what flows into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: Option<Rc<str>>,
    pub(crate) value: Value,
}

impl Column {
    pub(crate) fn named(name: &str, value: Value) -> Self {
        Self { name: Some(name.into()), value }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }
}

impl Value {
    pub(super) fn of(flow: Flow) -> Self {
        Self { flow: Rc::new(flow), fields: None }
    }

    /// A table's column as it is.
    pub(super) fn source(source: Source) -> Self {
        Self::of(Flow::of(source))
    }

    /// A struct of such fields.
    pub(super) fn packed(fields: Vec<Column>) -> Self {
        let mut all = Flow::default();
        for field in &fields {
            all.add(&field.value.flow.through(Step::new(Means::Transformation)));
        }
        Self { flow: Rc::new(all), fields: Some(fields.into()) }
    }

    /// A field of it, and whether it may be another one's, too.
    pub(super) fn field(&self, name: &str) -> (Self, bool) {
        let known = self.fields.as_ref().and_then(|fields| fields.iter().find(|field| field.is(name)));
        if let Some(known) = known {
            return (known.value.clone(), false);
        }
        let mut sources = self.flow.0.iter().map(|(source, _)| source);
        let first = sources.next();
        let blurred = self.fields.is_some() || sources.any(|source| Some(source) != first);
        (Self::of(self.flow.through(Step::new(Means::Transformation))), blurred)
    }
}

/// The result of a query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<Column>,
    /// What says which rows there are.
    pub(crate) kept_by: Flow,
    /// Whether there may be other columns, and so whether places mean nothing.
    pub(crate) open: bool,
}

impl Rows {
    /// Nothing is known of it.
    pub(super) fn unknown() -> Self {
        Self { open: true, ..Self::default() }
    }

    /// Beside what is known of a table, what else came into it.
    pub(crate) fn take(&mut self, more: &Self) {
        for column in &more.columns {
            let known = column.name.as_deref().and_then(|name| self.columns.iter_mut().find(|known| known.is(name)));
            if let Some(known) = known {
                let mut both = (*known.value.flow).clone();
                both.add(&column.value.flow);
                known.value = Value::of(both);
            }
        }
        self.kept_by.add(&more.kept_by);
    }

    /// The first columns get other names.
    pub(super) fn renamed(mut self, names: &[&str]) -> Self {
        for (column, name) in self.columns.iter_mut().zip(names) {
            column.name = Some(Rc::from(*name));
        }
        self
    }
}
