//! `CREATE TABLE`, `CREATE VIEW`, `CREATE SCHEMA`.

use crate::gate::error::GateError;
use crate::gate::tokens::Kind;

use super::ast::{ColumnDefinition, CreateTable, CreateView, Part, Statement};
use super::cursor::Cursor;

const TABLE: &str = "write CREATE [OR REPLACE] [TEMP] TABLE [IF NOT EXISTS] table (column type [NOT NULL] \
                     [PRIMARY KEY] [DEFAULT literal], …) [PARTITIONED BY (…)] [SORTED BY (…)], or table AS query";
const VIEW: &str = "write CREATE [OR REPLACE] VIEW [IF NOT EXISTS] view [(column, …)] AS query";
const BUCKET: &str = "write CREATE SCHEMA [IF NOT EXISTS] bucket";

pub(super) fn read(cursor: &mut Cursor<'_, '_>) -> Result<Statement, GateError> {
    cursor
        .form("create tables, views and buckets (CREATE SCHEMA); functions, types, sequences and indexes are not kept");
    let or_replace = cursor.eat_all("OR REPLACE");
    let temporary = cursor.eat("TEMP") || cursor.eat("TEMPORARY");
    if cursor.eat("TABLE") {
        cursor.form(TABLE);
        return table(cursor, or_replace, temporary);
    }
    if !temporary && cursor.eat("VIEW") {
        cursor.form(VIEW);
        return view(cursor, or_replace);
    }
    if !temporary && !or_replace && cursor.eat("SCHEMA") {
        cursor.form(BUCKET);
        let or_ignore = cursor.eat_all("IF NOT EXISTS");
        return Ok(Statement::CreateBucket { name: cursor.identifier()?, or_ignore });
    }
    Err(cursor.stuck())
}

fn view(cursor: &mut Cursor<'_, '_>, or_replace: bool) -> Result<Statement, GateError> {
    let if_not_exists = !or_replace && cursor.eat_all("IF NOT EXISTS");
    let name = cursor.name()?;
    let columns = if cursor.is_group() { cursor.name_list()? } else { Vec::new() };
    cursor.expect("AS")?;
    let query = cursor.query_to_end()?;
    Ok(Statement::CreateView(CreateView { name, or_replace, if_not_exists, columns, query }))
}

fn table(cursor: &mut Cursor<'_, '_>, or_replace: bool, temporary: bool) -> Result<Statement, GateError> {
    let if_not_exists = !or_replace && cursor.eat_all("IF NOT EXISTS");
    let mut made = CreateTable {
        name: cursor.name()?,
        temporary,
        or_replace,
        if_not_exists,
        columns: Vec::new(),
        primary_key: Vec::new(),
        partitioned_by: Vec::new(),
        sorted_by: Vec::new(),
        query: None,
        no_data: false,
    };
    let start = cursor.at;
    let list = if cursor.is_group() { Some(cursor.group()?) } else { None };
    let named = cursor.within(start..cursor.at).try_name_list();
    loop {
        let layout = match () {
            () if cursor.eat_all("PARTITIONED BY") => &mut made.partitioned_by,
            () if cursor.eat_all("SORTED BY") => &mut made.sorted_by,
            () => break,
        };
        if !layout.is_empty() {
            return Err(cursor.refuse("write PARTITIONED BY and SORTED BY once each"));
        }
        *layout = items(cursor)?;
    }
    if cursor.is_at("AS") && (list.is_none() || named.is_some()) {
        cursor.eat("AS");
        let of_query = |name| ColumnDefinition { name, data_type: String::new(), not_null: false, default: None };
        made.columns = named.into_iter().flatten().map(of_query).collect();
        (made.query, made.no_data) = filled(cursor)?;
    } else {
        let mut list = list.ok_or_else(|| cursor.stuck())?;
        elements(&mut list, &mut made)?;
    }
    Ok(Statement::CreateTable(made))
}

/// `query [WITH [NO] DATA]`.
fn filled(cursor: &mut Cursor<'_, '_>) -> Result<(Option<Part>, bool), GateError> {
    let (start, end) = (cursor.at, cursor.end());
    let ends_with = |phrase: &str| {
        let length = phrase.split(' ').count();
        let at = end.checked_sub(length).filter(|at| *at > start)?;
        (cursor.source.is_keyword(at) && cursor.within(at..end).eat_all(phrase)).then_some(at)
    };
    let no_data = ends_with("WITH NO DATA");
    let query = start..no_data.or_else(|| ends_with("WITH DATA")).unwrap_or(end);
    let part = cursor.within(query).query_to_end()?;
    cursor.at = end;
    Ok((Some(part), no_data.is_some()))
}

/// What stands between the commas in parentheses: at least one thing.
pub(super) fn items(cursor: &mut Cursor<'_, '_>) -> Result<Vec<String>, GateError> {
    let mut list = cursor.group()?;
    let mut found = Vec::new();
    while let Some(item) = list.item() {
        if item.is_done() {
            return Err(item.stuck());
        }
        found.push(item.source.plain(item.at, item.end()));
    }
    if found.is_empty() { Err(list.stuck()) } else { Ok(found) }
}

