//! `ALTER TABLE` and `COMMENT ON`.

use crate::gate::error::GateError;

use super::ast::{Change, Name, Statement};
use super::create::{column, data_type, items, literal, primary_key};
use super::cursor::Cursor;

const FORM: &str = "write ALTER TABLE [IF EXISTS] table and one change: ADD COLUMN …, DROP COLUMN …, RENAME …, \
                    ALTER COLUMN … TYPE | SET | DROP …, ADD PRIMARY KEY (…), DROP PRIMARY KEY, SET PARTITIONED BY (…)";

pub(super) fn read(cursor: &mut Cursor<'_, '_>) -> Result<Statement, GateError> {
    cursor.form(FORM);
    cursor.expect("TABLE")?;
    let if_exists = cursor.eat_all("IF EXISTS");
    let name = cursor.name()?;
    let first = cursor.within(cursor.at..cursor.end()).item();
    if first.is_some_and(|item| item.end() < cursor.end()) {
        return Err(GateError::unsupported(
            "several changes in one ALTER TABLE",
            "send each in a statement of its own",
        ));
    }
    let change = match () {
        () if cursor.eat("ADD") => add(cursor),
        () if cursor.eat("DROP") => drop(cursor),
        () if cursor.eat("RENAME") => rename(cursor),
        () if cursor.eat("ALTER") => alter_column(cursor),
        () if cursor.eat_all("SET PARTITIONED BY") => Ok(Change::PartitionBy { parts: items(cursor)? }),
        () if cursor.eat_all("RESET PARTITIONED BY") => Ok(Change::PartitionBy { parts: Vec::new() }),
        () if cursor.eat_all("SET SORTED BY") => Ok(Change::SortBy { keys: items(cursor)? }),
        () if cursor.eat_all("RESET SORTED BY") => Ok(Change::SortBy { keys: Vec::new() }),
        () => Err(cursor.stuck()),
    }?;
    Ok(Statement::Alter { name, if_exists, change })
}

fn add(cursor: &mut Cursor<'_, '_>) -> Result<Change, GateError> {
    let at = cursor.at;
    if let Some(columns) = primary_key(cursor)? {
        return Ok(Change::AddPrimaryKey { columns });
    }
    let explicit = cursor.eat("COLUMN");
    if !explicit && ["CHECK", "UNIQUE", "FOREIGN"].iter().any(|word| cursor.is_at(word)) {
        return Err(cursor.stuck());
    }
    let if_not_exists = cursor.eat_all("IF NOT EXISTS");
    let (column, is_key) = column(cursor)?;
    if is_key {
        return Err(cursor.within(at..cursor.at).refuse("add the column, then ADD PRIMARY KEY (column, …)"));
    }
    Ok(Change::AddColumn { column, if_not_exists })
}

fn drop(cursor: &mut Cursor<'_, '_>) -> Result<Change, GateError> {
    if cursor.eat_all("PRIMARY KEY") {
        return Ok(Change::DropPrimaryKey);
    }
    if cursor.is_at("CONSTRAINT") {
        return Err(cursor.refuse("constraints have no names here; write DROP PRIMARY KEY or ALTER … DROP NOT NULL"));
    }
    cursor.eat("COLUMN");
    let if_exists = cursor.eat_all("IF EXISTS");
    let column = whole_column(cursor)?;
    cursor.eat("RESTRICT");
    Ok(Change::DropColumn { column, if_exists })
}

fn rename(cursor: &mut Cursor<'_, '_>) -> Result<Change, GateError> {
    if cursor.eat("TO") {
        return Ok(Change::RenameTable { to: cursor.identifier()? });
    }
    cursor.eat("COLUMN");
    let column = whole_column(cursor)?;
    cursor.expect("TO")?;
    Ok(Change::RenameColumn { column, to: cursor.identifier()? })
}

fn whole_column(cursor: &mut Cursor<'_, '_>) -> Result<String, GateError> {
    let column = cursor.identifier()?;
    if cursor.sign(".") { Err(cursor.refuse("change whole columns, not the fields of one")) } else { Ok(column) }
}

fn alter_column(cursor: &mut Cursor<'_, '_>) -> Result<Change, GateError> {
    cursor.eat("COLUMN");
    let column = whole_column(cursor)?;
    if cursor.eat_all("SET NOT NULL") {
        return Ok(Change::SetNotNull { column });
    }
    if cursor.eat_all("DROP NOT NULL") {
        return Ok(Change::DropNotNull { column });
    }
    if cursor.eat_all("SET DEFAULT") {
        return Ok(Change::SetDefault { column, default: literal(cursor)? });
    }
    if cursor.eat_all("DROP DEFAULT") {
        return Ok(Change::DropDefault { column });
    }
    if cursor.eat_all("SET DATA TYPE") || cursor.eat_all("SET TYPE") || cursor.eat("TYPE") {
        let data_type = data_type(cursor)?;
        if cursor.is_at("USING") {
            return Err(cursor.refuse("change the type alone, and the values with UPDATE"));
        }
        return Ok(Change::SetType { column, data_type });
    }
    Err(cursor.stuck())
}

/// `COMMENT ON TABLE table IS 'text'`, `COMMENT ON COLUMN table.column IS NULL`.
pub(super) fn comment(cursor: &mut Cursor<'_, '_>) -> Result<Statement, GateError> {
    cursor.form("write COMMENT ON TABLE table IS 'text', or COMMENT ON COLUMN table.column IS 'text'");
    cursor.expect("ON")?;
    if cursor.eat("TABLE") {
        let name = cursor.name()?;
        return Ok(Statement::CommentOnTable { name, comment: text(cursor)? });
    }
    cursor.expect("COLUMN")?;
    let mut parts = cursor.dotted(4)?;
    let column = parts.pop().ok_or_else(|| cursor.stuck())?;
    let table = parts.pop().ok_or_else(|| cursor.refuse("name the column's table: table.column"))?;
    let schema = parts.pop();
    let name = Name { catalog: parts.pop(), schema, table };
    Ok(Statement::CommentOnColumn { name, column, comment: text(cursor)? })
}

fn text(cursor: &mut Cursor<'_, '_>) -> Result<Option<String>, GateError> {
    cursor.expect("IS")?;
    if cursor.eat("NULL") { Ok(None) } else { cursor.string().map(Some) }
}
