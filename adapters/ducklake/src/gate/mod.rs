//! The statement gate for reads: no query text of a caller runs as it was sent.
//!
//! ```text
//! admit(sql)            before the engine parses it: size, NUL
//!   engine              json_serialize_sql(sql)                    → the parsed tree as JSON
//! check(sql, json, …)   walks the whole tree, resolves and rewrites → Checked
//!   engine              json_deserialize_sql(checked.statement_json) → the text that will run
//!   engine              json_serialize_sql(that text)
//! confirm(json, …)      the text that will run passes the gate too
//!   engine              runs that text
//! ```
//!
//! The gate fails closed. A node, a field, a function or a type that it doesn't know ends the statement, so a new
//! engine version can't smuggle anything in. Every table of the rewritten tree has a full name that [`Names`]
//! answered; every name of a WITH clause is replaced by one of ours. So nothing is left for the engine to look up: no
//! search path, no file of that name, no other project.
//!
//! [`confirm`] closes the gap between tree and text. The engine prints a tree as SQL and parses it again; were its
//! printer wrong somewhere, the text would be another statement than the one that was checked. It is: it prints the
//! table of `"a b".*` without quotes, so an alias could hold any SQL. So what runs is itself checked, and must parse to
//! the very tree that was.
//!
//! The gate is pure: it never talks to the engine, and it keeps nothing between calls. Only reads pass; what writes
//! has other doors.

mod classify;
mod columns;
mod error;
mod explain;
mod files;
mod functions;
mod json;
pub(crate) mod lineage;
mod listing;
mod names;
mod parameters;
mod same;
mod scan;
mod scope;
mod spec;
#[cfg(test)]
mod tests;
mod tokens;
mod walk;
pub(crate) mod write;

pub(crate) use error::GateError;
pub(crate) use explain::{Explain, explain, plan};
pub(crate) use files::paths;
pub(crate) use listing::{CATALOG, Visible, VisibleBucket, VisibleColumn, VisibleTable, VisibleType};
pub(crate) use names::{LinkedAt, NameError, Names, ResolvedTable};
pub(crate) use parameters::{NamedValue, plain, refuse_surplus};

use gadwall_domain::query::Parameters;
use json::{Json, JsonError};
pub(crate) use walk::MAX_COST;
use walk::Walk;

/// The largest statement, in bytes of SQL.
pub(crate) const MAX_SQL: usize = 1 << 20;

/// The largest tree, in bytes of JSON. A literal of two bytes becomes a hundred and fifty.
const MAX_TREE: usize = 32 << 20;

/// The deepest tree. Each operator is two levels, a subquery three or four: about 380 additions in a row. The engine
/// itself would take about 1000. The program gives its threads 16 MiB of stack; a test holds this to 8.
const MAX_DEPTH: usize = 768;

/// The deepest tree of a printed statement: the printer adds parentheses around VALUES lists, the walk adds casts.
const PRINTED_DEPTH: usize = MAX_DEPTH + 64;

/// A statement that may run once [`confirm`] saw its final text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    /// The rewritten tree, for `json_deserialize_sql`.
    pub(crate) statement_json: String,
    /// Every table it reads, each once.
    pub(crate) tables: Vec<ResolvedTable>,
    /// Where the files lie that it reads.
    pub(crate) files: Vec<String>,
    /// Whether it gives the same result while the tables stay the same, so that a result may be cached.
    ///
    /// False with the clock, random numbers, sampling. Where SQL leaves a choice open (LIMIT without ORDER BY,
    /// `any_value`, rows of equal rank) it stays true: any of the right answers is a right answer again.
    pub(crate) deterministic: bool,
    /// How much it makes the engine bind, in columns and tables.
    pub(crate) cost: u64,
    /// How often the views that it reads may be bound for it, at most.
    pub(crate) views: u64,
    /// The parameters it names, in the order they are first met: numbers for `?` and `$1`, else names.
    pub(crate) parameters: Vec<String>,
    /// What to bind to those of the rewritten tree.
    pub(crate) values: Vec<NamedValue>,
}

/// Refuses a text that the engine's parser shouldn't see at all.
///
/// # Errors
/// [`GateError::TooLarge`], or [`GateError::Syntax`] for a NUL, which would end the text early for some readers.
pub(crate) fn admit(sql: &str) -> Result<(), GateError> {
    if sql.len() > MAX_SQL {
        return Err(GateError::TooLarge { actual: sql.len(), limit: MAX_SQL });
    }
    match sql.find('\0') {
        Some(position) => Err(nul(Some(position))),
        None => Ok(()),
    }
}

/// Checks a query by its serialised tree, and rewrites it to run for this caller.
///
/// `sql` is the text `serialized` was made from; it is only read to explain a refusal. Without `given` its parameters stay
/// as they are, and have no values.
///
/// # Errors
/// Why it doesn't run.
pub(crate) fn check(
    sql: &str,
    serialized: &str,
    names: &dyn Names,
    given: Option<&Parameters>,
) -> Result<Checked, GateError> {
    admit(sql)?;
    inspect(sql, serialized, names, MAX_DEPTH, given)
}