/// Columns and keys of a table.
fn elements(list: &mut Cursor<'_, '_>, made: &mut CreateTable) -> Result<(), GateError> {
    while let Some(mut item) = list.item() {
        if let Some(columns) = primary_key(&mut item)? {
            set_key(&item, made, columns)?;
            continue;
        }
        if ["CHECK", "UNIQUE", "FOREIGN", "LIKE"].iter().any(|word| item.is_at(word)) {
            return Err(item.stuck());
        }
        let (column, is_key) = column(&mut item)?;
        if is_key {
            set_key(&item, made, vec![column.name.clone()])?;
        }
        made.columns.push(column);
    }
    if made.columns.is_empty() { Err(list.stuck()) } else { Ok(()) }
}

fn set_key(cursor: &Cursor<'_, '_>, made: &mut CreateTable, columns: Vec<String>) -> Result<(), GateError> {
    if !made.primary_key.is_empty() {
        return Err(cursor.refuse("a table has one primary key: write PRIMARY KEY (column, …)"));
    }
    made.primary_key = columns;
    Ok(())
}

/// `[CONSTRAINT name] PRIMARY KEY (column, …)`. Keys keep no names.
pub(super) fn primary_key(item: &mut Cursor<'_, '_>) -> Result<Option<Vec<String>>, GateError> {
    if item.eat("CONSTRAINT") {
        item.identifier()?;
        if !item.is_at("PRIMARY") {
            return Err(item.refuse("of constraints, tables have PRIMARY KEY and NOT NULL"));
        }
    }
    if !item.eat("PRIMARY") {
        return Ok(None);
    }
    item.expect("KEY")?;
    let mut list = item.group()?;
    let mut columns = Vec::new();
    while let Some(mut column) = list.item() {
        columns.push(column.identifier()?);
        column.finish()?;
    }
    item.finish()?;
    if columns.is_empty() { Err(list.stuck()) } else { Ok(Some(columns)) }
}

/// `name type [NOT NULL] [PRIMARY KEY] [DEFAULT literal]`, to the end; and whether it is the key.
pub(super) fn column(item: &mut Cursor<'_, '_>) -> Result<(ColumnDefinition, bool), GateError> {
    let name = item.identifier()?;
    let mut column = ColumnDefinition { name, data_type: data_type(item)?, not_null: false, default: None };
    let mut is_key = false;
    let mut may_be_null = false;
    while !item.is_done() {
        match () {
            () if item.eat_all("NOT NULL") => column.not_null = true,
            () if item.eat("NULL") => may_be_null = true,
            () if !is_key && item.eat_all("PRIMARY KEY") => is_key = true,
            () if column.default.is_none() && item.eat("DEFAULT") => column.default = Some(literal(item)?),
            () => return Err(item.refuse("of constraints, columns have NOT NULL, PRIMARY KEY and DEFAULT literal")),
        }
    }
    if may_be_null && (column.not_null || is_key) {
        return Err(item.refuse("a column is either NULL or NOT NULL"));
    }
    Ok((column, is_key))
}

/// A type's text, in one line: a name, its lengths or fields, a time zone, brackets of lists.
pub(super) fn data_type(item: &mut Cursor<'_, '_>) -> Result<String, GateError> {
    const HINT: &str = "write the column's type behind its name, with lengths and fields in parentheses";
    let start = item.at;
    let two = ["DOUBLE PRECISION", "CHARACTER VARYING", "CHAR VARYING"];
    if !two.iter().any(|words| item.eat_all(words)) {
        item.type_name()?;
    }
    if item.is_group() {
        item.group()?;
    }
    if !item.eat_all("WITH TIME ZONE") {
        item.eat_all("WITHOUT TIME ZONE");
    }
    loop {
        let list = item.eat("ARRAY");
        if item.peek().is_some_and(|token| token.text == "[") {
            item.at = item.source.behind(item.at);
        } else if !list {
            break;
        }
    }
    let known = |kind: Kind| match kind {
        // Strings are the values of an ENUM.
        Kind::Word | Kind::Quoted | Kind::Dot | Kind::Comma | Kind::Number | Kind::Text | Kind::Open | Kind::Close => {
            true
        }
        Kind::Placeholder | Kind::Parameter | Kind::End | Kind::Operator | Kind::Bad(_) => false,
    };
    match (start..item.at).find(|at| !known(item.source.tokens[*at].kind)) {
        Some(at) => Err(item.within(at..item.at).refuse(HINT)),
        None => Ok(item.source.plain(start, item.at)),
    }
}

/// A number, a string, TRUE, FALSE or NULL.
pub(super) fn literal(item: &mut Cursor<'_, '_>) -> Result<String, GateError> {
    const HINT: &str = "a default is a literal: a number, 'text', TRUE, FALSE or NULL";
    let start = item.at;
    let sign = if item.sign("-") { "-" } else { "" };
    let signed = sign == "-" || item.sign("+");
    let token = item.peek().ok_or_else(|| item.refuse(HINT))?;
    let text = match token.kind {
        Kind::Number => {
            item.at += 1;
            format!("{sign}{}", token.text)
        }
        Kind::Text if !signed => format!("'{}'", item.string()?.replace('\'', "''")),
        Kind::Word if !signed && ["TRUE", "FALSE", "NULL"].iter().any(|word| token.is(word)) => {
            item.at += 1;
            token.text.to_ascii_uppercase()
        }
        _ => return Err(item.within(start..item.end()).refuse(HINT)),
    };
    let ends = ["NOT", "NULL", "PRIMARY"].iter().any(|word| item.is_at(word));
    if item.is_done() || ends { Ok(text) } else { Err(item.refuse(HINT)) }
}
