//! What stands in FROM.

use std::rc::Rc;

use gadwall_domain::lineage::Means;

use super::super::json::Json;
use super::flow::{Flow, Source, Step};
use super::from::{FromClause, Join, Relation};
use super::{Column, Frame, Lost, Rows, Shape, Told, Tracer, Value, items, object, text, texts};

/// Calls in FROM that give what is in their arguments, and nothing else.
const OF_ARGUMENTS: [&str; 4] = ["generate_series", "range", "unnest", "repeat"];

impl Tracer<'_> {
    pub(super) fn table(&mut self, table: &Json<'_>, outer: Option<&Frame<'_>>) -> Told<FromClause> {
        let alias = text(table, "alias");
        let renamed = texts(table.get("column_name_alias"));
        match text(table, "type") {
            "EMPTY" => Ok(FromClause::default()),
            "BASE_TABLE" => self.base_table(table, alias, &renamed),
            "SUBQUERY" => {
                let rows = self.select(object(table, "subquery").ok_or(Lost)?, outer)?;
                Ok(relation(rows.renamed(&renamed), alias, None))
            }
            "EXPRESSION_LIST" => self.values(table, alias, outer),
            "JOIN" => self.join(table, outer),
            "TABLE_FUNCTION" => self.call_in_from(table, alias, &renamed, outer),
            // PIVOT's columns are the values of others; DESCRIBE and SUMMARIZE are about a query, not of it.
            "PIVOT" | "SHOW_REF" => {
                self.partial = true;
                Ok(relation(Rows::unknown(), alias, None))
            }
            _ => Err(Lost),
        }
    }

    fn base_table(&mut self, table: &Json<'_>, alias: &str, renamed: &[&str]) -> Told<FromClause> {
        let name = [text(table, "catalog_name"), text(table, "schema_name"), text(table, "table_name")];
        let alias = if alias.is_empty() { name[2] } else { alias };
        if name[0].is_empty() {
            let rows = self.named.get(name[2]).ok_or(Lost)?;
            return Ok(relation((**rows).clone().renamed(renamed), alias, None));
        }
        let name = name.map(str::to_owned);
        let at = object(table, "at_clause");
        let version = at.and_then(version);
        let mut rows = (*self.shape(&name, version)?).clone();
        // At another time it may have had other columns.
        rows.open |= at.is_some() && version.is_none();
        Ok(relation(rows.renamed(renamed), alias, Some(Rc::new(name))))
    }

    /// A table or view by its full name.
    fn shape(&mut self, name: &[String; 3], version: Option<u64>) -> Told<Rc<Rows>> {
        let place = (name.clone(), version);
        if let Some(known) = self.known.get(&place) {
            return Ok(Rc::clone(known));
        }
        let rows = match self.relations.shape(name, version) {
            Some(Shape::Table(columns)) => {
                let table = Rc::new(name.clone());
                let column = |column: String| {
                    let source = Source { table: Rc::clone(&table), column: column.as_str().into() };
                    Column::named(&column, Value::source(source))
                };
                Rc::new(Rows { columns: columns.into_iter().map(column).collect(), ..Rows::default() })
            }
            Some(Shape::View(tree)) => Rc::new(self.view(name, &tree)?),
            Some(Shape::Known(rows, partial)) => {
                self.partial |= partial;
                rows
            }
            None => {
                self.partial = true;
                Rc::new(Rows::unknown())
            }
        };
        self.known.insert(place, Rc::clone(&rows));
        Ok(rows)
    }

    /// A view's query has names of its own.
    fn view(&mut self, name: &[String; 3], tree: &str) -> Told<Rows> {
        if !self.within.insert(name.clone()) {
            return Err(Lost);
        }
        let named = std::mem::take(&mut self.named);
        let rows = self.tree(tree);
        self.named = named;
        self.within.remove(name);
        rows
    }

    fn join(&mut self, join: &Json<'_>, outer: Option<&Frame<'_>>) -> Told<FromClause> {
        let (left, right) = (object(join, "left").ok_or(Lost)?, object(join, "right").ok_or(Lost)?);
        let left = self.table(left, outer)?;
        // What stands on the right may name what stands before it.
        let beside = Frame { from: &left, selected: &[], selected_first: false, own: &[], outer };
        let right = self.table(right, Some(&beside))?;
        let kind = Join {
            kind: text(join, "join_type"),
            natural: text(join, "ref_type") == "NATURAL",
            using: texts(join.get("using_columns")),
        };
        if kind.natural && (left.is_open() || right.is_open()) {
            self.partial = true;
        }
        let Some(condition) = object(join, "condition") else { return Ok(left.join(right, &kind)) };
        // Both sides are there for the condition, also where the right one isn't behind it.
        let inner = Join { kind: "INNER", natural: false, using: Vec::new() };
        let both = left.clone().join(right.clone(), &inner);
        let frame = Frame { from: &both, selected: &[], selected_first: false, own: &[], outer };
        let condition = self.expression(condition, &frame)?.value.flow.only(Means::Join);
        let mut joined = left.join(right, &kind);
        joined.rows.add(&condition);
        Ok(joined)
    }

    fn values(&mut self, list: &Json<'_>, alias: &str, outer: Option<&Frame<'_>>) -> Told<FromClause> {
        let nothing = FromClause::default();
        let frame = Frame { from: &nothing, selected: &[], selected_first: false, own: &[], outer };
        let mut columns: Vec<Flow> = Vec::new();
        for row in items(list.get("values")) {
            for (place, value) in items(Some(row)).iter().enumerate() {
                let flow = self.expression(value, &frame)?.value.flow;
                match columns.get_mut(place) {
                    Some(known) => known.add(&flow),
                    None => columns.push((*flow).clone()),
                }
            }
        }
        let names = texts(list.get("expected_names"));
        let column = |(place, flow): (usize, Flow)| {
            let name = names.get(place).map_or_else(|| format!("col{place}"), |name| (*name).to_owned());
            Column::named(&name, Value::of(flow))
        };
        let columns = columns.into_iter().enumerate().map(column).collect();
        Ok(relation(Rows { columns, ..Rows::default() }, alias, None))
    }

    fn call_in_from(
        &mut self,
        call: &Json<'_>,
        alias: &str,
        renamed: &[&str],
        outer: Option<&Frame<'_>>,
    ) -> Told<FromClause> {
        let function = object(call, "function").ok_or(Lost)?;
        let name = text(function, "function_name").to_lowercase();
        let nothing = FromClause::default();
        let frame = Frame { from: &nothing, selected: &[], selected_first: false, own: &[], outer };
        let mut flow = Flow::default();
        for argument in items(function.get("children")) {
            flow.add(&self.expression(argument, &frame)?.value.flow.through(Step::new(Means::Transformation)));
        }
        let alias = if alias.is_empty() { &*name } else { alias };
        let of_arguments = OF_ARGUMENTS.contains(&&*name);
        if !of_arguments || (name == "unnest" && renamed.len() > 1) {
            // What it reads isn't told by its text.
            self.partial = true;
            return Ok(relation(Rows::unknown(), alias, None));
        }
        // A column without a name of its own goes by the table's, too.
        let own = renamed.first().copied().unwrap_or(if name == "unnest" { "unnest" } else { alias });
        let column = |name: &str| Column::named(name, Value::of(flow.clone()));
        let mut rows = Rows { columns: vec![column(own)], open: name == "unnest", ..Rows::default() };
        if call.get("with_ordinality") == Some(&Json::Text("WITH_ORDINALITY".into())) {
            rows.columns.push(Column::named(renamed.get(1).copied().unwrap_or("ordinality"), Value::default()));
        }
        if name != "unnest" && own != &*name {
            rows.open = false;
        }
        Ok(relation(rows, alias, None))
    }
}

/// The version that is read, where a number says so.
fn version(at: &Json<'_>) -> Option<u64> {
    match at.get("expr")?.get("value")?.get("value")? {
        Json::Number(number) if text(at, "unit").eq_ignore_ascii_case("version") => number.parse().ok(),
        _ => None,
    }
}

fn relation(rows: Rows, alias: &str, full: Option<Rc<[String; 3]>>) -> FromClause {
    let Rows { columns, kept_by, open } = rows;
    FromClause::of(Relation { alias: alias.to_owned(), full, columns, open }, kept_by)
}
