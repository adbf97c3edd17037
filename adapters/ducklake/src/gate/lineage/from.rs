//! What stands in FROM, and what a column's name means there.

use std::rc::Rc;

use gadwall_domain::lineage::Means;

use super::flow::{Flow, Step};
use super::value::{Column, Value};

/// A table, or what is like one.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    /// What it is called.
    pub(super) alias: String,
    /// Its full name in the engine, where it goes by that as well.
    pub(super) full: Option<Rc<[String; 3]>>,
    pub(super) columns: Vec<Column>,
    /// Whether there may be other columns.
    pub(super) open: bool,
}

impl Relation {
    /// Whether these parts of a name mean this.
    fn named_by(&self, names: &[&str]) -> bool {
        let is = |own: &str, name: &str| own.eq_ignore_ascii_case(name);
        match (names, self.full.as_deref()) {
            ([alias], _) => is(&self.alias, alias),
            ([schema, table], Some([_, own_schema, own])) => is(own_schema, schema) && is(own, table),
            ([catalog, schema, table], Some([own_catalog, own_schema, own])) => {
                is(own_catalog, catalog) && is(own_schema, schema) && is(own, table)
            }
            _ => false,
        }
    }

    fn column(&self, name: &str) -> Option<Value> {
        let found = self.columns.iter().find(|column| column.is(name));
        // The number of a row is no column.
        let number = || (self.full.is_some() && name.eq_ignore_ascii_case("rowid")).then(Value::default);
        found.map(|column| column.value.clone()).or_else(number)
    }
}

/// All that stands in a FROM.
#[derive(Debug, Clone, Default)]
pub(super) struct FromClause {
    relations: Vec<Relation>,
    /// Columns of USING, which go by their names alone, the outermost last.
    merged: Vec<Column>,
    /// What `*` means.
    star: Vec<Column>,
    /// What says which rows there are.
    pub(super) rows: Flow,
}

/// How two tables are joined.
pub(super) struct Join<'j> {
    /// `INNER`, `LEFT`, …
    pub(super) kind: &'j str,
    pub(super) natural: bool,
    pub(super) using: Vec<&'j str>,
}

/// What a column's name means somewhere.
pub(super) enum Meaning {
    /// This; with what may be too much.
    Column(Value, bool),
    /// A column that nobody knows.
    Anything,
    /// Nothing here; perhaps further out.
    Nothing,
}

impl FromClause {
    pub(super) fn of(relation: Relation, rows: Flow) -> Self {
        Self { star: relation.columns.clone(), relations: vec![relation], merged: Vec::new(), rows }
    }

    /// Whether there may be columns that nobody knows.
    pub(super) fn is_open(&self) -> bool {
        self.relations.iter().any(|relation| relation.open)
    }

    /// What `*` means; `*` of one table with its name.
    pub(super) fn star(&self, relation: &str) -> Option<(&[Column], bool)> {
        if relation.is_empty() {
            return Some((&self.star, self.is_open()));
        }
        let found = self.relations.iter().find(|known| known.named_by(&[relation]));
        found.map(|known| (&*known.columns, known.open))
    }

    /// The column of a place, as `#1` means it.
    pub(super) fn at(&self, place: usize) -> Option<Value> {
        if self.is_open() {
            return None;
        }
        self.star.get(place.checked_sub(1)?).map(|column| column.value.clone())
    }

    pub(super) fn join(mut self, mut right: Self, join: &Join<'_>) -> Self {
        let using: Vec<Rc<str>> = if join.natural {
            let ours = self.star.iter().filter_map(|column| column.name.clone());
            ours.filter(|name| right.star.iter().any(|column| column.is(name))).collect()
        } else {
            join.using.iter().map(|name| Rc::from(*name)).collect()
        };
        self.rows.add(&right.rows);
        for name in &using {
            let sides = [self.unqualified(name), right.unqualified(name)];
            for side in sides.iter().flatten() {
                self.rows.add(&side.flow.only(Means::Join));
            }
            if !matches!(join.kind, "SEMI" | "ANTI") {
                self.merge(name, sides, join.kind);
            }
        }
        if matches!(join.kind, "SEMI" | "ANTI") {
            return self;
        }
        right.star.retain(|column| !using.iter().any(|name| column.is(name)));
        self.star.append(&mut right.star);
        right.merged.append(&mut self.merged);
        self.merged = right.merged;
        self.relations.append(&mut right.relations);
        self
    }

    /// Makes one column of two.
    fn merge(&mut self, name: &Rc<str>, [ours, theirs]: [Option<Value>; 2], kind: &str) {
        let value = match kind {
            "RIGHT" => theirs,
            "FULL" | "OUTER" => {
                let mut either = Flow::default();
                for side in [ours, theirs].iter().flatten() {
                    either.add(&side.flow.through(Step::new(Means::Transformation)));
                }
                Some(Value::of(either))
            }
            _ => ours,
        };
        let value = value.unwrap_or_default();
        if let Some(column) = self.star.iter_mut().find(|column| column.is(name)) {
            column.value = value.clone();
        }
        self.merged.push(Column { name: Some(Rc::clone(name)), value });
    }

    fn unqualified(&self, name: &str) -> Option<Value> {
        let merged = self.merged.iter().rev().find(|column| column.is(name)).map(|column| column.value.clone());
        merged.or_else(|| self.relations.iter().find_map(|relation| relation.column(name)))
    }

    /// What a name means here: a table's parts come before the column, the fields of a struct behind it.
    pub(super) fn column(&self, names: &[&str]) -> Meaning {
        for parts in (1..names.len().min(4)).rev() {
            let (table, rest) = names.split_at(parts);
            let relation = self.relations.iter().find(|relation| relation.named_by(table));
            let (Some(relation), Some((column, fields))) = (relation, rest.split_first()) else { continue };
            match relation.column(column) {
                Some(value) => return within(value, fields),
                None if relation.open => return Meaning::Anything,
                None => {}
            }
        }
        if let Some((column, fields)) = names.split_first()
            && let Some(value) = self.unqualified(column)
        {
            return within(value, fields);
        }
        // A table's name means its rows, as structs.
        if let Some((table, fields)) = names.split_first()
            && let Some(relation) = self.relations.iter().find(|relation| relation.named_by(&[table]))
        {
            return if relation.open {
                Meaning::Anything
            } else {
                within(Value::packed(relation.columns.clone()), fields)
            };
        }
        if self.is_open() { Meaning::Anything } else { Meaning::Nothing }
    }
}

fn within(value: Value, fields: &[&str]) -> Meaning {
    let (mut value, mut blurred) = (value, false);
    for field in fields {
        let (part, more) = value.field(field);
        (value, blurred) = (part, blurred || more);
    }
    Meaning::Column(value, blurred)
}
