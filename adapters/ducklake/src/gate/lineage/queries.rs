//! Query nodes.

use std::rc::Rc;

use gadwall_domain::lineage::Means;

use super::super::json::Json;
use super::expressions::Found;
use super::from::FromClause;
use super::{Column, Flow, Frame, Lost, MAX_ROUNDS, Rows, Told, Tracer, Value, items, object, text, texts};

impl Tracer<'_> {
    /// A whole SELECT.
    pub(super) fn select(&mut self, select: &Json<'_>, outer: Option<&Frame<'_>>) -> Told<Rows> {
        self.query(object(select, "node").ok_or(Lost)?, outer)
    }

    pub(super) fn query(&mut self, node: &Json<'_>, outer: Option<&Frame<'_>>) -> Told<Rows> {
        for entry in items(node.get("cte_map").and_then(|map| map.get("map"))) {
            let named = object(entry, "value").ok_or(Lost)?;
            let rows = self.named_query(text(entry, "key"), named, outer)?;
            let rows = rows.renamed(&texts(named.get("aliases")));
            self.named.insert(text(entry, "key").to_owned(), Rc::new(rows));
        }
        match text(node, "type") {
            "SELECT_NODE" => self.select_node(node, outer),
            "SET_OPERATION_NODE" => self.set_operation(node, outer),
            _ => Err(Lost),
        }
    }

    fn named_query(&mut self, name: &str, named: &Json<'_>, outer: Option<&Frame<'_>>) -> Told<Rows> {
        let select = object(named, "query").ok_or(Lost)?;
        let node = object(select, "node").ok_or(Lost)?;
        if text(node, "type") != "RECURSIVE_CTE_NODE" {
            return self.query(node, outer);
        }
        let first = object(node, "left").ok_or(Lost)?;
        let again = object(node, "right").ok_or(Lost)?;
        let aliases =
            [texts(named.get("aliases")), texts(node.get("aliases"))].into_iter().find(|names| !names.is_empty());
        let aliases = aliases.unwrap_or_default();
        let mut rows = self.query(first, outer)?.renamed(&aliases);
        for _ in 0..MAX_ROUNDS {
            self.named.insert(name.to_owned(), Rc::new(rows.clone()));
            let next = self.query(again, outer)?;
            let more = self.united(rows.clone(), next)?;
            if more == rows {
                return Ok(rows);
            }
            rows = more;
        }
        self.partial = true;
        Ok(rows)
    }

    fn select_node(&mut self, node: &Json<'_>, outer: Option<&Frame<'_>>) -> Told<Rows> {
        let from = match object(node, "from_table") {
            Some(table) => self.table(table, outer)?,
            None => FromClause::default(),
        };
        let mut rows = Rows { kept_by: from.rows.clone(), ..Rows::default() };
        let mut plain = Vec::new();
        for item in items(node.get("select_list")) {
            let frame = Frame { from: &from, selected: &rows.columns, selected_first: false, own: &[], outer };
            let (columns, open, aggregated) = self.selected(item, &frame)?;
            rows.open |= open;
            if !aggregated {
                plain.extend(rows.columns.len()..rows.columns.len() + columns.len());
            }
            rows.columns.extend(columns);
        }
        let columns = std::mem::take(&mut rows.columns);
        let frame = Frame { from: &from, selected: &columns, selected_first: false, own: &[], outer };
        for condition in ["where_clause", "qualify"].into_iter().filter_map(|clause| object(node, clause)) {
            rows.kept_by.add(&self.expression(condition, &frame)?.value.flow.only(Means::Filter));
        }
        if let Some(condition) = object(node, "having") {
            // There only what is grouped by comes before the names of the list.
            let groups: Vec<&str> = items(node.get("group_expressions")).iter().filter_map(column_name).collect();
            let grouped = |column: &&Column| groups.iter().any(|name| column.is(name));
            let selected: Vec<Column> = columns.iter().filter(|column| !grouped(column)).cloned().collect();
            let frame = Frame { selected: &selected, selected_first: true, ..frame };
            rows.kept_by.add(&self.expression(condition, &frame)?.value.flow.only(Means::Filter));
        }
        for group in items(node.get("group_expressions")) {
            let flow = self.placed(group, &frame)?;
            rows.kept_by.add(&flow.only(Means::GroupBy));
        }
        if text(node, "aggregate_handling") == "FORCE_AGGREGATES" {
            for place in plain {
                rows.kept_by.add(&columns[place].value.flow.only(Means::GroupBy));
            }
        }
        let modified = self.modifiers(node, &frame)?;
        rows.kept_by.add(&modified);
        rows.columns = columns;
        self.spend(&rows.kept_by)?;
        Ok(rows)
    }

    /// DISTINCT ON, ORDER BY and LIMIT.
    fn modifiers(&mut self, node: &Json<'_>, frame: &Frame<'_>) -> Told<Flow> {
        let mut rows = Flow::default();
        let frame = Frame { selected_first: true, ..*frame };
        for modifier in items(node.get("modifiers")) {
            for target in items(modifier.get("distinct_on_targets")) {
                rows.add(&self.placed(target, &frame)?.only(Means::GroupBy));
            }
            for order in items(modifier.get("orders")) {
                let by = object(order, "expression").ok_or(Lost)?;
                rows.add(&self.placed(by, &frame)?.only(Means::Sort));
            }
            for bound in ["limit", "offset"].into_iter().filter_map(|key| object(modifier, key)) {
                rows.add(&self.expression(bound, &frame)?.value.flow.only(Means::Filter));
            }
        }
        Ok(rows)
    }

    /// What an ORDER BY or GROUP BY names: also by its place, or all of them.
    fn placed(&mut self, value: &Json<'_>, frame: &Frame<'_>) -> Told<Rc<Flow>> {
        if let Some(place) = integer(value) {
            let column = place.checked_sub(1).and_then(|place| frame.selected.get(place));
            self.partial |= column.is_none();
            return Ok(column.map(|column| Rc::clone(&column.value.flow)).unwrap_or_default());
        }
        if text(value, "class") == "STAR" {
            let mut all = Flow::default();
            for column in frame.selected {
                all.add(&column.value.flow);
            }
            return Ok(Rc::new(all));
        }
        // Within an expression the names of the list come last.
        let alone = column_name(value).is_some();
        let frame = Frame { selected_first: frame.selected_first && alone, ..*frame };
        Ok(self.expression(value, &frame)?.value.flow)
    }

    fn set_operation(&mut self, node: &Json<'_>, outer: Option<&Frame<'_>>) -> Told<Rows> {
        let mut parts: Vec<&Json<'_>> = items(node.get("children")).iter().collect();
        if parts.is_empty() {
            parts = ["left", "right"].into_iter().filter_map(|side| object(node, side)).collect();
        }
        let (first, others) = parts.split_first().ok_or(Lost)?;
        let mut rows = self.query(first, outer)?;
        for part in others {
            let other = self.query(part, outer)?;
            rows = match text(node, "setop_type") {
                "UNION" => self.united(rows, other)?,
                "UNION_BY_NAME" => self.united_by_name(rows, other),
                // Which rows are left is all that comes from there.
                "EXCEPT" | "INTERSECT" => {
                    for column in &other.columns {
                        rows.kept_by.add(&column.value.flow.only(Means::Filter));
                    }
                    rows.kept_by.add(&other.kept_by.only(Means::Filter));
                    self.partial |= other.open;
                    rows
                }
                _ => return Err(Lost),
            };
        }
        let from = FromClause::default();
        let columns = std::mem::take(&mut rows.columns);
        let frame = Frame { from: &from, selected: &columns, selected_first: true, own: &[], outer };
        let modified = self.modifiers(node, &frame)?;
        rows.kept_by.add(&modified);
        rows.columns = columns;
        Ok(rows)
    }

    /// Two results with the same columns, under the names of the first.
    fn united(&mut self, mut rows: Rows, other: Rows) -> Told<Rows> {
        if rows.open || other.open || rows.columns.len() != other.columns.len() {
            // Which of them is which isn't known.
            self.partial = true;
            return Ok(Rows { kept_by: both(&rows.kept_by, &other.kept_by), ..Rows::unknown() });
        }
        for (column, more) in rows.columns.iter_mut().zip(other.columns) {
            if column.value != more.value {
                column.value = Value::of(both(&column.value.flow, &more.value.flow));
                self.spend(&column.value.flow)?;
            }
        }
        rows.kept_by.add(&other.kept_by);
        Ok(rows)
    }

    fn united_by_name(&mut self, mut rows: Rows, other: Rows) -> Rows {
        let unnamed = |rows: &Rows| rows.open || rows.columns.iter().any(|column| column.name.is_none());
        if unnamed(&rows) || unnamed(&other) {
            self.partial = true;
            return Rows { kept_by: both(&rows.kept_by, &other.kept_by), ..Rows::unknown() };
        }
        for more in other.columns {
            let known = more.name.as_deref().and_then(|name| rows.columns.iter_mut().find(|column| column.is(name)));
            match known {
                Some(known) => known.value = Value::of(both(&known.value.flow, &more.value.flow)),
                None => rows.columns.push(more),
            }
        }
        rows.kept_by.add(&other.kept_by);
        rows
    }

    /// The columns of an item of a SELECT list; whether there may be more; and whether it aggregates.
    fn selected(&mut self, item: &Json<'_>, frame: &Frame<'_>) -> Told<(Vec<Column>, bool, bool)> {
        if text(item, "class") == "STAR" && item.get("columns") != Some(&Json::Bool(true)) {
            let (columns, open) = self.star(item, frame)?;
            return Ok((columns, open, false));
        }
        let Found { value, aggregated, starred } = self.expression(item, frame)?;
        if starred {
            // One column for each that the star names.
            self.partial = true;
            return Ok((Vec::new(), true, aggregated));
        }
        let name = match (text(item, "alias"), text(item, "class")) {
            ("", "COLUMN_REF") => column_name(item),
            ("", _) => None,
            (alias, _) => Some(alias),
        };
        Ok((vec![Column { name: name.map(Rc::from), value }], false, aggregated))
    }
}

fn both(one: &Flow, other: &Flow) -> Flow {
    let mut both = one.clone();
    both.add(other);
    both
}

/// The column that an expression is, by its name.
fn column_name<'j>(value: &'j Json<'_>) -> Option<&'j str> {
    let names = items(value.get("column_names"));
    names.last().filter(|_| text(value, "class") == "COLUMN_REF").and_then(Json::as_str)
}

/// A whole number that stands alone.
fn integer(value: &Json<'_>) -> Option<usize> {
    if text(value, "class") != "CONSTANT" {
        return None;
    }
    match value.get("value")?.get("value")? {
        Json::Number(number) => number.parse().ok(),
        _ => None,
    }
}
