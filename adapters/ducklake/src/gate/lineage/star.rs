//! `*`, with what is left out, replaced and renamed.

use std::rc::Rc;

use super::super::json::Json;
use super::{Column, Frame, Lost, Told, Tracer, items, object, text};

impl Tracer<'_> {
    /// The columns that a star means here, and whether there may be more.
    pub(super) fn star(&mut self, star: &Json<'_>, frame: &Frame<'_>) -> Told<(Vec<Column>, bool)> {
        if object(star, "expr").is_some() {
            // A pattern or a condition on names.
            self.partial = true;
            return Ok((Vec::new(), true));
        }
        let relation = unquoted(text(star, "relation_name"));
        let Some((columns, open)) = frame.from.star(&relation) else {
            // A struct's fields.
            self.partial = true;
            return Ok((Vec::new(), true));
        };
        let mut columns = columns.to_vec();
        let left_out = excluded(star);
        let replaced = items(star.get("replace_list"));
        columns.retain(|column| !left_out.iter().any(|name| column.is(name)));
        for pair in replaced {
            let value = self.expression(object(pair, "value").ok_or(Lost)?, frame)?.value;
            let name = text(pair, "key");
            for column in columns.iter_mut().filter(|column| column.is(name)) {
                column.value = value.clone();
            }
        }
        for pair in items(star.get("rename_list")) {
            let (Some(from), to) = (pair.get("key"), text(pair, "value")) else { return Err(Lost) };
            for column in columns.iter_mut().filter(|column| column.is(text(from, "column"))) {
                column.name = Some(Rc::from(to));
            }
        }
        self.partial |= open;
        for column in &columns {
            self.spend(&column.value.flow)?;
        }
        Ok((columns, open))
    }
}

fn excluded<'j>(star: &'j Json<'_>) -> Vec<&'j str> {
    let plain = items(star.get("exclude_list")).iter().filter_map(Json::as_str);
    let qualified = items(star.get("qualified_exclude_list")).iter().map(|name| text(name, "column"));
    plain.chain(qualified).collect()
}

/// The gate puts a star's table into quotes, for the engine's printer.
fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}
