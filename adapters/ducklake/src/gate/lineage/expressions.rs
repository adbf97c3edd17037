//! Expressions.

use gadwall_domain::lineage::Means;

use super::super::functions;
use super::super::json::Json;
use super::flow::{Flow, Step};
use super::from::FromClause;
use super::{Column, Frame, Lost, Told, Tracer, Value, items, object, text};

/// Of what comes of these nobody tells what went in.
const DIGESTS: [&str; 8] =
    ["hash", "md5", "md5_number", "sha1", "sha256", "md5_number_lower", "md5_number_upper", "crc32"];

/// Functions that take a lambda: elsewhere `->` takes JSON apart.
const WITH_LAMBDAS: [&str; 12] = [
    "apply",
    "array_apply",
    "array_filter",
    "array_reduce",
    "array_transform",
    "filter",
    "list_apply",
    "list_filter",
    "list_reduce",
    "list_transform",
    "reduce",
    "array_aggregate",
];

/// The name of the number of the branch of a MERGE that a row takes, from 1; NULL for none. What a branch gives is no
/// choice between values.
pub(crate) const BRANCH: &str = "__gadwall_branch";

/// What an expression gives.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) value: Value,
    /// Whether there is an aggregate in it.
    pub(super) aggregated: bool,
    /// Whether there is a star in it, which makes many columns of one.
    pub(super) starred: bool,
}

/// What is gathered of an expression's parts.
#[derive(Default)]
struct Parts {
    flow: Flow,
    aggregated: bool,
    starred: bool,
}

impl Parts {
    fn take(&mut self, found: &Found, flow: &Flow) {
        self.flow.add(flow);
        self.aggregated |= found.aggregated;
        self.starred |= found.starred;
    }

    fn done(self) -> Found {
        Found { value: Value::of(self.flow), aggregated: self.aggregated, starred: self.starred }
    }
}

