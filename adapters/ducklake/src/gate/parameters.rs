//! Puts the values of lists and objects into a statement: `?` becomes `list_value($gw0_0, $gw0_1)`.
//!
//! The engine's driver binds no lists and structs. Pasted as constants their values would be text that the engine reads;
//! so only their shape becomes a part of the statement, made of two functions in the checked tree, and each value in them
//! is bound by itself. The engine then finds the type of a list's elements as it does for `[1, 2.5]`.

use std::collections::HashMap;

use gadwall_domain::query::Parameters;
use serde_json::Value;

use super::error::GateError;
use super::json::{Json, get, set, text_of};
use super::tokens::{Kind, Tokens};

/// Most values that are bound to one statement.
const MAX_VALUES: usize = 10_000;

/// How deep lists and objects may be in each other.
const MAX_NESTING: usize = 16;

const JSON_TEXT: &str = "send it as JSON text and read it with ::JSON";

/// A value with the name under which it is bound.
pub(crate) type NamedValue = (String, Value);

/// Gives the parameters of a checked tree their values, and answers what is left to bind.
///
/// Names are made anew where they have to be: numbers must be all from 1 on for the engine, but a part of a statement may
/// hold `$4` alone.
pub(super) fn place(tree: &mut Json<'_>, names: &[String], given: &Parameters) -> Result<Vec<NamedValue>, GateError> {
    if let Some(values) = plain(names, given)? {
        return Ok(values);
    }
    let found: Vec<&Value> = names.iter().map(|name| value_of(name, given)).collect::<Result<_, _>>()?;
    let nested = found.iter().any(|value| is_nested(value));
    let renamed = nested && is_number(&names[0]) || !in_order(names);
    let mut maker = Maker { prefix: free_prefix(names), values: Vec::new() };
    let mut nodes = HashMap::new();
    for (place, (name, value)) in names.iter().zip(found).enumerate() {
        if is_nested(value) || renamed {
            let before = maker.values.len();
            let own = format!("{}{place}", maker.prefix);
            let node = maker.node(&own, name, value, MAX_NESTING)?;
            nodes.insert(name.to_ascii_lowercase(), (node, maker.values.len() - before));
        } else {
            maker.values.push((name.clone(), value.clone()));
        }
    }
    let mut left = MAX_VALUES;
    replace(tree, &nodes, &mut left)?;
    Ok(maker.values)
}

/// The values to bind to a tree that stays as it is; none where it has to be changed for them.
///
/// # Errors
/// [`GateError::Syntax`] if one is missing.
pub(crate) fn plain(names: &[String], given: &Parameters) -> Result<Option<Vec<NamedValue>>, GateError> {
    if names.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let found: Vec<&Value> = names.iter().map(|name| value_of(name, given)).collect::<Result<_, _>>()?;
    if !in_order(names) || found.iter().any(|value| is_nested(value)) {
        return Ok(None);
    }
    Ok(Some(names.iter().cloned().zip(found.into_iter().cloned()).collect()))
}

/// Refuses values that no place of a statement takes. A name that it doesn't use is none of its business.
///
/// # Errors
/// [`GateError::Syntax`] with both numbers.
pub(crate) fn refuse_surplus(sql: &str, given: &Parameters) -> Result<(), GateError> {
    let Parameters::Positional(values) = given else { return Ok(()) };
    let (mut placeholders, mut largest) = (0, 0);
    for token in Tokens::new(sql) {
        match token.kind {
            Kind::Placeholder => placeholders += 1,
            Kind::Parameter => match token.text.get(1..).and_then(|name| name.parse().ok()) {
                Some(number) => largest = largest.max(number),
                // What has a name takes no value by its place.
                None => return Ok(()),
            },
            _ => {}
        }
    }
    let wanted = usize::max(placeholders, largest);
    if values.len() <= wanted {
        return Ok(());
    }
    let message = format!("the statement has {wanted} parameters, but {} values were given", values.len());
    Err(GateError::Syntax { message, position: None })
}

fn value_of<'v>(name: &str, given: &'v Parameters) -> Result<&'v Value, GateError> {
    let found = match given {
        Parameters::None => None,
        Parameters::Positional(values) => {
            let number = name.parse::<usize>().ok();
            if number.is_none() && !values.is_empty() {
                let message = format!("the parameter ${name} has a name: give the values as an object");
                return Err(GateError::Syntax { message, position: None });
            }
            number.and_then(|number| values.get(number.checked_sub(1)?))
        }
        Parameters::Named(values) => {
            values.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        }
    };
    let missing =
        || GateError::Syntax { message: format!("no value was given for the parameter ${name}"), position: None };
    found.ok_or_else(missing)
}

