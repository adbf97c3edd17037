//! Which columns a query's columns come from, as its tree tells: the tree that the gate checked, where every table has
//! its full name and every name of a WITH clause is one of ours.
//!
//! This mirrors the engine's binder as far as names go, and only that: it knows no types. Where it doesn't know enough
//! it leaves edges out and says that the rest is a part; it never guesses one.

mod expressions;
mod flow;
mod from;
mod queries;
mod star;
mod tables;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::PRINTED_DEPTH;
use super::json::Json;
use from::{FromClause, Meaning};

pub(crate) use expressions::BRANCH;
pub(crate) use flow::{Flow, Source, Step};
pub(crate) use value::{Column, Rows, Value};

/// How much may be looked at, in sources of columns. More than any statement of a person's.
const MAX_WORK: usize = 500_000;

/// Most rounds in which a recursive query is followed.
const MAX_ROUNDS: usize = 16;

/// What is known of what queries read.
pub(crate) trait Relations {
    /// What a full name is, in a version or in the newest; nothing if that can't be told.
    fn shape(&self, table: &[String; 3], version: Option<u64>) -> Option<Shape>;
}

/// What a name is.
pub(crate) enum Shape {
    /// A table with these columns.
    Table(Vec<String>),
    /// A view: the tree of its stored query, with full names.
    View(String),
    /// Something that was looked at before, with whether it was told as a part.
    Known(Rc<Rows>, bool),
}

/// What is known of a query's result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lineage {
    pub(crate) rows: Rows,
    /// Whether edges may be missing.
    pub(crate) partial: bool,
}

/// Follows the columns of a query's tree.
pub(crate) fn lineage(tree: &str, relations: &dyn Relations) -> Lineage {
    let mut tracer = Tracer::new(relations);
    let rows = tracer.tree(tree).unwrap_or_else(|Lost| {
        tracer.partial = true;
        Rows::unknown()
    });
    Lineage { partial: tracer.partial, rows }
}

/// The tree isn't one that this understands, or there is too much of it.
#[derive(Debug, Clone, Copy)]
struct Lost;

type Told<T> = Result<T, Lost>;

struct Tracer<'r> {
    relations: &'r dyn Relations,
    /// What WITH clauses gave names to.
    named: HashMap<String, Rc<Rows>>,
    /// Tables and views by their full names.
    known: HashMap<([String; 3], Option<u64>), Rc<Rows>>,
    /// Views that are being looked at.
    within: BTreeSet<[String; 3]>,
    partial: bool,
    work: usize,
}

/// What names mean at a place of a query.
#[derive(Clone, Copy)]
struct Frame<'f> {
    from: &'f FromClause,
    /// The columns of the SELECT list so far, which may be named as well.
    selected: &'f [Column],
    /// Whether they come first.
    selected_first: bool,
    /// Names of a lambda: they hide columns.
    own: &'f [&'f str],
    outer: Option<&'f Frame<'f>>,
}

impl<'r> Tracer<'r> {
    fn new(relations: &'r dyn Relations) -> Self {
        Self {
            relations,
            named: HashMap::new(),
            known: HashMap::new(),
            within: BTreeSet::new(),
            partial: false,
            work: 0,
        }
    }

    fn tree(&mut self, tree: &str) -> Told<Rows> {
        let tree = Json::parse(tree, PRINTED_DEPTH).map_err(|_| Lost)?;
        match items(tree.get("statements")) {
            [statement] => self.select(statement, None),
            _ => Err(Lost),
        }
    }

    fn spend(&mut self, flow: &Flow) -> Told<()> {
        self.work += flow.0.len() + 1;
        if self.work > MAX_WORK { Err(Lost) } else { Ok(()) }
    }

    /// What a column's name means.
    fn column(&mut self, names: &[&str], frame: &Frame<'_>) -> Value {
        let mut level = Some(frame);
        while let Some(frame) = level {
            if let [name, ..] = names
                && frame.own.iter().any(|own| own.eq_ignore_ascii_case(name))
            {
                return Value::default();
            }
            let selected = || match names {
                [name] => frame.selected.iter().find(|column| column.is(name)).map(|column| column.value.clone()),
                _ => None,
            };
            if frame.selected_first
                && let Some(value) = selected()
            {
                return value;
            }
            match frame.from.column(names) {
                Meaning::Column(value, blurred) => {
                    self.partial |= blurred;
                    return value;
                }
                Meaning::Anything => {
                    self.partial = true;
                    return Value::default();
                }
                Meaning::Nothing => {}
            }
            if let Some(value) = selected() {
                return value;
            }
            level = frame.outer;
        }
        // A bare word may be a call of the clock.
        let clock = matches!(names, [name] if super::functions::is_clock_word(name));
        self.partial |= !clock;
        Value::default()
    }
}

/// The elements of an array; none of anything else.
fn items<'j, 'a>(value: Option<&'j Json<'a>>) -> &'j [Json<'a>] {
    match value {
        Some(Json::Array(items)) => items,
        _ => &[],
    }
}

/// A text of an object; empty without.
fn text<'j>(value: &'j Json<'_>, key: &str) -> &'j str {
    value.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// The texts of an array.
fn texts<'j>(value: Option<&'j Json<'_>>) -> Vec<&'j str> {
    items(value).iter().filter_map(Json::as_str).collect()
}

/// A member that is an object.
fn object<'j, 'a>(value: &'j Json<'a>, key: &str) -> Option<&'j Json<'a>> {
    value.get(key).filter(|member| matches!(member, Json::Object(_)))
}