impl Tracer<'_> {
    pub(super) fn expression(&mut self, value: &Json<'_>, frame: &Frame<'_>) -> Told<Found> {
        let transformed = Step::new(Means::Transformation);
        let found = match text(value, "class") {
            "CONSTANT" | "PARAMETER" | "TYPE" | "DEFAULT" => Found::default(),
            "COLUMN_REF" => {
                let names: Vec<&str> = items(value.get("column_names")).iter().filter_map(Json::as_str).collect();
                Found { value: self.column(&names, frame), ..Found::default() }
            }
            "POSITIONAL_REFERENCE" => self.by_place(value, frame),
            "BETWEEN" => self.parts(value, &["input", "lower", "upper"], transformed, frame)?,
            "CAST" | "COLLATE" => self.parts(value, &["child"], transformed, frame)?,
            "COMPARISON" => self.parts(value, &["left", "right"], transformed, frame)?,
            "CONJUNCTION" => self.parts(value, &["children"], transformed, frame)?,
            "OPERATOR" => self.operator(value, frame)?,
            "CASE" => self.case(value, frame)?,
            "FUNCTION" => self.call(value, frame)?,
            "WINDOW" => self.window(value, frame)?,
            "LAMBDA" => self.parts(value, &["lhs", "expr"], transformed, frame)?,
            "STAR" => {
                // COUNT(*) names no column.
                let (columns, _) = self.star(value, frame)?;
                let mut flow = Flow::default();
                for column in &columns {
                    flow.add(&column.value.flow);
                }
                Found { value: Value::of(flow), starred: true, ..Found::default() }
            }
            "SUBQUERY" => self.subquery(value, frame)?,
            _ => return Err(Lost),
        };
        self.spend(&found.value.flow)?;
        Ok(found)
    }

    /// All that stands in some fields.
    fn parts(&mut self, value: &Json<'_>, fields: &[&str], step: Step, frame: &Frame<'_>) -> Told<Found> {
        let mut parts = Parts::default();
        self.gather(&mut parts, value, fields, frame, |flow| flow.through(step))?;
        Ok(parts.done())
    }

    fn gather(
        &mut self,
        parts: &mut Parts,
        value: &Json<'_>,
        fields: &[&str],
        frame: &Frame<'_>,
        on: impl Fn(&Flow) -> Flow,
    ) -> Told<()> {
        for field in fields {
            let one = object(value, field);
            for part in items(value.get(field)).iter().chain(one) {
                let found = self.expression(part, frame)?;
                parts.take(&found, &on(&found.value.flow));
            }
        }
        Ok(())
    }

    fn by_place(&mut self, value: &Json<'_>, frame: &Frame<'_>) -> Found {
        let place = match value.get("index") {
            Some(Json::Number(place)) => place.parse().ok(),
            _ => None,
        };
        let found = place.and_then(|place| frame.from.at(place));
        self.partial |= found.is_none();
        Found { value: found.unwrap_or_default(), ..Found::default() }
    }

    fn operator(&mut self, value: &Json<'_>, frame: &Frame<'_>) -> Told<Found> {
        if matches!(text(value, "type"), "STRUCT_EXTRACT" | "ARRAY_EXTRACT")
            && let [of, field] = items(value.get("children"))
            && field.get("value").is_some_and(|field| !text(field, "value").is_empty())
        {
            return self.field(of, field, frame);
        }
        self.parts(value, &["children"], Step::new(Means::Transformation), frame)
    }

    fn field(&mut self, of: &Json<'_>, field: &Json<'_>, frame: &Frame<'_>) -> Told<Found> {
        let of = self.expression(of, frame)?;
        let name = field.get("value").map(|value| text(value, "value")).unwrap_or_default();
        let (value, blurred) = of.value.field(name);
        self.partial |= blurred;
        Ok(Found { value, ..of })
    }

    fn case(&mut self, value: &Json<'_>, frame: &Frame<'_>) -> Told<Found> {
        let mut parts = Parts::default();
        for check in items(value.get("case_checks")) {
            let (when, then) = (object(check, "when_expr").ok_or(Lost)?, object(check, "then_expr").ok_or(Lost)?);
            if !is_branch(when) {
                let when = self.expression(when, frame)?;
                parts.take(&when, &when.value.flow.only(Means::Conditional));
            }
            let then = self.expression(then, frame)?;
            parts.take(&then, &then.value.flow);
        }
        self.gather(&mut parts, value, &["else_expr"], frame, Flow::clone)?;
        Ok(parts.done())
    }

    fn call(&mut self, value: &Json<'_>, frame: &Frame<'_>) -> Told<Found> {
        let name = text(value, "function_name").to_lowercase();
        let children = items(value.get("children"));
        match (&*name, children) {
            ("struct_extract", [of, field]) => return self.field(of, field, frame),
            ("struct_pack", fields) if fields.iter().all(|field| !text(field, "alias").is_empty()) => {
                return self.packed(fields, frame);
            }
            _ => {}
        }
        let aggregates = functions::is_aggregate(&name);
        let counts = aggregates && (name == "count" || name == "count_star" || name.starts_with("approx_count"));
        let masking = counts || DIGESTS.contains(&&*name);
        let step = Step { means: if aggregates { Means::Aggregation } else { Means::Transformation }, masking };
        let mut parts = Parts { aggregated: aggregates, ..Parts::default() };
        // What is aggregated is columns, also where names of the list come before them.
        let frame = &Frame { selected_first: frame.selected_first && !aggregates, ..*frame };
        for child in children {
            if text(child, "class") == "LAMBDA" && WITH_LAMBDAS.contains(&&*name) {
                let found = self.lambda(child, frame)?;
                parts.take(&found, &found.value.flow.through(step));
                continue;
            }
            let found = self.expression(child, frame)?;
            parts.take(&found, &found.value.flow.through(step));
        }
        // A star in an aggregate gives it many arguments, not the list many columns.
        self.gather(&mut parts, value, &["filter"], frame, |flow| flow.only(Means::Filter))?;
        if let Some(orders) = object(value, "order_bys") {
            self.orders(&mut parts, items(orders.get("orders")), Means::Sort, frame)?;
        }
        Ok(parts.done())
    }

    fn packed(&mut self, fields: &[Json<'_>], frame: &Frame<'_>) -> Told<Found> {
        let (mut columns, mut parts) = (Vec::with_capacity(fields.len()), Parts::default());
        for field in fields {
            let found = self.expression(field, frame)?;
            parts.take(&found, &Flow::default());
            columns.push(Column::named(text(field, "alias"), found.value));
        }
        Ok(Found { value: Value::packed(columns), ..parts.done() })
    }

    /// A lambda's names hide columns.
    fn lambda(&mut self, lambda: &Json<'_>, frame: &Frame<'_>) -> Told<Found> {
        let Some(names) = object(lambda, "lhs") else { return Err(Lost) };
        let own: Vec<&str> = match text(names, "class") {
            "COLUMN_REF" => items(names.get("column_names")).iter().filter_map(Json::as_str).collect(),
            _ => items(names.get("children"))
                .iter()
                .filter_map(|name| items(name.get("column_names")).first().and_then(Json::as_str))
                .collect(),
        };
        let nothing = FromClause::default();
        let inner = Frame { from: &nothing, selected: &[], selected_first: false, own: &own, outer: Some(frame) };
        self.expression(object(lambda, "expr").ok_or(Lost)?, &inner)
    }

    fn window(&mut self, value: &Json<'_>, frame: &Frame<'_>) -> Told<Found> {
        let name = text(value, "function_name").to_lowercase();
        let aggregates = text(value, "type") == "WINDOW_AGGREGATE";
        let step = Step::new(if aggregates { Means::Aggregation } else { Means::Transformation });
        let step = step.masked(aggregates && name.starts_with("count"));
        let mut parts = Parts::default();
        self.gather(&mut parts, value, &["children", "default_expr"], frame, |flow| flow.through(step))?;
        let framing = ["partitions", "start_expr", "end_expr", "offset_expr"];
        self.gather(&mut parts, value, &framing, frame, |flow| flow.only(Means::Window))?;
        self.gather(&mut parts, value, &["filter_expr"], frame, |flow| flow.only(Means::Filter))?;
        self.orders(&mut parts, items(value.get("orders")), Means::Window, frame)?;
        self.orders(&mut parts, items(value.get("arg_orders")), Means::Sort, frame)?;
        Ok(parts.done())
    }

    fn orders(&mut self, parts: &mut Parts, orders: &[Json<'_>], means: Means, frame: &Frame<'_>) -> Told<()> {
        for order in orders {
            self.gather(parts, order, &["expression"], frame, |flow| flow.only(means))?;
        }
        Ok(())
    }

    /// A query in an expression: what it gives, and what says which rows it has.
    fn subquery(&mut self, value: &Json<'_>, frame: &Frame<'_>) -> Told<Found> {
        let rows = self.select(object(value, "subquery").ok_or(Lost)?, Some(frame))?;
        let mut parts = Parts { flow: rows.kept_by.clone(), ..Parts::default() };
        self.gather(&mut parts, value, &["child"], frame, |flow| flow.through(Step::new(Means::Transformation)))?;
        match text(value, "subquery_type") {
            // Whether there is a row doesn't depend on what is in it.
            "EXISTS" | "NOT_EXISTS" => {}
            "SCALAR" => match rows.columns.as_slice() {
                [column] if !rows.open && parts.flow.0.is_empty() => {
                    return Ok(Found { value: column.value.clone(), ..Found::default() });
                }
                columns => {
                    self.partial |= rows.open || columns.len() != 1;
                    for column in columns.iter().take(1) {
                        parts.flow.add(&column.value.flow);
                    }
                }
            },
            _ => {
                self.partial |= rows.open;
                for column in &rows.columns {
                    parts.flow.add(&column.value.flow.through(Step::new(Means::Transformation)));
                }
            }
        }
        Ok(Found { value: Value::of(parts.flow), ..Found::default() })
    }
}

/// Whether a condition asks for the branch of a MERGE that a row takes.
fn is_branch(when: &Json<'_>) -> bool {
    let left = object(when, "left");
    let names = left.map(|left| items(left.get("column_names"))).unwrap_or_default();
    text(when, "class") == "COMPARISON" && matches!(names, [name] if name.as_str() == Some(BRANCH))
}