fn is_nested(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

fn is_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the engine takes them: names, or the numbers from 1 on.
fn in_order(names: &[String]) -> bool {
    names.iter().all(|name| name.parse::<usize>().map_or(!is_number(name), |number| number <= names.len()))
}

/// What no parameter of the statement begins with.
fn free_prefix(names: &[String]) -> String {
    let mut prefix = "gw".to_owned();
    while names.iter().any(|name| name.to_ascii_lowercase().starts_with(&prefix)) {
        prefix.push('_');
    }
    prefix
}

/// Makes nodes for values, and names for what is bound.
struct Maker {
    prefix: String,
    values: Vec<NamedValue>,
}

impl Maker {
    fn node(&mut self, own: &str, name: &str, value: &Value, depth: usize) -> Result<Json<'static>, GateError> {
        let refuse = |what: &str| Err(GateError::unsupported(format!("{what} as the parameter ${name}"), JSON_TEXT));
        let (function, children) = match value {
            Value::Array(_) | Value::Object(_) if depth == 0 => {
                return refuse(&format!("a value of more than {MAX_NESTING} lists and objects in each other"));
            }
            Value::Array(items) => {
                let node = |item| self.node(own, name, item, depth - 1);
                ("list_value", items.iter().map(node).collect::<Result<Vec<_>, _>>()?)
            }
            Value::Object(members) if members.is_empty() => return refuse("an object without members"),
            Value::Object(members) => {
                let mut children = Vec::with_capacity(members.len());
                for (key, member) in members {
                    if key.is_empty() || key.contains('\0') {
                        return refuse("an object with a member without a name");
                    }
                    let mut child = self.node(own, name, member, depth - 1)?;
                    alias(&mut child, key);
                    children.push(child);
                }
                ("struct_pack", children)
            }
            scalar => {
                if self.values.len() >= MAX_VALUES {
                    return Err(too_many());
                }
                let bound = format!("{own}_{}", self.values.len());
                self.values.push((bound.clone(), scalar.clone()));
                return Ok(Json::Object(vec![
                    ("class".into(), Json::text("PARAMETER")),
                    ("type".into(), Json::text("VALUE_PARAMETER")),
                    ("alias".into(), Json::text("")),
                    ("identifier".into(), Json::text(bound)),
                ]));
            }
        };
        Ok(call(function, children))
    }
}

fn too_many() -> GateError {
    let what = format!("more than {MAX_VALUES} values for the parameters of a statement");
    GateError::unsupported(what, "load them into a table, or send them as JSON text and read it with ::JSON")
}

fn call(function: &'static str, children: Vec<Json<'static>>) -> Json<'static> {
    let order = vec![("type".into(), Json::text("ORDER_MODIFIER")), ("orders".into(), Json::Array(Vec::new()))];
    Json::Object(vec![
        ("class".into(), Json::text("FUNCTION")),
        ("type".into(), Json::text("FUNCTION")),
        ("alias".into(), Json::text("")),
        ("function_name".into(), Json::text(function)),
        ("schema".into(), Json::text("")),
        ("children".into(), Json::Array(children)),
        ("filter".into(), Json::Null),
        ("order_bys".into(), Json::Object(order)),
        ("distinct".into(), Json::Bool(false)),
        ("is_operator".into(), Json::Bool(false)),
        ("export_state".into(), Json::Bool(false)),
        ("catalog".into(), Json::text("")),
    ])
}

fn alias(node: &mut Json<'_>, name: &str) {
    if let Json::Object(members) = node {
        set(members, "alias", Json::text(name.to_owned()));
    }
}

type Nodes = HashMap<String, (Json<'static>, usize)>;

/// Puts nodes where their parameters stand. They keep the names that the parameters had there.
fn replace(tree: &mut Json<'_>, nodes: &Nodes, left: &mut usize) -> Result<(), GateError> {
    match tree {
        Json::Array(items) => items.iter_mut().try_for_each(|item| replace(item, nodes, left)),
        Json::Object(members) if text_of(members, "class") == "PARAMETER" => {
            let Some((node, values)) = nodes.get(&text_of(members, "identifier").to_ascii_lowercase()) else {
                return Ok(());
            };
            *left = left.checked_sub(*values).ok_or_else(too_many)?;
            let name = text_of(members, "alias").to_owned();
            *tree = node.clone();
            alias(tree, &name);
            Ok(())
        }
        Json::Object(members) => {
            for (key, value) in members {
                if key == "select_list" {
                    name_columns(value);
                }
                replace(value, nodes, left)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The engine names a column that is a parameter after it.
fn name_columns(list: &mut Json<'_>) {
    let Json::Array(items) = list else { return };
    for item in items {
        if let Json::Object(members) = item
            && text_of(members, "class") == "PARAMETER"
            && get(members, "alias").and_then(Json::as_str).is_none_or(str::is_empty)
        {
            let name = format!("${}", text_of(members, "identifier"));
            alias(item, &name);
        }
    }
}