fn inspect(
    sql: &str,
    serialized: &str,
    names: &dyn Names,
    max_depth: usize,
    given: Option<&Parameters>,
) -> Result<Checked, GateError> {
    let mut tree = parse(sql, serialized, max_depth)?;
    if tree.get("error") != Some(&Json::Bool(false)) {
        return Err(parser_error(sql, &tree));
    }
    let Some(Json::Array(statements)) = member(&mut tree, "statements") else {
        return Err(walk::malformed());
    };
    let mut walk = Walk::new(names);
    match statements.as_mut_slice() {
        [] => {
            return Err(GateError::Syntax { message: "there is no statement to run".into(), position: None });
        }
        [statement] => walk.statement(statement)?,
        _ => return Err(GateError::MultipleStatements),
    }
    if !walk.qualifiers.is_empty() {
        columns::requalify(&mut tree, &walk.qualifiers);
    }
    scan::verify(&tree, &walk)?;
    // What this adds, the walk sees when the printed text is confirmed.
    let values = match given {
        Some(given) => parameters::place(&mut tree, &walk.parameters, given)?,
        None => Vec::new(),
    };
    Ok(Checked {
        statement_json: tree.write(),
        tables: walk.tables,
        files: walk.files,
        deterministic: walk.deterministic,
        cost: walk.cost,
        // Ten columns are a view's part of the cost where it is named once; each * over it adds them again.
        views: if walk.views == 0 {
            0
        } else if walk.reuses {
            walk.cost
        } else {
            walk.views.max(walk.cost / 10)
        },
        parameters: walk.parameters,
        values,
    })
}

/// Checks the text that will run, by its serialised tree, against what [`check`] found.
///
/// # Errors
/// Why it isn't the statement that was checked. It then must not run.
pub(crate) fn confirm(text: &str, serialized: &str, checked: &Checked) -> Result<(), GateError> {
    // Its size isn't measured again: names are full and parentheses explicit now.
    let again = match inspect(text, serialized, &Only(checked), PRINTED_DEPTH, None) {
        Err(GateError::Syntax { .. }) => Err(unfaithful()),
        other => other,
    }?;
    let names =
        again.tables.len() == checked.tables.len() && again.tables.iter().all(|table| checked.tables.contains(table));
    let ours = parse(text, &checked.statement_json, PRINTED_DEPTH)?;
    let printed = parse(text, serialized, PRINTED_DEPTH)?;
    if names && same::same(ours, printed) { Ok(()) } else { Err(unfaithful()) }
}

/// The engine would run something else than was checked.
fn unfaithful() -> GateError {
    GateError::unsupported(
        "this way of writing the query",
        "it cannot be run exactly as written; use plain names for aliases and a subquery instead of nested joins",
    )
}

/// The names of a statement that was already rewritten: full ones, and no others.
struct Only<'t>(&'t Checked);

impl Names for Only<'_> {
    fn answered(&self, catalog: &str, schema: &str, table: &str) -> bool {
        self.0.tables.iter().any(|known| known.catalog == catalog && known.schema == schema && known.table == table)
    }

    fn located(&self, location: &str) -> bool {
        self.0.files.iter().any(|known| known == location)
    }

    fn table(&self, catalog: Option<&str>, schema: Option<&str>, table: &str) -> Result<ResolvedTable, NameError> {
        self.0
            .tables
            .iter()
            .find(|known| catalog == Some(&*known.catalog) && schema == Some(&*known.schema) && table == known.table)
            .map(|known| ResolvedTable { linked: None, ..known.clone() })
            .ok_or(NameError::Unknown { candidates: Vec::new() })
    }
}

fn parse<'a>(sql: &str, serialized: &'a str, max_depth: usize) -> Result<Json<'a>, GateError> {
    if serialized.len() > MAX_TREE {
        return Err(GateError::TooLarge { actual: sql.len(), limit: MAX_SQL });
    }
    Json::parse(serialized, max_depth).map_err(|error| match error {
        JsonError::TooDeep => too_deep(),
        JsonError::Nul => nul(None),
        // The one thing the engine writes that isn't JSON: a number beyond its largest.
        JsonError::Malformed if serialized.contains("Infinity") || serialized.contains("NaN") => {
            GateError::unsupported("a number beyond the range of DOUBLE", "write 'inf'::DOUBLE")
        }
        JsonError::Malformed => walk::malformed(),
    })
}

fn member<'j, 'a>(tree: &'j mut Json<'a>, key: &str) -> Option<&'j mut Json<'a>> {
    match tree {
        Json::Object(members) => members.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value),
        _ => None,
    }
}

/// What the engine's parser said, in our terms.
fn parser_error(sql: &str, tree: &Json<'_>) -> GateError {
    let message = tree.get("error_message").and_then(Json::as_str).unwrap_or("the statement cannot be read");
    let position = tree.get("position").and_then(Json::as_str).and_then(|position| position.parse::<usize>().ok());
    if message.starts_with("Only SELECT statements") {
        return classify::classify(sql).unwrap_or_else(|| {
            GateError::unsupported("this statement", "send a query: SELECT, FROM, WITH, VALUES, DESCRIBE or SUMMARIZE")
        });
    }
    if message.starts_with("Max expression depth limit") || message.starts_with("memory exhausted") {
        return too_deep();
    }
    match classify::classify(sql) {
        // Even with a slip in it nobody may run it.
        Some(error) if error.is_forbidden() => error,
        _ => GateError::Syntax { message: message.to_owned(), position },
    }
}

fn too_deep() -> GateError {
    GateError::TooDeep { what: "split it, or name its parts in a WITH clause".into() }
}

fn nul(position: Option<usize>) -> GateError {
    GateError::Syntax { message: "the statement holds a NUL character".into(), position }
}
