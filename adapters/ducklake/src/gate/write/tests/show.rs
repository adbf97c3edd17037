//! A statement in one line.

use super::super::*;

fn name(name: &Name) -> String {
    [name.catalog.as_deref(), name.schema.as_deref(), Some(&*name.table)]
        .into_iter()
        .flatten()
        .map(|part| format!("[{part}]"))
        .collect::<Vec<_>>()
        .join(".")
}

fn names(label: &str, names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" {label}({})", names.join("|")) }
}

fn part(label: &str, part: Option<&Part>) -> String {
    part.filter(|part| !part.0.is_empty()).map_or_else(String::new, |part| format!(" {label}<{}>", part.0))
}

fn flag(label: &str, set: bool) -> String {
    if set { format!(" {label}") } else { String::new() }
}

fn alias(alias: Option<&String>) -> String {
    alias.map_or_else(String::new, |alias| format!(" alias[{alias}]"))
}

fn set(set: &[(String, Part)]) -> String {
    set.iter().map(|(column, part)| format!(" {column}=<{}>", part.0)).collect::<Vec<_>>().concat()
}

fn columns(columns: &[ColumnDefinition]) -> String {
    columns
        .iter()
        .map(|column| {
            let default = column.default.as_ref().map_or_else(String::new, |text| format!(" default {text}"));
            format!(" {{{}: {}{}{default}}}", column.name, column.data_type, flag("not null", column.not_null))
        })
        .collect::<Vec<_>>()
        .concat()
}

fn comment(comment: Option<&String>) -> String {
    comment.map_or_else(|| " none".to_owned(), |comment| format!(" {comment:?}"))
}

fn options(options: &[CopyOption]) -> String {
    options
        .iter()
        .map(|option| {
            let value = option.value.as_ref().map_or_else(String::new, |value| format!("={value:?}"));
            format!(" {}{value}{}", option.name, names("", &option.list).trim_start())
        })
        .collect::<Vec<_>>()
        .concat()
}

fn conflict(conflict: &Conflict) -> String {
    match conflict {
        Conflict::Refuse => String::new(),
        Conflict::Ignore { key } => format!(" ignore{}", names("key", key)),
        Conflict::Replace => " replace".to_owned(),
        Conflict::Update { key, set: list, filter } => {
            format!(" update{}{}{}", names("key", key), set(list), part("where", filter.as_ref()))
        }
    }
}

fn branch(branch: &Branch) -> String {
    let action = match &branch.action {
        Action::Update(list) => format!("update{}", set(list)),
        Action::Insert { columns, values, by_name } => {
            let values = values.iter().map(|value| format!(" <{}>", value.0)).collect::<Vec<_>>().concat();
            format!("insert{}{}{values}", names("", columns), flag("by name", *by_name))
        }
        other => format!("{other:?}").to_lowercase(),
    };
    format!(" {:?}{}: {action};", branch.when, part("and", branch.condition.as_ref()))
}

fn change(change: &Change) -> String {
    match change {
        Change::AddColumn { column, if_not_exists } => {
            format!("AddColumn{}{}", flag("if not exists", *if_not_exists), columns(std::slice::from_ref(column)))
        }
        Change::AddPrimaryKey { columns } => format!("AddPrimaryKey{}", names("", columns)),
        Change::PartitionBy { parts } => format!("PartitionBy{}", names("", parts)),
        Change::SortBy { keys } => format!("SortBy{}", names("", keys)),
        other => format!("{other:?}"),
    }
}

/// All that a statement holds.
pub(super) fn show(statement: &Statement) -> String {
    match statement {
        Statement::Read => "read".to_owned(),
        Statement::Explain { analyze, query } => {
            format!("explain{}{}", flag("analyze", *analyze), part("", Some(query)))
        }
        Statement::Insert(insert) => format!(
            "insert {}{}{}{}{}{}",
            name(&insert.name),
            alias(insert.alias.as_ref()),
            names("columns", &insert.columns),
            flag("by name", insert.by_name),
            part("rows", insert.rows.as_ref()),
            conflict(&insert.conflict)
        ),
        Statement::Update(update) => format!(
            "update {}{}{}{}{}{}",
            name(&update.name),
            alias(update.alias.as_ref()),
            part("with", Some(&update.with)),
            set(&update.set),
            part("from", update.from.as_ref()),
            part("where", update.filter.as_ref())
        ),
        Statement::Delete(delete) => format!(
            "delete {}{}{}{}{}",
            name(&delete.name),
            alias(delete.alias.as_ref()),
            part("with", Some(&delete.with)),
            part("using", delete.using.as_ref()),
            part("where", delete.filter.as_ref())
        ),
        Statement::Merge(merge) => {
            let on = match &merge.on {
                MergeOn::Condition(condition) => part("on", Some(condition)),
                MergeOn::Columns(columns) => names("using", columns),
            };
            let branches: String = merge.branches.iter().map(branch).collect();
            format!(
                "merge {}{}{}{}{on}{branches}",
                name(&merge.name),
                alias(merge.alias.as_ref()),
                part("with", Some(&merge.with)),
                part("source", Some(&merge.source))
            )
        }
        other => show_structure(other),
    }
}

fn show_structure(statement: &Statement) -> String {
    match statement {
        Statement::CreateTable(create) => format!(
            "create table {}{}{}{}{}{}{}{}{}{}",
            name(&create.name),
            flag("temp", create.temporary),
            flag("or replace", create.or_replace),
            flag("if not exists", create.if_not_exists),
            columns(&create.columns),
            names("key", &create.primary_key),
            names("partitioned", &create.partitioned_by),
            names("sorted", &create.sorted_by),
            part("as", create.query.as_ref()),
            flag("no data", create.no_data)
        ),
        Statement::CreateView(create) => format!(
            "create view {}{}{}{}{}",
            name(&create.name),
            flag("or replace", create.or_replace),
            flag("if not exists", create.if_not_exists),
            names("columns", &create.columns),
            part("as", Some(&create.query))
        ),
        Statement::CreateBucket { name, or_ignore } => {
            format!("create bucket [{name}]{}", flag("or ignore", *or_ignore))
        }
        Statement::DropTable { name: table, if_exists } => {
            format!("drop table {}{}", name(table), flag("if exists", *if_exists))
        }
        Statement::DropView { name: view, if_exists } => {
            format!("drop view {}{}", name(view), flag("if exists", *if_exists))
        }
        Statement::DropBucket { name, if_exists, cascade } => {
            format!("drop bucket [{name}]{}{}", flag("if exists", *if_exists), flag("cascade", *cascade))
        }
        Statement::Truncate { name: table } => format!("truncate {}", name(table)),
        Statement::Alter { name: table, if_exists, change: what } => {
            format!("alter {}{} {}", name(table), flag("if exists", *if_exists), change(what))
        }
        Statement::CommentOnTable { name: table, comment: text } => {
            format!("comment {}{}", name(table), comment(text.as_ref()))
        }
        Statement::CommentOnColumn { name: table, column, comment: text } => {
            format!("comment {} column [{column}]{}", name(table), comment(text.as_ref()))
        }
        Statement::CopyTo { query, path, options: given } => {
            format!("copy{} to {path:?}{}", part("", Some(query)), options(given))
        }
        Statement::CopyFrom { name: table, columns, path, options: given } => {
            format!("copy {}{} from {path:?}{}", name(table), names("columns", columns), options(given))
        }
        other => format!("{other:?}"),
    }
}
