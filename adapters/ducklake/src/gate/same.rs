//! Whether two trees are the same statement: the one that was checked, and the one its printed text parses to.
//!
//! The engine prints a tree as SQL and parses it again before it runs. Its printer has faults (a name without quotes,
//! a join without parentheses), so a text may mean something else than its tree. The walk avoids the faults we know;
//! this refuses what they or others would change. Only differences that cannot change an answer are looked over: where
//! a node stood in the text, how `true` is written, the order of sets, and a VALUES list that got a pair of parentheses.

use super::json::{Json, Members, get, set, text_of};

/// Lists whose order means nothing.
const SETS: [&str; 4] = ["exclude_list", "qualified_exclude_list", "rename_list", "replace_list"];

/// The alias the parser gives to a VALUES list without one.
const VALUES: &str = "valueslist";

/// Whether the printed tree parses to the checked one.
pub(super) fn same(checked: Json<'_>, printed: Json<'_>) -> bool {
    canonical(checked, true) == canonical(printed, false)
}

/// A tree without what may differ. `ours` is the tree we rewrote, where names were put into quotes for the printer.
///
/// Written with plain loops: without optimisation an iterator chain takes ten times the stack, for each level.
fn canonical(value: Json<'_>, ours: bool) -> Json<'_> {
    match value {
        Json::Array(mut items) => {
            for item in &mut items {
                *item = canonical(std::mem::replace(item, Json::Null), ours);
            }
            Json::Array(items)
        }
        Json::Object(members) => object(members, ours),
        scalar => scalar,
    }
}

fn object(mut members: Members<'_>, ours: bool) -> Json<'_> {
    // A parameter has its value by its name, in whatever order the parser met it.
    members.retain(|(key, _)| key != "query_location" && key != "is_implicit" && key != "named_param_map");
    for (key, value) in &mut members {
        *value = canonical(std::mem::replace(value, Json::Null), ours);
        if SETS.contains(&&**key)
            && let Json::Array(items) = value
        {
            items.sort_by_cached_key(Json::write);
        }
    }
    members.sort_by(|left, right| left.0.cmp(&right.0));
    if let Some(truth) = boolean(&members) {
        let alias = Json::text(text_of(&members, "alias").to_owned());
        return Json::Object(vec![("alias".into(), alias), ("boolean".into(), Json::Bool(truth))]);
    }
    if ours && text_of(&members, "class") == "STAR" {
        let name = unquoted(text_of(&members, "relation_name"));
        set(&mut members, "relation_name", Json::text(name));
    }
    if text_of(&members, "type") == "EXPRESSION_LIST" && text_of(&members, "alias") == VALUES {
        set(&mut members, "alias", Json::text(""));
    }
    grouping(&mut members);
    values_list(members)
}

/// The truth value, if the node is one, as a constant or as a cast of `t` or `f`.
fn boolean(members: &Members<'_>) -> Option<bool> {
    match text_of(members, "class") {
        "CONSTANT" => match held(get(members, "value")?, "BOOLEAN")? {
            Json::Bool(truth) => Some(*truth),
            _ => None,
        },
        "CAST" => {
            let boolean = get(members, "cast_type")?.get("id")?.as_str()? == "BOOLEAN";
            let strict = get(members, "try_cast") == Some(&Json::Bool(false));
            match held(get(members, "child")?.get("value")?, "VARCHAR")?.as_str()? {
                "t" if boolean && strict => Some(true),
                "f" if boolean && strict => Some(false),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What a constant of this type holds.
fn held<'j, 'a>(constant: &'j Json<'a>, id: &str) -> Option<&'j Json<'a>> {
    (constant.get("type")?.get("id")?.as_str()? == id).then(|| constant.get("value"))?
}

/// Takes one pair of quotes off, as [`quoted`] put them on.
fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

/// A name in quotes, for the places where the engine prints a name as it is.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Grouping sets name their expressions by number, and the printer counts anew.
fn grouping(members: &mut Members<'_>) {
    let (Some(Json::Array(expressions)), Some(Json::Array(sets))) =
        (get(members, "group_expressions"), get(members, "group_sets"))
    else {
        return;
    };
    let written: Vec<String> = expressions.iter().map(Json::write).collect();
    let mut named: Vec<String> = sets
        .iter()
        .map(|set| {
            let Json::Array(numbers) = set else {
                return String::new();
            };
            let mut names: Vec<&str> = numbers
                .iter()
                .filter_map(|number| match number {
                    Json::Number(number) => {
                        number.parse::<usize>().ok().and_then(|index| written.get(index)).map(String::as_str)
                    }
                    _ => None,
                })
                .collect();
            names.sort_unstable();
            names.join(",")
        })
        .collect();
    named.sort_unstable();
    set(members, "group_expressions", Json::Null);
    set(members, "group_sets", Json::Array(named.into_iter().map(Json::text).collect()));
}

/// `(SELECT * FROM (VALUES …)) AS v` is the list itself, called `v`.
fn values_list(members: Members<'_>) -> Json<'_> {
    if text_of(&members, "type") != "SUBQUERY" || get(&members, "sample") != Some(&Json::Null) {
        return Json::Object(members);
    }
    let Some(list) = get(&members, "subquery").and_then(|select| select.get("node")).and_then(bare_list) else {
        return Json::Object(members);
    };
    let Json::Object(mut list) = list.clone() else {
        return Json::Object(members);
    };
    let alias = match text_of(&members, "alias") {
        VALUES => "",
        alias => alias,
    };
    set(&mut list, "alias", Json::text(alias.to_owned()));
    if let Some(Json::Array(columns)) = get(&members, "column_name_alias")
        && !columns.is_empty()
    {
        set(&mut list, "expected_names", Json::Array(columns.clone()));
    }
    Json::Object(list)
}

/// The VALUES list of a query that is nothing but a SELECT of all its columns.
fn bare_list<'j, 'a>(node: &'j Json<'a>) -> Option<&'j Json<'a>> {
    let empty = |value: Option<&Json<'_>>| match value {
        None | Some(Json::Null) => true,
        Some(Json::Array(items)) => items.is_empty(),
        _ => false,
    };
    let list = node.get("from_table")?;
    let Json::Array(columns) = node.get("select_list")? else {
        return None;
    };
    let [column] = columns.as_slice() else {
        return None;
    };
    let star = column.get("class")?.as_str()? == "STAR"
        && ["relation_name", "alias"].iter().all(|part| column.get(part).and_then(Json::as_str) == Some(""))
        && ["exclude_list", "replace_list", "qualified_exclude_list", "rename_list", "expr"]
            .iter()
            .all(|part| empty(column.get(part)))
        && column.get("columns") == Some(&Json::Bool(false));
    let bare = ["modifiers", "where_clause", "group_sets", "having", "qualify", "sample"]
        .iter()
        .all(|part| empty(node.get(part)))
        && empty(node.get("cte_map")?.get("map"))
        && node.get("aggregate_handling")?.as_str()? == "STANDARD_HANDLING"
        && empty(list.get("sample"));
    (star && bare && list.get("type")?.as_str()? == "EXPRESSION_LIST").then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(checked: &str, printed: &str) -> bool {
        same(Json::parse(checked, 20).unwrap(), Json::parse(printed, 20).unwrap())
    }

    #[test]
    fn only_what_changes_no_answer_is_looked_over() {
        assert!(agree(r#"{"a":1,"query_location":3}"#, r#"{"query_location":4,"a":1}"#));
        assert!(agree(r#"{"exclude_list":["a","b"]}"#, r#"{"exclude_list":["b","a"]}"#));
        assert!(!agree(r#"{"select_list":["a","b"]}"#, r#"{"select_list":["b","a"]}"#));
        assert!(!agree(r#"{"a":1}"#, r#"{"a":2}"#));
        assert!(!agree(r#"{"a":1}"#, r#"{"a":1,"b":1}"#));
        assert!(agree(
            r#"{"group_expressions":["x","y"],"group_sets":[[0],[0,1]]}"#,
            r#"{"group_expressions":["y","x"],"group_sets":[[1,0],[1]]}"#
        ));
        assert!(!agree(
            r#"{"group_expressions":["x","y"],"group_sets":[[0],[0,1]]}"#,
            r#"{"group_expressions":["x","y"],"group_sets":[[1],[0,1]]}"#
        ));
    }

    #[test]
    fn a_quoted_name_is_the_name() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(unquoted(&quoted("a\"b")), "a\"b");
        let star = |name: &str| {
            Json::Object(vec![
                ("class".into(), Json::text("STAR")),
                ("relation_name".into(), Json::text(name.to_owned())),
            ])
        };
        assert!(same(star("\"a b\""), star("a b")));
        assert!(!same(star("\"a b\""), star("\"a b\"")));
    }
}
