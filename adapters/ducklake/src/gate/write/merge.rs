//! `MERGE`.

use crate::gate::error::GateError;

use super::ast::{Action, Branch, Merge, MergeOn, Part, Statement, When};
use super::cursor::Cursor;
use super::parts;
use super::update::assignments;

const FORM: &str = "write MERGE INTO table [AS alias] USING source [AS alias] ON condition \
                    WHEN [NOT] MATCHED [AND condition] THEN UPDATE SET … | DELETE | INSERT (…) VALUES (…) | DO NOTHING";

pub(super) fn read(cursor: &mut Cursor<'_, '_>, with: Option<Part>) -> Result<Statement, GateError> {
    cursor.form(FORM);
    cursor.expect("INTO")?;
    let name = cursor.name()?;
    let alias = cursor.alias(&[])?;
    cursor.expect("USING")?;
    let source = source(cursor)?;
    let on = if cursor.eat("ON") {
        let condition = cursor.until(&["WHEN", "RETURNING"]);
        MergeOn::Condition(parts::expression(cursor, condition)?)
    } else {
        cursor.expect("USING")?;
        MergeOn::Columns(cursor.name_list()?)
    };
    let mut branches = Vec::new();
    while cursor.is_at("WHEN") {
        let branch = branch(cursor)?;
        in_order(&branches, &branch)?;
        branches.push(branch);
    }
    if branches.is_empty() {
        return Err(cursor.stuck());
    }
    let with = with.unwrap_or(Part(String::new()));
    Ok(Statement::Merge(Merge { with, name, alias, source, on, branches }))
}

/// One table or subquery. In a join it wouldn't be certain whose ON comes next.
fn source(cursor: &mut Cursor<'_, '_>) -> Result<Part, GateError> {
    let range = cursor.until(&["ON", "USING", "WHEN", "RETURNING"]);
    let mut inner = cursor.within(range.clone());
    let joined = inner.until(&["JOIN"]).end < range.end;
    let listed = cursor.within(range.clone()).item().is_some_and(|item| item.end() < range.end);
    if joined || listed {
        return Err(inner.refuse("write the source of a MERGE as one subquery: USING (SELECT …) AS source"));
    }
    parts::tables(cursor, range)
}

/// The engine tries a branch without a condition after those of its kind that have one.
fn in_order(before: &[Branch], branch: &Branch) -> Result<(), GateError> {
    if before.iter().rfind(|other| other.when == branch.when).is_some_and(|other| other.condition.is_none()) {
        return Err(GateError::unsupported(
            "a branch of a MERGE behind one of its kind without a condition",
            "write one branch of each kind without a condition, behind the others",
        ));
    }
    Ok(())
}

fn branch(cursor: &mut Cursor<'_, '_>) -> Result<Branch, GateError> {
    cursor.expect("WHEN")?;
    let when = match () {
        () if cursor.eat("MATCHED") => When::Matched,
        () if cursor.eat_all("NOT MATCHED BY SOURCE") => When::NotMatchedBySource,
        () => {
            cursor.expect("NOT MATCHED")?;
            cursor.eat_all("BY TARGET");
            When::NotMatched
        }
    };
    let condition = if cursor.eat("AND") {
        let range = cursor.until(&["THEN"]);
        Some(parts::expression(cursor, range)?)
    } else {
        None
    };
    cursor.expect("THEN")?;
    let verb = cursor.at;
    let action = action(cursor)?;
    let fits = match action {
        Action::Update(_) | Action::Delete => when != When::NotMatched,
        Action::Insert { .. } => when == When::NotMatched,
        Action::DoNothing | Action::Error => true,
    };
    if !fits {
        let hint = "UPDATE and DELETE go with rows that are there, INSERT with WHEN NOT MATCHED";
        return Err(cursor.within(verb..cursor.at).refuse(hint));
    }
    Ok(Branch { when, condition, action })
}

fn action(cursor: &mut Cursor<'_, '_>) -> Result<Action, GateError> {
    if cursor.eat("DELETE") {
        return Ok(Action::Delete);
    }
    if cursor.eat_all("DO NOTHING") {
        return Ok(Action::DoNothing);
    }
    if cursor.eat("ERROR") {
        if cursor.is_done() || cursor.is_at("WHEN") {
            return Ok(Action::Error);
        }
        return Err(cursor.refuse("write ERROR without a message"));
    }
    if cursor.eat_all("UPDATE BY NAME") {
        return Ok(Action::Update(Vec::new()));
    }
    if cursor.eat_all("UPDATE SET") {
        let list = cursor.until(&["WHEN", "RETURNING"]);
        return Ok(Action::Update(assignments(&mut cursor.within(list))?));
    }
    if cursor.is_at("UPDATE") {
        return Err(cursor.refuse("write UPDATE SET column = expression, … or UPDATE BY NAME"));
    }
    cursor.expect("INSERT")?;
    insert(cursor)
}

fn insert(cursor: &mut Cursor<'_, '_>) -> Result<Action, GateError> {
    if cursor.is_group() || cursor.is_at("VALUES") {
        let columns = if cursor.is_group() { cursor.name_list()? } else { Vec::new() };
        cursor.expect("VALUES")?;
        let mut list = cursor.group()?;
        let mut values = Vec::new();
        while let Some(mut item) = list.item() {
            values.push(item.expression()?);
        }
        if values.is_empty() {
            return Err(list.stuck());
        }
        return Ok(Action::Insert { columns, values, by_name: false });
    }
    let by_name = cursor.eat_all("BY NAME");
    if !by_name {
        cursor.eat_all("BY POSITION");
    }
    cursor.sign("*");
    Ok(Action::Insert { columns: Vec::new(), values: Vec::new(), by_name })
}
